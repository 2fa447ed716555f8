"""What templates mean, over a set of triples in plain Python: the oracle of their tests."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from retrieval.aggregate.templates import (
    Ask,
    Bound,
    Compare,
    Count,
    Extreme,
    HavingMany,
    Listing,
    MostBy,
    Op,
    Selection,
)
from retrieval.words import literal_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from retrieval.aggregate.templates import Template

Triple = tuple[bytes, bytes, bytes]
Answer = int | bool | frozenset[object]

NUMBERS = ("integer", "decimal")
COMPARED: dict[Op, Callable[[object, object], bool]] = {
    Op.MORE: lambda a, b: a > b,  # type: ignore[operator]  # numbers or dates
    Op.LESS: lambda a, b: a < b,  # type: ignore[operator]
    Op.AT_LEAST: lambda a, b: a >= b,  # type: ignore[operator]
    Op.AT_MOST: lambda a, b: a <= b,  # type: ignore[operator]
    Op.SAME: lambda a, b: a == b,
}


def value(term: bytes) -> tuple[str, object] | None:
    """A number or a date, and which of them it is."""
    if term[:1] != b'"':
        return None
    text, _, datatype = literal_text(term)
    kind = (datatype or "").rpartition("#")[2]
    if kind in NUMBERS:
        return "number", Decimal(text)
    return ("date", text) if kind == "date" else None


def holds(triples: Iterable[Triple], bound: Bound, thing: bytes) -> bool:
    limit = value(bound.value)
    assert limit is not None
    found = (value(o) for s, p, o in triples if s == thing and p == bound.predicate)
    return any(one is not None and one[0] == limit[0] and COMPARED[bound.op](one[1], limit[1]) for one in found)


def selected(triples: frozenset[Triple], of: Selection) -> set[bytes]:
    """All things for which every part of a selection holds."""
    things = {term for s, _, o in triples for term in (s, o)}
    for link in of.links:
        things = {
            x
            for x in things
            if ((link.entity, link.predicate, x) if link.forward else (x, link.predicate, link.entity)) in triples
        }
    for predicate in of.having:
        things &= {s for s, p, _ in triples if p == predicate}
    things = {x for x in things if all(holds(triples, bound, x) for bound in of.bounds)}
    if of.value_of is not None:
        things &= {o for _, p, o in triples if p == of.value_of}
    if of.kind is not None:
        things = {x for x in things if (x, of.kind.by, of.kind.term) in triples}
    return things


def ends(triples: frozenset[Triple], template: MostBy | HavingMany | Compare) -> dict[bytes, set[bytes]]:
    """For each thing those at the other end of a predicate."""
    inverse = not isinstance(template, HavingMany) and template.inverse
    other = None if isinstance(template, HavingMany) else template.other
    found: dict[bytes, set[bytes]] = defaultdict(set)
    for s, p, o in triples:
        here, there = (o, s) if inverse else (s, o)
        if p == template.predicate and (other is None or (there, other.by, other.term) in triples):
            found[here].add(there)
    return found


def answer(triples: frozenset[Triple], template: Template) -> Answer:
    """The right answer of a template: a number, or rows."""
    if isinstance(template, Count):
        return len(selected(triples, template.of))
    if isinstance(template, Listing):
        return frozenset(selected(triples, template.of))
    if isinstance(template, Ask):
        return (template.subject, template.predicate, template.object) in triples
    if isinstance(template, Extreme):
        return _extreme(triples, template)
    if isinstance(template, Compare):
        return _compared(triples, template)
    found = {x: len(some) for x, some in ends(triples, template).items() if x in _allowed(triples, template.of)}
    if isinstance(template, HavingMany):
        passed = {x: n for x, n in found.items() if COMPARED[template.op](n, template.number)}
        return frozenset(passed.items())
    best = (min if template.least else max)(found.values(), default=0)
    return frozenset((x, n) for x, n in found.items() if n == best)


def _allowed(triples: frozenset[Triple], of: Selection) -> set[bytes]:
    return selected(triples, of)


def _extreme(triples: frozenset[Triple], template: Extreme) -> frozenset[object]:
    of = selected(triples, template.of)
    valued = [(s, o, found) for s, p, o in triples if p == template.predicate and s in of and (found := value(o))]
    kind = (
        "number"
        if any(p == template.predicate and (value(o) or ("",))[0] == "number" for _, p, o in triples)
        else "date"
    )
    rows = [(s, o, found[1]) for s, o, found in valued if found[0] == kind]
    if not rows:
        return frozenset()
    best = (max if template.largest else min)(key for _, _, key in rows)  # type: ignore[type-var]  # one kind
    return frozenset((s, o) for s, o, key in rows if key == best)


def _compared(triples: frozenset[Triple], template: Compare) -> frozenset[object]:
    if not template.by_value:
        found = ends(triples, template)
        return frozenset((x, len(found[x])) for x in template.entities)
    rows = set()
    for x in template.entities:
        values = [one for s, p, o in triples if s == x and p == template.predicate and (one := value(o))]
        if values:
            rows.add((x, (max if template.more else min)(key for _, key in values)))  # type: ignore[type-var]
    return frozenset(rows)
