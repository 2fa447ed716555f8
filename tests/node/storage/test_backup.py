from __future__ import annotations

import os
import random
import shutil
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from dkg.client import collect
from dkg.client.collect import Phase
from dkg.errors import StoreError
from node.storage import NodeStore, Retention, Rule, backup, check_node, restore
from node.storage.lock import COPY_FILE, FileLock
from tests.node.storage.data import changed, publisher, put, quads_of

if TYPE_CHECKING:
    from pathlib import Path

ONE = Retention(Rule(count=1))
A = quads_of(publisher(1), 1_500)


def _filled(directory: Path, versions: int = 3) -> list[bytes]:
    with NodeStore(directory, reserve_bytes=0) as store:
        now, roots = A, [put(store.pages, A)]
        for version in range(versions):
            store.keep("union", roots[-1], position=version, at=version, inputs={"publisher:0x01": roots[-1]})
            new = changed(now, 40, version)
            roots.append(put(store.pages, new, (roots[-1], now)))
            now = new
        store.views.ensure(roots[0])
    return roots[:-1]


def _require_same(first: Path, second: Path) -> None:
    with NodeStore(first, read_only=True) as one, NodeStore(second, read_only=True) as other:
        assert one.kept() == other.kept()
        assert check_node(other, derive="all").problems == []


def test_a_backup_put_back_is_the_same_node(tmp_path: Path) -> None:
    roots = _filled(tmp_path / "node")
    told: list[tuple[str, int, int]] = []
    made = backup(tmp_path / "node", tmp_path / "copies" / "one", progress=lambda *what: told.append(what))
    assert sorted(path.name for path in (tmp_path / "copies" / "one").iterdir()) == ["pages.db", "state.db"]
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["one"]
    assert made.roots == len(roots)
    assert made.bytes == sum(path.stat().st_size for path in (tmp_path / "copies" / "one").iterdir())
    assert {what for what, _, _ in told} == {"copying state.db", "copying pages.db", "pages", "roots"}
    back = restore(tmp_path / "copies" / "one", tmp_path / "again")
    assert (back.roots, back.pages) == (made.roots, made.pages)
    _require_same(tmp_path / "node", tmp_path / "again")
    with NodeStore(tmp_path / "again", reserve_bytes=0) as store:  # and it goes on
        assert store.pages.database.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        store.keep("union", put(store.pages, A[:100]), position=9, at=9)
        store.collect(ONE, now=10)
        assert check_node(store, derive="all").problems == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    _filled(tmp_path / "node")
    backup(tmp_path / "node", tmp_path / "copy")
    (tmp_path / "empty").mkdir()
    backup(tmp_path / "node", tmp_path / "empty")
    (tmp_path / "file").write_text("mine")
    for place in ("copy", "file", "node"):
        with pytest.raises(StoreError, match="is there already, and nothing is ever written over"):
            backup(tmp_path / "node", tmp_path / place)
        with pytest.raises(StoreError, match="is there already"):
            restore(tmp_path / "copy", tmp_path / place)
    assert (tmp_path / "file").read_text() == "mine"
    _require_same(tmp_path / "node", tmp_path / "empty")


def test_what_is_no_backup_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    _filled(tmp_path / "node")
    backup(tmp_path / "node", tmp_path / "copy")
    (tmp_path / "copy" / "pages.db").unlink()
    with pytest.raises(StoreError, match="there is no store in"):
        restore(tmp_path / "copy", tmp_path / "again")
    with pytest.raises(StoreError, match="there is no node's state in"):
        restore(tmp_path / "nowhere", tmp_path / "again")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "node"]


def test_a_damaged_backup_is_not_put_back(tmp_path: Path) -> None:
    _filled(tmp_path / "node")
    backup(tmp_path / "node", tmp_path / "copy")
    chance = random.Random(3)
    refused = 0
    for case in range(40):
        shutil.copytree(tmp_path / "copy", tmp_path / "bad")
        file = tmp_path / "bad" / ("pages.db" if case % 4 else "state.db")
        data = bytearray(file.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        file.write_bytes(data)
        try:
            restore(tmp_path / "bad", tmp_path / "again")
        except StoreError:
            refused += 1
            assert not (tmp_path / "again").exists()
        else:  # the bit is of what holds nothing
            _require_same(tmp_path / "node", tmp_path / "again")
            shutil.rmtree(tmp_path / "again")
        shutil.rmtree(tmp_path / "bad")
    assert refused > 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "node"]


def test_roots_that_lack_a_page_make_no_backup(tmp_path: Path) -> None:
    _filled(tmp_path / "node")
    with NodeStore(tmp_path / "node", reserve_bytes=0) as store:
        store.pages._db.execute("DELETE FROM packs WHERE id=3")
    with pytest.raises(StoreError, match="the copy is not whole, and was not kept"):
        backup(tmp_path / "node", tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["node"]


def test_backups_while_the_node_writes_are_each_whole(tmp_path: Path) -> None:
    _filled(tmp_path / "node", 1)
    done = threading.Event()
    made = 0
    failures: list[str] = []

    def copy() -> None:
        nonlocal made
        while not done.is_set():
            try:
                backup(tmp_path / "node", tmp_path / f"copy{made}")
                made += 1
            except StoreError as error:
                failures.append(str(error))

    with NodeStore(tmp_path / "node", reserve_bytes=0) as store:
        copier = threading.Thread(target=copy)
        copier.start()
        now, root, position, collections = A, put(store.pages, A), 1, 0
        collection = None
        expected = "garbage is being collected"
        while (made < 4 or not collections or position < 8) and all(expected in text for text in failures):
            new = changed(now, 30, position)
            root, now = put(store.pages, new, (root, now)), new
            store.keep("union", root, position=position, at=position)
            position += 1
            if collection is None:
                collection = store.collection(Retention(Rule(count=2)), now=0)
            for _ in range(10):
                if collection is not None and collection.step() is Phase.DONE:
                    collection = None
                    collections += 1
        done.set()
        copier.join()
    assert made >= 4, failures
    for number in range(made):
        with NodeStore(tmp_path / f"copy{number}", read_only=True) as store:
            assert check_node(store, derive="all").problems == []
            assert store.kept("union") != []


def test_nothing_is_removed_while_a_backup_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "SEGMENT_SHARE", 1.01)
    _filled(tmp_path / "node", 4)
    with NodeStore(tmp_path / "node", reserve_bytes=0) as store:
        phases: set[Phase] = set()
        collection = store.collection(ONE, now=0)

        before = store.pages.page_count()

        def step(what: str, _done: int, _total: int) -> None:
            if what.startswith("copying"):
                phases.add(collection.step())
                assert store.pages.page_count() == before

        backup(tmp_path / "node", tmp_path / "copy", progress=step)
        assert Phase.WAITING in phases
        copying = FileLock(tmp_path / "node" / COPY_FILE)
        assert copying.take(shared=True)
        with pytest.raises(StoreError, match="collect garbage when that is done"):
            store.collect(ONE, now=0)
        copying.release()
        store.collect(ONE, now=0)
        assert store.pages.page_count() < before


def test_a_backup_beside_a_sweep_is_refused(tmp_path: Path) -> None:
    _filled(tmp_path / "node")
    with FileLock(tmp_path / "node" / COPY_FILE).held() as swept:
        assert swept
        with pytest.raises(StoreError, match="garbage is being collected"):
            backup(tmp_path / "node", tmp_path / "copy")


def test_a_backup_that_is_killed_leaves_no_copy(tmp_path: Path) -> None:
    _filled(tmp_path / "node")
    for step in (1, 3, 9, 20):
        child = os.fork()
        if not child:
            left = step

            def die(_what: str, _done: int, _total: int) -> None:
                nonlocal left
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)

            try:
                backup(tmp_path / "node", tmp_path / "copy", progress=die)
            finally:
                os._exit(0)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert not (tmp_path / "copy").exists()
    backup(tmp_path / "node", tmp_path / "copy")
    _require_same(tmp_path / "node", tmp_path / "copy")
