"""From names in a row to what they select: which relation belongs to which entity, and read in which direction."""

from __future__ import annotations

from itertools import islice, product
from typing import TYPE_CHECKING, Final

from dkg.errors import LimitError, RdfError
from dkg.normal import normalize
from dkg.values import value_of
from retrieval.aggregate.names import Mention, What
from retrieval.aggregate.templates import Bound, Link, Op, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from retrieval.aggregate.schema import Property, Schema
    from retrieval.aggregate.words import Word

SELECTIONS_MAX: Final = 24
"""Most readings of one tiling."""

_XSD: Final = "http://www.w3.org/2001/XMLSchema#"
_HAVE: Final = frozenset({"with", "whose", "have", "has", "having", "had", "who", "which", "that"})
_ARTICLES: Final = frozenset({"a", "an", "the", "any", "some", "as"})
_IS: Final = frozenset({"is", "are", "was", "were"})
_OWN: Final = frozenset({"'s", "'"})


def between(text: Sequence[Word], first: Mention, second: Mention) -> list[str]:
    """The words between two mentions, the earlier one first."""
    return [word.plain for word in text[first.last : second.first]]


def before(text: Sequence[Word], mention: Mention) -> str:
    """The word before a mention, without articles."""
    at = mention.first - 1
    while at >= 0 and text[at].plain in _ARTICLES:
        at -= 1
    return text[at].plain if at >= 0 else ""


def directions(text: Sequence[Word], relation: Mention, entity: Mention, *, among: bool) -> tuple[bool, ...]:
    """Whether the entity is the subject of the relation: what the words say, or both ways, the likelier first.

    `among`: a class is named, of which things are wanted: then the entity is more often the object.
    """
    if entity.first < relation.first:
        inside = between(text, entity, relation)
        forward = {"as", "for"}.isdisjoint(inside)
        return (forward, not forward) if among and _OWN.isdisjoint(inside) else (forward,)
    inside = between(text, relation, entity)
    follows = text[entity.last].plain if entity.last < len(text) else ""
    if not {"do", "does", "did"}.isdisjoint(inside) or (follows in {"has", "have", "had"} and not among):
        return (True,) if not among else (True, False)
    leads = before(text, relation)
    if leads in _HAVE or leads == "by":
        return (False, True) if among else (False,)
    if among:
        return (False, True)
    if not {"of", "for"}.isdisjoint(inside):
        return (True,)
    return (False, True) if not _IS.isdisjoint(inside) else (True, False)


def without_appositions(mentions: Sequence[Mention]) -> list[Mention]:
    """Without the classes that only say what the entity after them is: `the film X`. The first may be wanted."""
    return [
        mention
        for at, mention in enumerate(mentions)
        if not (
            mention.what is What.CLASS
            and 0 < at < len(mentions) - 1
            and mentions[at + 1].what is What.ENTITY
            and mentions[at + 1].first == mention.last
        )
    ]


def of_kind(mentions: Sequence[Mention], what: What) -> list[Mention]:
    """The mentions of one kind, in their order."""
    return [mention for mention in mentions if mention.what is what]


def selections(text: Sequence[Word], mentions: Sequence[Mention], schema: Schema) -> Iterator[Selection]:
    """What the names select, by every reading of them; none where they do not fit together."""
    names = without_appositions(mentions)
    classes, entities = of_kind(names, What.CLASS), of_kind(names, What.ENTITY)
    if len(classes) > 1 or (classes and entities and entities[0].first < classes[0].first and len(entities) > 1):
        return
    kinds = [schema.classes[term] for term in classes[0].terms] if classes else [None]
    paired = _pairs(text, names)
    if paired is None:
        return
    pairs, bounded, free = paired
    if len(free) > 1 or not (classes or pairs or bounded or free):
        return
    if free and (pairs or bounded) and not (classes and before(text, free[0]) in _HAVE):
        return  # a relation of a relation: that is a path, and no matter of a template
    options = [_links(text, relation, entity, among=bool(classes)) for relation, entity in pairs]
    ranges = [list(_bounds(relation, bound, schema)) for relation, bound in bounded]
    frees: list[bytes | None] = list(free[0].terms) if free else [None]
    readings = product(kinds, product(*options), product(*ranges), frees)
    for kind, links, limits, own in islice(readings, SELECTIONS_MAX):
        alone = own is not None and kind is None and not links and not limits
        yield Selection(kind, links, limits, () if own is None or alone else (own,), own if alone else None)


Pairs = tuple[list[tuple[Mention, Mention]], list[tuple[Mention, Mention]], list[Mention]]


def _pairs(text: Sequence[Word], names: Sequence[Mention]) -> Pairs | None:
    """Which relation goes with which entity, which with which bound, and which with none; None if one is left over."""
    relations = of_kind(names, What.RELATION)
    pairs: list[tuple[Mention, Mention]] = []
    bounded: list[tuple[Mention, Mention]] = []
    free = list(relations)
    last: Mention | None = None
    for mention in names:
        if mention.what not in {What.ENTITY, What.BOUND}:
            continue
        relation = _nearest(free, mention)
        if relation is None:
            if last is None or mention.what is What.BOUND or "and" not in _gap(text, names, mention):
                return None
            relation = last  # `genre comedy and drama`
        else:
            free.remove(relation)
        last = relation
        (bounded if mention.what is What.BOUND else pairs).append((relation, mention))
    return pairs, bounded, free


def _nearest(free: Sequence[Mention], mention: Mention) -> Mention | None:
    """The relation next to a mention: the last one before it, else the first one after it."""
    earlier = [relation for relation in free if relation.first < mention.first]
    if earlier:
        return earlier[-1]
    return free[0] if free else None


def _gap(text: Sequence[Word], names: Sequence[Mention], mention: Mention) -> list[str]:
    at = names.index(mention)
    return between(text, names[at - 1], mention) if at else []


def _links(text: Sequence[Word], relation: Mention, entity: Mention, *, among: bool) -> list[Link]:
    ways = directions(text, relation, entity, among=among)
    return [Link(p, e, forward) for forward in ways for p, e in product(relation.terms, entity.terms)]


def _bounds(relation: Mention, bound: Mention, schema: Schema) -> Iterator[Bound]:
    for predicate in relation.terms:
        literal = literal_for(schema.properties[predicate], bound.op, bound.value)
        if literal is not None:
            yield Bound(predicate, bound.op, literal)


def literal_for(of: Property, op: Op, value: str) -> bytes | None:
    """A number or date of a question as the literal that the values of a property are compared with.

    A year is the day with which it begins or ends: after 1980 is after its last day. `run` gives a date the datatype
    that the property's values have.
    """
    if of.numbers and value.count("-") == 0:
        return f'"{value}"^^<{_XSD}{"decimal" if "." in value else "integer"}>'.encode()
    if not of.times or "." in value:
        return None
    if "-" not in value:
        if op is Op.SAME:
            return None
        value = f"{value:0>4}-12-31" if op in {Op.MORE, Op.AT_MOST} else f"{value:0>4}-01-01"
    try:
        literal = normalize(f'"{value}"^^<{_XSD}date>'.encode())
    except (RdfError, LimitError):
        return None
    return None if value_of(literal) is None else literal
