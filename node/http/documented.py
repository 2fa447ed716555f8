"""What the OpenAPI document says of routes that read their requests themselves, and of what all routes share."""

from __future__ import annotations

from typing import Any, Final

from node.http.accept import GRAPHS, PROOFS, TABLES
from node.http.body import FORM
from node.http.moments import NUMBER_MAX, PUBLISHERS_MAX, STATE_FIELDS
from node.http.protocol import GRAPHS_MAX, PRIVATE_MAX, QUERY, SCOPE_PRIVATE
from node.http.shapes import ADDRESS_EXAMPLE

Json = dict[str, Any]

EXAMPLE_QUERY: Final = "SELECT ?s ?p ?o WHERE { ?s ?p ?o } LIMIT 10"

STATE_HEADERS: Final[Json] = {
    name: {"schema": {"type": "string"}, "description": text}
    for name, text in zip(
        STATE_FIELDS,
        (
            "CID of the dataset that was asked; of the checkpoint's, if the claim is L2.",
            "L1: complete for the publishers that are named. L2: complete for all, by a checkpoint.",
            "final, pending or disputed.",
            "The newest block that was read: as of when the answer is complete.",
            "Its hash.",
            "Its time.",
            "Seconds since then.",
            "Commits of the registry's log that are taken into account.",
            "The commit, if it is one publisher's dataset.",
            "Commits that the chain has and this node has not.",
            "How many publishers there are in the dataset.",
            "Their addresses, if there are few.",
            "If the claim is L2: the checkpoint's id.",
            "Commits of the registry's log that the checkpoint takes into account.",
            "Of the checkpoint alone: final, pending or disputed. DKG-State is the weaker of this and those beside it.",
            "How many publishers are answered from datasets of their own beside it, as they committed since.",
            "These publishers, each with the CID of its dataset after a colon, if they are few.",
        ),
        strict=True,
    )
}

CACHE_HEADERS: Final[Json] = {
    "ETag": {"schema": {"type": "string"}, "description": "Strong for proofs and pages, weak for results."},
    "Cache-Control": {"schema": {"type": "string"}},
}

LOCATION: Final[Json] = {
    "Location": {
        "schema": {"type": "string"},
        "description": "Where to ask how it goes.",
        "example": "/v1/operations/b3zq",
    }
}

BINARY: Final[Json] = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
TEXT: Final[Json] = {"schema": {"type": "string"}}


def parameter(name: str, text: str, schema: Json, *, example: object = None, many: int = 0) -> Json:
    """A parameter in the query string. `many`: how often it may be given, if more than once."""
    found: Json = {"name": name, "in": "query", "required": False, "description": text}
    if many:
        found |= {"schema": {"type": "array", "items": schema, "maxItems": many}, "style": "form", "explode": True}
    else:
        found |= {"schema": schema}
    if example is not None:
        found["example"] = example
    return found


ADDRESS: Final[Json] = {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"}
IRI: Final[Json] = {"type": "string", "format": "iri"}

AT_TEXT: Final = "A moment: block:N, seq:N (a commit of one publisher), time:RFC3339 or root:CID. By default now."
AT_PATTERN: Final = (
    "^(block|seq):[0-9]{1,18}$|^time:[0-9-]{10}T[0-9:.]{8,18}(Z|[+-][0-9]{2}:[0-9]{2})$|^root:b[a-z2-7]{58}$"
)
"""What `at` looks like; not everything that looks so is a moment."""

PUBLISHER_TEXT: Final = "Ask the dataset of this publisher (again: of several) and not of all that are followed."
MIN_CLAIM_TEXT: Final = (
    "Refuse (412) to claim less. L1: complete for the publishers. L2: complete for all: the latest final checkpoint is "
    "asked, and beside it the datasets of those who committed since."
)
MAX_AGE_TEXT: Final = "Refuse (412) if the newest block is older than so many seconds."
BESIDE_TEXT: Final = (
    "With min_claim=L2 and at=root:CID of a checkpoint, final or pending: the publisher that is answered from the "
    "dataset of its own that follows the colon (nothing: it has none), and not from the checkpoint. Again for several."
)
ORIGINS_TEXT: Final = "With min_claim=L2, of a proof: whether it shows quads where counts in pages would do."
BESIDE_PATTERN: Final = "^0x[0-9a-fA-F]{40}:(b[a-z2-7]{58})?$"

MOMENT: Final[list[Json]] = [
    parameter("publisher", PUBLISHER_TEXT, ADDRESS, many=PUBLISHERS_MAX),
    parameter("at", AT_TEXT, {"type": "string", "pattern": AT_PATTERN}),
    parameter("min_claim", MIN_CLAIM_TEXT, {"type": "string", "enum": ["L1", "L2"]}),
    parameter("max_age", MAX_AGE_TEXT, {"type": "integer", "minimum": 0, "maximum": NUMBER_MAX}),
    parameter("origins", ORIGINS_TEXT, {"type": "boolean"}),
    parameter("beside", BESIDE_TEXT, {"type": "string", "pattern": BESIDE_PATTERN}, many=PUBLISHERS_MAX),
]

_PROTOCOL: Final[list[Json]] = [
    parameter("default-graph-uri", "A graph of the query's default graph.", IRI, many=GRAPHS_MAX),
    parameter("named-graph-uri", "A named graph of the query.", IRI, many=GRAPHS_MAX),
    *MOMENT,
    parameter(
        "private",
        "The UAL of an asset whose private part is asked as well, or `all` that the caller may read. Sign in before.",
        {"type": "string"},
        many=PRIVATE_MAX,
    ),
    parameter(
        "scope",
        "`private`: ask the private part of one asset alone, without anything public. Then there are proofs.",
        {"type": "string", "enum": [SCOPE_PRIVATE]},
    ),
    parameter(
        "base",
        "What relative IRIs are relative to; by default the URL of this endpoint. `DKG-Base` says it with a proof.",
        {"type": "string", "format": "uri"},
    ),
    parameter(
        "now",
        "What NOW() gives: an xsd:dateTime. Without it, NOW() is refused.",
        {"type": "string", "format": "date-time"},
    ),
]


_RESULTS: Final[Json] = {
    **{one.media_type: TEXT for one in (*TABLES, *GRAPHS)},
    "application/sparql-results+json": {"schema": {"type": "object"}},
    "application/json": {"schema": {"type": ["object", "array"]}},
    "application/ld+json": {"schema": {"type": ["object", "array"]}},
    **{one.media_type: BINARY for one in PROOFS},
}

_ANSWERS: Final[dict[int | str, Json]] = {
    200: {
        "description": "The answer; with `Accept: application/vnd.ipld.car`, its proof, which `dkg verify` checks.",
        "content": _RESULTS,
        "headers": {**STATE_HEADERS, **CACHE_HEADERS},
    },
    304: {"description": "The client has it already.", "headers": {**STATE_HEADERS, **CACHE_HEADERS}},
}

SPARQL_GET: Final[Json] = {
    "operation_id": "query",
    "summary": "Answer a query, prove the answer, or describe the service",
    "description": (
        "The W3C SPARQL 1.1 Protocol. The default graph holds the triples of all graphs in scope. "
        "Without `query`, the SPARQL 1.1 Service Description, as RDF."
    ),
    "responses": _ANSWERS,
    "openapi_extra": {
        "parameters": [
            parameter("query", "The query.", {"type": "string"}, example=EXAMPLE_QUERY),
            *_PROTOCOL,
        ]
    },
}

_FIELD: Final[Json] = {
    "type": "object",
    "required": ["query"],
    "properties": {
        "query": {"type": "string"},
        **{one["name"]: one["schema"] for one in _PROTOCOL},
    },
}

SPARQL_POST: Final[Json] = {
    "operation_id": "query_by_post",
    "summary": "Answer a query, or prove the answer",
    "description": "As GET, for queries that are too long for a URL.",
    "responses": _ANSWERS,
    "openapi_extra": {
        "parameters": _PROTOCOL,
        "requestBody": {
            "required": True,
            "content": {
                QUERY: {"schema": {"type": "string"}, "example": EXAMPLE_QUERY},
                FORM: {"schema": _FIELD, "example": {"query": EXAMPLE_QUERY, "publisher": [ADDRESS_EXAMPLE]}},
            },
        },
    },
}

GRAPH_ANSWER: Final[Json] = {
    "description": "RDF; for an asset's content also its proof.",
    "content": {
        **{one.media_type: TEXT for one in GRAPHS[:5]},
        "application/ld+json": {"schema": {"type": ["object", "array"]}},
    },
    "headers": {**STATE_HEADERS, **CACHE_HEADERS},
}
