"""Differences of trees: those of their sets of keys, found by reading little more than what differs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.cut import LEVELS_MAX, Shape
from dkg.diff import diff_trees
from dkg.errors import PageError
from dkg.page import EMPTY_TREE, Inner, Leaf
from dkg.pages import MemoryPageStore, Pages, PageSink, RecordedPages, StoredPages
from tests.dkg.trees import SMALL_SHAPES, built, key, key_sets


def differences(pages: Pages, old: bytes, new: bytes) -> tuple[list[bytes], list[bytes]]:
    gone: list[bytes] = []
    come: list[bytes] = []
    for left, right in diff_trees(pages, old, new):
        gone += left
        come += right
    return gone, come


def two_trees(old: set[bytes], new: set[bytes], shape: Shape) -> tuple[StoredPages, bytes, bytes]:
    store, root = built(old, shape)
    other, new_root = built(new, shape)
    store.pages.update(other.pages)
    return StoredPages(store), root, new_root


@given(key_sets(), key_sets(), SMALL_SHAPES)
def test_difference_of_any_two_sets(old: set[bytes], new: set[bytes], shape: Shape) -> None:
    pages, one, other = two_trees(old, new, shape)
    assert differences(pages, one, other) == (sorted(old - new), sorted(new - old))


@given(key_sets(), key_sets(5), key_sets(5), SMALL_SHAPES)
def test_difference_of_two_sets_that_share_most(
    old: set[bytes], add: set[bytes], remove: set[bytes], shape: Shape
) -> None:
    new = (old | add) - remove
    pages, one, other = two_trees(old, new, shape)
    assert differences(pages, one, other) == (sorted(old - new), sorted(new - old))


@given(key_sets(), st.integers(0, 400), SMALL_SHAPES)
def test_difference_to_a_set_that_ends_earlier(old: set[bytes], end: int, shape: Shape) -> None:
    new = {k for k in old if k < key(end)}
    pages, one, other = two_trees(old, new, shape)
    assert differences(pages, one, other) == (sorted(old - new), [])
    assert differences(pages, other, one) == ([], sorted(old - new))


def test_equal_trees_differ_in_nothing_and_only_their_height_is_read() -> None:
    store, root = built(map(key, range(5000)))
    pages = RecordedPages(StoredPages(store), 10**6, 10**9)
    assert differences(pages, root, root) == ([], [])
    assert len(pages.read) < 10


def test_against_the_empty_tree_everything_differs() -> None:
    keys = set(map(key, range(300)))
    pages, empty, full = two_trees(set(), keys, Shape())
    assert empty == EMPTY_TREE
    assert differences(pages, empty, full) == ([], sorted(keys))


def test_one_change_in_a_large_tree_reads_a_few_pages() -> None:
    old = set(map(key, range(20_000)))
    pages, one, other = two_trees(old, old - {key(777)}, Shape())
    recorded = RecordedPages(pages, 10**6, 10**9)
    assert differences(recorded, one, other) == ([key(777)], [])
    assert len(recorded.read) <= 40


def stored_tree(*pages: Leaf | Inner) -> tuple[StoredPages, list[bytes]]:
    store = MemoryPageStore()
    sink = PageSink(store)
    cids = [sink.add(page) for page in pages]
    sink.flush()
    return StoredPages(store), cids


def test_a_tree_with_leaves_at_different_depths_is_refused() -> None:
    a, b, c = Leaf([b"a"]), Leaf([b"b"]), Leaf([b"c"])
    _, (at_a, at_b, at_c) = stored_tree(a, b, c)
    low = Inner([at_a, at_b], [b"b"], [1, 1])
    _, (at_low,) = stored_tree(low)
    deep_first = Inner([at_low, at_c], [b"c"], [2, 1])
    deep_last = Inner([at_a, at_low], [b"b"], [1, 2])
    pages, (*_, first, last) = stored_tree(a, b, c, low, deep_first, deep_last)
    for root in (first, last):
        with pytest.raises(PageError, match=r"leaves at different depths|outside the range"):
            differences(pages, root, at_c)


def test_a_child_that_holds_other_keys_than_its_parent_promises_is_refused() -> None:
    a, b = Leaf([b"a"]), Leaf([b"b"])
    _, (at_a, at_b) = stored_tree(a, b)
    swapped = Inner([at_b, at_a], [b"b"], [1, 1])
    pages, (*_, root) = stored_tree(a, b, swapped)
    with pytest.raises(PageError, match="outside the range"):
        differences(pages, root, at_a)


def test_a_tree_of_too_many_levels_is_refused() -> None:
    tower: list[Leaf | Inner] = [Leaf([b"a"])]
    for _ in range(LEVELS_MAX + 1):
        tower.append(Inner(stored_tree(tower[-1])[1], [], [1]))
    pages, cids = stored_tree(*tower)
    with pytest.raises(PageError, match=f"more than {LEVELS_MAX} levels"):
        differences(pages, cids[-1], cids[0])
