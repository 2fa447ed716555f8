"""What `retrieval.service.Knowledge` gives: facts with their sentences, for people, programs and prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrieval.prompt.citing import cite
from retrieval.shown import Found, shown

if TYPE_CHECKING:
    from retrieval.model import Absent, Context, Dropped, Fact
    from retrieval.prompt.citing import Citation


@dataclass(frozen=True, slots=True)
class Result:
    """What was found for a question."""

    context: Context
    texts: tuple[str, ...]
    """A sentence for each fact, cleaned for prompts."""
    proof: str
    """Name of its proofs."""
    found: str = ""
    """Facts, rows and absence as they stand in a prompt, where one was asked for (`Knowledge.chat`)."""

    def shown(self) -> Found:
        """The same for programs."""
        return shown(self.context, self.texts, self.proof)

    def cited(self, answer: str) -> tuple[Citation, ...]:
        """The citations of an answer that somebody's model wrote from this."""
        return cite(answer, self.context, self.texts)


@dataclass(frozen=True, slots=True)
class About:
    """Facts about an entity, and what was left out of them."""

    facts: tuple[Fact, ...]
    texts: tuple[str, ...]
    dropped: tuple[Dropped, ...]
    total: int
    """How many quads there are."""
    next: int | None
    """Where the rest begins."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a triple is stated, and what is stated instead."""

    fact: Fact | None
    absent: Absent | None
    """That it is provably not there."""
    others: tuple[Fact, ...]
    """What is stated of the same subject and predicate."""
    texts: tuple[str, ...]
    """Sentences for `others`."""
    dropped: tuple[Dropped, ...]
    proof: str
