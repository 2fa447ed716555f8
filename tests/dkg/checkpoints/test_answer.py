"""Verification steps of answers over all publishers (dkg.checkpoints.answer): one test an attack, named after it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dkg
from dkg.car import read_car, write_car
from dkg.chain.commit import Domain
from dkg.checkpoints.answer import (
    BESIDE_MAX,
    OriginsError,
    Parts,
    TooManyError,
    prove_joint,
    prove_origins,
    verify_joint,
)
from dkg.checkpoints.owners import prefix_of
from dkg.errors import InputError, MissingPageError, ProofError
from dkg.limits import KEY_MAX
from dkg.page import DatasetRoot, Leaf, cid_of, decode
from dkg.pages import KnownPages, MemoryPageStore, StoredPages
from dkg.terms import key_of
from tests.evaluators import build

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.oracle import Quad

DOMAIN = Domain(31337, b"\xaa" * 20)
A, B, C = (bytes([number]) * 20 for number in (1, 2, 3))
NAME = b"<http://e/name>"
ALL = "SELECT ?s ?name { ?s <http://e/name> ?name }"
ONE = "SELECT ?name { <http://e/s7> <http://e/name> ?name }"
COUNT = "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s <http://e/name> ?name } }"


def said(publisher: bytes, subjects: Iterable[int], name: str, asset: bytes = b"x") -> set[Quad]:
    """What a publisher calls some subjects."""
    graph = prefix_of(DOMAIN, publisher) + asset + b">"
    return {(b"<http://e/s%d>" % one, NAME, f'"{name} {one}"'.encode(), graph) for one in subjects}


OLD = {A: said(A, range(40), "old"), B: said(B, range(40), "b"), C: said(C, range(20, 60), "c")}
NEW: dict[bytes, set[Quad]] = {A: said(A, range(5, 50), "new"), B: set()}


class World:
    """The union as a checkpoint has it, and some publishers' datasets."""

    def __init__(self, union: set[Quad], own: dict[bytes, set[Quad] | None]) -> None:
        self.store = MemoryPageStore()
        roots = {publisher: None if quads is None else self._kept(quads) for publisher, quads in own.items()}
        self.parts = Parts(DOMAIN, self._kept(union), roots)

    def _kept(self, quads: set[Quad]) -> bytes:
        pages, root = build(quads)
        self.store.pages.update(pages.pages)
        return root

    @property
    def pages(self) -> StoredPages:
        return StoredPages(self.store)

    def car(self, query: str) -> bytes:
        return prove_joint(self.pages, self.parts, query).car


@cache
def world() -> World:
    """A said something else since; B took all back; C said nothing since."""
    return World(set.union(*OLD.values()), {A: NEW[A] | said(C, [7], "forged"), B: NEW[B]})


def names(car: bytes, query: str, parts: Parts, *, origins: bool = False) -> list[str]:
    return sorted(row[-1].value for row in verify_joint(car, query, parts, origins=origins).rows)  # type: ignore[union-attr]


def blocks_of(car: bytes, parts: Parts) -> list[tuple[bytes, bytes]]:
    return list(read_car(car, parts.union, 10_000, parts.roots[1:]).items())


def refused(car: bytes, query: str, parts: Parts, match: str = ".") -> bool:
    """True if a proof is refused with such a message, whatever is known; what else happens is raised."""
    known = KnownPages()
    verify_joint(world().car(ALL), ALL, world().parts, known=known)
    for pages in (None, known):
        with pytest.raises(ProofError, match=match):
            verify_joint(car, query, parts, known=pages)
    return True


def test_an_answer_has_what_was_said_since_and_not_what_was_said_before() -> None:
    made = world()
    assert names(made.car(ONE), ONE, made.parts) == ["new 7"]
    expected = sorted([f"new {one}" for one in range(5, 50)] + [f"c {one}" for one in range(20, 60)])
    proof = prove_joint(made.pages, made.parts, ALL)
    answer = verify_joint(proof.car, ALL, made.parts)
    assert sorted(row[1].value for row in answer.rows) == expected  # type: ignore[union-attr]
    assert answer.serialize("json") == proof.answer.serialize("json")
    assert (answer.pages, answer.proof_bytes) == (proof.pages, len(proof.car))
    assert answer.shown_by_checkpoint == proof.shown_by_checkpoint == {C}


def test_with_nobody_beside_it_is_the_proof_of_the_root() -> None:
    made = World(set.union(*OLD.values()), {})
    for query in (ONE, ALL, COUNT):
        single = dkg.prove(made.store, made.parts.union, query)
        assert made.car(query) == single.car
        assert dkg.verify(single.car, query, made.parts.union).rows == verify_joint(single.car, query, made.parts).rows


def test_nothing_is_proved_of_all_publishers() -> None:
    made, query = world(), "ASK { <http://e/s60> ?p ?o }"
    assert verify_joint(made.car(query), query, made.parts).provably_nothing


# --- attacks -------------------------------------------------------------------------------------------------


def test_a_key_of_the_checkpoint_in_the_graph_of_a_publisher_beside_it_does_not_count_twice() -> None:
    made = World(OLD[A] | OLD[C], {A: OLD[A]})
    (row,) = verify_joint(made.car(COUNT), COUNT, made.parts).rows
    assert str(row[0]) == '"80"^^<http://www.w3.org/2001/XMLSchema#integer>'


def test_a_publisher_who_took_everything_back_is_not_answered_from_the_checkpoint() -> None:
    owns: list[set[Quad] | None] = [set(), None]
    for own in owns:
        made = World(OLD[B], {B: own})
        assert names(made.car(ALL), ALL, made.parts) == []


def test_a_publisher_who_speaks_in_the_graphs_of_others() -> None:
    made = World(OLD[C], {A: said(C, [7], "forged") | said(B, [7], "forged"), B: set()})
    assert names(made.car(ONE), ONE, made.parts) == []


def test_a_publisher_whose_address_begins_alike() -> None:
    other = A[:-1] + b"\x02"
    made = World(said(other, [7], "other") | OLD[A], {A: NEW[A]})
    assert names(made.car(ONE), ONE, made.parts) == ["new 7", "other 7"]


def test_part_left_out() -> None:
    made = world()
    for publisher in (A, B):
        fewer = replace(made.parts, beside={one: r for one, r in made.parts.beside.items() if one != publisher})
        assert refused(prove_joint(made.pages, fewer, ALL).car, ALL, made.parts, "the 3 roots expected")
    none = replace(made.parts, beside={})
    assert refused(prove_joint(made.pages, none, ALL).car, ALL, made.parts, "the 3 roots expected")
    assert refused(made.car(ALL), ALL, none, "whose one root is")


def test_part_left_out_under_the_right_header() -> None:
    made = world()
    fewer = replace(made.parts, beside={A: made.parts.beside[A], B: None})
    blocks = blocks_of(prove_joint(made.pages, fewer, ALL).car, fewer)
    assert refused(write_car(made.parts.union, blocks, made.parts.roots[1:]), ALL, made.parts, "lacks page")


def test_extra_part() -> None:
    made = world()
    more = replace(made.parts, beside={**made.parts.beside, C: made.parts.beside[A]})
    assert refused(prove_joint(made.pages, more, ALL).car, ALL, made.parts, "the 3 roots expected")


def test_parts_swapped() -> None:
    made = world()
    a, b = made.parts.beside[A], made.parts.beside[B]
    swapped = replace(made.parts, beside={A: b, B: a})
    assert refused(prove_joint(made.pages, swapped, ALL).car, ALL, made.parts, "in order")


def test_the_checkpoint_swapped_with_a_part() -> None:
    made = world()
    union, root, _ = made.parts.roots
    swapped = replace(made.parts, union=root, beside={**made.parts.beside, A: union})
    assert refused(prove_joint(made.pages, swapped, ALL).car, ALL, made.parts, "in order")


def test_an_older_dataset_of_a_publisher() -> None:
    made = world()
    older = World(set.union(*OLD.values()), {A: OLD[A], B: NEW[B]})
    assert refused(older.car(ONE), ONE, made.parts, "the 3 roots expected")


def test_the_pages_of_one_part_under_the_roots_of_another() -> None:
    made = world()
    older = World(set.union(*OLD.values()), {A: OLD[A], B: NEW[B]})
    blocks = blocks_of(older.car(ONE), older.parts)
    assert refused(write_car(made.parts.union, blocks, made.parts.roots[1:]), ONE, made.parts, "lacks page")


def test_every_page_dropped() -> None:
    made = world()
    blocks = blocks_of(made.car(ALL), made.parts)
    for at in range(len(blocks)):
        car = write_car(made.parts.union, blocks[:at] + blocks[at + 1 :], made.parts.roots[1:])
        with pytest.raises(MissingPageError, match="lacks page"):
            verify_joint(car, ALL, made.parts)


def test_page_that_is_not_needed() -> None:
    made = world()
    blocks = dict(blocks_of(made.car(ONE), made.parts))
    extra = next(block for block in blocks_of(made.car(ALL), made.parts) if block[0] not in blocks)
    car = write_car(made.parts.union, [*blocks.items(), extra], made.parts.roots[1:])
    assert refused(car, ONE, made.parts, "is not needed")


def test_pages_in_another_order() -> None:
    made = world()
    blocks = blocks_of(made.car(ONE), made.parts)
    for at in range(len(blocks) - 1):
        blocks[at], blocks[at + 1] = blocks[at + 1], blocks[at]
        car = write_car(made.parts.union, blocks, made.parts.roots[1:])
        assert refused(car, ONE, made.parts, "not in the order of reading")
        blocks[at], blocks[at + 1] = blocks[at + 1], blocks[at]


def test_every_altered_byte() -> None:
    car, parts = bytearray(world().car(ONE)), world().parts
    for at in range(len(car)):
        car[at] ^= 0x01
        with pytest.raises(ProofError):
            verify_joint(bytes(car), ONE, parts)
        car[at] ^= 0x01


def test_altered_page_under_its_own_name() -> None:
    made = world()
    blocks = blocks_of(made.car(ONE), made.parts)
    at, leaf = next((i, page) for i, (cid, raw) in enumerate(blocks) if type(page := decode(cid, raw)) is Leaf)
    raw = Leaf(leaf.keys[:-1]).encode()
    car = write_car(made.parts.union, [*blocks[:at], (cid_of(raw), raw), *blocks[at + 1 :]], made.parts.roots[1:])
    assert refused(car, ONE, made.parts, "lacks page")


def test_the_proof_of_another_query() -> None:
    assert refused(world().car(ALL), ONE, world().parts)
    assert refused(world().car(ONE), ALL, world().parts, "lacks page")


def test_a_root_whose_index_lacks_keys() -> None:
    made = world()
    root = decode(made.parts.union, made.store.pages[made.parts.union])
    assert isinstance(root, DatasetRoot)
    raw = DatasetRoot(root.trees, root.count + 1).encode()
    made.store.pages[cid_of(raw)] = raw
    parts = replace(made.parts, union=cid_of(raw))
    with pytest.raises(ProofError, match="the dataset says"):
        prove_joint(made.pages, parts, ONE)


def test_over_the_size_limit_is_refused_before_parsing() -> None:
    limits = dkg.Budget(pages=1, proof_bytes=100)
    with pytest.raises(ProofError, match=r"has \d+ bytes, over the limit of"):
        verify_joint(b"\xff" * 1_000, ONE, world().parts, limits=limits)


def test_more_pages_than_the_limits_allow() -> None:
    made = world()
    pages = prove_joint(made.pages, made.parts, ONE).pages
    assert verify_joint(made.car(ONE), ONE, made.parts, limits=dkg.Budget(pages=pages)).rows
    with pytest.raises(ProofError, match=f"more than the {pages - 1} pages"):
        verify_joint(made.car(ONE), ONE, made.parts, limits=dkg.Budget(pages=pages - 1))


def test_a_checkpoint_with_a_quad_in_nobodys_graph() -> None:
    made = World(OLD[C] | {(b"<http://e/s7>", NAME, b'"x"', b"<http://e/g>")}, {})
    with pytest.raises(ProofError, match="no publisher's graph"):
        prove_joint(made.pages, made.parts, ONE)
    single = dkg.prove(made.store, made.parts.union, ONE)
    with pytest.raises(ProofError, match="no publisher's graph"):
        verify_joint(single.car, ONE, made.parts)


# --- origins -------------------------------------------------------------------------------------------------


def test_with_origins_a_quad_that_nobody_signed_is_not_believed_of_a_wrong_checkpoint() -> None:
    forged = World(OLD[C] | said(C, [7], "forged"), {})
    assert names(forged.car(ONE), ONE, forged.parts) == ["forged 7"]  # what a checkpoint alone is worth
    proof = prove_joint(forged.pages, forged.parts, ONE, origins=True)
    with pytest.raises(OriginsError, match="only the checkpoint shows what is said by 0x0303") as caught:
        verify_joint(proof.car, ONE, forged.parts, origins=True)
    assert caught.value.publishers == {C}
    root = forged._kept(OLD[C])
    proof = prove_origins(forged.pages, forged.parts, ONE, {C: root}.get)
    assert proof.parts.beside == {C: root}
    assert names(proof.car, ONE, proof.parts, origins=True) == []


def test_with_origins_counts_in_the_checkpoints_pages_answer_nothing() -> None:
    made = World(set.union(OLD[C]), {})
    assert (
        made.car("SELECT (COUNT(*) AS ?n) { ?s <http://e/name> ?o }")
        != prove_joint(made.pages, made.parts, "SELECT (COUNT(*) AS ?n) { ?s <http://e/name> ?o }", origins=True).car
    )
    with pytest.raises(ProofError, match="only the checkpoint shows"):
        verify_joint(prove_joint(made.pages, made.parts, COUNT, origins=True).car, COUNT, made.parts, origins=True)


def test_with_origins_everybody_who_is_looked_at_is_asked() -> None:
    made = World(set.union(*OLD.values()), {A: NEW[A]})
    roots = {one: made._kept(OLD[one]) for one in (B, C)}
    proof = prove_origins(made.pages, made.parts, ALL, roots.get)
    assert proof.parts.beside.keys() == {A, B, C}
    assert len(names(proof.car, ALL, proof.parts, origins=True)) == 45 + 40 + 40


# --- parts ---------------------------------------------------------------------------------------------------


def test_the_most_publishers_beside_a_checkpoint() -> None:
    root = world().parts.union
    many = {number.to_bytes(20): root for number in range(BESIDE_MAX)}
    assert len(Parts(DOMAIN, root, {**many, A: None}).roots) == 1 + BESIDE_MAX
    with pytest.raises(TooManyError, match="wait for a newer checkpoint"):
        Parts(DOMAIN, root, {**many, A: root})


@pytest.mark.parametrize("beside", [{b"short": None}, {A: b"no root"}])
def test_what_is_no_publisher_or_no_root(beside: dict[bytes, bytes | None]) -> None:
    with pytest.raises(InputError):
        Parts(DOMAIN, world().parts.union, beside)


def test_keys_that_checkpoints_do_not_cover_do_not_count_beside_them_either() -> None:
    def quad(size: int) -> Quad:
        return (b"<http://e/s7>", NAME, b'"' + b"x" * size + b'"', prefix_of(DOMAIN, A) + b"x>")

    size = KEY_MAX - len(key_of(quad(0), "spog"))
    made = World(set(), {A: {quad(size), quad(size + 1)}})
    assert names(made.car(ONE), ONE, made.parts) == ["x" * size]


BYS = st.sampled_from([A, B, C])
QUADS = st.lists(st.tuples(BYS, st.integers(0, 12), st.sampled_from("xy"), st.sampled_from([b"x", b"y"])), max_size=24)
QUERIES = st.sampled_from(
    [
        ALL,
        ONE,
        COUNT,
        "SELECT ?g { GRAPH ?g { <http://e/s7> ?p ?o } }",
        "SELECT ?s { ?s ?p 'x 7' FILTER NOT EXISTS { ?s ?p 'y 7' } }",
        "SELECT ?a ?b { ?a <http://e/name> ?n OPTIONAL { ?b <http://e/name> ?n FILTER(?a != ?b) } }",
        "ASK { ?s ?p 'x 3' }",
        "CONSTRUCT { ?s <http://e/is> ?o } WHERE { ?s ?p ?o MINUS { <http://e/s1> ?p ?o } }",
        "DESCRIBE <http://e/s3>",
    ]
)


@given(old=QUADS, new=QUADS, changed=st.sets(BYS), query=QUERIES)
def test_the_answer_is_that_over_the_union_built_whichever_checkpoint_it_starts_from(
    old: list[tuple[bytes, int, str, bytes]],
    new: list[tuple[bytes, int, str, bytes]],
    changed: set[bytes],
    query: str,
) -> None:
    before: dict[bytes, set[Quad]] = {one: set() for one in (A, B, C)}
    now: dict[bytes, set[Quad]] = {one: set() for one in (A, B, C)}
    for quads, into in ((old, before), (new, now)):
        for publisher, subject, name, asset in quads:
            into[publisher] |= said(publisher, [subject], name, asset)
    now = {one: now[one] if one in changed else before[one] for one in (A, B, C)}
    made = World(set().union(*before.values()), {one: now[one] for one in changed})
    proof = prove_joint(made.pages, made.parts, query)
    answer = verify_joint(proof.car, query, made.parts)
    store, root = build(set().union(*now.values()))
    expected = dkg.query(store, root, query)
    assert sorted(map(str, answer.rows)) == sorted(map(str, expected.rows))
    assert sorted(map(str, answer.triples)) == sorted(map(str, expected.triples))
    assert answer.boolean == expected.boolean
