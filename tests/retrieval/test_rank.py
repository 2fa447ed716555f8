from __future__ import annotations

import numpy as np
import pytest

from retrieval.index import KnowledgeIndex
from retrieval.rank import EDGES_MAX, by_rank, neighbourhood, page_rank
from tests.retrieval.family import GRAPH, family, iri, snapshot


def test_rank_is_a_share_that_falls_with_distance() -> None:
    chain = np.asarray([[0, 0, 1], [1, 0, 2], [2, 0, 3]], dtype=np.int32)
    found = page_rank(chain, {0: 1.0})
    assert sum(found.values()) == pytest.approx(1.0)
    assert found[0] > found[1] > found[2] > found[3] > 0


def test_no_edges_and_foreign_seeds_have_no_rank() -> None:
    assert page_rank(np.zeros((0, 3), np.int32), {1: 1.0}) == {}
    assert page_rank(np.asarray([[0, 0, 1]], dtype=np.int32), {7: 1.0}) == {}


def test_a_row_that_fits_the_question_comes_before_one_that_does_not() -> None:
    edges = np.asarray([[0, 0, 1], [0, 1, 2]], dtype=np.int32)
    assert [at for at, _ in by_rank(edges, {0: 1.0})] == [0, 1]
    assert [at for at, _ in by_rank(edges, {0: 1.0}, [0.1, 1.0])] == [1, 0]


def test_a_neighbourhood_has_no_names_and_is_bounded() -> None:
    quads = [(iri(f"a{n}"), iri(f"p{n % 400}"), iri("hub"), GRAPH) for n in range(3000)]
    with KnowledgeIndex.build([snapshot([*family(), *quads])]) as index:
        ada, hub = index.node(iri("ada")), index.node(iri("hub"))
        assert ada is not None
        assert hub is not None
        near = neighbourhood(index, [ada], 1)
        assert len(near) == 5  # two parents, a husband, a birthplace and a profession
        assert len(neighbourhood(index, [ada], 2)) > len(near)
        assert len(neighbourhood(index, [hub], 3)) <= EDGES_MAX
