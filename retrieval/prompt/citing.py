"""Citations, attached in code: the names in an answer are matched to the facts that say them.

Models cite wrong more often than right (43 % right, with two facts and SmolLM2), so they are not asked to. A citation
says that these words of the answer are the object (or the subject) of that verified fact. It does not say that the
answer is true: a model may deny what it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.page import cid_text
from retrieval.prompt.matching import Name, hits_in, words_of
from retrieval.prompt.sentences import row_text, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from retrieval.model import Context, Fact
    from retrieval.prompt.matching import Hit

ANSWER_CHARS_MAX: Final = 100_000
"""How much of an answer is matched, in characters."""

CITATIONS_MAX: Final = 200
"""Most citations of one answer."""

_FIRST_CHARS: Final = 40
"""Where the first word of an answer is looked for."""


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
    query: str | None = None
    """The verified query whose answer says the words, and of all whose datasets `publishers` and `block` are."""


def cite(answer: str, context: Context, sentences: Sequence[str] = ()) -> tuple[Citation, ...]:
    """The citations of an answer, in its order. `sentences`: of the facts, for titles.

    Longer names win over names inside them, objects over subjects, and earlier facts over later ones. A name of the
    question is cited only where nothing else is, and if it is the object of a fact: who repeats the question has not
    answered it. An answer that begins with a no where the query said yes, or the other way round, has none at all.
    """
    if _contradicts(answer, verdict(context.lines)):
        return ()
    names = _names(context)
    hits = hits_in(answer[:ANSWER_CHARS_MAX], names)
    asked = {hit.name.words for hit in hits_in(context.question, names)}
    news = [hit for hit in hits if hit.name.words not in asked] or [hit for hit in hits if hit.name.role != "subject"]
    return tuple(_citation(answer, hit, context, sentences) for hit in news[:CITATIONS_MAX])


def verdict(lines: Sequence[str]) -> list[str]:
    """Yes or no, where sentences of a query's answer begin with it."""
    word = lines[0].partition(":")[0] if lines else ""
    return [word] if word in {"Yes", "No"} else []


def _contradicts(answer: str, said: Sequence[str]) -> bool:
    """Whether an answer begins with the other one of yes and no."""
    first = words_of(answer[:_FIRST_CHARS])[:1]
    return bool(said) and first in {("yes",), ("no",)} and first != words_of(said[0])


def _names(context: Context) -> list[Name]:
    facts = context.facts
    found = [
        Name(words_of(text_of(term, context.labels)), rank * len(facts) + at, role, at)
        for rank, role in enumerate(("object", "subject"))
        for at, fact in enumerate(facts)
        for term in (fact.statement.object if role == "object" else fact.statement.subject,)
    ]
    if context.query is not None and context.snapshots:
        found += [
            Name(words_of(row_text([cell], context.labels)), -1, "row", at)
            for at, row in enumerate(context.rows)
            for cell in row
        ]
        found += [Name(words_of(word), -1, "row", 0) for word in verdict(context.lines)]
    return [name for name in found if name.words]


def _citation(answer: str, hit: Hit, context: Context, sentences: Sequence[str]) -> Citation:
    words, at, role = answer[hit.start : hit.end], hit.name.at, hit.name.role
    if role == "row":
        read = context.snapshots
        return Citation(
            start=hit.start, end=hit.end, text=words, fact=None, role=role,
            url=f"urn:dkg:root:{cid_text(read[0].root)}", title=_title(context),
            publishers=tuple(dict.fromkeys(one.publisher for one in read)),
            block=_oldest(one.block for one in read), root=read[0].root, query=context.query,
        )  # fmt: skip
    fact = context.facts[at]
    return Citation(
        start=hit.start, end=hit.end, text=words, fact=at + 1, role=role,
        url=fact.origins[0].graph_iri, title=sentences[at] if at < len(sentences) else "",
        publishers=fact.publishers, block=_oldest(one.block for one in fact.origins), root=fact.origins[0].root,
        path=_path(context.facts, at),
    )  # fmt: skip


def _title(context: Context) -> str:
    return " ".join(context.lines) or "Found by a verified query."


def _oldest(blocks: Iterable[int | None]) -> int | None:
    return min((block for block in blocks if block is not None), default=None)


def _path(facts: Sequence[Fact], at: int) -> tuple[int, ...]:
    path = facts[at].path
    if path is None:
        return ()
    return tuple(n for n, fact in enumerate(facts, 1) if fact.path == path and n != at + 1)
