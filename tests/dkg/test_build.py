"""Building: one set, one tree, whatever the batches; and no more memory than a few pages a level."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.build import _Leaves, build_tree
from dkg.cut import FORMAT_1, LEVELS_MAX, Shape
from dkg.errors import RdfError
from dkg.page import EMPTY_LEAF, EMPTY_TREE
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from dkg.scan import scan
from dkg.update import update_tree
from tests.dkg.trees import SMALL_SHAPES, built, entries_of, forged_keys, key, key_sets, levels


@given(key_sets(), SMALL_SHAPES, st.lists(st.integers(0, 150)))
def test_batches_do_not_matter(keys: set[bytes], shape: Shape, cuts: list[int]) -> None:
    ordered = sorted(keys)
    bounds = [0, *sorted(min(cut, len(ordered)) for cut in cuts), len(ordered)]
    batches = [ordered[start:stop] for start, stop in pairwise(bounds)]
    store = MemoryPageStore()
    sink = PageSink(store, batch_pages=3)
    root, count = build_tree(batches, sink, shape)
    sink.flush()
    whole, expected = built(keys, shape)
    assert (root, count) == (expected, len(keys))
    assert store.pages == whole.pages


@given(st.permutations([key(n) for n in range(30)]), SMALL_SHAPES, st.integers(1, 31))
def test_insertion_in_any_order_and_any_batches_gives_the_one_root(keys: list[bytes], shape: Shape, size: int) -> None:
    store = MemoryPageStore()
    sink = PageSink(store)
    root = EMPTY_TREE
    for start in range(0, len(keys), size):
        root = update_tree(StoredPages(store), root, set(keys[start : start + size]), set(), sink, shape)
        sink.flush()
    assert root == built(keys, shape)[1]


@given(key_sets(), SMALL_SHAPES)
def test_a_tree_holds_its_keys_and_the_store_nothing_else(keys: set[bytes], shape: Shape) -> None:
    store, root = built(keys, shape)
    pages = StoredPages(store)
    assert [key for batch in scan(pages, root) for key in batch] == sorted(keys)
    assert {cid for level in levels(pages, root) for cid in level} == store.pages.keys()


@given(st.lists(st.integers(0, 2**32 - 1), max_size=300))
def test_no_choice_of_hashes_fills_a_page_over_the_window(hashes: list[int]) -> None:
    store, root = built(forged_keys(hashes))
    pages = StoredPages(store)
    for level, cids in enumerate(levels(pages, root)):
        assert max(entries_of(pages, cid) for cid in cids) <= FORMAT_1.window(level)


@pytest.mark.parametrize("order", ["descending", "ascending", "equal"])
def test_ground_keys_make_pages_short_but_the_tree_stays_shallow(order: str) -> None:
    hashes = {"descending": range(4000, 0, -1), "ascending": range(4000), "equal": [0] * 4000}[order]
    store, root = built(forged_keys(hashes))
    found = levels(StoredPages(store), root)
    assert 3900 < len(found[0]) < 4000  # the adversary's success: a page for nearly every key
    assert len(found) <= 8  # and its limit: SHA-256 groups them by 4.5 on average a level


def test_the_empty_tree_is_one_page() -> None:
    store, root = built([])
    assert root == EMPTY_TREE
    assert store.pages == {EMPTY_TREE: EMPTY_LEAF}


def test_one_key_is_one_page() -> None:
    store, root = built([b"a"])
    assert list(store.pages) == [root]


def test_building_keeps_only_the_unfinished_end_of_a_level() -> None:
    leaves = _Leaves(PageSink(MemoryPageStore()), FORMAT_1)
    for number in range(3000):
        leaves.extend([b"%06d" % number])
        assert len(leaves._keys) <= 2 * FORMAT_1.leaf_window
        assert len(leaves._parent._entries) <= 2 * FORMAT_1.leaf_window


def test_keys_chosen_to_make_an_endless_tree_are_refused() -> None:
    # With a window of one, every entry of every level is a page: what an adversary would grind for.
    endless = Shape(leaf_window=1, inner_window=1)
    with pytest.raises(RdfError, match=f"more than {LEVELS_MAX} levels: they were chosen to"):
        built([b"a", b"b"], endless)
