"""Row D6: whatever a query or a document names, a node asks nobody: a listener hears nothing, no file is read."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.node.http.real import Real, real_node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "canary-7f3a9c"


class Listener:
    """Something at this machine that counts who comes."""

    def __init__(self, family: int, host: str) -> None:
        self.socket = socket.socket(family)
        self.socket.bind((host, 0))
        self.socket.listen()
        self.port = int(self.socket.getsockname()[1])
        self.came = 0
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                made, _ = self.socket.accept()
            except OSError:
                return
            self.came += 1
            made.close()

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._thread.join()


@pytest.fixture(scope="module")
def listeners() -> Iterator[dict[str, Listener]]:
    made = {"127.0.0.1": Listener(socket.AF_INET, "127.0.0.1")}
    try:
        made["[::1]"] = Listener(socket.AF_INET6, "::1")
    except OSError:  # there is no IPv6 here
        made["[::1]"] = made["127.0.0.1"]
    yield made
    for one in {*made.values()}:
        one.close()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    with real_node(tmp_path_factory.mktemp("outside")) as made:
        yield made


QUERIES = {
    "SERVICE": "SELECT * {{ SERVICE <{url}> {{ ?s ?p ?o }} }}",
    "SERVICE SILENT": "SELECT * {{ SERVICE SILENT <{url}> {{ ?s ?p ?o }} }}",
    "SERVICE of a variable": "SELECT * {{ VALUES ?x {{ <{url}> }} SERVICE ?x {{ ?s ?p ?o }} }}",
    "FROM": "SELECT * FROM <{url}> {{ ?s ?p ?o }}",
    "FROM NAMED": "SELECT * FROM NAMED <{url}> {{ GRAPH ?g {{ ?s ?p ?o }} }}",
    "LOAD": "LOAD <{url}>",
    "LOAD SILENT": "LOAD SILENT <{url}> INTO GRAPH <urn:g>",
    "DESCRIBE": "DESCRIBE <{url}>",
    "BASE": "BASE <{url}> ASK {{ <x> ?p ?o }}",
}
THING = (
    '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:u="urn:">'
    '<r:Description r:about="urn:a"><u:p>&x;</u:p></r:Description></r:RDF>'
)
DOCUMENTS = {
    "@context": ("application/ld+json", '{{"@context": "{url}", "@id": "urn:a", "urn:p": "x"}}'),
    "@context in a list": ("application/ld+json", '{{"@context": [{{}}, "{url}"], "@id": "urn:a", "urn:p": "x"}}'),
    "@import": ("application/ld+json", '{{"@context": {{"@import": "{url}"}}, "@id": "urn:a", "urn:p": "x"}}'),
    "scoped @context": (
        "application/ld+json",
        '{{"@context": {{"p": {{"@id": "urn:p", "@context": "{url}"}}}}, "@id": "urn:a", "p": {{"urn:q": 1}}}}',
    ),
    "external entity": ("application/rdf+xml", '<!DOCTYPE r [<!ENTITY x SYSTEM "{url}">]>' + THING),
    "external subset": ("application/rdf+xml", '<!DOCTYPE r SYSTEM "{url}">' + THING),
    "owl:imports": ("text/turtle", "<urn:a> <http://www.w3.org/2002/07/owl#imports> <{url}> ."),
}
PARAMETERS = ("default-graph-uri", "named-graph-uri", "base", "at")


def places(listeners: dict[str, Listener], folder: Path) -> dict[str, str]:
    """URLs of this machine, and of a file on it."""
    secret = folder / "secret.ttl"
    secret.write_text(f"<urn:x> <urn:y> '{CANARY}' .")
    made = {host: f"http://{host}:{one.port}/x.ttl" for host, one in listeners.items()}
    return {**made, "file": secret.as_uri()}


PLACES = ("127.0.0.1", "[::1]", "file")


def check(answer: Any, listeners: dict[str, Listener]) -> None:  # noqa: ANN401 - an answer of a node
    assert CANARY.encode() not in answer.body
    assert answer.status in {200, 202, 400, 403, 404, 413, 422}, answer.body
    assert [one.came for one in listeners.values()] == [0] * len(listeners)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", QUERIES)
def test_no_query_makes_a_node_ask_anybody(
    real: Real, listeners: dict[str, Listener], tmp_path: Path, name: str, place: str
) -> None:
    text = QUERIES[name].format(url=places(listeners, tmp_path)[place])
    for accept in ("*/*", "application/vnd.ipld.car"):
        headers = {"Content-Type": "application/sparql-query", "Accept": accept}
        check(real.process.ask("POST", "/sparql", text.encode(), headers), listeners)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", PARAMETERS)
def test_no_parameter_makes_a_node_ask_anybody(
    real: Real, listeners: dict[str, Listener], tmp_path: Path, name: str, place: str
) -> None:
    url = quote(places(listeners, tmp_path)[place], safe="")
    check(real.process.ask("GET", f"/sparql?query=SELECT%20*%20%7B?s%20?p%20?o%7D&{name}={url}"), listeners)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_makes_a_node_ask_anybody(
    real: Real, listeners: dict[str, Listener], tmp_path: Path, name: str, place: str
) -> None:
    media_type, text = DOCUMENTS[name]
    data = text.format(url=places(listeners, tmp_path)[place]).encode()
    answer = real.process.ask("POST", "/v1/assets?name=outside", data, {"Content-Type": media_type})
    check(answer, listeners)
    assert (answer.status == 202) == (name == "owl:imports")
    plain = real.process.ask("GET", f"/sparql?query={quote('SELECT * { ?s ?p ?o }')}")
    check(plain, listeners)
