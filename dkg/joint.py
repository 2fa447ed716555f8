"""SPARQL over several datasets at once, as if their union had been built.

A union of datasets is the set of all their quads. Its four indexes need not be built to be read: the keys of a range
are those of all datasets in that range. `JointGather` gives evaluation these, so all that docs/soundness.md says of
coverage holds for the union. Of each dataset only those keys count whose graphs `Graphs` says. Counts differ: a quad
that is in two datasets counts twice, and one that does not count is counted; so they serve to choose an order, and no
COUNT is answered from them.

What is read, and in which order, is a function of the query, the datasets and what counts of them.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.errors import ProofError, StoreError
from dkg.gather import Gather
from dkg.limits import KEY_BYTES_MAX
from dkg.page import DatasetRoot, Leaf
from dkg.scan import LAST, Cursor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_GRAPH_FIRST: Final = "gspo"


class PartError(Exception):
    """The pages of one dataset of a union cannot be read. `at`: its place among them; the reason is the cause."""

    def __init__(self, at: int, reason: ProofError | StoreError) -> None:
        super().__init__(f"dataset {at} of a union cannot be read: {reason}")
        self.at = at
        self.reason = reason


class Graphs:
    """Which graphs of a dataset count, by their names as components. These are all; subclasses say others."""

    low: bytes = b""
    """No key of index gspo that counts is less than this."""
    high: bytes = LAST
    """Nor is one at least this."""

    def counts(self, graph: bytes) -> bool:
        """Whether what stands in a graph counts."""
        return self.low <= graph < self.high

    def resume(self, key: bytes) -> bytes:
        """Where in index gspo, from `key` on, the first key may be that counts."""
        return max(key, self.low) if key < self.high else LAST


class GraphsWithin(Graphs):
    """Those whose names begin with a prefix."""

    def __init__(self, prefix: bytes) -> None:
        self.low, self.high = prefix, _after(prefix)


class GraphsBeside(Graphs):
    """Those whose names begin with none of some prefixes, which are all of one length."""

    def __init__(self, prefixes: Iterable[bytes]) -> None:
        self._prefixes = frozenset(prefixes)
        (self._length,) = {len(prefix) for prefix in self._prefixes}

    def counts(self, graph: bytes) -> bool:
        """See `Graphs.counts`."""
        return graph[: self._length] not in self._prefixes

    def resume(self, key: bytes) -> bytes:
        """See `Graphs.resume`."""
        while (prefix := key[: self._length]) in self._prefixes:
            key = _after(prefix)  # where the next prefix may begin
        return key


def _after(prefix: bytes) -> bytes:
    """The end of the range of byte strings that begin with a prefix; its last byte is less than 0xFF."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


@dataclass(frozen=True, slots=True)
class Part:
    """One of the datasets."""

    gather: Gather
    """Reads it. It gathers nothing itself."""
    graphs: Graphs
    key_bytes_max: int = KEY_BYTES_MAX
    """Longer keys do not count."""


class JointCursor(Cursor):
    """A finger into one index of several datasets at once. Each dataset's pages are checked by its own cursor."""

    def __init__(self, parts: Sequence[tuple[int, Part]], order: str) -> None:
        """`parts`: those that are read, with their places among all."""
        self._parts = parts
        self._order = order
        self.count = sum(part.gather.dataset.count for _, part in parts)

    def leaf(self, key: bytes) -> tuple[Leaf, bytes]:
        """The keys from `key` up to where the first of the datasets' leaves ends, and that end."""
        found: list[tuple[list[bytes], Part]] = []
        end = LAST
        for at, part in self._parts:
            high = part.graphs.resume(key) if self._order == _GRAPH_FIRST else key
            if high == key:  # else nothing counts from here to there
                leaf, high = self._leaf(at, part, key)
                found.append((leaf.keys, part))
            end = min(end, high)
        keys: set[bytes] = set()
        for own, part in found:
            between = own[bisect_left(own, key) : bisect_left(own, end)]
            keys.update(one for one in between if self._counts(one, part))
        return Leaf(sorted(keys)), end

    def _counts(self, key: bytes, part: Part) -> bool:
        """Whether a key counts. Of a key that is no quad it does not matter: evaluation ignores it."""
        at = 0 if self._order == _GRAPH_FIRST else key.rfind(b"\0", 0, -1) + 1
        return len(key) <= part.key_bytes_max and part.graphs.counts(key[at : key.find(b"\0", at)])

    def _leaf(self, at: int, part: Part, key: bytes) -> tuple[Leaf, bytes]:
        try:
            return part.gather.cursor(self._order).leaf(key)
        except (ProofError, StoreError) as error:
            raise PartError(at, error) from error

    def rank(self, key: bytes) -> int:
        """About how many keys of the datasets are smaller, each counted as often as it is there."""
        return sum(self._rank(at, part, key) for at, part in self._parts)

    def _rank(self, at: int, part: Part, key: bytes) -> int:
        if self._order == _GRAPH_FIRST and not part.graphs.low < key < part.graphs.high:
            return part.gather.dataset.count if key >= part.graphs.high else 0
        try:
            return part.gather.cursor(self._order).rank(key)
        except (ProofError, StoreError) as error:
            raise PartError(at, error) from error


class JointGather(Gather):
    """Reads ranges of the union of several datasets (see `dkg.gather.Gather`). `parts`: at least one.

    Where pages of a part are wrong or missing, it raises `PartError`.
    """

    counts_once = False

    def __init__(self, parts: Sequence[Part], keys_max: int) -> None:
        first = parts[0].gather
        super().__init__(first.pages, first.root, keys_max)
        self._parts = parts
        self._joint: dict[tuple[str, frozenset[bytes] | None], JointCursor] = {}
        self.dataset = DatasetRoot(first.dataset.trees, sum(part.gather.dataset.count for part in parts))

    def cursor(self, order: str, allowed: frozenset[bytes] | None = None) -> Cursor:
        """See `Gather.cursor`. A dataset of which no graph counts that is allowed is not read."""
        cursor = self._joint.get((order, allowed))
        if cursor is None:
            read = [
                (at, part)
                for at, part in enumerate(self._parts)
                if allowed is None or any(map(part.graphs.counts, allowed))
            ]
            cursor = self._joint[order, allowed] = JointCursor(read, order)
        return cursor

    def count_unlimited(self, order: str, low: bytes, high: bytes) -> int:
        """See `Gather.count_unlimited`."""
        return sum(part.gather.count_unlimited(order, low, high) for part in self._parts)
