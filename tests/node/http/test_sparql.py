"""`/sparql` beyond what the W3C tests: formats, whose data and of when, header fields, conditions, proofs."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pyoxigraph as ox
import pytest

import dkg
from dkg.client.files import decompress
from dkg.page import cid_bytes, cid_text
from node.http import Scope
from node.http.moments import PUBLISHERS_SHOWN, STATE_FIELDS
from node.http.protocol import GRAPHS_MAX
from node.storage import NodeStore
from node.workers.inprocess import InProcess
from tests.node.http.conftest import Site, bearer, site_of
from tests.node.http.world import START, Node, address, ual

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    import httpx

NAMES = "SELECT ?name WHERE { ?s <https://example.org/name> ?name } ORDER BY ?name"
KNOWS = "CONSTRUCT WHERE { ?s <https://example.org/near> ?o }"
CAR = "application/vnd.ipld.car"


def names(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [row["name"]["value"] for row in response.json()["results"]["bindings"]]


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


# --- formats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "media_type", "start"),
    [
        (None, "application/sparql-results+json", b'{"head":'),
        ("*/*", "application/sparql-results+json", b'{"head":'),
        ("application/json", "application/json", b'{"head":'),
        ("application/sparql-results+xml", "application/sparql-results+xml", b"<?xml"),
        ("text/csv", "text/csv; charset=utf-8", b"name\r\nAda"),
        ("text/tab-separated-values", "text/tab-separated-values; charset=utf-8", b'?name\n"Ada"'),
        ("text/csv;q=0.2, application/sparql-results+xml;q=0.3", "application/sparql-results+xml", b"<?xml"),
        ("text/*", "text/csv; charset=utf-8", b"name"),
        ("text/turtle, */*;q=0.1", "application/sparql-results+json", b'{"head":'),
        ("application/sparql-results+json;q=0, */*", "application/sparql-results+xml", b"<?xml"),
    ],
)
def test_select_in_the_format_that_is_wanted_most(site: Site, accept: str, media_type: str, start: bytes) -> None:
    response = site.query(NAMES, accept)
    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    assert response.content.startswith(start)


@pytest.mark.parametrize(
    ("accept", "media_type", "form"),
    [
        (None, "text/turtle; charset=utf-8", ox.RdfFormat.TURTLE),
        ("application/n-triples", "application/n-triples", ox.RdfFormat.N_TRIPLES),
        ("application/rdf+xml", "application/rdf+xml", ox.RdfFormat.RDF_XML),
        ("application/ld+json", "application/ld+json", ox.RdfFormat.JSON_LD),
        ("text/csv, text/turtle;q=0.5", "text/turtle; charset=utf-8", ox.RdfFormat.TURTLE),
    ],
)
def test_construct_in_the_format_that_is_wanted_most(site: Site, accept: str, media_type: str, form: Any) -> None:  # noqa: ANN401
    response = site.query(KNOWS, accept)
    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    assert len(set(ox.parse(response.content, form))) == 2


@pytest.mark.parametrize("text", [NAMES, "ASK {}", KNOWS])
@pytest.mark.parametrize("accept", ["image/png", "text/html", "application/sparql-results+json;q=0"])
def test_a_format_that_there_is_not_is_406(site: Site, text: str, accept: str) -> None:
    assert code(site.query(text, accept)) == (406, "not-acceptable")


def test_a_format_of_the_other_forms_is_406(site: Site) -> None:
    assert code(site.query(NAMES, "text/turtle")) == (406, "not-acceptable")
    assert code(site.query(KNOWS, "text/csv")) == (406, "not-acceptable")


# --- asking ----------------------------------------------------------------------------------------------------------


def test_get_form_and_body_answer_the_same(site: Site) -> None:
    by_get = site.query(NAMES)
    by_form = site.post("/sparql", data={"query": NAMES})
    by_body = site.post("/sparql", content=NAMES, headers={"Content-Type": "application/sparql-query; charset=UTF-8"})
    assert names(by_get) == ["Ada", "Bob", "Lake", "North", "South", "West"]
    assert by_get.content == by_form.content == by_body.content
    assert by_get.headers["etag"] == by_form.headers["etag"] == by_body.headers["etag"]


def test_parameters_of_a_form_and_of_the_url_count_alike(site: Site) -> None:
    who = f"0x{address(1).hex()}"
    one = site.post("/sparql", data={"query": NAMES, "publisher": who})
    two = site.post(f"/sparql?publisher={who}", data={"query": NAMES})
    assert names(one) == names(two) == ["Lake"]


def test_head_has_the_header_fields_of_get_and_no_body(site: Site) -> None:
    get, head = site.query(NAMES), site.ask("HEAD", "/sparql", params={"query": NAMES})
    assert head.content == b""
    drop = {"x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in drop} == {
        k: v for k, v in get.headers.items() if k not in drop
    }


@pytest.mark.parametrize("form", ["text/turtle", "application/n-triples", "application/rdf+xml", "application/ld+json"])
def test_without_a_query_the_service_is_described(site: Site, form: str) -> None:
    response = site.get("/sparql", headers={"Accept": form})
    assert response.headers["content-type"] == form
    assert b"sparql-service-description" in response.content


def test_a_description_that_cannot_be_given_is_406(site: Site) -> None:
    assert code(site.get("/sparql", headers={"Accept": "text/csv"})) == (406, "not-acceptable")


@pytest.mark.parametrize(
    ("method", "path", "given", "expected"),
    [
        ("GET", "/sparql?query=ASK{}&query=ASK{}", {}, (400, "parameter-invalid")),
        ("GET", "/sparql?query=ASK%20%7B%80%7D", {}, (400, "parameter-invalid")),
        ("GET", "/sparql?query=" + "x&y=" * 3000, {}, (400, "parameter-invalid")),
        ("GET", "/sparql?query=", {}, (400, "query-invalid")),
        ("GET", "/sparql?query=SELEC", {}, (400, "query-invalid")),
        ("GET", "/sparql?query=ASK{}&update=CLEAR ALL", {}, (403, "update-refused")),
        ("GET", "/sparql?query=ASK{}&using-graph-uri=x:y", {}, (403, "update-refused")),
        ("POST", "/sparql", {"data": {"update": "CLEAR ALL"}}, (403, "update-refused")),
        ("POST", "/sparql", {"data": {"q": "ASK {}"}}, (400, "parameter-invalid")),
        ("POST", "/sparql", {"content": "ASK {}"}, (415, "media-type-unsupported")),
        (
            "POST",
            "/sparql?query=ASK{}",
            {"content": "ASK {}", "headers": {"Content-Type": "application/sparql-query"}},
            (400, "parameter-invalid"),
        ),
        (
            "POST",
            "/sparql",
            {"content": b"ASK {\xff}", "headers": {"Content-Type": "application/sparql-query"}},
            (400, "parameter-invalid"),
        ),
        (
            "POST",
            "/sparql",
            {"content": "ASK {}", "headers": {"Content-Type": "application/sparql-query", "Content-Encoding": "gzip"}},
            (415, "media-type-unsupported"),
        ),
        ("PUT", "/sparql", {}, (405, "method-not-allowed")),
        ("DELETE", "/sparql", {}, (405, "method-not-allowed")),
        ("GET", "/sparql?query=ASK{}&default-graph-uri=no iri", {}, (400, "parameter-invalid")),
        ("GET", "/sparql?query=ASK{}&named-graph-uri=relative", {}, (400, "parameter-invalid")),
        ("GET", "/sparql?query=ASK{}&base=relative", {}, (400, "parameter-invalid")),
        ("GET", "/sparql?query=ASK{}&base=http://e/é", {}, (400, "parameter-invalid")),
        ("GET", "/sparql?query=ASK{}&now=yesterday", {}, (400, "parameter-invalid")),
        ("GET", "/sparql?query=ASK{FILTER(NOW()>0)}&now=2027-99-15T08:00:00Z", {}, (400, "query-invalid")),
        ("GET", "/sparql?query=ASK{FILTER(NOW()>0)}", {}, (400, "query-invalid")),
        ("GET", "/sparql?query=ASK{SERVICE<http://e/>{?s ?p ?o}}", {}, (400, "query-invalid")),
    ],
)
def test_what_is_wrong_is_said(site: Site, method: str, path: str, given: Any, expected: tuple[int, str]) -> None:  # noqa: ANN401
    assert code(site.ask(method, path, **given)) == expected


def test_405_names_all_methods(site: Site) -> None:
    assert site.ask("PUT", "/sparql").headers["allow"] == "GET, HEAD, POST"


def test_relative_iris_are_relative_to_the_endpoint_or_to_what_is_said(site: Site) -> None:
    text = "CONSTRUCT { <s> <p> 1 } WHERE {}"
    assert "<http://127.0.0.1/s>" in site.query(text).text
    assert "<http://e/x/s>" in site.query(text, base="http://e/x/").text


def test_now_is_what_the_request_says(site: Site) -> None:
    response = site.query("SELECT (NOW() AS ?name) {}", now="2027-01-15T08:00:00Z")
    assert names(response) == ["2027-01-15T08:00:00Z"]


# --- whose data, and which graphs ------------------------------------------------------------------------------------


def test_one_publisher_several_and_all(site: Site) -> None:
    first, second = (f"0x{address(number).hex()}" for number in (0, 1))
    assert "Lake" not in names(site.query(NAMES, publisher=first))
    assert names(site.query(NAMES, publisher=second)) == ["Lake"]
    both = site.query(NAMES, publisher=[second, first])
    assert names(both) == names(site.query(NAMES))
    assert both.headers["dkg-claim"] == site.query(NAMES).headers["dkg-claim"] == "L1"


def test_default_and_named_graphs_of_the_request(site: Site) -> None:
    air, water = str(ual(0, "air")), str(ual(1, "water"))
    assert names(site.query(NAMES, **{"default-graph-uri": water})) == ["Lake"]
    assert names(site.query(NAMES, **{"default-graph-uri": [air, water]})) == ["Lake", "North", "South", "West"]
    in_graphs = "SELECT DISTINCT ?name { GRAPH ?g { ?s <https://example.org/name> ?name } }"
    assert names(site.query(in_graphs, **{"named-graph-uri": water})) == ["Lake"]
    assert names(site.query(in_graphs, **{"default-graph-uri": water})) == []
    assert names(site.query(NAMES, **{"named-graph-uri": water})) == []


def test_graphs_are_named_up_to_a_limit(site: Site) -> None:
    at = {"query": "ASK {}", "named-graph-uri": [f"x:{number}" for number in range(GRAPHS_MAX)]}
    assert site.post("/sparql", data=at).json()["boolean"] is True
    over = {"query": "ASK {}", "named-graph-uri": ["x:a"] * (GRAPHS_MAX + 1)}
    assert code(site.post("/sparql", data=over)) == (400, "parameter-invalid")


def test_a_view_answers_as_the_pages_do(own: Site) -> None:
    texts = [
        NAMES,
        "SELECT ?g (COUNT(*) AS ?name) { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g ORDER BY ?g",
        "ASK { ?s ?p 41 }",
    ]
    by_pages = [own.query(text).json() for text in texts]
    own.node.views = True
    own.node.store.views.ensure(own.node.standing(None).root)
    assert [own.query(text).json() for text in texts] == by_pages


def test_where_a_view_is_damaged_the_pages_answer(own: Site) -> None:
    right = own.query(NAMES).json()
    root = own.node.standing(None).root
    table = next(own.node.store.views.ensure(root).glob("*.sst"))
    table.write_bytes(table.read_bytes()[:-1])
    answer = own.query(NAMES + " # again, as an answer may be remembered")
    assert (answer.status_code, answer.json()) == (200, right)
    assert own.node.failed == {root}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"publisher": "0x12"}, (400, "parameter-invalid")),
        ({"publisher": "0x" + "12" * 20}, (404, "publisher-unknown")),
        ({"publisher": [f"0x{n:040x}" for n in range(101)]}, (400, "parameter-invalid")),
        ({"at": "now"}, (400, "parameter-invalid")),
        ({"at": "block:x"}, (400, "parameter-invalid")),
        ({"at": "block:-1"}, (400, "parameter-invalid")),
        ({"at": "block:" + "9" * 19}, (400, "parameter-invalid")),
        ({"at": "time:2027-01-15T08:00:00"}, (400, "parameter-invalid")),
        ({"at": "time:2027-13-15T08:00:00Z"}, (400, "parameter-invalid")),
        ({"at": "root:bafkqaaa"}, (400, "parameter-invalid")),
        ({"at": "root:" + cid_text(b"\x01\x71\x12\x20" + bytes(32))}, (404, "moment-unknown")),
        ({"at": "block:1"}, (404, "moment-unknown")),
        ({"at": "seq:1"}, (404, "moment-unknown")),
        ({"min_claim": "L3"}, (400, "parameter-invalid")),
        ({"max_age": "-1"}, (400, "parameter-invalid")),
        ({"max_age": "29"}, (412, "too-old")),
        ({"min_claim": "L2", "publisher": "0x" + address(1).hex()}, (412, "claim-not-met")),
        ({"min_claim": "L2"}, (412, "claim-not-met")),
    ],
)
def test_a_moment_that_cannot_be_answered(site: Site, fields: Any, expected: tuple[int, str]) -> None:  # noqa: ANN401
    assert code(site.query(NAMES, **fields)) == expected


def test_good_enough_is_answered(site: Site) -> None:
    assert names(site.query(NAMES, max_age=30, min_claim="L1"))
    assert names(site.query(NAMES, max_age=30, min_claim="L1", publisher=f"0x{address(1).hex()}"))


def test_a_block_from_the_future_has_no_age(site: Site) -> None:
    site.clock.now = site.node.block.time - 61
    assert code(site.query(NAMES, max_age=10**9)) == (412, "too-old")
    site.clock.now += 1
    assert site.query(NAMES, max_age=0).headers["dkg-age"] == "0"


def test_old_states_by_block_seq_time_and_root(site: Site) -> None:
    text, first = "ASK { ?s <https://example.org/name> 'West' }", f"0x{address(0).hex()}"
    old = site.query(text, publisher=first, at="seq:1")
    assert old.json()["boolean"] is False
    assert old.headers["dkg-seq"] == "1"
    for at in (
        "block:2",
        "time:2027-01-15T08:00:12Z",
        "time:2027-01-15T09:00:23+01:00",
        f"root:{old.headers['dkg-root']}",
    ):
        assert site.query(text, publisher=first, at=at).content == old.content, at
    assert site.query(text, publisher=first, at="seq:2").json()["boolean"] is True
    assert site.query(text, at="block:3").json()["boolean"] is False


# --- header fields ---------------------------------------------------------------------------------------------------


def test_every_answer_says_what_it_is_of(site: Site) -> None:
    response, standing = site.query(NAMES, publisher=f"0x{address(0).hex()}"), site.node.standing((address(0),))
    expected = {
        "DKG-Root": cid_text(standing.root),
        "DKG-Claim": "L1",
        "DKG-State": "pending",
        "DKG-Block": "5",
        "DKG-Block-Hash": f"0x{site.node.block.hash.hex()}",
        "DKG-Block-Time": "2027-01-15T08:00:48Z",
        "DKG-Age": "30",
        "DKG-Position": "4",
        "DKG-Seq": "3",
        "DKG-Behind": "0",
        "DKG-Publisher-Count": "1",
        "DKG-Publishers": f"0x{address(0).hex()}",
    }
    assert {*expected} == {name for name in STATE_FIELDS if not name.startswith(("DKG-Checkpoint", "DKG-Beside"))}
    assert {name: response.headers[name] for name in expected} == expected


def test_pending_becomes_final_and_behind_is_told(own: Site) -> None:
    who = {"publisher": f"0x{address(0).hex()}"}
    assert own.query(NAMES, **who).headers["dkg-state"] == "pending"
    own.node.mine()
    own.node.mine()
    own.node.behind = 3
    later = own.query(NAMES, **who)
    assert (later.headers["dkg-state"], later.headers["dkg-behind"]) == ("final", "3")


def test_many_publishers_are_counted_and_not_named(own: Site) -> None:
    for number in range(PUBLISHERS_SHOWN - 1):
        own.node.store.follow(bytes([number]) * 20, at=START)
    response = own.query(NAMES)
    assert response.headers["dkg-publisher-count"] == str(PUBLISHERS_SHOWN + 1)
    assert "dkg-publishers" not in response.headers


# --- conditions ------------------------------------------------------------------------------------------------------


def test_what_the_client_has_is_not_sent_and_not_computed(site: Site) -> None:
    first = site.query(NAMES)
    tag = first.headers["etag"]
    for header in (tag, f'"other", {tag}', tag.removeprefix("W/")):
        response = site.get("/sparql", params={"query": NAMES}, headers={"If-None-Match": header})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == tag
        assert response.headers["dkg-root"] == first.headers["dkg-root"]
    for header in ('"other"', "*", "", "nonsense"):
        other = site.get("/sparql", params={"query": NAMES}, headers={"If-None-Match": header})
        assert other.status_code == 200


def test_validators_tell_apart_what_differs(site: Site) -> None:
    who = f"0x{address(0).hex()}"
    answers = [
        site.query(NAMES),
        site.query(NAMES + " "),
        site.query(NAMES, "text/csv"),
        site.query(NAMES, CAR),
        site.query(NAMES, CAR + "+zstd"),
        site.query(NAMES, now="2027-01-15T08:00:00Z"),
        site.query(NAMES, base="http://e/"),
        site.query(NAMES, publisher=who),
        site.query(NAMES, publisher=who, at="seq:1"),
        site.query(NAMES, **{"default-graph-uri": "http://e/"}),
        site.query(NAMES, **{"named-graph-uri": "http://e/"}),
        site.query(NAMES, **{"default-graph-uri": "http://e/", "named-graph-uri": "http://e/"}),
    ]
    tags = [response.headers["etag"] for response in answers]
    assert len(set(tags)) == len(tags)
    assert [tag.startswith("W/") for tag in tags] == [CAR not in one.headers["content-type"] for one in answers]


def test_only_what_can_never_change_is_kept_unasked(site: Site) -> None:
    root = site.query(NAMES).headers["dkg-root"]
    assert site.query(NAMES).headers["cache-control"] == "public, no-cache"
    assert "immutable" in site.query(NAMES, at=f"root:{root}").headers["cache-control"]
    assert site.query(NAMES, at=f"root:{root}", max_age=100).headers["cache-control"] == "public, no-cache"
    assert site.query("SELEC", at=f"root:{root}").headers["cache-control"] == "no-store"


# --- proofs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", [CAR, CAR + "+zstd", f"{CAR}, */*;q=0.5"])
def test_a_proof_verifies_against_the_root_that_the_client_trusts(site: Site, accept: str) -> None:
    who = address(0)
    response = site.query(NAMES, accept, publisher=f"0x{who.hex()}")
    assert response.status_code == 200
    car = response.content if "zstd" not in accept else decompress(response.content, 10**7)
    answer = dkg.verify(car, NAMES, site.node.standing((who,)).root)
    assert sorted(row[0].value for row in answer.rows if row[0] is not None) == names(
        site.query(NAMES, publisher=f"0x{who.hex()}")
    )
    with pytest.raises(dkg.ProofError):
        dkg.verify(car, NAMES, site.node.standing(None).root)
    with pytest.raises(dkg.ProofError):
        dkg.verify(car[:-1] + b"x", NAMES, site.node.standing((who,)).root)


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"now": "2027-01-15T08:00:00Z"}, {"now": "2027-01-15T08:00:00Z"}),
        ({"default-graph-uri": "x:a"}, {"dataset": dkg.Dataset((b"<x:a>",), ())}),
        ({"named-graph-uri": ["x:a", "x:b"]}, {"dataset": dkg.Dataset((), (b"<x:a>", b"<x:b>"))}),
        ({"base": "http://e/"}, {"base_iri": "http://e/"}),
    ],
)
def test_a_proof_is_of_all_that_the_request_says(site: Site, fields: Any, options: Any) -> None:  # noqa: ANN401
    text = "SELECT * { { ?s ?p ?o } UNION { GRAPH ?g { ?s ?p ?o } } }"
    car = site.query(text, CAR, **fields).content
    answer = dkg.verify(car, text, site.node.standing(None).root, **options)
    assert len(answer.rows) == len(site.query(text, **fields).json()["results"]["bindings"])


def test_a_proof_says_its_base(site: Site) -> None:
    text = "ASK { <s> ?p ?o }"
    response = site.query(text, CAR)
    assert (
        dkg.verify(response.content, text, site.node.standing(None).root, base_iri=response.headers["dkg-base"]).boolean
        is False
    )


def test_nothing_is_proved_as_nothing(site: Site) -> None:
    text = "SELECT * { ?s <https://example.org/nothing> ?o }"
    answer = dkg.verify(site.query(text, CAR).content, text, site.node.standing(None).root)
    assert answer.provably_nothing


def test_a_proof_of_an_old_root(site: Site) -> None:
    root = site.query(NAMES, publisher=f"0x{address(0).hex()}", at="seq:1").headers["dkg-root"]
    car = site.query(NAMES, CAR, publisher=f"0x{address(0).hex()}", at=f"root:{root}").content
    assert len(dkg.verify(car, NAMES, cid_bytes(root)).rows) == 2


# --- what changes ----------------------------------------------------------------------------------------------------


def test_a_new_commit_is_in_the_next_answer(own: Site) -> None:
    before = own.query(NAMES)
    own.node.publish(1, "rain", ':rain :name "Rain" .')
    after = own.get("/sparql", params={"query": NAMES}, headers={"If-None-Match": before.headers["etag"]})
    assert "Rain" in names(after)


class Racing(Node):
    """A node whose roots go just after somebody was told of them."""

    def reading(self, root: bytes) -> AbstractContextManager[Path | None]:
        for kept in self.store.kept():
            if kept.root == root:
                self.store.forget(kept.name)
        return super().reading(root)


def test_a_root_that_went_while_it_was_asked_is_told_and_nothing_else(own: Site) -> None:
    racing = Racing(own.node.store, log=own.node.log)
    response = site_of(racing, own.runner).query(NAMES)
    assert code(response) == (503, "store-unavailable")
    assert "kept" not in response.text
    assert response.headers["retry-after"] == "5"


def test_what_is_wrong_with_the_store_is_in_the_log_alone(own: Site) -> None:
    racing = site_of(Racing(own.node.store, log=own.node.log), own.runner)
    response = racing.query(NAMES)
    (fault,) = racing.events("http.fault")
    assert fault["request"] == response.headers["x-request-id"] == response.json()["request"]
    assert "not kept here" in str(fault["text"])
    assert fault["trace"] is None


def test_a_node_with_nothing_yet_says_so(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        empty = site_of(Node(store), InProcess(store.pages))
        assert code(empty.query(NAMES)) == (404, "moment-unknown")
        assert code(empty.get("/health/ready")) == (503, "not-ready")
        assert empty.get("/health/live").json()["live"] is True
        assert b"dkg_ready 0.0" in empty.get("/metrics", headers=bearer(Scope.METRICS)).content


def test_many_at_once(site: Site) -> None:
    async def all_of_them() -> list[httpx.Response]:
        return await asyncio.gather(
            *(site.ask_soon("GET", "/sparql", params={"query": NAMES + f"#{number}"}) for number in range(40))
        )

    answers = asyncio.run(all_of_them())
    assert {response.status_code for response in answers} == {200}
    assert len({json.dumps(response.json()) for response in answers}) == 1
