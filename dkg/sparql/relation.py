"""Relations: the bindings that coverage pushes from one part of a query into the next.

A relation holds at least every binding that the covered part can have. A cell of None is a variable without a
value: unbound, or not known; either way it restricts nothing. Cells are components (`dkg.terms`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dkg.errors import BudgetError

if TYPE_CHECKING:
    from collections.abc import Iterable

Cell = bytes | None
Row = tuple[Cell, ...]

JOIN_ROWS_MAX: Final = 2_000_000
"""Most rows of one intermediate result, whatever the budget."""


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
    matches = _Matches(left, right)
    rows: dict[Row, None] = {}
    for row in left.rows:
        rows.update(dict.fromkeys(matches.of(row)))
        _check(rows)
    return Relation(matches.columns, list(rows), left.exact and right.exact)


def left_join(left: Relation, right: Relation) -> Relation:
    """The left join. A row without a match stays; so does a row whose matches may all be wrong ones."""
    matches = _Matches(left, right)
    blank = (None,) * (len(matches.columns) - len(left.columns))
    rows: dict[Row, None] = {}
    for row in left.rows:
        found = matches.of(row)
        rows.update(dict.fromkeys(found))
        if not found or not right.exact:
            rows[row + blank] = None
        _check(rows)
    return Relation(matches.columns, list(rows), left.exact and right.exact)


def cross(left: Relation, right: Relation, rows_max: int) -> Relation:
    """The product of relations without common columns; the left one alone if that has over `rows_max` rows."""
    if len(left.rows) * len(right.rows) <= rows_max:
        return join(left, right)
    return Relation(left.columns, left.rows, exact=False)


def copied(relation: Relation, old: str, new: str) -> Relation:
    """With the column `old`, if there is one, once more under the name `new`."""
    if old not in relation.columns:
        return relation
    at = relation.columns.index(old)
    return Relation((*relation.columns, new), [(*row, row[at]) for row in relation.rows], relation.exact)


def unified(relation: Relation, hidden: str, shown: str) -> Relation:
    """The column `hidden` made equal to `shown`, and gone."""
    if hidden not in relation.columns:
        return relation
    at = relation.columns.index(hidden)
    columns = relation.columns if shown in relation.columns else (*relation.columns, shown)
    to = columns.index(shown)
    rows: dict[Row, None] = {}
    for row in relation.rows:
        cells = [*row, None] if len(columns) > len(row) else list(row)
        if cells[to] is None:
            cells[to] = cells[at]
        elif cells[at] is not None and cells[at] != cells[to]:
            continue
        rows[tuple(cell for i, cell in enumerate(cells) if i != at)] = None
    return Relation(tuple(name for name in columns if name != hidden), list(rows), relation.exact)


def _check(rows: dict[Row, None]) -> None:
    if len(rows) > JOIN_ROWS_MAX:
        raise BudgetError(f"an intermediate result has more than {JOIN_ROWS_MAX} rows; make the query more selective")


class _Matches:
    """Finds the rows of one relation that are compatible with a row of another."""

    def __init__(self, left: Relation, right: Relation) -> None:
        shared = [name for name in left.columns if name in right.columns]
        self._fresh = [i for i, name in enumerate(right.columns) if name not in left.columns]
        self.columns = left.columns + tuple(right.columns[i] for i in self._fresh)
        self._a = [left.columns.index(name) for name in shared]
        self._b = [right.columns.index(name) for name in shared]
        self._rows = right.rows
        # (left has a value?, right has a value?) for each shared column -> index on the columns where both have
        self._indexes: dict[tuple[bool, ...], list[tuple[list[int], dict[Row, list[Row]]]]] = {}

    def of(self, row: Row) -> list[Row]:
        """The merged rows."""
        key = tuple(row[i] for i in self._a)
        mask = tuple(cell is not None for cell in key)
        indexes = self._indexes.get(mask)
        if indexes is None:
            indexes = self._indexes[mask] = self._index(mask)
        return [
            self._merge(row, other) for both, index in indexes for other in index.get(tuple(key[i] for i in both), ())
        ]

    def _index(self, mask: tuple[bool, ...]) -> list[tuple[list[int], dict[Row, list[Row]]]]:
        by_mask: dict[tuple[bool, ...], tuple[list[int], dict[Row, list[Row]]]] = {}
        for other in self._rows:
            cells = tuple(other[i] for i in self._b)
            theirs = tuple(cell is not None for cell in cells)
            if theirs not in by_mask:
                both = [i for i, (mine, other_has) in enumerate(zip(mask, theirs, strict=True)) if mine and other_has]
                by_mask[theirs] = (both, {})
            both, index = by_mask[theirs]
            index.setdefault(tuple(cells[i] for i in both), []).append(other)
        return list(by_mask.values())

    def _merge(self, row: Row, other: Row) -> Row:
        merged = list(row)
        for i, j in zip(self._a, self._b, strict=True):
            if merged[i] is None:
                merged[i] = other[j]
        return (*merged, *(other[i] for i in self._fresh))
