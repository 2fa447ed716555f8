from __future__ import annotations

import pytest

from dkg.errors import InputError
from retrieval.model import Candidate, Fact, Reason, Statement
from retrieval.reading import Reader
from retrieval.select import GAP_MAX, Budget, Way, select
from tests.retrieval.family import family, snapshot

FACTS = {
    fact.statement: fact
    for fact in Reader([snapshot(family())]).facts(Candidate(Statement(*q[:3]), 1.0) for q in family())[0]
}
A, B, C, D = list(FACTS)[:4]


def _ten(number: int, fact: Fact) -> int:
    del number, fact
    return 10


def test_a_path_goes_in_whole_or_not_at_all() -> None:
    found = select([Way((A, B), 1.0), Way((C, D), 1.0)], FACTS, Budget(tokens=30, facts=10), _ten)
    assert [fact.statement for fact in found.facts] == [A, B]
    assert {(one.statement, one.reason) for one in found.dropped} == {(C, Reason.BUDGET), (D, Reason.BUDGET)}
    assert found.cut


def test_a_shorter_path_fits_where_a_longer_one_does_not() -> None:
    found = select([Way((A, B), 1.0), Way((C,), 1.0)], FACTS, Budget(tokens=10, facts=10), _ten)
    assert [fact.statement for fact in found.facts] == [C]


def test_facts_that_paths_share_are_paid_for_once() -> None:
    found = select([Way((A, B), 1.0), Way((A, C), 1.0)], FACTS, Budget(tokens=30, facts=3), _ten)
    assert [(fact.statement, fact.path) for fact in found.facts] == [(A, 1), (B, 1), (C, 2)]


def test_what_fits_the_question_less_is_left_out() -> None:
    found = select([Way((A,), 1.0), Way((B,), 1.0 - 2 * GAP_MAX)], FACTS, Budget(), _ten)
    assert [fact.statement for fact in found.facts] == [A]
    assert [(one.statement, one.reason) for one in found.dropped] == [(B, Reason.RELEVANCE)]
    assert not found.cut


def test_a_path_of_which_a_fact_is_missing_is_none() -> None:
    held = {statement: fact for statement, fact in FACTS.items() if statement != B}
    found = select([Way((A, B), 1.0), Way((C,), 0.99)], held, Budget(), _ten)
    assert [fact.statement for fact in found.facts] == [C]
    assert [(one.statement, one.reason) for one in found.dropped] == [(A, Reason.RELEVANCE)]


def test_the_number_of_facts_is_kept_to() -> None:
    found = select([Way((one,), 1.0) for one in FACTS], FACTS, Budget(tokens=10_000, facts=4), _ten)
    assert len(found.facts) == 4


@pytest.mark.parametrize(("tokens", "facts"), [(0, 10), (10, 0), (-1, 1)])
def test_a_budget_of_nothing_is_refused(tokens: int, facts: int) -> None:
    with pytest.raises(InputError, match="at least one token and one fact"):
        Budget(tokens, facts)
