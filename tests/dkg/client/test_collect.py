from __future__ import annotations

import os
import random
import signal
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.client import collect
from dkg.client.collect import Collection, Marker, Marks, Phase
from dkg.client.database import FILE_NAME
from dkg.client.fsck import check_store
from dkg.client.store import SLOTS, SqliteStore
from dkg.dataset import build_dataset, quads, update_dataset
from dkg.errors import StoreError
from dkg.page import DatasetRoot, Inner, Leaf, cid_of
from dkg.pages import MemoryPageStore, Pages, PageSink, StoredPages
from tests.dkg.client.test_store import some_quads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.terms import Quad


def reached(pages: Pages, roots: list[bytes]) -> set[bytes]:
    """All pages of some datasets, found by reading every one."""
    found: set[bytes] = set()
    stack = list(roots)
    while stack:
        cid = stack.pop()
        if cid in found:
            continue
        found.add(cid)
        page = pages.page(cid)
        if isinstance(page, DatasetRoot):
            stack += page.trees
        elif isinstance(page, Inner):
            stack += page.children
    return found


def versions(store: SqliteStore, count: int, size: int = 3_000, changes: int = 60) -> list[bytes]:
    """Roots of datasets that each differ in some quads from the one before."""
    chance = random.Random(count)
    now = some_quads(size)
    roots = [build_dataset([now], store)]
    for version in range(1, count):
        gone = chance.sample(now, changes)
        come = [(s, p, b'"version %d"' % version, g) for s, p, _, g in gone]
        roots.append(update_dataset(StoredPages(store), roots[-1], come, gone, store))
        now = sorted({*now} - {*gone} | {*come})
    return roots


def require_whole(store: SqliteStore, roots: list[bytes]) -> None:
    checked = check_store(store, roots=roots)
    assert checked.problems == []


@pytest.fixture(params=["as it is", "in small pieces"])
def _pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "in small pieces":
        monkeypatch.setattr(collect, "MARK_PAGES", 3)
        monkeypatch.setattr(collect, "SEGMENT_PACKS", 2)
        monkeypatch.setattr(collect, "SEGMENT_SHARE", 1.01)  # every page that is garbage goes
        monkeypatch.setattr(collect, "_SEGMENTS_LOOKED_AT", 2)
        monkeypatch.setattr(collect, "SHRINK_PAGES", 1)


# What goes and what stays


@pytest.mark.usefixtures("_pieces")
def test_what_no_root_reaches_goes_and_the_rest_stays(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        roots = versions(store, 8)
        wanted = reached(StoredPages(store), [roots[2], roots[7]])
        everything = reached(StoredPages(store), roots)
        done = Collection(store, lambda: [roots[2], roots[7]], slice_bytes=100_000).run()
        assert (done.roots, done.pages_kept) == (2, len(wanted))
        assert done.pages_removed > (len(everything) - len(wanted)) // 2
        assert store.page_count() < len(wanted) * 3 // 2 + 8 * 64
        for cid in wanted:
            assert store.get(cid) is not None
        require_whole(store, [roots[2], roots[7]])
        again = Collection(store, lambda: [roots[2], roots[7]]).run()
        assert again.pages_removed <= 8
    with SqliteStore(tmp_path, read_only=True) as store:
        require_whole(store, [roots[2], roots[7]])


def test_space_goes_back_to_the_disk(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        small = build_dataset([some_quads(500)], store)
        large = build_dataset([some_quads(40_000, seed=2)], store)
        store.database.fold()
        before = (tmp_path / FILE_NAME).stat().st_size
        kept = Collection(store, lambda: [small, large]).run()
        assert (kept.bytes_before, kept.bytes_after, kept.pages_removed) == (before, before, 0)
        done = Collection(store, lambda: [small]).run()
        after = (tmp_path / FILE_NAME).stat().st_size
        assert (done.bytes_before, done.bytes_after) == (before, after)
        assert after < before // 8
        assert store.database.log_bytes() == 0
        require_whole(store, [small])


def test_a_store_of_an_older_release_keeps_its_free_pages_for_what_is_written_next(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    connection.execute("PRAGMA auto_vacuum=NONE")
    connection.execute("CREATE TABLE first (a)")  # fixes the mode of the file
    connection.execute("DROP TABLE first")
    connection.close()
    with SqliteStore(tmp_path / "new") as new:
        schema = [row[0] for row in new._db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
        header = new.database.pragma("application_id"), new.database.pragma("user_version")
    connection = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    for statement in schema:
        if "sqlite_sequence" not in statement:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id={header[0]}")
    connection.execute(f"PRAGMA user_version={header[1]}")
    connection.close()
    with SqliteStore(tmp_path) as store:
        build_dataset([some_quads(20_000)], store)
        done = Collection(store).run()
        assert done.bytes_after == done.bytes_before
        assert store.database.bytes_free() > done.bytes_after // 2
        build_dataset([some_quads(15_000)], store)
        assert store.database.bytes_in_all() == done.bytes_before
        assert check_store(store).problems == []


def test_heads_count(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        roots = versions(store, 3)
        for root in roots[:2]:
            store.set_head(root)
        done = Collection(store).run()
        assert done.roots == 2
        assert check_store(store, all_heads=True).problems == []


def test_an_empty_store_and_the_empty_dataset(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        assert Collection(store).run().pages_kept == 0
        empty = build_dataset([], store)
        assert Collection(store, lambda: [empty]).run().pages_kept == 2
        require_whole(store, [empty])


def test_a_root_without_all_its_pages_stops_everything(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        roots = versions(store, 2)
        with pytest.raises(StoreError, match="no garbage is collected, because a dataset that counts is damaged"):
            Collection(store, lambda: [roots[0], cid_of(b"nothing")])
        lost = min(reached(StoredPages(store), roots[1:]) - reached(StoredPages(store), roots[:1]))
        place = store.locate([lost])[0]
        store._db.execute("DELETE FROM pages WHERE at=?", (place,))
        before = store.page_count()
        collection = Collection(store, lambda: roots)
        with pytest.raises(StoreError, match=r"is not in the store|the store has no page"):
            collection.run()
        assert store.page_count() == before
        assert Collection(store, lambda: roots[:1]).run().pages_removed > 0
        require_whole(store, roots[:1])


# While others write and read


@pytest.mark.usefixtures("_pieces")
def test_what_is_written_between_any_two_steps_stays(tmp_path: Path) -> None:
    for case in range(25):
        with SqliteStore(tmp_path / str(case)) as store:
            old, garbage = some_quads(600), some_quads(600, seed=5)
            roots = [build_dataset([old], store)]
            build_dataset([garbage], store)  # its pages come back below
            build_dataset([some_quads(300, seed=6)], store)
            collection = Collection(store, lambda found=roots: found, slice_bytes=30_000)  # type: ignore[misc]
            steps = 0
            while collection.phase is not Phase.DONE:
                if steps == case:
                    roots.append(build_dataset([garbage], store))
                    roots.append(update_dataset(StoredPages(store), roots[0], garbage[:100], old[:100], store))
                collection.step()
                steps += 1
            require_whole(store, roots)


def test_a_root_that_comes_to_count_late_is_walked_before(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        kept = build_dataset([some_quads(2_000)], store)
        late = build_dataset([some_quads(9_000, seed=3)], store)
        build_dataset([some_quads(10, seed=4)], store)
        collection = Collection(store, lambda: [kept])
        while collection.step() is not Phase.SWEEPING:
            pass
        collection.step()
        with pytest.raises(StoreError, match="is not in the store"):
            collection.marker.require(late)
        collection.marker.require(kept)
        again = build_dataset([some_quads(9_000, seed=3)], store)
        assert again == late
        collection.marker.require(late)
        collection.run()


def test_packs_that_arrive_are_left_alone(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        build_dataset([some_quads(3_000)], store)
        floor = store.last_pack()
        arriving = build_dataset([some_quads(3_000, seed=2)], store)
        done = Collection(store, newest_pack=lambda: floor).run()
        assert done.pages_removed > 0
        require_whole(store, [arriving])
        Collection(store).run()
        assert store.get(arriving) is None or store.page_count() < 20


def test_readers_beside_a_collection_never_miss_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "SEGMENT_PACKS", 2)
    monkeypatch.setattr(collect, "_SEGMENTS_LOOKED_AT", 2)
    with SqliteStore(tmp_path) as store:
        roots = versions(store, 6, size=1_500)
        wanted = {cid: store.get(cid) for cid in reached(StoredPages(store), roots[-1:])}
        with SqliteStore(tmp_path, read_only=True) as reader:
            collection = Collection(store, lambda: roots[-1:], slice_bytes=50_000)
            while collection.phase is not Phase.DONE:
                for cid, raw in wanted.items():  # with packs in its memory from before
                    assert reader.get(cid) == raw
                collection.step()
            assert collection.report.pages_moved > 0
            assert {cid: reader.get(cid) for cid in wanted} == wanted


def test_a_page_that_moves_between_two_questions_of_a_reader_is_found(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store, SqliteStore(tmp_path, read_only=True) as reader:
        root = build_dataset([some_quads(400)], store)
        pages = {cid: store.get(cid) for cid in reached(StoredPages(store), [root])}
        original = reader._page
        moved = 0

        def first_moves(at: int) -> bytes:
            nonlocal moved
            reader._page = original  # type: ignore[method-assign]
            number = at // SLOTS
            with store.writing():
                held = store.pack_pages(number)
                store.remove_pack(number)
                store.put_many(held)
            moved += 1
            return original(at)

        for cid, raw in pages.items():
            reader._page = first_moves  # type: ignore[method-assign]
            assert reader.get(cid) == raw
        assert moved == len(pages)


def test_a_store_that_is_copied_is_not_swept(tmp_path: Path) -> None:
    free = False

    @contextmanager
    def alone() -> Iterator[bool]:
        yield free

    with SqliteStore(tmp_path) as store:
        build_dataset([some_quads(2_000)], store)
        root = build_dataset([some_quads(50)], store)
        before = store.page_count()
        collection = Collection(store, lambda: [root], alone=alone)
        while collection.step() is not Phase.WAITING:
            pass
        assert collection.step() is Phase.WAITING
        with pytest.raises(StoreError, match="is being copied"):
            collection.run()
        assert store.page_count() == before
        free = True
        collection.run()
        assert store.page_count() < before
        require_whole(store, [root])


def test_a_step_inside_a_transaction_is_misuse(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        collection = Collection(store)
        with store.writing():
            with pytest.raises(RuntimeError, match="cannot go on inside `writing`"):
                collection.step()
            with pytest.raises(RuntimeError, match="cannot begin inside `writing`"):
                Collection(store)


class _Model:
    """Datasets, those that count, and a collection that may be under way, in small pieces."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.contents: dict[bytes, list[Quad]] = {}
        self.counting: list[bytes] = []
        self.collection: Collection | None = None

    def put(self, seed: int) -> None:
        self._keep(build_dataset([self._some(seed)], self.store), self._some(seed))

    def update(self, seed: int) -> None:
        if self.counting:
            old = self.counting[seed % len(self.counting)]
            had = self.contents[old]
            gone, come = had[seed % 7 :: 5], self._some(seed + 100)[::3]
            new = update_dataset(StoredPages(self.store), old, come, gone, self.store)
            self._keep(new, sorted({*had} - {*gone} | {*come}))

    def drop(self, seed: int) -> None:
        if self.counting:
            self.counting.pop(seed % len(self.counting))

    def step(self, seed: int) -> None:
        for _ in range(seed % 4 + 1):
            if self.collection is None or self.collection.phase is Phase.DONE:
                self.collection = Collection(self.store, lambda: self.counting, slice_bytes=30_000)
            self.collection.step()

    def check(self) -> None:
        for root in self.counting:
            assert [quad for batch in quads(StoredPages(self.store), root) for quad in batch] == self.contents[root]
        checked = check_store(self.store, roots=self.counting)
        assert checked.problems == []

    def _keep(self, root: bytes, content: list[Quad]) -> None:
        if self.collection is not None and self.collection.phase is not Phase.MARKING:
            self.collection.marker.require(root)
        self.contents[root] = content
        self.counting.append(root)

    @staticmethod
    def _some(seed: int) -> list[Quad]:
        return some_quads(120 + 40 * (seed % 5), seed=seed % 6)


@given(st.lists(st.tuples(st.sampled_from(["put", "update", "drop", "step", "step"]), st.integers(0, 40)), max_size=40))
@settings(max_examples=settings().max_examples // 2)
def test_any_order_of_writing_dropping_and_collecting(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch, SqliteStore(tmp_path_factory.mktemp("store")) as store:
        patch.setattr(collect, "MARK_PAGES", 2)
        patch.setattr(collect, "SEGMENT_PACKS", 2)
        patch.setattr(collect, "SEGMENT_SHARE", 1.01)
        patch.setattr(collect, "_SEGMENTS_LOOKED_AT", 1)
        model = _Model(store)
        for name, seed in actions:
            getattr(model, name)(seed)
        model.check()


# Adversaries and damage


def _of_height(pages: Pages, root: bytes) -> dict[int, list[bytes]]:
    """The pages of a dataset's first tree by their height above the leaves."""
    levels = [[pages.root(root).trees[0]]]
    while isinstance(pages.node(levels[-1][0]), Inner):
        levels.append([child for cid in levels[-1] for child in pages.node(cid).children])  # type: ignore[union-attr]
    return dict(enumerate(reversed(levels)))


def _misbuilt(store: SqliteStore, left: bytes, victim: bytes) -> bytes:
    """A dataset whose trees have `victim` as the right sibling of a page that is lower above the leaves."""
    pages, sink = StoredPages(store), PageSink(store)
    counts = [pages.node(cid).count for cid in (left, victim)]
    tree = sink.add(Inner([left, victim], [b"<http://example.org/person/0"], counts))
    root = sink.add(DatasetRoot([tree] * 4, sum(counts)))
    sink.flush()
    return root


@pytest.mark.parametrize("height", [1, 2])
def test_a_tree_that_is_not_built_by_the_rules_hides_no_page_of_another(
    tmp_path: Path, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The attacker's dataset has an honest inner page one level too low: at its leaves, or one above.
    with SqliteStore(tmp_path) as store:
        honest = build_dataset([some_quads(6_000)], store)
        pages = StoredPages(store)
        levels = _of_height(pages, honest)
        small = {cid for cid in levels[height - 1] if pages.node(cid).count <= 40}
        victims = [cid for cid in levels[height] if small.intersection(pages.node(cid).children)]  # type: ignore[union-attr]
        assert len(victims) > 3
        bad = [_misbuilt(store, levels[height - 1][0], victim) for victim in victims]
        build_dataset([some_quads(10, seed=9)], store)
        monkeypatch.setattr(collect, "SEGMENT_SHARE", 1.01)
        for order in ([*bad, honest], [honest, *bad]):
            Collection(store, lambda found=order: found).run()  # type: ignore[misc]
            require_whole(store, [honest])


def test_what_cannot_be_a_leaf_is_walked_wherever_it_is(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        honest = build_dataset([some_quads(6_000)], store)
        pages = StoredPages(store)
        levels = _of_height(pages, honest)
        victim = next(cid for cid in levels[2] if pages.node(cid).count > 40)
        bad = _misbuilt(store, levels[0][0], victim)
        build_dataset([some_quads(10, seed=9)], store)
        below = {child for cid in pages.node(victim).children for child in pages.node(cid).children}  # type: ignore[union-attr]
        Collection(store, lambda: [bad]).run()
        assert [store.get(cid) for cid in below] != [None] * len(below)


def test_a_marker_that_failed_begins_anew(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        root = build_dataset([some_quads(6_000)], store)
        whole = reached(StoredPages(store), [root])
        for height in (0, 1, 2):
            lost = _of_height(StoredPages(store), root)[height][-1]
            raw = store.get(lost)
            assert raw is not None
            store._db.execute("DELETE FROM pages WHERE at=?", (store.locate([lost])[0],))
            marker = Marker(store)
            with pytest.raises(StoreError, match="is not in the store"):
                marker.require(root)
            store.put_many([(lost, raw)])
            marker.require(root)
            assert marker.pages == len(whole)


def test_numbers_of_packs_are_never_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "SEGMENT_SHARE", 0)  # nothing is moved to the end
    with SqliteStore(tmp_path) as store:
        kept = build_dataset([some_quads(100)], store)
        build_dataset([some_quads(3_000, seed=2)], store)
        last = store.last_pack()
        Collection(store, lambda: [kept]).run()
        assert store.page_count() < 40
        assert store.last_pack() >= last


def test_what_comes_while_a_collection_runs_may_count_later(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        kept = build_dataset([some_quads(2_000)], store)
        collection = Collection(store, lambda: [kept])
        while collection.step() is not Phase.SWEEPING:
            pass
        late = build_dataset([some_quads(2_000, seed=7)], store)
        collection.run()
        collection.marker.require(late)
        require_whole(store, [kept, late])


@pytest.mark.usefixtures("_pieces")
def test_pages_with_equal_keys_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dkg.client.store.index_key", lambda cid: cid[10] & 31)
    with SqliteStore(tmp_path) as store:
        roots = versions(store, 5, size=600, changes=30)
        wanted = reached(StoredPages(store), roots[1:2])
        done = Collection(store, lambda: roots[1:2]).run()
        assert done.pages_kept == len(wanted)
        assert done.pages_removed > 0
        require_whole(store, roots[1:2])
        more = build_dataset([some_quads(600, seed=8)], store)
        Collection(store, lambda: [more]).run()
        require_whole(store, [more])


def _damage(store: SqliteStore, number: int) -> None:
    (data,) = store._db.execute("SELECT data FROM packs WHERE id=?", (number,)).fetchone()
    store._db.execute("UPDATE packs SET data=? WHERE id=?", (data[: len(data) // 2], number))
    store._packs.clear()


def _packs(store: SqliteStore, root: bytes) -> set[int]:
    return {(store.locate([cid])[0] or 0) // SLOTS for cid in reached(StoredPages(store), [root])}


def test_damaged_garbage_goes_and_damage_that_counts_stays_to_be_told(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        garbage = build_dataset([some_quads(2_000, seed=2)], store)
        kept = build_dataset([some_quads(2_000)], store)
        garbage_packs, kept_packs = (_packs(store, root) for root in (garbage, kept))
        _damage(store, min(garbage_packs - kept_packs))
        assert check_store(store, roots=[kept]).problems != []
        Collection(store, lambda: [kept]).run()
        require_whole(store, [kept])
        leaf = min(cid for cid in reached(StoredPages(store), [kept]) if isinstance(StoredPages(store).page(cid), Leaf))
        _damage(store, (store.locate([leaf])[0] or 0) // SLOTS)
        Collection(store, lambda: [kept]).run()
        assert check_store(store, roots=[kept]).problems != []


def test_damaged_pages_are_put_again_from_elsewhere(tmp_path: Path) -> None:
    elsewhere = MemoryPageStore()
    root = build_dataset([some_quads(3_000)], elsewhere)
    with SqliteStore(tmp_path) as store:
        assert build_dataset([some_quads(3_000)], store) == root
        for number in (1, 3, 4):
            _damage(store, number)
        with pytest.raises(StoreError):
            store.put_many(elsewhere.pages.items())
        assert store.replace_many(elsewhere.pages.items()) == 24
        assert store.replace_many(elsewhere.pages.items()) == 0
        for cid, raw in elsewhere.pages.items():
            assert store.get(cid) == raw
        Collection(store, lambda: [root]).run()  # the damaged packs are garbage now
        require_whole(store, [root])
        with pytest.raises(ValueError, match="those of another page"):
            store.replace_many([(root, b"something else")])


# Crashes


def _killed_at(path: Path, roots: list[bytes], statement: int) -> bool:
    """Collect in a child that is killed before its n-th statement. False: it was done before."""
    child = os.fork()
    if not child:
        try:
            store = SqliteStore(path)
            left = statement

            def count(_sql: str) -> None:
                nonlocal left
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)

            store._db.set_trace_callback(count)
            Collection(store, lambda: roots, slice_bytes=60_000).run()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.slow
def test_a_collection_that_is_killed_anywhere_leaves_a_whole_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "SEGMENT_PACKS", 4)
    monkeypatch.setattr(collect, "_SEGMENTS_LOOKED_AT", 2)
    with SqliteStore(tmp_path / "store") as store:
        roots = versions(store, 4, size=1_200, changes=40)[-2:]
        before = store.page_count()
    statement = step = 1
    killed = 0
    while _killed_at(tmp_path / "store", roots, statement):
        killed += 1
        with SqliteStore(tmp_path / "store") as store:
            require_whole(store, roots)
            if killed % 8 == 0:  # begin again with garbage
                versions(store, 4, size=1_200, changes=40)
        step = max(1, statement // 12)
        statement += step
    assert killed >= 25
    with SqliteStore(tmp_path / "store") as store:
        Collection(store, lambda: roots).run()
        require_whole(store, roots)
        assert store.page_count() < before


# Marks


def test_marks_are_a_set_and_small() -> None:
    marks, model = Marks(), set()
    chance = random.Random(4)
    for _ in range(20_000):
        at = chance.randrange(4_000) * SLOTS + chance.randrange(8)
        assert marks.add(at) is (at not in model)
        model.add(at)
    for pack in range(4_000):
        assert marks.of_pack(pack) == sum(1 << slot for slot in range(SLOTS) if pack * SLOTS + slot in model)
    assert marks.of_pack(10**9) == 0
    far = Marks()
    far.add(10**12)
    assert sum(map(len, [*marks._chunks.values(), *far._chunks.values()])) == 2 * 8192


def test_marking_takes_a_few_bytes_a_page_and_reads_no_leaves(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        root = build_dataset([some_quads(20_000)], store)
        pages = StoredPages(store)
        inner = sum(not isinstance(pages.page(cid), Leaf) for cid in reached(pages, [root]))
        asked: list[bytes] = []
        original = store.get

        def get(cid: bytes) -> bytes | None:
            asked.append(cid)
            return original(cid)

        store.get = get  # type: ignore[method-assign]
        marker = Marker(store)
        marker.require(root)
        heights = 4 * 8  # each tree's height is found on its left edge
        assert inner <= len(asked) <= inner + heights
        size = sum(len(c) for marks in (marker._kept, *marker._walked.values()) for c in marks._chunks.values())
        assert size <= 8192 * 8
