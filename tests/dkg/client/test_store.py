from __future__ import annotations

import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.check import check_dataset
from dkg.client.database import FILE_NAME
from dkg.client.fsck import check_store
from dkg.client.packs import PAGES_MAX, Pack, Packer, train
from dkg.client.parallel import TreeBuilder, processes_allowed
from dkg.client.spill import FileSpill
from dkg.client.store import SqliteStore
from dkg.dataset import build_dataset, quads, update_dataset
from dkg.errors import StoreError
from dkg.page import Leaf, cid_of
from dkg.pages import MemoryPageStore, StoredPages
from dkg.terms import Quad, key_of

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor
else:
    from backports.zstd import ZstdCompressor


def some_quads(count: int, seed: int = 1) -> list[Quad]:
    chance = random.Random(seed)
    made = {
        (
            b"<http://example.org/person/%d>" % (number // 4),
            b"<http://example.org/p%d>" % (number % 4),
            b'"value %d"' % chance.randrange(count),
            b"<http://example.org/graph>",
        )
        for number in range(count)
    }
    return sorted(made)


def _page(number: int) -> bytes:
    return Leaf([b"<urn:%d>\0<urn:p>\0<urn:o%d>\0<urn:g>\0" % (number, i) for i in range(number % 5 + 1)]).encode()


def _pages(count: int, start: int = 0) -> list[tuple[bytes, bytes]]:
    return [(cid_of(raw), raw) for raw in map(_page, range(start, start + count))]


def _load(store: SqliteStore, given_quads: list[Quad]) -> bytes:
    with store.writing():
        root = build_dataset([given_quads], store)
        store.set_head(root)
    return root


def _sql(directory: Path, *statements: str) -> None:
    connection = sqlite3.connect(directory / FILE_NAME, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


# What is put is there


def test_pages_and_heads_survive_reopening(tmp_path: Path) -> None:
    some = some_quads(3_000)
    with SqliteStore(tmp_path) as store:
        assert store.head() is None
        first = _load(store, some[:2_000])
        with store.writing():
            second = update_dataset(StoredPages(store), first, some[2_000:], (), store)
            store.set_head(second)
    with SqliteStore(tmp_path, read_only=True) as store:
        assert store.heads() == [second, first]
        assert store.head() == second
        expected = MemoryPageStore()
        assert build_dataset([some], expected) == second
        for cid, raw in expected.pages.items():
            assert store.get(cid) == raw
        assert [quad for batch in quads(StoredPages(store), first) for quad in batch] == some[:2_000]
        assert check_store(store, all_heads=True).problems == []


def test_pages_are_readable_before_they_are_committed(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store, store.writing():
        store.put_many(_pages(100))
        assert [store.get(cid) for cid, _ in _pages(100)] == [raw for _, raw in _pages(100)]


def test_without_a_transaction_each_call_is_one(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.put_many(_pages(20))
    with SqliteStore(tmp_path, read_only=True) as other:
        assert other.get(_pages(20)[7][0]) == _pages(20)[7][1]
    store.close()


def test_pages_that_are_there_are_not_kept_twice(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        for _ in range(3):
            store.put_many(_pages(50))
        with store.writing():
            store.put_many(_pages(60))
            store.put_many(_pages(60))
        assert store.page_count() == 60
        packs = store._db.execute("SELECT count(*) FROM packs").fetchone()[0]
        assert packs == -(-50 // PAGES_MAX) + -(-10 // PAGES_MAX)
        assert check_store(store).problems == []


def test_an_unknown_page_is_none(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        store.put_many(_pages(5))
        assert store.get(cid_of(b"unknown")) is None


def test_an_error_inside_a_transaction_leaves_nothing(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        root = _load(store, some_quads(500))
        before = store.page_count()
        with pytest.raises(KeyError), store.writing():  # noqa: PT012 - the error is inside the transaction
            store.put_many(_pages(3_000))
            raise KeyError
        assert (store.page_count(), store.head()) == (before, root)
        assert store.get(_pages(1)[0][0]) is None
        store.put_many(_pages(3_000))
        assert store.get(_pages(1)[0][0]) == _pages(1)[0][1]
        assert check_store(store).problems == []


def test_a_head_without_its_page_is_refused(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        with pytest.raises(StoreError, match="has no dataset"):
            store.set_head(cid_of(b"unknown"))
        assert store.head() is None


# Adversarial pages


def test_clashing_pages_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if the index had 1 bit of the hash, not 56: every other page clashes.
    monkeypatch.setattr("dkg.client.store.index_key", lambda cid: cid[10] & 1)
    pages = _pages(40)
    with SqliteStore(tmp_path) as store:
        for start in (0, 10):
            store.put_many(pages[start : start + 10])
            store.put_many(pages[start : start + 10])
        with store.writing():
            store.put_many(pages[15:30])
            assert [store.get(cid) for cid, _ in pages[:30]] == [raw for _, raw in pages[:30]]
        assert [store.get(cid) for cid, _ in pages[:30]] == [raw for _, raw in pages[:30]]
        assert [store.get(cid) for cid, _ in pages[30:]] == [None] * 10
        assert store.page_count() == 30
        assert check_store(store).problems == []


# Packs


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=PAGES_MAX))
def test_any_pages_come_back_from_their_pack(pages: list[bytes]) -> None:
    pack = Pack(Packer(b"").pack(pages), None)
    assert [pack.page(slot) for slot in range(pack.count)] == pages


def test_a_pack_bomb_is_refused_before_it_unfolds() -> None:
    bomb = ZstdCompressor(level=3).compress(bytes(400 * 1024 * 1024), ZstdCompressor.FLUSH_FRAME)
    with pytest.raises(StoreError, match="too long"):
        Pack(bomb, None)


def test_damaged_packs_are_errors() -> None:
    good = Packer(b"").pack([raw for _, raw in _pages(5)])
    chance = random.Random(3)
    for _ in range(3_000):
        bad = bytearray(good)
        bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        try:
            pack = Pack(bytes(bad), None)
            for slot in range(PAGES_MAX):
                pack.page(slot)
        except StoreError:
            continue
    for length in range(len(good)):
        with pytest.raises(StoreError):
            Pack(good[:length], None)
    with pytest.raises(StoreError, match="not one frame"):
        Pack(good + good, None)
    with pytest.raises(StoreError, match="past a pack"):
        Pack(good, None).page(5)


def test_a_dictionary_is_trained_only_from_enough_pages() -> None:
    assert train([raw for _, raw in _pages(10)]) == b""
    store = MemoryPageStore()
    build_dataset([some_quads(20_000)], store)
    assert len(train(store.pages.values())) > 1_000


# Damage on disk


def test_a_flipped_bit_is_never_served_and_is_found(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    some = some_quads(2_000)
    with SqliteStore(origin) as store:
        root = _load(store, some)
        cids = list(MemoryPageStore().pages)
    expected = MemoryPageStore()
    build_dataset([some], expected)
    cids = list(expected.pages)
    size = (origin / FILE_NAME).stat().st_size
    chance = random.Random(5)
    for case in range(40):
        copy = tmp_path / f"copy{case}"
        shutil.copytree(origin, copy)
        with (copy / FILE_NAME).open("r+b") as file:
            at = chance.randrange(size)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ (1 << chance.randrange(8))]))
        wrong = False
        try:
            with SqliteStore(copy, read_only=True) as store:
                for cid in cids:
                    try:
                        page = store.get(cid)
                    except StoreError:
                        wrong = True
                        continue
                    wrong = wrong or page is None
                    assert page in {None, expected.pages[cid]}
                if wrong or store.head() != root:
                    assert check_store(store).problems != []
        except StoreError:
            pass
        shutil.rmtree(copy)


def test_lost_packs_and_pages_are_found(tmp_path: Path) -> None:
    for name, statement, expected in (
        ("pack", "DELETE FROM packs WHERE id=3", "pages that are not where it says"),
        ("page", "DELETE FROM pages WHERE id=(SELECT min(id) FROM pages)", "not found by its CID"),
        ("dictionary", "DELETE FROM dictionaries", "a row is damaged or missing"),
        ("moved", "UPDATE pages SET at=at+1 WHERE id=(SELECT min(id) FROM pages)", "is damaged"),
    ):
        directory = tmp_path / name
        with SqliteStore(directory) as store:
            _load(store, some_quads(9_000))
        _sql(directory, statement)
        with SqliteStore(directory, read_only=True) as store:
            checked = check_store(store)
        assert any(expected in problem for problem in checked.problems), (name, checked.problems)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE heads SET root=x''", "a root is damaged"),
        ("UPDATE heads SET root=zeroblob(36)", "a root is damaged"),
        ("DROP TABLE pages", "other tables than dkg makes"),
        ("CREATE TRIGGER t AFTER INSERT ON heads BEGIN DELETE FROM packs; END", "other tables than dkg makes"),
        ("ALTER TABLE heads ADD COLUMN more AS (zeroblob(1000000000))", "other tables than dkg makes"),
        ("CREATE VIEW v AS SELECT root FROM heads", "other tables than dkg makes"),
    ],
)
def test_a_store_that_was_tampered_with_is_refused(statement: str, says: str, tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        _load(store, some_quads(10))
    _sql(tmp_path, statement)
    for read_only in (True, False):
        with pytest.raises(StoreError, match=says), SqliteStore(tmp_path, read_only=read_only) as store:
            store.head()


# What is no store, or not one for us


def test_reading_where_there_is_no_store_is_refused_and_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store in"):
        SqliteStore(tmp_path / "none", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_directory_belongs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    for read_only in (True, False):
        with pytest.raises(StoreError, match="is a file"):
            SqliteStore(tmp_path / "file", read_only=read_only)
    with pytest.raises(StoreError, match="cannot create the store directory"):
        SqliteStore(tmp_path / "file" / "below")


def test_what_is_not_a_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database" * 1_000)
    for read_only in (True, False):
        with pytest.raises(StoreError, match="is not a database"):
            SqliteStore(tmp_path, read_only=read_only)
    assert (tmp_path / FILE_NAME).read_bytes() == b"not a database" * 1_000


def test_a_database_of_someone_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    _sql(tmp_path, "CREATE TABLE theirs (a)")
    before = (tmp_path / FILE_NAME).read_bytes()
    for read_only in (True, False):
        with pytest.raises(StoreError, match="is not a store of dkg"):
            SqliteStore(tmp_path, read_only=read_only)
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_a_store_of_a_newer_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        _load(store, some_quads(10))
    _sql(tmp_path, "PRAGMA user_version=2")
    for read_only in (True, False):
        with pytest.raises(StoreError, match="format version 2"):
            SqliteStore(tmp_path, read_only=read_only)
    _sql(tmp_path, "PRAGMA user_version=1")
    with SqliteStore(tmp_path) as store:
        assert check_store(store).problems == []


def test_an_empty_file_becomes_a_store_only_when_writing(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"")
    with pytest.raises(StoreError, match="is not a store of dkg"):
        SqliteStore(tmp_path, read_only=True)
    with SqliteStore(tmp_path) as store:
        assert store.head() is None


def test_a_truncated_store_is_an_error(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        _load(store, some_quads(5_000))
    size = (tmp_path / FILE_NAME).stat().st_size
    os.truncate(tmp_path / FILE_NAME, size // 2)
    try:
        with SqliteStore(tmp_path, read_only=True) as store:
            assert check_store(store).problems != []
    except StoreError:
        pass


def test_a_read_only_store_is_not_written_to(tmp_path: Path) -> None:
    SqliteStore(tmp_path).close()
    with SqliteStore(tmp_path, read_only=True) as store, pytest.raises(StoreError, match="read only"):
        store.put_many(_pages(1))


# Several processes


def test_a_second_writer_is_refused_and_readers_go_on(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        root = _load(store, some_quads(200))
        with store.writing():
            store.put_many(_pages(3_000))
            with SqliteStore(tmp_path) as second:
                with pytest.raises(StoreError, match="another process is writing"):
                    second.put_many(_pages(1))
                assert second.head() == root
            with SqliteStore(tmp_path, read_only=True) as reader:
                assert check_dataset(StoredPages(reader), root).problems == []
                assert reader.get(_pages(1)[0][0]) is None
        with SqliteStore(tmp_path) as second:
            second.put_many(_pages(10, start=4_000))
        store.put_many(_pages(20, start=4_000))
        assert check_store(store).problems == []


def test_a_transaction_inside_a_transaction_is_misuse(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store, store.writing(), pytest.raises(RuntimeError), store.writing():
        pass


_FORKING = """
import sys
from pathlib import Path
from dkg.client.parallel import TreeBuilder
from dkg.client.store import SqliteStore
from dkg.dataset import build_dataset
from dkg.pages import StoredPages
from tests.dkg.client.test_store import some_quads

mode, directory = sys.argv[1:]
store = SqliteStore(Path(directory))
some = some_quads(30_000)
with store.writing():
    first = build_dataset([some[:20_000]], store, run=TreeBuilder(store, 3))
    store.set_head(first)
assert store.head() == first
with store.writing():
    onto = StoredPages(store), first
    second = build_dataset([some[15_000:]], store, onto=onto, run=TreeBuilder(store, 2))
    store.set_head(second)
print(first.hex(), second.hex())
"""


def test_trees_built_side_by_side_are_the_same(tmp_path: Path) -> None:
    # In a process of its own: pytest has threads, and then nothing is forked.
    done = subprocess.run(
        [sys.executable, "-c", _FORKING, "ok", str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    some = some_quads(30_000)
    roots = [build_dataset([part], MemoryPageStore()).hex() for part in (some[:20_000], some)]
    assert done.stdout.split() == roots
    with SqliteStore(tmp_path) as store:
        assert check_store(store, all_heads=True).problems == []


def test_nothing_is_forked_beside_a_thread(tmp_path: Path) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert processes_allowed() == 1
        with SqliteStore(tmp_path) as store, store.writing():
            some = some_quads(10_000)
            assert build_dataset([some], store, run=TreeBuilder(store)) == build_dataset([some], MemoryPageStore())
    finally:
        stop.set()
        thread.join()


def test_runs_on_disk_can_be_read_again_and_leave_no_file(tmp_path: Path) -> None:
    keys = sorted(key_of(quad, "spog") for quad in some_quads(5_000))
    batches = [keys[a:b] for a, b in pairwise([*range(0, 5_000, 700), 5_000])]
    with FileSpill(tmp_path) as spill, FileSpill(None) as elsewhere:
        run = spill.write(iter(batches))
        assert list(run) == batches
        assert list(run) == batches
        assert list(tmp_path.iterdir()) == []
        assert list(elsewhere.write(iter(batches))) == batches


def test_sorting_where_nothing_can_be_written_is_a_store_error(tmp_path: Path) -> None:
    with FileSpill(tmp_path / "missing") as spill, pytest.raises(StoreError, match="cannot sort"):
        spill.write([[b"key"]])


def test_the_sizes_in_a_pack_are_what_the_format_says() -> None:
    pack = Packer(b"").pack([b"\xa0", _page(1)])
    assert Pack(pack, None).count == 2
    assert struct.calcsize("<B2I") == 9
