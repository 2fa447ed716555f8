"""Building trees from sorted keys, in one pass and bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.cut import FORMAT_1, LEVELS_MAX, Cutter, Shape, entry_hashes, separator
from dkg.errors import RdfError
from dkg.page import EMPTY_TREE, Inner, Leaf

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg.pages import PageSink

Entry = tuple[bytes, bytes, int]
"""A child as its parent sees it: separator to its left (empty for the first), CID, keys below it."""


class _Leaves:
    """Level 0: collects keys, hands a finished leaf to the level above."""

    def __init__(self, sink: PageSink, shape: Shape) -> None:
        self._sink = sink
        self._keys: list[bytes] = []  # from the last final cut on
        self._base = 0  # position of self._keys[0]
        self._cutter = Cutter(shape.leaf_window)
        self._parent = _Children(1, sink, shape)
        self._last = b""  # last key of the leaf before

    def extend(self, keys: list[bytes], *, last: bool = False) -> None:
        self._keys += keys
        self._cutter.feed(entry_hashes(0, keys), last=last)
        entries: list[Entry] = []
        start, own, base, add = 0, self._keys, self._base, self._sink.add
        left = self._last
        stops = [cut - base for cut in self._cutter.cuts]
        if last:
            stops.append(len(own))
        for stop in stops:
            if stop > start:
                page = Leaf(own[start:stop])
                entries.append((separator(left, own[start]) if left else b"", add(page), page.count))
                left = own[stop - 1]
                start = stop
        self._cutter.cuts.clear()
        self._last = left
        del own[:start]
        self._base += start
        if entries or last:
            self._parent.extend(entries, last=last)

    def finish(self) -> tuple[bytes, int]:
        self.extend([], last=True)
        return self._parent.root()


class _Children:
    """An inner level: like `_Leaves`, over entries; it exists only when the level below has two pages."""

    def __init__(self, level: int, sink: PageSink, shape: Shape) -> None:
        if level >= LEVELS_MAX:
            raise RdfError(f"these keys make a tree of more than {LEVELS_MAX} levels: they were chosen to")
        self._level = level
        self._sink = sink
        self._shape = shape
        self._entries: list[Entry] = []
        self._base = 0
        self._cutter = Cutter(shape.inner_window)
        self._parent: _Children | None = None

    def extend(self, entries: list[Entry], *, last: bool) -> None:
        self._entries += entries
        hashes = entry_hashes(self._level, [entry[0] for entry in entries])
        self._cutter.feed(hashes, last=last)
        cuts = self._cutter.cuts
        if self._parent is None and cuts and cuts[-1] > 0:
            self._parent = _Children(self._level + 1, self._sink, self._shape)
        stops = [cut - self._base for cut in cuts]
        cuts.clear()
        if self._parent is None:
            return
        own = self._entries
        if last:
            stops.append(len(own))
        start = 0
        above: list[Entry] = []
        for stop in stops:
            if stop > start:
                above.append(page_of(own[start:stop], self._sink))
                start = stop
        del own[:start]
        self._base += start
        self._parent.extend(above, last=last)

    def root(self) -> tuple[bytes, int]:
        if self._parent is not None:
            return self._parent.root()
        if not self._entries:
            return EMPTY_TREE, 0
        if len(self._entries) > 1:
            self._entries = [page_of(self._entries, self._sink)]
        return self._entries[0][1:]


def page_of(entries: list[Entry], sink: PageSink) -> Entry:
    """Keep an inner page of these children; gives it as its own parent sees it."""
    separators, children, counts = (list(part) for part in zip(*entries, strict=True))
    page = Inner(children, separators[1:], counts)
    return separators[0], sink.add(page), page.count


def build_tree(batches: Iterable[list[bytes]], sink: PageSink, shape: Shape = FORMAT_1) -> tuple[bytes, int]:
    """Build the tree of strictly ascending keys that come in batches; gives its root CID and its count."""
    leaves = _Leaves(sink, shape)
    for batch in batches:
        leaves.extend(batch)
    root, count = leaves.finish()
    if not count:
        sink.add(Leaf([]))
    return root, count
