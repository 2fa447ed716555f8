"""A fixed share of random queries on every evaluator; `scripts/fuzz` runs more of them."""

from __future__ import annotations

import os
import re

import pytest

from dkg.cut import Shape
from dkg.errors import BudgetError
from dkg.evaluate import Dataset
from dkg.limits import Budget
from dkg.pages import StoredPages
from dkg.proof import prove, verify
from tests.evaluators import EVALUATORS, build, outcome_of
from tests.fuzz import check
from tests.fuzz.deep import Tally, run
from tests.fuzz.grammar import attempts, case, search
from tests.fuzz.tree import NESTING, depth, nestings, operators

COUNT = int(os.environ.get("DKG_FUZZ_COUNT", "4000"))
PARTS = 40
SEEN = 1_500
"""Queries over which the grammar's reach is measured."""

REACHED = """
triple  triple ground  triple of variables  triple with repeated variable  triple with blank node
; list  , list  [] node  collection  path in ; list  path between constants  path from a constant
path between variables  path to itself  path /  path ^  path ?  path *  path +  path !  path !^
path !(|)  bind  values  values undef  optional  union  minus  minus disjoint  group  empty group
graph constant  graph variable  graph variable shared  subselect  filter  EXISTS  NOT EXISTS  BOUND  IN
NOT IN  compare  range  and  or  not  select all  select distinct  select reduced  select all nested
select distinct nested  aggregates  aggregates nested  group by  group by expression  having  COUNT
COUNT *  COUNT DISTINCT  SUM  AVG  MIN  MAX  SAMPLE  GROUP_CONCAT  projection *
projection hides a variable  projected expression  order by  total order  slice with open order
slice with total order  slice with total order nested  trailing values  from  from named  ask  construct
construct where  describe constant  describe variable  describe *  count of one pattern
slice of one pattern  range of one pattern  slice over negation  ask over negation  group with a scope of its own
slice over union  slice over values  slice over bind  slice over graph  slice over path  ask over union  ask over path
"""
"""Operators that every share must hold, two spaces apart."""


@pytest.mark.parametrize("part", range(PARTS))
def test_every_evaluator_gives_what_the_oracle_gives(part: int) -> None:
    evaluators = {name: e for name, e in EVALUATORS.items() if name != "oracle"} or EVALUATORS
    share = COUNT // PARTS
    for seed in range(part * share, (part + 1) * share):
        made = case(seed)
        if check.problem(made, evaluators) is not None:
            pytest.fail(check.report(made, evaluators))


BUDGETS = (
    Budget(rows=0),
    Budget(rows=3),
    Budget(rows=20),
    Budget(quads=1),
    Budget(quads=6),
    Budget(quads=25),
    Budget(pages=1),
    Budget(pages=6),
    Budget(pages=20),
    Budget(proof_bytes=500),
    Budget(proof_bytes=5_000),
)


@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_a_small_budget_gives_the_answer_or_a_refusal(budget: Budget) -> None:
    refused = 0
    for seed in range(60):
        made = case(seed)
        store, root = build(made.quads, Shape(4, 3))
        dataset = Dataset(made.default_graphs, made.named_graphs)
        try:
            proof = prove(StoredPages(store), root, made.text, dataset=dataset, budget=budget)
        except BudgetError:
            refused += 1
            continue
        assert check.fault(made, outcome_of(proof.answer)) is None, seed
        again = verify(proof.car, made.text, root, dataset=dataset, limits=budget)
        assert check.fault(made, outcome_of(again)) is None, seed
    assert refused


def test_a_seed_makes_one_case() -> None:
    assert [case(seed) for seed in range(5)] == [case(seed) for seed in range(5)]


def test_the_attempts_that_are_on_file_are_those_that_a_search_finds() -> None:
    known = attempts()
    assert len(known) >= 4000
    for seed in range(0, len(known), len(known) // 20):
        assert search(seed)[0] == known[seed], "the grammar has changed: run python -m tests.fuzz.attempts"


@pytest.fixture(scope="module")
def tally() -> Tally:
    return run(range(SEEN), {})


def test_every_operator_is_reached(tally: Tally) -> None:
    assert not set(re.split(r"\s\s+|\n", REACHED.strip())) - set(tally.operators)


def test_operators_nest_in_each_other_four_deep(tally: Tally) -> None:
    assert max(tally.depths) >= 5
    assert sum(count for levels, count in tally.depths.items() if levels >= 4) > SEEN / 4
    missing = {(outer, inner) for outer in NESTING for inner in NESTING} - set(tally.nestings)
    assert len(missing) < 20, sorted(missing)


def test_most_answers_are_not_empty(tally: Tally) -> None:
    assert tally.answered > 0.6 * SEEN


def test_shrinking_keeps_the_failure_and_drops_the_rest() -> None:
    made = next(c for c in map(case, range(100)) if "optional" in operators(c.tree) and depth(c.tree) > 2)
    least = check.shrunk(made, lambda candidate: "optional" in operators(candidate.tree))
    assert "optional" in operators(least.tree)
    assert not least.quads
    assert len(least.text) < len(made.text)
    assert not nestings(least.tree, None, NESTING)
