"""Rows D1 to D5 of the fault matrix: queries and documents made to harm, each a typed error, and others unaffected."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from dkg.api import build
from dkg.errors import BudgetError, CanonicalizationError, InputError, LimitError, QueryError, RdfError
from dkg.pages import MemoryPageStore
from node.storage.view import Views
from node.workers.errors import JobMemoryError, JobTimeoutError, ResultTooLargeError, WorkerCrashedError
from node.workers.jobs import EVERY_GRAPH, Job, Parse, Plain, Query, Result
from node.workers.settings import Settings
from tests.data import w3c_suite
from tests.node.workers.harness import Pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from dkg.errors import DkgError
    from tests.node.workers.conftest import Data

SIZES = [2**power for power in range(6, 18)] + [10**6]
TOO_DEAR = BudgetError | JobTimeoutError | JobMemoryError | ResultTooLargeError


def checked(pool: Pool, jobs: Sequence[Job]) -> list[Result | DkgError]:
    """What comes of some jobs, with small jobs of others between them, which must be done as ever."""
    state = pool.workers.state()
    small = Parse(data=b"<urn:a> <urn:b> <urn:c> .", format="ttl", graph="urn:g")
    outcomes = pool.outcomes(job for big in jobs for job in (big, small))
    assert all(isinstance(outcome, Result) for outcome in outcomes[1::2])
    crashed = [(str(outcome), outcome.detail) for outcome in outcomes if isinstance(outcome, WorkerCrashedError)]
    assert not crashed
    assert pool.workers.state().outcomes.get("WorkerCrashedError") == state.outcomes.get("WorkerCrashedError")
    return outcomes[::2]


# --- D1: XML ---------------------------------------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
RDF = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:u="urn:">'
THING = f'{RDF}<rdf:Description rdf:about="urn:a"><u:p>{{}}</u:p></rdf:Description></rdf:RDF>'
XML = [
    f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]>' + THING.format("&l9;"),
    f'<!DOCTYPE r [<!ENTITY x "{"a" * 50_000}">]>' + THING.format("&x;" * 10_000),
    "<!DOCTYPE r [<!ENTITY % x \"<!ENTITY y 'z'>\"> %x;]>" + THING.format("&y;"),
    '<!DOCTYPE r [<!ENTITY a "&b;"><!ENTITY b "&a;">]>' + THING.format("&a;"),
    '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + THING.format("&x;"),
    '<!DOCTYPE r [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]>' + THING.format("x"),
    '<!DOCTYPE r SYSTEM "file:///etc/passwd">' + THING.format("x"),
    f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]><!DOCTYPE r>' + THING.format("&l9;"),
    RDF + "<u:a><u:b>" * 5_000 + "</u:b></u:a>" * 5_000 + "</rdf:RDF>",
    '<?xml version="1.0" encoding="utf-16"?>' + THING.format("x" * 10),
]


def test_d1_xml_bombs_are_refused(pool: Pool) -> None:
    outcomes = checked(pool, [Parse(data=xml.encode(), format="xml", graph="urn:g") for xml in XML])
    assert all(isinstance(outcome, RdfError | LimitError) for outcome in outcomes[:9])
    assert b"root:" not in b"".join(outcome.body for outcome in outcomes if isinstance(outcome, Result))


# --- D2: depth -------------------------------------------------------------------------------------------------

QUERIES = {
    "groups": ("SELECT * WHERE {0}{1}", "{", "}"),
    "parentheses": ("SELECT ({0}1{1} AS ?x) {{}}", "(", ")"),
    "unions": ("SELECT * WHERE {{ {{}} {0} }}", "UNION {}", ""),
    "optionals": ("SELECT * WHERE {{ {0} }}", "OPTIONAL {} ", ""),
    "nested optionals": ("SELECT * WHERE {{ {0}{1} }}", "OPTIONAL {", "}"),
    "negations": ("ASK {{ FILTER({0} true) }}", "!", ""),
    "sums": ("SELECT (1 {0} AS ?x) {{}}", "+1", ""),
    "sub-selects": ("SELECT * WHERE {0}{1}", "{ SELECT * WHERE ", "}"),
    "paths": ("SELECT * WHERE {{ ?s {0}<urn:p>{1} ?o }}", "(", ")*"),
    "lists": ("SELECT * WHERE {{ ?s ?p {0} 1 {1} }}", "(", ")"),
    "blank nodes": ("SELECT * WHERE {{ ?s ?p {0} {1} }}", "[ <urn:p> ", " 1 ]"),
    "triple terms": ("SELECT * WHERE {{ ?s ?p {0} ?o {1} }}", "<<( ?s ?p ", " )>>"),
}
DOCUMENTS = {
    "jsonld": ("{0}1{1}", '{"urn:p":', "}"),
    "jsonld lists": ('{{"urn:p": {0}{1} }}', '{"@list":[', "]}"),
    "ttl": ("<urn:a> <urn:p> {0} 1 {1} .", "(", ")"),
    "ttl blank nodes": ("<urn:a> <urn:p> {0} {1} .", "[ <urn:p> ", "]"),
    "ttl triple terms": ("<urn:a> <urn:p> {0} 1 {1} .", "<<( <urn:a> <urn:p> ", " )>>"),
    "n3": ("<urn:a> <urn:p> {0} {1} .", "{ <urn:a> <urn:p> ", "}"),
    "trig": ("<urn:g> {{ <urn:a> <urn:p> {0} 1 {1} }}", "(", ")"),
    "nt triple terms": ("<urn:a> <urn:p> {0} <urn:o> {1} .", "<<( <urn:a> <urn:p> ", " )>>"),
    "xml": (RDF + "{0}{1}</rdf:RDF>", "<u:a>", "</u:a>"),
}


def nested(shape: tuple[str, str, str], depth: int) -> str:
    return shape[0].format(shape[1] * depth, shape[2] * depth)


@pytest.mark.parametrize("shape", QUERIES)
def test_d2_nested_queries_never_crash_and_are_refused_when_deep(pool: Pool, data: Data, shape: str) -> None:
    texts = [nested(QUERIES[shape], size) for size in SIZES]
    for plain in False, True:
        jobs = [
            Plain(root=data.root, text=text, view=str(data.view), allowed=EVERY_GRAPH)
            if plain
            else Query(root=data.root, text=text)
            for text in texts
        ]
        outcomes = checked(pool, jobs)
        assert all(isinstance(outcome, InputError) for outcome in outcomes[4:])  # from 1,024 on
        assert isinstance(outcomes[-1], LimitError)


@pytest.mark.parametrize("shape", DOCUMENTS)
def test_d2_nested_documents_never_crash_and_are_refused_when_deep(pool: Pool, shape: str) -> None:
    jobs = [
        Parse(data=nested(DOCUMENTS[shape], size).encode(), format=shape.partition(" ")[0], graph="urn:g")
        for size in SIZES
        if size <= 131_072
    ]
    outcomes = checked(pool, jobs)
    assert all(isinstance(outcome, RdfError | LimitError) for outcome in outcomes[3:])  # from 512 on


def test_d2_json_ld_terms_that_are_defined_by_each_other(pool: Pool) -> None:
    for size in SIZES[:9]:
        terms = ",".join(f'"t{n}": "t{n + 1}:x"' for n in range(size))
        data = f'{{"@context": {{{terms}}}, "t0": 1}}'.encode()
        (outcome,) = checked(pool, [Parse(data=data, format="jsonld", graph="urn:g")])
        assert isinstance(outcome, Result) == (size <= 256) or isinstance(outcome, InputError)


# --- D3: cost --------------------------------------------------------------------------------------------------

CARTESIAN = "?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l"
GROWTH = "BIND('0123456789' AS ?v0) " + " ".join(
    f"BIND(CONCAT({','.join([f'?v{n}'] * 10)}) AS ?v{n + 1})" for n in range(8)
)
DEAR = [
    f"SELECT * WHERE {{ {CARTESIAN} }}",
    f"SELECT (COUNT(*) AS ?n) WHERE {{ {CARTESIAN} }}",
    f"SELECT (COUNT(DISTINCT ?a) AS ?n) WHERE {{ {CARTESIAN} FILTER(?c != ?f) }}",
    f"SELECT * WHERE {{ {CARTESIAN} }} ORDER BY ?l ?i ?f ?c",
    f"SELECT ?a (GROUP_CONCAT(?l) AS ?n) WHERE {{ {CARTESIAN} }} GROUP BY ?a",
    f"CONSTRUCT {{ ?a ?e ?l }} WHERE {{ {CARTESIAN} }}",
    f"SELECT (STRLEN(?v8) AS ?n) WHERE {{ {GROWTH} }}",
    f"SELECT ?v8 WHERE {{ {GROWTH} }}",
    f"SELECT (SHA512(?v8) AS ?n) WHERE {{ ?s ?p ?o {GROWTH} }}",
    "SELECT (COUNT(*) AS ?n) WHERE { ?a (<urn:x>|!<urn:x>)* ?b . ?b (!<urn:x>)* ?c . ?c (!<urn:x>)* ?d }",
    "SELECT * WHERE { ?a ?p ?x . ?b ?q ?y . ?c ?r ?z . FILTER(REGEX(STR(?x), '(a*)*b') && ?y != ?z) }",
    "SELECT * WHERE { ?a ?p ?x . FILTER NOT EXISTS { ?b ?q ?y . ?c ?r ?z . ?d ?s ?u . FILTER(?u = 'none') } }",
]
TOO_LONG = [
    "SELECT * WHERE { VALUES ?x { " + "1 " * 10**6 + "} }",
    "SELECT * WHERE { VALUES (?x ?y) { " + "(1 2) " * 10**5 + "} }",
    "SELECT * WHERE { " + "?s ?p ?o . " * 10**5 + "}",
    "SELECT * WHERE { " + " ".join(f"?s <urn:p{n}> ?o{n} ." for n in range(3_000)) + "}",
    "SELECT * WHERE { ?s ?p ?o FILTER(?o IN (" + ",".join(map(str, range(20_000))) + ")) }",
    "SELECT " + " ".join(f"?x{n}" for n in range(20_000)) + " WHERE {}",
    "#" * 70_000 + "\nASK {}",
    "ASK { ?s ?p '" + "x" * 70_000 + "' }",
]


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A view of a graph of 300 nodes, each linked to 40: paths over it are many."""
    quads = {
        (b"<urn:n%d>" % n, b"<urn:p>", b"<urn:n%d>" % ((n * 7 + m * m) % 300), b"<urn:g>")
        for n in range(300)
        for m in range(40)
    }
    store = MemoryPageStore()
    return Views(tmp_path_factory.mktemp("dense"), store).ensure(build([sorted(quads)], store))


@pytest.fixture(scope="module")
def few(data: Data, dense: Path) -> Iterator[Pool]:
    """Workers with little time and memory, the view of the dense graph among what they read."""
    settings = Settings(
        workers=3, wall_seconds=1, cpu_seconds=60, wait_seconds=600, memory_bytes=512 << 20, waiting=1_000
    )
    with Pool(data.directory, settings, readable=[data.view.parent, dense.parent]) as pool:
        yield pool


@pytest.mark.slow
def test_d3_dear_queries_over_pages_end_in_time(few: Pool, data: Data) -> None:
    outcomes = checked(few, [Query(root=data.root, text=text, graph="nt") for text in DEAR])
    assert all(isinstance(outcome, TOO_DEAR | QueryError) for outcome in outcomes[:6]), outcomes[:6]
    assert all(isinstance(outcome, TOO_DEAR | QueryError | Result) for outcome in outcomes), outcomes


@pytest.mark.slow
def test_d3_dear_queries_over_a_view_end_in_time(few: Pool, data: Data) -> None:
    jobs = [Plain(root=data.root, text=text, view=str(data.view), allowed=EVERY_GRAPH, graph="nt") for text in DEAR]
    outcomes = checked(few, jobs)
    assert all(isinstance(outcome, TOO_DEAR) for outcome in outcomes[:6]), outcomes
    assert all(isinstance(outcome, TOO_DEAR | QueryError | Result) for outcome in outcomes), outcomes


def test_d3_paths_over_a_dense_graph_end_in_time(few: Pool, data: Data, dense: Path) -> None:
    texts = [
        "SELECT (COUNT(*) AS ?n) WHERE { ?a <urn:p>+ ?b . ?b <urn:p>+ ?c . ?c <urn:p>+ ?d }",
        "SELECT (COUNT(*) AS ?n) WHERE { ?a (<urn:p>/<urn:p>/<urn:p>/<urn:p>)+ ?b . ?b <urn:p>* ?c . ?c <urn:p>* ?d }",
        "SELECT ?a ?d WHERE { ?a <urn:p>/<urn:p>/<urn:p>/<urn:p>/<urn:p>/<urn:p> ?d }",
    ]
    jobs = [Plain(root=data.root, text=text, view=str(dense), allowed=EVERY_GRAPH) for text in texts]
    assert all(isinstance(outcome, TOO_DEAR) for outcome in checked(few, jobs))


def test_d3_long_queries_are_refused_before_anybody_works_for_them(pool: Pool, data: Data) -> None:
    jobs: list[Job] = []
    for text in TOO_LONG:
        jobs += [Query(root=data.root, text=text), Plain(root=data.root, text=text, view=None, allowed=EVERY_GRAPH)]
    outcomes = checked(pool, jobs)
    assert all(isinstance(outcome, LimitError) for outcome in outcomes), outcomes


# --- D4: size --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", ["nt", "nq", "ttl", "trig", "n3", "jsonld", "xml"])
def test_d4_huge_literals_are_refused_in_every_syntax(pool: Pool, syntax: str) -> None:
    def document(size: int) -> bytes:
        text = "x" * size
        if syntax == "jsonld":
            return f'{{"@id": "urn:a", "urn:p": "{text}"}}'.encode()
        if syntax == "xml":
            return THING.format(text).encode()
        return f'<urn:a> <urn:p> "{text}" .'.encode()

    sizes = [1 << 10, 1 << 20, (1 << 20) + 1, 16 << 20, 17 << 20]
    outcomes = checked(pool, [Parse(data=document(size), format=syntax, graph="urn:g") for size in sizes])
    assert isinstance(outcomes[0], Result)
    assert all(isinstance(outcome, LimitError | RdfError) for outcome in outcomes[1:]), outcomes


def test_d4_documents_at_the_limit_and_one_byte_over(data: Data) -> None:
    line = b"<urn:a> <urn:p> <urn:b> .\n"
    with Pool(data.directory, Settings(workers=1, input_bytes=len(line) * 1000)) as pool:
        job = Parse(data=line * 1000, format="nt", graph="urn:g")
        assert isinstance(pool.outcome(job), Result)
        over = pool.outcome(Parse(data=line * 1000 + b"\n", format="nt", graph="urn:g"))
        assert isinstance(over, LimitError)
        assert str(over) == "the document has 26001 bytes, over the limit of 26000 bytes"


def test_d4_long_names_and_many_quads(pool: Pool) -> None:
    long_iri = b"<urn:" + b"x" * 100_000 + b"> <urn:p> <urn:o> ."
    many = b"".join(b"<urn:%d> <urn:p> <urn:o> .\n" % n for n in range(10**5))
    outcomes = checked(
        pool, [Parse(data=long_iri, format=syntax, graph="urn:g") for syntax in ("nt", "ttl", "n3", "trig")]
    )
    assert all(isinstance(outcome, LimitError | RdfError) for outcome in outcomes)
    (outcome,) = checked(pool, [Parse(data=many, format="nt", graph="urn:g")])
    assert isinstance(outcome, Result)
    assert outcome.facts.rows == 10**5


# --- D5: blank nodes -------------------------------------------------------------------------------------------


def clique(nodes: int) -> bytes:
    lines = [f"_:b{a} <urn:p> _:b{b} .\n_:b{b} <urn:p> _:b{a} .\n" for a, b in combinations(range(nodes), 2)]
    return "".join(lines).encode()


def rings(size: int, count: int) -> bytes:
    return "".join(
        f"_:r{c}n{n} <urn:p> _:r{c}n{(n + 1) % size} .\n" for c in range(count) for n in range(size)
    ).encode()


def grid(size: int) -> bytes:
    return "".join(
        f"_:x{x}y{y} <urn:p> _:x{(x + dx) % size}y{(y + dy) % size} .\n"
        for x in range(size)
        for y in range(size)
        for dx, dy in ((0, 1), (1, 0), (0, -1), (-1, 0))
    ).encode()


def poisons() -> Iterable[bytes]:
    yield from map(clique, range(4, 13))
    yield from (rings(3, 40), rings(50, 4), rings(4, 100))
    yield from map(grid, (3, 5, 8, 12))


def test_d5_poisonous_blank_nodes_are_labelled_or_refused(pool: Pool) -> None:
    jobs = [Parse(data=document, format="nt", graph="urn:g") for document in poisons()]
    outcomes = checked(pool, jobs)
    assert len(outcomes) == 16
    assert all(isinstance(outcome, Result | CanonicalizationError) for outcome in outcomes), outcomes
    assert any(isinstance(outcome, CanonicalizationError) for outcome in outcomes)


def test_d5_the_poison_of_the_w3c_suite(pool: Pool) -> None:
    files = sorted((w3c_suite() / "canon" / "tests").rglob("test07[3-5]*-in.nq"))
    assert files
    jobs = [Parse(data=file.read_bytes(), format="nq", graph="urn:g") for file in files]
    outcomes = checked(pool, jobs)
    assert any(isinstance(outcome, CanonicalizationError) for outcome in outcomes)
    assert all(isinstance(outcome, Result | CanonicalizationError) for outcome in outcomes)
