"""Packing: a verified context as a prompt within a budget of tokens, and what had no room.

The budget is of what was found: numbered facts, rows of a query, and absence. What the profile adds (examples, the
question) comes besides, and all of it with the answer fits the model's window. Facts of one path go in together or not
at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from dkg.errors import InputError, LimitError
from retrieval.llm.model import Message, Prompt
from retrieval.model import AbsentKind, Dropped, Reason
from retrieval.prompt.citing import verdict
from retrieval.prompt.matching import named_in
from retrieval.prompt.sentences import absence, row_text, sentence, text_of
from retrieval.prompt.tokens import estimate
from retrieval.safety.cleaning import FENCE, clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from retrieval.model import Absent, Context, Fact
    from retrieval.prompt.profiles import Profile
    from retrieval.prompt.tokens import Counter

QUESTION_CHARS_MAX: Final = 1_000
"""Longest question, in characters."""

WINDOW: Final = 4096
"""Tokens of prompt and answer where nobody says how many a model takes."""

FACTS_MAX: Final = 1_000
"""Most facts of a context that are looked at."""

MESSAGE_TOKENS: Final = 8
"""What a message of a conversation costs besides its text, in tokens."""

ABSENT_SHARE: Final = 3
"""Absence may take one part in so many of the budget."""

CHOICES_MAX: Final = 64
"""Most names that an extractive answer is chosen among."""

_EMPTY: Final = "No facts were found."


@dataclass(frozen=True, slots=True)
class Packed:
    """A prompt, and what stands in it."""

    prompt: Prompt
    text: str
    """What was found, as it stands in the prompt."""
    facts: tuple[Fact, ...]
    """The facts of the prompt; the one with number n is `facts[n - 1]`."""
    sentences: tuple[str, ...]
    """Their sentences."""
    absent: tuple[Absent, ...]
    """Absence that is said in the prompt."""
    rows: tuple[str, ...]
    """Answers of the query that are listed as they are, where there are no sentences or no room for them."""
    dropped: tuple[Dropped, ...]
    """Facts that had no room."""
    tokens: int
    """Tokens of `text`: never more than the budget."""
    prompt_tokens: int
    """Tokens of the whole prompt."""
    notes: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    """The answer of the query in sentences, in place of `rows`."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to answer from."""
        return not self.facts and not self.rows and not self.lines


def pack(
    context: Context,
    profile: Profile,
    *,
    budget: int | None = None,
    count: Counter = estimate,
    window: int = WINDOW,
    templates: Mapping[tuple[str, bytes], str] | None = None,
) -> Packed:
    """The prompt for a context. `budget`: tokens of what was found; None: as many as the profile says.

    `count`: counts tokens, exactly with `Model.count`. `window`: tokens of prompt and answer together.
    Raises `InputError` for a question without words, and `LimitError` for one that is too long.
    """
    question = question_text(context.question)
    budget = profile.tokens if budget is None else budget
    if budget < 1:
        raise InputError(f"a budget has at least one token, and this has {budget}")
    profile, room = _room(question, profile, count, window)
    chosen = _Chosen(context, profile, min(budget, room), count, templates or {})
    chosen.fill()
    prompt = _prompt(question, chosen.text(), profile)
    if profile.extractive:
        prompt = replace(prompt, choices=_choices(context, chosen.facts))
    return chosen.packed(prompt, _tokens(prompt, count))


def question_text(question: str) -> str:
    """A question as it may stand in a prompt. Raises `InputError` and `LimitError`."""
    if len(question) > QUESTION_CHARS_MAX:
        raise LimitError(
            f"the question has {len(question)} characters; {QUESTION_CHARS_MAX} is the limit: ask in fewer words"
        )
    text = clean(question, QUESTION_CHARS_MAX)
    if not any(map(str.isalnum, text)):
        raise InputError("the question has no words")
    return text


def fenced(text: str) -> str:
    """Text between marks that cleaned text cannot contain."""
    return f"{FENCE[0]}\n{text}\n{FENCE[1]}"


def numbered(sentences: Sequence[str]) -> Iterator[str]:
    """Sentences with numbers from 1."""
    return (f"{n}. {text}" for n, text in enumerate(sentences, 1))


# --- choosing ----------------------------------------------------------------------------------------------------


class _Chosen:
    """What goes in. Everything is tried with the text that it would make, so the count is exact."""

    def __init__(
        self,
        context: Context,
        profile: Profile,
        budget: int,
        count: Callable[[str], int],
        templates: Mapping[tuple[str, bytes], str],
    ) -> None:
        self._context, self._profile, self._budget, self._count = context, profile, budget, count
        self._labels, self._templates = context.labels, templates
        self._groups: list[list[tuple[Fact, str]]] = []
        self._absent: list[tuple[Absent, str]] = []
        self._lines: tuple[str, ...] = ()
        self._rows: list[str] = []
        self._more_rows = 0
        self._dropped: list[Dropped] = []
        self._smallest = 0

    def fill(self) -> None:
        """Absence within its share, then the answer of a query, then facts from the best on."""
        found = self._context.facts or self._context.rows or self._context.lines
        ceiling = self._budget // ABSENT_SHARE if found else self._budget
        for one in sorted(self._context.absent, key=lambda absent: absent.kind is not AbsentKind.EMPTY):
            self._try_absent(one, ceiling)
        if not self._fill_lines():
            self._fill_rows()
        taken = 0
        for group in _paths(self._context.facts[:FACTS_MAX]):
            shown = [(fact, sentence(fact, self._labels, self._templates)) for fact in group]
            if taken + len(group) > self._profile.facts_max:
                self._drop(group, f"the profile {self._profile.name} takes {self._profile.facts_max} facts at most")
                continue
            self._groups.append(shown)
            if (tokens := self._count(self.text())) > self._budget:
                self._groups.pop()
                self._smallest = min(self._smallest or tokens, tokens)
                self._drop(group, f"no room was left in the budget of {self._budget} tokens")
            else:
                taken += len(group)
        self._drop(self._context.facts[FACTS_MAX:], f"more than {FACTS_MAX} facts are not looked at")

    def _try_absent(self, one: Absent, ceiling: int) -> None:
        shown = (one, absence(one, self._labels))
        if len(self._absent) >= self._profile.absent_max or shown[1] in {text for _, text in self._absent}:
            return
        self._absent.append(shown)
        if self._count(self.text()) > ceiling:
            self._absent.pop()

    def _fill_lines(self) -> bool:
        """The sentences of a query's answer, all or none; rather they than absence."""
        if not self._context.lines:
            return False
        absent, self._lines = self._absent, self._context.lines
        for self._absent in (absent, []):
            if self._count(self.text()) <= self._budget:
                return True
        self._absent, self._lines = absent, ()
        return False

    def _fill_rows(self) -> None:
        """As many rows as fit; how many more there are is said."""
        texts = [row_text(row, self._labels) for row in self._context.rows]
        for shown in range(min(len(texts), self._profile.rows_max), 0, -1):
            self._rows, self._more_rows = texts[:shown], len(texts) - shown
            if self._count(self.text()) <= self._budget:
                return
        self._rows, self._more_rows = [], len(texts)

    def _drop(self, facts: Sequence[Fact], why: str) -> None:
        self._dropped += [Dropped(fact.statement, Reason.BUDGET, why, fact.publishers) for fact in facts]

    # --- what was chosen -------------------------------------------------------------------------------------------

    def _ordered(self) -> list[tuple[Fact, str]]:
        groups = reversed(self._groups) if self._profile.best_last else self._groups
        return [one for group in groups for one in group]

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The facts, as they are numbered."""
        return tuple(fact for fact, _ in self._ordered())

    def text(self) -> str:
        """What was found, as text."""
        lines = [text for _, text in self._absent]
        lines += numbered([text for _, text in self._ordered()])
        lines += self._lines
        if self._rows:
            more = f", and {self._more_rows} more" if self._more_rows else ""
            lines.append(f"Found by a query over all data: {'; '.join(self._rows)}{more}.")
        text = "\n".join(lines)
        return fenced(text) if text and self._profile.fenced else text

    def packed(self, prompt: Prompt, prompt_tokens: int) -> Packed:
        """The result."""
        text = self.text()
        notes = []
        if self._dropped and not self._groups:
            notes.append(
                f"No fact fits in the budget of {self._budget} tokens: the smallest needs {self._smallest}."
                if self._smallest
                else f"No fact fits: they belong together, and are more than {self._profile.facts_max}."
            )
        if (self._more_rows or (self._context.lines and not self._lines)) and not self._rows:
            notes.append(f"The answers of the query do not fit in the budget of {self._budget} tokens.")
        return Packed(
            prompt=prompt,
            text=text,
            facts=self.facts,
            sentences=tuple(shown for _, shown in self._ordered()),
            absent=tuple(one for one, _ in self._absent),
            rows=tuple(self._rows),
            lines=self._lines,
            dropped=tuple(self._dropped),
            tokens=self._count(text),
            prompt_tokens=prompt_tokens,
            notes=tuple(notes),
        )


def _paths(facts: Sequence[Fact]) -> list[list[Fact]]:
    """Facts in their order, those of one path together where the first of them is."""
    groups: dict[object, list[Fact]] = {}
    for at, fact in enumerate(facts):
        groups.setdefault(("alone", at) if fact.path is None else fact.path, []).append(fact)
    return list(groups.values())


def _choices(context: Context, facts: Sequence[Fact]) -> tuple[str, ...]:
    """The names that an extractive answer is one of: rows, objects, and subjects that the question does not name."""
    objects = [text_of(fact.statement.object, context.labels) for fact in facts]
    subjects = [text_of(fact.statement.subject, context.labels) for fact in facts]
    asked = named_in(context.question, subjects)
    rows = [row_text([cell], context.labels) for row in context.rows for cell in row]
    found = [*(verdict(context.lines) or rows), *objects, *(name for name in subjects if name not in asked)]
    return tuple(dict.fromkeys(filter(None, found)))[:CHOICES_MAX]


# --- laying out --------------------------------------------------------------------------------------------------


def _room(question: str, profile: Profile, count: Counter, window: int) -> tuple[Profile, int]:
    """What is left of the window for what was found; examples go first where there is little."""
    while True:
        used = _tokens(_prompt(question, _EMPTY, profile), count) + profile.answer_tokens + MESSAGE_TOKENS
        if used < window:
            return profile, window - used
        if not profile.examples:
            raise LimitError(
                f"question and answer need {used} tokens, and the model takes {window}: ask in fewer words"
            )
        profile = replace(profile, examples=profile.examples[:-1])


def _prompt(question: str, found: str, profile: Profile) -> Prompt:
    """The whole prompt."""
    asked = _asked(question, found or _EMPTY)
    shown = [(_asked(one.question, _shown(one.facts, profile)), one.answer) for one in profile.examples]
    messages = [Message("system", profile.task)] if profile.task else []
    for example, answer in shown:
        messages += [Message("user", example), Message("assistant", answer)]
    messages.append(Message("user", asked))
    text = None
    if profile.as_text:
        head = [profile.task] if profile.task else []
        text = "\n\n".join([*head, *(f"{example}\nAnswer: {answer}" for example, answer in shown), f"{asked}\nAnswer:"])
    return Prompt(tuple(messages), text, profile.answer_tokens, profile.stop)


def _asked(question: str, found: str) -> str:
    return f"Facts:\n{found}\nQuestion: {question}"


def _shown(facts: Sequence[str], profile: Profile) -> str:
    text = "\n".join(numbered(facts))
    return fenced(text) if profile.fenced else text


def _tokens(prompt: Prompt, count: Counter) -> int:
    """Tokens of a prompt: exactly for a text, and for a conversation with what its markup costs, rather too many."""
    if prompt.text is not None:
        return count(prompt.text)
    return sum(count(message.content) + MESSAGE_TOKENS for message in prompt.messages)
