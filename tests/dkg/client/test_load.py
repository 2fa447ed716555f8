from __future__ import annotations

import gc
import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dkg.client.fsck import check_store
from dkg.client.load import FORMATS, format_of, load_files
from dkg.client.store import SqliteStore
from dkg.dataset import build_dataset, quads
from dkg.errors import DkgError, InputError, LimitError, RdfError, StoreError
from dkg.limits import LITERAL_BYTES_MAX
from dkg.pages import MemoryPageStore, StoredPages
from tests.dkg.client.test_store import some_quads

if TYPE_CHECKING:
    from dkg.dataset import Progress
    from dkg.terms import Quad

_TURTLE = '@prefix : <http://example.org/> . :a :p "1" , 2 , "drei"@de . :b :p :a .\n'


def _nquads(path: Path, given: list[Quad]) -> Path:
    data = b"".join(b"%b %b %b %b .\n" % quad for quad in given)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def _all(store: SqliteStore) -> list[Quad]:
    head = store.head()
    assert head is not None
    return [quad for batch in quads(StoredPages(store), head) for quad in batch]


def test_files_of_any_kind_are_one_dataset_in_any_order(tmp_path: Path) -> None:
    some = some_quads(3_000)
    files = [
        _nquads(tmp_path / "first.nq", some[:1_000]),
        _nquads(tmp_path / "second.NQ.gz", some[900:3_000]),
        tmp_path / "third.ttl",
    ]
    files[2].write_text(_TURTLE)
    roots = set()
    for name, order in (("a", files), ("b", files[::-1])):
        with SqliteStore(tmp_path / name) as store:
            report = load_files(order, store)
            assert (report.added, report.total) == (3_004, 3_004)
            assert check_store(store).problems == []
            roots.add(report.root)
    with SqliteStore(tmp_path / "c") as store:
        for file in files:
            report = load_files([file], store)
        assert report.total == 3_004
        assert len(store.heads()) == 3
        assert check_store(store, all_heads=True).problems == []
        roots.add(report.root)
        assert (b"<http://example.org/a>", b"<http://example.org/p>", b'"drei"@de', b"<urn:dkg:default>") in _all(store)
    assert len(roots) == 1


def test_the_graph_of_triples_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.ttl").write_text(_TURTLE)
    with SqliteStore(tmp_path / "store") as store:
        load_files([tmp_path / "a.ttl"], store, "https://example.org/g")
        assert {quad[3] for quad in _all(store)} == {b"<https://example.org/g>"}


def test_loading_again_changes_nothing(tmp_path: Path) -> None:
    file = _nquads(tmp_path / "some.nq", some_quads(500))
    with SqliteStore(tmp_path / "store") as store:
        first = load_files([file], store)
        again = load_files([file], store)
        assert (again.root, again.added, again.total) == (first.root, 0, 500)
        assert store.heads() == [first.root]


@pytest.mark.parametrize("name", ["empty.nt", "empty.nq", "empty.ttl", "empty.trig"])
def test_an_empty_file_is_no_quads_and_the_empty_dataset_has_a_root(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with SqliteStore(tmp_path / "store") as store:
        report = load_files([tmp_path / name], store)
        assert report.root == build_dataset([], MemoryPageStore()) == store.head()
        assert (report.added, report.total) == (0, 0)
        filled = load_files([_nquads(tmp_path / "some.nq", some_quads(50))], store)
        assert (filled.added, filled.total) == (50, 50)
        assert load_files([tmp_path / name], store).root == filled.root
        assert check_store(store, all_heads=True).problems == []


def _refused(tmp_path: Path, store: SqliteStore, bad: Path, error: type[DkgError], message: str) -> None:
    """Loading good files and then a bad one is refused with a message that names it, and changes nothing."""
    good = [_nquads(tmp_path / f"good{i}.nq", some_quads(400)[i * 100 : i * 100 + 200]) for i in range(2)]
    head, pages = store.head(), store.page_count()
    with pytest.raises(error, match=message) as raised:
        load_files([*good, bad], store)
    assert str(bad) in str(raised.value)
    assert (store.head(), store.page_count()) == (head, pages)
    assert check_store(store).problems == []


@pytest.mark.parametrize("filled", [False, True])
def test_a_bad_file_is_named_and_changes_nothing(tmp_path: Path, filled: bool) -> None:  # noqa: FBT001
    cases: list[tuple[str, bytes | None, type[DkgError], str]] = [
        ("broken.nt", b"<urn:a> <urn:p> <urn:b> .\n<urn:a> <urn:p>\n", RdfError, "line 2"),
        ("broken.ttl", b"<urn:a> <urn:p> <urn:b> .\n<urn:a> <urn:p>\n", RdfError, "line"),
        ("long.nt", b'<urn:a> <urn:p> "' + b"x" * LITERAL_BYTES_MAX + b'" .\n', LimitError, "longer than|over"),
        ("missing.nt", None, InputError, "No such file"),
        ("unknown.doc", b"", InputError, "does not tell its format"),
        ("plain.nt.gz", b"<urn:a> <urn:p> <urn:b> .\n", RdfError, "does not decompress"),
        ("short.nt.gz", gzip.compress(b"<urn:a> <urn:p> <urn:b> .\n" * 1_000)[:-20], RdfError, "does not decompress"),
    ]
    with SqliteStore(tmp_path / "store") as store:
        if filled:
            load_files([_nquads(tmp_path / "start.nq", some_quads(1_000))], store)
        for name, data, error, message in cases:
            if data is not None:
                (tmp_path / name).write_bytes(data)
            _refused(tmp_path, store, tmp_path / name, error, message)
        _refused(tmp_path, store, tmp_path, InputError, "does not tell its format|is a directory")
        (tmp_path / "directory.nt").mkdir()
        _refused(tmp_path, store, tmp_path / "directory.nt", InputError, "is a directory")


def test_an_error_while_nothing_is_loaded_leaves_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / "broken.nt").write_text("nonsense\n")
    with SqliteStore(tmp_path / "store") as store:
        with pytest.raises(RdfError):
            load_files([tmp_path / "broken.nt"], store)
        assert store.head() is None
        assert store.page_count() == 0


def test_a_load_beside_a_writer_is_refused(tmp_path: Path) -> None:
    file = _nquads(tmp_path / "some.nq", some_quads(10))
    with SqliteStore(tmp_path / "store") as first, SqliteStore(tmp_path / "store") as second:
        with first.writing(), pytest.raises(StoreError, match="another process is writing"):
            load_files([file], second)
        assert load_files([file], second).added == 10


def test_progress_is_told_and_the_collector_runs_again(tmp_path: Path) -> None:
    told: list[Progress] = []
    file = _nquads(tmp_path / "some.nq", some_quads(9_000))
    with SqliteStore(tmp_path / "store") as store:
        load_files([file], store, progress=told.append)
    assert {step.phase for step in told} == {"read", "build"}
    assert told[-1].done == told[-1].total == 4 * 9_000
    assert gc.isenabled()


def test_formats_are_told_by_names() -> None:
    assert format_of(Path("a/b.TTL")) == "ttl"
    assert format_of(Path("b.nt.gz")) == "nt"
    assert format_of(Path("b.c.jsonld.GZ")) == "jsonld"
    assert set(FORMATS.values()) == {"nt", "nq", "ttl", "trig", "n3", "xml", "jsonld"}
    for name in ("b", "b.gz", ".gz", "b.txt"):
        with pytest.raises(InputError):
            format_of(Path(name))
