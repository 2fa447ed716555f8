"""LIMIT and ASK read no more than they must: a few pages of a dataset that has thousands."""

from __future__ import annotations

from functools import cache

import pytest

import dkg
from tests.datasets import PREFIX, iri

QUADS = 20_000
WHOLE_PAGES_MIN = 900
"""Pages that one index of the dataset has, or more."""
FEW_PAGES = 90
"""Most of it are probes: with OPTIONAL and the like, one for each key of the leaf that was read first."""


@cache
def dataset() -> tuple[dkg.MemoryPageStore, bytes]:
    graphs = [iri("g1"), iri("g2")]
    store = dkg.MemoryPageStore()
    quads = [(iri(f"s{i:05}"), iri(f"p{i % 3}"), iri(f"o{i % 500}"), graphs[i % 2]) for i in range(QUADS)]
    return store, dkg.build([quads], store)


def pages_read(query: str) -> tuple[int, int]:
    """Pages of the proof of a query, and rows of its verified answer."""
    store, root = dataset()
    proof = dkg.prove(store, root, PREFIX + query)
    return proof.pages, len(dkg.verify(proof.car, PREFIX + query, root))


def test_without_a_limit_everything_is_read() -> None:
    assert pages_read("SELECT * { ?s ?p ?o }") > (WHOLE_PAGES_MIN, QUADS - 1)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * { ?s ?p ?o } LIMIT 3",
        "SELECT * { ?s :p1 ?o } LIMIT 3",
        "SELECT * { ?s :p1 ?o . ?s ?p ?x FILTER(?x != :o1) } LIMIT 3",
        "SELECT * { ?s :p1 ?o OPTIONAL { ?s :p2 ?x } } LIMIT 3",
        "SELECT * { ?s :p1 ?o MINUS { ?s :p2 ?x } } LIMIT 3",
        "SELECT * { ?s :p1 ?o FILTER NOT EXISTS { ?s :p2 ?x } } LIMIT 3",
        "SELECT DISTINCT ?p { ?s ?p ?o } LIMIT 3",
        "SELECT * { { ?s ?p ?o } } LIMIT 3",
        "SELECT * { GRAPH ?g { ?s ?p ?o } } LIMIT 3",
        "SELECT * { GRAPH ?g { ?s :p1 ?o . ?s ?p ?x } } LIMIT 3",
        "SELECT * { GRAPH :g1 { ?s ?p ?o } } LIMIT 3",
        "SELECT * { GRAPH :g1 { ?s ?p ?o MINUS { ?s :p1 ?x } } } LIMIT 3",
        "SELECT * { GRAPH :g1 { { ?s ?p ?o } } } LIMIT 3 OFFSET 5",
        "SELECT * { { ?s :p0 ?o } UNION { ?s :p1 ?o } } LIMIT 3",
        "SELECT * { { ?s :none ?o } UNION { ?s :p1 ?o } } LIMIT 3",
        "SELECT * { { { ?s :p0 ?o } UNION { ?s :p1 ?o } } UNION { ?s ?p :o7 } } LIMIT 3",
        "SELECT * { { ?s :p0 ?o } UNION { ?s :p1 ?o } ?s ?p ?x } LIMIT 3",
        "SELECT * { { ?s :p0 ?o } UNION { ?s :p1 ?o } OPTIONAL { ?s :p2 ?x } } LIMIT 3",
        "SELECT * { { ?s :p0 ?o MINUS { ?s :p1 ?x } } UNION { ?s :p1 ?o } } LIMIT 3",
        "SELECT * { { GRAPH :g1 { ?s :p0 ?o } } UNION { GRAPH ?g { ?s :p1 ?o } } } LIMIT 3",
        "SELECT * { GRAPH ?g { { ?s :p0 ?o } UNION { ?s :p1 ?o } } } LIMIT 3",
        "SELECT * { GRAPH :g1 { ?s :p0 ?o OPTIONAL { ?s :p1 ?x } } FILTER(?o != :o3) } LIMIT 3",
        "SELECT * { VALUES ?p { :p0 :p1 } ?s ?p ?o } LIMIT 3",
        "SELECT * { VALUES ?p { :p0 UNDEF } ?s ?p ?o } LIMIT 3",
        "SELECT * { VALUES ?x { 1 2 3 } ?s :p1 ?o } LIMIT 3",
        "SELECT * { ?s ?p ?o VALUES ?p { :none :p1 } } LIMIT 3",
        "SELECT * { ?s ?p ?o } LIMIT 3 VALUES ?p { :p0 :p1 }",
        "SELECT * { VALUES ?p { :p0 :p1 } ?s ?p ?o OPTIONAL { ?s :p2 ?x } } LIMIT 3",
        "SELECT * { BIND(:p1 AS ?p) ?s ?p ?o } LIMIT 3",
        "SELECT * { VALUES ?n { 0 1 } BIND(IRI(CONCAT(STR(:p), STR(?n))) AS ?p) ?s ?p ?o } LIMIT 3",
        "SELECT * { BIND(:p1 AS ?p) { ?s ?p ?o } UNION { ?o ?p ?s } FILTER NOT EXISTS { ?s :p2 ?x } } LIMIT 3",
        "SELECT * { ?s :p0|:p1 ?o } LIMIT 3",
        "SELECT * { ?s (:none/:p0)|^:p1 ?o } LIMIT 3",
        "SELECT * { ?s :p0|:p1 ?o OPTIONAL { ?s :p2 ?x } } LIMIT 3",
        "SELECT * { ?s !:p1 ?o } LIMIT 3",
        "SELECT * { ?s !(:p1|^:p2) ?o MINUS { ?s :p2 ?x } } LIMIT 3",
        "SELECT * { ?s :p1+ ?o } LIMIT 3",
        "SELECT * { ?s (:p1|:p2)* ?o } LIMIT 3",
        "SELECT * { ?s :none? ?o } LIMIT 3",
        "SELECT * { ?s :p0+/:none* ?o . ?s :p0 ?x } LIMIT 3",
        "SELECT * { GRAPH ?g { ?s :p1+ ?o } } LIMIT 3",
    ],
)
def test_a_limit_reads_a_few_pages(query: str) -> None:
    pages, rows = pages_read(query)
    assert (pages <= FEW_PAGES, rows) == (True, 3)


@pytest.mark.parametrize(
    "query",
    [
        "ASK { ?s :p1 ?o }",
        "ASK { GRAPH ?g { ?s :p1 ?o } }",
        "ASK { { ?s :p1 ?o } UNION { ?s :p2 ?o } }",
        "ASK { GRAPH :g2 { ?s ?p ?o } }",
    ],
)
def test_ask_reads_a_few_pages(query: str) -> None:
    assert pages_read(query)[0] <= FEW_PAGES


@pytest.mark.parametrize(
    "query", ["SELECT (COUNT(*) AS ?n) { GRAPH :g1 { ?s ?p ?o } }", "SELECT * { ?s ?p ?o } LIMIT 0"]
)
def test_counts_and_empty_slices_read_a_few_pages(query: str) -> None:
    assert pages_read(query)[0] <= FEW_PAGES


def test_attack_a_product_with_values_counts_against_the_budget() -> None:
    """What is read bit by bit is never held as a whole, but it is made: 2,000 rows for each of 6,667 triples."""
    values = " ".join(f"(UNDEF {i})" for i in range(2_000))
    query = f"{PREFIX} SELECT * {{ VALUES (?s ?i) {{ {values} }} ?s :p1 ?o FILTER(?o = :none) }} LIMIT 1"
    store, root = dataset()
    with pytest.raises(dkg.BudgetError, match="more than the 100000 rows"):
        dkg.prove(store, root, query, budget=dkg.Budget(rows=100_000))


@cache
def chain() -> tuple[dkg.MemoryPageStore, bytes]:
    """A chain of 5,000 links."""
    store = dkg.MemoryPageStore()
    return store, dkg.build([[(iri(f"n{i}"), iri("next"), iri(f"n{i + 1}"), iri("g1")) for i in range(5_000)]], store)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT * { :n0 :next+ ?x } LIMIT 3", 3),
        ("SELECT * { :n7 :next* ?x . ?x :next ?y } LIMIT 4", 4),
        ("SELECT * { ?x :next+ :n4999 } LIMIT 3 OFFSET 2", 3),
        ("SELECT * { VALUES ?x { :n1 :n2000 :none } ?x (^:next|:none)+ ?y } LIMIT 3", 3),
        ("SELECT * { ?x :next+ ?y } LIMIT 40", 40),
        ("SELECT * { GRAPH ?g { :n0 :next+ ?x } } LIMIT 3", 3),
        ("SELECT * { :n4990 :next+ ?x } LIMIT 30", 10),
    ],
)
def test_a_closure_is_walked_no_further_than_it_must(query: str, rows: int) -> None:
    store, root = chain()
    proof = dkg.prove(store, root, PREFIX + query)
    assert len(dkg.verify(proof.car, PREFIX + query, root)) == rows
    assert proof.pages <= FEW_PAGES


@pytest.mark.parametrize(("query", "true"), [("ASK { :n9 :next+ :n12 }", True), ("ASK { :n4990 :next* :n7 }", False)])
def test_ask_walks_a_closure_no_further_than_it_must(query: str, true: bool) -> None:  # noqa: FBT001 - the outcome
    store, root = chain()
    proof = dkg.prove(store, root, PREFIX + query)
    assert dkg.verify(proof.car, PREFIX + query, root).boolean is true
    assert proof.pages <= FEW_PAGES
