"""Citations, attached in code: the names in an answer are matched to the facts that say them.

Models cite wrong more often than right (43 % right, with two facts and SmolLM2), so they are not asked to. A citation
says that these words of the answer are the object (or the subject) of that verified fact. It does not say that the
answer is true: a model may deny what it names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.page import cid_text
from retrieval.prompt.packing import row_text
from retrieval.prompt.sentences import text_of
from retrieval.words import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from retrieval.model import Context, Fact

ANSWER_CHARS_MAX: Final = 100_000
"""How much of an answer is matched, in characters."""

CITATIONS_MAX: Final = 200
"""Most citations of one answer."""

_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Citation:
    """Words of an answer, and the fact that says them."""

    start: int
    """Where the words begin in the answer, in characters."""
    end: int
    """Where they end."""
    text: str
    """The words."""
    fact: int | None
    """Number of the fact in the context, from 1; None for an answer of the verified query."""
    role: str
    """Which part of the fact the words are: `object` or `subject`; `row` for an answer of the query."""
    url: str
    """IRI of the graph that says it: the UAL of an asset."""
    title: str
    """The fact as a sentence."""
    publishers: tuple[str, ...]
    """Who signed it, each as did:pkh; `local` for data of one's own."""
    block: int | None
    """As of which block; the oldest, where several say it."""
    root: bytes
    """CID of the first publisher's dataset."""
    path: tuple[int, ...] = ()
    """Numbers of the other facts of its path, which lead to it."""


class _Name(NamedTuple):
    """Something that an answer may name. The smaller `rank`, the better."""

    words: tuple[str, ...]
    rank: int
    role: str
    at: int


class _Hit(NamedTuple):
    start: int
    end: int
    name: _Name


def cite(answer: str, context: Context, sentences: Sequence[str] = ()) -> tuple[Citation, ...]:
    """The citations of an answer, in its order. `sentences`: of the facts, for titles.

    Longer names win over names inside them, objects over subjects, and earlier facts over later ones. Words that stand
    in the question are cited only where nothing else is: they are not what was asked for.
    """
    hits = _hits(answer[:ANSWER_CHARS_MAX], _names(context))
    asked = {tuple(hit.name.words) for hit in _hits(context.question, _names(context))}
    news = [hit for hit in hits if hit.name.words not in asked]
    return tuple(_citation(answer, hit, context, sentences) for hit in (news or hits)[:CITATIONS_MAX])


def _names(context: Context) -> list[_Name]:
    facts = context.facts
    found = [
        _Name(_words(text_of(term, context.labels)), rank * len(facts) + at, role, at)
        for rank, role in enumerate(("object", "subject"))
        for at, fact in enumerate(facts)
        for term in (fact.statement.object if role == "object" else fact.statement.subject,)
    ]
    if context.query is not None and context.snapshots:
        found += [
            _Name(_words(row_text([cell], context.labels)), -1, "row", at)
            for at, row in enumerate(context.rows)
            for cell in row
        ]
    return [name for name in found if name.words]


def _words(text: str) -> tuple[str, ...]:
    return tuple(fold(found.group()) for found in _WORD.finditer(text))


def _hits(text: str, names: Iterable[_Name]) -> list[_Hit]:
    """The first place of each name in a text, of the longest names that do not overlap."""
    words = list(_WORD.finditer(text))
    folded = [fold(found.group()) for found in words]
    places: dict[str, list[int]] = {}
    for at, word in enumerate(folded):
        places.setdefault(word, []).append(at)
    found: list[tuple[int, int, _Name]] = []
    for name in _best(names):
        size = len(name.words)
        starts = places.get(name.words[0], ())
        found += [(at, at + size, name) for at in starts if tuple(folded[at : at + size]) == name.words]
    free, taken = [True] * len(folded), set()
    hits = []
    for start, end, name in sorted(found, key=lambda hit: (hit[0] - hit[1], hit[2].rank, hit[0])):
        if name.words not in taken and all(free[start:end]):
            free[start:end] = [False] * (end - start)
            taken.add(name.words)
            hits.append(_Hit(words[start].start(), words[end - 1].end(), name))
    return sorted(hits)


def _best(names: Iterable[_Name]) -> Iterable[_Name]:
    """Of names with the same words, the best."""
    best: dict[tuple[str, ...], _Name] = {}
    for name in names:
        other = best.setdefault(name.words, name)
        if name.rank < other.rank:
            best[name.words] = name
    return best.values()


def _citation(answer: str, hit: _Hit, context: Context, sentences: Sequence[str]) -> Citation:
    words, at, role = answer[hit.start : hit.end], hit.name.at, hit.name.role
    if role == "row":
        read = context.snapshots
        return Citation(
            start=hit.start, end=hit.end, text=words, fact=None, role=role,
            url=f"urn:dkg:root:{cid_text(read[0].root)}", title="Found by a verified query.",
            publishers=tuple(dict.fromkeys(one.publisher for one in read)),
            block=_oldest(one.block for one in read), root=read[0].root,
        )  # fmt: skip
    fact = context.facts[at]
    return Citation(
        start=hit.start, end=hit.end, text=words, fact=at + 1, role=role,
        url=fact.origins[0].graph_iri, title=sentences[at] if at < len(sentences) else "",
        publishers=fact.publishers, block=_oldest(one.block for one in fact.origins), root=fact.origins[0].root,
        path=_path(context.facts, at),
    )  # fmt: skip


def _oldest(blocks: Iterable[int | None]) -> int | None:
    return min((block for block in blocks if block is not None), default=None)


def _path(facts: Sequence[Fact], at: int) -> tuple[int, ...]:
    path = facts[at].path
    if path is None:
        return ()
    return tuple(n for n, fact in enumerate(facts, 1) if fact.path == path and n != at + 1)
