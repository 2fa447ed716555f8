"""All query evaluation tests of the W3C suite for SPARQL 1.0, on the engine alone and on every evaluator."""

from __future__ import annotations

import pytest

from tests.conformance import w3c
from tests.data import w3c_suite
from tests.evaluators import EVALUATORS

CASES = w3c.cases(w3c_suite() / "sparql", "sparql10")


def test_the_suite_is_complete() -> None:
    assert len({case.id for case in CASES}) == 283


def test_every_known_failure_is_a_test_of_the_suite_and_has_a_reason() -> None:
    listed = {
        test: reason
        for section in w3c.known_failures().values()
        for test, reason in section.items()
        if test.startswith("sparql10/")
    }
    assert set(listed) <= {case.id for case in CASES}
    assert all(listed.values())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_engine_gives_what_w3c_expects(case: w3c.Case) -> None:
    assert w3c.engine_problem(case) is None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_only_listed_answers_depend_on_the_order_of_the_data(case: w3c.Case) -> None:
    assert w3c.order_dependent(case) == (case.id in w3c.known_failures()["order_dependent"])


@pytest.mark.parametrize("name", [name for name in EVALUATORS if name != "oracle"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_an_evaluator_gives_what_the_engine_gives(case: w3c.Case, name: str) -> None:
    assert w3c.our_verdict(case, EVALUATORS[name]) is None
