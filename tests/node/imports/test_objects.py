"""JSON by a mapping."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dkg.errors import LimitError
from node.imports.errors import SourceError
from tests.node.imports.desk import Imported, imported

MAPPING: dict[str, Any] = {
    "@context": {
        "schema": "https://schema.org/",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
        "name": "schema:name",
        "price": {"@id": "schema:price", "@type": "xsd:decimal"},
        "count": {"@id": "schema:size", "@type": "xsd:integer"},
        "any": "schema:value",
        "address": "schema:address",
        "city": "schema:addressLocality",
        "link": {"@id": "schema:url", "@type": "@id"},
    },
    "@id": "https://example.org/{name}",
    "@type": "schema:Product",
    "items": "/data/0/records",
}


def things(*records: Any, text: str | None = None) -> Imported:  # noqa: ANN401 - JSON
    body = json.dumps(list(records)) if text is None else text
    return imported("json", '{"data": [{"records": ' + body + "}]}", json.dumps(MAPPING).encode())


def test_members_become_what_the_mapping_says() -> None:
    found = things({"name": "a", "price": 9.99, "count": 5, "any": [1, True, "t", None], "address": {"city": "B"}})
    (address,) = {o for p, o in found.about(":a") if p == "schema:address"}
    assert found.about(":a") == {
        ("rdf:type", "schema:Product"),
        ("schema:name", '"a"'),
        ("schema:price", '"9.99"^^xsd:decimal'),
        ("schema:size", '"5"^^xsd:integer'),
        ("schema:value", '"1"^^xsd:integer'),
        ("schema:value", '"true"^^xsd:boolean'),
        ("schema:value", '"t"'),
        ("schema:address", address),
    }
    assert found.about(address) == {("schema:addressLocality", '"B"')}
    assert {o.partition("#")[2] for s, p, o in found.record if s == ":a"} == {"/data/0/records/0"}


def test_numbers_keep_the_digits_that_they_are_written_with() -> None:
    found = things(text='[{"name": "a", "price": 123456789012345678.125, "count": 123456789012345678}]')
    assert found.about(":a") >= {
        ("schema:price", '"123456789012345678.125"^^xsd:decimal'),
        ("schema:size", '"123456789012345678"^^xsd:integer'),
    }


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"name": "a", "count": 5.5}, r"/data/0/records/0: '5.5' is no xsd:integer.*https://schema.org/size"),
        ({"name": "a", "price": "x"}, "'x' is no xsd:decimal"),
        ({"name": "a", "@context": {"name": "urn:x"}}, "the member '@context'"),
        ({"name": "a", "address": {"@id": "urn:x"}}, "the member '@id'"),
        ({"name": "a", "unknown": 1}, "no context says what 'unknown' means"),
        ({"name": "a", "link": "rel"}, "the IRI 'rel' is relative.*--base"),
        ({"name": "\ud800"}, "lone surrogate"),
        ({"price": 1}, "there is no 'name'"),
        (5, "an item is an object"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(record: Any, reason: str) -> None:  # noqa: ANN401 - JSON
    with pytest.raises(SourceError, match=reason):
        things(record)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[{"name": "a", "name": "b"}]', "is twice in one object"),
        ('[{"name": "a", "any": NaN}]', "no number of JSON"),
        ('[{"name": "a", "any": 1e999}]', "too large"),
        ('[{"name": "a", "any": ' + "9" * 400 + "}]", "over 300 digits"),
        ("[" * 300 + "]" * 300, "nested over 256"),
        ('[{"name": "a", "any": ' + "[" * 70 + "1" + "]" * 70 + "}]", "nested over 64 deep"),
        ('[{"name": "a", "any": ' + json.dumps([1] * 5001) + "}]", "over 5000 JSON values"),
        ("[1,]", "does not parse"),
    ],
)
def test_json_that_is_in_doubt_or_out_of_bounds_is_refused(text: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        things(text=text)


@pytest.mark.parametrize("document", ['{"data": []}', '{"data": [{"nope": 1}]}', "5", '{"data": {"0": 1}}'])
def test_a_pointer_that_leads_nowhere_is_told(document: str) -> None:
    with pytest.raises(SourceError, match="there is no /data/0/records"):
        imported("json", document, json.dumps(MAPPING).encode())


def test_objects_are_limited_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.imports.objects.ITEMS_MAX", 2)
    assert things({"name": "a"}, {"name": "b"}).triples
    with pytest.raises(LimitError, match="ITEMS_MAX"):
        things({"name": "a"}, {"name": "b"}, {"name": "c"})


def test_a_document_is_limited_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b'{"data":[{"records":{"name":"a"}}]}'
    monkeypatch.setattr("node.imports.objects.DOCUMENT_BYTES_MAX", len(data))
    assert imported("json", data, json.dumps(MAPPING).encode()).triples
    with pytest.raises(LimitError, match="DOCUMENT_BYTES_MAX"):
        imported("json", data + b" ", json.dumps(MAPPING).encode())


@pytest.mark.parametrize("value", ["true", "false"])
def test_a_truth_value_is_no_number(value: str) -> None:
    context = {"n": {"@id": "https://example.org/n", "@type": "http://www.w3.org/2001/XMLSchema#integer"}}
    with pytest.raises(SourceError, match=f"'{value}' is no xsd:integer"):
        imported("json", f'{{"n": {value}}}', json.dumps({"@context": context}).encode())


@pytest.mark.parametrize(
    ("value", "datatype", "is_one"),
    [("true", "boolean", True), ("1.5", "integer", False), ("1.5", "double", True), ("7", "date", False)],
)
def test_numbers_of_web_pages_are_of_their_datatype(value: str, datatype: str, is_one: bool) -> None:  # noqa: FBT001
    typed = f'{{"@value": {value}, "@type": "http://www.w3.org/2001/XMLSchema#{datatype}"}}'
    page = f'<script type="application/ld+json">{{"https://example.org/n": {typed}}}</script>'
    if is_one:
        assert imported("html", page).triples
    else:
        with pytest.raises(SourceError, match=f"is no xsd:{datatype}"):
            imported("html", page)


def test_what_is_no_iri_is_told_as_it_was_written() -> None:
    mapping = {"@context": {"n": "https://example.org/n"}, "@type": "Foo bar"}
    with pytest.raises(SourceError, match="'Foo bar' is no absolute IRI"):
        imported("json", '{"n": 1}', json.dumps(mapping).encode())
