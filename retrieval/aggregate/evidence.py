"""What an answer rests on: the facts behind a small one, and what is provably not there behind an empty one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.errors import BudgetError
from retrieval.aggregate.result import number
from retrieval.aggregate.run import run
from retrieval.aggregate.templates import Ask, Compare, Count, Extreme, Listing, MostBy, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dkg.limits import Budget
    from retrieval.aggregate.result import Row
    from retrieval.aggregate.run import Outcome
    from retrieval.aggregate.templates import Template
    from retrieval.model import Absent, Fact
    from retrieval.reading import Reader

Pattern = tuple[bytes | None, bytes | None, bytes | None]
"""A triple with None for what is open."""


def patterns(selection: Selection) -> list[Pattern]:
    """The triples that a selection needs at least one of, each."""
    found: list[Pattern] = [
        (link.entity, link.predicate, None) if link.forward else (None, link.predicate, link.entity)
        for link in selection.links
    ]
    found += [(None, bound.predicate, None) for bound in selection.bounds]
    found += [(None, predicate, None) for predicate in selection.having]
    if selection.value_of is not None:
        found.append((None, selection.value_of, None))
    if selection.kind is not None:
        found.append((None, selection.kind.by, selection.kind.term))
    return found


def needs(template: Template) -> list[Pattern]:
    """The patterns without which a template's answer is empty, by the counts alone."""
    if isinstance(template, Ask):
        return [(template.subject, template.predicate, template.object)]
    if isinstance(template, Compare):
        return [
            (None, template.predicate, entity) if template.inverse else (entity, template.predicate, None)
            for entity in template.entities
        ]
    return patterns(template.of)


def supported(template: Template, reader: Reader) -> bool:
    """Whether the data can give a template an answer that is not empty, as far as counts tell."""
    counts = (reader.count(*pattern) for pattern in needs(template))
    return any(counts) if isinstance(template, Compare) else all(counts)


def absences(template: Template, reader: Reader) -> Iterator[Absent]:
    """What an empty answer is empty for: the patterns that nothing matches."""
    for pattern in needs(template):
        absent = reader.absent(*pattern)
        if absent is not None:
            yield absent


def evidence(outcome: Outcome, reader: Reader, most: int, work: Budget) -> list[Fact]:
    """Facts that a small answer rests on, at most `most`; none where there are more things than that.

    One for each pattern first, so that a row with many facts leaves no other without.
    """
    found: dict[object, Fact] = {}
    behind = list(_behind(outcome, reader, most, work))
    for each in (1, most):
        for pattern in behind:
            if len(found) >= most:
                break
            for fact in reader.about(*pattern, most=min(each, most - len(found))):
                found.setdefault(fact.statement, fact)
    return list(found.values())


def _behind(outcome: Outcome, reader: Reader, most: int, work: Budget) -> Iterator[Pattern]:
    template, rows = outcome.template, outcome.rows
    if isinstance(template, Count):
        yield from _counted(template, number(rows[0][0]), reader, most, work)
    elif isinstance(template, Listing):
        yield from _of_each(template.of, rows[:most])
    elif isinstance(template, Ask):
        if number(rows[0][0]):
            yield template.subject, template.predicate, template.object
    else:
        inverse = isinstance(template, Compare | MostBy) and template.inverse
        valued = isinstance(template, Extreme) or (isinstance(template, Compare) and template.by_value)
        for thing, value in rows[:most]:
            other = value if valued else None
            yield (other, template.predicate, thing) if inverse else (thing, template.predicate, other)


def _counted(template: Count, count: int, reader: Reader, most: int, work: Budget) -> Iterator[Pattern]:
    """Those that were counted, if they are few; nothing where listing them takes more than the budget."""
    if not 0 < count <= most:
        return
    try:
        listed = run(Listing(template.of), reader, work)
    except BudgetError:
        return
    yield from _of_each(template.of, listed.rows)


def _of_each(selection: Selection, rows: Sequence[Row]) -> Iterator[Pattern]:
    """One triple of each row first, so that no row is without; then the others."""
    found = [list(_of_one(selection, row[0])) for row in rows]
    yield from (some[0] for some in found)
    yield from (pattern for some in found for pattern in some[1:])


def _of_one(selection: Selection, term: bytes | None) -> Iterator[Pattern]:
    """The triples that make one thing a part of a selection: all its links, or the class where there is no more."""
    for link in selection.links:
        yield (link.entity, link.predicate, term) if link.forward else (term, link.predicate, link.entity)
    for bound in selection.bounds:
        yield term, bound.predicate, None
    for predicate in selection.having:
        yield term, predicate, None
    if selection.value_of is not None:
        yield None, selection.value_of, term
    if selection.kind is not None and not (selection.links or selection.bounds or selection.having):
        yield term, selection.kind.by, selection.kind.term


def terms_of(template: Template) -> list[bytes]:
    """The terms that a template is filled with."""
    if isinstance(template, Ask):
        return [template.subject, template.predicate, template.object]
    if isinstance(template, Compare):
        return [*template.entities, template.predicate, *([template.other.term] if template.other else [])]
    own = [] if isinstance(template, Count | Listing) else [template.predicate]
    if isinstance(template, MostBy) and template.other is not None:
        own.append(template.other.term)
    of = template.of
    links = [term for link in of.links for term in (link.predicate, link.entity)]
    own += [*links, *(bound.predicate for bound in of.bounds), *of.having]
    own += [of.value_of] if of.value_of is not None else []
    return own + ([of.kind.term] if of.kind is not None else [])


def predicates_of(template: Template) -> tuple[bytes, ...]:
    """The predicates that a template's query reads, each once."""
    if isinstance(template, Ask | Compare):
        kind = template.other if isinstance(template, Compare) else None
        return tuple(dict.fromkeys((template.predicate, *((kind.by,) if kind else ()))))
    own = () if isinstance(template, Count | Listing) else (template.predicate,)
    other = (template.other.by,) if isinstance(template, MostBy) and template.other is not None else ()
    return tuple(dict.fromkeys((*own, *other, *(p for _, p, _ in patterns(template.of) if p is not None))))
