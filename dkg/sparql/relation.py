"""Relations: the bindings that coverage pushes from one part of a query into the next.

A relation holds at least every binding that the covered part can have. A cell of None is a variable without a
value: unbound, or not known; either way it restricts nothing. Cells are components (`dkg.terms`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Cell = bytes | None
Row = tuple[Cell, ...]


@dataclass(slots=True)
class Relation:
    """Columns, distinct rows in a fixed order, and whether the rows are exactly the bindings.

    `exact` False means that there may be rows that no solution has.
    """

    columns: tuple[str, ...] = ()
    rows: list[Row] = field(default_factory=lambda: [()])
    exact: bool = True

    def project(self, names: Iterable[str]) -> Relation:
        """The columns among `names`, rows made distinct again."""
        wanted = set(names)
        keep = [i for i, name in enumerate(self.columns) if name in wanted]
        if len(keep) == len(self.columns):
            return self
        columns = tuple(self.columns[i] for i in keep)
        rows = list(dict.fromkeys(tuple(row[i] for i in keep) for row in self.rows))
        return Relation(columns, rows, self.exact)

    def certain(self, names: Iterable[str]) -> bool:
        """Whether every row has a value for every one of `names`."""
        at = [self.columns.index(name) if name in self.columns else -1 for name in names]
        return -1 not in at and all(row[i] is not None for i in at for row in self.rows)


def union(parts: list[Relation]) -> Relation:
    """All rows of all parts; a column that a part lacks is None there."""
    columns = tuple(dict.fromkeys(name for part in parts for name in part.columns))
    rows: dict[Row, None] = {}
    for part in parts:
        at = [part.columns.index(name) if name in part.columns else -1 for name in columns]
        for row in part.rows:
            rows[tuple(None if i < 0 else row[i] for i in at)] = None
    return Relation(columns, list(rows), all(part.exact for part in parts))


def join(left: Relation, right: Relation) -> Relation:
    """The natural join; None is compatible with everything."""
    shared = [name for name in left.columns if name in right.columns]
    fresh = [i for i, name in enumerate(right.columns) if name not in left.columns]
    columns = left.columns + tuple(right.columns[i] for i in fresh)
    a = [left.columns.index(name) for name in shared]
    b = [right.columns.index(name) for name in shared]
    full, partial = _index(right.rows, b)
    rows: dict[Row, None] = {}
    for row in left.rows:
        key = tuple(row[i] for i in a)
        matches = right.rows if None in key else [*full.get(key, ()), *partial]
        for other in matches:
            merged = _merge(row, other, a, b)
            if merged is not None:
                rows[merged + tuple(other[i] for i in fresh)] = None
    return Relation(columns, list(rows), left.exact and right.exact)


def _index(rows: list[Row], at: list[int]) -> tuple[dict[Row, list[Row]], list[Row]]:
    full: dict[Row, list[Row]] = {}
    partial: list[Row] = []
    for row in rows:
        key = tuple(row[i] for i in at)
        if None in key:
            partial.append(row)
        else:
            full.setdefault(key, []).append(row)
    return full, partial


def _merge(row: Row, other: Row, a: list[int], b: list[int]) -> Row | None:
    merged = list(row)
    for i, j in zip(a, b, strict=True):
        if merged[i] is None:
            merged[i] = other[j]
        elif other[j] is not None and other[j] != merged[i]:
            return None
    return tuple(merged)
