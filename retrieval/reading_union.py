"""SPARQL over several datasets at once, as if their union had been built: what `Reader.select` runs.

A union of datasets is the set of all their quads. Its four indexes need not be built to be read: the keys of a range
are those of all datasets in that range. `JointGather` gives evaluation these, so all that docs/soundness.md says of
coverage holds for the union. Only counts differ: a quad that is in two datasets counts twice, so they serve to choose
an order, and no COUNT is answered from them.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dkg.errors import ProofError, StoreError
from dkg.gather import Gather
from dkg.page import DatasetRoot, Leaf
from dkg.pages import RecordedPages
from dkg.scan import LAST, Cursor, prefix_end
from retrieval.model import is_aside

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dkg.limits import Budget
    from retrieval.model import Snapshot


GRAPHS_LOOKED_AT: Final = 64
"""Graphs of one dataset of which it is found out whether all count: then its queries may use the counts in pages."""


class PartError(Exception):
    """The pages of one dataset of a union cannot be read. `at`: its place among them; the reason is the cause."""

    def __init__(self, at: int, reason: ProofError | StoreError) -> None:
        super().__init__(f"dataset {at} of a union cannot be read: {reason}")
        self.at = at
        self.reason = reason


class JointCursor(Cursor):
    """A finger into one index of several datasets at once. Each dataset's pages are checked by its own cursor."""

    def __init__(self, cursors: Sequence[Cursor], order: str, only: Sequence[bytes | None]) -> None:
        """`only`: for each dataset, what the names of the graphs that count begin with; None if all do.

        Graphs about assets never count.
        """
        self._cursors = cursors
        self._only = only
        self._graph_first = order[0] == "g"
        self.count = sum(cursor.count for cursor in cursors)

    def leaf(self, key: bytes) -> tuple[Leaf, bytes]:
        """The keys from `key` up to where the first of the datasets' leaves ends, and that end."""
        found = []
        for at, cursor in enumerate(self._cursors):
            with _part(at):
                found.append(cursor.leaf(key))
        end = min(high for _, high in found)
        keys: set[bytes] = set()
        for (leaf, high), only in zip(found, self._only, strict=True):
            own = leaf.keys
            part = own[bisect_left(own, key) : len(own) if high == end else bisect_left(own, end)]
            keys.update(one for one in part if self._counts(one, only))
        return Leaf(sorted(keys)), end

    def _counts(self, key: bytes, only: bytes | None) -> bool:
        """Whether the graph of a key counts. Of a key that is no quad it does not matter: evaluation ignores it."""
        at = 0 if self._graph_first else key.rfind(b"\0", 0, -1) + 1
        graph = key[at : key.find(b"\0", at)]
        return not is_aside(graph) and (only is None or graph.startswith(only))

    def rank(self, key: bytes) -> int:
        """How many keys of the datasets are smaller, each counted as often as it is there."""
        total = 0
        for at, cursor in enumerate(self._cursors):
            with _part(at):
                total += cursor.rank(key)
        return total


class JointGather(Gather):
    """Reads ranges of the union of several datasets (see `dkg.gather.Gather`)."""

    counts_once = False

    def __init__(self, parts: Sequence[Gather], only: Sequence[bytes | None], keys_max: int) -> None:
        """`parts`: one for each dataset, at least one. `only`: see `JointCursor`."""
        first = parts[0]
        super().__init__(first.pages, first.root, keys_max)
        self._parts = parts
        self._only = only
        self.dataset = DatasetRoot(first.dataset.trees, sum(part.dataset.count for part in parts))

    def cursor(self, order: str) -> Cursor:
        """See `Gather.cursor`."""
        cursor = self._cursors.get(order)
        if cursor is None:
            cursors = []
            for at, part in enumerate(self._parts):
                with _part(at):
                    cursors.append(part.cursor(order))
            cursor = self._cursors[order] = JointCursor(cursors, order, self._only)
        return cursor

    def count_unlimited(self, order: str, low: bytes, high: bytes) -> int:
        """See `Gather.count_unlimited`."""
        return sum(part.count_unlimited(order, low, high) for part in self._parts)


def gather_of(snapshots: Sequence[Snapshot], budget: Budget) -> Gather:
    """What evaluation reads the union of snapshots through. `budget.pages` holds for each of them.

    Raises `PartError`, as all reading does, where the pages of one of them are wrong or missing.
    """
    parts = []
    for at, one in enumerate(snapshots):
        with _part(at):
            pages = RecordedPages(one.pages, budget.pages, budget.proof_bytes)
            parts.append(Gather(pages, one.root, budget.quads))
            if len(snapshots) == 1 and one.only is None and _has_no_asides(parts[0]):
                return parts[0]
    return JointGather(parts, [one.only for one in snapshots], budget.quads)


def _has_no_asides(gather: Gather) -> bool:
    """Whether a dataset is known to have no graph about an asset. With more than `GRAPHS_LOOKED_AT` it is not known."""
    cursor = gather.cursor("gspo")
    low = b""
    for _ in range(GRAPHS_LOOKED_AT):
        key = next((keys[0] for keys in cursor.batches(low, LAST) if keys), None)
        if key is None:
            return True
        graph = key[: key.find(b"\0")]
        if is_aside(graph):
            return False
        low = prefix_end(graph + b"\0")
    return False


@contextmanager
def _part(at: int) -> Iterator[None]:
    """Says of an error in reading which dataset it was."""
    try:
        yield
    except (ProofError, StoreError) as error:
        raise PartError(at, error) from error
