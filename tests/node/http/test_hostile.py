"""Queries and documents that are meant to harm: each gets a typed error, and the next request is answered.

Row D of the fault matrix, over HTTP and real workers.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import dkg
from node.http import Scope
from node.workers.pool import Workers
from node.workers.settings import Settings
from tests.node.http.conftest import bearer
from tests.node.http.serving import Served
from tests.node.http.world import Node, address, world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1024 * 1024
GOOD = "ASK { ?s <https://example.org/name> 'Ada' }"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with world(tmp_path_factory.mktemp("hostile")) as node:
        node.publish(1, "many", " ".join(f":s{n} :p {n} ; :knows :s{n * 7 % 300} ." for n in range(300)))
        node.store.views.ensure(node.standing(None).root)
        yield node


@pytest.fixture(scope="module")
def served(node: Node) -> Iterator[Served]:
    settings = Settings(workers=2, wall_seconds=2, cpu_seconds=2, memory_bytes=512 * MIB, result_bytes=2 * MIB)
    directory, views = node.store.directory, node.store.views.directory
    with Served(node, workers=lambda: Workers(directory, settings, readable=[views])) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, trust_env=False, timeout=120) as client:
        yield client


def ask(client: httpx.Client, text: str, accept: str = "*/*") -> httpx.Response:
    headers = {"Content-Type": "application/sparql-query", "Accept": accept}
    return client.post("/sparql", content=text, headers=headers)


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json().get("code", "")


GROUPS = "SELECT * WHERE " + "{" * 20_000 + "}" * 20_000
CARTESIAN = "SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"
GROWTH = (
    "SELECT (STRLEN(?x8) AS ?n) WHERE { BIND('xxxxxxxxxxxxxxxx' AS ?x0) "
    + " ".join(f"BIND(CONCAT({', '.join([f'?x{n}'] * 10)}) AS ?x{n + 1})" for n in range(8))
    + " }"
)

REFUSED = {(400, "query-invalid"), (413, "limit-exceeded")}
STOPPED = {(408, "query-timeout"), (413, "query-memory"), (413, "query-over-budget"), (413, "result-too-large")}

QUERIES = {
    "nested groups": (GROUPS, REFUSED),
    "parentheses": ("ASK { FILTER(" + "(" * 10_000 + "1" + ")" * 10_000 + ") }", REFUSED),
    "unions": ("ASK { {} " + "UNION {} " * 7_000 + "}", REFUSED),
    "optionals": ("ASK { " + "OPTIONAL { " * 3_000 + "}" * 3_000 + " }", REFUSED),
    "triple terms": ("ASK { ?s ?p " + "<<( ?s ?p " * 3_000 + "1" + " )>>" * 3_000 + " }", REFUSED),
    "values": ("ASK { VALUES ?x { " + "1 " * 32_000 + "} }", {(200, ""), *REFUSED, *STOPPED}),
    "too long": ("ASK {} #" + "x" * 70_000, {(413, "limit-exceeded")}),
    "cartesian": (CARTESIAN, STOPPED),
    "sorted cartesian": ("SELECT * WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } ORDER BY ?a ?i", STOPPED),
    "rows without end": ("SELECT * WHERE { ?a ?b ?c . ?d ?e ?f }", {(200, ""), *STOPPED}),  # a proof may be in time
    "path over a dense graph": (
        "PREFIX : <https://example.org/> SELECT (COUNT(*) AS ?n) { ?a :knows+ ?b . ?b :knows+ ?c . ?c ?p ?d }",
        {(200, ""), *STOPPED},
    ),
    "growth": (GROWTH, STOPPED),
    "regular expression": (
        "ASK { FILTER(REGEX('" + "a" * 5_000 + "', '(a*)*(a*)*(a*)*b')) }",
        {(200, ""), (400, "query-invalid"), *STOPPED},
    ),
    "service": ("SELECT * { SERVICE <http://127.0.0.1:9/> { ?s ?p ?o } }", {(400, "query-invalid")}),
    "service in a variable": ("SELECT * { ?s ?p ?g SERVICE SILENT ?g { ?s ?p ?o } }", {(400, "query-invalid")}),
    "load": ("LOAD <http://127.0.0.1:9/>", {(400, "query-invalid")}),
    "insert": ("INSERT DATA { <x:s> <x:p> 1 }", {(400, "query-invalid")}),
    "chance": ("SELECT (RAND() AS ?x) (UUID() AS ?y) {}", {(400, "query-invalid")}),
    "nul": ("ASK { ?s ?p '\0' }", {(200, ""), (400, "query-invalid")}),
    "nothing": ("", {(400, "query-invalid")}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("accept", ["*/*", "application/vnd.ipld.car"])
def test_a_query_that_is_meant_to_harm(client: httpx.Client, name: str, accept: str) -> None:
    text, expected = QUERIES[name]
    response = ask(client, text, accept)
    if response.status_code == 200 and accept != "*/*":
        assert (200, "") in expected
    else:
        assert code(response) in expected, response.text
    assert "Traceback" not in response.text
    assert ask(client, GOOD).json()["boolean"] is True


def test_no_packet_leaves(client: httpx.Client) -> None:
    """SERVICE, FROM, LOAD and their like: a listener hears nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)  # noqa: FBT003 - its only parameter
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        for text in (
            f"SELECT * {{ SERVICE <{url}> {{ ?s ?p ?o }} }}",
            f"SELECT * FROM <{url}> {{ ?s ?p ?o }}",
            f"SELECT * FROM NAMED <{url}> {{ GRAPH ?g {{ ?s ?p ?o }} }}",
            f"LOAD <{url}>",
            f"DESCRIBE <{url}>",
            f"BASE <{url}> ASK {{ <y> ?p ?o }}",
        ):
            assert ask(client, text).status_code in {200, 400}
        for name in ("default-graph-uri", "named-graph-uri", "base"):
            assert client.get("/sparql", params={"query": "ASK {}", name: url}).status_code == 200
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.slow
def test_others_are_answered_while_one_asks_for_too_much(served: Served, client: httpx.Client) -> None:
    stop = threading.Event()

    def greedy(_: int) -> set[tuple[int, str]]:
        found = set()
        with httpx.Client(base_url=served.url, trust_env=False, timeout=120) as own:
            while not stop.is_set():
                found.add(code(ask(own, CARTESIAN)))
        return found

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(greedy, number) for number in range(3)]
        answered = [client.get("/v1/commits").status_code for _ in range(50)]
        stop.set()
        outcomes = set().union(*(one.result() for one in running))
    assert set(answered) == {200}
    assert outcomes <= STOPPED | {(503, "overloaded"), (429, "client-quota")}
    assert ask(client, GOOD).json()["boolean"] is True


def test_answers_of_views_of_pages_and_of_proofs_agree(node: Node, client: httpx.Client) -> None:
    text = "SELECT ?name WHERE { ?s <https://example.org/name> ?name } ORDER BY ?name"
    plain = ask(client, text).json()
    proof = ask(client, text, "application/vnd.ipld.car").content
    verified = dkg.verify(proof, text, node.standing(None).root)
    assert [row["name"]["value"] for row in plain["results"]["bindings"]] == [
        row[0].value for row in verified.rows if row[0] is not None
    ]
    by_pages = client.get("/sparql", params={"query": text, "publisher": f"0x{address(0).hex()}"})
    assert by_pages.status_code == 200


DOCUMENTS: dict[str, tuple[str, Any]] = {
    "deep json": ("application/ld+json", '{"x:p":' * 5_000 + "1" + "}" * 5_000),
    "deep turtle": ("text/turtle", "<x:s> <x:p> " + "[ <x:p> " * 5_000 + "1" + " ]" * 5_000 + " ."),
    "remote context": ("application/ld+json", '{"@context": "http://127.0.0.1:9/", "@id": "x:s", "p": 1}'),
    "xml bomb": (
        "application/rdf+xml",
        '<!DOCTYPE x [<!ENTITY a "xxxxxxxxxx">'
        + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(8))
        + ']><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description r:about="x:s">'
        + '<p xmlns="x:">&i;</p></r:Description></r:RDF>',
    ),
    "poison blank nodes": (
        "application/n-triples",
        "".join(f"_:a{one} <x:p> _:a{two} .\n" for one in range(9) for two in range(9) if one != two),
    ),
    "half a character": ("text/turtle", b"<x:s> <x:p> '\xff' ."),
    "utf-16": ("text/turtle", "<x:s> <x:p> 1 .".encode("utf-16")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_is_meant_to_harm(tmp_path: Path, name: str) -> None:
    media_type, data = DOCUMENTS[name]
    with world(tmp_path) as own, Served(own) as served:
        headers = {"Content-Type": media_type, **bearer(Scope.PUBLISH)}
        response = httpx.post(
            f"{served.url}/v1/assets?name=x", content=data, headers=headers, trust_env=False, timeout=120
        )
        assert response.status_code in {400, 413, 422}, response.text
        assert len(own.log.entries) == 4
        assert httpx.get(f"{served.url}/v1/commits", trust_env=False).status_code == 200
