"""Citations: which facts say the words of an answer, decided by code."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from retrieval.prompt.citing import cite
from retrieval.reading import Reader
from tests.datasets import iri
from tests.retrieval.prompt.world import CLINIC, GRAPH, LAB, Triple, context_of, reader_of, snapshot

if TYPE_CHECKING:
    from retrieval.model import Context

FACTS: tuple[Triple, ...] = (
    ("ada", "spouse", "william"),
    ("william", "nationality", "gb"),
    ("ada", "parent", "george"),
    ("ada", "born", b'"1815-12-10"^^<http://www.w3.org/2001/XMLSchema#date>'),
    ("ada", "sex", b'"female"'),
    ("ada", "alias", b'"Zo\xc3\xab"'),
)
LABELS = {
    "ada": "Ada Lovelace",
    "william": "William King",
    "gb": "Great Britain",
    "george": "George I of Great Britain",
}


def about(question: str = "Who is it?") -> Context:
    return context_of(reader_of(*FACTS), *FACTS, question=question, labels=LABELS, paths={0: 3, 1: 3})


def cited(answer: str, question: str = "Who is it?") -> list[tuple[str, int | None, str]]:
    return [(one.text, one.fact, one.role) for one in cite(answer, about(question))]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Great Britain", [("Great Britain", 2, "object")]),
        ("It is great  britain.", [("great  britain", 2, "object")]),
        ("GREAT-BRITAIN!", [("GREAT-BRITAIN", 2, "object")]),
        ("George I of Great Britain", [("George I of Great Britain", 3, "object")]),
        ("Zoe", [("Zoe", 6, "object")]),
        ("1815-12-10", [("1815-12-10", 4, "object")]),
        ("William King", [("William King", 1, "object")]),
        ("Ada Lovelace", [("Ada Lovelace", 1, "subject")]),
        ("female", [("female", 5, "object")]),
        ("male", []),
        ("Britain", []),
        ("Great", []),
        ("", []),
        ("Paris", []),
        ("\u202e\x00\ud800", []),
    ],
)
def test_words_of_an_answer_are_matched_to_names_of_facts(
    answer: str, expected: list[tuple[str, int | None, str]]
) -> None:
    assert cited(answer) == expected


def test_several_names_are_cited_in_the_order_of_the_answer() -> None:
    answer = "She is female, and her husband William King is of Great Britain. Great Britain!"
    assert cited(answer) == [("female", 5, "object"), ("William King", 1, "object"), ("Great Britain", 2, "object")]
    for one in cite(answer, about()):
        assert answer[one.start : one.end] == one.text


def test_a_name_of_the_question_is_cited_only_where_nothing_else_is() -> None:
    question = "What is the nationality of Ada Lovelace's husband William King?"
    assert cited("William King is from Great Britain", question) == [("Great Britain", 2, "object")]
    assert cited("William King", question) == [("William King", 1, "object")]


def test_who_only_repeats_the_question_has_not_answered_it() -> None:
    assert cited("Ada Lovelace", "Who is the husband of Ada Lovelace?") == []
    assert cited("Ada Lovelace", "Who is it?") == [("Ada Lovelace", 1, "subject")]


def test_a_citation_says_who_signed_what_where_and_when() -> None:
    triple: Triple = ("ada", "spouse", "william")
    reader = Reader([snapshot(LAB, [triple], block=9), snapshot(CLINIC, [triple], block=12)])
    context = context_of(reader, triple, labels=LABELS)
    (found,) = cite("William King", context, ["Ada Lovelace's spouse is William King."])
    assert found.publishers == (CLINIC, LAB)
    assert found.block == 9
    assert found.url == GRAPH[1:-1].decode()
    assert found.root in {one.root for one in reader.snapshots}
    assert found.title == "Ada Lovelace's spouse is William King."


def test_a_citation_names_the_facts_that_lead_to_it() -> None:
    (found,) = cite("Great Britain", about())
    assert found.path == (1,)
    (alone,) = cite("female", about())
    assert alone.path == ()


def test_answers_of_a_query_are_cited_as_such() -> None:
    count = '"12"^^<http://www.w3.org/2001/XMLSchema#integer>'
    context = replace(about(), facts=(), rows=((count, iri("gb").decode()),), query="SELECT ?n ?x {}")
    found = cite("There are 12 in Great Britain.", context)
    assert [(one.text, one.role, one.fact) for one in found] == [("12", "row", None), ("Great Britain", "row", None)]
    assert found[0].publishers == (CLINIC,)


def test_a_long_answer_is_matched_in_bounded_time() -> None:
    answer = "great " * 20_000 + "Great Britain"
    assert cited(answer) == []  # it stands beyond what is looked at
    assert cited("Great Britain " * 7_000) == [("Great Britain", 2, "object")]
