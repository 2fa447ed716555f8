"""From a question to a context: link, expand, read, screen, select (docs/retrieval.md).

A question for a number, a list, a first or a comparison is answered by a verified query (`retrieval.aggregate`).

The index proposes, the reader reads from checked pages, the policy screens, and only what came through all three is
chosen from. What an index or a store says can make a context poorer, and never false.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from dkg.errors import InputError, StoreError
from retrieval.aggregate import aggregate_context
from retrieval.expand import Path, paths
from retrieval.index.names import labels_of
from retrieval.link import Linked, link
from retrieval.model import Absent, Candidate, Context, Dropped, Reason, Why
from retrieval.overview import overview
from retrieval.prompt.sentences import sentence, templates_of
from retrieval.prompt.tokens import estimate
from retrieval.reading import Reader, scored
from retrieval.select import Budget, Selected, Way, select
from retrieval.wanted import wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from retrieval.embed import Embedder
    from retrieval.index import KnowledgeIndex
    from retrieval.model import Fact, Statement
    from retrieval.policy import Policy

__all__ = ["Budget", "Retriever"]

QUESTION_CHARS_MAX: Final = 4_000
"""Characters of a question that are looked at; the rest is cut off, with a note."""

PATHS_MAX: Final = 16
"""Paths of relations that are looked at after the search."""

TIERS_MAX: Final = 3
TIER_GAP: Final = 0.08
TIER_BEHIND_MAX: Final = 0.4
"""The best paths are read first, those within `TIER_GAP`; where nothing of them is left, the next ones, up to so many
times, and none that is `TIER_BEHIND_MAX` behind: it answers another question."""

PROPOSED_MAX: Final = 64
"""Triples that are read for one tier."""

FIT_MIN: Final = 0.2
"""What the relations of a path must bring for it to be an answer."""


@dataclass(slots=True)
class _Found:
    """What one question has come to so far."""

    dropped: list[Dropped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    absent: list[Absent] = field(default_factory=list)
    facts: dict[Statement, Fact] = field(default_factory=dict)
    labels: dict[bytes, str] = field(default_factory=dict)
    selected: Selected = field(default_factory=Selected)


class Retriever:
    """Answers questions with contexts. It keeps no state of its own; threads may share it as far as `reader` allows."""

    def __init__(
        self,
        reader: Reader,
        index: KnowledgeIndex,
        policy: Policy | None = None,
        embedder: Embedder | None = None,
        *,
        count: Callable[[str], int] = estimate,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`index`: of the reader's snapshots; of other ones it proposes worse. `count`: tokens of a text.

        `embedder`: for what is said of a thing when no relation fits; relations are compared by the index's own.
        `now`: Unix seconds, for the policy.
        """
        self._reader, self._index, self._policy, self._embedder = reader, index, policy, embedder
        self._count, self._now = count, now

    def retrieve(self, question: str, budget: Budget = Budget()) -> Context:  # noqa: B008 - it does not change
        """What answers a question, within a budget.

        Raises `InputError` for a question without words and for one that the policy refuses, and what reading pages
        raises where nothing at all can be read.
        """
        found = _Found()
        asked = self._asked(question, found)
        answered = self._by_query(asked, budget, found)
        if answered is not None:
            return answered
        linked = link(self._index, asked)
        if not linked.words:
            raise InputError("the question has no words: ask for something")
        if linked.cut:
            found.notes.append(f"only the first {len(linked.words)} words of the question were looked at")
        if not linked.mentions:
            found.notes.append("the question names nothing that the data knows; facts were looked for by its words")
        best = [path for path in paths(self._index, linked, PATHS_MAX) if path.fit >= FIT_MIN]
        if best:
            self._by_paths(best, budget, found)
        self._look_for_absent(linked, best, found)
        if not best and not found.absent:
            self._by_overview(linked, budget, found)
        if not found.selected.facts and not found.absent and not found.selected.cut:
            found.notes.append("nothing was found that answers the question")
        return self._context(asked, found)

    def templates(self, facts: Sequence[Fact]) -> dict[tuple[str, bytes], str]:
        """The templates of sentences that facts may be shown in. Raises what reading raises."""
        policy, now = self._policy, int(self._now())
        if policy is None:
            return templates_of(self._reader, facts)
        return templates_of(self._reader, facts, lambda some: policy.screen(some, self._reader, now, quotas=False))

    def _asked(self, question: str, found: _Found) -> str:
        if self._policy is not None:
            question = self._policy.question(question)
        if len(question) > QUESTION_CHARS_MAX:
            found.notes.append(f"only the first {QUESTION_CHARS_MAX} characters of the question were looked at")
        return question[:QUESTION_CHARS_MAX]

    # --- queries ---------------------------------------------------------------------------------------------------

    def _by_query(self, question: str, budget: Budget, found: _Found) -> Context | None:
        """The context of a question that a template answers; None for all others. Why it has no answer is noted."""
        room = replace(budget, tokens=max(1, int(budget.tokens * QUERY_SHARE)))
        try:
            tried = aggregate_context(
                question, self._index, self._reader, self._policy,
                now=int(self._now()), budget=room, count=self._count,
            )  # fmt: skip
        except StoreError as error:  # others' pages may still be there to answer what is no number
            found.notes.append(f"nothing is counted or listed, as not all data could be read: {error}")
            return None
        found.notes += tried.notes
        return None if tried.context is None else self._within(tried.context, budget, found)

    def _within(self, context: Context, budget: Budget, found: _Found) -> Context:
        """With as many of the facts behind the answer as there is room for after its sentences."""
        spent = sum(self._count(f"{line}\n") for line in context.lines)
        kept: list[Fact] = []
        left: list[Dropped] = []
        for fact in context.facts:
            tokens = self._tokens(len(kept) + 1, fact, context.labels)
            if left or len(kept) >= budget.facts or spent + tokens > budget.tokens:
                detail = "the answer of the query counts it, and no room was left to show it"
                left.append(Dropped(fact.statement, Reason.BUDGET, detail, fact.publishers))
            else:
                spent += tokens
                kept.append(scored(fact, 1.0, (Why("query"),)))
        over: list[Dropped] = []
        if self._policy is not None:
            kept, over = self._policy.cap(kept)
        dropped = (*found.dropped, *context.dropped, *left, *over)
        return replace(context, facts=tuple(kept), dropped=dropped, notes=(*found.notes, *context.notes))

    # --- facts -----------------------------------------------------------------------------------------------------

    def _by_paths(self, best: Sequence[Path], budget: Budget, found: _Found) -> None:
        rest = list(best)
        for _ in range(TIERS_MAX):
            if not rest or found.selected.facts or rest[0].score < best[0].score - TIER_BEHIND_MAX:
                break
            tier = [path for path in rest if path.score >= rest[0].score - TIER_GAP]
            rest = rest[len(tier) :]
            if any(path.cut for path in tier):
                found.notes.append("a relation has more values than are looked at: the facts are some of them")
            self._choose([way for path in tier for way in self._ways(path)], "path", budget, found)

    def _ways(self, path: Path) -> list[Way]:
        statements = self._index.statements_of(edge for chain in path.chains for edge in chain.edges)
        ways = [Way(tuple(statements[edge] for edge in chain.edges), path.score) for chain in path.chains]
        return sorted(ways, key=lambda way: way.statements)

    def _choose(self, ways: Sequence[Way], how: str, budget: Budget, found: _Found) -> None:
        """Read what the ways need, screen it, and choose."""
        proposed: dict[Statement, Candidate] = {}
        for number, way in enumerate(ways, 1):
            if len(proposed) >= PROPOSED_MAX:
                found.notes.append(f"more than {PROPOSED_MAX} triples would answer: only so many were read")
                break
            for one in way.statements:
                proposed.setdefault(one, Candidate(one, way.score, (Why(how),), number))
        self._read(proposed.values(), found)
        self._name({term for one in proposed if one in found.facts for term in one}, found)
        found.selected = self._selected(ways, budget, found)
        found.dropped += found.selected.dropped

    def _selected(self, ways: Sequence[Way], budget: Budget, found: _Found) -> Selected:
        """What is chosen, within the quotas of the policy: for what is over one, other ways are tried.

        The same goes for facts whose parts are harmless, and whose sentence would tell the model something.
        """
        while True:
            chosen = select(ways, found.facts, budget, lambda n, fact: self._tokens(n, fact, found.labels))
            if self._policy is None:
                return chosen
            said = ((fact, sentence(fact, found.labels)) for fact in chosen.facts)
            over = self._policy.composed(said) or self._policy.cap(chosen.facts)[1]
            if not over:
                return chosen
            found.dropped += over
            for one in over:
                del found.facts[one.statement]

    def _read(self, proposed: Iterable[Candidate], found: _Found) -> None:
        facts, dropped = self._reader.facts(proposed)
        found.dropped += dropped
        found.facts.update((fact.statement, fact) for fact in self._screened(facts, found))

    def _screened(self, facts: list[Fact], found: _Found) -> list[Fact]:
        if self._policy is None:
            return facts
        kept, dropped = self._policy.screen(facts, self._reader, int(self._now()), quotas=False)
        found.dropped += dropped
        return kept

    def _name(self, terms: set[bytes], found: _Found) -> None:
        """Read what some terms are called."""
        wanted_labels = self._index.label_statements(term for term in terms if term not in found.labels)
        facts, dropped = self._reader.facts(Candidate(one, 0.0, (Why("label"),)) for one in wanted_labels.values())
        found.dropped += dropped
        found.labels.update(labels_of(fact.statement for fact in self._screened(facts, found)))

    def _tokens(self, number: int, fact: Fact, labels: dict[bytes, str]) -> int:
        return self._count(f"{number}. {sentence(fact, labels)}\n")

    def _by_overview(self, linked: Linked, budget: Budget, found: _Found) -> None:
        """What is said of the things that are named, or of what has some of the words, where no relation fits."""
        ways = overview(self._index, linked, self._embedder, budget.facts)
        if ways:
            self._choose(ways, "linked" if linked.mentions else "text", budget, found)

    # --- what is not there -----------------------------------------------------------------------------------------

    def _look_for_absent(self, linked: Linked, best: Sequence[Path], found: _Found) -> None:
        looked_for = wanted(self._index, linked, best)
        if best and not found.selected.facts:
            looked_for.pairs.extend(self._steps(best[0]))
        heard = self._heard()
        pairs = list(dict.fromkeys(looked_for.pairs))
        for subject, predicate in pairs:
            absent = heard.absent(subject, predicate)
            if absent is not None:
                found.absent.append(absent)
        left = [pair for pair in dict.fromkeys(looked_for.left) if pair not in pairs]
        found.absent += [heard.not_asked(*pair) for pair in left[:NOT_ASKED_MAX]]
        if len(left) > NOT_ASKED_MAX:
            found.notes.append(f"{len(left) - NOT_ASKED_MAX} more things that may be asked for were not looked for")

    def _steps(self, path: Path) -> list[tuple[bytes, bytes]]:
        """Subject and predicate of what the first ways of a path would say: none of it came through."""
        ways = [list(zip(chain.edges, chain.nodes, strict=False)) for chain in path.chains[:STEPS_MAX]]
        steps = [edge for way in ways for edge, node in way if edge[0] == node]  # read forward
        return [(one.subject, one.predicate) for one in self._index.statements_of(steps).values()]

    def _heard(self) -> Reader:
        """A reader of the datasets that the policy lets speak: what others alone say is not there."""
        if self._policy is None:
            return self._reader
        return Reader(self._policy.readable(self._reader.snapshots, int(self._now())))

    def _context(self, question: str, found: _Found) -> Context:
        if found.absent:
            self._name({term for one in found.absent for term in (one.subject, one.predicate) if term}, found)
        if found.selected.cut:
            found.absent += self._cut(found)
        return Context(
            question,
            tuple(found.selected.facts),
            tuple(dict.fromkeys(found.absent)),
            tuple(dict.fromkeys(found.dropped)),
            self._reader.snapshots,
            tuple(found.notes),
            labels=found.labels,
        )

    def _cut(self, found: _Found) -> list[Absent]:
        """That there is more of what was left out for want of room."""
        left = dict.fromkeys(
            (one.statement.subject, one.statement.predicate)
            for one in found.selected.dropped
            if one.reason is Reason.BUDGET
        )
        cuts = (self._reader.cut(subject, predicate) for subject, predicate in list(left)[:CUTS_MAX])
        return [one for one in cuts if one is not None]


QUERY_SHARE: Final = 0.8
"""How much of the budget the sentences of a query's answer may take: the fences of a prompt need some, too."""

NOT_ASKED_MAX: Final = 4
"""Lines about what was not looked for."""

CUTS_MAX: Final = 3
"""Lines about what the budget left out."""

STEPS_MAX: Final = 2
"""Ways along a path of which nothing came through whose steps are looked for."""
