"""Row F3: whoever may not read a private part learns nothing of it, in whatever form it asks (RELIABILITY 1.6, I7).

Every form is asked by every role in four ways. All that comes back, and all that is logged meanwhile, is searched for
the canaries and for the names of private pages. And for those who may not read, the answer is compared, header and
body, with that of a node whose vault has the same grants and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from node.http import Scope
from node.private.vault import Vault
from tests.node.http.conftest import bearer
from tests.node.http.world import ual
from tests.node.private.site import (
    BOUND,
    CANARY,
    GRANTED,
    OTHER,
    OTHERS,
    PUBLISHER,
    REVOKED,
    PrivateSite,
    graph_of,
    private_site,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

AIR: Final = str(ual(0, "air"))
GRAPH: Final = graph_of(ual(0, "air"))
NORTH: Final = "<https://example.org/north>"
NO2: Final = "<https://example.org/no2>"
NEAR: Final = "<https://example.org/near>"

CAR: Final = "application/vnd.ipld.car"


@dataclass(frozen=True)
class Form:
    """A query. `shows`: a reader's answer has the canary; else it differs from that without private parts."""

    query: str
    accept: str = "application/sparql-results+json"
    shows: bool = True
    default: str | None = None
    named: str | None = None


THE_TEN: Final = {
    "plain": Form("SELECT * { ?s ?p ?o }"),
    "graph-iri": Form(f"SELECT * {{ GRAPH {GRAPH} {{ ?s ?p ?o }} }}"),
    "graph-variable": Form("SELECT * { GRAPH ?g { ?s ?p ?o } }"),
    "from": Form(f"SELECT * FROM {GRAPH} {{ ?s ?p ?o }}"),
    "from-named": Form(f"SELECT * FROM NAMED {GRAPH} {{ GRAPH ?g {{ ?s ?p ?o }} }}"),
    "exists": Form(f"SELECT ?s {{ ?s {NO2} ?o FILTER EXISTS {{ GRAPH {GRAPH} {{ ?s ?p ?x }} }} }}", shows=False),
    "sub-select": Form(f"SELECT * {{ {{ SELECT ?s ?o {{ GRAPH ?g {{ ?s {NO2} ?o }} }} }} ?s ?p ?o }}"),
    "construct": Form("CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o }", "text/turtle"),
    "describe": Form(f"DESCRIBE {NORTH}", "application/n-triples"),
    "path": Form(f"SELECT ?x {{ ?s {NEAR}/{NO2} ?x }}"),
}
"""The forms that leaked in other systems (RELIABILITY 1.6)."""

MORE: Final = {
    "count": Form("SELECT (COUNT(*) AS ?n) { ?s ?p ?o }", shows=False),
    "count-of-graphs": Form("SELECT (COUNT(DISTINCT ?g) AS ?n) { GRAPH ?g { ?s ?p ?o } }", shows=False),
    "ask": Form(f"ASK {{ GRAPH {GRAPH} {{ ?s ?p ?o }} }}", shows=False),
    "not-exists": Form(
        f"SELECT ?s {{ ?s {NO2} ?o FILTER NOT EXISTS {{ GRAPH {GRAPH} {{ ?s ?p ?x }} }} }}", shows=False
    ),
    "minus": Form(f"SELECT ?s {{ ?s {NO2} ?o MINUS {{ GRAPH {GRAPH} {{ ?s ?p ?x }} }} }}", shows=False),
    "optional": Form(f"SELECT * {{ VALUES ?s {{ {NORTH} }} OPTIONAL {{ GRAPH {GRAPH} {{ ?s ?p ?o }} }} }}"),
    "regex": Form('SELECT ?o { ?s ?p ?o FILTER(REGEX(STR(?o), "^canary")) }'),
    "aggregate": Form("SELECT (GROUP_CONCAT(STR(?o)) AS ?all) { GRAPH ?g { ?s ?p ?o } }"),
    "order": Form("SELECT ?o { ?s ?p ?o FILTER(ISLITERAL(?o)) } ORDER BY ?o"),
    "negated-path": Form(f"SELECT ?o {{ ?s !{NEAR} ?o }}"),
    "bind": Form("SELECT ?t { GRAPH ?g { ?s ?p ?o } BIND(CONCAT(STR(?g), STR(?o)) AS ?t) }"),
    "csv": Form("SELECT * { ?s ?p ?o }", "text/csv"),
    "default-graph-uri": Form("SELECT * { ?s ?p ?o }", default=GRAPH[1:-1]),
    "named-graph-uri": Form("SELECT * { GRAPH ?g { ?s ?p ?o } }", named=GRAPH[1:-1]),
}
FORMS: Final = THE_TEN | MORE

READERS: Final = ("publisher", "granted", "bound-granted")
ROLES: Final = (
    *READERS, "revoked", "other", "ended", "forged", "anonymous", "bound-revoked", "bound-other",
    *(scope.value for scope in Scope),
)  # fmt: skip
WAYS: Final = ("named", "all", "alone", "public")


@pytest.fixture(scope="module")
def bare(shared: PrivateSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSite]:
    """The same node without any private part, with the same grants."""
    vault = Vault(tmp_path_factory.mktemp("bare"), shared.clock)
    for one in shared.vault.grants():
        vault.grant(one.reader, one.whose)
    tokens = tuple(token for _, token in BOUND.values())
    yield private_site(shared.node, shared.runner, vault, shared.clock, tokens=tokens)
    vault.close()


@pytest.fixture(scope="module")
def headers(shared: PrivateSite, bare: PrivateSite) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """What each role shows, there and here. Whoever is revoked has a session that is still open."""
    made = {
        "publisher": (shared.session(PUBLISHER), {}),
        **{
            name: (shared.session(key), bare.session(key))
            for name, key in {"granted": GRANTED, "revoked": REVOKED, "other": OTHER, "ended": GRANTED}.items()
        },
        **{f"bound-{name}": ({"Authorization": f"Bearer {text}"},) * 2 for name, (text, _) in BOUND.items()},
        **{scope.value: (bearer(scope),) * 2 for scope in Scope},
        "forged": ({"Authorization": "Bearer dkgs_" + "0" * 64},) * 2,
        "anonymous": ({}, {}),
    }
    for at, site in enumerate((shared, bare)):
        assert site.ask("DELETE", "/v1/session", headers=made["ended"][at]).status_code == 200
        for asset in ("air", "diary"):
            assert site.revoke(REVOKED, asset).json() == {"revoked": True}
    return made


def ask(site: PrivateSite, form: Form, way: str, shown: dict[str, str]) -> httpx.Response:
    fields = {"query": form.query, "now": "2027-01-15T08:00:00Z", "base": "http://node.example/"}
    if form.default:
        fields["default-graph-uri"] = form.default
    if form.named:
        fields["named-graph-uri"] = form.named
    fields |= {"named": {"private": AIR}, "all": {"private": "all"}, "public": {}}.get(
        way, {"private": AIR, "scope": "private"}
    )
    return site.get("/sparql", params=fields, headers={"Accept": form.accept, **shown})


@pytest.fixture(scope="module")
def secrets(shared: PrivateSite) -> list[bytes]:
    return shared.secrets()


@pytest.fixture(scope="module")
def sites(shared: PrivateSite, bare: PrivateSite) -> tuple[PrivateSite, PrivateSite]:
    return shared, bare


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_query_shows_what_is_private_to_its_readers_alone(
    sites: tuple[PrivateSite, PrivateSite],
    headers: dict[str, tuple[dict[str, str], dict[str, str]]],
    secrets: list[bytes],
    form: str,
    role: str,
    way: str,
) -> None:
    shared, bare = sites
    shared.log.clear()
    there, here = headers[role]
    asked = FORMS[form]
    response = ask(shared, asked, way, there)
    out = told(response)
    log = repr(shared.log).encode()
    assert not [one for one in secrets if one in out + log]
    assert CANARY.encode() not in log
    assert OTHERS.encode() not in log
    if role in READERS and way != "public":
        assert response.status_code == 200
        public = ask(shared, asked, "public", {}).content
        assert (CANARY.encode() in response.content) if asked.shows else (response.content != public)
        assert response.headers["cache-control"] == "private, no-store"
        assert "Authorization" in response.headers["vary"]
        assert "etag" not in response.headers
        return
    assert CANARY.encode() not in out
    if role not in READERS and not (role.endswith("other") and way == "all"):
        assert OTHERS.encode() not in out
        assert out == told(ask(bare, asked, way, here))


@pytest.mark.parametrize("role", ROLES)
def test_a_proof_of_a_private_part_is_for_its_readers_alone(
    shared: PrivateSite,
    headers: dict[str, tuple[dict[str, str], dict[str, str]]],
    secrets: list[bytes],
    role: str,
) -> None:
    for form in THE_TEN.values():
        for accept in (CAR, f"{CAR}+zstd"):
            for way in WAYS:
                shared.log.clear()
                response = ask(shared, Form(form.query, accept), way, headers[role][0])
                is_read = role in READERS and way == "alone"
                assert (response.status_code == 200) is (is_read or way == "public")
                assert ("dkg-opening" in response.headers) is is_read
                if not is_read:
                    assert not [one for one in (*secrets, CANARY.encode()) if one in told(response)]
                assert not [one for one in (*secrets, CANARY.encode()) if one in repr(shared.log).encode()]


@pytest.mark.parametrize("role", ROLES)
def test_the_asset_itself_shows_its_private_part_to_its_readers_alone(
    shared: PrivateSite, headers: dict[str, tuple[dict[str, str], dict[str, str]]], secrets: list[bytes], role: str
) -> None:
    for path in ("", "/private", "/provenance", "/history", "/diff?from_seq=1&to_seq=2"):
        for asset in ("air", "diary", "never"):
            for accept in ("text/turtle", "application/json", CAR):
                headers_ = {**headers[role][0], "Accept": accept}
                response = shared.get(f"/v1/assets/{ual(0, asset)}{path}", headers=headers_)
                reads = path == "/private" and (
                    (role in READERS and asset == "air")
                    or (role == "publisher" and asset == "diary")
                    or (role.endswith("other") and asset == "diary")
                )
                if reads:
                    assert response.status_code == 200
                    assert response.headers["cache-control"] == "private, no-store"
                else:
                    assert not [one for one in (*secrets, CANARY.encode(), OTHERS.encode()) if one in told(response)]


def test_what_is_not_granted_and_what_does_not_exist_are_refused_in_the_same_words(
    shared: PrivateSite, headers: dict[str, tuple[dict[str, str], dict[str, str]]]
) -> None:
    shown = headers["other"][0]
    for form in (*FORMS.values(), Form("SELECT * { ?s ?p ?o }", CAR), Form("this is no query")):
        for way in ("named", "alone"):
            there = told(ask(shared, form, way, shown))
            fields = {"query": form.query, "private": str(ual(0, "aix"))} | (
                {"scope": "private"} if way == "alone" else {}
            )
            if form.default:
                fields["default-graph-uri"] = form.default
            nowhere = shared.get("/sparql", params=fields, headers={"Accept": form.accept, **shown})
            assert nowhere.status_code == 404
            assert there == told(nowhere).replace(b"/aix", b"/air")


@pytest.mark.parametrize("role", ROLES)
def test_nothing_else_that_the_node_answers_has_a_private_byte(
    shared: PrivateSite, headers: dict[str, tuple[dict[str, str], dict[str, str]]], secrets: list[bytes], role: str
) -> None:
    shared.log.clear()
    cids = [text.decode() for text in secrets if text.startswith(b"bafy")]
    assert len(cids) > 8
    paths = [f"/ipfs/{cid}?format={form}" for cid in cids for form in ("raw", "car")]
    found = b""
    for path in paths:
        response = shared.get(path, headers=headers[role][0])
        assert response.status_code == 404
        found += told(response).replace(path.split("?")[0].encode(), b"")
    for path in (
        "/v1/dataset", "/v1/graphs?limit=1000", "/v1/assets?limit=1000", "/v1/publishers", "/v1/commits", "/v1/peers",
        "/v1/status", "/v1/operations?limit=1000", "/v1/grants", "/metrics", "/health", "/.well-known/void",
        "/.well-known/skill.md", "/openapi.json", "/sparql", "/v1/session",
    ):  # fmt: skip
        found += told(shared.get(path, headers=headers[role][0]))
    for cid in cids:
        found += told(shared.get("/sparql", params={"query": "ASK {}", "at": f"root:{cid}"}, headers=headers[role][0]))
    kept = [one for one in secrets if not one.startswith(b"bafy")]
    assert not [one for one in (*kept, CANARY.encode(), OTHERS.encode()) if one in found]
    log = repr([fields for event, fields in shared.log if not str(fields.get("path")).startswith("/ipfs/")]).encode()
    assert not [one for one in (*secrets, CANARY.encode(), OTHERS.encode()) if one in log]
