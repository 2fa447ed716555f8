"""Gathering: reading key ranges of a dataset's indexes and remembering what was read.

What is gathered is what the engine gets to see, in two heaps: triples for the default graph, quads for named
graphs. A key that is not a quad in normal form is ignored here, on every side (DESIGN section 5).
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from dkg.errors import BudgetError, MissingPageError, PageError
from dkg.page import ORDERS, cid_text
from dkg.scan import LAST, Cursor, count_range, prefix_end
from dkg.terms import keys_are_quads, quads_only

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.page import Leaf
    from dkg.pages import Pages


KEYS_PER_PAGE: Final = 20
"""Keys of an average leaf, for estimates."""


_FEW: Final = 3
_ONCE: Final = "some"


class Gather:
    """Reads ranges of one dataset and keeps what it read. `keys_max`: most keys it may gather."""

    counts_once = True
    """Whether `count` counts each quad once. Otherwise it may count some more often: an estimate."""

    def __init__(self, pages: Pages, root: bytes, keys_max: int) -> None:
        self.dataset = pages.root(root)
        self.root = root
        self.pages = pages
        self._keys_max = keys_max
        self._cursors: dict[str, Cursor] = {}
        self._ranges: dict[tuple[bool, str, bytes, bytes, frozenset[bytes] | None], list[bytes]] = {}
        self.reading: tuple[str, bytes, bytes] | None = None
        """The range that is being read: index, low, high."""
        self.size = 0

    def cursor(self, order: str, allowed: frozenset[bytes] | None = None) -> Cursor:  # noqa: ARG002 - for `dkg.joint`
        """The finger into one index; its count must be the dataset's. Only keys of graphs in `allowed` are wanted."""
        cursor = self._cursors.get(order)
        if cursor is None:
            cursor = Cursor(self.pages, self.dataset.trees[ORDERS.index(order)])
            if cursor.count != self.dataset.count:
                raise PageError(
                    f"index {order} of dataset {cid_text(self.root)} has {cursor.count} keys, "
                    f"the dataset says {self.dataset.count}"
                )
            self._cursors[order] = cursor
        return cursor

    def count(self, order: str, low: bytes, high: bytes) -> int:
        """How many keys a range has, from the counts on its edges; nothing is gathered."""
        cursor = self.cursor(order)
        if not low and high == LAST:
            return cursor.count
        return cursor.rank(high) - cursor.rank(low) if low < high else 0

    def take(
        self, order: str, low: bytes, high: bytes, *, named: bool, allowed: frozenset[bytes] | None = None
    ) -> list[bytes]:
        """Gather a range; gives its keys. Only graphs of `allowed` (components) count, all if None."""
        name = (named, order, low, high, allowed)
        known = self._ranges.get(name)
        if known is not None:
            return known
        self.reading = (order, low, high)
        batches = list(self._batches(order, low, high, allowed))
        keys = batches[0] if len(batches) == 1 else [key for batch in batches for key in batch]
        self._ranges[name] = keys
        self._add(len(keys))
        return keys

    def probe(
        self, order: str, prefixes: list[bytes], *, named: bool, allowed: frozenset[bytes] | None = None
    ) -> list[list[bytes]]:
        """Gather the ranges of prefixes that ascend; gives the keys of each. Like `take` for each, and faster."""
        self.reading = (order, prefixes[0], prefix_end(prefixes[-1]))
        find, quads = self.cursor(order, allowed).leaf, self._quads
        found: list[list[bytes]] = []
        gathered: list[bytes] = []
        leaf, end = find(prefixes[0])
        for prefix in prefixes:
            high = prefix_end(prefix)
            if prefix >= end:
                leaf, end = find(prefix)
            keys = leaf.keys
            first = bisect_left(keys, prefix)
            batch = keys[first : bisect_left(keys, high, first)]
            if batch:
                batch = quads(leaf, order, batch)
            while end < high:
                leaf, end = find(end)
                more = leaf.keys[: bisect_left(leaf.keys, high)]
                batch = batch + quads(leaf, order, more) if more else batch
            if allowed is not None and batch:
                batch = [key for key in batch if _graph(key, order) in allowed]
            found.append(batch)
            gathered += batch
            if len(gathered) + self.size > self._keys_max:
                break
        name = (named, order, prefixes[0], prefixes[-1] + b"\0%d" % len(self._ranges), allowed)
        self._ranges[name] = gathered
        self._add(len(gathered))
        return found

    def stream(
        self, order: str, low: bytes, high: bytes, *, named: bool, allowed: frozenset[bytes] | None = None
    ) -> Iterator[list[bytes]]:
        """Gather a range a leaf at a time, no further than it is consumed."""
        keys = self._ranges.setdefault((named, order, low, high + b"\0", allowed), [])
        self.reading = (order, low, high)
        for batch in self._batches(order, low, high, allowed):
            keys += batch
            self._add(len(batch))
            yield batch

    def some(
        self, order: str, low: bytes, high: bytes, *, named: bool, allowed: frozenset[bytes] | None = None
    ) -> bytes | None:
        """Gather the first quad of a range, if there is one, and give its key."""
        for batch in self._batches(order, low, high, allowed):
            key = batch[0]
            name = (named, order, key, key, None)
            if name not in self._ranges:
                self._ranges[name] = [key]
                self._add(1)
            return key
        return None

    def peek(self, order: str, low: bytes, high: bytes) -> bytes | None:
        """The first quad of a range, not gathered."""
        return next((batch[0] for batch in self._batches(order, low, high, None)), None)

    def remaining_estimate(self) -> str:
        """What the range that was being read when a budget ran out would have cost, as a sentence; empty if unknown."""
        if self.reading is None:
            return ""
        order, low, high = self.reading
        try:
            keys = self.count_unlimited(order, low, min(high, LAST))
        except MissingPageError:  # the pages at hand are those of a proof, which need not have the range's edges
            return ""
        return (
            f"The range it was reading has {keys} quads on about {keys // KEYS_PER_PAGE + 1} pages, "
            f"after {self.size} quads read before."
        )

    def count_unlimited(self, order: str, low: bytes, high: bytes) -> int:
        """Like `count`, with no budget on the pages that are read."""
        return count_range(self.pages.unlimited(), self.dataset.trees[ORDERS.index(order)], low, high)

    def graphs(self) -> Iterator[bytes]:
        """Gather one quad of each graph, as a quad of a named graph; gives the graphs' components."""
        low = b""
        while (key := self.some("gspo", low, LAST, named=True)) is not None:
            graph = key.split(b"\0", 1)[0]
            yield graph
            low = prefix_end(graph + b"\0")

    def _add(self, keys: int) -> None:
        self.size += keys
        if self.size > self._keys_max:
            raise BudgetError(
                f"the query touches more than the {self._keys_max} quads that its budget allows; "
                "make it more selective or raise `quads`"
            )

    def _batches(self, order: str, low: bytes, high: bytes, allowed: frozenset[bytes] | None) -> Iterator[list[bytes]]:
        cursor = self.cursor(order, allowed)
        key = low
        while key < high:
            leaf, end = cursor.leaf(key)
            keys = leaf.keys
            first = bisect_left(keys, key)
            last = bisect_left(keys, high, first) if end > high else len(keys)
            if first < last:
                batch = self._quads(leaf, order, keys[first:last])
                if allowed is not None:
                    batch = [key for key in batch if _graph(key, order) in allowed]
                if batch:
                    yield batch
            key = end

    @staticmethod
    def _quads(leaf: Leaf, order: str, keys: list[bytes]) -> list[bytes]:
        """Those of some keys of a leaf that are quads."""
        if leaf.checked_order == order:
            return keys
        if leaf.checked_order or len(keys) * _FEW > len(leaf.keys):
            if keys_are_quads(leaf.keys, order):
                leaf.checked_order = order
                return keys
        elif keys_are_quads(keys, order):  # few keys of a leaf: the rest is looked at when it is asked for again
            leaf.checked_order = _ONCE
            return keys
        return quads_only(keys, order)

    def gathered(self, seen: dict[object, int], *, named: bool) -> Iterator[tuple[str, list[bytes]]]:
        """The keys gathered for the default graph or for named graphs: each range's index and its keys.

        `seen` remembers how many keys of each range were given: with the same one, a later call gives what came since.
        """
        for name, keys in list(self._ranges.items()):
            known = seen.get(name, 0)
            if name[0] is named and known < len(keys):
                seen[name] = len(keys)
                yield name[1], keys[known:]

    def text(self) -> tuple[bytes, bytes]:
        """What was gathered: N-Triples of the default graph and N-Quads of the named graphs."""
        heaps: tuple[dict[str, list[bytes]], dict[str, list[bytes]]] = ({}, {})
        for (named, order, *_), keys in self._ranges.items():
            heaps[named].setdefault(order, []).extend(keys)
        default = [_triples(order, keys) for order, keys in heaps[0].items()]
        return b"".join(default), b"".join(_quads(order, keys) for order, keys in heaps[1].items())

    def named_graphs(self) -> list[bytes]:
        """The graphs of what was gathered for GRAPH, in byte order."""
        keys = ((order, key) for (named, order, *_), found in self._ranges.items() if named for key in found)
        return sorted({_graph(key, order) for order, key in keys})

    def graphs_gathered(self) -> set[bytes]:
        """The graphs, as components, of all that was gathered."""
        return {_graph(key, order) for (_, order, *_), found in self._ranges.items() for key in found}


def graph_range(component: bytes) -> tuple[bytes, bytes]:
    """The range of a graph in index gspo."""
    low = component + b"\0"
    return low, prefix_end(low)


def _graph(key: bytes, order: str) -> bytes:
    return key.split(b"\0", 1)[0] if order == "gspo" else key[:-1].rsplit(b"\0", 1)[1]


def _split(order: str, key: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    a, b, c, d, _ = key.split(b"\0")
    if order == "spog":
        s, p, o, g = a, b, c, d
    elif order == "posg":
        p, o, s, g = a, b, c, d
    elif order == "ospg":
        o, s, p, g = a, b, c, d
    else:
        g, s, p, o = a, b, c, d
    return s, p, (o[10:] if o[0] < 0x20 else o), g  # noqa: PLR2004 - the tags of dkg.terms


def _triples(order: str, keys: list[bytes]) -> bytes:
    lines = []
    for key in dict.fromkeys(keys):
        s, p, o, _ = _split(order, key)
        lines.append(s + b" " + p + b" " + o + b" .\n")
    return b"".join(lines)


def _quads(order: str, keys: list[bytes]) -> bytes:
    lines = []
    for key in dict.fromkeys(keys):
        s, p, o, g = _split(order, key)
        lines.append(s + b" " + p + b" " + o + b" " + g + b" .\n")
    return b"".join(lines)
