"""Clients that others wrote, and a node that is a process: SPARQLWrapper, rdflib's SPARQLStore, curl."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import warnings
from typing import TYPE_CHECKING, Literal
from xml.etree import ElementTree as ET

import pyoxigraph
import pytest

import dkg
from dkg.page import cid_of, cid_text
from tests.node.core.processes import TOKEN
from tests.node.http.real import EXPECTED, NAMES, Real, real_node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORIGIN = "https://app.example.org"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    with real_node(tmp_path_factory.mktemp("real"), [ORIGIN]) as made:
        yield made


# --- SPARQLWrapper -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("request_method", ["urlencoded", "postdirectly"])
@pytest.mark.parametrize("form", ["json", "xml", "csv", "tsv"])
def test_sparqlwrapper_select(real: Real, method: str, request_method: str, form: str) -> None:
    wrapper = pytest.importorskip("SPARQLWrapper").SPARQLWrapper(real.sparql)
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
def test_sparqlwrapper_construct(real: Real, form: str) -> None:
    wrapper = pytest.importorskip("SPARQLWrapper").SPARQLWrapper(real.sparql)
    wrapper.setReturnFormat(form)
    wrapper.setQuery("CONSTRUCT WHERE { ?s <https://example.org/near> ?o }")
    if form in {"turtle", "n3"}:
        assert b"https://example.org/near" in wrapper.queryAndConvert()
    else:
        assert len(wrapper.queryAndConvert()) == 2


def test_sparqlwrapper_ask_and_what_is_wrong(real: Real) -> None:
    module = pytest.importorskip("SPARQLWrapper")
    wrapper = module.SPARQLWrapper(real.sparql)
    wrapper.setReturnFormat("json")
    wrapper.setQuery("ASK {}")
    assert wrapper.queryAndConvert()["boolean"] is True
    wrapper.setQuery("SELECT * { ?s ?p }")
    with pytest.raises(module.SPARQLExceptions.QueryBadFormed, match="query-invalid"):
        wrapper.query()


def test_sparqlwrapper_graphs(real: Real) -> None:
    wrapper = pytest.importorskip("SPARQLWrapper").SPARQLWrapper(real.sparql)
    wrapper.setReturnFormat("json")
    wrapper.addDefaultGraph(str(real.ual("water")))
    wrapper.addParameter("publisher", f"0x{real.publisher.address.hex()}")
    wrapper.setQuery(NAMES)
    assert [row["name"]["value"] for row in wrapper.queryAndConvert()["results"]["bindings"]] == ["Lake"]


# --- rdflib ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "POST_FORM"])
@pytest.mark.parametrize("form", ["json", "xml"])
def test_rdflib_sparqlstore(real: Real, method: str, form: str) -> None:
    rdflib = pytest.importorskip("rdflib")
    from rdflib.plugins.stores.sparqlstore import SPARQLStore  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # rdflib leaves its connections to the collector
        store = SPARQLStore(real.sparql, method=method, returnFormat=form)
        graph = rdflib.Graph(store=store)
        assert [str(row.name) for row in graph.query(NAMES)] == EXPECTED
        assert len(list(graph.triples((None, rdflib.URIRef("https://example.org/near"), None)))) == 2
        lake, depth = rdflib.URIRef("https://example.org/lake"), rdflib.URIRef("https://example.org/depth")
        (value,) = graph.objects(lake, depth)
        assert value == rdflib.Literal("12", datatype=rdflib.URIRef("https://example.org/fathoms"))
        assert (rdflib.URIRef("https://example.org/lake"), rdflib.URIRef("https://example.org/ph"), None) in graph
        assert not graph.query("ASK { ?s <https://example.org/nothing> ?o }").askAnswer
        del store, graph


@pytest.mark.parametrize("method", ["GET", "POST", "POST_FORM"])
def test_rdflib_sparqlconnector(real: Real, method: Literal["GET", "POST", "POST_FORM"]) -> None:
    pytest.importorskip("rdflib")
    from rdflib import Variable  # noqa: PLC0415
    from rdflib.plugins.stores.sparqlconnector import SPARQLConnector  # noqa: PLC0415

    name = Variable("name")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # as above
        connector = SPARQLConnector(query_endpoint=real.sparql, method=method, returnFormat="csv")
        assert [str(row[name]) for row in connector.query(NAMES).bindings] == EXPECTED
        found = connector.query(NAMES, default_graph=str(real.ual("water")))
        assert [str(row[name]) for row in found.bindings] == ["Lake"]
        del connector, found


# --- curl --------------------------------------------------------------------------------------------------------


def curl(*arguments: str) -> bytes:
    if shutil.which("curl") is None:
        pytest.skip("curl is not here")
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--noproxy", "*", *arguments], capture_output=True, check=True
    )
    return done.stdout


def names_in(body: bytes, media_type: str) -> list[str]:
    """What a result in some format holds, read by something that is not ours."""
    if media_type.endswith("+json"):
        return [row["name"]["value"] for row in json.loads(body)["results"]["bindings"]]
    if media_type.endswith("+xml"):
        space = "{http://www.w3.org/2005/sparql-results#}"
        return [str(found.text) for found in ET.fromstring(body).iter(f"{space}literal")]
    rows = list(csv.reader(io.StringIO(body.decode()), delimiter="," if media_type == "text/csv" else "\t"))
    return [row[0].partition("@")[0].strip('"') for row in rows[1:]]


@pytest.mark.parametrize(
    "media_type",
    [
        "application/sparql-results+json",
        "application/sparql-results+xml",
        "text/csv",
        "text/tab-separated-values",
    ],
)
def test_curl_gets_results_in_every_format(real: Real, media_type: str, tmp_path: Path) -> None:
    fields = tmp_path / "fields"
    asked = ["-G", real.sparql, "--data-urlencode", f"query={NAMES}", "-H", f"Accept: {media_type}"]
    assert names_in(curl(*asked, "-D", str(fields)), media_type) == EXPECTED
    assert f"content-type: {media_type}" in fields.read_text().lower()


@pytest.mark.parametrize(
    ("media_type", "form"),
    [
        ("text/turtle", pyoxigraph.RdfFormat.TURTLE),
        ("application/n-triples", pyoxigraph.RdfFormat.N_TRIPLES),
        ("application/rdf+xml", pyoxigraph.RdfFormat.RDF_XML),
        ("application/ld+json", pyoxigraph.RdfFormat.JSON_LD),
    ],
)
def test_curl_gets_graphs_in_every_format(real: Real, media_type: str, form: pyoxigraph.RdfFormat) -> None:
    query = "CONSTRUCT WHERE { ?s <https://example.org/name> ?name }"
    body = curl("-G", real.sparql, "--data-urlencode", f"query={query}", "-H", f"Accept: {media_type}")
    assert len(set(pyoxigraph.parse(body, form))) == len(EXPECTED) + 1  # a name in Russian too


def test_curl_asks_and_what_it_gets_is_verified(real: Real, tmp_path: Path) -> None:
    asked = ["-G", real.sparql, "--data-urlencode", f"query={NAMES}"]
    file = tmp_path / "answer.car"
    curl(*asked, "-H", "Accept: application/vnd.ipld.car", "-o", str(file))
    assert len(dkg.verify(file.read_bytes(), NAMES, real.root).rows) == len(EXPECTED)
    verified = subprocess.run(
        ["dkg", "verify", str(file), "--root", cid_text(real.root), "--format", "csv", NAMES],
        capture_output=True,
        check=True,
    )
    assert verified.stdout.decode().split() == ["name", *EXPECTED]


def test_curl_posts_a_form_and_a_query(real: Real) -> None:
    assert json.loads(curl(real.sparql, "--data-urlencode", "query=ASK {}"))["boolean"] is True
    direct = ["-H", "Content-Type: application/sparql-query", "--data-binary", "ASK {}"]
    assert json.loads(curl(real.sparql, *direct))["boolean"] is True


def test_curl_asks_on_one_condition(real: Real) -> None:
    url = f"{real.url}/v1/assets/{real.ual('water')}"
    head = curl("-I", url).decode()
    (tag,) = (line.partition(":")[2].strip() for line in head.splitlines() if line.lower().startswith("etag:"))
    status = ["-o", "/dev/null", "-w", "%{http_code}"]
    assert curl(*status, "-H", f"If-None-Match: {tag}", url) == b"304"
    assert curl(*status, "-H", 'If-None-Match: "something else"', url) == b"200"
    query = ["-G", real.sparql, "--data-urlencode", f"query={NAMES}", "-H", "Accept: application/vnd.ipld.car"]
    fields = curl(*query, "-o", "/dev/null", "-D", "-").decode().splitlines()
    (tag,) = (line.partition(":")[2].strip() for line in fields if line.lower().startswith("etag:"))
    assert not tag.startswith("W/")  # a proof is the same bytes each time
    assert curl(*status, *query, "-H", f"If-None-Match: {tag}") == b"304"


def test_curl_compares_what_it_has_with_its_own_file_of_tags(real: Real, tmp_path: Path) -> None:
    tags, url = tmp_path / "tags", f"{real.url}/v1/assets/{real.ual('water')}"
    both = ["--etag-save", str(tags), "--etag-compare", str(tags), url]
    first = curl(*both)
    assert b"Lake" in first
    assert curl(*both) == b""


def test_curl_asks_as_a_browser_does_before_it_asks(real: Real) -> None:
    def preflight(origin: str) -> str:
        wanted = ["Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type,authorization"]
        fields = [part for one in (f"Origin: {origin}", *wanted) for part in ("-H", one)]
        return curl("-X", "OPTIONS", "-i", *fields, real.sparql).decode().lower()

    allowed = preflight(ORIGIN)
    assert allowed.startswith("http/1.1 204")
    assert f"access-control-allow-origin: {ORIGIN}" in allowed
    assert "authorization" in allowed
    assert "access-control-allow-credentials" not in allowed
    refused = preflight("https://evil.example.org")
    assert "access-control-allow" not in refused
    plain = curl("-i", "-H", "Origin: https://evil.example.org", f"{real.sparql}?query=ASK%20%7B%7D").decode().lower()
    assert "access-control-allow" not in plain


def test_curl_fetches_pages(real: Real) -> None:
    page = curl("-H", "Accept: application/vnd.ipld.raw", f"{real.url}/ipfs/{cid_text(real.root)}")
    assert cid_of(page) == real.root


def test_curl_publishes_with_its_token_and_a_key_that_makes_it_once(real: Real, tmp_path: Path) -> None:
    file = tmp_path / "fields"
    file.write_text(f"Authorization: Bearer {TOKEN}\nContent-Type: text/turtle\nIdempotency-Key: once\n")
    asked = ["-H", f"@{file}", "--data-binary", "<https://e/a> <https://e/b> <https://e/c> .", "-w", " %{http_code}"]
    url = f"{real.url}/v1/assets?name=curl"
    first, second = (curl(*asked, url).decode().rpartition(" ") for _ in range(2))
    assert first[2] == "202"
    assert json.loads(second[0])["id"] == json.loads(first[0])["id"]
    assert curl("--data-binary", "x", "-o", "/dev/null", "-w", "%{http_code}", url) == b"401"
