from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.chain.commit import Domain
from dkg.chain.log import RegistryLog
from dkg.dataset import build_dataset
from dkg.errors import StoreError
from dkg.page import CID_PREFIX, DatasetRoot
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from node.storage import NodeStore, Retention, Rule, check_node
from node.union import Outside, build_union, dataset_of
from node.union_check import DatasetRefusedError
from node.union_keeper import UNION, UnionKeeper, publisher_name
from tests.dkg.chain.events import Model, block
from tests.node.storage.data import CHAIN_ID, REGISTRY, changed, publisher, put, quads_of

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from dkg.chain.registry import Committed
    from dkg.terms import Quad

ONE = Retention(Rule(count=1))
DOMAIN = Domain(CHAIN_ID, REGISTRY)


class World:
    """A chain on which publishers commit datasets, and the pages of all of them."""

    def __init__(self) -> None:
        self.model, self.log = Model(), RegistryLog()
        self.pages = MemoryPageStore()
        self.contents: dict[bytes, list[Quad]] = {}  # by root of dataset

    def commit(self, who: int, quads: list[Quad]) -> Committed:
        root = put(self.pages, quads)
        self.contents[root] = quads
        return self.commit_root(who, root)

    def commit_root(self, who: int, root: bytes) -> Committed:
        at = block((self.log.tip.number if self.log.tip else 0) + 1)
        event = self.model.commit(publisher(who).address, root.removeprefix(CID_PREFIX), at)
        self.log.apply(at, [event])
        return event

    def bring(self, store: NodeStore, committed: Committed) -> None:
        """What replication does: the pages of a dataset come into a node's store."""
        store.pages.put_many(self._below(dataset_of(committed)))

    def _below(self, root: bytes) -> list[tuple[bytes, bytes]]:
        pages, stack, found = StoredPages(self.pages), [root], {}
        while stack:
            cid = stack.pop()
            if cid not in found:
                found[cid] = self.pages.pages[cid]
                page = pages.page(cid)
                stack += page.trees if isinstance(page, DatasetRoot) else getattr(page, "children", [])
        return list(found.items())

    def expected(self, position: int, followed: list[bytes], *, but: frozenset[bytes] = frozenset()) -> bytes:
        """The root of the union, from nothing but the log and the datasets."""
        latest: dict[bytes, Committed] = {}
        for one in self.log.entries[:position]:
            if one.publisher in followed and dataset_of(one) not in but:
                latest[one.publisher] = one
        own = [
            [q for q in self.contents[dataset_of(one)] if q[3].startswith(b"<" + _prefix(one.publisher))]
            for one in latest.values()
        ]
        return build_dataset(own, MemoryPageStore())


def _prefix(address: bytes) -> bytes:
    return publisher(address[0]).prefix.encode()


ALL = [publisher(number).address for number in (1, 2, 3)]


def _world() -> World:
    """Three publishers, seven commits."""
    world = World()
    now = {who: quads_of(publisher(who), 150 * who, who) for who in (1, 2, 3)}
    for number, who in enumerate([1, 2, 1, 3, 2, 1, 3]):
        world.commit(who, now[who])
        now[who] = changed(now[who], 10, number)
    return world


def _node(path: Path) -> tuple[NodeStore, UnionKeeper]:
    store = NodeStore(path, reserve_bytes=0)
    return store, UnionKeeper(store, DOMAIN)


def test_the_union_follows_the_log(tmp_path: Path) -> None:
    world = _world()
    store, keeper = _node(tmp_path)
    with store:
        assert keeper.current() is None
        for committed in world.log.entries:
            world.bring(store, committed)
            assert keeper.accept(committed).root == dataset_of(committed)
        for position in range(8):
            step = keeper.advance(world.log, ALL, position=position)
            assert (step.position, step.missing, dict(step.outside)) == (position, (), {})
            assert step.union.root == world.expected(position, ALL)
            assert store.root_at(UNION, position=position) == step.union.root
        kept = store.kept(UNION)
        assert [one.position for one in kept] == [7, 6, 5, 4, 3, 2, 1, 0]
        assert kept[0].at == world.log.entries[6].time
        assert kept[0].inputs == {
            publisher_name(one.publisher): dataset_of(one) for one in (world.log.entries[at] for at in (5, 4, 6))
        }
        assert [one.position for one in store.kept(publisher_name(ALL[0]))] == [6, 3, 1]
    store, keeper = _node(tmp_path)  # after a restart
    with store:
        assert keeper.current() == (step.union, 7)
        assert keeper.advance(world.log, ALL).union == step.union
        assert len(store.kept(UNION)) == 8
        assert check_node(store, derive="all").problems == []


@given(st.randoms(use_true_random=False), st.integers(1, 4))
@settings(max_examples=settings().max_examples // 8)
def test_any_order_of_arrival_gives_the_same_roots(
    tmp_path_factory: pytest.TempPathFactory, chance: random.Random, batch: int
) -> None:
    world = _world()
    arrivals = list(world.log.entries)
    chance.shuffle(arrivals)
    store, keeper = _node(tmp_path_factory.mktemp("node"))
    with store:
        while arrivals:
            for committed in [arrivals.pop() for _ in range(min(batch, len(arrivals)))]:
                world.bring(store, committed)
                keeper.accept(committed)
            step = keeper.advance(world.log, ALL)
            assert step.union.root == world.expected(step.position, ALL)
            assert bool(step.missing) is (step.position < 7)
            if chance.random() < 0.4:
                store.collect(Retention(Rule(count=3)), now=0)
        assert step.position == 7
        assert check_node(store).problems == []


def test_it_waits_for_a_dataset_that_is_not_here_and_does_not_go_back(tmp_path: Path) -> None:
    world = _world()
    log = world.log.entries
    store, keeper = _node(tmp_path)
    with store:
        for at in (0, 1, 2, 5):
            world.bring(store, log[at])
            keeper.accept(log[at])
        step = keeper.advance(world.log, ALL[:2])
        assert (step.position, step.missing) == (4, (log[4],))
        assert step.union.root == world.expected(4, ALL[:2])
        before = step
        step = keeper.advance(world.log, ALL)  # one more is followed, and nothing of it is here
        assert (step.union, step.position) == (before.union, before.position)
        assert set(step.missing) == {log[6], log[4], log[3]}
        for at in (3, 4, 6):
            world.bring(store, log[at])
            keeper.accept(log[at])
        step = keeper.advance(world.log, ALL)
        assert (step.position, step.missing) == (7, ())
        assert step.union.root == world.expected(7, ALL)
        step = keeper.advance(world.log, ALL[1:])  # and one is not followed any more
        assert step.union.root == world.expected(7, ALL[1:])
        assert keeper.current() == (step.union, 7)


def test_a_malformed_dataset_is_refused_once_and_the_one_before_counts(tmp_path: Path) -> None:
    world = _world()
    log = world.log.entries
    pages, sink = StoredPages(world.pages), PageSink(world.pages)
    good, older = pages.root(dataset_of(log[5])), pages.root(dataset_of(log[2]))
    bad = sink.add(DatasetRoot([good.trees[0], older.trees[1], *good.trees[2:]], good.count))
    sink.flush()
    refused = world.commit_root(1, bad)
    store, keeper = _node(tmp_path)
    with store:
        for committed in log[:7]:
            world.bring(store, committed)
            keeper.accept(committed)
        assert keeper.advance(world.log, ALL).position == 7  # it waits for the eighth
        world.bring(store, refused)
        before = len(store.kept())
        with pytest.raises(DatasetRefusedError, match="its index posg should be"):
            keeper.accept(refused)
        (remembered,) = store.refused()
        assert (remembered.root, remembered.publisher, remembered.at) == (bad, ALL[0], refused.time)
        with pytest.raises(DatasetRefusedError, match="its index posg should be"):
            keeper.accept(refused)
        assert len(store.kept()) == before
        step = keeper.advance(world.log, ALL)
        assert (step.position, step.missing) == (8, ())
        assert step.union.root == world.expected(8, ALL, but=frozenset({bad}))
        again = world.commit(1, changed(world.contents[dataset_of(log[5])], 5, 99))
        world.bring(store, again)
        keeper.accept(again)
        assert keeper.advance(world.log, ALL).union.root == world.expected(9, ALL)


def test_commits_that_the_log_marked_do_not_count(tmp_path: Path) -> None:
    world = _world()
    store, keeper = _node(tmp_path)
    with store:
        for committed in world.log.entries:
            world.bring(store, committed)
            keeper.accept(committed)
        assert keeper.advance(world.log, ALL).union.root == world.expected(7, ALL)
        marked = frozenset(dataset_of(world.log.entries[at]) for at in (5, 6))
        step = keeper.advance(world.log, ALL, marked={5, 6})
        assert step.union.root == world.expected(7, ALL, but=marked)
        assert store.kept(UNION)[0].root == step.union.root


def test_a_reorganisation_leaves_nothing_of_the_fork(tmp_path: Path) -> None:
    world = _world()
    store, keeper = _node(tmp_path)
    with store:
        for committed in world.log.entries:
            world.bring(store, committed)
            keeper.accept(committed)
        for position in (5, 6, 7):
            keeper.advance(world.log, ALL, position=position)
        other = World()
        for committed in world.log.entries[:5]:
            other.commit(committed.publisher[0], world.contents[dataset_of(committed)])
        other.commit(2, quads_of(publisher(2), 77, 8))
        assert {one.position for one in store.roll_back(5)} == {6, 7}
        assert store.root_at(UNION, position=99) == world.expected(5, ALL)
        world.log.rollback(5)
        assert keeper.advance(world.log, ALL).union.root == world.expected(5, ALL)
        last = other.log.entries[-1]
        other.bring(store, last)
        keeper.accept(last)
        step = keeper.advance(other.log, ALL)
        assert (step.position, step.union.root) == (6, other.expected(6, ALL))


def test_the_same_dataset_again_is_not_checked_again(tmp_path: Path) -> None:
    world = World()
    quads = quads_of(publisher(1), 200)
    first, other = world.commit(1, quads), world.commit(1, quads[:100])
    again = world.commit(1, quads)
    store, keeper = _node(tmp_path)
    with store:
        for committed in (first, other):
            world.bring(store, committed)
            keeper.accept(committed)
        assert keeper.accept(again) == (dataset_of(first), 200, 0)
        assert [one.position for one in store.kept(publisher_name(ALL[0]))] == [3, 2, 1]


def test_collecting_between_accepting_and_merging_leaves_what_merging_needs(tmp_path: Path) -> None:
    world = _world()
    store, keeper = _node(tmp_path)
    with store:
        for committed in world.log.entries:
            world.bring(store, committed)
            keeper.accept(committed)
            if committed.position % 2:
                keeper.advance(world.log, ALL, position=committed.position + 1)
            store.collect(ONE, now=0)
        assert keeper.advance(world.log, ALL).union.root == world.expected(7, ALL)
        assert check_node(store, derive="all").problems == []


def test_without_the_older_datasets_the_union_is_built_anew(tmp_path: Path) -> None:
    world = _world()
    store, keeper = _node(tmp_path)
    with store:
        for committed in world.log.entries[:4]:
            world.bring(store, committed)
            keeper.accept(committed)
        keeper.advance(world.log, ALL, position=4)
        for committed in world.log.entries[4:]:
            world.bring(store, committed)
            keeper.accept(committed)
        old = dataset_of(world.log.entries[1])
        store.pages._db.execute("DELETE FROM pages WHERE at=?", (store.pages.locate([old])[0],))
        assert store.pages.get(old) is None
        assert keeper.advance(world.log, ALL).union.root == world.expected(7, ALL)


def test_a_missing_page_is_not_accepted_and_not_refused(tmp_path: Path) -> None:
    world = _world()
    committed = world.log.entries[0]
    store, keeper = _node(tmp_path)
    with store:
        pages = world._below(dataset_of(committed))
        tree = StoredPages(world.pages).root(dataset_of(committed)).trees[0]
        store.pages.put_many((cid, raw) for cid, raw in pages if cid != tree)
        with pytest.raises(StoreError, match="the store has no page"):
            keeper.accept(committed)
        assert store.kept() == []
        assert store.refused() == []
        store.pages.put_many(pages)
        assert keeper.accept(committed).root == dataset_of(committed)


def test_what_is_outside_of_a_publishers_graphs_is_told(tmp_path: Path) -> None:
    world = World()
    stolen = [(s, p, o, quads_of(publisher(2), 1)[0][3]) for s, p, o, _ in quads_of(publisher(1), 40)]
    committed = world.commit(1, [*quads_of(publisher(1), 100), *stolen])
    store, keeper = _node(tmp_path)
    with store:
        world.bring(store, committed)
        keeper.accept(committed)
        step = keeper.advance(world.log, ALL)
        assert step.outside == {publisher(1): Outside(40, stolen[0][3])}
        assert step.union.root == world.expected(1, ALL)
        assert keeper.advance(world.log, ALL).outside == {}


def test_the_empty_union(tmp_path: Path) -> None:
    store, keeper = _node(tmp_path)
    with store:
        step = keeper.advance(RegistryLog(), ALL)
        assert (step.position, step.union) == (0, build_union(StoredPages(store.pages), {}, store.pages))
        assert keeper.current() == (step.union, 0)
