"""The W3C tests of the SPARQL 1.1 Protocol, all 34 from their manifest, and the three of the Service Description.

Data changes here by signed commits, so the seven tests that update and then look are not for this service: each of
them must be refused with a code. (Of the seven that send a bad update, all are run.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyoxigraph as ox
import pytest

from dkg.dataset import build_dataset
from dkg.rdf import parse_quads
from node.storage import NodeStore
from node.workers.inprocess import InProcess
from tests.data import w3c_suite
from tests.node.http.conftest import Site, site_of
from tests.node.http.world import Node, address

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

NOT_SERVED = dict.fromkeys(
    (
        "update_dataset_default_graph",
        "update_dataset_default_graphs",
        "update_dataset_named_graphs",
        "update_dataset_full",
        "update_post_form",
        "update_post_direct",
        "update_base_uri",
    ),
    "it updates: here data changes by signed commits of its publisher",
)

_MF = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#"
_HT = "http://www.w3.org/2011/http#"
_CNT = "http://www.w3.org/2011/content#"
_UT = "http://www.w3.org/2009/sparql/tests/test-update#"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
_BASE = "http://manifest.example/"

FORMATS = {
    "boolean": {"application/sparql-results+json", "application/sparql-results+xml"},
    "tabular": {
        "application/sparql-results+json",
        "application/sparql-results+xml",
        "text/csv",
        "text/tab-separated-values",
    },
    "RDF": {"application/rdf+xml", "text/turtle", "application/n-triples"},
}


@dataclass(frozen=True)
class Request:
    """A request of a test, and what is expected."""

    method: str
    query_string: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    statuses: frozenset[str]
    boolean: bool | None
    format: str | None


@dataclass(frozen=True)
class Case:
    id: str
    graphs: tuple[tuple[str, str], ...]
    """Names of graphs, and the files that are in them."""
    requests: tuple[Request, ...]


class _Manifest:
    def __init__(self, text: bytes) -> None:
        self._arcs: dict[tuple[Any, str], list[Any]] = {}
        for quad in ox.parse(text, ox.RdfFormat.TURTLE, base_iri=_BASE):
            self._arcs.setdefault((quad.subject, quad.predicate.value), []).append(quad.object)

    def all(self, node: Any, predicate: str) -> list[Any]:  # noqa: ANN401 - a node of RDF, whatever its kind
        return self._arcs.get((node, predicate), [])

    def text(self, node: Any, predicate: str) -> str | None:  # noqa: ANN401
        found = self.all(node, predicate)
        return found[0].value if found else None

    def listed(self, node: Any, predicate: str) -> list[Any]:  # noqa: ANN401
        (head,) = self.all(node, predicate) or [ox.NamedNode(_RDF + "nil")]
        found = []
        while head.value != _RDF + "nil":
            found += self.all(head, _RDF + "first")
            (head,) = self.all(head, _RDF + "rest")
        return found

    def cases(self) -> list[Case]:
        return [self._case(node) for node in self.listed(ox.NamedNode(_BASE), _MF + "entries")]

    def _case(self, node: Any) -> Case:  # noqa: ANN401
        (action,) = self.all(node, _MF + "action")
        graphs = [
            (self.text(data, _LABEL) or "", (self.text(data, _UT + "graph") or "").removeprefix(_BASE))
            for data in self.all(node, _UT + "graphData")
        ]
        requests = tuple(self._request(one) for one in self.listed(action, _HT + "requests"))
        return Case(node.value.rpartition("#")[2], tuple(graphs), requests)

    def _request(self, node: Any) -> Request:  # noqa: ANN401
        (response,) = self.all(node, _HT + "resp")
        body = None
        for content in self.all(node, _HT + "body"):
            encoding = self.text(content, _CNT + "characterEncoding") or "UTF-8"
            body = (self.text(content, _CNT + "chars") or "").encode(encoding)
        boolean = self.text(response, _MF + "expectedBoolean")
        return Request(
            method=self.text(node, _HT + "methodName") or "GET",
            query_string=urlsplit(self.text(node, _HT + "absolutePath") or "").query,
            headers=tuple(
                (self.text(one, _HT + "fieldName") or "", self.text(one, _HT + "fieldValue") or "")
                for one in self.listed(node, _HT + "headers")
            ),
            body=body,
            statuses=frozenset(one.value[-3] for one in self.all(response, _MF + "expectedStatus")),
            boolean=None if boolean is None else boolean == "true",
            format=self.text(response, _MF + "expectedFormat"),
        )


@cache
def cases() -> list[Case]:
    return _Manifest((w3c_suite() / "sparql/sparql11/protocol/manifest.ttl").read_bytes()).cases()


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A publisher's dataset with the graphs that the tests name."""
    graphs = {graph for case in cases() for graph in case.graphs}
    folder = w3c_suite() / "sparql/sparql11/protocol"
    with NodeStore(tmp_path_factory.mktemp("w3c")) as store:
        node = Node(store)
        quads = [
            quad
            for name, file in sorted(graphs)
            for batch in parse_quads((folder / file).read_bytes(), format="nt", graph=f"<{name}>".encode())
            for quad in batch
        ]
        node.mine(node.planned(address(2), build_dataset([quads], store.pages)))
        runner = InProcess(store.pages)
        yield site_of(node, runner)
        runner.close()


def send(site: Site, request: Request) -> httpx.Response:
    # The graphs that the tests name are nobody's, so they are in their publisher's dataset and in no union.
    query_string = "&".join(part for part in (request.query_string, f"publisher=0x{address(2).hex()}") if part)
    return site.ask(request.method, f"/sparql?{query_string}", headers=dict(request.headers), content=request.body)


def test_the_suite_has_34_tests_of_the_protocol() -> None:
    assert len(cases()) == 34
    assert set(NOT_SERVED) < {case.id for case in cases()}


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_protocol(endpoint: Site, case: Case) -> None:
    for request in case.requests:
        response = send(endpoint, request)
        if case.id in NOT_SERVED:
            is_update = b"update" in request.query_string.encode() or "sparql-update" in str(request.headers)
            if is_update or b"update=" in (request.body or b""):
                assert (response.status_code, response.json()["code"]) == (403, "update-refused")
            continue
        assert str(response.status_code)[0] in request.statuses, response.text
        if request.boolean is not None:
            assert response.json()["boolean"] is request.boolean
        if request.format is not None:
            assert response.headers["content-type"].partition(";")[0] in FORMATS[request.format]


# --- service description ------------------------------------------------------------------------------------------


def described(site: Site) -> set[tuple[str, str, str]]:
    response = site.get("/sparql")
    assert response.status_code == 200
    assert response.headers["content-type"].partition(";")[0] in FORMATS["RDF"]
    quads = ox.parse(response.content, ox.RdfFormat.TURTLE)
    return {(str(quad.subject), quad.predicate.value, str(quad.object)) for quad in quads}


def test_service_description_returns_rdf(endpoint: Site) -> None:
    assert described(endpoint)


def test_service_description_has_endpoint_triple(endpoint: Site) -> None:
    found = described(endpoint)
    assert [o for _, p, o in found if p.endswith("#endpoint")] == ["<http://127.0.0.1/sparql>"]


def test_service_description_conforms_to_schema(endpoint: Site) -> None:
    sd = "http://www.w3.org/ns/sparql-service-description#"
    found = described(endpoint)
    (service,) = [s for s, p, o in found if p == _RDF + "type" and o == f"<{sd}Service>"]
    (dataset,) = [o for s, p, o in found if (s, p) == (service, sd + "defaultDataset")]
    (graph,) = [o for s, p, o in found if (s, p) == (dataset, sd + "defaultGraph")]
    assert (dataset, _RDF + "type", f"<{sd}Dataset>") in found
    assert (graph, _RDF + "type", f"<{sd}Graph>") in found
    assert {o for s, p, o in found if p == sd + "supportedLanguage"} == {f"<{sd}SPARQL11Query>"}
    assert {o for s, p, o in found if p == sd + "feature"} == {f"<{sd}UnionDefaultGraph>"}
    assert len([o for s, p, o in found if p == sd + "resultFormat"]) == 10
