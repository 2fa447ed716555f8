"""A CAR file is a page store: its dataset answers, proves and differs as that of any other store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import dkg
from dkg.car import car_header, write_car
from dkg.client.carstore import CarStore
from dkg.client.cli import main
from dkg.errors import StoreError
from dkg.pages import FetchedPages, StoredPages
from tests.datasets import PREFIX, stored, university

if TYPE_CHECKING:
    from pathlib import Path

QUERY = (
    PREFIX + "SELECT ?n ?e { ?s :name ?n ; :takes :course3 ; :adviser ?a . ?x :adviser ?a ; :email ?e } ORDER BY ?n ?e"
)


@pytest.fixture
def exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    lines = b"".join(b"%b %b %b %b .\n" % quad for quad in university(300))
    (tmp_path / "data.nq").write_bytes(lines)
    assert main(["load", str(tmp_path / "data.nq"), "--store", str(tmp_path / "db"), "-q"]) == 0
    assert main(["export", "--store", str(tmp_path / "db"), str(tmp_path / "all.car"), "-q"]) == 0
    capsys.readouterr()
    return tmp_path / "all.car"


def test_the_dataset_of_an_exported_file_answers_and_proves(exported: Path) -> None:
    memory, root = stored(university(300))
    with CarStore(exported) as store:
        assert store.root == root
        assert len(store) == len(memory.pages)
        proof = dkg.prove(store, store.root, QUERY)
        assert proof.car == dkg.prove(memory, root, QUERY).car
        assert dkg.verify(proof.car, QUERY, root).rows == dkg.query(memory, root, QUERY).rows != []
        assert [batch for batch in dkg.diff(store, root, root) if batch != ([], [])] == []


def test_a_proof_is_a_store_of_what_it_shows(tmp_path: Path) -> None:
    memory, root = stored(university(300))
    proof = dkg.prove(memory, root, QUERY)
    (tmp_path / "proof.car").write_bytes(proof.car)
    with CarStore(tmp_path / "proof.car") as store:
        assert dkg.query(store, root, QUERY).rows == proof.answer.rows
        with pytest.raises(StoreError, match="the store has no page"):
            dkg.query(store, root, PREFIX + "SELECT * { ?s ?p ?o }")


def test_an_altered_page_is_no_page(tmp_path: Path) -> None:
    memory, root = stored(university(300))
    raw = bytearray(dkg.prove(memory, root, QUERY).car)
    raw[-1] ^= 1
    (tmp_path / "bad.car").write_bytes(raw)
    with CarStore(tmp_path / "bad.car") as store, pytest.raises(dkg.PageError, match="hash to"):
        dkg.query(store, root, QUERY)


def test_a_car_file_is_only_read(exported: Path) -> None:
    with CarStore(exported) as store, pytest.raises(StoreError, match="only read"):
        dkg.update(store, store.root, university(301), [])


@pytest.mark.parametrize("cut", [0, 10, 58, 62, 70, 98, 200])
def test_a_file_that_ends_early_is_refused(cut: int, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.car").write_bytes(exported.read_bytes()[:cut])
    with pytest.raises(StoreError, match="is not a CAR file of pages"):
        CarStore(tmp_path / "cut.car")


@pytest.mark.parametrize(
    "blocks",
    [b"\0", b"\x24" + bytes(36), b"\xff" * 9, b"\x30" + b"\x01\x55\x12\x20" + bytes(44), b"\xb0\0" + bytes(48)],
)
def test_blocks_that_are_no_pages_are_refused(blocks: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.car").write_bytes(car_header(b"\x01\x71\x12\x20" + bytes(32)) + blocks)
    with pytest.raises(StoreError, match="is not a CAR file of pages"):
        CarStore(tmp_path / "bad.car")


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.car", tmp_path):
        with pytest.raises(StoreError, match="cannot read"):
            CarStore(path)


# --- fetching on demand: the same, with pages from whoever has them ---------------------------------------------


def test_pages_fetched_on_demand_give_the_answer_and_no_page_twice() -> None:
    memory, root = stored(university(300))
    asked: list[bytes] = []

    def fetch(cid: bytes) -> bytes | None:
        asked.append(cid)
        return memory.get(cid)

    answer = dkg.query(FetchedPages(fetch, pages_max=500), root, QUERY)
    assert answer.rows == dkg.query(memory, root, QUERY).rows
    assert asked == list(dict.fromkeys(asked))
    assert write_car(root, [(cid, memory.pages[cid]) for cid in asked]) == dkg.prove(memory, root, QUERY).car


def test_a_page_that_nobody_has_is_unknown_and_a_forged_one_refused() -> None:
    memory, root = stored(university(300))
    wanted = [cid for cid in memory.pages if cid != root]
    with pytest.raises(dkg.MissingPageError, match="nobody had page"):
        dkg.query(FetchedPages(lambda cid: memory.get(cid) if cid == root else None, 500), root, QUERY)
    with pytest.raises(dkg.PageError, match="hash to"):
        dkg.query(FetchedPages(lambda cid: memory.get(wanted[0] if cid != root else root), 500), root, QUERY)


def test_more_pages_than_may_be_fetched_are_a_refusal() -> None:
    memory, root = stored(university(300))
    needed = dkg.prove(memory, root, QUERY).pages
    assert len(dkg.query(FetchedPages(memory.get, needed), root, QUERY)) > 0
    with pytest.raises(dkg.BudgetError, match=f"more than the {needed - 1} pages"):
        dkg.query(FetchedPages(memory.get, needed - 1), root, QUERY)


def test_a_verified_page_can_be_kept_in_a_store_of_ones_own() -> None:
    memory, root = stored(university(300))
    pages = FetchedPages(memory.get, 500)
    expected = dkg.query(pages, root, QUERY).rows
    mine = dkg.MemoryPageStore()
    mine.put_many((cid, page.encode()) for cid, page in pages.read.items())
    assert dkg.query(StoredPages(mine), root, QUERY).rows == expected
