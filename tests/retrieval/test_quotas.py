"""Quotas are of what enters the context, and what they take away makes room for what others say."""

from __future__ import annotations

from retrieval.index import KnowledgeIndex
from retrieval.model import Context, Reason
from retrieval.pipeline import Budget, Retriever
from retrieval.policy import Policy
from retrieval.reading import Reader
from tests.retrieval.policy.world import ANN, EVE, NOW, iri, says

LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"
SAID = (
    says(ANN, f':x {LABEL} "Ada" . :child {LABEL} "child" . ' + " ".join(f":x :child :h{n} ." for n in range(3))),
    says(EVE, " ".join(f":x :child :a{n:02d} ." for n in range(20))),
)


def asked(quotas: str, facts: int) -> Context:
    policy = Policy.from_yaml(f"quotas: {quotas}")
    retriever = Retriever(Reader(SAID), KnowledgeIndex.build(SAID), policy, now=lambda: float(NOW))
    return retriever.retrieve("Who are the child of Ada?", Budget(tokens=1_000, facts=facts))


def test_what_is_over_a_quota_makes_room_for_what_others_say() -> None:
    assert {one.publishers for one in asked("{}", 1).facts} == {(EVE,)}
    context = asked(f"{{'{EVE}': 0}}", 1)
    assert [one.publishers for one in context.facts] == [(ANN,)]
    assert {one.publishers for one in context.dropped if one.reason is Reason.QUOTA} == {(EVE,)}


def test_a_number_is_kept_to_in_the_context_and_not_in_what_was_proposed() -> None:
    context = asked(f"{{'{EVE}': 2}}", 5)
    assert sum(one.publishers == (EVE,) for one in context.facts) == 2
    assert sum(one.publishers == (ANN,) for one in context.facts) == 3


def test_where_nothing_is_left_it_is_said_why() -> None:
    context = asked("{'*': 0}", 5)
    assert not context.facts
    assert {one.reason for one in context.dropped} == {Reason.QUOTA}
    assert iri("h0") in {one.statement.object for one in context.dropped}
