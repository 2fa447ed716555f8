"""What a question asks for that the graph does not have: a relation that its words name clearly and no path took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from retrieval.units import Fitting, orders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrieval.expand import Path
    from retrieval.index import KnowledgeIndex
    from retrieval.link import Linked, Mention

WANTED_MAX: Final = 4
"""Lookups for absence of one question; what else is wanted is said to be not asked."""

_NODES_MAX: Final = 2
_RELATIONS_MAX: Final = 2
_FIT_MIN: Final = 0.2
_SAME: Final = 0.01  # orders of the words that fit the path equally well


@dataclass(frozen=True, slots=True)
class Wanted:
    """Subjects and predicates that no edge of the index has."""

    pairs: list[tuple[bytes, bytes]] = field(default_factory=list)
    """What is to be looked for."""
    left: list[tuple[bytes, bytes]] = field(default_factory=list)
    """What would be wanted besides, and is too much."""


def wanted(index: KnowledgeIndex, linked: Linked, best: Sequence[Path]) -> Wanted:
    """What is to be looked for, though no edge of the index has it."""
    if best:
        path = best[0]
        mention, rows = path.mention, path.relations
        nodes = [list(dict.fromkeys(at)) for at in zip(*(chain.nodes for chain in path.chains), strict=True)]
    elif linked.mentions and _is_clear(linked.mentions):
        mention, rows, nodes = linked.mentions[0], (), [[linked.mentions[0].node]]
    else:
        return Wanted()
    fittings = [Fitting(units, index.relations) for units in orders(linked.words, mention)]
    found: list[tuple[int, int]] = []
    more: list[tuple[int, int]] = []
    values = [one.value(rows) for one in fittings]
    for fitting, value in zip(fittings, values, strict=True):
        if value < max(values) - _SAME:
            continue
        for level, first, last in _missing(fitting, rows):
            for at, relation in enumerate(fitting.clear(first, last, index.relations)):
                found += [(node, relation) for node in nodes[level][:_NODES_MAX] if at < _RELATIONS_MAX]
                more += [(node, relation) for node in nodes[level][_NODES_MAX if at < _RELATIONS_MAX else 0 :]]
        if found:
            break
    return Wanted(_named(index, found[:WANTED_MAX]), _named(index, [*found[WANTED_MAX:], *more]))


def _named(index: KnowledgeIndex, found: Sequence[tuple[int, int]]) -> list[tuple[bytes, bytes]]:
    """Nodes and relations as terms; a literal is no subject."""
    terms = index.terms([node for node, _ in found])
    pairs = [(terms[node], index.relations.terms[relation]) for node, relation in found]
    return [(subject, predicate) for subject, predicate in pairs if subject[:1] == b"<"]


def _is_clear(mentions: Sequence[Mention]) -> bool:
    """Whether it is one thing that the question names by its whole name."""
    return mentions[0].how == "linked" and sum(one.first == mentions[0].first for one in mentions) == 1


def _missing(fitting: Fitting, rows: Sequence[int]) -> list[tuple[int, int, int]]:
    """Stretches of units that no relation of the path stands for: after how many relations, first unit, one past."""
    level_of = [len(rows)] * len(fitting.units)
    spoken = [False] * len(fitting.units)
    for level, (row, (first, last)) in enumerate(zip(rows, fitting.spans(rows), strict=True)):
        for at in range(first, last):
            level_of[at] = level
            spoken[at] = fitting.fit(at, row) >= _FIT_MIN
    met = next((at for at, one in enumerate(spoken) if one), len(spoken))
    for at in range(met):
        level_of[at] = 0
    for at in range(met, len(spoken)):
        if not spoken[at]:
            done = [level_of[other] + 1 for other in range(at) if spoken[other]]
            level_of[at] = min(len(rows), max(done, default=0))
    found: list[tuple[int, int, int]] = []
    for at, one in enumerate(spoken):
        if one:
            continue
        if found and found[-1][2] == at and found[-1][0] == level_of[at]:
            found[-1] = (found[-1][0], found[-1][1], at + 1)
        else:
            found.append((level_of[at], at, at + 1))
    return found
