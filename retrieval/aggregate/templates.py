"""The catalogue: what a question may ask of the graph, and the one query that each filled template is.

A template is filled with terms in normal form that came from the index or the schema. A term is put into a query only
by `place`, which takes nothing else, so no label and no word of a question ever becomes a part of a query.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from dkg.errors import RdfError
from dkg.normal import is_normal, shown

if TYPE_CHECKING:
    from retrieval.aggregate.schema import Kind

TIES_MAX: Final = 100
"""Most rows of a query for the first of an order: enough to tell the ties for it."""


class Op(StrEnum):
    """How a value is compared with a bound."""

    MORE = ">"
    LESS = "<"
    AT_LEAST = ">="
    AT_MOST = "<="
    SAME = "="


@dataclass(frozen=True, slots=True)
class Link:
    """A triple with ?x in it. `forward`: the entity is its subject and ?x its object; else the other way round."""

    predicate: bytes
    entity: bytes
    forward: bool

    def pattern(self) -> str:
        """As SPARQL."""
        p, e = place(self.predicate), place(self.entity)
        return f"{e} {p} ?x" if self.forward else f"?x {p} {e}"


@dataclass(frozen=True, slots=True)
class Bound:
    """?x has a value that compares so."""

    predicate: bytes
    op: Op
    value: bytes


@dataclass(frozen=True, slots=True)
class Selection:
    """The things that a question is about: all ?x for which every part holds."""

    kind: Kind | None = None
    links: tuple[Link, ...] = ()
    bounds: tuple[Bound, ...] = ()
    having: tuple[bytes, ...] = ()
    """Predicates of which ?x has a value, whichever."""
    value_of: bytes | None = None
    """?x is a value of this predicate, of whatever subject."""

    def patterns(self) -> list[str]:
        """As SPARQL, a line each; most selective first, as far as that can be told."""
        lines = [link.pattern() for link in self.links]
        lines += [f"?x {place(predicate)} ?has{at}" for at, predicate in enumerate(self.having)]
        for at, bound in enumerate(self.bounds):
            value = f"?bound{at}"
            lines.append(f"?x {place(bound.predicate)} {value} FILTER({value} {bound.op.value} {place(bound.value)})")
        if self.value_of is not None:
            lines.append(f"?of {place(self.value_of)} ?x")
        if self.kind is not None:
            lines.append(f"?x {place(self.kind.by)} {place(self.kind.term)}")
        return lines


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are."""

    of: Selection

    def query(self) -> str:
        """The query. One pattern is counted from the counts in the pages."""
        lines = self.of.patterns()
        single = len(lines) == 1 and not self.of.bounds and not self.of.having and self.of.value_of is None
        what = "*" if single else "DISTINCT ?x"
        return f"SELECT (COUNT({what}) AS ?n) WHERE {{ {_body(lines)} }}"


@dataclass(frozen=True, slots=True)
class Listing:
    """All of them."""

    of: Selection

    def query(self) -> str:
        """The query."""
        return f"SELECT DISTINCT ?x WHERE {{ {_body(self.of.patterns())} }} ORDER BY ?x"


@dataclass(frozen=True, slots=True)
class MostBy:
    """Those with the most (or fewest, but some) triples of a predicate. `inverse`: ?x is the object of them."""

    of: Selection
    predicate: bytes
    inverse: bool
    least: bool
    other: Kind | None = None
    """Count only those of this class at the other end."""

    def query(self) -> str:
        """The query."""
        p = place(self.predicate)
        lines = [f"?y {p} ?x" if self.inverse else f"?x {p} ?y", *self.of.patterns()]
        if self.other is not None:
            lines.append(f"?y {place(self.other.by)} {place(self.other.term)}")
        order = "?n" if self.least else "DESC(?n)"
        return (
            f"SELECT ?x (COUNT(DISTINCT ?y) AS ?n) WHERE {{ {_body(lines)} }} "
            f"GROUP BY ?x ORDER BY {order} ?x LIMIT {TIES_MAX}"
        )


@dataclass(frozen=True, slots=True)
class Extreme:
    """Those whose number or time is the largest (or smallest).

    `edge`: only values from this one on are read. Whatever it is, an answer with rows is that of the whole graph, as
    every value beyond is read too; it comes from the sorted index and saves reading the rest.
    """

    of: Selection
    predicate: bytes
    largest: bool
    edge: bytes | None = None
    datatype: bytes | None = None
    """Of times; None for numbers, which compare whatever their datatype."""

    def query(self) -> str:
        """The query."""
        lines = [f"?x {place(self.predicate)} ?v", *self.of.patterns()]
        op, order = (">=", "DESC(?v)") if self.largest else ("<=", "?v")
        kind = _comparable(self.datatype)
        bound = f" FILTER(?v {op} {place(self.edge)})" if self.edge is not None else ""
        return (
            f"SELECT DISTINCT ?x ?v WHERE {{ {_body(lines)}{bound} FILTER({kind}) }} "
            f"ORDER BY {order} ?x LIMIT {TIES_MAX}"
        )


@dataclass(frozen=True, slots=True)
class Compare:
    """Which of some entities has more of a predicate, or the larger number or time.

    `by_value`: compare numbers or times, else how many. `inverse`: count those that have the entity as object.
    """

    entities: tuple[bytes, ...]
    predicate: bytes
    by_value: bool
    inverse: bool
    more: bool
    other: Kind | None = None
    datatype: bytes | None = None
    """As of `Extreme`."""

    def query(self) -> str:
        """The query."""
        p, these = place(self.predicate), " ".join(place(entity) for entity in self.entities)
        order = "DESC" if self.more else "ASC"
        if self.by_value:
            return (
                f"SELECT ?x ?v WHERE {{ VALUES ?x {{ {these} }} ?x {p} ?v FILTER({_comparable(self.datatype)}) }} "
                f"ORDER BY {order}(?v) ?x"
            )
        pattern = f"?y {p} ?x" if self.inverse else f"?x {p} ?y"
        if self.other is not None:
            pattern += f" . ?y {place(self.other.by)} {place(self.other.term)}"
        return (
            f"SELECT ?x (COUNT(DISTINCT ?y) AS ?n) WHERE {{ VALUES ?x {{ {these} }} OPTIONAL {{ {pattern} }} }} "
            f"GROUP BY ?x ORDER BY {order}(?n) ?x"
        )


@dataclass(frozen=True, slots=True)
class Ask:
    """Whether a triple is there."""

    subject: bytes
    predicate: bytes
    object: bytes

    def query(self) -> str:
        """The query. It is a SELECT, so that every template gives rows: one for yes, none for no."""
        s, p, o = place(self.subject), place(self.predicate), place(self.object)
        return f"SELECT (COUNT(*) AS ?n) WHERE {{ {s} {p} {o} }}"


@dataclass(frozen=True, slots=True)
class HavingMany:
    """Those that have so many of a predicate."""

    of: Selection
    predicate: bytes
    op: Op
    number: int

    def query(self) -> str:
        """The query."""
        lines = [f"?x {place(self.predicate)} ?y", *self.of.patterns()]
        return (
            f"SELECT ?x (COUNT(DISTINCT ?y) AS ?n) WHERE {{ {_body(lines)} }} GROUP BY ?x "
            f"HAVING(COUNT(DISTINCT ?y) {self.op.value} {int(self.number)}) ORDER BY DESC(?n) ?x"
        )


Template = Count | Listing | MostBy | Extreme | Compare | Ask | HavingMany


def place(term: bytes) -> str:
    """A term as it stands in a query. Raises `RdfError` for what is no term in normal form."""
    if not is_normal(term):
        raise RdfError(f"{shown(term)} is not a term in normal form, so it cannot stand in a query")
    return term.decode()


def _comparable(datatype: bytes | None) -> str:
    """That ?v is a number (not NaN, which compares with nothing), or a time of a datatype."""
    return "isNumeric(?v) && ?v = ?v" if datatype is None else f"DATATYPE(?v) = {place(datatype)}"


def _body(lines: list[str]) -> str:
    return " . ".join(lines)
