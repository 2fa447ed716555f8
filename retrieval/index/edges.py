"""The triples of an index as sorted arrays of numbers: what is next to what, in both directions.

`Edges` does not change: a change gives new arrays, and whoever still reads the old ones is not disturbed. A node's
edges are grouped into runs of one relation, so that a hub with a million edges costs no more to look at than a run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Side:
    """One direction. The edges of node n are rows `starts[n]` to `starts[n + 1]` of the direction's order."""

    order: Ints
    """(edges,) rows of `Edges.table` in the order of this direction."""
    run_starts: Ints
    """(runs + 1,) where each run begins in `order`."""
    run_relations: Ints
    """(runs,) the relation of each run."""
    node_runs: Ints
    """(nodes + 1,) the first run of each node."""


@dataclass(frozen=True, slots=True)
class Edges:
    """`table`: (edges, 4) subject, relation, object, and by how many quads it is said; sorted and without repeats."""

    table: Ints
    nodes: int
    out: Side = field(repr=False)
    back: Side = field(repr=False)

    @staticmethod
    def of(table: Ints, nodes: int) -> Edges:
        """Edges from a sorted table. `nodes`: one more than the highest node there can be."""
        out = _side(table, 0, np.arange(len(table), dtype=np.int32), nodes)
        back = _side(table, 2, np.lexsort((table[:, 0], table[:, 1], table[:, 2])).astype(np.int32), nodes)
        return Edges(table, nodes, out, back)

    def runs(self, node: int, *, back: bool) -> list[tuple[int, int, int]]:
        """(relation, first row, one past the last row) of each run of a node, in one direction."""
        side = self.back if back else self.out
        if not 0 <= node < self.nodes:
            return []
        first, last = int(side.node_runs[node]), int(side.node_runs[node + 1])
        bounds = side.run_starts[first : last + 1].tolist()
        return list(zip(side.run_relations[first:last].tolist(), bounds, bounds[1:], strict=False))

    def rows(self, first: int, last: int, *, back: bool) -> Ints:
        """The rows of the table of part of a run: (edges, 4)."""
        side = self.back if back else self.out
        found: Ints = self.table[side.order[first:last]]
        return found

    def degree(self, node: int) -> int:
        """How many edges a node has, both directions together."""
        total = 0
        for side in (self.out, self.back):
            first, last = side.node_runs[node], side.node_runs[node + 1]
            total += int(side.run_starts[last] - side.run_starts[first])
        return total

    def changed(self, changes: Ints, nodes: int) -> Edges:
        """With `changes` added: rows as of the table, whose last column is what to add to the count, or take from it.

        An edge whose count comes to nothing is gone.
        """
        return Edges.of(summed(np.concatenate([self.table, changes])), nodes)


def summed(rows: Ints) -> Ints:
    """Rows of (subject, relation, object, count) sorted, equal ones added up, and those of no count left out."""
    if not len(rows):
        return rows.reshape(0, 4).astype(np.int32)
    rows = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
    fresh = np.ones(len(rows), dtype=bool)
    fresh[1:] = (rows[1:, :3] != rows[:-1, :3]).any(axis=1)
    firsts = np.flatnonzero(fresh)
    merged = rows[firsts].copy()
    merged[:, 3] = np.add.reduceat(rows[:, 3], firsts)
    return np.ascontiguousarray(merged[merged[:, 3] > 0], dtype=np.int32)


def _side(table: Ints, column: int, order: Ints, nodes: int) -> Side:
    keys, relations = table[order, column], table[order, 1]
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (keys[1:] != keys[:-1]) | (relations[1:] != relations[:-1])
    firsts = np.flatnonzero(fresh).astype(np.int32)
    node_runs = np.searchsorted(keys[firsts], np.arange(nodes + 1)).astype(np.int32)
    return Side(order, np.append(firsts, np.int32(len(order))), relations[firsts], node_runs)
