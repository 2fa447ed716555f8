"""One graph of a dataset, read from the index that is sorted by graphs: what it holds, and what changed in it.

The quads of a graph are one stretch of the tree `gspo`. Only the pages of that stretch are read, and the pages above
them, however large the rest of the dataset is.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from dkg.errors import LimitError, PageError
from dkg.normal import shown
from dkg.page import ORDERS, Inner, Leaf
from dkg.scan import LAST, child_of, count_range, prefix_end, root_of, scan
from dkg.terms import keys_are_quads, quad_of, quads_only
from dkg.update import height_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.pages import Pages
    from dkg.terms import Quad

_ORDER = "gspo"


def quads_of_graph(pages: Pages, root: bytes | None, graph: bytes, quads_max: int) -> frozenset[Quad]:
    """The quads of a graph (its name is a term) in the dataset `root`; None is the dataset before the first commit.

    Raises `LimitError` if there are more than `quads_max`, and what reading pages raises.
    """
    if root is None:
        return frozenset()
    tree, (low, high) = _tree(pages, root), _range(graph)
    count = count_range(pages, tree, low, high)
    if count > quads_max:
        raise LimitError(f"the graph {shown(graph)} has {count} quads; {quads_max} is the most")
    return frozenset(quad for keys in scan(pages, tree, low, high) for quad in _quads(keys))


def has_graph(pages: Pages, root: bytes, graph: bytes) -> bool:
    """Whether a dataset has a key in a graph."""
    return count_range(pages, _tree(pages, root), *_range(graph)) > 0


def graph_names(pages: Pages, root: bytes) -> Iterator[bytes]:
    """The graphs of a dataset, as terms, in order; each costs a few pages."""
    tree, low = _tree(pages, root), b""
    while True:
        key = next(
            (key for keys in scan(pages, tree, low, LAST) for key in keys if keys_are_quads([key], _ORDER)), None
        )
        if key is None:
            return
        graph = quad_of(key, _ORDER)[3]
        yield graph
        low = prefix_end(graph + b"\0")


def diff_graph(pages: Pages, old: bytes | None, new: bytes, graph: bytes) -> tuple[frozenset[Quad], frozenset[Quad]]:
    """The quads of a graph that went, and those that came, from one dataset to another (None: from the empty one).

    Pages that the two datasets share are not read, nor is what is below them.
    """
    one, other = old and _tree(pages, old), _tree(pages, new)
    if one == other:
        return frozenset(), frozenset()
    left, right = _Side(pages, one, *_range(graph)), _Side(pages, other, *_range(graph))
    while True:
        for cid in left.parts.keys() & right.parts.keys():
            del left.parts[cid], right.parts[cid]
        level = max((side.level for side in (left, right) if side.parts), default=0)
        if not level:
            break
        for side in (left, right):
            if side.level == level:
                side.open()
    gone, come = left.keys(), right.keys()
    return frozenset(_quads(sorted(gone - come))), frozenset(_quads(sorted(come - gone)))


class _Part(NamedTuple):
    """A subtree that may hold keys of the stretch, not loaded yet."""

    parent: Inner | None
    at: int
    low: bytes
    high: bytes


class _Side:
    """One of two trees that are compared level by level: its subtrees of one level, by CID."""

    def __init__(self, pages: Pages, tree: bytes | None, low: bytes, high: bytes) -> None:
        self._pages = pages
        self._low = low
        self._high = high
        self.level = height_of(pages, tree) if tree else 0
        self.parts = {tree: _Part(None, 0, b"", LAST)} if tree else {}

    def open(self) -> None:
        """Go one level down, to those children that reach into the stretch."""
        opened: dict[bytes, _Part] = {}
        for cid, part in self.parts.items():
            node = self._load(cid, part)
            if type(node) is not Inner:
                raise PageError("a tree has leaves at different depths; it was not built by these rules")
            bounds = [part.low, *node.separators, part.high]
            for at, child in enumerate(node.children):
                if bounds[at] < self._high and self._low < bounds[at + 1]:
                    opened[child] = _Part(node, at, bounds[at], bounds[at + 1])
        self.parts = opened
        self.level -= 1

    def keys(self) -> set[bytes]:
        """The keys of the stretch, once all parts are leaves."""
        found: set[bytes] = set()
        for cid, part in self.parts.items():
            node = self._load(cid, part)
            if type(node) is not Leaf:
                raise PageError("a tree has leaves at different depths; it was not built by these rules")
            found.update(node.keys[bisect_left(node.keys, self._low) : bisect_left(node.keys, self._high)])
        return found

    def _load(self, cid: bytes, part: _Part) -> Leaf | Inner:
        if part.parent is None:
            return root_of(self._pages, cid)
        return child_of(self._pages, part.parent, part.at, part.low, part.high)


def _tree(pages: Pages, root: bytes) -> bytes:
    return pages.root(root).trees[ORDERS.index(_ORDER)]


def _range(graph: bytes) -> tuple[bytes, bytes]:
    prefix = graph + b"\0"
    return prefix, prefix_end(prefix)


def _quads(keys: list[bytes]) -> list[Quad]:
    """The quads of keys; a key that is no quad is none (DESIGN section 5)."""
    good = keys if keys_are_quads(keys, _ORDER) else quads_only(keys, _ORDER)
    return [quad_of(key, _ORDER) for key in good]
