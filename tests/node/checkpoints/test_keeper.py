"""Covers of datasets that are not their own, which unions are made of: whose they are, of when, and that they stay."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dkg.page import CID_PREFIX, cid_of
from node.checkpoints.keeper import CheckpointKeeper
from node.core.shelf import Shelf
from node.storage import NodeStore, Retention
from node.union_keeper import publisher_name
from tests.node.checkpoints.world import DOMAIN, World, dataset, keys_of, tree, whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.chain.registry import Committed

LATER = 2_000_000_000


@contextmanager
def keeping(folder: Path) -> Iterator[CheckpointKeeper]:
    with NodeStore(folder, reserve_bytes=0) as store:
        keeper = CheckpointKeeper(Shelf(store, DOMAIN), folder)
        try:
            yield keeper
        finally:
            keeper.close()


def odd(world: World, keys: set[bytes]) -> bytes:
    """A dataset of which only spog is what it should be."""
    return dataset(world.store, [tree(world.store, keys), *[cid_of(b"nothing")] * 3], len(keys))


def have(keeper: CheckpointKeeper, world: World, one: Committed) -> None:
    """The watcher has fetched the spog of a commit."""
    keeper.odd.keep(CID_PREFIX + one.commit.root, list(world.store.pages.items()))


def keep(keeper: CheckpointKeeper, world: World, one: Committed) -> None:
    """Replication has brought a dataset over."""
    name, store = publisher_name(one.publisher), keeper._store
    store.pages.put_many(world.store.pages.items())
    store.keep(name, CID_PREFIX + one.commit.root, position=one.position + 1, at=one.time)
    keeper._shelf.reread(name)


def union(keeper: CheckpointKeeper, world: World) -> bytes:
    made = keeper.make(world.log, len(world.log.entries), frozenset())
    assert made.union is not None
    return made.union.root


def test_who_commits_the_odd_dataset_of_another_first_takes_nothing_out_of_the_union(tmp_path: Path) -> None:
    world, keys = World(), keys_of(2, 60)
    root = odd(world, keys)
    with keeping(tmp_path) as keeper:
        have(keeper, world, world.commit(1, root))
        union(keeper, world)
        world.commit(2, root)
        assert union(keeper, world) == whole(world.store, keys)


def test_a_dataset_of_which_first_only_spog_was_here_is_no_less_when_the_rest_came(tmp_path: Path) -> None:
    world, keys, others = World(), keys_of(1, 5), sorted(keys_of(2, 40))
    graph = min(keys).split(b"\0")[3]
    long = b'<s>\0<p>\0"' + b"x" * 900 + b'"\0' + graph + b"\0"
    with keeping(tmp_path) as keeper:
        one = world.commit(1, whole(world.store, keys | {long, *others}))
        have(keeper, world, one)
        assert union(keeper, world) == whole(world.store, keys)
        keep(keeper, world, one)
        keeper.make(world.log, 0, frozenset())
        assert union(keeper, world) == whole(world.store, keys)
        keep(keeper, world, world.commit(1, whole(world.store, keys | {long, *others[19:]})))
        assert union(keeper, world) == whole(world.store, keys)


def test_what_a_reorganisation_put_at_the_place_of_an_odd_commit_counts(tmp_path: Path) -> None:
    before, after = World(), World()
    with keeping(tmp_path) as keeper:
        for world, seed in ((before, 0), (after, 1)):
            keys = keys_of(1, 60, seed)
            have(keeper, world, world.commit(1, odd(world, keys)))
            assert union(keeper, world) == whole(world.store, keys)


def test_covers_are_there_after_garbage_was_collected_and_after_a_reorganisation(tmp_path: Path) -> None:
    world, keys = World(), keys_of(1, 60)
    one = world.commit(1, whole(world.store, keys))  # whose commit tells a wrong number of quads, say
    with keeping(tmp_path) as keeper:
        have(keeper, world, one)
        union(keeper, world)
        shelf = keeper._shelf
        for position in (1, 0):
            shelf.roll_back(position, at=0)
            shelf.forget("checkpoint:own")
            shelf.store.collect(Retention(), now=LATER)
            more = keys_of(2 + position, 200, position)
            have(keeper, world, world.commit(2 + position, odd(world, more)))
            keys |= more
            assert union(keeper, world) == whole(world.store, keys)


def test_what_of_an_odd_commit_cannot_count_any_more_is_kept_no_longer(tmp_path: Path) -> None:
    world = World()
    with keeping(tmp_path) as keeper:
        for seed in range(3):
            have(keeper, world, world.commit(1, odd(world, keys_of(1, 40, seed))))
            union(keeper, world)
        covers = [name for name in keeper._shelf.kept if name.startswith("covered:")]
        assert len(covers) == 3
        keeper.drop_covers(lambda position: position == 2)
        assert [name for name in keeper._shelf.kept if name.startswith("covered:")] == covers[2:]
