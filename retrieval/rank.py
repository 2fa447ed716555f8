"""The neighbourhood of the things that a question names, ranked by personalised PageRank.

It serves where no relation fits the question: what is said of a thing, the telling facts first. It is the second
ranker and not fused with the first: measured, a fusion finds more where a question's words are strange, and brings
five or six facts that do not answer with every question (docs/retrieval.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from retrieval.expand import HUB_EDGES_MAX, RUNS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from retrieval.index import KnowledgeIndex
    from retrieval.index.edges import Ints

EDGES_MAX: Final = 2_000
"""Edges of a neighbourhood."""

DAMPING: Final = 0.5
ROUNDS: Final = 12
"""Rounds of PageRank: with this damping, what is left to move is then below one in four thousand."""


def neighbourhood(index: KnowledgeIndex, nodes: Iterable[int], hops: int) -> Ints:
    """The edges around some nodes, without repeats: rows of subject, relation, object; names are left out."""
    found: dict[tuple[int, int, int], None] = {}
    seen: set[int] = set()
    at = list(dict.fromkeys(nodes))
    for _ in range(hops):
        reached: dict[int, None] = {}
        for node in at:
            seen.add(node)
            for s, p, o in _edges(index, node):
                if len(found) >= EDGES_MAX:
                    break
                found[s, p, o] = None
                reached.update({s: None, o: None})
        at = [node for node in reached if node not in seen]
    return np.asarray(list(found), dtype=np.int32).reshape(-1, 3)


def _edges(index: KnowledgeIndex, node: int) -> Iterable[tuple[int, int, int]]:
    for back in (False, True):
        for relation, first, last in index.edges.runs(node, back=back)[:RUNS_MAX]:
            if relation not in index.relations.naming:
                rows = index.edges.rows(first, min(last, first + HUB_EDGES_MAX), back=back)
                yield from ((s, p, o) for s, p, o, _ in rows.tolist())


def page_rank(edges: Ints, seeds: Mapping[int, float]) -> dict[int, float]:
    """Personalised PageRank of the nodes of some edges, read in both directions; `seeds`: where walks begin."""
    nodes, places = np.unique(edges[:, [0, 2]], return_inverse=True)
    ends = places.reshape(-1, 2)
    start = np.asarray([seeds.get(node, 0.0) for node in nodes.tolist()])
    if not len(nodes) or not start.sum():
        return {}
    start /= start.sum()
    degree = np.bincount(ends.ravel(), minlength=len(nodes))
    rank: NDArray[np.float64] = start
    for _ in range(ROUNDS):
        share = rank / degree
        moved = np.bincount(ends[:, 1], share[ends[:, 0]], len(nodes))
        moved += np.bincount(ends[:, 0], share[ends[:, 1]], len(nodes))
        rank = (1 - DAMPING) * start + DAMPING * moved
    return dict(zip(nodes.tolist(), rank.tolist(), strict=True))


def by_rank(edges: Ints, seeds: Mapping[int, float], fits: Sequence[float] | None = None) -> list[tuple[int, float]]:
    """Rows of edges, the best first: by the rank of both ends, times how well the row fits the question if given."""
    ranks = page_rank(edges, seeds)
    scores = np.asarray([ranks.get(s, 0.0) + ranks.get(o, 0.0) for s, _, o in edges.tolist()])
    if fits is not None and len(scores):
        scores = scores * np.asarray(fits)
    order = np.argsort(-scores, kind="stable")
    return [(int(at), float(scores[at])) for at in order]
