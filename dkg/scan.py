"""Reading a tree: ranges, counts, the n-th key. Everything goes through `Pages`, page by page.

A parent promises that the keys below child i lie between separators i - 1 and i and number n[i]. A child that
breaks the promise is a `PageError`: otherwise two readers that take different ways to a key could disagree.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from dkg.cut import LEVELS_MAX
from dkg.errors import PageError
from dkg.page import Inner, Leaf, cid_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.pages import Pages

LAST = b"\xff"
"""After every key: the first byte of a key is below 0xFF."""


def prefix_end(prefix: bytes) -> bytes:
    """The end of the range of keys that start with `prefix`, which ends with a component's terminator."""
    return prefix[:-1] + b"\x01" if prefix else LAST


def child_of(pages: Pages, parent: Inner, at: int, low: bytes, high: bytes) -> Leaf | Inner:
    """Child `at`, checked against what its parent and the bounds above promise of it."""
    node = pages.node(parent.children[at])
    if node.count != parent.counts[at]:
        raise PageError(
            f"page {cid_text(parent.children[at])} has {node.count} keys below it, its parent says {parent.counts[at]}"
        )
    keys = node.keys if type(node) is Leaf else node.separators  # type: ignore[union-attr]  # it is Inner then
    if keys and (keys[0] < low or keys[-1] >= high or (keys[0] == low and type(node) is Inner)):
        raise PageError(f"page {cid_text(parent.children[at])} has keys outside the range its parent gives it")
    return node


def root_of(pages: Pages, root: bytes) -> Leaf | Inner:
    """The root of a tree, checked like a child of nobody."""
    node = pages.node(root)
    keys = node.keys if type(node) is Leaf else node.separators  # type: ignore[union-attr]  # it is Inner then
    if keys and keys[-1] >= LAST:
        raise PageError(f"page {cid_text(root)} has keys beyond those that quads can have")
    return node


class Cursor:
    """A finger into a tree: ranges asked for in ascending order read each page once and descend little."""

    def __init__(self, pages: Pages, root: bytes) -> None:
        self._pages = pages
        node = root_of(pages, root)
        self.count = node.count
        # One entry a level: node, low bound, high bound.
        self._path: list[tuple[Leaf | Inner, bytes, bytes]] = [(node, b"", LAST)]

    def leaf(self, key: bytes) -> tuple[Leaf, bytes]:
        """The leaf where `key` belongs, and the end of that leaf's range."""
        path = self._path
        while len(path) > 1 and not path[-1][1] <= key < path[-1][2]:
            path.pop()
        node, low, high = path[-1]
        while type(node) is Inner:
            separators = node.separators
            at = bisect_right(separators, key)
            if at:
                low = separators[at - 1]
            if at < len(separators):
                high = separators[at]
            node = child_of(self._pages, node, at, low, high)
            path.append((node, low, high))
            if len(path) > LEVELS_MAX:
                raise PageError(f"a tree has more than {LEVELS_MAX} levels")
        return node, high  # type: ignore[return-value]  # the loop ends at a leaf

    def batches(self, low: bytes, high: bytes) -> Iterator[list[bytes]]:
        """The keys from `low` (included) to `high` (excluded), leaf by leaf, in order."""
        key = low
        while key < high:
            leaf, end = self.leaf(key)
            keys = leaf.keys
            first = bisect_left(keys, key) if keys and keys[0] < key else 0
            last = bisect_left(keys, high, first) if end > high else len(keys)
            if first < last:
                yield keys[first:last]
            key = end

    def rank(self, key: bytes) -> int:
        """How many keys of the tree are smaller than `key`."""
        node, low, high = self._path[0]
        rank = 0
        for _ in range(LEVELS_MAX):
            if type(node) is Leaf:
                return rank + bisect_left(node.keys, key)
            separators = node.separators  # type: ignore[union-attr]  # it is Inner
            at = bisect_right(separators, key)
            rank += sum(node.counts[:at])  # type: ignore[union-attr]
            if at:
                low = separators[at - 1]
                if low == key:
                    return rank
            if at < len(separators):
                high = separators[at]
            node = child_of(self._pages, node, at, low, high)  # type: ignore[arg-type]
        raise PageError(f"a tree has more than {LEVELS_MAX} levels")


def scan(pages: Pages, root: bytes, low: bytes = b"", high: bytes = LAST) -> Iterator[list[bytes]]:
    """The keys of a range, in order, a leaf at a time."""
    return Cursor(pages, root).batches(low, high)


def count_range(pages: Pages, root: bytes, low: bytes, high: bytes) -> int:
    """How many keys a range has, from the counts in the pages on its two edges."""
    cursor = Cursor(pages, root)
    return cursor.rank(high) - cursor.rank(low) if low < high else 0


def nth_key(pages: Pages, root: bytes, at: int) -> bytes:
    """The key at position `at`, from 0. Raises `IndexError` outside the tree."""
    node = pages.node(root)
    if not 0 <= at < node.count:
        raise IndexError(f"there is no entry {at}: the tree has {node.count}")
    low, high = b"", LAST
    for _ in range(LEVELS_MAX):
        if type(node) is Leaf:
            return node.keys[at]
        child = 0
        while at >= node.counts[child]:  # type: ignore[union-attr]  # it is Inner
            at -= node.counts[child]  # type: ignore[union-attr]
            child += 1
        separators = node.separators  # type: ignore[union-attr]
        low = separators[child - 1] if child else low
        high = separators[child] if child < len(separators) else high
        node = child_of(pages, node, child, low, high)  # type: ignore[arg-type]
    raise PageError(f"a tree has more than {LEVELS_MAX} levels")
