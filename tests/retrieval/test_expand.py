from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from retrieval.expand import FRONTIER_MAX, HUB_EDGES_MAX, paths
from retrieval.index import KnowledgeIndex
from retrieval.link import link
from tests.retrieval.family import GRAPH, LABEL, family, iri, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def index() -> Iterator[KnowledgeIndex]:
    with KnowledgeIndex.build([snapshot(family())]) as found:
        yield found


def _best(index: KnowledgeIndex, question: str) -> list[list[tuple[bytes, ...]]]:
    best = paths(index, link(index, question), 4)[0]
    statements = index.statements_of(edge for chain in best.chains for edge in chain.edges)
    return sorted([tuple(statements[edge]) for edge in chain.edges] for chain in best.chains)


def test_one_step(index: KnowledgeIndex) -> None:
    assert _best(index, "Who is Ada Lovelace married to?") == [[(iri("ada"), iri("spouse"), iri("william"))]]


def test_all_ways_along_the_same_relations_are_one_path(index: KnowledgeIndex) -> None:
    assert _best(index, "What is the religion of Ada Lovelace's parents?") == [
        [(iri("ada"), iri("parents"), iri("annabella")), (iri("annabella"), iri("religion"), iri("unitarian"))],
        [(iri("ada"), iri("parents"), iri("byron")), (iri("byron"), iri("religion"), iri("anglican"))],
    ]


def test_three_steps(index: KnowledgeIndex) -> None:
    assert _best(index, "Who is the wife of the child of Ada Lovelace's husband?") == [
        [
            (iri("ada"), iri("spouse"), iri("william")),
            (iri("william"), iri("children"), iri("anne")),
            (iri("anne"), iri("spouse"), iri("wilfrid")),
        ]
    ]


def test_a_relation_is_read_from_its_object_where_the_words_say_so(index: KnowledgeIndex) -> None:
    assert _best(index, "Who is the child of Lord Byron?") == [[(iri("ada"), iri("parents"), iri("byron"))]]
    assert _best(index, "Who are Anne Blunt's parents?") == [[(iri("william"), iri("children"), iri("anne"))]]


def test_two_names_meet(index: KnowledgeIndex) -> None:
    assert _best(index, "Was Lord Byron born in London?") == [[(iri("byron"), iri("placeOfBirth"), iri("london"))]]


def test_what_is_not_asked_for_is_no_way_to_an_answer(index: KnowledgeIndex) -> None:
    """Ada has no religion here. That of her parents is not hers."""
    assert all(path.fit < 0.2 for path in paths(index, link(index, "What is the religion of Ada Lovelace?"), 8))


def test_a_hub_is_followed_as_far_as_the_limits_say() -> None:
    quads = [(iri(f"person{n}"), iri("placeOfBirth"), iri("town"), GRAPH) for n in range(5000)]
    quads += [(iri("town"), iri("mayor"), iri("person7"), GRAPH), (iri("town"), LABEL, b'"Springfield"', GRAPH)]
    with KnowledgeIndex.build([snapshot(quads)]) as index:
        best = paths(index, link(index, "Who was born in Springfield?"), 4)[0]
        assert len(best.chains) == HUB_EDGES_MAX
        assert best.cut
        for path in paths(index, link(index, "the mayor of the birth place of the person of Springfield"), 50):
            assert len({chain.nodes[-1] for chain in path.chains}) <= FRONTIER_MAX


def test_no_mention_has_no_path(index: KnowledgeIndex) -> None:
    assert paths(index, link(index, "what is this"), 4) == []
