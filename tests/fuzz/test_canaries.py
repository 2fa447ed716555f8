"""Evaluators that are wrong on purpose must be caught: a fuzzer that cannot fail is no fuzzer.

Two kinds: the oracle with its answer or its data spoiled, and our own evaluator with one rule of its coverage
taken away, each rule that `docs/soundness.md` argues for. A rule whose absence nothing notices is either not needed
or not tested.
"""

# ruff: noqa: ANN401 - a method put in place of another takes what that one takes

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from dkg import evaluate as evaluation
from dkg.gather import Gather
from dkg.normal import normalize
from dkg.sparql import cover, filters, paths, steps
from dkg.sparql.algebra import Union
from dkg.sparql.relation import Relation, join
from dkg.terms import component
from tests.evaluators import answered
from tests.fuzz import check
from tests.fuzz.grammar import Case, case
from tests.oracle import Evaluator, Outcome, Quad, Rows, Term, oracle

QUERIES_MAX = 3_000
"""Random queries within which every canary must be caught."""


@cache
def made(seed: int) -> Case:
    return case(seed)


def caught_after(evaluator: Evaluator, first: int = 0) -> int | None:
    """Return the seed of a query by which an evaluator is caught, None if it is not. `first`: the one to try first."""
    seeds = (first, *range(QUERIES_MAX))
    return next((n for n in seeds if check.problem(made(n), {"canary": evaluator})), None)


# --- a spoiled oracle ----------------------------------------------------------------------------------------


def _drops_the_last_row(outcome: Outcome) -> Outcome:
    return Rows(outcome.variables, outcome.rows[:-1]) if isinstance(outcome, Rows) else outcome


def _drops_repeated_rows(outcome: Outcome) -> Outcome:
    return Rows(outcome.variables, tuple(dict.fromkeys(outcome.rows))) if isinstance(outcome, Rows) else outcome


def _reverses_rows(outcome: Outcome) -> Outcome:
    return Rows(outcome.variables, outcome.rows[::-1]) if isinstance(outcome, Rows) else outcome


def _unbinds_the_last_cell(outcome: Outcome) -> Outcome:
    if not isinstance(outcome, Rows) or not outcome.rows:
        return outcome
    return Rows(outcome.variables, (*outcome.rows[:-1], (*outcome.rows[-1][:-1], None)))


@pytest.mark.parametrize("spoil", [_drops_the_last_row, _drops_repeated_rows, _reverses_rows, _unbinds_the_last_cell])
def test_a_spoiled_answer_is_caught(spoil: Callable[[Outcome], Outcome]) -> None:
    def canary(
        quads: Sequence[Quad],
        query_text: str,
        default_graphs: Sequence[Term] | None,
        named_graphs: Sequence[Term] | None,
        base_iri: str | None,
    ) -> Outcome:
        return spoil(oracle(quads, query_text, default_graphs, named_graphs, base_iri))

    assert caught_after(canary) is not None


def test_ignoring_the_graphs_in_scope_is_caught() -> None:
    def canary(
        quads: Sequence[Quad],
        query_text: str,
        default_graphs: Sequence[Term] | None,
        named_graphs: Sequence[Term] | None,
        base_iri: str | None,
    ) -> Outcome:
        del default_graphs, named_graphs
        every = sorted({quad[3] for quad in quads})
        return oracle(quads, query_text, every, every, base_iri)

    assert caught_after(canary) is not None


def test_losing_one_quad_is_caught() -> None:
    def canary(
        quads: Sequence[Quad],
        query_text: str,
        default_graphs: Sequence[Term] | None,
        named_graphs: Sequence[Term] | None,
        base_iri: str | None,
    ) -> Outcome:
        return oracle(quads[1:], query_text, default_graphs, named_graphs, base_iri)

    assert caught_after(canary) is not None


# --- our evaluator without one of its rules ------------------------------------------------------------------

Patch = Callable[[pytest.MonkeyPatch], None]
CANARIES: dict[str, Patch] = {}


CAUGHT = {
    "pushes outer bindings into optional": 1040,
    "pushes outer bindings into minus": 1060,
    "pushes outer bindings into exists": 941,
    "does not cover the names of graphs": 341,
    "does not cover that a named graph exists": 1115,
    "pushes into sub selects with limits and aggregates": 880,
    "does not follow closures": 207,
    "does not cover nodes of zero length paths": 1906,
    "takes unbound for a value that joins nothing": 1092,
    "reads ranges without equal numbers of other types": 372,
    "stops early under negation": 141,
    "covers no more for what other branches begin with": 297,
    "counts a triple once a graph": 488,
}
"""The first seed that catches a canary, where it is not one of the first hundred: tried first, to save time only."""


def canary(patch: Patch) -> Patch:
    CANARIES[patch.__name__.strip("_").replace("_", " ")] = patch
    return patch


def _all_columns_own(found: cover.Found) -> cover.Found:
    return cover.Found(found.relation, frozenset(found.relation.columns))


@canary
def _pushes_outer_bindings_into_optional(patch: pytest.MonkeyPatch) -> None:
    original = cover.GroupCover._optional

    def optional(self: Any, group: Any, found: cover.Found, *rest: Any, **named: Any) -> cover.Found:
        return original(self, group, _all_columns_own(found), *rest, **named)

    patch.setattr(cover.GroupCover, "_optional", optional)


@canary
def _pushes_outer_bindings_into_minus(patch: pytest.MonkeyPatch) -> None:
    original = cover.GroupCover._minus

    def minus(self: Any, group: Any, found: cover.Found, *rest: Any) -> cover.Found:
        return original(self, group, _all_columns_own(found), *rest)

    patch.setattr(cover.GroupCover, "_minus", minus)


@canary
def _pushes_outer_bindings_into_exists(patch: pytest.MonkeyPatch) -> None:
    original = cover.GroupCover._finish
    patch.setattr(cover.GroupCover, "_finish", lambda self, found: original(self, _all_columns_own(found)))


@canary
def _does_not_cover_exists(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cover.Coverage, "exists", lambda *_: None)


@canary
def _does_not_cover_the_names_of_graphs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cover.Coverage, "graph_names", lambda *_: None)


@canary
def _does_not_cover_that_a_named_graph_exists(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cover.Coverage, "graph_exists", lambda *_: True)


@canary
def _pushes_into_sub_selects_with_limits_and_aggregates(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cover, "opaque", lambda _: False)


@canary
def _does_not_follow_closures(patch: pytest.MonkeyPatch) -> None:
    original = paths._Walker._repeat

    def repeat(self: Any, path: Any, node: Any, *, forward: bool, zero: bool, many: bool) -> Any:
        return original(self, path, node, forward=forward, zero=zero, many=many and False)

    patch.setattr(paths._Walker, "_repeat", repeat)


@canary
def _does_not_cover_nodes_of_zero_length_paths(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(paths._Walker, "touch", lambda *_: None)


@canary
def _does_not_cover_all_nodes_for_an_unbound_zero_length_path(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(paths._Walker, "everything", lambda self, path: self._starts(path, forward=True))


@canary
def _takes_unbound_for_a_value_that_joins_nothing(patch: pytest.MonkeyPatch) -> None:
    def strict(left: Relation, right: Relation) -> Relation:
        shared = [name for name in left.columns if name in right.columns]
        kept = [row for row in left.rows if all(row[left.columns.index(name)] is not None for name in shared)]
        return join(Relation(left.columns, kept, left.exact), right)

    patch.setattr(cover, "join", strict)


@canary
def _forgets_rows_that_optional_leaves_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cover, "left_join", join)


@canary
def _filters_on_unbound_variables_too_early(patch: pytest.MonkeyPatch) -> None:
    original = cover.GroupCover._filter

    def filtered(self: Any, found: cover.Found, *, final: bool) -> cover.Found:
        relation = original(self, _all_columns_own(found), final=final).relation
        rows = [row for row in relation.rows if None not in row]
        return cover.Found(Relation(relation.columns, rows, relation.exact), found.own)

    patch.setattr(cover.GroupCover, "_filter", filtered)


@canary
def _reads_ranges_without_equal_numbers_of_other_types(patch: pytest.MonkeyPatch) -> None:
    def narrow(op: str, literal: bytes) -> tuple[bytes, bytes] | None:
        if op != "=" or not literal.endswith(b"integer>"):
            return None
        exact = component(normalize(literal))
        return exact, exact + b"\0"

    patch.setattr(filters, "numeric_range", narrow)


@canary
def _does_not_cover_what_is_described(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(evaluation._Evaluation, "_cover_described", lambda *_: None)


@canary
def _stops_early_under_negation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(steps, "monotone", lambda _: True)


@canary
def _stops_one_row_too_early(patch: pytest.MonkeyPatch) -> None:
    def suffices(self: Any, result: Any) -> bool:
        limit = (self._query.select.limit or 0) - 1
        return bool(result.boolean) if result.boolean is not None else len(result) >= limit

    patch.setattr(evaluation._Evaluation, "_suffices", suffices)


@canary
def _begins_with_the_first_branch_of_a_union_only(patch: pytest.MonkeyPatch) -> None:
    original = steps._Steps._of

    def of(self: Any, unit: Any, *rest: Any) -> Any:
        return original(self, unit.branches[0] if isinstance(unit, Union) else unit, *rest)

    patch.setattr(steps._Steps, "_of", of)


@canary
def _covers_no_more_for_what_other_branches_begin_with(patch: pytest.MonkeyPatch) -> None:
    original = steps._close
    patch.setattr(steps, "_close", lambda sources: original(sources[:1]))


@canary
def _counts_a_triple_once_a_graph(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(evaluation._Evaluation, "_only_graph", lambda self: next(self._gather.graphs(), None))


@canary
def _loses_the_last_key_of_a_range(patch: pytest.MonkeyPatch) -> None:
    original = Gather.take

    def take(self: Any, order: str, *bounds: bytes, **named: Any) -> list[bytes]:
        keys = original(self, order, *bounds, **named)
        if len(keys) > 5:
            del keys[-1]
        return keys

    patch.setattr(Gather, "take", take)


@canary
def _covers_a_named_graph_as_a_part_of_the_default_graph(patch: pytest.MonkeyPatch) -> None:
    original = cover.Coverage.named_scope

    def named_scope(self: Any, graph: Any) -> Any:
        return replace(original(self, graph), named=False)

    patch.setattr(cover.Coverage, "named_scope", named_scope)


@pytest.mark.parametrize("name", CANARIES)
def test_coverage_without_one_of_its_rules_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    CANARIES[name](monkeypatch)
    seed = caught_after(answered, CAUGHT.get(name, 0))
    monkeypatch.undo()
    assert seed is not None
    assert check.problem(made(seed), {"answered": answered}) is None, "caught for another reason"
