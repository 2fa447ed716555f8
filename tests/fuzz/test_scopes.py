"""Random queries about what a match is worth (`tests.fuzz.scopes`), on prover and verifier."""

from __future__ import annotations

import random

import pytest

from dkg.sparql import cover
from tests.evaluators import answered, proved_and_verified
from tests.fuzz.scopes import scoped_query, sliced_query, tiny_quads
from tests.oracle import Evaluator, Quad, Refusal, difference, oracle, slice_difference

PARTS = 12
QUERIES = 60
"""A part."""
DATASETS = 6
"""A query."""
CANARY_QUERIES = 4_000
ORDERS = 8


def wrong(quads: tuple[Quad, ...], query: str, evaluator: Evaluator) -> str | None:
    """Return what is wrong with an answer, None if the oracle gives it for some order of the data."""
    actual = evaluator(quads, query, None, None, None)
    orders = (None, *range(ORDERS))
    found = (difference(oracle(quads, query, None, None, None, order), actual) for order in orders)
    first = next(found)
    return first if first is not None and all(found) else None


def first_fault(seeds: range, evaluator: Evaluator) -> str | None:
    """Return the first fault in the queries of these seeds, with all that is needed to see it again."""
    for seed in seeds:
        rng = random.Random(f"scopes {seed}")
        query = scoped_query(rng)
        for _ in range(DATASETS):
            quads = tiny_quads(rng)
            if isinstance(oracle(quads, query, None, None, None), Refusal):
                break
            fault = wrong(quads, query, evaluator)
            if fault is not None:
                data = ", ".join(b" ".join(quad).decode() for quad in quads)
                return f"seed {seed}: {fault}\n{query}\n{data}"
    return None


@pytest.mark.parametrize("part", range(PARTS))
def test_a_match_is_believed_only_where_it_is_certain(part: int) -> None:
    assert first_fault(range(part * QUERIES, (part + 1) * QUERIES), proved_and_verified) is None


@pytest.mark.parametrize("part", range(PARTS))
def test_what_is_read_bit_by_bit_gives_rows_of_the_whole_answer(part: int) -> None:
    for seed in range(part * QUERIES, (part + 1) * QUERIES):
        rng = random.Random(f"slices {seed}")
        whole, slice_ = sliced_query(rng)
        for _ in range(DATASETS):
            quads = tiny_quads(rng)
            expected = oracle(quads, whole, None, None, None)
            if isinstance(expected, Refusal):
                break
            part_ = oracle(quads, whole + slice_, None, None, None)
            actual = proved_and_verified(quads, whole + slice_, None, None, None)
            assert slice_difference(expected, part_, actual) is None, (seed, whole + slice_, quads)


@pytest.mark.slow
def test_coverage_that_forgets_hidden_values_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cover, "bindable", lambda _: frozenset())
    assert first_fault(range(CANARY_QUERIES), answered) is not None
