"""What is said of a thing, or around some words, where a question names no relation that the graph has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from retrieval.index.schema import TEXT
from retrieval.rank import by_rank, neighbourhood
from retrieval.select import GAP_MAX, Way
from retrieval.words import STOP, literal_text, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from retrieval.embed import Embedder
    from retrieval.index import KnowledgeIndex
    from retrieval.index.edges import Ints
    from retrieval.link import Linked

SEEDS_MAX: Final = 16
"""Things that a question's words lead to, where it names none."""

MEANING_MIN: Final = 0.35
"""How near a text must be to a question by their vectors, for it to be about the same."""

COMPARED_MAX: Final = 32
"""Triples that are compared with the question by their vectors."""

_TEXT_CHARS: Final = 200


def overview(index: KnowledgeIndex, linked: Linked, embedder: Embedder | None, most: int) -> list[Way]:
    """Single facts, the best first, all within the gap that a context keeps to."""
    seeds = _seeds(index, linked)
    if not seeds:
        return []
    edges = neighbourhood(index, seeds, 1)
    ranked = by_rank(edges, seeds)[:COMPARED_MAX]
    rows = edges[[at for at, _ in ranked]]
    if not len(rows):
        return []
    told = _told(index, rows)
    said = {word for word in linked.words if word not in STOP}
    scores = [len(said.intersection(words(text))) + score for text, (_, score) in zip(told, ranked, strict=True)]
    if embedder is not None:
        vectors = embedder.embed([" ".join(linked.words), *told])
        scores = [score + float(near) for score, near in zip(scores, vectors[1:] @ vectors[0], strict=True)]
    order = sorted(range(len(rows)), key=lambda at: -scores[at])
    statements = index.statements_of((s, p, o) for s, p, o in rows.tolist())
    chosen = _one_of_each(rows, order, most)
    step = GAP_MAX / (len(chosen) + 1)
    return [Way((statements[tuple(rows[at].tolist())],), 1.0 - step * n) for n, at in enumerate(chosen)]


def _seeds(index: KnowledgeIndex, linked: Linked) -> dict[int, float]:
    if linked.mentions:
        first = linked.mentions[0]
        return {one.node: one.weight for one in linked.mentions if one.weight >= first.weight / 2}
    found: dict[int, float] = {}
    wanted = dict.fromkeys(word for word in linked.words if word not in STOP)
    for place, name in enumerate(index.with_words(wanted, SEEDS_MAX), 1):
        found.setdefault(name.node, (1.0 if name.kind != TEXT else 0.8) / place)
    for node, near in index.meaning(" ".join(linked.words), SEEDS_MAX):
        if near >= MEANING_MIN:
            found[node] = found.get(node, 0.0) + near
    return found


def _one_of_each(rows: Ints, order: Sequence[int], most: int) -> list[int]:
    """The best rows, each relation once before any comes twice."""
    seen: dict[int, int] = {}
    turns = []
    for place, at in enumerate(order):
        relation = int(rows[at][1])
        turns.append((seen.get(relation, 0), place, at))
        seen[relation] = seen.get(relation, 0) + 1
    return [at for _, _, at in sorted(turns)[:most]]


def _told(index: KnowledgeIndex, rows: Ints) -> Iterable[str]:
    """A text for each triple: its subject, relation and object as the index calls them."""
    nodes = {int(node) for node in rows[:, [0, 2]].ravel()}
    called: dict[int, str] = {}
    for name in index.names(nodes):
        called.setdefault(name.node, name.norm)
    terms = index.terms([node for node in nodes if node not in called])
    for node, term in terms.items():
        called[node] = literal_text(term)[0] if term[:1] == b'"' else term[1:-1].decode()
    return [
        f"{called[s][:_TEXT_CHARS]} {index.relations.texts[p][0]} {called[o][:_TEXT_CHARS]}"
        for s, p, o in rows[:, :3].tolist()
    ]
