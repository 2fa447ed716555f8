"""Evaluating expressions on bindings that coverage has found, with the real engine, so that there is one meaning.

Only pure expressions come here: their value is a function of the values given (`Expression.pure`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyoxigraph

from dkg.errors import LimitError, RdfError
from dkg.normal import normalize
from dkg.sparql.patterns import Bounds
from dkg.terms import component, numeric_range, term_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dkg.sparql.algebra import Expression
    from dkg.sparql.relation import Cell

BATCH_ROWS: Final = 20_000
"""Rows given to the engine in one query."""

BATCH_BYTES: Final = 4 * 1024 * 1024
"""Bytes of values from which a batch is not added to, however few its rows: a literal may stand in every row."""


class Expressions:
    """Evaluates expressions of one query. `prologue`: its BASE and PREFIX part."""

    def __init__(self, prologue: str, base_iri: str | None) -> None:
        self._prologue = prologue
        self._base_iri = base_iri
        self._store = pyoxigraph.Store()

    def holding(self, expression: Expression, names: Sequence[str], rows: list[tuple[bytes, ...]]) -> set[int]:
        """Which of the rows, by position, a filter keeps; an error drops a row, as in SPARQL."""
        row = _unused(names)
        found: set[int] = set()
        for base, batch in _batches(rows):
            values = _values(row, names, batch)
            solutions = self._run(f"SELECT ?{row} WHERE {{ {values} FILTER({expression.text}) }}")
            found.update(base + int(solution[0].value) for solution in solutions)
        return found

    def values(self, expression: Expression, names: Sequence[str], rows: list[tuple[bytes, ...]]) -> list[Cell]:
        """The value of an expression for each row, as a component; None where it has none."""
        row = _unused([*names, "dkgValue"])
        cells: list[Cell] = [None] * len(rows)
        for base, batch in _batches(rows):
            values = _values(row, names, batch)
            query = f"SELECT ?{row} ?dkgValue WHERE {{ {values} BIND({expression.text} AS ?dkgValue) }}"
            for solution in self._run(query):
                value = solution[1]
                if isinstance(value, pyoxigraph.NamedNode | pyoxigraph.Literal):
                    cells[base + int(solution[0].value)] = _cell(value)
        return cells

    def _run(self, query: str) -> Iterator[Any]:
        solutions = self._store.query(self._prologue + query, base_iri=self._base_iri)
        if not isinstance(solutions, pyoxigraph.QuerySolutions):
            raise TypeError("a SELECT has solutions")
        return solutions


def _cell(value: pyoxigraph.NamedNode | pyoxigraph.Literal) -> Cell:
    """A computed value as a component; None for one that no dataset can hold, which restricts nothing."""
    try:
        return component(normalize(str(value).encode()))
    except (RdfError, LimitError):
        return None


def _batches(rows: list[tuple[bytes, ...]]) -> Iterator[tuple[int, list[tuple[bytes, ...]]]]:
    """Rows in batches, each with the position of its first row."""
    start = size = 0
    for at, cells in enumerate(rows):
        if size >= BATCH_BYTES or at - start == BATCH_ROWS:
            yield start, rows[start:at]
            start, size = at, 0
        size += sum(map(len, cells))
    if start < len(rows):
        yield start, rows[start:]


def _unused(names: Sequence[str]) -> str:
    row = "dkgRow"
    while row in names:
        row += "_"
    return row


def _values(row: str, names: Sequence[str], rows: Iterable[tuple[bytes, ...]]) -> str:
    header = " ".join(f"?{name}" for name in (row, *names))
    lines = [f"({i} {' '.join(term_of(cell).decode() for cell in cells)})" for i, cells in enumerate(rows)]
    return f"VALUES ({header}) {{ {' '.join(lines)} }}"


def bounds_of(filters: Iterable[Expression]) -> dict[str, Bounds]:
    """The ranges that comparisons with constants allow variables: each a superset of what the filter keeps."""
    found: dict[str, Bounds] = {}
    for expression in filters:
        for bound in expression.bounds:
            limits = numeric_range(bound.op, bound.constant)
            if limits is None:
                continue
            name, known = bound.var.name, found.get(bound.var.name)
            low, high = limits
            found[name] = Bounds(max(low, known.low), min(high, known.high)) if known else Bounds(low, high)
    return found
