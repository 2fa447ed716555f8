"""Updates: the tree that building would make, and a bound on what an adversary's update can cost.

What the bound is about, with a window of 3 and the numbers as hashes (`|` = a cut). One entry is put in, and only
cuts within 2 entries of it move; the pages beyond are the old ones:

    before   5 | 2 8 6 | 3 9 7 | 1 4
    after    5 | 2 8 6 | 3 9 | 0 7 | 1 4
                                ^ new
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.build import build_tree
from dkg.cut import FORMAT_1, LEVELS_MAX, Shape, entry_hashes
from dkg.errors import PageError, RdfError
from dkg.page import EMPTY_TREE, Inner, Leaf
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from dkg.update import height_of, update_tree
from tests.dkg.trees import SMALL_SHAPES, built, forged_keys, key, key_sets, levels, with_crc

if TYPE_CHECKING:
    from collections.abc import Iterable

HASHES = st.integers(0, 3) | st.integers(0, 2**32 - 1)
ADVERSARIES = st.lists(HASHES, min_size=1, max_size=250) | st.integers(1, 250).flatmap(
    lambda n: st.sampled_from([list(range(n)), list(range(n, 0, -1)), [7] * n])
)


def updated(
    store: MemoryPageStore, root: bytes, add: Iterable[bytes], remove: Iterable[bytes], shape: Shape = FORMAT_1
) -> bytes:
    sink = PageSink(store)
    root = update_tree(StoredPages(store), root, set(add), set(remove), sink, shape)
    sink.flush()
    return root


@settings(max_examples=settings().max_examples * 2)
@given(key_sets(), st.lists(st.tuples(key_sets(60), key_sets(60)), max_size=5), SMALL_SHAPES)
def test_any_history_ends_in_the_tree_of_its_keys(
    keys: set[bytes], history: list[tuple[set[bytes], set[bytes]]], shape: Shape
) -> None:
    store, root = built(keys, shape)
    for wanted, unwanted in history:
        add, remove = wanted - keys, (unwanted & keys) - wanted
        root = updated(store, root, add, remove, shape)
        keys = (keys | add) - remove
        whole, expected = built(keys, shape)
        assert root == expected
        assert whole.pages.keys() <= store.pages.keys()


@given(key_sets(), st.integers(0, 400), st.integers(0, 400), SMALL_SHAPES)
def test_removing_a_whole_range(keys: set[bytes], one: int, other: int, shape: Shape) -> None:
    low, high = sorted((key(one), key(other)))
    store, root = built(keys, shape)
    rest = {k for k in keys if not low <= k < high}
    assert updated(store, root, (), keys - rest, shape) == built(rest, shape)[1]


@given(key_sets(), key_sets(), SMALL_SHAPES)
def test_replacing_every_key(keys: set[bytes], others: set[bytes], shape: Shape) -> None:
    store, root = built(keys, shape)
    assert updated(store, root, others - keys, keys - others, shape) == built(others, shape)[1]


@given(key_sets(), SMALL_SHAPES)
def test_what_is_added_and_removed_again_leaves_no_trace(keys: set[bytes], shape: Shape) -> None:
    store, root = built(keys, shape)
    new = {key(1000 + n) for n in range(20)}
    assert updated(store, updated(store, root, new, (), shape), (), new, shape) == root


@given(key_sets(40), key_sets(40), SMALL_SHAPES)
def test_adding_what_is_there_and_removing_what_is_not_changes_nothing(
    keys: set[bytes], others: set[bytes], shape: Shape
) -> None:
    store, root = built(keys, shape)
    assert updated(store, root, keys, others - keys, shape) == root


def test_an_update_of_nothing_writes_nothing() -> None:
    store, root = built(map(key, range(500)))
    sink = PageSink(store)
    assert update_tree(StoredPages(store), root, set(), set(), sink) == root
    sink.flush()
    assert sink.written == 0


def test_removing_the_last_key_leaves_the_empty_tree() -> None:
    store, root = built([b"a"])
    assert updated(store, root, (), [b"a"]) == EMPTY_TREE
    assert EMPTY_TREE in store.pages


def test_a_key_to_be_added_and_removed_is_an_error() -> None:
    store, root = built([b"a"])
    with pytest.raises(ValueError, match="both to be added and to be removed"):
        updated(store, root, [b"b"], [b"b"])


# --- bounds -----------------------------------------------------------------------------------------------------


def assert_bounded(store: MemoryPageStore, root: bytes, add: set[bytes], remove: set[bytes]) -> list[int]:
    """Change one key; each level may get at most 2w new pages, and one for each new page below. Gives them."""
    was = set(store.pages)
    sink = PageSink(store)
    root = update_tree(StoredPages(store), root, add, remove, sink)
    sink.flush()
    after = levels(StoredPages(store), root)
    fresh = [len(set(level) - was) for level in after]
    below = 0
    for level, count in enumerate(fresh):
        assert count <= 2 * FORMAT_1.window(level) + below, f"level {level}: {fresh}"
        below = count
    assert len(store.pages.keys() - was) == sum(fresh), "pages were written that the new tree does not have"
    return fresh


@given(ADVERSARIES, st.data())
def test_no_single_added_key_rewrites_more_than_the_bound(hashes: list[int], data: st.DataObject) -> None:
    keys = forged_keys(hashes)
    store, root = built(keys)
    at = data.draw(st.integers(0, len(keys) - 1))
    new = with_crc(keys[at][:-4] + b"!", data.draw(HASHES))
    assert_bounded(store, root, {new}, set())


@given(ADVERSARIES, st.data())
def test_no_single_removed_key_rewrites_more_than_the_bound(hashes: list[int], data: st.DataObject) -> None:
    keys = forged_keys(hashes)
    store, root = built(keys)
    assert_bounded(store, root, set(), {data.draw(st.sampled_from(keys))})


@pytest.mark.parametrize("order", ["descending", "ascending", "equal"])
@pytest.mark.parametrize("at", [0, 1, 1500, 2998, 2999])
def test_in_a_large_set_of_ground_keys_every_update_stays_in_the_bound(order: str, at: int) -> None:
    hashes = {"descending": range(3000, 0, -1), "ascending": range(1, 3001), "equal": [9] * 3000}[order]
    keys = forged_keys(hashes)
    store, root = built(keys)
    for crc in (0, 2**32 - 1):
        assert_bounded(store, root, {with_crc(keys[at][:-4] + b"!", crc)}, set())
    assert_bounded(store, root, set(), {keys[at]})


def ground_at_two_levels(count: int) -> list[bytes]:
    """Keys that make 2 x `count` leaves of two keys, and level 1 pages of one child: both hashes descend.

    A leaf starts at a key `... b`, whose CRC-32 is forged. The separator there is what that key shares with the
    key `... a` before it, and `b`: a number in it is tried until the SHA-256 of the separator is a bit smaller than
    that of the last one.
    """
    keys: list[bytes] = []
    step = 2**64 // (2 * count)  # half the range in all, so that it is not used up
    limit = 2**64
    for at in range(count):
        for number in range(100_000):
            shared = b"<http://example.org/%04d/%05d" % (at, number)
            value = entry_hashes(1, [shared + b"b"])[0]
            if limit - 2 * step <= value < limit:
                limit = value
                break
        keys += [with_crc(shared + b"a", 2**32 - 1), with_crc(shared + b"b", count - at)]
    return keys


def test_keys_ground_against_two_levels_at_once_stay_in_the_bound() -> None:
    keys = ground_at_two_levels(120)
    store, root = built(keys)
    found = levels(StoredPages(store), root)
    assert len(found[0]) > 95  # a leaf for every two keys, but for the first 40
    assert len(found[1]) > 85  # and a page of level 1 for every leaf, but for the first 8
    for at in range(0, len(keys), 13):
        assert_bounded(store, root, set(), {keys[at]})
        assert_bounded(store, root, {with_crc(keys[at][:-4] + b"!", 0)}, set())


def test_an_honest_update_in_a_large_tree_rewrites_a_path() -> None:
    store, root = built(map(key, range(20_000)))
    fresh = assert_bounded(store, root, {b"<http://example.org/123456>\0"}, set())
    assert sum(fresh) <= 2 * len(fresh) + 4


# --- hostile trees ----------------------------------------------------------------------------------------------


def uneven() -> tuple[MemoryPageStore, bytes]:
    """A tree whose leaves are at different depths; every page of it is well formed."""
    store = MemoryPageStore()
    sink = PageSink(store)
    leaves = [sink.add(Leaf([name])) for name in (b"a", b"b", b"c")]
    low = sink.add(Inner(leaves[:2], [b"b"], [1, 1]))
    root = sink.add(Inner([low, leaves[2]], [b"c"], [2, 1]))
    sink.flush()
    return store, root


def test_a_tree_with_leaves_at_different_depths_is_refused() -> None:
    store, root = uneven()
    with pytest.raises(PageError, match="leaves at different depths"):
        updated(store, root, [b"d"], ())


def test_a_tree_of_too_many_levels_is_refused() -> None:
    store = MemoryPageStore()
    sink = PageSink(store)
    cid = sink.add(Leaf([b"a"]))
    for _ in range(LEVELS_MAX + 1):
        cid = sink.add(Inner([cid], [], [1]))
    sink.flush()
    with pytest.raises(PageError, match=f"more than {LEVELS_MAX} levels"):
        height_of(StoredPages(store), cid)


def test_keys_chosen_to_make_an_endless_tree_are_refused() -> None:
    endless = Shape(leaf_window=1, inner_window=1)
    store = MemoryPageStore()
    sink = PageSink(store)
    root, _ = build_tree([[b"a"]], sink, endless)
    sink.flush()
    with pytest.raises(RdfError, match=f"more than {LEVELS_MAX} levels: they were chosen to"):
        updated(store, root, [b"b"], (), endless)
