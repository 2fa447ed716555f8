"""`/v1/assets`: content, provenance, history and differences, as RDF, as JSON, and proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyoxigraph as ox
import pytest

import dkg
from dkg.chain.secp import checksum
from tests.node.http.conftest import site_of, walk
from tests.node.http.world import AIR, address, ual

if TYPE_CHECKING:
    from tests.node.http.conftest import Site

CAR = "application/vnd.ipld.car"


def path(name: str, number: int = 0, more: str = "") -> str:
    return f"/v1/assets/{ual(number, name)}{more}"


# --- content ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("text/turtle", ox.RdfFormat.TURTLE),
        ("application/n-triples", ox.RdfFormat.N_TRIPLES),
        ("application/rdf+xml", ox.RdfFormat.RDF_XML),
        ("application/ld+json", ox.RdfFormat.JSON_LD),
    ],
)
def test_content_in_every_format(site: Site, accept: str, form: ox.RdfFormat) -> None:
    response = site.get(path("water", 1), headers={"Accept": accept})
    assert (response.status_code, response.headers["content-type"].partition(";")[0]) == (200, accept)
    assert {str(quad.object) for quad in ox.parse(response.content, form)} == {
        '"7.2"^^<http://www.w3.org/2001/XMLSchema#decimal>',
        '"Lake"',
        "<https://example.org/north>",
    }
    assert response.headers["dkg-claim"] == "L1"
    assert response.headers["dkg-publishers"] == f"0x{address(1).hex()}"


def test_an_asset_by_its_encoded_ual(site: Site) -> None:
    encoded = str(ual(1, "water")).replace(":", "%3A").replace("/", "%2F")
    assert site.get(f"/v1/assets/{encoded}").content == site.get(path("water", 1)).content


def test_content_of_an_older_version(site: Site) -> None:
    now, old = (
        site.get(path("air"), params=at, headers={"Accept": "application/n-triples"}) for at in ({}, {"at": "seq:1"})
    )
    assert (len(now.text.splitlines()), len(old.text.splitlines())) == (7, 5)


def test_the_proof_of_content_is_of_the_query_that_is_named(site: Site) -> None:
    response = site.get(path("air"), headers={"Accept": CAR})
    answer = dkg.verify(
        response.content,
        response.headers["dkg-query"],
        site.node.standing((address(0),)).root,
        base_iri=response.headers["dkg-base"],
    )
    assert len(answer.triples) == 7


def test_that_there_is_no_such_asset_is_proved(site: Site) -> None:
    response = site.get(path("nothing"), headers={"Accept": CAR})
    answer = dkg.verify(response.content, response.headers["dkg-query"], site.node.standing((address(0),)).root)
    assert answer.provably_nothing


def test_conditions_on_content(site: Site) -> None:
    tag = site.get(path("air")).headers["etag"]
    assert site.get(path("air"), headers={"If-None-Match": tag}).status_code == 304
    assert site.get(path("air"), params={"at": "seq:1"}, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (path("nothing"), (404, "asset-unknown")),
        (path("nothing", 0, "/provenance"), (404, "asset-unknown")),
        (path("air", 3), (404, "publisher-unknown")),
        ("/v1/assets/did:dkg:eip155:1:0x" + "11" * 20 + "/0x" + "22" * 20 + "/x", (404, "asset-unknown")),
        ("/v1/assets/did:dkg:eip155:31337/x/y", (400, "parameter-invalid")),
        (path("air")[:-3] + "%20", (400, "parameter-invalid")),
        (path("air") + "?at=seq:9", (404, "moment-unknown")),
        (path("air") + "/nothing", (404, "not-found")),
    ],
)
def test_what_is_not_there(site: Site, where: str, expected: tuple[int, str]) -> None:
    response = site.get(where)
    assert (response.status_code, response.json()["code"]) == expected


def test_a_retracted_asset_is_gone_and_its_past_is_not(own: Site) -> None:
    own.node.retracted(0, "people", "wrong people")
    gone = own.get(path("people"))
    assert (gone.status_code, gone.json()["code"]) == (410, "asset-retracted")
    assert "wrong people" in gone.json()["detail"]
    assert own.get(path("people"), params={"at": "seq:3"}).status_code == 200
    assert (
        own.get(path("people", 0, "/provenance"), headers={"Accept": "application/json"}).json()["reason"]
        == "wrong people"
    )
    items = own.get("/v1/assets").json()["items"]
    assert {one["name"]: one["quads"] for one in items}["people"] == 0


# --- provenance ------------------------------------------------------------------------------------------------------


def test_provenance_as_json(site: Site) -> None:
    response = site.get(path("air", 0, "/provenance"), headers={"Accept": "application/json"})
    assert response.headers["content-type"] == "application/json"
    assert response.headers["dkg-root"]
    assert {key: value for key, value in response.json().items() if value} == {
        "ual": str(ual(0, "air")),
        "created": "2027-01-15T08:00:00Z",
        "modified": "2027-01-15T08:00:24Z",
        "generated": "2027-01-15T08:00:24Z",
        "title": "Air",
        "licence": "https://creativecommons.org/licenses/by/4.0/",
    }


@pytest.mark.parametrize(
    "accept", ["text/turtle", "application/ld+json", "*/*", "application/ld+json, application/json;q=0.9"]
)
def test_provenance_as_rdf(site: Site, accept: str) -> None:
    response = site.get(path("air", 0, "/provenance"), headers={"Accept": accept})
    assert response.headers["content-type"].partition(";")[0] in {"text/turtle", "application/ld+json"}
    assert f"did:pkh:eip155:31337:{checksum(address(0))}" in response.text


def test_provenance_proved(site: Site) -> None:
    response = site.get(path("air", 0, "/provenance"), headers={"Accept": CAR})
    answer = dkg.verify(response.content, response.headers["dkg-query"], site.node.standing((address(0),)).root)
    assert len(answer.triples) == 8


# --- lists -----------------------------------------------------------------------------------------------------------


def test_all_assets_in_parts(site: Site) -> None:
    whole = site.get("/v1/assets").json()
    assert [(one["name"], one["quads"]) for one in whole["items"]] == [("water", 3), ("air", 7), ("people", 3)]
    assert whole["next"] is None
    assert walk(site, "/v1/assets?limit=1") == walk(site, "/v1/assets?limit=2") == whole["items"]


def test_assets_of_one_publisher_and_of_then(site: Site) -> None:
    own = site.get("/v1/assets", params={"publisher": f"0x{address(0).hex()}"})
    assert [one["name"] for one in own.json()["items"]] == ["air", "people"]
    assert own.headers["dkg-claim"] == "L1"
    then = site.get("/v1/assets", params={"at": "block:2"})
    assert [one["name"] for one in then.json()["items"]] == ["air"]


def test_the_url_of_an_asset_is_where_it_is(site: Site) -> None:
    for one in site.get("/v1/assets").json()["items"]:
        assert site.get(one["url"]).status_code == 200


# --- history ---------------------------------------------------------------------------------------------------------


def test_history_newest_first_in_parts(own: Site) -> None:
    own.node.publish(0, "air", ":north :no2 3 .", title="Air again")
    own.node.publish(0, "air", ":north :no2 3 .", title="Air, again")
    own.node.retracted(0, "air")
    own.node.publish(0, "air", AIR)
    whole = own.get(path("air", 0, "/history")).json()
    assert [(one["seq"], one["kind"]) for one in whole["items"]] == [
        (7, "restored"),
        (6, "retracted"),
        (5, "described"),
        (4, "changed"),
        (2, "changed"),
        (1, "created"),
    ]
    assert (whole["kept"], whole["next"]) == (True, None)
    for limit in (1, 2, 5, 8):
        assert walk(own, f"{path('air', 0, '/history')}?limit={limit}") == whole["items"], limit


def test_history_ends_where_roots_are_not_kept(own: Site) -> None:
    for number in range(4):
        own.node.publish(0, "air", f":north :no2 {number} .")
    name = f"publisher:0x{address(0).hex()}"
    for kept in own.node.store.kept(name)[3:]:
        with own.node.store._state.changing():
            own.node.store._state.drop_kept(kept)
    history = own.get(path("air", 0, "/history")).json()
    # What the oldest that is kept did cannot be told: the one before it is gone.
    assert [one["seq"] for one in history["items"]] == [7, 6]
    assert (history["kept"], history["next"]) == (False, None)


def test_history_of_what_never_was_is_empty(site: Site) -> None:
    assert site.get(path("nothing", 0, "/history")).json() == {"items": [], "next": None, "kept": True}
    assert site.get(path("air", 3, "/history")).json()["code"] == "publisher-unknown"


def test_what_changed_from_one_commit_to_another(site: Site) -> None:
    there = site.get(path("air", 0, "/diff"), params={"from_seq": 1, "to_seq": 3}).json()
    assert there["added"] == [
        '<https://example.org/west> <https://example.org/name> "West" .',
        '<https://example.org/west> <https://example.org/no2> "7"^^<http://www.w3.org/2001/XMLSchema#integer> .',
    ]
    assert there["removed"] == []
    back = site.get(path("air", 0, "/diff"), params={"from_seq": 3, "to_seq": 1}).json()
    assert (back["removed"], back["added"]) == (there["added"], there["removed"])
    assert (back["from_root"], back["to_root"]) == (there["to_root"], there["from_root"])
    assert site.get(path("air", 0, "/diff"), params={"from_seq": 1, "to_seq": 9}).json()["code"] == "moment-unknown"


def test_a_difference_is_shown_up_to_its_limit(site: Site) -> None:
    where, asked = path("air", 0, "/diff"), {"from_seq": 1, "to_seq": 3}
    assert site.made(diff_quads=2).get(where, params=asked).status_code == 200
    over = site.made(diff_quads=1).get(where, params=asked)
    assert (over.status_code, over.json()["code"]) == (413, "limit-exceeded")


# --- over a view -----------------------------------------------------------------------------------------------------


def test_content_is_the_same_from_a_view(own: Site) -> None:
    root = own.node.standing((address(0),)).root
    accept = {"Accept": "application/n-triples"}
    by_pages = [own.get(path(name), headers=accept) for name in ("air", "nothing")]
    own.node.store.views.ensure(root)
    by_view = [site_of(own.node, own.runner).get(path(name), headers=accept) for name in ("air", "nothing")]
    assert sorted(by_view[0].text.splitlines()) == sorted(by_pages[0].text.splitlines())
    assert [one.status_code for one in by_view] == [one.status_code for one in by_pages] == [200, 404]
