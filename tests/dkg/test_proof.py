"""Verification steps (dkg.proof): one test an attack, named after it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

import dkg
from dkg.car import car_header, varint, write_car
from dkg.errors import BudgetError, InputError, MissingPageError, PageError, ProofError
from dkg.page import CID_LENGTH, DatasetRoot, Inner, Leaf, cid_of, decode
from dkg.pages import KnownPages
from tests.datasets import PREFIX, iri, stored, university

if TYPE_CHECKING:
    from dkg.pages import MemoryPageStore

Block = tuple[bytes, bytes]

STAR = PREFIX + "SELECT ?s ?name { ?s :adviser :professor3 ; :takes :course3 ; :name ?name }"
POINT = PREFIX + "SELECT ?p ?o { :student123 ?p ?o }"
NOBODY = PREFIX + "SELECT ?p ?o { :student123456 ?p ?o }"


@cache
def dataset() -> tuple[MemoryPageStore, bytes]:
    return stored(university(2_000))


@cache
def proof_of(query: str) -> dkg.Proof:
    return dkg.prove(*dataset(), query)


def blocks_of(car: bytes) -> list[Block]:
    """The blocks of an honest CAR, read without the reader under test."""
    at = len(car_header(dataset()[1]))
    blocks: list[Block] = []
    while at < len(car):
        size = shift = 0
        while True:
            byte = car[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        blocks.append((car[at : at + CID_LENGTH], car[at + CID_LENGTH : at + size]))
        at += size
    return blocks


def refused(car: bytes, query: str, root: bytes, match: str = ".") -> bool:
    """True if the proof is refused with such a message, whatever is known; what else happens is raised."""
    for pages in (None, known()):
        with pytest.raises(ProofError, match=match):
            dkg.verify(car, query, root, known=pages)
    return True


@cache
def known() -> KnownPages:
    """What a verifier knows who has seen the honest proofs."""
    pages = KnownPages()
    for query in (STAR, POINT, NOBODY):
        dkg.verify(proof_of(query).car, query, dataset()[1], known=pages)
    return pages


@pytest.mark.parametrize("query", [STAR, POINT, NOBODY])
def test_honest_proof_gives_the_answer_of_the_store(query: str) -> None:
    proof = proof_of(query)
    verified = dkg.verify(proof.car, query, dataset()[1])
    assert verified.rows == proof.answer.rows == dkg.query(*dataset(), query).rows
    assert verified.serialize("json") == proof.answer.serialize("json")
    assert verified.pages == proof.pages == len(blocks_of(proof.car))


def test_absence_is_provable_and_told_apart_from_unknown() -> None:
    proof = proof_of(NOBODY)
    assert dkg.verify(proof.car, NOBODY, dataset()[1]).provably_nothing
    with pytest.raises(MissingPageError, match="lacks page"):
        dkg.verify(proof_of(POINT).car, PREFIX + "SELECT ?p ?o { :student1999 ?p ?o }", dataset()[1])


def test_every_dropped_page() -> None:
    car = proof_of(STAR).car
    blocks = blocks_of(car)
    for i in range(len(blocks)):
        assert refused(write_car(dataset()[1], blocks[:i] + blocks[i + 1 :]), STAR, dataset()[1], "lacks page")


def test_every_altered_byte() -> None:
    car = bytearray(proof_of(POINT).car)
    for i in range(len(car)):
        car[i] ^= 0x01
        assert refused(bytes(car), POINT, dataset()[1])
        car[i] ^= 0x01


def test_proof_over_the_size_limit_is_refused_before_parsing() -> None:
    limits = dkg.Budget(pages=1, proof_bytes=100)
    with pytest.raises(ProofError, match=r"has \d+ bytes, over the limit of"):
        dkg.verify(b"\xff" * 1_000, POINT, dataset()[1], limits=limits)


def test_more_pages_than_the_limits_allow() -> None:
    car = proof_of(POINT).car
    pages = proof_of(POINT).pages
    assert dkg.verify(car, POINT, dataset()[1], limits=dkg.Budget(pages=pages)).rows
    with pytest.raises(ProofError, match=f"more than the {pages - 1} pages"):
        dkg.verify(car, POINT, dataset()[1], limits=dkg.Budget(pages=pages - 1))


def test_proof_under_another_root() -> None:
    other = stored(university(1_999))[1]
    assert refused(proof_of(POINT).car, POINT, other, "the proof is for root")


def test_header_of_another_root_over_the_right_pages() -> None:
    other = stored(university(1_999))[1]
    assert refused(write_car(other, blocks_of(proof_of(POINT).car)), POINT, other, "lacks page")


def test_proof_of_another_query() -> None:
    assert refused(proof_of(POINT).car, STAR, dataset()[1])
    assert refused(proof_of(STAR).car, POINT, dataset()[1])


def test_old_root_is_refused_by_whoever_trusts_the_new_one() -> None:
    store, old = dataset()
    new = dkg.update(store, old, [(iri("student5"), iri("name"), b'"New"', b"<https://example.org/university>")], [])
    stale = dkg.prove(store, old, POINT).car
    assert refused(stale, POINT, new, "the proof is for root")


def test_page_that_is_not_needed() -> None:
    extra = next(block for block in blocks_of(proof_of(STAR).car) if block not in blocks_of(proof_of(POINT).car))
    assert refused(
        write_car(dataset()[1], [*blocks_of(proof_of(POINT).car), extra]), POINT, dataset()[1], "is not needed"
    )


def test_pages_in_another_order() -> None:
    blocks = blocks_of(proof_of(POINT).car)
    assert refused(write_car(dataset()[1], blocks[::-1]), POINT, dataset()[1], "order of reading")


def test_page_that_is_there_twice() -> None:
    blocks = blocks_of(proof_of(POINT).car)
    assert refused(write_car(dataset()[1], [*blocks, blocks[0]]), POINT, dataset()[1], "there twice")


def test_bytes_after_the_last_block() -> None:
    for tail in (b"\x00", b"\x01", b"\x24", b"\x80", b"junk", b"\x80\x00"):
        assert refused(proof_of(POINT).car + tail, POINT, dataset()[1])


def test_every_truncation() -> None:
    car = proof_of(POINT).car
    for size in range(len(car)):
        assert refused(car[:size], POINT, dataset()[1])


def test_length_not_in_its_shortest_form() -> None:
    cid, raw = blocks_of(proof_of(POINT).car)[0]
    body = bytearray(varint(len(cid) + len(raw)))
    body[-1] |= 0x80
    assert refused(car_header(dataset()[1]) + bytes(body) + b"\x00" + cid + raw, POINT, dataset()[1], "shortest form")


def test_length_of_a_terabyte() -> None:
    assert refused(car_header(dataset()[1]) + b"\xff" * 5 + b"\x01", POINT, dataset()[1], "longer than 5 bytes")
    assert refused(car_header(dataset()[1]) + b"\xff\xff\xff\xff\x0f", POINT, dataset()[1], "impossible length")


def forged(at: int, page: Leaf | Inner | DatasetRoot | bytes) -> tuple[bytes, bytes]:
    """A dataset whose page number `at` on the way to POINT is replaced, with all links above made to fit."""
    blocks = blocks_of(proof_of(POINT).car)
    raw = page if isinstance(page, bytes) else page.encode()
    old, new = blocks[at][0], cid_of(raw)
    out = [(new, raw)]
    for i in range(at - 1, -1, -1):
        parent = blocks[i][1].replace(old, new)
        out.insert(0, (cid_of(parent), parent))
        if old in blocks[i][1]:
            old, new = blocks[i][0], cid_of(parent)
    root = out[0][0]
    return write_car(root, [*out, *blocks[at + 1 :]]), root


def page_at(at: int) -> Leaf | Inner | DatasetRoot:
    return decode(*blocks_of(proof_of(POINT).car)[at])


def refused_page(at: int, page: Leaf | Inner | DatasetRoot | bytes, match: str) -> bool:
    """True if the forged dataset is refused with such a message; what else happens is raised."""
    car, root = forged(at, page)
    for pages in (None, known()):
        with pytest.raises(PageError, match=match):
            dkg.verify(car, POINT, root, known=pages)
    return True


def test_forging_helper_changes_nothing_by_itself() -> None:
    car, root = forged(1, page_at(1))
    assert root == dataset()[1]
    assert car == proof_of(POINT).car


def test_dataset_root_where_a_tree_belongs() -> None:
    assert refused_page(1, blocks_of(proof_of(POINT).car)[0][1], "dataset root where a page of a tree belongs")


def test_page_of_a_tree_where_the_dataset_root_belongs() -> None:
    assert refused_page(0, Leaf([b"k"]), "is not a dataset root")


def test_page_of_another_index() -> None:
    top = page_at(0)
    assert isinstance(top, DatasetRoot)
    swapped = DatasetRoot([top.trees[1], *top.trees[1:]], top.count)
    car, root = forged(0, swapped)
    assert refused(car, POINT, root, "lacks page")


def test_index_with_fewer_keys_than_the_dataset() -> None:
    top = page_at(0)
    assert isinstance(top, DatasetRoot)
    assert refused_page(0, DatasetRoot(top.trees, top.count + 1), "keys, the dataset says")


def test_child_with_another_count_than_its_parent_says() -> None:
    inner = page_at(1)
    assert isinstance(inner, Inner)
    counts = inner.counts.copy()
    counts[0], counts[-1] = counts[0] + 1, counts[-1] - 1
    swapped = [n + (1 if i % 2 else -1) for i, n in enumerate(inner.counts)]
    swapped[0] += sum(inner.counts) - sum(swapped)
    assert refused_page(1, Inner(inner.children, inner.separators, swapped), "its parent says")


def test_leaf_with_a_key_outside_the_bounds_of_its_parent() -> None:
    last = proof_of(POINT).pages - 1
    leaf = page_at(last)
    assert isinstance(leaf, Leaf)
    assert refused_page(last, Leaf([b"!", *leaf.keys[1:]]), "outside the range its parent gives it")


def test_keys_out_of_order_hide_a_key() -> None:
    last = proof_of(POINT).pages - 1
    leaf = page_at(last)
    assert isinstance(leaf, Leaf)
    assert refused_page(last, Leaf(leaf.keys[::-1]), "not in ascending order")


def test_non_canonical_page() -> None:
    last = proof_of(POINT).pages - 1
    raw = blocks_of(proof_of(POINT).car)[last][1]
    assert raw[0] == 0xA1
    assert refused_page(last, b"\xb8\x01" + raw[1:], "DAG-CBOR|canonical")


def test_bytes_after_a_page() -> None:
    last = proof_of(POINT).pages - 1
    assert refused_page(last, blocks_of(proof_of(POINT).car)[last][1] + b"\x00", "DAG-CBOR|canonical")


def test_what_was_checked_is_not_decoded_again() -> None:
    pages, root = KnownPages(), dataset()[1]
    first = dkg.verify(proof_of(STAR).car, STAR, root, known=pages)
    for cid, raw in blocks_of(proof_of(STAR).car):
        assert pages.page(cid, raw) is pages.page(cid, raw)
    assert pages.bytes == sum(len(raw) for _, raw in blocks_of(proof_of(STAR).car))
    again = dkg.verify(proof_of(STAR).car, STAR, root, known=pages)
    assert again.rows == first.rows == dkg.verify(proof_of(STAR).car, STAR, root).rows
    assert pages.bytes == sum(len(raw) for _, raw in blocks_of(proof_of(STAR).car))


def test_what_is_known_gives_way_to_what_is_new() -> None:
    blocks = blocks_of(proof_of(STAR).car)[:3]
    sizes = [len(raw) for _, raw in blocks]
    for most, kept in ((sum(sizes), sizes), (sum(sizes) - 1, sizes[1:]), (sizes[2], sizes[2:]), (0, [])):
        pages = KnownPages(most)
        first = [pages.page(*block) for block in blocks]
        assert pages.bytes == sum(kept)
        there = [pages.page(*block) is page for block, page in zip(blocks[::-1], first[::-1], strict=True)]
        assert there[: len(kept)] == [True] * len(kept)
        assert not any(there[len(kept) :])


def test_answer_larger_than_the_limits() -> None:
    query = PREFIX + "SELECT * { ?a :type :Student }"
    proof = dkg.prove(*dataset(), query)
    rows = len(proof.answer.rows)
    assert len(dkg.verify(proof.car, query, dataset()[1], limits=dkg.Budget(rows=rows)).rows) == rows
    with pytest.raises(BudgetError, match="result rows"):
        dkg.verify(proof.car, query, dataset()[1], limits=dkg.Budget(rows=rows - 1))


def test_root_that_is_no_root() -> None:
    for root in ("bafy", b"", b"\x01" * 36, "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"):
        with pytest.raises(InputError, match="not a root"):
            dkg.verify(proof_of(POINT).car, POINT, root)


def test_what_is_over_the_verifiers_limits_is_not_blamed_on_a_proof_that_ends_where_it_may() -> None:
    some = PREFIX + "SELECT * { ?s :name ?n } LIMIT 50"
    assert len(dkg.verify(proof_of(some).car, some, dataset()[1]).rows) == 50
    with pytest.raises(BudgetError, match=r"more than the 20 quads"):
        dkg.verify(proof_of(some).car, some, dataset()[1], limits=dkg.Budget(quads=20))


def test_budget_refusal_estimates_the_cost() -> None:
    with pytest.raises(BudgetError, match=r"10 pages.*The range it was reading has \d+ quads on about \d+ pages"):
        dkg.query(*dataset(), PREFIX + "SELECT * { ?s :name ?n }", budget=dkg.Budget(pages=10))
    with pytest.raises(BudgetError, match=r"100 quads.*The range it was reading has 2000 quads on about 101 pages"):
        dkg.query(*dataset(), PREFIX + "SELECT * { ?s :name ?n }", budget=dkg.Budget(quads=100))
