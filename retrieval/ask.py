"""A question answered by a language model from verified facts, with citations that code attaches.

1. The question is screened; what may answer it is retrieved, verified and screened (`retrieval.pipeline`).
2. What fits into the model's budget becomes a prompt (`retrieval.prompt`).
3. Where there is nothing to answer from, or what is asked for is provably not there, the model is not asked.
4. The model answers. It is trusted with nothing: the answer is text.
5. Names in the answer are matched to the facts that say them. An answer without a match is not supported, and says so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from dkg.page import cid_text
from retrieval.llm.model import DEADLINE_S
from retrieval.model import AbsentKind
from retrieval.prompt.citing import cite
from retrieval.prompt.packing import pack, question_text
from retrieval.prompt.profiles import Profile, profile_of
from retrieval.prompt.sentences import absence, absences, templates_of
from retrieval.proofs import claims, describe, proof_id
from retrieval.reading import Reader
from retrieval.safety.cleaning import visible
from retrieval.select import Budget
from retrieval.shown import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrieval.llm.model import Model, Reply
    from retrieval.model import Absent, Context, Dropped, Fact
    from retrieval.pipeline import Retriever
    from retrieval.prompt.citing import Citation
    from retrieval.prompt.packing import Packed
    from retrieval.proofs import Claimed

ANSWER_CHARS_MAX: Final = 20_000
"""Longest answer that is kept, in characters."""

NOT_KNOWN: Final = "Not known."

_UNKNOWN: Final = frozenset({
    "", "not known", "unknown", "i do not know", "i don't know", "none", "not found", "no answer", "n/a",
})  # fmt: skip
"""What models say when they do not know, folded and without the full stop."""


class AnsweredBy(StrEnum):
    """Where an answer comes from."""

    MODEL = "model"
    ABSENCE = "absence"
    """What was asked for is provably not there; the model was not asked."""
    NOTHING = "nothing"
    """Nothing was found, or nothing fits; the model was not asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and everything that it rests on."""

    question: str
    answer: str
    supported: bool
    """Whether words of the answer are those of a verified fact. It does not say that the answer is right."""
    by: AnsweredBy
    citations: tuple[Citation, ...]
    """Numbers in them are those of `facts`."""
    sentences: tuple[str, ...]
    """The facts as the model read them."""
    context: Context
    """What the model was given: facts in the order of their numbers, absence, and everything that was left out."""
    absences: tuple[str, ...]
    """What is not there, in sentences."""
    proof: str
    """Name of the proofs of `context` (`retrieval.proofs.proofs` makes them)."""
    model: str
    tokens: int
    """Tokens of what was found, as it stands in the prompt."""
    prompt_tokens: int
    """Tokens of the whole prompt; 0 if the model was not asked."""
    answer_tokens: int | None

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The facts that the model was given."""
        return self.context.facts

    @property
    def absent(self) -> tuple[Absent, ...]:
        """What was looked for and is not in the context."""
        return self.context.absent

    @property
    def dropped(self) -> tuple[Dropped, ...]:
        """What was left out, and why."""
        return self.context.dropped

    @property
    def notes(self) -> tuple[str, ...]:
        """What the caller should know, in sentences."""
        return self.context.notes


class Screen(Protocol):
    """What a policy says about a question (`retrieval.policy.Policy`)."""

    def question(self, text: str) -> str:
        """The question as it may be asked; raises an `InputError` for one that is refused."""


def ask(
    retriever: Retriever,
    question: str,
    *,
    model: Model,
    profile: Profile | None = None,
    budget: int | None = None,
    policy: Screen | None = None,
    deadline_s: float = DEADLINE_S,
) -> Answer:
    """The answer to a question. `profile`: None for the one that fits the model. `budget`: tokens of facts.

    `policy`: screens the question; facts are screened by the retriever's own. Raises `InputError` for a question that
    cannot be asked, `ModelError` where the model fails, `ModelTimeoutError` where it does not answer in time, and what
    reading raises.
    """
    asked = question_text(question)
    if policy is not None:
        asked = policy.question(asked)
    profile = profile or profile_of(model.profile)
    context = retriever.retrieve(asked, Budget(tokens=budget or profile.tokens, facts=profile.facts_max))
    templates = retriever.templates(context.facts)
    return answer_from(context, model=model, templates=templates, profile=profile, budget=budget, deadline_s=deadline_s)


def answer_from(
    context: Context,
    *,
    model: Model,
    templates: Mapping[tuple[str, bytes], str] | None = None,
    profile: Profile | None = None,
    budget: int | None = None,
    deadline_s: float = DEADLINE_S,
) -> Answer:
    """The answer from a context that was retrieved before.

    `templates`: of sentences, as a policy lets them through; None: all that the publishers of the context's facts give.
    Raises what `ask` raises.
    """
    profile = profile or profile_of(model.profile)
    if templates is None:
        templates = templates_of(Reader(context.snapshots), context.facts)
    packed = pack(context, profile, budget=budget, count=model.count, window=model.window, templates=templates)
    given = replace(
        context,
        facts=packed.facts,
        dropped=(*context.dropped, *packed.dropped),
        notes=(*context.notes, *packed.notes),
    )
    decides = deciding_absence(context) if profile.absence_decides else None
    if packed.is_empty or decides is not None:
        return _answer(given, packed, model.name, _without_model(given, decides))
    reply = model.answer(packed.prompt, deadline_s=deadline_s)
    said = _said(reply, given, packed)
    notes = [] if reply.whole else ["The answer was cut at its limit of tokens."]
    if not said.citations and said.text != NOT_KNOWN:
        notes.append("No verified fact says what the model answered.")
    return _answer(replace(given, notes=(*given.notes, *notes)), packed, model.name, said)


def deciding_absence(context: Context) -> Absent | None:
    """The absence of just what was asked for; None if there is none.

    That is of a relation of a thing, where no fact of the context has that relation and no query found an answer.
    """
    if context.rows:
        return None
    there = {fact.statement.predicate for fact in context.facts}
    return next(
        (
            one
            for one in context.absent
            if one.kind is AbsentKind.EMPTY and one.subject and one.predicate and one.predicate not in there
        ),
        None,
    )


def answer_text(text: str) -> str:
    """What a model wrote, without what is not seen; line by line."""
    lines = (visible(line) for line in text[:ANSWER_CHARS_MAX].splitlines())
    return "\n".join(lines).strip()


def says_unknown(text: str) -> bool:
    """Whether an answer says that there is none."""
    return text.casefold().strip(" .!") in _UNKNOWN


class _Said(NamedTuple):
    """What is answered, and by whom."""

    text: str
    by: AnsweredBy
    citations: tuple[Citation, ...] = ()
    prompt_tokens: int = 0
    answer_tokens: int | None = None


def _said(reply: Reply, given: Context, packed: Packed) -> _Said:
    """What a model said, with citations."""
    text = answer_text(reply.text)
    citations: tuple[Citation, ...] = ()
    if says_unknown(text):
        text = NOT_KNOWN
    else:
        citations = cite(text, given, packed.sentences)
    tokens = packed.prompt_tokens if reply.prompt_tokens is None else reply.prompt_tokens
    return _Said(text, AnsweredBy.MODEL, citations, tokens, reply.answer_tokens)


def _without_model(given: Context, decides: Absent | None) -> _Said:
    """What is said where the model is not asked."""
    if decides is None:
        decides = next((one for one in given.absent if one.kind is AbsentKind.EMPTY), None)
    if decides is None:
        return _Said(NOT_KNOWN, AnsweredBy.NOTHING)
    return _Said(f"{NOT_KNOWN} {absence(decides, given.labels)}", AnsweredBy.ABSENCE)


def _answer(given: Context, packed: Packed, model: str, said: _Said) -> Answer:
    return Answer(
        question=given.question,
        answer=said.text,
        supported=bool(said.citations),
        by=said.by,
        citations=said.citations,
        sentences=packed.sentences,
        context=given,
        absences=absences(given),
        proof=proof_id(given),
        model=model,
        tokens=packed.tokens,
        prompt_tokens=said.prompt_tokens,
        answer_tokens=said.answer_tokens,
    )


def to_json(answer: Answer) -> dict[str, Any]:
    """An answer for programs: what `retrieval.shown` shows of its context, the answer, citations and proofs.

    Each of `proofs` names a dataset's root and a query: the proof of its answer, from whomever it comes, is checked by
    `dkg verify PROOF --root ROOT QUERY`. A citation has the numbers of those that show its fact.
    """
    found = asdict(shown(answer.context, answer.sentences, answer.proof))
    claimed = claims(answer.context)
    return {
        **found,
        "answer": answer.answer,
        "supported": answer.supported,
        "by": str(answer.by),
        "citations": [citation_json(one, claimed) for one in answer.citations],
        "absences": list(answer.absences),
        "proofs": [describe(one, number) for number, one in enumerate(claimed, 1)],
        "model": answer.model,
        "tokens": answer.tokens,
        "prompt_tokens": answer.prompt_tokens,
        "answer_tokens": answer.answer_tokens,
    }


def citation_json(citation: Citation, claimed: Sequence[Claimed]) -> dict[str, Any]:
    """A citation for programs. An answer of a query is shown by the proofs of queries that are about no fact."""
    wanted = set() if citation.fact is None else {citation.fact}
    numbers = [
        number
        for number, one in enumerate(claimed, 1)
        if not one.absent and (wanted <= set(one.facts) if wanted else not one.facts)
    ]
    return {
        **asdict(citation),
        "root": cid_text(citation.root),
        "publishers": list(citation.publishers),
        "proofs": numbers,
    }
