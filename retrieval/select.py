"""Which verified facts go into the context: whole paths, the best first, within a budget of tokens and facts.

A small model is confused by what does not answer, so the paths that fit the question clearly less than the best one
stay out, and a path of which a fact is missing, unverified or forbidden is no path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dkg.errors import InputError
from retrieval.limits import TOKENS
from retrieval.model import Dropped, Reason
from retrieval.reading import scored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from retrieval.model import Fact, Statement

GAP_MAX: Final = 0.08
"""How far behind the best path one may be that goes into the context with it. Set by hand."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a context may hold."""

    tokens: int = TOKENS
    """Of the facts, as numbered sentences."""
    facts: int = 10

    def __post_init__(self) -> None:
        if self.tokens < 1 or self.facts < 1:
            raise InputError(f"a budget has at least one token and one fact, not {self.tokens} and {self.facts}")


@dataclass(frozen=True, slots=True)
class Way:
    """Facts that answer only together, and how well."""

    statements: tuple[Statement, ...]
    score: float


@dataclass(slots=True)
class Selected:
    """What was chosen, and what was not."""

    facts: list[Fact] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    complete: int = 0
    """Ways of which all facts are in the context."""
    cut: bool = False
    """There was no room for some way that answers."""


def select(
    ways: Sequence[Way], facts: Mapping[Statement, Fact], budget: Budget, tokens: Callable[[int, Fact], int]
) -> Selected:
    """The facts of the best ways. `tokens`: of the n-th fact of a context, as it will stand there."""
    found = Selected()
    chosen: dict[Statement, Fact] = {}
    spent = 0
    best = max((way.score for way in ways), default=0.0)
    for number, way in enumerate(ways, 1):
        if way.score < best - GAP_MAX or not all(one in facts for one in way.statements):
            continue
        fresh = [one for one in dict.fromkeys(way.statements) if one not in chosen]
        cost = sum(tokens(len(chosen) + at, facts[one]) for at, one in enumerate(fresh, 1))
        if len(chosen) + len(fresh) > budget.facts or spent + cost > budget.tokens:
            found.cut = True
            continue
        spent += cost
        found.complete += 1
        chosen.update((one, scored(facts[one], way.score, path=number)) for one in fresh)
    found.facts = list(chosen.values())
    found.dropped = [_left_out(facts[one], budget, over=over) for one, over in _rest(ways, facts, chosen, best)]
    return found


def _rest(
    ways: Iterable[Way], facts: Mapping[Statement, Fact], chosen: Mapping[Statement, Fact], best: float
) -> list[tuple[Statement, bool]]:
    """The facts that were not chosen, and whether that was for want of room."""
    rest: dict[Statement, bool] = {}
    for way in ways:
        whole = all(one in facts for one in way.statements)
        for one in way.statements:
            if one in facts and one not in chosen:
                rest[one] = rest.get(one, False) or (whole and way.score >= best - GAP_MAX)
    return list(rest.items())


def _left_out(fact: Fact, budget: Budget, *, over: bool) -> Dropped:
    if over:
        detail = f"no room was left in the budget of {budget.tokens} tokens and {budget.facts} facts"
        return Dropped(fact.statement, Reason.BUDGET, detail, fact.publishers)
    detail = "it fits the question less than what was chosen, or the rest of its path is missing"
    return Dropped(fact.statement, Reason.RELEVANCE, detail, fact.publishers)
