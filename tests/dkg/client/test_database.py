from __future__ import annotations

import os
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from dkg.client import database as database_module
from dkg.client.database import PAGES, Database, FullError, Kind, make_directory
from dkg.client.fsck import check_store, unreadable
from dkg.client.store import SqliteStore
from dkg.dataset import build_dataset
from dkg.errors import StoreError
from dkg.page import cid_of
from dkg.pages import MemoryPageStore
from tests.dkg.client.test_store import some_quads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHER = Kind(
    file="other.db",
    what="book",
    missing="write one",
    application=77,
    version=3,
    page_bytes=4096,
    schema="CREATE TABLE words (word TEXT)",
)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path, read_only=False, kind=OTHER)
    yield made
    made.close()


def _fail(database: Database, name: str) -> StoreError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = name
    return database.failure("write to", error)


def test_databases_of_several_kinds_do_not_take_each_other_for_their_own(book: Database, tmp_path: Path) -> None:
    assert (book.pragma("application_id"), book.pragma("user_version"), book.pragma("page_size")) == (77, 3, 4096)
    with pytest.raises(StoreError, match="there is no store in"):
        Database(tmp_path, read_only=True)
    book.fold()
    (tmp_path / "copy").mkdir()
    shutil.copy(book.file, tmp_path / "copy" / PAGES.file)
    with pytest.raises(StoreError, match="is not a store of dkg"):
        Database(tmp_path / "copy", read_only=False)
    with pytest.raises(StoreError, match=r"there is no book in .*; write one"):
        Database(tmp_path / "copy", read_only=True, kind=OTHER)


@pytest.mark.parametrize("name", ["SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC"])
def test_after_a_refused_write_nothing_more_is_written(tmp_path: Path, name: str) -> None:
    with SqliteStore(tmp_path) as store:
        root = build_dataset([some_quads(50)], store)
        assert "Nothing was changed" in str(_fail(store.database, name))
        with pytest.raises(StoreError, match=f"takes no more writes, because one failed .*{name}.*open it anew"):
            build_dataset([some_quads(60)], store)
        with pytest.raises(StoreError, match="takes no more writes"):
            store.database.shrink(1)
        assert store.get(root) is not None
    with SqliteStore(tmp_path) as store:
        build_dataset([some_quads(60)], store)
        assert check_store(store, roots=[root]).problems == []


@pytest.mark.parametrize("name", ["SQLITE_FULL", "SQLITE_BUSY", "SQLITE_IOERR_READ", "SQLITE_CORRUPT"])
def test_other_failures_do_not_end_writing(book: Database, name: str) -> None:
    error = _fail(book, name)
    assert isinstance(error, FullError) is (name == "SQLITE_FULL")
    book.require_writable()
    assert book.broken == ""


def test_space_that_is_free_is_counted_and_given_back_in_pieces(book: Database) -> None:
    book.connection.executemany("INSERT INTO words VALUES (?)", [("word" * 500,)] * 400)
    used = book.bytes_used()
    assert book.bytes_free() == 0
    assert used == book.bytes_in_all() > 800_000
    assert book.log_bytes() > 0
    book.fold()
    assert (book.log_bytes(), book.file.stat().st_size) == (0, used)
    book.connection.execute("DELETE FROM words")
    assert book.bytes_in_all() == used
    assert book.bytes_used() + book.bytes_free() == used
    free = book.bytes_free() // 4096
    assert book.shrink(10)
    assert book.bytes_free() // 4096 == free - 10
    steps = 1
    while book.shrink(50):
        steps += 1
    assert steps == -(-(free - 10) // 50)
    assert not book.shrink(50)
    book.fold()
    assert book.file.stat().st_size == book.bytes_used() < used // 10


def test_shrinking_that_fails_leaves_no_transaction(book: Database) -> None:
    book.connection.executemany("INSERT INTO words VALUES (?)", [("word" * 500,)] * 40)
    book.connection.execute("DELETE FROM words")
    book.connection.execute("PRAGMA query_only=ON")
    with pytest.raises(StoreError, match="cannot write to the book"):
        book.shrink(5)
    assert not book.connection.in_transaction


def test_new_directories_are_synced_with_those_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(database_module, "sync_directory", synced.append)
    make_directory(tmp_path / "a" / "b" / "c", "store")
    assert set(synced) == {tmp_path / "a" / "b", tmp_path / "a", tmp_path}
    synced.clear()
    make_directory(tmp_path / "a" / "b" / "c", "store")
    assert synced == []
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot create the store directory"):
        make_directory(tmp_path / "file" / "d", "store")


def test_room_is_asked_for_before_and_while_writing(tmp_path: Path) -> None:
    asked: list[int] = []

    def admit(size: int) -> None:
        asked.append(size)
        if sum(asked) > 600_000:
            raise FullError("enough")

    with SqliteStore(tmp_path) as store:
        store.admit = admit
        chance = os.urandom
        pages = [(cid_of(raw), raw) for raw in (chance(20_000) for _ in range(20))]
        store.put_many(pages)
        assert asked[0] == 0
        assert 250_000 < sum(asked) <= 410_000
        with pytest.raises(FullError, match="enough"):
            store.put_many([(cid_of(raw), raw) for raw in (chance(20_000) for _ in range(40))])
        assert store.page_count() == 20
        with store.writing(freeing=True):
            store.put_many([(cid_of(raw), raw) for raw in (chance(20_000) for _ in range(40))])
        assert store.page_count() == 60


def test_pages_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    whole = MemoryPageStore()
    with SqliteStore(tmp_path) as store:
        root = build_dataset([some_quads(2_000)], store)
        assert build_dataset([some_quads(2_000)], whole) == root
        assert list(unreadable(store, [root])) == []
        store._db.execute("UPDATE packs SET data=x'00' WHERE id=5")
        store._db.execute("DELETE FROM packs WHERE id=7")
        store._packs.clear()
        bad = set(unreadable(store, [root]))
        assert bad
        assert bad <= whole.pages.keys()
        while bad := set(unreadable(store, [root])):
            assert store.replace_many((cid, whole.pages[cid]) for cid in bad) == len(bad)
        assert {cid: store.get(cid) for cid in whole.pages} == whole.pages
        assert list(unreadable(store, [cid_of(b"x")])) == [cid_of(b"x")]


def test_text_that_is_damaged_is_the_database_s_fault(tmp_path: Path) -> None:
    with SqliteStore(tmp_path):
        pass
    file = tmp_path / "pages.db"
    data = file.read_bytes()
    file.write_bytes(data.replace(b"CREATE TABLE packs", b"CREATE TABLE p\xffcks"))
    with pytest.raises(StoreError, match=r"damaged|not a page store|other tables"):
        SqliteStore(tmp_path)
