"""From an aggregate to a context, by the policy: what a policy leaves out must not come in as a number either."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from retrieval.aggregate.answer import try_aggregate
from retrieval.model import Context
from retrieval.prompt.tokens import estimate
from retrieval.reading import Reader
from retrieval.words import literal_text

if TYPE_CHECKING:
    from retrieval.aggregate.answer import Room
    from retrieval.aggregate.names import Names
    from retrieval.aggregate.result import AggregateResult
    from retrieval.index import KnowledgeIndex
    from retrieval.model import Dropped
    from retrieval.policy import Policy
    from retrieval.prompt.tokens import Counter


class Tried(NamedTuple):
    """What became of a question that may be one for a template."""

    context: Context | None
    """The answer; None where the question is for the normal pipeline."""
    notes: tuple[str, ...] = ()
    """Why a template has no answer, for the context that the normal pipeline makes."""


def aggregate_context(
    question: str,
    index: KnowledgeIndex | Names,
    reader: Reader,
    policy: Policy | None = None,
    *,
    now: int,
    budget: Room | None = None,
    count: Counter = estimate,
) -> Tried:
    """The context of a question for a number, a list, a first or a comparison.

    Only datasets that the policy gives weight are counted, or those without if there are no others. There is no answer
    where the query may have counted what the policy leaves out: it asks for several signers of a predicate that the
    query reads, drops or replaces any fact that the answer shows, settles conflicts about a predicate or has a shape
    for it while not all facts are shown, or forbids a term of the query. `now`: seconds since 1970. `budget`: of the
    sentences, counted by `count`. Raises what `try_aggregate` and `Policy.screen` raise.
    """
    if policy is not None:
        reader = Reader(policy.counted(reader.snapshots, now))
    result = try_aggregate(question, index, reader, budget, count=count)
    if result is None or result.refused:
        return Tried(None, result.notes if result else ())
    if policy is None:
        return Tried(_context(question, reader, result, (), result.labels))
    if any(rule.k > 1 and any(map(rule.asks, result.predicates)) for rule in policy.document.corroboration):
        return Tried(None, ("nothing is counted or listed, as the policy asks for several signers of what would be",))
    if not result.whole and any(policy.decides(one, reader.snapshots) for one in result.predicates):
        return Tried(None, ("nothing is counted or listed, as the policy may leave out some of what would be",))
    if any(map(policy.forbids, result.terms)):
        return Tried(None, ("nothing is counted or listed, as the policy forbids what would be",))
    kept, dropped = policy.screen(result.facts, reader, now, quotas=result.kind != "count")
    if dropped or [fact.statement for fact in kept] != [fact.statement for fact in result.facts]:
        return Tried(None, ("nothing is counted or listed, as the policy leaves out some of what would be",))
    if not _seen(result) <= {term.decode() for fact in kept for term in fact.statement}:
        return Tried(None, ("nothing is counted or listed, as not all of what would be could be screened",))
    named, unnamed = policy.screen(result.named, reader, now, quotas=False)
    labels = {fact.statement.subject: literal_text(fact.statement.object)[0] for fact in named}
    return Tried(_context(question, reader, result, tuple(unnamed), labels))


def _seen(result: AggregateResult) -> set[str]:
    """The terms of the data that the rows show, without numbers that were counted and things that the question names.

    Each must be in a fact that was screened: a store that withholds the fact would else get its text in unscreened.
    """
    shown = {"v"} if result.kind == "compare" else {"x", "v"}
    at = [place for place, name in enumerate(result.variables) if name in shown]
    return {row[place] for row in result.rows for place in at if row[place]}


def _context(
    question: str, reader: Reader, result: AggregateResult, dropped: tuple[Dropped, ...], labels: dict[bytes, str]
) -> Context:
    """The context; without sentences if a name in them was dropped."""
    shown = len(result.rows)
    more = () if shown == result.total or not shown else (f"{result.total} in all, first {shown} shown",)
    return Context(
        question,
        result.facts,
        result.absent,
        dropped,
        reader.snapshots,
        (*result.notes, *(more if dropped else ())),
        result.rows,
        result.query,
        labels,
        () if dropped else result.lines,
    )
