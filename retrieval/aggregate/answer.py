"""`try_aggregate`: a question for a number, a list, a first or a comparison, answered by one verified query.

1. Words say what kind of answer is wanted (`intent`); without them it is a plain question, and None is given.
2. Names cover the rest of the question (`tiles`); a word that is left over makes it a plain question, too.
3. The names fill templates (`interpret`), the likeliest reading first. The counts in checked pages say which of the
   readings the data supports; the first of these is taken.
4. The template's query is run through `Reader.select`: over all snapshots, from checked pages, within a budget.
5. What the answer rests on is read as facts, and what is provably not there as absence.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from dkg.errors import BudgetError, ProofError, QueryError
from dkg.limits import Budget
from retrieval.aggregate.catalogue import Catalogues, labels
from retrieval.aggregate.evidence import absences, evidence, predicates_of, supported, terms_of
from retrieval.aggregate.intent import intents
from retrieval.aggregate.interpret import templates
from retrieval.aggregate.linking import IndexNames
from retrieval.aggregate.names import Names, bounds, entity_mentions
from retrieval.aggregate.result import AggregateResult, Found, Speaker, number, sentences
from retrieval.aggregate.run import run
from retrieval.aggregate.templates import Ask, Compare, Count, Extreme, Listing
from retrieval.aggregate.tiles import tilings
from retrieval.aggregate.words import words
from retrieval.prompt.tokens import estimate
from retrieval.safety.cleaning import clean
from retrieval.words import literal_text, local_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from retrieval.aggregate.catalogue import Catalogue
    from retrieval.aggregate.result import Row
    from retrieval.aggregate.run import Outcome
    from retrieval.aggregate.templates import Template
    from retrieval.index import KnowledgeIndex
    from retrieval.model import Fact
    from retrieval.prompt.tokens import Counter
    from retrieval.reading import Reader

QUESTION_CHARS_MAX: Final = 1_000
"""Longest question that is looked at, in characters; a longer one is for the normal pipeline."""

WORK: Final = Budget(pages=20_000, quads=200_000, rows=200_000)
"""What a template's query may use where nobody says otherwise: a second or two."""

READINGS_MAX: Final = 64
"""Most filled templates that are weighed for one question."""

TRIES_MAX: Final = 3
"""Most queries that are run for one question: an empty answer may come from a wrong reading."""

SHOWN: Final = 10
"""Rows and facts that are shown where no budget is given."""

SHOWN_MIN: Final = 3
SHOWN_MAX: Final = 50
TOKENS_OF_ROW: Final = 15
"""About what a row takes of a prompt, in tokens."""

LINE_CHARS_MAX: Final = 8_000
"""Longest sentence of an answer, in characters. A sentence is cleaned whole, as its names were: pieces that are nothing
by themselves could make a control token together."""

LIKELY: Final = 0.7
"""How well every name must fit for a reading that the data supports."""

SURE: Final = 0.99
"""How well every name must fit for an empty answer: a zero must not come from a misread name."""


class Room(Protocol):
    """The budget of a context."""

    @property
    def tokens(self) -> int:
        """Tokens that it may have."""


class Reading(NamedTuple):
    """A filled template, and how well its least fitting name fits."""

    template: Template
    score: float


class Fit(NamedTuple):
    """What of an answer is shown."""

    rows: int
    tokens: int | None
    count: Counter

    def first(self, outcome: Outcome) -> tuple[Row, ...]:
        """The most rows that may be shown. A comparison is of all its things, or it is none."""
        return outcome.rows if isinstance(outcome.template, Compare) else outcome.rows[: self.rows]

    def shown(self, outcome: Outcome, speaker: Speaker) -> tuple[tuple[Row, ...], tuple[str, ...]]:
        """As many rows as there is room for, and the sentences that say them; neither where there is no room."""
        rows = self.first(outcome)
        while True:
            found = Found(rows, len(outcome.rows), outcome.exact)
            lines = tuple(clean(line, LINE_CHARS_MAX) for line in sentences(outcome.template, found, speaker))
            if self.tokens is None or sum(self.count(f"{line}\n") for line in lines) <= self.tokens:
                return rows, lines
            if len(rows) <= 1 or isinstance(outcome.template, Compare):
                return (), ()
            rows = rows[:-1]


_CATALOGUES: Final = Catalogues()
"""Of this process. A catalogue is named by the roots it was mined from, so that it cannot be out of date."""


def try_aggregate(
    question: str,
    index: KnowledgeIndex | Names,
    reader: Reader,
    budget: Room | None = None,
    *,
    count: Counter = estimate,
    catalogues: Catalogues = _CATALOGUES,
    work: Budget = WORK,
) -> AggregateResult | None:
    """The answer to a question that asks for a number, a list, a first or a comparison; None for all others.

    `index` says what names may mean and is not trusted. `reader` must read what the policy allows and nothing else: all
    that it reads is counted. `budget`: of the sentences, whose tokens `count` counts. `work`: what one query may use. A
    result that is `refused` has no answer, and says why: the query needs more than that, or pages are wrong or missing,
    so that a number would not be the whole truth.

    Raises `StoreError` where the environment fails.
    """
    text = words(question) if len(question) <= QUESTION_CHARS_MAX else []
    if not intents(text) or not reader.snapshots:
        return None
    most = SHOWN if budget is None else min(SHOWN_MAX, max(SHOWN_MIN, budget.tokens // TOKENS_OF_ROW))
    room = Fit(most, None if budget is None else budget.tokens, count)
    kind = ""
    try:
        catalogue = catalogues.of(reader)
        outcome: Outcome | None = None
        names = index if isinstance(index, Names) else IndexNames(index)
        for reading in _readings(question, names, reader, catalogue):
            kind = _kind(reading.template)
            found = run(reading.template, reader, work)
            outcome = outcome or found
            if not _empty(found):
                outcome = found
                break
        return None if outcome is None else _result(outcome, reader, catalogue, room, work)
    except BudgetError as error:
        note = f"counting or listing this needs more than {work.quads} quads or {work.pages} pages: {error}"
        return AggregateResult(kind, "", notes=(note,), refused=True)
    except QueryError as error:
        return AggregateResult(kind, "", notes=(f"this has no first and no order: {error}",), refused=True)
    except ProofError as error:
        note = f"nothing is counted or listed, as not all data could be read and checked: {error}"
        return AggregateResult(kind, "", notes=(note,), refused=True)


def _readings(question: str, index: Names, reader: Reader, catalogue: Catalogue) -> Iterator[Reading]:
    """The readings to try: those that the data supports, or else the likeliest if all its names are sure."""
    found = _filled(question, index, catalogue)
    some = [one for one in found if one.score >= LIKELY and supported(one.template, reader)]
    if some:
        yield from islice(some, TRIES_MAX)
    else:
        yield from islice((one for one in found if one.score >= SURE), 1)


def _filled(question: str, index: Names, catalogue: Catalogue) -> list[Reading]:
    """The filled templates of the first kind of answer that the question can be read as asking for."""
    text = words(question)
    mentions = [
        *catalogue.lexicon.mentions(text),
        *bounds(text),
        *entity_mentions(text, index.entities(question)),
    ]
    for intent in intents(text):
        found = [
            Reading(template, min((mention.score for mention in tiling), default=1.0))
            for tiling in tilings(text, intent, mentions)
            for template in templates(text, intent, tiling, catalogue.schema)
        ]
        if found:
            return list(dict.fromkeys(found))[:READINGS_MAX]
    return []


def _empty(outcome: Outcome) -> bool:
    if isinstance(outcome.template, Count | Ask):
        return number(outcome.rows[0][0]) == 0
    return not outcome.rows


def _kind(template: Template) -> str:
    return type(template).__name__.lower()


def _result(outcome: Outcome, reader: Reader, catalogue: Catalogue, room: Fit, work: Budget) -> AggregateResult:
    template = outcome.template
    facts = evidence(outcome, reader, max(room.rows, len(room.first(outcome))), work)
    terms = [*terms_of(template), *(cell for row in room.first(outcome) for cell in row if cell is not None)]
    terms += [term for fact in facts for term in fact.statement]
    named = labels(reader, terms, catalogue.naming)
    known = {term: literal_text(fact.statement.object)[0] for term, fact in named.items()}
    shown, lines = room.shown(outcome, Speaker(known))
    return AggregateResult(
        kind=_kind(template),
        query=outcome.query,
        variables=outcome.variables,
        rows=tuple(tuple("" if cell is None else cell.decode() for cell in row) for row in shown),
        total=len(outcome.rows),
        exact=outcome.exact,
        lines=lines,
        facts=tuple(facts),
        absent=tuple(absences(template, reader)) if _empty(outcome) or _kind(template) == "compare" else (),
        labels=known,
        named=tuple(named.values()),
        predicates=predicates_of(template),
        terms=tuple(terms_of(template)),
        whole=_is_whole(outcome, facts, room.rows),
        notes=_compared(template) if lines else (f"the answer of the query does not fit in {room.tokens} tokens",),
    )


def _is_whole(outcome: Outcome, facts: Sequence[Fact], most: int) -> bool:
    """Whether facts that were looked for, `most` of them, are all that an answer counts or lists."""
    few = len(facts) < most and outcome.exact and len(outcome.rows) <= most
    if isinstance(outcome.template, Count):
        return few and number(outcome.rows[0][0]) <= most and (bool(facts) or _empty(outcome))
    return few and isinstance(outcome.template, Listing | Ask)


def _compared(template: Template) -> tuple[str, ...]:
    """What was compared, where that is not all there may be."""
    datatype = template.datatype if isinstance(template, Extreme | Compare) else None
    return () if datatype is None else (f"only values of datatype {local_name(datatype)} are compared",)
