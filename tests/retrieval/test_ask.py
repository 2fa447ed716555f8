"""A question through retrieval, prompt, model and citations; and when the model is not asked at all."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import pytest

import dkg
from dkg.errors import InputError, LimitError
from retrieval.ask import (
    ANSWER_CHARS_MAX,
    NOT_KNOWN,
    AnsweredBy,
    answer_from,
    answer_text,
    ask,
    deciding_absence,
    says_unknown,
    to_json,
)
from retrieval.index import KnowledgeIndex
from retrieval.llm import HttpModel, LocalModel, ModelTimeoutError
from retrieval.model import Reason
from retrieval.pipeline import Retriever
from retrieval.policy import Policy
from retrieval.prompt import PROFILES
from retrieval.proofs import proofs, root_of
from retrieval.reading import Reader
from tests.chain.raw import Caller, answering, http, raw_server
from tests.datasets import iri
from tests.retrieval.prompt.world import CLINIC, GRAPH, LAB, Triple, context_of, reader_of, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retrieval.ask import Answer

LABEL = b"<http://www.w3.org/2000/01/rdf-schema#label>"
NAMES: tuple[Triple, ...] = (
    ("ada", LABEL, b'"Ada Lovelace"'),
    ("william", LABEL, b'"William King"'),
    ("gb", LABEL, b'"Great Britain"'),
    ("london", LABEL, b'"London"'),
    ("paris", LABEL, b'"Paris"'),
    ("spouse", LABEL, b'"spouse"'),
    ("nationality", LABEL, b'"nationality"'),
    ("born", LABEL, b'"place of birth"'),
    ("died", LABEL, b'"place of death"'),
    ("william", "died", "london"),
    ("george", "born", "paris"),
)
FACTS: tuple[Triple, ...] = (("ada", "spouse", "william"), ("william", "nationality", "gb"), ("ada", "born", "london"))
FALSE: Triple = ("ada", "born", "paris")
BORN = "What is the place of birth of Ada Lovelace?"


@pytest.fixture(scope="module")
def model() -> Iterator[LocalModel]:
    with LocalModel() as running:
        yield running


class Knows(Protocol):
    def __call__(self, *publishers: tuple[str, tuple[Triple, ...]], policy: Policy | None = None) -> Retriever: ...


@pytest.fixture
def knows() -> Iterator[Knows]:
    """Makes retrievers of what publishers say."""
    with ExitStack() as stack:

        def make(*publishers: tuple[str, tuple[Triple, ...]], policy: Policy | None = None) -> Retriever:
            snapshots = [snapshot(publisher, triples) for publisher, triples in publishers]
            index = stack.enter_context(KnowledgeIndex.build(snapshots, None))
            return Retriever(Reader(snapshots), index, policy)

        yield make


def said(text: str) -> bytes:
    """A model's answer over HTTP."""
    return http(json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode())


def found_by(retriever: Retriever, question: str, answer: str | None, **options: Any) -> Answer:  # noqa: ANN401
    """What comes of a question where the model answers this; None: it must not be asked."""
    served = answering() if answer is None else answering(said(answer))
    with raw_server(served) as server, HttpModel(f"{server.url}/v1", profile="generic-small") as model:
        found = ask(retriever, question, model=model, **options)
        assert len(server.requests) == (answer is not None)
    return found


# --- with the real model -----------------------------------------------------------------------------------------


def test_a_question_is_answered_with_a_citation_whose_proof_verifies(knows: Knows, model: LocalModel) -> None:
    found = ask(knows((CLINIC, (*NAMES, *FACTS))), BORN, model=model)
    assert found.by is AnsweredBy.MODEL
    assert "London" in found.answer
    assert found.supported
    assert [found.facts[one.fact - 1].statement.object for one in found.citations if one.fact] == [iri("london")]
    assert (found.citations[0].publishers, found.citations[0].block) == ((CLINIC,), 12)
    assert found.prompt_tokens > found.tokens > 0
    made = list(proofs(found.context))
    assert made
    for one in made:
        answer = dkg.verify(one.car, one.claimed.query, root_of(one.claimed))
        assert len(answer) == len(one.claimed.facts)


def test_two_steps_are_answered_and_the_first_is_named_with_the_second(knows: Knows, model: LocalModel) -> None:
    found = ask(knows((CLINIC, (*NAMES, *FACTS))), "What is the nationality of Ada Lovelace's spouse?", model=model)
    assert "Great Britain" in found.answer
    (cited,) = found.citations
    assert [found.sentences[n - 1] for n in cited.path] == ["Ada Lovelace's spouse is William King."]


# --- what a policy leaves out, and what is not there --------------------------------------------------------------


def test_a_false_fact_of_a_stranger_does_not_reach_the_prompt_and_the_reason_is_told(knows: Knows) -> None:
    publishers = ((CLINIC, (*NAMES, *FACTS)), (LAB, (FALSE,)))
    open_to_all = found_by(knows(*publishers), BORN, "Paris")
    assert {fact.statement.object for fact in open_to_all.facts} == {iri("london"), iri("paris")}
    policy = Policy.from_yaml(f"publishers: {{allow: ['{CLINIC}']}}")
    found = found_by(knows(*publishers, policy=policy), BORN, "Paris")
    assert {fact.statement.object for fact in found.facts} == {iri("london")}
    assert not found.supported
    assert found.notes[-1] == "No verified fact says what the model answered."
    (dropped,) = [
        one for one in found.dropped if one.reason is Reason.PUBLISHER and one.statement.object == iri("paris")
    ]
    assert dropped.publishers == (LAB,)


def test_what_is_provably_not_there_is_said_and_the_model_is_not_asked(knows: Knows) -> None:
    found = found_by(knows((CLINIC, (*NAMES, *FACTS[:2]))), BORN, None)
    assert found.by is AnsweredBy.ABSENCE
    assert not found.supported
    assert found.answer == f"{NOT_KNOWN} Looked for place of birth of Ada Lovelace: provably none as of block 12."
    asks = [one for one in proofs(found.context) if one.claimed.absent]
    assert asks
    for one in asks:
        assert dkg.verify(one.car, one.claimed.query, root_of(one.claimed)).provably_nothing


def test_what_only_a_denied_stranger_says_is_provably_not_said_by_those_who_are_heard(knows: Knows) -> None:
    policy = Policy.from_yaml(f"publishers: {{allow: ['{CLINIC}']}}")
    found = found_by(knows((CLINIC, (*NAMES, *FACTS[:2])), (LAB, (FALSE,)), policy=policy), BORN, None)
    assert found.by is AnsweredBy.ABSENCE
    assert found.absent[0].publishers == (CLINIC,)
    assert Reason.PUBLISHER in {one.reason for one in found.dropped}
    (made,) = [one for one in proofs(found.context) if one.claimed.absent]
    assert dkg.verify(made.car, made.claimed.query, root_of(made.claimed)).provably_nothing


def test_what_was_found_nowhere_is_not_made_up(knows: Knows) -> None:
    found = found_by(knows((CLINIC, (*NAMES, *FACTS))), "Zzyzx qwfp?", None)
    assert (found.by, found.answer, found.supported) == (AnsweredBy.NOTHING, NOT_KNOWN, False)
    assert found.notes


def test_absence_decides_only_where_no_fact_has_what_was_asked_for() -> None:
    reader = reader_of(*FACTS)
    empty = reader.absent(iri("ada"), iri("died"))
    assert empty is not None
    assert deciding_absence(context_of(reader, FACTS[0], absent=[empty])) is empty
    assert deciding_absence(context_of(reader, FACTS[0], absent=[reader.not_asked(iri("ada"), iri("died"))])) is None
    no_spouse = reader.absent(iri("william"), iri("spouse"))
    assert no_spouse is not None
    assert deciding_absence(context_of(reader, FACTS[0], absent=[no_spouse])) is None
    rows = replace(context_of(reader, absent=[empty]), rows=(("<http://e/a>",),))
    assert deciding_absence(rows) is None


# --- what models say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["Not known.", "unknown", "I don't know!", "", " \u200b "])
def test_a_model_that_does_not_know_is_not_supported_and_not_blamed(knows: Knows, text: str) -> None:
    found = found_by(knows((CLINIC, (*NAMES, *FACTS))), BORN, text)
    assert (found.answer, found.supported, found.by) == (NOT_KNOWN, False, AnsweredBy.MODEL)
    assert "No verified fact says what the model answered." not in found.notes
    assert says_unknown(text.strip(" \u200b"))


def test_an_answer_is_cleaned_of_what_is_not_seen_and_of_what_is_too_long() -> None:
    assert answer_text(" Lon\u202edon\x1b[31m \n\n Paris\u200b ") == "London[31m\n\nParis"
    assert len(answer_text("a" * (ANSWER_CHARS_MAX + 1))) == ANSWER_CHARS_MAX


def test_a_model_that_does_not_answer_ends_at_the_deadline(knows: Knows) -> None:
    def silent(caller: Caller) -> None:
        caller.request()
        caller.wait()

    with raw_server(silent) as server, HttpModel(f"{server.url}/v1") as model, pytest.raises(ModelTimeoutError):
        ask(knows((CLINIC, (*NAMES, *FACTS))), BORN, model=model, deadline_s=0.1)


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "error"),
    [("", InputError), ("?!", InputError), ("a " * 50_000, LimitError), ("x" * 100_000, LimitError)],
)
def test_questions_that_cannot_be_asked_are_refused(knows: Knows, question: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        found_by(knows((CLINIC, (*NAMES, *FACTS))), question, None)


def test_a_question_that_the_policy_refuses_reaches_neither_index_nor_model(knows: Knows) -> None:
    policy = Policy.from_yaml("questions: {deny: ['birth']}")
    with pytest.raises(InputError, match=r"questions\.deny"):
        found_by(knows((CLINIC, (*NAMES, *FACTS))), BORN, None, policy=policy)


def test_a_budget_of_ten_tokens_gives_a_clear_result(knows: Knows) -> None:
    found = found_by(knows((CLINIC, (*NAMES, *FACTS))), BORN, None, budget=10)
    assert (found.by, found.answer) == (AnsweredBy.NOTHING, NOT_KNOWN)
    assert found.tokens <= 10
    assert [one.reason for one in found.dropped] == [Reason.BUDGET]
    context = context_of(reader_of(*FACTS), *FACTS, question=BORN)
    with HttpModel("http://127.0.0.1:1/v1") as model:
        small = answer_from(context, model=model, budget=10)
    assert small.notes[0].startswith("No fact fits in the budget of 10 tokens")


# --- for programs ------------------------------------------------------------------------------------------------


def test_an_answer_as_json_says_who_signed_what_and_how_to_check_it(knows: Knows) -> None:
    found = found_by(knows((CLINIC, (*NAMES, *FACTS))), BORN, "In London, surely.")
    shown = json.loads(json.dumps(to_json(found)))
    assert (shown["answer"], shown["supported"], shown["by"]) == ("In London, surely.", True, "model")
    (cited,) = shown["citations"]
    assert (cited["start"], cited["end"], cited["text"], cited["fact"]) == (3, 9, "London", 1)
    assert cited["publishers"] == [CLINIC]
    assert cited["proofs"] == [1]
    assert cited["url"] == GRAPH[1:-1].decode()
    assert shown["facts"][0]["text"] == "Ada Lovelace's place of birth is London."
    assert shown["proof"] == found.proof
    (proof,) = shown["proofs"]
    made = next(iter(proofs(found.context)))
    assert dkg.verify(made.car, proof["query"], proof["root"]).rows


def test_an_extractive_profile_answers_with_a_name_of_the_facts(model: LocalModel) -> None:
    context = context_of(reader_of(*FACTS), *FACTS[:2], question="Who is ada's spouse?")
    found = answer_from(context, model=model, profile=PROFILES["smollm2-extractive"])
    assert found.answer in {"ada", "william", "gb"}
    assert found.supported
