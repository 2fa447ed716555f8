"""What differs between two trees, skipping what is equal: replication, audit and history are this."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from dkg.errors import PageError
from dkg.page import Inner, Leaf
from dkg.scan import LAST, child_of
from dkg.update import height_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.pages import Pages

Difference = tuple[list[bytes], list[bytes]]
"""Keys only in the old tree, keys only in the new one; both ascend."""


class _Part(NamedTuple):
    """A subtree still to be compared. It is loaded only when the other side does not have it too."""

    level: int
    low: bytes
    high: bytes
    cid: bytes  # empty for the rest of a leaf that is compared in part
    parent: Inner | None
    at: int
    rest: list[bytes]


class _Walk:
    """One side of a comparison: a stack of parts, the next on top."""

    def __init__(self, pages: Pages, root: bytes) -> None:
        self._pages = pages
        self.parts = [_Part(height_of(pages, root), b"", LAST, root, None, 0, [])]

    def open(self) -> None:
        """Put the children of the next part in its place."""
        part = self.parts.pop()
        node = self._load(part)
        if type(node) is not Inner:
            raise PageError("a tree has leaves at different depths; it was not built by these rules")
        bounds = [part.low, *node.separators, part.high]
        self.parts += [
            _Part(part.level - 1, bounds[i], bounds[i + 1], node.children[i], node, i, [])
            for i in reversed(range(len(node.children)))
        ]

    def _load(self, part: _Part) -> Leaf | Inner:
        if part.parent is None:
            return self._pages.node(part.cid)
        return child_of(self._pages, part.parent, part.at, part.low, part.high)

    def keys(self) -> list[bytes]:
        """The keys of the part on top, which is a leaf or the rest of one."""
        part = self.parts[-1]
        if not part.cid:
            return part.rest
        node = self._load(part)
        if type(node) is not Leaf:
            raise PageError("a tree has leaves at different depths; it was not built by these rules")
        return node.keys

    def take(self, keys: list[bytes], stop: bytes) -> list[bytes]:
        """Drop from the top the keys below `stop`; gives them."""
        part = self.parts.pop()
        if part.high <= stop:
            return keys
        at = bisect_left(keys, stop)
        self.parts.append(part._replace(low=stop, cid=b"", rest=keys[at:]))
        return keys[:at]

    def drain(self) -> Iterator[list[bytes]]:
        """All keys that are left."""
        while self.parts:
            if self.parts[-1].level:
                self.open()
            else:
                yield self.take(self.keys(), LAST)


def diff_trees(pages: Pages, old: bytes, new: bytes) -> Iterator[Difference]:
    """What the trees `old` and `new` do not share, a stretch at a time, in ascending order."""
    left, right = _Walk(pages, old), _Walk(pages, new)
    while left.parts and right.parts:
        a, b = left.parts[-1], right.parts[-1]
        if a.cid == b.cid and a.cid:
            left.parts.pop()
            right.parts.pop()
        elif a.level or b.level:
            if a.level >= b.level:
                left.open()
            if b.level >= a.level:
                right.open()
        else:
            stop = min(a.high, b.high)
            gone, come = left.take(left.keys(), stop), right.take(right.keys(), stop)
            both = {*gone}.intersection(come)
            if len(both) < len(gone) or len(both) < len(come):
                yield [k for k in gone if k not in both], [k for k in come if k not in both]
    # A leaf that both trees end with may be the last part of one and not of the other.
    yield from ((keys, []) for keys in left.drain())
    yield from (([], keys) for keys in right.drain())
