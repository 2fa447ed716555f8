"""Random queries with LIMIT and ASK that are read bit by bit (`tests.fuzz.slices`), and rules of it taken away."""

# ruff: noqa: ANN401 - a method put in place of another takes what that one takes

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from dkg.evaluate import _Evaluation
from dkg.sparql import paths, steps
from dkg.sparql.algebra import Alternative, Repeat, Union
from dkg.sparql.relation import Relation
from tests.evaluators import answered, answered_at_thresholds, proved_and_verified
from tests.fuzz.slices import asked, begun_query, several_pages
from tests.oracle import Evaluator, Refusal, difference, oracle, slice_difference

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS = 12
QUERIES = 25
"""A part."""
DATASETS = 3
"""A query."""
CANARY_QUERIES = 3_000
EVALUATORS = (answered, answered_at_thresholds, proved_and_verified)


def first_fault(seeds: range, evaluators: tuple[Evaluator, ...] = EVALUATORS) -> str | None:
    """Return the first fault in the queries of these seeds, with all that is needed to see it again."""
    for seed in seeds:
        rng = random.Random(f"begun {seed}")
        whole, slice_ = begun_query(rng)
        for at in range(DATASETS):
            quads = several_pages(rng)
            expected = oracle(quads, whole, None, None, None)
            if isinstance(expected, Refusal):
                break
            evaluator = evaluators[at % len(evaluators)]
            part, actual = (run(quads, whole + slice_, None, None, None) for run in (oracle, evaluator))
            fault = slice_difference(expected, part, actual)
            if fault is None:
                truth, said = (run(quads, asked(whole), None, None, None) for run in (oracle, evaluator))
                fault = difference(truth, said)
            if fault is not None:
                return f"seed {seed}: {fault}\n{whole}{slice_}\n{quads}"
    return None


@pytest.mark.parametrize("part", range(PARTS))
def test_what_begins_anywhere_gives_rows_of_the_whole_answer(part: int) -> None:
    assert first_fault(range(part * QUERIES, (part + 1) * QUERIES)) is None


Patch = Callable[[pytest.MonkeyPatch], None]
CANARIES: dict[str, Patch] = {}


def canary(patch: Patch) -> Patch:
    CANARIES[patch.__name__.strip("_").replace("_", " ")] = patch
    return patch


@canary
def _stops_one_row_too_early(patch: pytest.MonkeyPatch) -> None:
    def suffices(self: Any, result: Any) -> bool:
        limit = (self._query.select.limit or 0) - 1
        return bool(result.boolean) if result.boolean is not None else len(result) >= limit

    patch.setattr(_Evaluation, "_suffices", suffices)


@canary
def _does_not_begin_with_the_last_branch(patch: pytest.MonkeyPatch) -> None:
    original = steps._Steps._of

    def of(self: Any, unit: Any, *rest: Any) -> Iterator[steps.Source]:
        return original(self, Union(unit.branches[:-1]) if isinstance(unit, Union) else unit, *rest)

    patch.setattr(steps._Steps, "_of", of)


@canary
def _does_not_begin_with_the_last_alternative(patch: pytest.MonkeyPatch) -> None:
    original = steps._Steps._path

    def path(self: Any, unit: Any, *rest: Any) -> Iterator[steps.Source]:
        if isinstance(unit.path, Alternative):
            unit = type(unit)(unit.s, Alternative(unit.path.parts[:-1]), unit.o)
        return original(self, unit, *rest)

    patch.setattr(steps._Steps, "_path", path)


@canary
def _takes_one_step_of_a_closure_for_all(patch: pytest.MonkeyPatch) -> None:
    original = steps._Steps._path

    def path(self: Any, unit: Any, *rest: Any) -> Iterator[steps.Source]:
        sources = list(original(self, unit, *rest))
        return iter(sources[:-1] if isinstance(unit.path, Repeat) and len(sources) > 1 else sources)

    patch.setattr(steps._Steps, "_path", path)


@canary
def _walks_a_closure_two_steps_far(patch: pytest.MonkeyPatch) -> None:
    original = paths._Walker.spread
    patch.setattr(paths._Walker, "spread", lambda *args, **named: islice(original(*args, **named), 2))


@canary
def _covers_what_begins_in_other_branches_no_more(patch: pytest.MonkeyPatch) -> None:
    original = steps._close
    patch.setattr(steps, "_close", lambda sources: original(sources[:1]))


@canary
def _covers_for_each_beginning_only_once_it_is_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(steps, "monotone", lambda _: True)


@canary
def _forgets_the_last_row_of_values(patch: pytest.MonkeyPatch) -> None:
    original = steps._Steps._matches

    def matches(self: Any, pattern: Any, found: Any, *rest: Any) -> steps.Source:
        relation = found.relation
        rows = relation.rows[:-1] if len(relation.rows) > 1 else relation.rows
        found = type(found)(Relation(relation.columns, rows, relation.exact), found.own)
        return original(self, pattern, found, *rest)

    patch.setattr(steps._Steps, "_matches", matches)


@canary
def _believes_a_negated_path_refuses_more(patch: pytest.MonkeyPatch) -> None:
    original = steps._Steps._matches

    def matches(self: Any, pattern: Any, found: Any, refused: Any = frozenset()) -> steps.Source:
        return original(self, pattern, found, refused | {b"<http://e/p>", b"<http://e/q>"} if refused else refused)

    patch.setattr(steps._Steps, "_matches", matches)


@pytest.mark.slow
@pytest.mark.parametrize("name", CANARIES)
def test_reading_bit_by_bit_without_one_of_its_rules_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    CANARIES[name](monkeypatch)
    assert first_fault(range(CANARY_QUERIES), (answered,)) is not None
