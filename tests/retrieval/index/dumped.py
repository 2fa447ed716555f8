"""All that an index holds, without its numbers: equal for two indexes of the same snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from retrieval.index import KnowledgeIndex

PROBES = ("ada", "lovelace", "byron", "london", "a", "b", "c", "x", "y", "label", "one", "two")


class Dump(NamedTuple):
    """What there is, by terms and texts."""

    edges: set[tuple[bytes, bytes, bytes, int]]
    out: set[tuple[bytes, bytes, bytes]]
    back: set[tuple[bytes, bytes, bytes]]
    names: set[tuple[bytes, int, str]]
    called: set[tuple[str, int, bytes]]
    found: set[tuple[str, bytes, str]]
    vocabulary: dict[str, int]
    terms: set[bytes]
    relations: dict[bytes, tuple[str, ...]]
    texts: set[bytes]
    """Those that are found by what they mean."""


def dumped(index: KnowledgeIndex) -> Dump:
    """Read everything, by every way that there is."""
    terms = dict(index._db.execute("SELECT id, term FROM terms").fetchall())
    relations = index.relations.terms
    names = index.names(terms)
    squeezed = {name.squeezed for name in names}
    walked: list[set[tuple[bytes, bytes, bytes]]] = []
    for back in (False, True):
        rows = {
            (s, p, o)
            for node in terms
            for _, first, last in index.edges.runs(node, back=back)
            for s, p, o, _ in index.edges.rows(first, last, back=back).tolist()
        }
        walked.append({(terms[s], relations[p], terms[o]) for s, p, o in rows})
    return Dump(
        {(terms[s], relations[p], terms[o], n) for s, p, o, n in index.edges.table.tolist()},
        walked[0],
        walked[1],
        {(terms[node], kind, norm) for node, kind, norm in names},
        {(name, kind, terms[node]) for name, held in index.called(squeezed).items() for kind, node in held},
        {(word, terms[n.node], n.norm) for word in PROBES for n in index.with_words([word], 1000)},
        dict(index.vocabulary.names),
        set(terms.values()),
        {term: index.relations.texts[number] for number, term in relations.items()},
        {terms[node] for node in index._texts.ids.tolist()} if index._texts else set(),
    )
