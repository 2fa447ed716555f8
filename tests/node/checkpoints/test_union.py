from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.checkpoints.owners import has_shape
from dkg.checkpoints.shown import Kind, classify
from dkg.client.spill import FileSpill
from dkg.errors import InputError
from dkg.page import ORDERS, DatasetRoot, Inner, Leaf, cid_of, decode
from dkg.pages import MemoryPageStore, StoredPages
from dkg.sorting import MemorySpill
from node import union as plain
from node.checkpoints.cover import Leftovers, cover_of_checked, made_of, owned, showable_keys
from node.checkpoints.union import Coverage, counting, coverage, union_of
from node.union import build_union
from tests.node.checkpoints.world import SHAPES, World, dataset, keys_of, moved, tree, whole
from tests.node.storage.data import changed, publisher, put, quads_of

if TYPE_CHECKING:
    from pathlib import Path

    from dkg.chain.ual import Publisher
    from dkg.terms import Quad


# Which commits count


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=30),
    st.sets(st.integers(0, 29)),
    st.integers(0, 30),
)
@settings(max_examples=settings().max_examples // 2)
def test_the_last_of_eight_without_a_mark_counts(commits: list[int], marks: set[int], position: int) -> None:
    world = World()
    made = [world.commit(who, cid_of(b"%d" % at)) for at, who in enumerate(commits)]
    at = min(position, len(made))
    found = counting(world.log, at, marks)
    for who in {*commits}:
        last = [one for one in made[:at] if one.publisher == publisher(who).address][-8:]
        counts = [one for one in last if one.position not in marks]
        assert found.get(publisher(who).address) == (counts[-1] if counts else None)


def test_a_position_that_the_log_has_not_is_refused() -> None:
    with pytest.raises(InputError, match="there is no position 1"):
        counting(World().log, 1, ())


# What is covered


def fat(owner: Publisher, count: int, seed: int, texts: int) -> list[Quad]:
    """Quads of a publisher, of which some have long texts, some so long that their pages are."""
    chance = random.Random(seed)
    quads = quads_of(owner, count, seed)
    for _ in range(texts):
        at = chance.randrange(len(quads))
        s, p, _, g = quads[at]
        quads[at] = (s, p, b'"' + b"%d" % seed + b"x" * chance.choice([600, 700, 2_000, 31_000, 40_000]) + b'"', g)
    return sorted(set(quads))


def naive(store: MemoryPageStore, root: bytes) -> set[bytes]:
    """The keys of spog that are short and behind no long page."""
    found: set[bytes] = set()

    def go(cid: bytes) -> None:
        raw = store.pages[cid]
        if classify(raw).kind is Kind.LONG:
            return
        page = decode(cid, raw)
        if isinstance(page, DatasetRoot):
            go(page.trees[0])
        elif isinstance(page, Inner):
            for child in page.children:
                go(child)
        else:
            assert isinstance(page, Leaf)
            found.update(key for key in page.keys if len(key) <= 768)

    go(root)
    return found


@given(st.integers(0, 2**32), st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=settings().max_examples // 3)
def test_the_cover_is_what_is_short_and_shown_from_nothing_and_from_an_older_one(seed: int, old: int, new: int) -> None:
    store, owner = MemoryPageStore(), publisher(1)
    leftovers = Leftovers(store)
    quads = fat(owner, 200, seed, old)
    was = put(store, quads)
    first = cover_of_checked(store, leftovers, was, None, MemorySpill())
    assert first == whole(MemoryPageStore(), naive(store, was))
    later = sorted({*fat(owner, 200, seed + 1, new)[::3], *quads[: random.Random(seed).randrange(200)]})
    root = put(store, later)
    expected = whole(MemoryPageStore(), naive(store, root))
    assert cover_of_checked(store, leftovers, root, (was, first), MemorySpill()) == expected
    assert cover_of_checked(store, Leftovers(store), root, None, MemorySpill()) == expected
    assert leftovers.of(root).keys == len(later) - len(naive(store, root))


def test_a_dataset_without_anything_long_is_its_own_cover_and_costs_no_page() -> None:
    store = MemoryPageStore()
    root = put(store, quads_of(publisher(1), 500))
    before = len(store.pages)
    assert cover_of_checked(store, Leftovers(store), root, None, MemorySpill()) == root
    assert len(store.pages) == before


def test_a_change_of_a_covered_dataset_reads_what_changed() -> None:
    store, owner = MemoryPageStore(), publisher(1)
    quads = fat(owner, 6_000, 1, 20)
    leftovers = Leftovers(store)
    was = put(store, quads)
    cover = cover_of_checked(store, leftovers, was, None, MemorySpill())
    root = put(store, changed(quads, 3, 9), onto=(was, quads))
    before = len(store.pages)
    cover_of_checked(store, leftovers, root, (was, cover), MemorySpill())
    assert len(store.pages) - before < 100  # of about 1,500


def test_keys_of_any_bytes_are_sorted_on_disk_as_in_memory(tmp_path: Path) -> None:
    keys = keys_of(1, 400)
    assert any(b"\n" in key for key in keys)
    assert any(b"\xfe" in key for key in keys)
    some = sorted(keys, key=lambda key: key[::-1])
    batches = [some[at : at + 30] for at in range(0, len(some), 30)]
    with FileSpill(tmp_path) as spill:
        made = made_of(batches, MemoryPageStore(), spill, chunk_bytes=3_000)
    assert made == whole(MemoryPageStore(), keys)


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_the_keys_of_an_odd_dataset_are_read_from_its_spog_alone(shape: int) -> None:
    store = MemoryPageStore()
    keys = keys_of(1, 90)
    others = {b"<a>\0<b>\0no quad", b"\x01q\x12 ", b"<a>\0<b>\0\0<urn:g>\0", *keys_of(2, 9), b"<a>" + b"x" * 769}
    root = dataset(store, [tree(store, keys | others, SHAPES[shape]), *[cid_of(b"nothing")] * 3], len(keys | others))
    found = [key for some in showable_keys(store.get, root) for key in some]
    assert {*found} == {key for key in keys | others if len(key) <= 768}
    assert owned(found, publisher(1)) == sorted(keys)


# The union


@given(st.integers(0, 2**32))
@settings(max_examples=settings().max_examples // 4)
def test_the_union_has_one_root_however_it_is_come_to(seed: int) -> None:
    chance = random.Random(seed)
    store = MemoryPageStore()
    keys = {who: keys_of(who, chance.randrange(1, 60), seed % 7) for who in (1, 2, 3)}
    covers = {publisher(who): whole(store, own) for who, own in keys.items()}
    pages = StoredPages(store)
    union = union_of(pages, covers, store)
    assert union.root == whole(MemoryPageStore(), set.union(*keys.values()))
    for _ in range(3):
        who = chance.randrange(1, 5)
        if chance.random() < 0.2 and len(keys) > 1 and who in keys:
            del keys[who], covers[publisher(who)]
        else:
            gone = {key for key in keys.get(who, set()) if chance.random() < 0.2}
            keys[who] = (keys.get(who, set()) - gone) | keys_of(who, chance.randrange(1, 5), chance.randrange(99))
            foreign = keys_of(chance.choice([5, *keys]), 3, 50)  # they are in nobody's part of the union
            covers[publisher(who)] = whole(
                store, keys[who] | {key for key in foreign if not owned([key], publisher(who))}
            )
        union = union_of(pages, dict(covers), store, union)
        expected = set.union(*keys.values())
        assert union.root == whole(MemoryPageStore(), expected)
        assert union_of(pages, covers, store).root == union.root
    for who, own in keys.items():
        assert coverage(pages, union.root, publisher(who), len(own) + 2) == Coverage(len(own), 2)


@given(st.integers(0, 2**32))
@settings(max_examples=settings().max_examples // 5)
def test_of_regular_datasets_it_is_the_union_that_nodes_have(seed: int) -> None:
    chance = random.Random(seed)
    store = MemoryPageStore()
    quads = {who: quads_of(publisher(who), chance.randrange(1, 90), seed % 9 + who) for who in (1, 2, 3)}
    foreign = quads_of(publisher(7), 5)
    roots = {publisher(who): put(store, sorted({*own, *foreign})) for who, own in quads.items()}
    leftovers = Leftovers(store)
    covers = {who: cover_of_checked(store, leftovers, root, None, MemorySpill()) for who, root in roots.items()}
    assert covers == roots
    pages = StoredPages(store)
    theirs = build_union(pages, roots, store)
    assert union_of(pages, covers, store) == theirs
    who = chance.choice([1, 2, 3])
    later = {**roots, publisher(who): put(store, changed(quads[who], len(quads[who]) // 2, 3))}
    assert union_of(pages, later, store, theirs) == plain.update_union(pages, theirs, later, store)


def test_the_union_of_nothing_is_the_empty_dataset() -> None:
    store = MemoryPageStore()
    assert union_of(StoredPages(store), {}, store).root == whole(MemoryPageStore(), set())


def test_every_key_of_the_world_has_its_shape() -> None:
    assert all(has_shape(moved(key, order)) for key in keys_of(1, 300) for order in ORDERS)
