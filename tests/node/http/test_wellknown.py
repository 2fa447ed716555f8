"""Health, metrics, VoID, the page for agents, and the OpenAPI document."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyoxigraph as ox
import pytest

from dkg.page import cid_text
from node.http import Code, Scope
from node.http.app import context_of
from tests.node.http.conftest import bearer
from tests.node.http.world import address, ual

if TYPE_CHECKING:
    from tests.node.http.conftest import Site

VOID = "http://rdfs.org/ns/void#"


# --- health ------------------------------------------------------------------------------------------------------


def test_a_node_that_is_ready(site: Site) -> None:
    for path in ("/health", "/health/live", "/health/ready"):
        assert site.get(path).json() == {"live": True, "ready": True, "why": None}


def test_a_node_whose_newest_block_is_too_old_lives_and_is_not_ready(site: Site) -> None:
    site.clock.now = site.node.block.time + site.settings.ready_age_seconds
    assert site.get("/health/ready").status_code == 200
    site.clock.now += 1
    response = site.get("/health/ready")
    assert (response.status_code, response.json()["code"]) == (503, "not-ready")
    assert response.headers["retry-after"] == "5"
    assert site.get("/health").status_code == 503
    assert site.get("/health/live").json()["why"] == "the newest block that was read is 3601 s old"


def test_a_node_that_stops_is_not_ready_and_answers(site: Site) -> None:
    made = site.made()
    context_of(made.app).stopping = True
    assert made.get("/health/ready").json()["detail"] == "the node is stopping"
    assert made.get("/sparql?query=ASK{}").status_code == 200


def test_metrics_are_for_those_who_may(site: Site) -> None:
    assert site.get("/metrics").status_code == 401
    assert site.get("/metrics", headers=bearer(Scope.PUBLISH)).status_code == 403
    response = site.get("/metrics", headers=bearer(Scope.METRICS))
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert site.made(open_metrics=True).get("/metrics").status_code == 200


def test_metrics_are_well_formed(site: Site) -> None:
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415

    site.query("ASK {}")
    families = {
        one.name: one for one in text_string_to_metric_families(site.made(open_metrics=True).get("/metrics").text)
    }
    assert {"dkg_http_requests", "dkg_http_request_seconds", "dkg_block", "dkg_block_age_seconds"} <= set(families)
    assert families["dkg_block_age_seconds"].samples[0].value == 30


# --- descriptions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", ox.RdfFormat.TURTLE),
        ("application/rdf+xml", ox.RdfFormat.RDF_XML),
        ("application/ld+json", ox.RdfFormat.JSON_LD),
    ],
)
def test_void(site: Site, accept: str, form: ox.RdfFormat) -> None:
    response = site.get("/.well-known/void", headers={"Accept": accept})
    said = {quad.predicate.value: quad.object.value for quad in ox.parse(response.content, form)}
    root = cid_text(site.node.standing(None).root)
    assert said[f"{VOID}triples"] == "33"
    assert said[f"{VOID}sparqlEndpoint"] == "http://127.0.0.1/sparql"
    assert said[f"{VOID}dataDump"] == f"http://127.0.0.1/ipfs/{root}?format=car"
    assert site.get(said[f"{VOID}dataDump"].removeprefix("http://127.0.0.1")).status_code == 200
    again = site.get("/.well-known/void", headers={"Accept": accept, "If-None-Match": response.headers["etag"]})
    assert again.status_code == 304


def test_void_in_a_format_that_there_is_not(site: Site) -> None:
    assert site.get("/.well-known/void", headers={"Accept": "text/html"}).status_code == 406


def test_what_the_page_for_agents_says_is_so(site: Site) -> None:
    response = site.get("/.well-known/skill.md")
    assert response.headers["content-type"] == "text/markdown; charset=utf-8"
    text = response.text
    (query,) = re.findall(r"--data-urlencode 'query=(SELECT[^']*)'", text)
    assert site.query(query).status_code == 200
    paths = set(re.findall(r"(/(?:v1|openapi|sparql)[a-z0-9/.]*)(?=[ ,:'\n])", text)) - {"/v1/assets/did"}
    assert len(paths) >= 6
    for path in paths:
        assert site.get(path.rstrip(".")).status_code == 200, path
    assert f"0x{site.node.domain.registry.hex()}" in text
    assert len(text) < 5_000


def test_the_first_page_says_where_things_are(site: Site) -> None:
    for path in site.get("/").json().values():
        assert site.get(path).status_code == 200, path


# --- OpenAPI -----------------------------------------------------------------------------------------------------


def test_the_document_is_written_once_however_often_it_is_asked_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = site.get("/openapi.json")
    monkeypatch.setattr(site.app, "openapi", None)
    again = site.get("/openapi.json")
    assert (again.status_code, again.content, again.headers["content-type"]) == (200, first.content, "application/json")


def test_the_document_is_whole(site: Site) -> None:
    document = site.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    ids = []
    for path, methods in document["paths"].items():
        named = set(re.findall(r"\{(\w+)\}", path))
        for method, operation in methods.items():
            where = f"{method} {path}"
            ids.append(operation["operationId"])
            parameters = operation.get("parameters", [])
            assert {one["name"] for one in parameters if one["in"] == "path"} == named, where
            assert all("schema" in one for one in parameters), where
            assert all("description" in one for one in parameters if one["in"] == "query"), where
            assert {"400", "404", "429", "500", "503"} <= set(operation["responses"]), where
            assert "422" in operation["responses"], where
            assert operation.get("description") or operation.get("summary"), where
    assert len(set(ids)) == len(ids)


def test_every_code_is_in_the_document(site: Site) -> None:
    responses = site.app.openapi()["components"]["responses"]
    for code in Code:
        assert f"`{code.text}`" in responses[str(code.status)]["description"]


def test_references_lead_somewhere(site: Site) -> None:
    document = site.app.openapi()

    def references(value: Any) -> set[str]:  # noqa: ANN401
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values())) if value else own
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    for reference in references(document):
        place = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in place, reference
            place = place[part]


def test_what_needs_a_token_says_so(site: Site) -> None:
    secured = {
        (method, path)
        for path, methods in site.app.openapi()["paths"].items()
        for method, operation in methods.items()
        if "security" in operation
    }
    for method, path in sorted(secured):
        made = re.sub(r"/\{authority\}/\{publisher\}/\{name\}", f"/{ual(0, 'air')}", path).replace("{id}", "1")
        given = {"name": "x", "reader": f"0x{address(0).hex()}"}
        response = site.ask(method, made, params=given, headers={"DKG-Commit": "x"})
        assert response.status_code == 401, (method, path)
    assert {("post", "/v1/commits"), ("post", "/v1/assets"), ("get", "/v1/operations"), ("get", "/metrics")} < secured
