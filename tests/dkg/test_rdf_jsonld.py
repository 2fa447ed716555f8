"""JSON-LD: nothing is dropped without a word, and memory is bounded."""

from __future__ import annotations

import json

import pytest

from dkg.errors import LimitError, RdfError
from dkg.limits import JSON_LEVEL_BYTES_MAX
from dkg.rdf import parse_quads
from dkg.rdf_safety import check_nesting


@pytest.mark.parametrize(
    "text",
    [
        b'{"@id": "a", "urn:p": 1}',
        b'{"@id": "", "urn:p": 1}',
        b'{"@id": "urn:s", "urn:p": {"@id": "../a"}}',
        b'{"@id": "urn:s", "@type": "a"}',
        b'{"@id": "a", "@graph": [{"@id": "urn:s", "urn:p": 1}]}',
    ],
)
def test_relative_iris_without_a_base_are_refused_and_not_dropped(text: bytes) -> None:
    with pytest.raises(RdfError, match="give a base IRI"):
        list(parse_quads(text, format="jsonld"))
    assert sum(map(len, parse_quads(text, format="jsonld", base_iri="http://e/x/y"))) == 1


@pytest.mark.parametrize("levels", [2, 200])
def test_attack_deep_and_large_json_that_would_fill_the_memory(levels: int) -> None:
    """128 levels around 0.5 MB made the engine take 1.5 GB."""
    size = JSON_LEVEL_BYTES_MAX // levels
    around = b"[" * levels, b"]" * levels
    check_nesting(around[0] + b" " * (size - 2 * levels) + around[1], "jsonld")
    with pytest.raises(LimitError, match="JSON_LEVEL_BYTES_MAX"):
        check_nesting(around[0] + b" " * (size - 2 * levels + 1) + around[1], "jsonld")


SCOPED = {"T": {"@id": "urn:T", "@context": {"p": "urn:p"}}, "P": {"@id": "urn:P", "@context": {"q": "urn:q"}}}


@pytest.mark.parametrize("alias", ["@type", "kind", "sort"])
def test_types_that_each_bring_a_context_are_refused_and_nothing_is_dropped(alias: str) -> None:
    context = {**SCOPED, "kind": "@type", "sort": {"@id": "@type"}}
    node = {"@context": context, "@id": "urn:a", alias: ["T", "P"], "p": 1, "q": 2}
    with pytest.raises(RdfError, match="the types P, T, each with a context"):
        list(parse_quads(json.dumps(node).encode(), format="jsonld"))
    node[alias] = ["T", "urn:X"]
    del node["q"]
    assert sum(map(len, parse_quads(json.dumps(node).encode(), format="jsonld"))) == 3
