"""A trust policy: which facts may enter a prompt, and which questions are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from retrieval.model import Dropped, Reason
from retrieval.policy.document import Document, document_of
from retrieval.policy.errors import QuestionRefusedError
from retrieval.policy.functional import Functional
from retrieval.policy.patterns import found
from retrieval.policy.quotas import capped
from retrieval.policy.screening import Screening, forbidden, heard, recent, weight_of
from retrieval.safety import clean, overrides_instructions
from retrieval.safety.views import folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from fractions import Fraction

    from retrieval.model import Fact, Snapshot
    from retrieval.reading import Reader


class Policy:
    """One document. It does not change, and many threads may use it."""

    def __init__(self, document: Document | None = None) -> None:
        """Without a document, the policy that drops what looks like instructions to a model and nothing else."""
        self.document = document or Document()
        detection = self.document.detection
        self._functional = None if detection is None else Functional(detection)

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """The policy that a YAML document says (docs/policy.md). Raises `PolicyError` and `LimitError`."""
        return cls(document_of(text))

    def weight(self, publisher: str) -> Fraction:
        """A publisher's weight: 1 where the document does not say."""
        return weight_of(self.document, publisher)

    def readable(self, snapshots: Sequence[Snapshot], now: int) -> list[Snapshot]:
        """The datasets that count at all: reading only these changes nothing in what is kept, and is cheaper."""
        return [one for one in snapshots if heard(self.document, one.publisher) and recent(self.document, one, now)]

    def counted(self, snapshots: Sequence[Snapshot], now: int) -> list[Snapshot]:
        """The datasets that numbers and lists are made from: those of weight, or the others where there are none."""
        readable = self.readable(snapshots, now)
        return [one for one in readable if self.weight(one.publisher) > 0] or readable

    def decides(self, predicate: bytes, snapshots: Sequence[Snapshot]) -> bool:
        """Whether facts of a predicate may go for what others say or for their values. `snapshots`: those that count.

        Then the number of its facts is not the number of those that are kept.
        """
        document = self.document
        if predicate in document.functional or any(shape.path == predicate for shape in document.shapes):
            return True
        return self._functional is not None and self._functional.holds(predicate, snapshots, self.weight)

    def forbids(self, term: bytes) -> bool:
        """Whether a term may not stand in a prompt for itself."""
        return forbidden(self.document, term)

    def screen(
        self, facts: Iterable[Fact], reader: Reader, now: int, *, quotas: bool = True
    ) -> tuple[list[Fact], list[Dropped]]:
        """What may enter a prompt, in order, and what may not and why. `now`: seconds since 1970.

        A value that wins a conflict is among them even where nobody proposed it. Labels are facts too: screen them.
        Where a publisher of weight cannot be read, what hangs on it is dropped: a side of a conflict, the classes of
        `unwanted` and of shapes. Without `quotas` the caller applies them, with `cap`.
        """
        kept, dropped = Screening(self.document, self._functional, reader, now).run(facts)
        if not quotas:
            return kept, dropped
        kept, over = self.cap(kept)
        return kept, dropped + over

    def composed(self, said: Iterable[tuple[Fact, str]]) -> list[Dropped]:
        """Of facts with their sentences those that would change what the model was told: `screen` sees only the parts.

        What looks like a mere task is let through here, as names beside relations often do.
        """
        if not self.document.instructions:
            return []
        detail = "its sentence would change what the model was told, though no part of it does"
        found = [fact for fact, text in said if overrides_instructions(text) is not None]
        return [Dropped(fact.statement, Reason.INSTRUCTION, detail, fact.publishers) for fact in found]

    def cap(self, facts: Iterable[Fact]) -> tuple[list[Fact], list[Dropped]]:
        """The quotas alone, for facts that were screened and then chosen from: shares are of what is chosen."""
        if not self.document.quotas:
            return list(facts), []
        return capped(facts, self.document.quotas)

    def question(self, text: str) -> str:
        """A question, cleaned. Raises `QuestionRefusedError` where the policy refuses it."""
        document = self.document
        if len(text) > document.question_chars:
            raise QuestionRefusedError(
                f"the question has {len(text)} characters; questions.max_length is {document.question_chars}"
            )
        cleaned = clean(text, document.question_chars)
        if not cleaned:
            raise QuestionRefusedError("the question has no text")
        at = found(cleaned, document.question_patterns)
        if at is None:
            at = found(folded(cleaned), document.question_patterns)
        if at is not None:
            raise QuestionRefusedError(f"the question matches questions.deny[{at}] of the policy")
        if document.question_instructions:
            finding = overrides_instructions(text)
            if finding is not None:
                raise QuestionRefusedError(
                    f"the question tries to change what the model was told ({finding.kind}); "
                    "ask only what you want to know"
                )
        return cleaned
