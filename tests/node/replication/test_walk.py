"""The walk asks for what is missing and for nothing else, and believes no page further than its hash and its parent."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from dkg.page import DatasetRoot, cid_of, decode
from dkg.pages import MemoryPageStore, StoredPages
from node.replication.complete import MalformedError, complete_dataset
from node.replication.errors import PeerError
from node.replication.walk import Walk
from tests.node.replication.datasets import MALFORMED, Forge, changed, dataset, keys, quads

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.replication.messages import Anchored


def drive(walk: Walk, source: MemoryPageStore, batch: int = 64, pages_max: int | None = None) -> list[bytes]:
    """Give a walk all that it asks for; the CIDs in the order of asking."""
    asked: list[bytes] = []
    while not walk.done and (pages_max is None or len(asked) < pages_max):
        cids = walk.take(batch)
        asked += cids
        for cid in cids:
            assert walk.give(cid, source.pages[cid])
    walk.flush()
    return asked


def spog_pages(store: MemoryPageStore, root: bytes) -> set[bytes]:
    """The root page of a dataset, and all pages of its tree of spog."""
    pages = StoredPages(store)
    found, left = {root}, [pages.root(root).trees[0]]
    while left:
        cid = left.pop()
        found.add(cid)
        left += getattr(pages.node(cid), "children", [])
    return found


@pytest.mark.parametrize("batch", [1, 7, 256])
def test_all_pages_of_spog_are_asked_for_once_and_no_others(batch: int) -> None:
    source, head = dataset(200)
    store = MemoryPageStore()
    walk = Walk(store, head.root, head.count)
    asked = drive(walk, source, batch)
    assert len(asked) == len(set(asked)) == walk.fetched
    assert set(asked) == set(store.pages) == spog_pages(source, head.root)
    assert walk.quads == head.count
    assert walk.fetched_bytes == sum(map(len, store.pages.values()))


def test_the_dataset_is_whole_afterwards_with_all_four_trees() -> None:
    source, head = dataset(200)
    store = MemoryPageStore()
    drive(Walk(store, head.root, head.count), source)
    complete_dataset(store, None, head.root)
    assert store.pages == source.pages


def test_an_empty_dataset_is_two_pages() -> None:
    forge = Forge()
    empty = forge.tree([])
    source, head = forge.head(empty, [empty] * 3, 0)
    store = MemoryPageStore()
    assert len(drive(Walk(store, head.root, 0), source)) == 2
    complete_dataset(store, None, head.root)


def test_what_the_old_dataset_has_is_not_asked_for_and_not_even_looked_at() -> None:
    source, new = changed(2000, 5)
    before, old = dataset(2000)
    store = CountingStore(before)
    walk = Walk(store, new.root, new.count, old.root)
    asked = set(drive(walk, source))
    fresh = spog_pages(source, new.root) - set(before.pages)
    assert asked == fresh
    assert len(fresh) < 100 < len(spog_pages(source, new.root)) / 5
    assert store.reads < 6 * len(fresh)  # the pages beside the way down, and each miss


@pytest.mark.parametrize("students", [3, 30, 200])
@pytest.mark.parametrize("seed", range(3))
def test_between_datasets_of_any_two_heights_only_missing_pages_are_asked_for(students: int, seed: int) -> None:
    rng = random.Random(seed)
    small, large = quads(students), quads(500)
    for old_quads, new_quads in ((small, large), (large, small), (large, rng.sample(large, len(large) // 2))):
        forge = Forge()
        trees = [forge.tree(keys("spog", part)) for part in (old_quads, new_quads)]
        _, old = forge.head(trees[0], [trees[0]] * 3, len(old_quads))
        source, new = forge.head(trees[1], [trees[1]] * 3, len(new_quads))
        before = spog_pages(source, old.root)
        store = MemoryPageStore()
        store.pages.update((cid, source.pages[cid]) for cid in before)
        asked = drive(Walk(store, new.root, new.count, old.root), source)
        assert set(asked) == spog_pages(source, new.root) - before
        assert spog_pages(store, new.root)


class CountingStore(MemoryPageStore):
    def __init__(self, other: MemoryPageStore) -> None:
        super().__init__()
        self.pages = dict(other.pages)
        self.reads = 0

    def get(self, cid: bytes) -> bytes | None:
        self.reads += 1
        return super().get(cid)


def test_a_walk_that_is_broken_off_asks_for_no_page_again() -> None:
    source, head = dataset(500)
    store = MemoryPageStore()
    first = drive(Walk(store, head.root, head.count), source, pages_max=100)
    assert set(first) == set(store.pages)
    second = drive(Walk(store, head.root, head.count), source)
    assert not set(first) & set(second)
    assert set(first) | set(second) == spog_pages(source, head.root)


def test_a_page_in_the_store_says_nothing_of_what_is_below_it() -> None:
    source, head = dataset(200)
    pages = StoredPages(source)
    tree = pages.root(head.root).trees[0]
    store = MemoryPageStore()
    store.pages = {head.root: source.pages[head.root], tree: source.pages[tree]}
    drive(Walk(store, head.root, head.count), source)
    assert set(store.pages) == spog_pages(source, head.root)


def test_other_bytes_than_those_that_were_asked_for_are_the_peer_s_fault_and_leave_no_trace() -> None:
    source, head = dataset(200)
    store = MemoryPageStore()
    walk = Walk(store, head.root, head.count)
    (cid,) = walk.take(10)
    other = next(iter(source.pages))
    with pytest.raises(PeerError, match="hash to"):
        walk.give(cid, source.pages[other] if other != cid else b"")
    assert walk.give(cid, source.pages[cid])
    walk.flush()
    assert set(store.pages) == {cid}


def test_a_page_that_was_not_asked_for_or_comes_twice_is_left_alone() -> None:
    source, head = dataset(200)
    walk = Walk(MemoryPageStore(), head.root, head.count)
    (cid,) = walk.take(10)
    assert walk.give(cid, source.pages[cid])
    assert not walk.give(cid, b"anything")
    assert not walk.give(cid_of(b"x"), b"x")
    assert walk.fetched == 1


def test_what_is_put_back_is_asked_for_again() -> None:
    source, head = dataset(200)
    walk = Walk(MemoryPageStore(), head.root, head.count)
    (cid,) = walk.take(10)
    assert walk.take(10) == []
    walk.put_back([cid, cid_of(b"never asked for")])
    assert walk.take(10) == [cid]
    assert walk.give(cid, source.pages[cid])
    assert (walk.asked, walk.done) == (0, False)


@pytest.mark.parametrize("malformed", MALFORMED, ids=lambda made: made.__name__)
def test_a_malformed_commit_is_refused_and_nobody_but_its_publisher_is_blamed(
    malformed: Callable[[], tuple[MemoryPageStore, Anchored]],
) -> None:
    source, head = malformed()
    store = MemoryPageStore()
    with pytest.raises(MalformedError):
        bring(store, source, head)


def bring(store: MemoryPageStore, source: MemoryPageStore, head: Anchored) -> None:
    drive(Walk(store, head.root, head.count), source)
    complete_dataset(store, None, head.root)


def is_whole(store: MemoryPageStore, head: Anchored) -> bool:
    """Whether a store has pages for all four trees of a dataset."""
    raw = store.get(head.root)
    page = decode(head.root, raw) if raw is not None else None
    return type(page) is DatasetRoot and all(store.get(tree) for tree in page.trees)


@pytest.mark.parametrize("malformed", MALFORMED, ids=lambda made: made.__name__)
def test_its_well_formed_twin_is_accepted(malformed: object) -> None:
    assert malformed
    source, head = dataset(60)
    store = MemoryPageStore()
    bring(store, source, head)
    assert is_whole(store, head)


def test_a_commit_that_says_another_count_than_its_dataset_is_refused_at_the_first_page() -> None:
    source, head = dataset(200)
    walk = Walk(MemoryPageStore(), head.root, head.count + 1)
    (cid,) = walk.take(10)
    with pytest.raises(MalformedError, match="the commit says"):
        walk.give(cid, source.pages[cid])


def test_what_waits_is_bounded_by_what_is_in_flight_and_not_by_the_dataset() -> None:
    source, head = dataset(3000)
    walk = Walk(MemoryPageStore(), head.root, head.count)
    most = 0
    while not walk.done:
        for cid in walk.take(32):
            walk.give(cid, source.pages[cid])
        most = max(most, walk.waiting)
    assert walk.fetched > 1000
    assert most < 32 * 8 * 2


def test_pages_are_handed_to_the_store_in_batches() -> None:
    source, head = dataset(3000)
    store = BatchStore()
    drive(Walk(store, head.root, head.count), source)
    assert len(store.batches) < 8
    assert sum(store.batches) == len(spog_pages(source, head.root))


class BatchStore(MemoryPageStore):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def put_many(self, pages: object) -> None:
        batch = dict(pages)  # type: ignore[call-overload]  # pairs
        self.batches.append(len(batch))
        super().put_many(batch.items())


def test_a_dataset_that_is_there_already_needs_nothing() -> None:
    source, head = dataset(200)
    walk = Walk(CountingStore(source), head.root, head.count, head.root)
    assert drive(walk, source) == []
    assert walk.done
