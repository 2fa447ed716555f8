from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from dkg.client import collect
from dkg.client.collect import Phase
from dkg.client.store import SqliteStore
from dkg.dataset import build_dataset, quads
from dkg.errors import StoreError
from dkg.page import cid_of
from dkg.pages import StoredPages
from node.storage import Kept, NodeStore, Refused, Retention, Rule, check_node
from tests.node.storage.data import changed, publisher, put, quads_of

ONE = Retention(Rule(count=1))
A = quads_of(publisher(1), 1_500)


def _history(store: NodeStore, versions: int, name: str = "union") -> list[bytes]:
    """Some versions of a dataset, each kept under a name at the position of its number."""
    now = A
    roots = [put(store.pages, now)]
    for version in range(1, versions):
        new = changed(now, 40, version)
        roots.append(put(store.pages, new, (roots[-1], now)))
        now = new
    for version, root in enumerate(roots):
        store.keep(name, root, position=version, at=1_000 + version)
    return roots


def test_roots_are_kept_with_names_positions_and_times(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        a, b, c = _history(store, 3)
        store.keep("publisher:0x01", b, position=7, at=9, inputs={"publisher:0x02": c})
    with NodeStore(tmp_path, read_only=True) as store:
        assert [(one.root, one.position, one.at) for one in store.kept("union")] == [
            (c, 2, 1_002),
            (b, 1, 1_001),
            (a, 0, 1_000),
        ]
        assert store.kept("publisher:0x01") == [Kept("publisher:0x01", b, 7, 9, inputs={"publisher:0x02": c})]
        assert [one.name for one in store.kept()] == ["publisher:0x01", "union", "union", "union"]
        assert [store.root_at("union", position=at) for at in (0, 1, 2, 99)] == [a, b, c, c]
        assert store.root_at("publisher:0x01", position=6) is None
        assert store.kept("nobody") == []


def test_a_root_takes_the_place_of_what_was_at_its_position(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        a, b, _ = _history(store, 3)
        store.keep("union", a, position=2, at=5)
        assert [one.root for one in store.kept("union")] == [a, b, a]


def test_going_back_in_the_log_forgets_what_counted_later(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        a, b, c, d = _history(store, 4)
        assert {one.root for one in store.roll_back(1)} == {c, d}
        assert store.kept("union")[0].root == b
        assert store.roll_back(1) == []
        assert {one.root for one in store.forget("union")} == {a, b}
        assert store.kept() == []


def test_a_root_without_a_dataset_is_not_kept(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        (root,) = _history(store, 1)
        tree = StoredPages(store.pages).root(root).trees[0]
        for wrong in (cid_of(b"nothing"), tree):
            with pytest.raises(StoreError, match="cannot be kept"):
                store.keep("union", wrong, position=5, at=0)
        assert len(store.kept()) == 1


def test_keeping_before_the_pages_are_durable_is_misuse(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store, store.pages.writing():
        root = build_dataset([A], store.pages)
        with pytest.raises(RuntimeError, match="after its pages are durable"):
            store.keep("union", root, position=0, at=0)


def test_publishers_and_refusals_are_remembered(tmp_path: Path) -> None:
    refused = Refused(cid_of(b"bad"), bytes(20), "its index posg lacks a quad", 12)
    with NodeStore(tmp_path) as store:
        store.follow(b"b" * 20, at=1)
        store.follow(b"a" * 20, at=2)
        store.follow(b"c" * 20, at=3)
        store.unfollow(b"b" * 20)
        store.refuse(refused)
    with NodeStore(tmp_path) as store:
        assert store.followed() == [b"a" * 20, b"c" * 20]
        assert store.refused() == [refused]


# Collecting


def test_retention_decides_what_stays(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        roots = _history(store, 8)
        before = store.pages.page_count()
        store.pin("union", 2)
        done = store.collect(Retention(Rule(count=2)), now=5_000)
        assert [one.root for one in store.kept()] == [roots[7], roots[6], roots[2]]
        assert done.roots == 3
        assert store.pages.page_count() < before
        assert check_node(store, derive="all").problems == []
        store.pin("union", 2, pinned=False)
        store.collect(ONE, now=5_000)
        assert [one.root for one in store.kept()] == roots[7:]
        with pytest.raises(StoreError, match="nothing is kept under union at position 2"):
            store.pin("union", 2)
        assert check_node(store, derive="all").problems == []


def test_what_the_newest_was_made_of_stays(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        old = put(store.pages, A)
        new = put(store.pages, changed(A, 100, 1), (old, A))
        store.keep("publisher:0x01", old, position=1, at=0)
        store.keep("union", old, position=1, at=0, inputs={"publisher:0x01": old})
        store.keep("publisher:0x01", new, position=2, at=0)
        store.collect(ONE, now=10)
        assert {one.root for one in store.kept()} == {old, new}
        assert sum(map(len, quads(StoredPages(store.pages), old))) == len(A)
        store.keep("union", new, position=2, at=0, inputs={"publisher:0x01": new})
        store.collect(ONE, now=10)
        assert store.counting() == {new}


def test_what_is_held_stays_until_it_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "SEGMENT_SHARE", 1.01)
    with NodeStore(tmp_path) as store:
        old, _ = _history(store, 2)
        with store.holding(old):
            with store.holding(old):
                store.collect(ONE, now=10)
            store.collect(ONE, now=10)
            assert sum(map(len, quads(StoredPages(store.pages), old))) == len(A)
        store.collect(ONE, now=10)
        with pytest.raises(StoreError, match="is not kept here, or not any more"), store.holding(old):
            pass
        with pytest.raises(StoreError):
            list(quads(StoredPages(store.pages), old))


def test_what_another_thread_lets_go_of_is_held_by_whoever_held_it_meanwhile(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store, ExitStack() as held:
        root = _history(store, 1)[0]
        other = threading.Thread(target=lambda: held.enter_context(store.holding(root)))

        class Slow(Counter[bytes]):
            def __delitem__(self, key: object) -> None:
                other.start()
                time.sleep(0.05)
                super().__delitem__(key)

        store._holds = Slow()
        with store.holding(root):
            pass
        other.join()
        assert store._holds == {root: 1}
        store._holds = Counter(store._holds)


def test_what_arrives_stays_until_it_has_arrived(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        _history(store, 1)
        with store.arriving():
            root = put(store.pages, quads_of(publisher(2), 2_000))
            store.collect(ONE, now=10)
            store.keep("publisher:0x02", root, position=3, at=0)
        put(store.pages, quads_of(publisher(3), 2_000))
        put(store.pages, quads_of(publisher(4), 10))
        before = store.pages.page_count()
        store.collect(ONE, now=10)
        assert store.pages.page_count() < before
        assert check_node(store, derive="all").problems == []


def test_a_root_whose_pages_were_collected_meanwhile_is_not_kept(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        _history(store, 1)
        late = put(store.pages, quads_of(publisher(2), 9_000))
        put(store.pages, quads_of(publisher(3), 10))
        collection = store.collection(ONE, now=10)
        while collection.step() is not Phase.SWEEPING:
            pass
        collection.step()
        with pytest.raises(StoreError, match="cannot be kept: the store has no page"):
            store.keep("publisher:0x02", late, position=3, at=0)
        collection.run()
        with pytest.raises(StoreError, match="cannot be kept"):
            store.keep("publisher:0x02", late, position=3, at=0)
        store.collection(ONE, now=10).step()  # a new one that has removed nothing yet
        with pytest.raises(StoreError, match="cannot be kept"):
            store.keep("publisher:0x02", late, position=3, at=0)
        put(store.pages, quads_of(publisher(2), 9_000))
        store.keep("publisher:0x02", late, position=3, at=0)
        assert check_node(store, derive="all").problems == []


def test_work_goes_on_between_the_steps_of_a_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "MARK_PAGES", 8)
    monkeypatch.setattr(collect, "SEGMENT_PACKS", 4)
    monkeypatch.setattr(collect, "SEGMENT_SHARE", 1.01)
    monkeypatch.setattr(collect, "_SEGMENTS_LOOKED_AT", 1)
    with NodeStore(tmp_path) as store:
        roots = _history(store, 4)
        now, root, position = A, roots[0], 10
        collection = store.collection(ONE, now=10)
        steps = 0
        while collection.step() is not Phase.DONE:
            steps += 1
            if steps % 4 == 0 and position < 30:
                new = changed(now, 15, position)
                root = put(store.pages, new, (root, now) if position > 10 else None)
                now = new
                store.keep("publisher:0x01", root, position=position, at=position)
                position += 1
        assert steps > 30
        assert position > 15
        assert check_node(store, derive="all").problems == []


# One writer, many readers


_HOLDER = """
import sys
from node.storage import NodeStore
with NodeStore(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_only_one_process_writes_and_others_read(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        roots = _history(store, 2)
        with pytest.raises(StoreError, match=f"open to be written by another process \\(number {os.getpid()}\\)"):
            NodeStore(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StoreError, match=f"another process \\(number {holder.pid}\\): stop that one first"):
            NodeStore(tmp_path)
        with NodeStore(tmp_path, read_only=True) as reader:
            assert reader.kept("union")[0].root == roots[1]
            assert reader.counting() == set(roots)
            with pytest.raises(StoreError, match="read only"):
                reader.keep("union", roots[0], position=5, at=0)
            with pytest.raises(StoreError, match="read only"):
                reader.collection(ONE, now=0)
        holder.kill()
        holder.wait()
    with NodeStore(tmp_path) as store:  # the lock went with the process
        assert store.kept("union")[0].root == roots[1]
        with NodeStore(tmp_path, read_only=True) as reader:
            assert reader.counting() == set(roots)
            store.forget("union")
            assert reader.counting() == set()


def test_reading_where_there_is_no_node_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="`dkg init` makes a node"):
        NodeStore(tmp_path / "none", read_only=True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("hello")
    with pytest.raises(StoreError, match="is a file"):
        NodeStore(tmp_path / "file", read_only=True)
    with pytest.raises(StoreError, match="cannot create the node's directory"):
        NodeStore(tmp_path / "file")


def test_a_failed_opening_lets_go_of_everything(tmp_path: Path) -> None:
    NodeStore(tmp_path).close()
    state = (tmp_path / "state.db").read_bytes()
    (tmp_path / "state.db").write_bytes(b"not a database" * 500)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(StoreError, match="is not a database"):
            NodeStore(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    (tmp_path / "state.db").write_bytes(state)
    NodeStore(tmp_path).close()


def test_the_heads_of_a_plain_store_count_too(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as plain, plain.writing():
        head = build_dataset([A], plain)
        plain.set_head(head)
    with NodeStore(tmp_path) as store:
        put(store.pages, quads_of(publisher(2), 3_000))
        put(store.pages, quads_of(publisher(2), 10))
        store.collect(ONE, now=0)
        assert sum(map(len, quads(StoredPages(store.pages), head))) == len(A)
        assert check_node(store).problems == []
