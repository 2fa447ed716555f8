"""SPARQL over several datasets at once, as if their union had been built: what `Reader.select` runs.

A union of datasets is the set of all their quads. Its four indexes need not be built to be read: the keys of a range
are those of all datasets in that range. `JointGather` gives evaluation these, so all that docs/soundness.md says of
coverage holds for the union. Only counts differ: a quad that is in two datasets counts twice, so they serve to choose
an order, and no COUNT is answered from them.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from dkg.gather import Gather
from dkg.page import DatasetRoot, Leaf
from dkg.pages import RecordedPages
from dkg.scan import Cursor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg.limits import Budget
    from retrieval.model import Snapshot


class JointCursor(Cursor):
    """A finger into one index of several datasets at once. Each dataset's pages are checked by its own cursor."""

    def __init__(self, cursors: Sequence[Cursor]) -> None:
        self._cursors = cursors
        self.count = sum(cursor.count for cursor in cursors)

    def leaf(self, key: bytes) -> tuple[Leaf, bytes]:
        """The keys from `key` up to where the first of the datasets' leaves ends, and that end."""
        found = [cursor.leaf(key) for cursor in self._cursors]
        end = min(high for _, high in found)
        keys: set[bytes] = set()
        for leaf, high in found:
            own = leaf.keys
            keys.update(own[bisect_left(own, key) : len(own) if high == end else bisect_left(own, end)])
        return Leaf(sorted(keys)), end

    def rank(self, key: bytes) -> int:
        """How many keys of the datasets are smaller, each counted as often as it is there."""
        return sum(cursor.rank(key) for cursor in self._cursors)


class JointGather(Gather):
    """Reads ranges of the union of several datasets (see `dkg.gather.Gather`)."""

    counts_once = False

    def __init__(self, parts: Sequence[Gather], keys_max: int) -> None:
        """`parts`: one for each dataset, at least one."""
        first = parts[0]
        super().__init__(first.pages, first.root, keys_max)
        self._parts = parts
        self.dataset = DatasetRoot(first.dataset.trees, sum(part.dataset.count for part in parts))

    def cursor(self, order: str) -> Cursor:
        """See `Gather.cursor`."""
        cursor = self._cursors.get(order)
        if cursor is None:
            cursor = self._cursors[order] = JointCursor([part.cursor(order) for part in self._parts])
        return cursor

    def count_unlimited(self, order: str, low: bytes, high: bytes) -> int:
        """See `Gather.count_unlimited`."""
        return sum(part.count_unlimited(order, low, high) for part in self._parts)


def gather_of(snapshots: Sequence[Snapshot], budget: Budget) -> Gather:
    """What evaluation reads the union of snapshots through. `budget.pages` holds for each of them."""
    parts = [
        Gather(RecordedPages(one.pages, budget.pages, budget.proof_bytes), one.root, budget.quads) for one in snapshots
    ]
    return parts[0] if len(parts) == 1 else JointGather(parts, budget.quads)
