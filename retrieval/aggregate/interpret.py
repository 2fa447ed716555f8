"""From a question to filled templates, the likeliest reading first. Pure: what is true of them is for `answer`."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from retrieval.aggregate.intent import Intent, Want
from retrieval.aggregate.names import Mention, What
from retrieval.aggregate.selections import (
    between,
    of_kind,
    selections,
    without_appositions,
)
from retrieval.aggregate.templates import (
    Ask,
    Compare,
    Count,
    Extreme,
    HavingMany,
    Listing,
    MostBy,
    Selection,
    Template,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from retrieval.aggregate.schema import Schema
    from retrieval.aggregate.words import Word

_TWO: Final = 2


def templates(text: Sequence[Word], intent: Intent, names: Sequence[Mention], schema: Schema) -> Iterator[Template]:
    """The templates that a tiling fills, given what is wanted."""
    if intent.want in {Want.COUNT, Want.LIST}:
        yield from _sets(text, intent, names, schema)
    elif intent.want is Want.ASK:
        yield from _asks(text, names, schema)
    elif intent.want is Want.COMPARE:
        yield from _comparisons(intent, names, schema)
    elif intent.want is Want.EXTREME:
        yield from _extremes(text, intent, names, schema)
    else:
        yield from _most(text, intent, names, schema)


def _sets(text: Sequence[Word], intent: Intent, names: Sequence[Mention], schema: Schema) -> Iterator[Template]:
    yield from _many(text, names, schema)
    for found in selections(text, names, schema):
        yield Count(found) if intent.want is Want.COUNT else Listing(found)


def _many(text: Sequence[Word], names: Sequence[Mention], schema: Schema) -> Iterator[Template]:
    """`films with more than 5 cast members`: a bound on how many, not on a value."""
    for at, bound in enumerate(names):
        if bound.what is not What.BOUND or not bound.value.isdigit():
            continue
        for relation in names[at + 1 : at + 2]:
            rest = [*names[:at], *names[at + 2 :]]
            if relation.what is not What.RELATION or not rest:
                continue
            for found, predicate in product(selections(text, rest, schema), relation.terms):
                if not schema.properties[predicate].numbers:
                    yield HavingMany(found, predicate, bound.op, int(bound.value))


def _asks(text: Sequence[Word], names: Sequence[Mention], schema: Schema) -> Iterator[Template]:
    names = _without_described(names)
    entities, relations = of_kind(names, What.ENTITY), of_kind(names, What.RELATION)
    classes = of_kind(names, What.CLASS)
    if len(names) == _TWO and len(entities) == 1 and classes and names[0] is entities[0]:
        for e, c in product(entities[0].terms, classes[0].terms):
            yield Ask(e, schema.classes[c].by, c)
    if len(entities) != _TWO or len(relations) != 1 or classes:
        return
    first, second = entities
    relation = relations[0]
    if _inverted(text, first, relation, second):
        first, second = second, first
    for s, p, o in product(first.terms, relation.terms, second.terms):
        yield Ask(s, p, o)


def _without_described(names: Sequence[Mention]) -> list[Mention]:
    """Without classes right before an entity, also at the start: `Is the film X ...`."""
    return [
        mention
        for at, mention in enumerate(names)
        if not (mention.what is What.CLASS and at + 1 < len(names) and names[at + 1].what is What.ENTITY)
        or names[at + 1].first != mention.last
    ]


def _inverted(text: Sequence[Word], first: Mention, relation: Mention, second: Mention) -> bool:
    """Whether the second entity is the subject: `Is A the spouse of B?` asks for B's spouse."""
    if not first.first < relation.first < second.first:
        return False
    inside = between(text, relation, second)
    return "of" in inside or "for" in inside


def _comparisons(intent: Intent, names: Sequence[Mention], schema: Schema) -> Iterator[Template]:
    names = _without_described(names)
    entities, relations = of_kind(names, What.ENTITY), of_kind(names, What.RELATION)
    classes = of_kind(names, What.CLASS)
    if len(entities) != _TWO or len(relations) > 1 or len(classes) > 1 or not relations:
        return
    kind = schema.classes[classes[0].terms[0]] if classes else None
    for a, b, predicate in product(entities[0].terms, entities[1].terms, relations[0].terms):
        if a == b:
            continue
        found = schema.properties[predicate]
        if found.numbers or found.times:
            more = intent.least if intent.by_age and not found.numbers else not intent.least
            yield Compare((a, b), predicate, by_value=True, inverse=False, more=more)
        else:
            for inverse in (True, False) if kind else (False, True):
                yield Compare((a, b), predicate, by_value=False, inverse=inverse, more=not intent.least, other=kind)


def _extremes(text: Sequence[Word], intent: Intent, names: Sequence[Mention], schema: Schema) -> Iterator[Template]:
    """`the film with the earliest release date`: the property is next to the word that orders, mostly after it."""
    names = without_appositions(names)
    after = [mention for mention in names if mention.what is What.RELATION and mention.first >= intent.last]
    other = [mention for mention in names if mention.what is What.RELATION and mention.first < intent.first]
    for relation in (*after[:1], *other[-1:]):
        rest = [mention for mention in names if mention is not relation]
        for predicate in relation.terms:
            found = schema.properties[predicate]
            if not (found.numbers or found.times):
                continue
            # the oldest was born first, and has the largest age
            largest = intent.least if intent.by_age and not found.numbers else not intent.least
            for selection in selections(text, rest, schema) if rest else (Selection(),):
                yield Extreme(selection, predicate, largest)


def _most(text: Sequence[Word], intent: Intent, names: Sequence[Mention], schema: Schema) -> Iterator[Template]:
    names = without_appositions(names)
    after = [mention for mention in names if mention.first >= intent.last]
    earlier = [mention for mention in names if mention.first < intent.first]
    if intent.want is Want.COMMON:
        yield from _common(intent, names, schema)
        return
    if not after:
        return
    counted, rest = after[0], [*earlier, *after[1:]]
    if counted.what is What.RELATION and rest:
        for predicate, found in product(counted.terms, selections(text, rest, schema)):
            if found.value_of is not None and found.kind is None:
                continue
            yield MostBy(found, predicate, inverse=False, least=intent.least)
    relations = of_kind(rest, What.RELATION)
    if counted.what is What.CLASS and len(rest) == len(relations) == 1:
        for predicate, term in product(relations[0].terms, counted.terms):
            yield MostBy(Selection(), predicate, inverse=True, least=intent.least, other=schema.classes[term])


def _common(intent: Intent, names: Sequence[Mention], schema: Schema) -> Iterator[Template]:
    """`the most common genre of films`."""
    relations, classes = of_kind(names, What.RELATION), of_kind(names, What.CLASS)
    if len(relations) != 1 or len(classes) > 1 or len(names) != len(relations) + len(classes):
        return
    kinds = [schema.classes[term] for term in classes[0].terms] if classes else [None]
    for predicate, kind in product(relations[0].terms, kinds):
        yield MostBy(Selection(), predicate, inverse=True, least=intent.least, other=kind)
