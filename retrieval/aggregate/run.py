"""Running a filled template: its query, and the rows that are the answer."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.errors import ProofError, QueryError
from dkg.normal import normalize
from dkg.values import value_of
from retrieval.aggregate.schema import NUMERIC, TEMPORAL, edge_value, sample
from retrieval.aggregate.templates import TIES_MAX, Ask, Bound, Compare, Extreme, MostBy, Op
from retrieval.words import literal_text

if TYPE_CHECKING:
    from dkg.limits import Budget
    from retrieval.aggregate.result import Row
    from retrieval.aggregate.templates import Template
    from retrieval.reading import Reader

EDGES: Final = (64, 1_024, 16_384)
"""How many values from the end of the order are read first, then, then, before all are."""

_XSD: Final = "http://www.w3.org/2001/XMLSchema#"
_DATE: Final = f"{_XSD}date"
_EXACT: Final = frozenset({f"{_XSD}integer", f"{_XSD}decimal"})


class Outcome(NamedTuple):
    """What was asked in the end, and the whole answer."""

    template: Template
    query: str
    variables: tuple[str, ...]
    rows: tuple[Row, ...]
    exact: bool = True
    """Whether `rows` is all of them, or only as many as were asked for."""


def run(template: Template, reader: Reader, work: Budget) -> Outcome:
    """The answer of a template. Raises what `Reader.select` raises."""
    template = _fitted(template, reader)
    if isinstance(template, Extreme):
        return _extreme(template, reader, work)
    if isinstance(template, Compare) and template.by_value:
        return _one_value_each(_asked(replace(template, datatype=_datatype(template.predicate, reader)), reader, work))
    found = _asked(template, reader, work)
    return _tied(found) if isinstance(template, MostBy) else found


def _fitted(template: Template, reader: Reader) -> Template:
    """The template with each date of its bounds in the datatype of the property's values, or it compares with none."""
    if isinstance(template, Ask | Compare) or not template.of.bounds:
        return template
    bounds = tuple(
        bound if literal_text(bound.value)[2] != _DATE else _dated(bound, reader) for bound in template.of.bounds
    )
    return replace(template, of=replace(template.of, bounds=bounds))


def _dated(bound: Bound, reader: Reader) -> Bound:
    if not any(_values(bound.predicate, reader, tag) for tag in (NUMERIC, TEMPORAL)):
        return bound  # nothing compares with it
    datatype = _datatype(bound.predicate, reader)
    day, whole = literal_text(bound.value)[0], (datatype or b"")[1:-1].decode()
    if whole == _DATE:
        return bound
    if whole == f"{_XSD}dateTime":
        clock = "T23:59:59.999999Z" if bound.op in {Op.MORE, Op.AT_MOST} else "T00:00:00Z"
        return replace(bound, value=normalize(f'"{day}{clock}"^^<{whole}>'.encode()))
    if whole == f"{_XSD}gYear" and day[4:] in {"-01-01", "-12-31"}:
        return replace(bound, value=normalize(f'"{day[:4]}"^^<{whole}>'.encode()))
    raise QueryError(f"its values are of another datatype than {day}")


def _asked(template: Template, reader: Reader, work: Budget) -> Outcome:
    query = template.query()
    answer = reader.select(query, budget=work)
    unread = {snapshot.publisher for snapshot in reader.snapshots} - set(answer.publishers)
    if unread:  # the reader goes on without them; a number would then be smaller and look like any other
        raise ProofError(f"what {', '.join(sorted(unread))} says cannot be read whole")
    return Outcome(template, query, answer.variables, answer.rows)


def _tied(found: Outcome) -> Outcome:
    """The first row, and those that are not behind it."""
    rows = tuple(row for row in found.rows if _same(row[1], found.rows[0][1]))
    return found._replace(rows=rows, exact=len(rows) < TIES_MAX)


def _one_value_each(found: Outcome) -> Outcome:
    """An entity with several values counts with the first in the order that was asked for."""
    firsts = {row[0]: row for row in reversed(found.rows)}
    return found._replace(rows=tuple(firsts[row[0]] for row in found.rows if firsts[row[0]] is row))


def _extreme(template: Extreme, reader: Reader, work: Budget) -> Outcome:
    """Values beyond an edge first: the sorted index has them side by side. Then a wider edge, at last all values."""
    typed = replace(template, datatype=_datatype(template.predicate, reader))
    tag = NUMERIC if typed.datatype is None else TEMPORAL
    for at in EDGES:
        ends = [
            edge_value(snapshot, template.predicate, tag, at, largest=template.largest) for snapshot in reader.snapshots
        ]
        edges = sorted(
            (value for value in ends if value is not None), key=lambda value: (value_of(value) or (b"", 0.0))[1]
        )
        if edges:
            found = _asked(replace(typed, edge=edges[0] if template.largest else edges[-1]), reader, work)
            if found.rows:
                return _tied(found)
    return _tied(_asked(typed, reader, work))


def _datatype(predicate: bytes, reader: Reader) -> bytes | None:
    """The datatype of a property's times, None if it has numbers.

    Numbers compare with each other whatever their datatype, times only with those of their own. Raises
    `QueryError` for a property whose times are of several datatypes: then there is no first.
    """
    if _values(predicate, reader, NUMERIC):
        return None
    datatypes = {literal_text(object_)[2] for object_ in _values(predicate, reader, TEMPORAL)}
    if len(datatypes) != 1:
        raise QueryError(f"its values are of {len(datatypes)} datatypes, which do not compare with each other")
    return f"<{datatypes.pop()}>".encode()


def _values(predicate: bytes, reader: Reader, tag: bytes) -> list[bytes]:
    """Some numbers or times of a property."""
    return [object_ for snapshot in reader.snapshots for _, object_ in sample(snapshot, predicate, tag)]


def _same(left: bytes | None, right: bytes | None) -> bool:
    """Whether two numbers or times are equal."""
    if left == right:
        return True
    if left is None or right is None:
        return False
    (a, _, of_a), (b, _, of_b) = literal_text(left), literal_text(right)
    if of_a in _EXACT and of_b in _EXACT:
        return Decimal(a) == Decimal(b)
    return value_of(left) == value_of(right)
