from __future__ import annotations

import numpy as np

from retrieval.index.edges import Edges, summed


def _table(rows: list[tuple[int, int, int, int]]) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    return summed(np.asarray(rows, dtype=np.int32).reshape(-1, 4))


def test_equal_rows_are_added_up_and_those_of_no_count_are_gone() -> None:
    found = _table([(2, 0, 1, 1), (1, 0, 1, 1), (2, 0, 1, 1), (1, 0, 1, -1)])
    assert found.tolist() == [[2, 0, 1, 2]]
    assert summed(np.zeros((0, 4), np.int32)).shape == (0, 4)


def test_runs_are_of_one_relation_in_either_direction() -> None:
    edges = Edges.of(_table([(0, 5, 1, 1), (0, 5, 2, 1), (0, 6, 1, 1), (3, 6, 1, 1)]), 4)
    assert [(relation, last - first) for relation, first, last in edges.runs(0, back=False)] == [(5, 2), (6, 1)]
    (_, first, last) = edges.runs(1, back=True)[1]
    assert edges.rows(first, last, back=True)[:, 0].tolist() == [0, 3]
    assert edges.runs(9, back=False) == edges.runs(-1, back=True) == []
    assert [edges.degree(node) for node in range(4)] == [3, 3, 1, 1]


def test_a_hub_of_a_million_edges_is_one_run_and_is_read_in_part() -> None:
    size = 1_000_000
    table = np.zeros((size, 4), dtype=np.int32)
    table[:, 0], table[:, 3] = np.arange(1, size + 1), 1
    edges = Edges.of(table, size + 1)
    ((relation, first, last),) = edges.runs(0, back=True)
    assert (relation, last - first) == (0, size)
    assert edges.rows(first, first + 3, back=True)[:, 0].tolist() == [1, 2, 3]
