"""Quotas: how much of a context one publisher may fill alone.

A fact is charged to a publisher where no other publisher says it. A share is of what is left in the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval.model import Dropped, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from fractions import Fraction

    from retrieval.model import Fact


def capped(facts: Iterable[Fact], quotas: Mapping[str, Fraction | int]) -> tuple[list[Fact], list[Dropped]]:
    """What stays, in its order, and what is over a quota: the facts with the lowest scores go.

    A share leaves one fact at least: otherwise a publisher who is alone could say nothing.
    """
    kept = list(facts)
    gone: list[Fact] = []
    own: dict[str, list[Fact]] = {}
    for fact in kept:
        if len(fact.publishers) == 1:
            own.setdefault(fact.publishers[0], []).append(fact)
    for one in own.values():
        one.sort(key=lambda fact: -fact.score)
    total = len(kept)
    changed = True
    while changed:
        changed = False
        for publisher, theirs in own.items():
            quota = quotas.get(publisher, quotas.get("*"))
            if quota is not None and len(theirs) > _room(quota, total):
                gone.append(theirs.pop())
                total -= 1
                changed = True
    left = {id(fact) for fact in gone}
    dropped = [
        Dropped(
            fact.statement, Reason.QUOTA, "its only publisher has used up its share of the context", fact.publishers
        )
        for fact in gone
    ]
    return [fact for fact in kept if id(fact) not in left], dropped


def _room(quota: Fraction | int, total: int) -> int:
    return quota if isinstance(quota, int) else max(1, int(quota * total))
