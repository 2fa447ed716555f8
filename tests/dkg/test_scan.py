"""Reading trees: ranges, counts and positions, and trees that break a promise to their reader."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.cut import LEVELS_MAX, Shape
from dkg.errors import MissingPageError, PageError
from dkg.page import DatasetRoot, Inner, Leaf
from dkg.pages import MemoryPageStore, PageSink, ProvedPages, RecordedPages, StoredPages
from dkg.scan import LAST, Cursor, count_range, nth_key, prefix_end, scan
from tests.dkg.trees import SMALL_SHAPES, built, key, key_sets

if TYPE_CHECKING:
    from collections.abc import Callable

BOUNDS = st.integers(0, 400).map(key) | st.binary(max_size=3).filter(lambda b: b < LAST) | st.just(LAST)


def keys_between(pages: StoredPages | RecordedPages, root: bytes, low: bytes, high: bytes) -> list[bytes]:
    return [key for batch in scan(pages, root, low, high) for key in batch]


@given(key_sets(), SMALL_SHAPES, BOUNDS, BOUNDS)
def test_a_range_holds_the_keys_between_its_bounds(keys: set[bytes], shape: Shape, low: bytes, high: bytes) -> None:
    store, root = built(keys, shape)
    pages = StoredPages(store)
    expected = [k for k in sorted(keys) if low <= k < high]
    assert keys_between(pages, root, low, high) == expected
    assert count_range(pages, root, low, high) == len(expected)


@given(key_sets(), SMALL_SHAPES)
def test_every_position_and_every_rank(keys: set[bytes], shape: Shape) -> None:
    store, root = built(keys, shape)
    pages, ordered = StoredPages(store), sorted(keys)
    assert [nth_key(pages, root, at) for at in range(len(ordered))] == ordered
    cursor = Cursor(pages, root)
    assert [cursor.rank(k) for k in ordered] == list(range(len(ordered)))
    assert cursor.count == len(ordered)


@pytest.mark.parametrize("at", [-1, 3])
def test_there_is_no_entry_before_the_first_or_after_the_last(at: int) -> None:
    store, root = built([b"a", b"b", b"c"])
    with pytest.raises(IndexError, match=f"no entry {at}: the tree has 3"):
        nth_key(StoredPages(store), root, at)


@given(key_sets(), SMALL_SHAPES, st.lists(st.integers(0, 400), max_size=30))
def test_a_cursor_gives_ascending_ranges_and_reads_no_page_twice(
    keys: set[bytes], shape: Shape, asked: list[int]
) -> None:
    store, root = built(keys, shape)
    seen: list[bytes] = []

    class Counted(StoredPages):
        def page(self, cid: bytes) -> Leaf | Inner | DatasetRoot:
            seen.append(cid)
            return super().page(cid)

    cursor = Cursor(Counted(store), root)
    ordered = sorted(keys)
    for low in sorted(map(key, asked)):
        high = prefix_end(low)
        found = [k for batch in cursor.batches(low, high) for k in batch]
        assert found == ordered[bisect_left(ordered, low) : bisect_left(ordered, high)]
    assert len(seen) == len(set(seen))


def test_counting_a_large_range_reads_its_two_edges() -> None:
    store, root = built(map(key, range(20_000)))
    pages = RecordedPages(StoredPages(store), 10**6, 10**9)
    low, high = key(2), key(9)
    assert count_range(pages, root, low, high) == len(keys_between(StoredPages(store), root, low, high)) > 7000
    assert len(pages.read) <= 16


def test_the_end_of_a_prefix_comes_after_every_key_with_it() -> None:
    prefix = b"<http://example.org/a>\0"
    assert prefix < prefix + b"\xff" * 9 < prefix_end(prefix) < b"<http://example.org/a>\x01\0"
    assert prefix_end(b"") == LAST


# --- trees that break a promise -----------------------------------------------------------------------------------


def tree(*pages: Leaf | Inner | DatasetRoot) -> tuple[StoredPages, bytes]:
    """Pages in a store, and the CID of the last."""
    store = MemoryPageStore()
    sink = PageSink(store)
    cids = [sink.add(page) for page in pages]
    sink.flush()
    return StoredPages(store), cids[-1]


def parent(leaves: list[Leaf], separators: list[bytes], counts: list[int]) -> tuple[StoredPages, bytes]:
    return tree(*leaves, Inner([tree(leaf)[1] for leaf in leaves], separators, counts))


READERS: dict[str, Callable[[StoredPages, bytes], object]] = {
    "scan": lambda pages, root: list(scan(pages, root)),
    "count": lambda pages, root: count_range(pages, root, b"a", b"bb"),
    "position": lambda pages, root: [nth_key(pages, root, at) for at in range(2)],
}
each_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


@each_reader
def test_the_honest_twin_of_the_trees_below_is_read(read: Callable[[StoredPages, bytes], object]) -> None:
    assert read(*parent([Leaf([b"a"]), Leaf([b"b"])], [b"b"], [1, 1]))


@each_reader
@pytest.mark.parametrize("counts", [[2, 1], [1, 2]])
def test_a_parent_that_lies_about_a_count_is_refused(
    read: Callable[[StoredPages, bytes], object], counts: list[int]
) -> None:
    with pytest.raises(PageError, match="keys below it, its parent says"):
        read(*parent([Leaf([b"a"]), Leaf([b"b"])], [b"b"], counts))


@each_reader
def test_a_key_below_its_separator_is_refused(read: Callable[[StoredPages, bytes], object]) -> None:
    with pytest.raises(PageError, match="outside the range"):
        read(*parent([Leaf([b"a"]), Leaf([b"aa"])], [b"b"], [1, 1]))


@each_reader
def test_a_key_at_or_after_the_next_separator_is_refused(read: Callable[[StoredPages, bytes], object]) -> None:
    with pytest.raises(PageError, match="outside the range"):
        read(*parent([Leaf([b"b"]), Leaf([b"bb"])], [b"b"], [1, 1]))


@each_reader
def test_an_empty_leaf_below_a_parent_is_refused(read: Callable[[StoredPages, bytes], object]) -> None:
    with pytest.raises(PageError, match="0 keys below it, its parent says 1"):
        read(*parent([Leaf([]), Leaf([b"b"])], [b"b"], [1, 1]))


@each_reader
def test_a_dataset_root_in_place_of_a_page_is_refused(read: Callable[[StoredPages, bytes], object]) -> None:
    nested = DatasetRoot([tree(Leaf([]))[1]] * 4, 0)
    with pytest.raises(PageError, match="is a dataset root where a page of a tree belongs"):
        read(*tree(nested))


@each_reader
def test_a_tower_of_pages_is_refused_at_the_limit_of_levels(read: Callable[[StoredPages, bytes], object]) -> None:
    pages: list[Leaf | Inner | DatasetRoot] = [Leaf([b"a", b"b"])]
    for _ in range(LEVELS_MAX + 1):
        pages.append(Inner([tree(pages[-1])[1]], [], [2]))
    with pytest.raises(PageError, match=f"more than {LEVELS_MAX} levels"):
        read(*tree(*pages))


def test_a_leaf_in_place_of_a_dataset_root_is_refused() -> None:
    pages, cid = tree(Leaf([b"a"]))
    with pytest.raises(PageError, match="is not a dataset root"):
        pages.root(cid)


def test_a_page_that_a_proof_lacks_is_no_empty_range() -> None:
    store, root = built(map(key, range(500)))
    honest = store.pages
    for lacking in honest:
        pages = ProvedPages({cid: raw for cid, raw in honest.items() if cid != lacking})
        with pytest.raises(MissingPageError, match="the proof lacks page"):
            list(scan(pages, root))


@each_reader
def test_an_inner_page_whose_first_child_can_hold_nothing_is_refused(
    read: Callable[[StoredPages, bytes], object],
) -> None:
    low = Inner([tree(Leaf([b"a"]))[1], tree(Leaf([b"b"]))[1]], [b"b"], [1, 1])
    right = Inner([tree(Leaf([b"bb"]))[1], tree(Leaf([b"bb"]))[1]], [b"bb"], [1, 1])
    pages, root = tree(
        *(Leaf([key]) for key in (b"a", b"b", b"bb")),
        low,
        right,
        Inner([tree(low)[1], tree(right)[1]], [b"bb"], [2, 2]),
    )
    with pytest.raises(PageError, match="outside the range"):
        [read(pages, root), list(scan(pages, root))]


@pytest.mark.parametrize("read", [READERS["scan"], lambda pages, root: Cursor(pages, root).leaf(b"a")])
def test_keys_beyond_all_quads_are_refused(read: Callable[[StoredPages, bytes], object]) -> None:
    with pytest.raises(PageError, match="beyond"):
        read(*tree(Leaf([b"a", b"\xff"])))
