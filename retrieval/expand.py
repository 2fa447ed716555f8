"""Paths from the things that a question names, over one to three relations, by how well their relations fit its words.

A beam over paths of relations: each goes from a set of nodes to all their neighbours by one relation, so that a
father, or all of five children, is one step. What is reached is looked up only for the paths that are kept. Every
bound is a constant: a hub with a million edges costs as much as one with a hundred.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from retrieval.units import Fitting, orders, units_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from retrieval.index import KnowledgeIndex
    from retrieval.index.edges import Ints
    from retrieval.index.relations import Floats
    from retrieval.link import Linked, Mention

HOPS_MAX: Final = 3
"""Relations of a path."""

BEAM: Final = 24
"""Paths that are followed further, of each length."""

HUB_EDGES_MAX: Final = 64
"""Edges of one relation of one node that are followed; those of a hub beyond are not."""

FRONTIER_MAX: Final = 96
"""Nodes that one path of relations reaches and goes on from."""

RUNS_MAX: Final = 512
"""Relations of one node, in one direction, that are looked at."""

HOP_COST: Final = 0.25
"""What a relation of a path costs: one that brings less does not belong to it."""

BEHIND_MAX: Final = 1.5
"""Paths that can at best be so far behind the best one are not followed."""

CHAINS_MAX: Final = 64
"""Ways along one path of relations that are told apart."""

Edge = tuple[int, int, int]
"""A row of the table of edges: subject, relation, object."""


@dataclass(frozen=True, slots=True)
class Chain:
    """One way from a mention along edges: what answers, if anything does."""

    edges: tuple[Edge, ...]
    nodes: tuple[int, ...]
    """The nodes that it goes through, the mention's first."""


@dataclass(frozen=True, slots=True)
class Path:
    """All ways along one sequence of relations from one mention."""

    mention: Mention
    relations: tuple[int, ...]
    """Rows of `Relations.fits`: a relation read forward, or from its object."""
    fittings: tuple[Fitting, ...]
    score: float
    fit: float
    """The part of the score that the relations brought, without the mention."""
    chains: tuple[Chain, ...]
    cut: bool
    """There are more ways than were followed."""


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    mention: Mention
    fittings: Sequence[Fitting]
    relations: tuple[int, ...]
    brought: tuple[Floats, ...]
    extra: float = 0.0
    levels: tuple[Ints, ...] = field(default=(), repr=False)
    """Of each step: (edges, 5) from, to, subject, relation, object."""
    cut: bool = False

    @property
    def fit(self) -> float:
        """What the path has brought, at best."""
        return max(float(one.max()) for one in self.brought) + self.extra

    @property
    def hope(self) -> float:
        """What it can bring at most, with what is ahead."""
        pairs = zip(self.brought, self.fittings, strict=True)
        return max(float((one + fitting.ahead).max()) for one, fitting in pairs) + self.extra

    @property
    def ends(self) -> Ints:
        """The nodes that are reached."""
        return np.unique(self.levels[-1][:, 1]) if self.levels else np.asarray([self.mention.node], dtype=np.int32)


def paths(index: KnowledgeIndex, linked: Linked, most: int) -> list[Path]:
    """The best paths for a question, the best first."""
    if not linked.mentions:
        return []
    known: dict[tuple[int, int], list[Fitting]] = {}
    starts = []
    for mention in linked.mentions:
        span = (mention.first, mention.last)
        if span not in known:
            ordered = orders(linked.words, mention)
            index.relations.prepare(ordered[0])
            known[span] = [Fitting(units, index.relations) for units in ordered]
        fittings = known[span]
        starts.append(_State(mention, fittings, (), tuple(one.start() for one in fittings)))
    found: list[_State] = []
    beam = starts
    apart = {mention: _own_weight(index, linked, mention) for mention in linked.mentions}
    for _ in range(HOPS_MAX):
        longer = [other for state in beam for other in _longer(index, state)]
        best = max((state.mention.weight + state.fit for state in (*found, *longer)), default=0.0)
        longer = [s for s in longer if s.mention.weight + s.hope > best - BEHIND_MAX]
        longer.sort(key=lambda s: (-(s.mention.weight + s.hope), -s.fit, s.relations, s.mention.node))
        beam = [state for one in longer[:BEAM] for state in _reached(index, one, apart)]
        found += beam
    found.sort(key=lambda s: (-(s.mention.weight + s.fit), len(s.relations), s.relations, s.mention.node))
    return [
        Path(s.mention, s.relations, tuple(s.fittings), s.mention.weight + s.fit, s.fit, tuple(_chains(s)), s.cut)
        for s in found[:most]
    ]


def _longer(index: KnowledgeIndex, state: _State) -> Iterator[_State]:
    """A path with each relation that goes on from where it is. What that reaches is not looked up yet."""
    rows = sorted(_rows(index, state.ends))
    if not rows:
        return
    extended = [f.extended(b, rows) - HOP_COST for f, b in zip(state.fittings, state.brought, strict=True)]
    for at, row in enumerate(rows):
        yield replace(state, relations=(*state.relations, row), brought=tuple(one[at] for one in extended))


def _rows(index: KnowledgeIndex, nodes: Ints) -> set[int]:
    count, naming = index.relations.count, index.relations.naming
    found: set[int] = set()
    for node in nodes.tolist():
        for back in (False, True):
            runs = index.edges.runs(node, back=back)[:RUNS_MAX]
            found.update(relation + count * back for relation, _, _ in runs if relation not in naming)
    return found


def _reached(index: KnowledgeIndex, state: _State, mentions: Mapping[Mention, float]) -> Iterator[_State]:
    """A path with what its last relation reaches; once more if it comes to another thing that the question names."""
    row = state.relations[-1]
    count = index.relations.count
    back, relation = row >= count, row % count
    pieces, cut = [], state.cut
    for node in state.ends.tolist():
        for other, first, last in index.edges.runs(node, back=back)[:RUNS_MAX]:
            if other == relation:
                cut = cut or last - first > HUB_EDGES_MAX
                rows = index.edges.rows(first, min(last, first + HUB_EDGES_MAX), back=back)
                to = rows[:, 0] if back else rows[:, 2]
                pieces.append(np.column_stack([np.full(len(rows), node, dtype=np.int32), to, rows[:, :3]]))
    level = np.concatenate(pieces)
    ends = np.unique(level[:, 1])
    if len(ends) > FRONTIER_MAX:
        cut, level = True, level[np.isin(level[:, 1], ends[:FRONTIER_MAX])]
    yield replace(state, levels=(*state.levels, level), cut=cut)
    mine = state.mention
    for named, weight in mentions.items():
        apart = named.last <= mine.first or mine.last <= named.first
        if apart and weight > 0 and named.node in ends:
            only = level[level[:, 1] == named.node]
            if len(only):
                yield replace(state, levels=(*state.levels, only), extra=state.extra + weight, cut=cut)


def _own_weight(index: KnowledgeIndex, linked: Linked, mention: Mention) -> float:
    """What a path gains that comes to a thing which is named too, if its words do not stand for relations already."""
    said = linked.words[mention.first : mention.last]
    return mention.weight - sum(map(index.relations.said_by, units_of(said)))


def _chains(state: _State) -> list[Chain]:
    """The ways along a path that lead to its end, in the order of their edges."""
    found: list[Chain] = []

    def walk(nodes: tuple[int, ...], edges: tuple[Edge, ...]) -> None:
        if len(edges) == len(levels):
            found.append(Chain(edges, nodes))
            return
        for to, s, p, o in levels[len(edges)].get(nodes[-1], ()):
            if len(found) >= CHAINS_MAX:
                return
            walk((*nodes, to), (*edges, (s, p, o)))

    levels: list[dict[int, list[tuple[int, int, int, int]]]] = []
    wanted: set[int] | None = None
    for level in reversed(state.levels):
        steps: dict[int, list[tuple[int, int, int, int]]] = {}
        for at, to, s, p, o in level.tolist():
            if wanted is None or to in wanted:
                steps.setdefault(at, []).append((to, s, p, o))
        levels.insert(0, steps)
        wanted = set(steps)
    walk((state.mention.node,), ())
    return found
