"""What is asked of a node under load, and which answers are right: one request each, from one of many clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import dkg
from dkg.page import cid_bytes, cid_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.node.core.processes import Answer, NodeProcess

BUSY = frozenset({429, 503})
"""Also right, of whatever is asked: there is too much of it."""

CAR = "application/vnd.ipld.car"
FORMS = (
    "application/sparql-results+json",
    "application/sparql-results+xml",
    "text/csv",
    "text/tab-separated-values",
)
QUERIES = (
    "SELECT ?p ?o WHERE {{ GRAPH ?g {{ <https://e.org/s{n}> ?p ?o }} }}",
    "SELECT ?s WHERE {{ GRAPH ?g {{ ?s <https://e.org/p1> {v} }} }}",
    "SELECT ?s ?a ?b WHERE {{ ?s <https://e.org/p0> ?a ; <https://e.org/p1> ?b }} LIMIT {n}",
    "SELECT ?a ?b WHERE {{ <https://e.org/s{n}> <https://e.org/p2> ?a OPTIONAL {{ ?b <https://e.org/p3> ?a }} }}",
    "SELECT (COUNT(*) AS ?n) WHERE {{ ?s <https://e.org/p{d}> ?o }}",
    "SELECT ?s ?o WHERE {{ ?s <https://e.org/p3> ?o FILTER(?o < {n}) }} ORDER BY ?o ?s LIMIT 20",
)
CARTESIAN = "SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"
GROWTH = (
    "SELECT (STRLEN(?x8) AS ?n) WHERE { BIND('xxxxxxxxxxxxxxxx' AS ?x0) "
    + " ".join(f"BIND(CONCAT({', '.join([f'?x{n}'] * 10)}) AS ?x{n + 1})" for n in range(8))
    + " }"
)


@dataclass(frozen=True, slots=True)
class Question:
    """One kind. `weight`: how often, among all; `ask` gives the answer's status; `right`: the statuses it may have."""

    name: str
    weight: int
    ask: Callable[[NodeProcess, Random], Answer]
    right: frozenset[int]


def client(rng: Random) -> dict[str, str]:
    """One of 200 clients, by what the proxy in front of the node says."""
    return {"X-Forwarded-For": f"198.51.100.{rng.randrange(200)}"}


def query(rng: Random) -> str:
    """A cheap query."""
    return rng.choice(QUERIES).format(n=rng.randrange(1, 400), v=rng.randrange(1_000), d=rng.randrange(4))


def sparql(node: NodeProcess, rng: Random, text: str, accept: str = FORMS[0], **more: str) -> Answer:
    """A query, one way or another."""
    headers = {"Accept": accept, **client(rng)}
    if rng.random() < 0.5:
        return node.ask("GET", "/sparql?" + urlencode({"query": text, **more}), headers=headers)
    path = "/sparql" + ("?" + urlencode(more) if more else "")
    return node.ask("POST", path, text.encode(), {"Content-Type": "application/sparql-query", **headers})


def plain(node: NodeProcess, rng: Random) -> Answer:
    return sparql(node, rng, query(rng), rng.choice(FORMS))


def construct(node: NodeProcess, rng: Random) -> Answer:
    text = f"CONSTRUCT WHERE {{ <https://e.org/s{rng.randrange(400)}> ?p ?o }}"
    return sparql(node, rng, text, rng.choice(("text/turtle", "application/n-triples", "application/ld+json")))


def proved(node: NodeProcess, rng: Random) -> Answer:
    """A proof, which is verified."""
    text = query(rng)
    answer = sparql(node, rng, text, CAR)
    if answer.status == 200:
        dkg.verify(answer.body, text, cid_bytes(answer.headers["dkg-root"]))
    return answer


def at_a_moment(node: NodeProcess, rng: Random) -> Answer:
    where = rng.choice((f"block:{rng.randrange(1, 400)}", f"root:{'bafyrei' + 'a' * 52}", "time:2026-01-01T00:00:00Z"))
    return sparql(node, rng, query(rng), at=where)


def pages(node: NodeProcess, rng: Random) -> Answer:
    """A page of the root, or all pages below it."""
    dataset = node.ask("GET", "/v1/dataset", headers=client(rng))
    if dataset.status != 200:
        return dataset
    root = dataset.json["root"]
    if rng.random() < 0.8:
        answer = node.ask("GET", f"/ipfs/{root}", headers={"Accept": "application/vnd.ipld.raw", **client(rng)})
        assert answer.status != 200 or cid_of(answer.body) == cid_bytes(root)
        return answer
    return node.ask("GET", f"/ipfs/{root}?format=car", headers=client(rng))


def lists(node: NodeProcess, rng: Random) -> Answer:
    paths = (
        "/v1/commits", "/v1/publishers", "/v1/peers", "/v1/status", "/v1/graphs", "/v1/assets", "/v1/operations",
        "/metrics", "/health", "/health/live", "/.well-known/void", "/.well-known/skill.md", "/openapi.json", "/sparql",
    )  # fmt: skip
    return node.ask("GET", rng.choice(paths), headers=client(rng))


def not_modified(node: NodeProcess, rng: Random) -> Answer:
    """The same again, with the tag of the first answer."""
    path, headers = f"/sparql?query={quote(query(rng))}", client(rng)
    first = node.ask("GET", path, headers=headers)
    return node.ask("GET", path, headers={"If-None-Match": first.headers.get("etag", "*"), **headers})


DIRECT = {"Content-Type": "application/sparql-query"}
BAD: tuple[tuple[str, str, dict[str, str], bytes | None], ...] = (
    ("GET", "/sparql?query=SELECT", {}, None),
    ("GET", "/sparql?query=" + "{" * 2_000, {}, None),
    ("GET", "/sparql?query=" + "x" * 70_000, {}, None),
    ("GET", "/sparql?query=ASK%20%7B%7D&query=ASK%20%7B%7D", {}, None),
    ("GET", "/sparql?query=ASK%20%7B%7D&at=yesterday", {}, None),
    ("GET", "/sparql?query=ASK%20%7B%7D", {"Accept": "image/png"}, None),
    ("GET", "/v1/operations", {"Authorization": "Bearer nobody"}, None),
    ("POST", "/sparql", DIRECT, ("SELECT * " + "{" * 9_000 + "}" * 9_000).encode()),
    ("POST", "/sparql", DIRECT, b"x" * 300_000),
    ("POST", "/sparql", {"Content-Type": "application/sparql-update"}, b"CLEAR ALL"),
    ("POST", "/sparql", DIRECT, b"SELECT * { SERVICE <http://127.0.0.1:9/> {} }"),
    ("POST", "/sparql", {"Content-Type": "image/png"}, b"\x89PNG"),
    ("POST", "/sparql", DIRECT, b"ASK { ?s ?p '\xff' }"),
    ("DELETE", "/v1/commits", {}, None),
    ("GET", "/v1/commits?limit=-1", {}, None),
    ("GET", "/v1/assets/did:dkg:none", {}, None),
    ("GET", "/nowhere", {}, None),
    ("GET", "/ipfs/bafyreinothing", {}, None),
    ("POST", "/v1/commits", {"DKG-Commit": "AAAA", "Content-Type": CAR}, b"\x00" * 1_000),
    ("POST", "/v1/commits", {"DKG-Commit": "AAAA", "Content-Type": "text/plain"}, b""),
    ("POST", "/v1/assets?name=x", {"Content-Type": "text/turtle"}, b"<a> <b> ."),
    ("POST", "/v1/assets?name=x", {"Content-Type": "application/ld+json"}, b'{"@context": "http://127.0.0.1:9/"}'),
)  # fmt: skip


def bad(node: NodeProcess, rng: Random) -> Answer:
    """What is no use to anybody."""
    method, path, headers, body = rng.choice(BAD)
    return node.ask(method, path, body, {**client(rng), **headers})


def costly(node: NodeProcess, rng: Random) -> Answer:
    """A query that is stopped, and mostly costs a worker its life."""
    return sparql(node, rng, rng.choice((CARTESIAN, GROWTH)), rng.choice((FORMS[0], CAR)))


FINE = frozenset({200})
WRONG = frozenset({400, 401, 403, 404, 405, 406, 409, 413, 414, 415, 422})

QUESTIONS = (
    Question("plain", 40, plain, FINE),
    Question("construct", 5, construct, FINE),
    Question("proved", 20, proved, FINE),
    Question("at", 5, at_a_moment, frozenset({200, 404})),
    Question("pages", 8, pages, frozenset({200, 404})),
    Question("lists", 12, lists, FINE),
    Question("not modified", 5, not_modified, frozenset({200, 304})),
    Question("bad", 15, bad, WRONG),
    Question("costly", 1, costly, frozenset({408, 413})),
)
