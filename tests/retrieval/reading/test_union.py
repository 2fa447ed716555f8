"""A query over several datasets has the answers that it has over their union, whoever holds which quad."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from dkg.errors import BudgetError, QueryError
from dkg.evaluate import Dataset, evaluate_gathering
from dkg.limits import DEFAULT_BUDGET, Budget
from dkg.sparql.syntax import parse
from retrieval.reading import Reader
from retrieval.reading_union import gather_of
from tests.evaluators import outcome_of
from tests.fuzz.check import fault
from tests.fuzz.grammar import Case, case
from tests.oracle import Outcome, Refusal
from tests.retrieval.reading.world import iri, published, quad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.oracle import Quad

CASES = range(400, 640)
OWN = b"<http://e/g"
"""What the graphs begin with that count, where not all do."""


def parts_of(quads: Sequence[Quad], rng: random.Random) -> list[set[Quad]]:
    """The quads dealt out to a few datasets; some to more than one."""
    parts: list[set[Quad]] = [set() for _ in range(rng.randint(2, 4))]
    for one in quads:
        for part in rng.sample(parts, rng.choice((1, 1, 2))):
            part.add(one)
    return parts


def answered(parts: Sequence[set[Quad]], made: Case, only: bytes | None = None) -> Outcome:
    """What evaluation over datasets that are read side by side gives."""
    snapshots = [published(str(at), part, only=only).snapshot for at, part in enumerate(parts)]
    scope = Dataset(made.default_graphs, made.named_graphs)
    try:
        return outcome_of(evaluate_gathering(gather_of(snapshots, DEFAULT_BUDGET), parse(made.text), scope))
    except QueryError as error:
        return Refusal(str(error))


@pytest.mark.parametrize("start", range(CASES.start, CASES.stop, 60))
def test_random_queries_over_datasets_side_by_side_are_answered_as_over_one(start: int) -> None:
    for seed in range(start, start + 60):
        made = case(seed)
        wrong = fault(made, answered(parts_of(made.quads, random.Random(seed)), made))
        assert wrong is None, (seed, made.text, wrong)


def test_quads_in_the_graphs_of_others_are_not_there_for_queries_either() -> None:
    tried = 0
    for seed in CASES[:60]:
        made = case(seed)
        elsewhere = {(*one[:3], b"<http://f/g1>") for one in made.quads[::2]}
        parts = parts_of(made.quads, random.Random(seed))
        parts[0] |= elsewhere
        if all(one[3].startswith(OWN) for one in made.quads):
            tried += bool(elsewhere)
            wrong = fault(made, answered(parts, made, OWN))
            assert wrong is None, (seed, made.text, wrong)
    assert tried > 10


def test_a_join_over_what_two_publishers_say_is_found() -> None:
    reader = Reader(
        [
            published("one", [quad("film", "director", "ada")]).snapshot,
            published("two", [quad("ada", "born", "london"), quad("eve", "born", "paris")]).snapshot,
        ]
    )
    rows = reader.select("SELECT ?town { <http://e/film> <http://e/director> ?x . ?x <http://e/born> ?town }")
    assert (rows.variables, rows.rows, rows.publishers) == (("town",), ((iri("london"),),), ("one", "two"))


def test_what_two_publishers_say_is_counted_once() -> None:
    said = [quad(f"s{at}", "p", at) for at in range(30)]
    parts = [published("one", said), published("two", [(*one[:3], iri("h")) for one in said]), published("three", said)]
    reader = Reader([part.snapshot for part in parts])
    assert reader.count(predicate=iri("p")) == 90
    for query in ("SELECT (COUNT(*) AS ?n) { ?s <http://e/p> ?o }", "SELECT (COUNT(?s) AS ?n) { ?s <http://e/p> ?o }"):
        assert reader.select(query).rows == ((b'"30"^^<http://www.w3.org/2001/XMLSchema#integer>',),)


def test_what_is_unbound_has_no_term() -> None:
    reader = Reader([published("one", [quad("s", "p", 1)]).snapshot])
    rows = reader.select("SELECT ?o ?x { ?s ?p ?o OPTIONAL { ?s <http://e/none> ?x } }")
    assert rows.rows == ((quad("s", "p", 1)[2], None),)


@pytest.mark.parametrize("query", ["ASK { ?s ?p ?o }", "CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o }", "DESCRIBE <x:y>"])
def test_only_select_has_rows(query: str) -> None:
    with pytest.raises(QueryError, match="only SELECT"):
        Reader([published("one", [quad("s", "p", 1)]).snapshot]).select(query)


def test_without_publishers_there_is_no_answer() -> None:
    with pytest.raises(QueryError, match="no dataset to ask"):
        Reader([]).select("SELECT * { ?s ?p ?o }")


@pytest.mark.parametrize("publishers", [1, 2])
@pytest.mark.parametrize("budget", [Budget(quads=39), Budget(pages=3), Budget(rows=39)])
def test_a_query_that_needs_more_than_its_budget_is_refused(budget: Budget, publishers: int) -> None:
    said = [quad(f"s{at:02}", "p", at) for at in range(40)]
    reader = Reader([published(str(at), said[at::publishers]).snapshot for at in range(publishers)])
    assert len(reader.select("SELECT * { ?s ?p ?o }", budget=Budget(quads=40, rows=40)).rows) == 40
    with pytest.raises(BudgetError):
        reader.select("SELECT * { ?s ?p ?o }", budget=budget)
    assert not reader.faults
