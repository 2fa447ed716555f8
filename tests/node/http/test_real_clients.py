"""Clients that others wrote: SPARQLWrapper, rdflib's SPARQLStore, curl."""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from typing import TYPE_CHECKING

import pytest

import dkg
from dkg.page import cid_of, cid_text
from tests.node.http.serving import Served
from tests.node.http.world import Node, address, ual

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = "SELECT ?name WHERE { ?s <https://example.org/name> ?name } ORDER BY ?name"
EXPECTED = ["Ada", "Bob", "Lake", "North", "South", "West"]


@pytest.fixture(scope="module")
def served(shared_node: Node) -> Iterator[Served]:
    with Served(shared_node) as served:
        yield served


# --- SPARQLWrapper -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("request_method", ["urlencoded", "postdirectly"])
@pytest.mark.parametrize("form", ["json", "xml", "csv", "tsv"])
def test_sparqlwrapper_select(served: Served, method: str, request_method: str, form: str) -> None:
    wrapper = pytest.importorskip("SPARQLWrapper").SPARQLWrapper(f"{served.url}/sparql")
    wrapper.setMethod(method)
    wrapper.setRequestMethod(request_method)
    wrapper.setReturnFormat(form)
    wrapper.setQuery(NAMES)
    found = wrapper.queryAndConvert()
    if form == "json":
        assert [row["name"]["value"] for row in found["results"]["bindings"]] == EXPECTED
    else:
        text = found.toxml() if form == "xml" else found.decode()
        assert all(name in text for name in EXPECTED)


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")  # which SPARQLWrapper makes
@pytest.mark.parametrize("form", ["turtle", "n3", "rdf+xml", "json-ld"])
def test_sparqlwrapper_construct(served: Served, form: str) -> None:
    wrapper = pytest.importorskip("SPARQLWrapper").SPARQLWrapper(f"{served.url}/sparql")
    wrapper.setReturnFormat(form)
    wrapper.setQuery("CONSTRUCT WHERE { ?s <https://example.org/near> ?o }")
    if form in {"turtle", "n3"}:
        assert b"https://example.org/near" in wrapper.queryAndConvert()
    else:
        assert len(wrapper.queryAndConvert()) == 2


def test_sparqlwrapper_ask_and_what_is_wrong(served: Served) -> None:
    module = pytest.importorskip("SPARQLWrapper")
    wrapper = module.SPARQLWrapper(f"{served.url}/sparql")
    wrapper.setReturnFormat("json")
    wrapper.setQuery("ASK {}")
    assert wrapper.queryAndConvert()["boolean"] is True
    wrapper.setQuery("SELECT * { ?s ?p }")
    with pytest.raises(module.SPARQLExceptions.QueryBadFormed, match="query-invalid"):
        wrapper.query()


def test_sparqlwrapper_graphs(served: Served) -> None:
    wrapper = pytest.importorskip("SPARQLWrapper").SPARQLWrapper(f"{served.url}/sparql")
    wrapper.setReturnFormat("json")
    wrapper.addDefaultGraph(str(ual(1, "water")))
    wrapper.addParameter("publisher", f"0x{address(1).hex()}")
    wrapper.setQuery(NAMES)
    assert [row["name"]["value"] for row in wrapper.queryAndConvert()["results"]["bindings"]] == ["Lake"]


# --- rdflib ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "POST_FORM"])
def test_rdflib_sparqlstore(served: Served, method: str) -> None:
    rdflib = pytest.importorskip("rdflib")
    from rdflib.plugins.stores.sparqlstore import SPARQLStore  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # rdflib leaves its connections to the collector
        store = SPARQLStore(f"{served.url}/sparql", method=method, returnFormat="json")
        graph = rdflib.Graph(store=store)
        assert [str(row.name) for row in graph.query(NAMES)] == EXPECTED
        assert len(list(graph.triples((None, rdflib.URIRef("https://example.org/near"), None)))) == 2
        assert (rdflib.URIRef("https://example.org/lake"), rdflib.URIRef("https://example.org/ph"), None) in graph
        del store, graph


# --- curl --------------------------------------------------------------------------------------------------------


def curl(*arguments: str) -> bytes:
    if shutil.which("curl") is None:
        pytest.skip("curl is not here")
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--noproxy", "*", *arguments], capture_output=True, check=True
    )
    return done.stdout


def test_curl_asks_and_what_it_gets_is_verified(served: Served, shared_node: Node, tmp_path: Path) -> None:
    asked = ["-G", f"{served.url}/sparql", "--data-urlencode", f"query={NAMES}"]
    found = json.loads(curl(*asked))
    assert [row["name"]["value"] for row in found["results"]["bindings"]] == EXPECTED
    file = tmp_path / "answer.car"
    curl(*asked, "-H", "Accept: application/vnd.ipld.car", "-o", str(file))
    root = shared_node.standing(None).root
    assert len(dkg.verify(file.read_bytes(), NAMES, root).rows) == len(EXPECTED)
    verified = subprocess.run(
        ["dkg", "verify", str(file), "--root", cid_text(root), "--format", "csv", NAMES],
        capture_output=True,
        check=True,
    )
    assert verified.stdout.decode().split() == ["name", *EXPECTED]


def test_curl_posts_a_form_and_a_query(served: Served) -> None:
    url = f"{served.url}/sparql"
    assert json.loads(curl(url, "--data-urlencode", "query=ASK {}"))["boolean"] is True
    direct = ["-H", "Content-Type: application/sparql-query", "--data-binary", "ASK {}"]
    assert json.loads(curl(url, *direct))["boolean"] is True


def test_curl_head_and_condition(served: Served) -> None:
    url = f"{served.url}/v1/assets/{ual(1, 'water')}"
    head = curl("-I", url).decode()
    (tag,) = (line.partition(":")[2].strip() for line in head.splitlines() if line.lower().startswith("etag:"))
    assert curl("-o", "/dev/null", "-w", "%{http_code}", "-H", f"If-None-Match: {tag}", url) == b"304"


def test_curl_fetches_pages(served: Served, shared_node: Node) -> None:
    root = shared_node.standing(None).root
    page = curl("-H", "Accept: application/vnd.ipld.raw", f"{served.url}/ipfs/{cid_text(root)}")
    assert cid_of(page) == root
