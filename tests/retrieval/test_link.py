from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from retrieval.index import KnowledgeIndex
from retrieval.link import SAME_NAME_MAX, WORDS_MAX, edits_max, link
from tests.retrieval.family import GRAPH, LABEL, family, iri, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def index() -> Iterator[KnowledgeIndex]:
    with KnowledgeIndex.build([snapshot(family())]) as found:
        yield found


def _named(index: KnowledgeIndex, question: str) -> list[tuple[bytes, str]]:
    return [(index.terms([one.node])[one.node], one.how) for one in link(index, question).mentions]


@pytest.mark.parametrize(
    ("question", "expected", "how"),
    [
        ("Who was Ada Lovelace's father?", "ada", "linked"),
        ("who was ADA LOVELACE", "ada", "linked"),
        ("Where was the Countess of Lovelace born?", "ada", "linked"),
        ("Кто отец Ада Лавлейс?", "ada", "linked"),
        ("Who was Adalovelace", "ada", "linked"),
        ("Who was Ada Lovlace?", "ada", "spelling"),
        ("the religion of lrod byron", "byron", "spelling"),
        ("Where was Noel Byron born?", "annabella", "part"),
        ("What did Isabella believe?", "annabella", "part"),
        ("What is in Londres?", "london", "linked"),
    ],
)
def test_things_are_found_however_they_are_written(
    index: KnowledgeIndex, question: str, expected: str, how: str
) -> None:
    assert _named(index, question)[0] == (iri(expected), how)


def test_the_longest_name_is_meant(index: KnowledgeIndex) -> None:
    assert _named(index, "the spouse of Anne Isabella Noel Byron") == [(iri("annabella"), "linked")]


def test_words_for_relations_are_no_misspelt_names(index: KnowledgeIndex) -> None:
    assert _named(index, "Who is the spouse of the son of the father?") == []


def test_all_things_of_one_name_are_kept() -> None:
    quads = [(iri(f"john{n}"), LABEL, b'"John Smith"', GRAPH) for n in range(3)]
    with KnowledgeIndex.build([snapshot(quads)]) as index:
        assert {term for term, _ in _named(index, "Who is John Smith?")} == {iri(f"john{n}") for n in range(3)}


def test_a_thing_of_which_more_is_said_is_not_crowded_out_by_namesakes() -> None:
    quads = [(iri(f"a{n}"), LABEL, b'"Ada Lovelace"', GRAPH) for n in range(40)]
    with KnowledgeIndex.build([snapshot([*quads, *family()])]) as index:
        found = _named(index, "Who is Ada Lovelace?")
    assert len(found) == SAME_NAME_MAX
    assert found[0] == (iri("ada"), "linked")


@pytest.mark.parametrize("question", ["", "?", "the of and", "zxqv qwzx", "a " * 5000, "\0", "'" * 100])
def test_a_question_that_names_nothing_names_nothing(index: KnowledgeIndex, question: str) -> None:
    assert link(index, question).mentions == ()


def test_only_so_many_words_are_looked_at(index: KnowledgeIndex) -> None:
    assert not link(index, "x " * WORDS_MAX).cut
    found = link(index, "x " * (WORDS_MAX + 1))
    assert found.cut
    assert len(found.words) == WORDS_MAX


def test_longer_names_may_have_more_typos() -> None:
    assert [edits_max(letters) for letters in (3, 4, 9, 10, 19, 20, 80)] == [0, 1, 1, 2, 2, 3, 3]
