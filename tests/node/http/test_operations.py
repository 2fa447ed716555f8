"""Publishing over HTTP: signed commits with pages, RDF, retractions; who may; and that nothing is done twice."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from dkg.car import write_car
from dkg.chain.commit import ZERO_HASH, Commit, SignedCommit
from dkg.dataset import build_dataset, update_dataset
from dkg.page import CID_PREFIX, cid_text
from dkg.pages import MemoryPageStore, StoredPages
from node.http import Scope
from node.http.operation_routes import RDF_TYPES
from tests.node.http.conftest import bearer, site_of
from tests.node.http.world import DOMAIN, KEYS, START, Node, address, triples, ual

if TYPE_CHECKING:
    import httpx

    from dkg.terms import Quad
    from tests.node.http.conftest import Site

CAR = "application/vnd.ipld.car"
PUBLISH = bearer(Scope.PUBLISH)
NAMES = "SELECT ?name WHERE { ?s <https://example.org/name> ?name } ORDER BY ?name"


@dataclass
class Author:
    """A publisher somewhere else, with a store of its own."""

    number: int = 3
    store: MemoryPageStore = field(default_factory=MemoryPageStore)
    commits: list[Commit] = field(default_factory=list)

    def write(self, quads: frozenset[Quad]) -> tuple[SignedCommit, bytes]:
        """The next commit, and a CAR of the pages that are new."""
        before, pages = set(self.store.pages), StoredPages(self.store)
        if self.commits:
            root = update_dataset(pages, CID_PREFIX + self.commits[-1].root, quads, [], self.store)
        else:
            root = build_dataset([sorted(quads)], self.store)
        previous = self.commits[-1].root if self.commits else ZERO_HASH
        count = StoredPages(self.store).root(root).count
        commit = Commit(address(self.number), len(self.commits) + 1, root[4:], count, previous, START)
        self.commits.append(commit)
        fresh = [(cid, raw) for cid, raw in self.store.pages.items() if cid not in before]
        return SignedCommit.make(DOMAIN, commit, KEYS[self.number]), write_car(root, fresh)


def hand_in(site: Site, signed: SignedCommit | bytes, car: bytes, **given: Any) -> httpx.Response:  # noqa: ANN401
    data = signed if isinstance(signed, bytes) else signed.encode()
    headers = {**PUBLISH, "DKG-Commit": urlsafe_b64encode(data).decode().rstrip("="), "Content-Type": CAR}
    headers |= given.pop("headers", {})
    return site.post("/v1/commits", content=car, headers=headers, **given)


def publish(site: Site, name: str, data: str, **given: Any) -> httpx.Response:  # noqa: ANN401
    headers = {**PUBLISH, "Content-Type": "text/turtle", **given.pop("headers", {})}
    return site.post("/v1/assets", params={"name": name, **given}, content=data, headers=headers)


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


# --- signed commits --------------------------------------------------------------------------------------------------


def test_signed_commits_with_the_pages_that_are_new(own: Site) -> None:
    author = Author()
    first = hand_in(own, *author.write(triples(3, "birds", ':wren :name "Wren" .')))
    assert first.status_code == 202
    shape = first.json()
    assert (shape["kind"], shape["state"], shape["seq"], shape["block"]) == ("commit", "mined", 1, 6)
    assert shape["root"] == cid_text(CID_PREFIX + author.commits[0].root)
    assert "Wren" in own.query(NAMES).text
    second = hand_in(own, *author.write(triples(3, "birds", ':owl :name "Owl" .')))
    assert second.json()["seq"] == 2
    assert "Owl" in own.query(NAMES, publisher=f"0x{address(3).hex()}").text


def test_how_a_commit_goes_is_asked_at_its_place(own: Site) -> None:
    response = hand_in(own, *Author().write(triples(3, "birds", ":wren :sings true .")))
    place = response.headers["location"]
    assert response.headers["retry-after"] == "1"
    polled = own.get(place, headers=PUBLISH)
    assert polled.json() == response.json()
    assert (polled.headers["retry-after"], polled.headers["cache-control"]) == ("1", "no-store")
    own.node.finish(response.json()["id"])
    done = own.get(place, headers=PUBLISH)
    assert (done.json()["state"], done.json()["finished"]) == ("final", True)
    assert "retry-after" not in done.headers


def test_a_commit_that_is_not_to_be_relayed(own: Site) -> None:
    response = hand_in(own, *Author().write(triples(3, "birds", ":wren :sings true .")), params={"relay": False})
    assert (response.json()["state"], response.json()["block"]) == ("accepted", None)
    assert len(own.node.log.entries) == 4


def test_commits_that_do_not_hold(own: Site) -> None:
    signed, car = Author().write(triples(3, "birds", ":wren :sings true ."))
    forged = SignedCommit.make(DOMAIN, signed.commit, KEYS[2])
    later = SignedCommit.make(DOMAIN, replace(signed.commit, seq=2, previous=signed.commit.root), KEYS[3])
    for bad in (forged, later):
        assert code(hand_in(own, bad, car)) == (422, "commit-invalid")
    for broken in (car[:-1], car + b"x", b"", car[:-1] + bytes([car[-1] ^ 1])):
        assert code(hand_in(own, signed, broken)) == (422, "commit-invalid")
    assert len(own.node.log.entries) == 4
    assert hand_in(own, signed, car).status_code == 202


@pytest.mark.parametrize("header", ["", "!!", "AAAA", "A" * 3000, "é"])
def test_what_is_no_signed_commit(site: Site, header: str) -> None:
    headers = {**PUBLISH, "DKG-Commit": header.encode(), "Content-Type": CAR}
    response = site.post("/v1/commits", content=b"", headers=headers)
    assert code(response) == (400, "parameter-invalid")


def test_pages_of_another_type_and_too_many(site: Site) -> None:
    signed, car = Author().write(triples(3, "birds", ":wren :sings true ."))
    assert code(hand_in(site, signed, car, headers={"Content-Type": "text/turtle"})) == (415, "media-type-unsupported")
    small = site.made(pages_bytes=len(car) - 1)
    assert code(hand_in(small, signed, car)) == (413, "body-too-large")


RDF_XML = (
    '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:x="x:">'
    '<r:Description r:about="x:s"><x:p>1</x:p></r:Description></r:RDF>'
)


# --- assets ----------------------------------------------------------------------------------------------------------


def test_rdf_becomes_an_asset(own: Site) -> None:
    response = publish(
        own, "rain", "@prefix : <https://example.org/> . :oslo :mm 3 .", title="Rain", author="mailto:a@b.c"
    )
    assert response.status_code == 202
    assert response.json()["asset"] == str(ual(0, "rain"))
    about = own.get(f"/v1/assets/{ual(0, 'rain')}/provenance", headers={"Accept": "application/json"}).json()
    assert (about["title"], about["authors"]) == ("Rain", ["mailto:a@b.c"])
    later = publish(own, "rain", "<x:s> <x:p> 1 .", title="", author="", supersedes=["air"])
    assert later.status_code == 202
    about = own.get(f"/v1/assets/{ual(0, 'rain')}/provenance", headers={"Accept": "application/json"}).json()
    assert (about["title"], about["authors"], about["replaces"]) == (None, [], [str(ual(0, "air"))])


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        ("text/turtle", "<x:s> <x:p> 1 ."),
        ("application/n-triples", '<x:s> <x:p> "1" .'),
        ("application/n-quads", '<x:s> <x:p> "1" .'),
        ("application/trig", "<x:s> <x:p> 1 ."),
        ("application/ld+json", '{"@id": "x:s", "x:p": 1}'),
        ("text/n3", "<x:s> <x:p> 1 ."),
        (
            "application/rdf+xml",
            RDF_XML,
        ),
    ],
)
def test_every_type_of_document(own: Site, media_type: str, data: str) -> None:
    assert publish(own, "one", data, headers={"Content-Type": media_type}).status_code == 202
    assert own.query("ASK { <x:s> <x:p> ?o }").json()["boolean"] is True


def test_the_types_of_documents_are_those() -> None:
    assert len(RDF_TYPES) == 7


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"data": "<x:s> <x:p>"}, (400, "rdf-invalid")),
        ({"data": ""}, (422, "asset-refused")),
        ({"data": "<x:s> <x:p> 1 .", "name": "no name"}, (400, "input-invalid")),
        ({"data": "<x:s> <x:p> 1 .", "name": "x" * 401}, (400, "parameter-invalid")),
        ({"data": "<x:s> <x:p> 1 .", "licence": "no iri"}, (422, "asset-refused")),
        ({"data": "<x:s> <x:p> 1 .", "author": ["x:a"] * 101}, (400, "parameter-invalid")),
        ({"data": "<x:s> <x:p> 1 .", "supersedes": "nothing"}, (422, "asset-refused")),
        ({"data": "<x:s> <x:p> 1 .", "headers": {"Content-Type": "text/html"}}, (415, "media-type-unsupported")),
        (
            {"data": "<x:s> <x:p> 1 .", "headers": {"Content-Type": "text/turtle; charset=latin-1"}},
            (415, "media-type-unsupported"),
        ),
        ({"data": "<x:s> <x:p> 1 .", "headers": {"Idempotency-Key": "a b"}}, (400, "parameter-invalid")),
        ({"data": "<x:s> <x:p> 1 .", "headers": {"Idempotency-Key": "x" * 129}}, (400, "parameter-invalid")),
    ],
)
def test_what_cannot_be_published(own: Site, given: Any, expected: tuple[int, str]) -> None:  # noqa: ANN401
    assert code(publish(own, **{"name": "one", **given})) == expected
    assert len(own.node.log.entries) == 4


def test_a_document_that_is_too_long(own: Site) -> None:
    data = "<x:s> <x:p> 1 ."
    assert publish(own.made(document_bytes=len(data)), "one", data).status_code == 202
    assert code(publish(own.made(document_bytes=len(data) - 1), "one", data)) == (413, "body-too-large")


def test_an_asset_is_retracted(own: Site) -> None:
    where = f"/v1/assets/{ual(0, 'people')}"
    response = own.ask("DELETE", where, params={"reason": "wrong"}, headers=PUBLISH)
    assert (response.status_code, response.json()["kind"]) == (202, "retract")
    assert code(own.get(where)) == (410, "asset-retracted")
    assert code(own.ask("DELETE", f"/v1/assets/{ual(0, 'nothing')}", headers=PUBLISH)) == (422, "asset-refused")


def test_a_node_without_a_key_publishes_no_rdf(own: Site) -> None:
    keyless = site_of(Node(own.node.store, own=None, log=own.node.log), own.runner)
    assert code(publish(keyless, "one", "<x:s> <x:p> 1 .")) == (409, "no-key")
    assert code(keyless.ask("DELETE", f"/v1/assets/{ual(0, 'air')}", headers=PUBLISH)) == (409, "no-key")


# --- once ------------------------------------------------------------------------------------------------------------


def test_the_same_key_is_the_same_request(own: Site) -> None:
    key = {"Idempotency-Key": "import-17"}
    first = publish(own, "one", "<x:s> <x:p> 1 .", headers=key)
    again = publish(own, "one", "<x:s> <x:p> 1 .", headers=key)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert len(own.node.log.entries) == 5
    own.node.finish(first.json()["id"])
    done = publish(own, "one", "<x:s> <x:p> 1 .", headers=key)
    assert (done.status_code, done.json()["state"]) == (200, "final")


@pytest.mark.parametrize(
    ("name", "data", "fields"),
    [("two", "<x:s> <x:p> 1 .", {}), ("one", "<x:s> <x:p> 2 .", {}), ("one", "<x:s> <x:p> 1 .", {"title": "T"})],
)
def test_the_same_key_for_something_else_is_a_conflict(own: Site, name: str, data: str, fields: Any) -> None:  # noqa: ANN401
    key = {"Idempotency-Key": "import-17"}
    assert publish(own, "one", "<x:s> <x:p> 1 .", headers=key).status_code == 202
    assert code(publish(own, name, data, headers=key, **fields)) == (409, "operation-conflict")
    assert len(own.node.log.entries) == 5


def test_without_a_key_each_request_is_its_own(own: Site) -> None:
    one, two = (publish(own, "one", "<x:s> <x:p> 1 .").json()["id"] for _ in range(2))
    assert one != two
    listed = own.get("/v1/operations", headers=PUBLISH).json()["items"]
    assert {item["id"] for item in listed} == {one, two}
    assert len(own.get("/v1/operations?limit=1", headers=PUBLISH).json()["items"]) == 1


def test_all_operations_come_in_parts(own: Site) -> None:
    made = [publish(own, "one", "<x:s> <x:p> 1 .").json()["id"] for _ in range(5)]
    found, path = [], "/v1/operations?limit=2"
    while path:
        part = own.get(path, headers=PUBLISH).json()
        found += [item["id"] for item in part["items"]]
        path = part["next"]
    assert sorted(found) == sorted(made)
    assert code(own.get("/v1/operations?before=x", headers=PUBLISH)) == (400, "parameter-invalid")


def test_a_key_of_a_retraction_and_of_a_commit(own: Site) -> None:
    key, where = {**PUBLISH, "Idempotency-Key": "k"}, f"/v1/assets/{ual(0, 'people')}"
    first, again = (own.ask("DELETE", where, headers=key) for _ in range(2))
    assert (first.json(), len(own.node.log.entries)) == (again.json(), 5)
    signed, car = Author().write(triples(3, "birds", ":wren :sings true ."))
    assert code(hand_in(own, signed, car, headers={"Idempotency-Key": "k"})) == (409, "operation-conflict")
    made = [hand_in(own, signed, car, headers={"Idempotency-Key": "l"}).json() for _ in range(2)]
    assert made[0] == made[1]


# --- who may ---------------------------------------------------------------------------------------------------------

WRITES = [
    ("POST", "/v1/commits", {"headers": {"DKG-Commit": "AAAA", "Content-Type": CAR}}),
    ("POST", "/v1/assets?name=one", {"headers": {"Content-Type": "text/turtle"}, "content": "<x:s> <x:p> 1 ."}),
    ("DELETE", f"/v1/assets/{ual(0, 'air')}", {}),
    ("GET", "/v1/operations", {}),
    ("GET", "/v1/operations/x", {}),
]


@pytest.mark.parametrize(("method", "path", "given"), WRITES, ids=lambda value: value if isinstance(value, str) else "")
def test_who_shows_no_token_or_another_may_not(site: Site, method: str, path: str, given: Any) -> None:  # noqa: ANN401
    headers = given.get("headers", {})
    rest = {key: value for key, value in given.items() if key != "headers"}
    none = site.ask(method, path, headers=headers, **rest)
    assert code(none) == (401, "unauthorized")
    assert none.headers["www-authenticate"] == 'Bearer realm="dkg", scope="publish"'
    for wrong in ("Bearer dkg_x", "Bearer", "Basic eDp5", "Bearer " + "x" * 5000, "dkg_x"):
        refused = site.ask(method, path, headers={**headers, "Authorization": wrong}, **rest)
        assert code(refused) == (401, "unauthorized"), wrong
        assert "invalid_token" in refused.headers["www-authenticate"]
    other = site.ask(method, path, headers={**headers, **bearer(Scope.METRICS)}, **rest)
    assert code(other) == (403, "forbidden")
    assert "insufficient_scope" in other.headers["www-authenticate"]


def test_an_operation_that_there_is_not(site: Site) -> None:
    assert code(site.get("/v1/operations/nothing", headers=PUBLISH)) == (404, "operation-unknown")


def test_no_token_is_in_the_log(own: Site) -> None:
    publish(own, "one", "<x:s> <x:p> 1 .")
    shown = own.events("http.request")[-1]
    assert shown["token"] == "publish-token"
    assert PUBLISH["Authorization"].split()[1] not in str(own.log)
