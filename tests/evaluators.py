"""The evaluators that every harness runs: the place to plug a new one in.

An entry is an `Evaluator` (see `tests/oracle.py` for its rules).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from dkg.build import build_tree
from dkg.cut import FORMAT_1, Shape
from dkg.errors import QueryError
from dkg.evaluate import Dataset, evaluate
from dkg.page import ORDERS, DatasetRoot
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from dkg.proof import prove, verify
from dkg.sparql import cover, filters, paths, patterns, steps
from dkg.sparql.algebra import Form
from dkg.terms import key_of
from tests.oracle import (
    Boolean,
    Evaluator,
    Graph,
    Outcome,
    Quad,
    Refusal,
    Row,
    Rows,
    Term,
    oracle,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dkg.answer import Results

_NARROW = Shape(leaf_window=4, inner_window=3)
"""Small pages, so that small data has many of them. Reading is the same whatever the shape."""


def build(quads: Iterable[Quad], shape: Shape = FORMAT_1) -> tuple[MemoryPageStore, bytes]:
    """Return the pages of a dataset and its root."""
    store, distinct = MemoryPageStore(), set(quads)
    sink = PageSink(store)
    trees = [build_tree([sorted(key_of(quad, order) for quad in distinct)], sink, shape)[0] for order in ORDERS]
    root = sink.add(DatasetRoot(trees, len(distinct)))
    sink.flush()
    return store, root


@lru_cache(maxsize=64)
def _built(quads: tuple[Quad, ...]) -> tuple[MemoryPageStore, bytes]:
    return build(quads, _NARROW if len(quads) % 2 else FORMAT_1)


def outcome_of(answer: Results) -> Outcome:
    """Return an answer in the terms of the harness."""
    if answer.boolean is not None:
        return Boolean(answer.boolean)
    if answer.form in {Form.CONSTRUCT, Form.DESCRIBE}:
        return Graph(frozenset(tuple(str(term).encode() for term in triple) for triple in answer.triples))
    return Rows(answer.variables, tuple(map(_row, answer.rows)))


def _row(cells: Iterable[object]) -> Row:
    return tuple(None if cell is None else str(cell).encode() for cell in cells)


def _dataset(default: Sequence[Term] | None, named: Sequence[Term] | None) -> Dataset:
    return Dataset(None if default is None else tuple(default), None if named is None else tuple(named))


def answered(
    quads: Sequence[Quad],
    query_text: str,
    default_graphs: Sequence[Term] | None,
    named_graphs: Sequence[Term] | None,
    base_iri: str | None,
) -> Outcome:
    """What a store answers: `dkg.evaluate` over pages in memory."""
    store, root = _built(tuple(quads))
    try:
        return outcome_of(
            evaluate(
                StoredPages(store),
                root,
                query_text,
                dataset=_dataset(default_graphs, named_graphs),
                base_iri=base_iri,
            )
        )
    except QueryError as error:
        return Refusal(str(error))


def proved_and_verified(
    quads: Sequence[Quad],
    query_text: str,
    default_graphs: Sequence[Term] | None,
    named_graphs: Sequence[Term] | None,
    base_iri: str | None,
) -> Outcome:
    """What a client learns: proved over the store, then verified with nothing but the root and the proof."""
    store, root = _built(tuple(quads))
    dataset = _dataset(default_graphs, named_graphs)
    try:
        proof = prove(StoredPages(store), root, query_text, dataset=dataset, base_iri=base_iri)
    except QueryError as error:
        return Refusal(str(error))
    return outcome_of(verify(proof.car, query_text, root, dataset=dataset, base_iri=base_iri))


_THRESHOLDS = (
    (patterns, "COUNT_PROBES_MIN", 2),
    (patterns, "SCAN_FACTOR", 1),
    (cover, "CROSS_ROWS_MAX", 3),
    (cover, "FILTER_ROWS_MIN", 1),
    (filters, "BATCH_ROWS", 3),
    (steps, "PRODUCT_ROWS_MAX", 1),
    (paths, "BACKWARDS_ROWS_MIN", 1),
)


def answered_at_thresholds(
    quads: Sequence[Quad],
    query_text: str,
    default_graphs: Sequence[Term] | None,
    named_graphs: Sequence[Term] | None,
    base_iri: str | None,
) -> Outcome:
    """What a store answers where every choice by size is made as for large data."""
    before = [getattr(module, name) for module, name, _ in _THRESHOLDS]
    try:
        for module, name, value in _THRESHOLDS:
            setattr(module, name, value)
        return answered(quads, query_text, default_graphs, named_graphs, base_iri)
    finally:
        for (module, name, _), value in zip(_THRESHOLDS, before, strict=True):
            setattr(module, name, value)


EVALUATORS: dict[str, Evaluator] = {
    "oracle": oracle,
    "answered": answered,
    "answered at the thresholds": answered_at_thresholds,
    "proved and verified": proved_and_verified,
}

SAME_READING = ("answered", "proved and verified")
"""Evaluators that read the same pages, so that their answers must be the same row by row."""
