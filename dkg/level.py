"""Reading one level of a tree, page by page, as `dkg.update` does: from left to right, with looks to either side."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.cut import entry_hashes
from dkg.errors import PageError
from dkg.page import Inner, Leaf
from dkg.scan import LAST, child_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.build import Entry
    from dkg.pages import Pages

_SEEN_MAX: Final = 64  # pages kept at hand: what lies to either side is asked for again


class OldPage:
    """A page of a level as it was: its items, and where it belongs."""

    __slots__ = ("cid", "high", "keys", "level", "low", "node")

    def __init__(self, node: Leaf | Inner, level: int, cid: bytes, low: bytes, high: bytes) -> None:
        self.node = node
        self.level = level
        self.cid = cid
        self.low = low  # separator to its left, empty for the first
        self.high = high  # separator to its right
        # Keys of a leaf, or separators to the left of children, `low` for the first.
        self.keys = node.keys if type(node) is Leaf else [low, *node.separators]  # type: ignore[union-attr]

    @property
    def count(self) -> int:
        """Keys of the tree below it."""
        return self.node.count

    @property
    def entries(self) -> list[Entry] | None:
        """The children of an inner page."""
        node = self.node
        return list(zip(self.keys, node.children, node.counts, strict=True)) if type(node) is Inner else None

    @property
    def hashes(self) -> list[int]:
        """Of its keys."""
        node = self.node
        if type(node) is not Leaf:
            return entry_hashes(self.level, self.keys)
        if node.hashes is None:
            node.hashes = entry_hashes(0, node.keys)
        return node.hashes


class Side(NamedTuple):
    """What is known of the leaf next to a leaf without reading it, if its parent is the same."""

    low: bytes
    high: bytes
    size: int


class _Step(NamedTuple):
    """A page on the way from the root to the page where the finger is."""

    node: Leaf | Inner
    cid: bytes
    low: bytes
    high: bytes
    at: int  # which child of the step above


class Level:
    """Pages of one level of a tree. A finger: what lies near the page read last is reached in few steps."""

    def __init__(self, pages: Pages, root: bytes, depth: int, level: int) -> None:
        """`depth`: steps from the root down to this level."""
        self._pages = pages
        self._depth = depth
        self._level = level
        self._path = [_Step(pages.node(root), root, b"", LAST, 0)]
        self._seen: dict[bytes, OldPage] = {}

    def at(self, key: bytes) -> OldPage:
        """The page of this level in whose range `key` lies."""
        path = self._path
        while len(path) > 1 and not path[-1].low <= key < path[-1].high:
            path.pop()
        return self._down(key, bisect_right)

    def before(self, page: OldPage) -> OldPage | None:
        """The page to the left."""
        key, path = page.low, self._path
        if not key:
            return None
        while len(path) > 1 and not path[-1].low < key <= path[-1].high:
            path.pop()
        return self._down(key, bisect_left)

    def after(self, page: OldPage) -> OldPage | None:
        """The page to the right."""
        return self.at(page.high) if page.high != LAST else None

    def _down(self, key: bytes, find: Callable[[list[bytes], bytes], int]) -> OldPage:
        path = self._path
        while len(path) <= self._depth:
            node, _, low, high, _ = path[-1]
            if type(node) is not Inner:
                raise PageError("a tree has leaves at different depths; it was not built by these rules")
            at = find(node.separators, key)
            low = node.separators[at - 1] if at else low
            high = node.separators[at] if at < len(node.separators) else high
            path.append(_Step(child_of(self._pages, node, at, low, high), node.children[at], low, high, at))
        return self._page(path[-1])

    def _page(self, step: _Step) -> OldPage:
        page = self._seen.get(step.low)
        if page is None:
            if len(self._seen) >= _SEEN_MAX:
                self._seen.clear()
            if type(step.node) is Leaf and self._level:
                raise PageError("a tree has leaves at different depths; it was not built by these rules")
            page = self._seen[step.low] = OldPage(step.node, self._level, step.cid, step.low, step.high)
        return page

    def sides(self, page: OldPage) -> tuple[Side | None, Side | None]:
        """The leaves to the left and to the right of a leaf; None where there is none."""
        self.at(page.low)
        step = self._path[-1]
        parent = self._path[-2].node if self._depth else None
        left = right = None
        if type(parent) is Inner and step.at:
            low = parent.separators[step.at - 2] if step.at > 1 else self._path[-2].low
            left = Side(low, page.low, parent.counts[step.at - 1])
        if type(parent) is Inner and step.at < len(parent.separators):
            last = step.at + 1 == len(parent.separators)
            high = self._path[-2].high if last else parent.separators[step.at + 1]
            right = Side(page.high, high, parent.counts[step.at + 1])
        return left or _side(self.before(page)), right or _side(self.after(page))


def _side(page: OldPage | None) -> Side | None:
    return None if page is None else Side(page.low, page.high, len(page.keys))
