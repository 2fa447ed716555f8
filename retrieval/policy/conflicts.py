"""Conflicts on functional properties: found exactly, and settled by who says what (docs/policy.md, "Conflicts").

A property that is functional has one value for a subject. Whatever an index proposed, all publishers that count are
asked for their values of the subject, each in its own dataset, so neither an index that hides a value nor a publisher
that writes thousands changes who is heard. Then each publisher supports the value that it states; one that states
several contradicts itself and supports none of them. Copies by one publisher count once, and newer is not better.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from dkg.values import NUMERIC, value_of
from retrieval.model import Candidate, Fact
from retrieval.reading import Reader
from retrieval.reading_ranges import FAULTS
from retrieval.safety.terms import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from retrieval.model import Snapshot, Statement

VALUES_MAX: Final = 16
"""Most values of one property of one subject that are read of one publisher: it has contradicted itself long before."""

Value = tuple[str, object]
"""What two terms share that say the same."""


def value(term: bytes) -> Value:
    """What a term says: numbers are equal whatever they are written as, and so are texts of any language."""
    parts = literal(term)
    if parts is None:
        return "iri", term
    found = value_of(term)
    if found is not None and found[0] == NUMERIC:
        try:
            return "number", Decimal(parts.text)
        except InvalidOperation:  # INF and NaN as XML Schema writes them are what Decimal takes; others stay text
            return "text", parts.text
    return ("text" if found is None else parts.datatype), parts.text


@dataclass(frozen=True, slots=True)
class Side:
    """One value, in all its spellings, and who supports it."""

    facts: tuple[Fact, ...]
    weight: Fraction

    @property
    def publishers(self) -> tuple[str, ...]:
        """Who says it, each once."""
        return tuple(dict.fromkeys(publisher for fact in self.facts for publisher in fact.publishers))


class Conflicts:
    """Asks the publishers that count, each for itself."""

    def __init__(
        self,
        reader: Reader,
        weight: Callable[[str], Fraction],
        allowed: Callable[[Fact], Fact | None],
        snapshots: Sequence[Snapshot],
    ) -> None:
        """`snapshots`: of publishers that count. `allowed`: a fact as the policy lets it through."""
        self._reader = reader
        self._weight = weight
        self._allowed = allowed
        self._single: dict[str, Reader] = {}
        by_publisher: dict[str, list[Snapshot]] = defaultdict(list)
        for one in snapshots:
            by_publisher[one.publisher].append(one)
        for publisher, own in by_publisher.items():
            self._single[publisher] = Reader(own)

    def sides(self, subject: bytes, predicate: bytes) -> list[Side]:
        """The values that are stated, the best supported first. What the policy drops for itself is not among them.

        Publishers of weight 0 are heard only where no other says anything. Raises what reading raises where the
        dataset of a publisher of weight cannot be read: what it says could decide.
        """
        heavy = [one for one in self._single if self._weight(one) > 0]
        light = [one for one in self._single if self._weight(one) == 0]
        return self._sides(subject, predicate, heavy) or self._sides(subject, predicate, light)

    def _sides(self, subject: bytes, predicate: bytes, publishers: Iterable[str]) -> list[Side]:
        statements: dict[Statement, None] = {}
        many: set[str] = set()
        for one in publishers:
            try:
                stated = self._single[one].about(subject, predicate, most=VALUES_MAX + 1)
            except FAULTS:
                if self._weight(one) > 0:
                    raise
                continue  # it would have counted for nothing
            if len(stated) > VALUES_MAX:
                many.add(one)
            statements.update((fact.statement, None) for fact in stated[:VALUES_MAX])
        facts, _ = self._reader.facts([Candidate(statement, 0.0) for statement in statements])
        groups: dict[Value, list[Fact]] = defaultdict(list)
        for fact in filter(None, map(self._allowed, facts)):
            groups[value(fact.statement.object)].append(fact)
        return self._weighed(groups, many)

    def _weighed(self, groups: dict[Value, list[Fact]], many: set[str]) -> list[Side]:
        stated: dict[str, set[Value]] = defaultdict(set)
        for key, facts in groups.items():
            for fact in facts:
                for publisher in fact.publishers:
                    stated[publisher].add(key)
        sides = []
        for key, facts in groups.items():
            supporters = [one for one, keys in stated.items() if keys == {key} and one not in many]
            sides.append(Side(tuple(facts), sum(map(self._weight, supporters), Fraction(0))))
        return sorted(sides, key=lambda side: (-side.weight, side.facts[0].statement.object))
