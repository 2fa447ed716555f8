"""CSV and TSV by a mapping."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.errors import InputError, LimitError
from dkg.terms import to_oxigraph
from node.imports import limits
from node.imports.errors import MappingError, SourceError
from node.imports.options import KINDS, ImportOptions
from node.imports.run import Imports
from tests.node.imports.desk import NAME, Imported, imported

CONTEXT: dict[str, Any] = {
    "schema": "https://schema.org/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "name": "schema:name",
    "population": {"@id": "schema:population", "@type": "xsd:integer"},
    "country": "schema:containedInPlace",
    "tags": "schema:keywords",
    "founded": {"@id": "schema:foundingDate", "@type": "xsd:date"},
}
MAPPING: dict[str, Any] = {
    "@context": CONTEXT,
    "@id": "https://example.org/city/{code}",
    "@type": "schema:City",
    "iris": {"country": "https://example.org/country/{country}"},
    "split": {"tags": ";"},
    "ignore": ["code"],
}
HEAD = "code,name,population,country,tags,founded\n"


def mapping(**changes: Any) -> bytes:  # noqa: ANN401 - JSON
    return json.dumps({**MAPPING, **changes}).encode()


def table(rows: str | bytes, **changes: Any) -> Imported:  # noqa: ANN401 - JSON
    return imported("csv", HEAD.encode() + (rows.encode() if isinstance(rows, str) else rows), mapping(**changes))


def test_columns_become_what_the_mapping_says() -> None:
    found = table('BER,Berlin,3700000,DE,capital;big,1237-10-28\n"S 1/é",São,,,,\n')
    assert found.about(":city/BER") == {
        ("rdf:type", "schema:City"),
        ("schema:name", '"Berlin"'),
        ("schema:population", '"3700000"^^xsd:integer'),
        ("schema:containedInPlace", ":country/DE"),
        ("schema:keywords", '"capital"'),
        ("schema:keywords", '"big"'),
        ("schema:foundingDate", '"1237-10-28"^^xsd:date'),
    }
    assert found.about(":city/S%201%2F%C3%A9") == {("rdf:type", "schema:City"), ("schema:name", '"São"')}
    assert found.warnings == []


def test_every_row_says_where_it_is_from() -> None:
    found = imported("csv", HEAD + "A,a,,,,\n\nB,b,,,,\n", mapping(), name="dir/cities.csv", source="https://x.org/c")
    places = {(s, o.partition("#")[2]) for s, p, o in found.record if p == "prov:wasDerivedFrom"}
    assert places == {(":city/A", "row=2"), (":city/B", "row=4")}
    (source,) = {o for s, p, o in found.record if p == "prov:used"}
    assert source.startswith("ni:///sha-256;")
    assert {(p, o) for s, p, o in found.record if s == source} == {
        ("rdf:type", "prov:Entity"),
        ("rdfs:label", '"cities.csv"'),
        ("dcterms:format", '"csv"'),
        ("dcterms:source", "https://x.org/c"),
    }
    agents = {o for s, p, o in found.record if p == "prov:wasAssociatedWith"}
    assert agents == {"urn:dkg:import:csv:1", NAME.publisher.did}
    assert any(p == "prov:hadPlan" and o.startswith("ni:///sha-256;") for _, p, o in found.record)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("A,n,12a,,,\n", r"line 2, column 'population': '12a' is no xsd:integer"),
        ('A,"n\nm",1,,,\nB,n,x,,,\n', r"line 4, column 'population': 'x' is no xsd:integer"),
        ("A,n,٣,,,\n", "column 'population'"),
        ("A,n, 1,,,\n", "column 'population': ' 1'"),
        ("A,n,1,,,2023-02-29\n", "column 'founded': '2023-02-29' is no xsd:date"),
        ("A,n\n", "line 2: there are 2 cells, and 6 columns"),
        ("A,n,1,,,,\n", "line 2: there are 7 cells"),
        (",n,1,,,\n", "line 2: there is no 'code'"),
        ("A,n\0,1,,,\n", "line 2 has a null character"),
        (b"A,\xff,1,,,\n", "line 2 is not UTF-8"),
        ('A,"n,1,,,\n', "line 2: this is no CSV"),
        ('A,"n"x,1,,,\n', "line 2: this is no CSV"),
        ("A,n\rB,m\n", "line 2: this is no CSV"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(rows: str | bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        table(rows)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("", "the table is empty"),
        ("code,code\n", "two columns have the name 'code'"),
        ("code,\n", "column 2 has no name"),
        ("@context,code\n", "which JSON-LD uses"),
        ("@id,code\n", "which JSON-LD uses"),
    ],
)
def test_a_header_that_could_mean_something_else_is_refused(head: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        imported("csv", head + "a,b\n" * bool(head), mapping())


def test_a_column_that_nothing_explains_is_not_left_out_in_silence() -> None:
    with pytest.raises(SourceError, match="line 2: no context says what 'zip' means"):
        imported("csv", "code,name,zip,country,tags\nA,n,10115,,\n", mapping())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"more": 1}, "'more' is no member of a mapping"),
        ({"@id": "https://e.org/{nope}"}, "the column 'nope', which the table does not have"),
        ({"@id": "{code}"}, "no absolute IRI before"),
        ({"@id": "https://e.org/{+code}"}, r"has \{\+code\}"),
        ({"@id": "https://e.org/{code"}, "a brace without its other one"),
        ({"@id": 5}, "no text"),
        ({"iris": []}, "'iris' of a mapping is an object"),
        ({"split": {"tags": "ab"}}, "one character"),
        ({"delimiter": ""}, "the delimiter is one character"),
        ({"missing": "NA"}, "a list of texts"),
        ({"trim": 1}, "true or false"),
        ({"items": "records"}, "a JSON pointer"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(MappingError, match=reason):
        table("A,n,,,,\n", **changes)


@pytest.mark.parametrize("text", ["[]", "{", '{"@context":{},"@context":{}}', "{}", '{"@context":{},"trim":NaN}'])
def test_a_mapping_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(MappingError):
        imported("csv", HEAD, text.encode())


def test_without_a_mapping_a_table_means_nothing() -> None:
    with pytest.raises(MappingError, match="--mapping FILE"):
        imported("csv", HEAD)


def test_a_remote_context_is_not_fetched_and_one_that_is_given_is_used() -> None:
    remote = {"@context": "https://remote.example/c"}
    with pytest.raises(SourceError, match="never fetched"):
        table("A,n,,,,\n", **remote)
    contexts = {"https://remote.example/c": json.dumps({"@context": CONTEXT}).encode()}
    found = imported("csv", HEAD + "A,n,,,,\n", mapping(**remote), contexts=contexts)
    assert ("schema:name", '"n"') in found.about(":city/A")


def test_a_cell_cannot_leave_its_place_in_an_iri() -> None:
    found = table('../../x?y#z,n,1,"> <urn:evil",,\n')
    assert found.about(":city/..%2F..%2Fx%3Fy%23z") >= {
        ("schema:containedInPlace", ":country/%3E%20%3Curn%3Aevil"),
    }


def test_formulas_and_bidi_controls_are_texts() -> None:
    formula, bidi = '=HYPERLINK("http://evil")', "\u202e\u2066evil"
    rows = io.StringIO()
    csv.writer(rows).writerows([["A", formula, "", "", "", ""], ["B", bidi, "", "", "", ""]])
    found = table(rows.getvalue())
    assert ("schema:name", json.dumps(formula)) in found.about(":city/A")
    assert ("schema:name", f'"{bidi}"') in found.about(":city/B")


def test_languages_lists_missing_values_trimming_and_delimiters() -> None:
    context = {
        **CONTEXT,
        "name": {"@id": "schema:name", "@language": "de"},
        "tags": {"@id": "schema:keywords", "@container": "@list"},
    }
    found = table("A| n |NA||b; a;|\n".replace("|", ","), **{"@context": context, "missing": ["", "NA"], "trim": True})
    assert ("schema:name", '"n"@de') in found.about(":city/A")
    (first,) = {o for p, o in found.about(":city/A") if p == "schema:keywords"}
    (rest,) = {o for p, o in found.about(first) if p == "rdf:rest"}
    assert found.about(first) == {("rdf:first", '"b"'), ("rdf:rest", rest)}
    assert found.about(rest) == {("rdf:first", '"a"'), ("rdf:rest", "rdf:nil")}
    semicolons = imported("csv", HEAD.replace(",", ";") + "A;n;;;;\n", mapping(delimiter=";"))
    assert ("schema:name", '"n"') in semicolons.about(":city/A")
    tabs = imported("csv", HEAD.replace(",", "\t") + "A\tn\t\t\t\t\n", mapping(), name="x.tsv.gz")
    assert tabs.triples == semicolons.triples


def test_rows_without_a_name_are_named_by_what_they_say() -> None:
    mapped = mapping(ignore=[])
    without = json.loads(mapped)
    del without["@id"]
    without["@context"]["code"] = "schema:identifier"
    data = json.dumps(without).encode()
    one = imported("csv", HEAD + "A,n,,,,\nB,m,,,,\n", data)
    other = imported("csv", HEAD + "B,m,,,,\nA,n,,,,\nA,n,,,,\n", data)
    assert one.triples == other.triples
    assert len({s for s, _, _ in one.triples}) == 2
    assert all(s.startswith("items:") for s, _, _ in one.triples)


def test_rows_without_values_are_told_of() -> None:
    found = table("A,,,,,\nB,n,,,,\n")
    assert found.warnings == ["file: 1 rows have no value, and are left out"]


@pytest.mark.parametrize(
    ("name", "most", "rows"),
    [
        ("CELL_CHARACTERS_MAX", 5, ["A,12345,,,,\n", "A,123456,,,,\n"]),
        (
            "LINE_BYTES_MAX",
            len(HEAD),
            ["A," + "x" * (len(HEAD) - 7) + ",,,,\n", "A," + "x" * (len(HEAD) - 6) + ",,,,\n"],
        ),
        ("TABLE_BYTES_MAX", len(HEAD) + 9, ["A,nn,,,,\n", "A,nnn,,,,\n"]),
        ("ITEMS_MAX", 2, ["A,n,,,,\n" * 2, "A,n,,,,\n" * 3]),
        ("COLUMNS_MAX", 6, ["A,n,,,,\n", None]),
    ],
)
def test_limits_at_the_limit_and_one_past_it(
    name: str, most: int, rows: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert getattr(limits, name) > most
    monkeypatch.setattr(f"node.imports.tables.{name}", most)
    within, over = rows
    assert within is not None
    assert table(within).triples
    data = HEAD.strip() + ",g\n" if over is None else HEAD + over
    with pytest.raises(LimitError, match=name):
        imported("csv", data, mapping())


def test_parts_of_a_list_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.imports.mapping.PARTS_MAX", 2)
    assert table("A,n,,,a;b,\n").triples
    with pytest.raises(LimitError, match="line 2: 'tags' has over 2 parts"):
        table("A,n,,,a;b;c,\n")


CELLS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(CELLS, st.integers()), min_size=1, max_size=4))
def test_cells_come_back_from_literals_as_they_were(rows: list[tuple[str, int]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["code", "name", "population"])
    for number, (cell, value) in enumerate(rows):
        writer.writerow([str(number), cell, str(value)])
    mapped = json.dumps({"@context": CONTEXT, "@id": "https://example.org/{code}", "ignore": ["code"]}).encode()
    imports = Imports(NAME, ImportOptions(None, mapped), {})
    quads = [q for batch in imports.quads("csv", "f", io.BytesIO(text.getvalue().encode())) for q in batch]
    names = {s: getattr(to_oxigraph(o), "value", None) for s, p, o, _ in quads if p == b"<https://schema.org/name>"}
    numbers = {s: int(getattr(to_oxigraph(o), "value", "")) for s, p, o, _ in quads if p.endswith(b"population>")}
    assert names == {f"<https://example.org/{n}>".encode(): c for n, (c, _) in enumerate(rows) if c}
    assert numbers == {f"<https://example.org/{n}>".encode(): v for n, (_, v) in enumerate(rows)}


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=120))
def test_whatever_the_bytes_nothing_but_an_input_error_comes_out(data: bytes) -> None:
    for kind in KINDS:
        try:
            assert imported(kind, data, mapping() if kind in {"csv", "json"} else None).triples >= set()
        except InputError as error:
            assert str(error)  # noqa: PT017 - that it is of this family is what is asked


@pytest.mark.parametrize(
    ("template", "code"),
    [("{code}", ".."), ("{code}", "."), ("{code}/x", ".."), ("{code}#x", ".."), (".{code}", "."), ("{code}?q", ".")],
)
def test_no_value_makes_an_iri_of_another_place(template: str, code: str) -> None:
    iri = {"@id": f"https://example.org/city/{template}"}
    with pytest.raises(SourceError, match=r"line 2: the IRI would be 'https://example.org/city/.*another place"):
        table(f"{code},Berlin,,,,\n", **iri)
    assert table(f"{code}.a,Berlin,,,,\n", **iri).triples


def test_ends_of_lines_and_quotes_that_are_none_are_told_in_words_of_tables() -> None:
    with pytest.raises(SourceError, match="line 1: this is no CSV: a line ends with a carriage return alone"):
        imported("csv", b"code\ra\rb\r", mapping())
    with pytest.raises(SourceError, match=r"line 2: this is no CSV: .* a quote is not closed"):
        table('a,"' + "b\n" * 80_000)
