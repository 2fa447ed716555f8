"""`dkg publish` of files that are no RDF, from the file to an answer that is verified against the chain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.node.cli.conftest import Desk

MAPPING = {
    "@context": {"name": "https://schema.org/name"},
    "@id": "https://example.org/{code}",
    "ignore": ["code"],
}
CSV = "code,name\nA,a\nB,b\n"


def test_the_command_imports_and_what_it_says_is_verified(desk: Desk) -> None:
    home = desk.deployed()
    mapping = desk.file("m.json", json.dumps(MAPPING))
    rows = desk.file("t.csv", CSV)
    made = desk.signed(home, "publish", rows, "--asset", "t", "--mapping", mapping, "--source", "https://example.org/t")
    again = desk.signed(
        home, "publish", rows, "--asset", "t", "--mapping", mapping, "--source", "https://example.org/t"
    )
    assert again == made | {"changed": False}
    query = f"""PREFIX prov: <http://www.w3.org/ns/prov#> PREFIX dcterms: <http://purl.org/dc/terms/>
    SELECT ?name ?where {{ ?thing <https://schema.org/name> ?name .
      GRAPH <{made["ual"]}#items> {{ ?thing prov:wasDerivedFrom/dcterms:isPartOf/dcterms:source ?where }}
    }} ORDER BY ?name"""
    proof = str(desk.path / "proof.car")
    desk.ok("query", "--store", f"{home}/store", "--proof", proof, query)
    answer = desk.ok("verify", proof, "--publisher", desk.address(), "--home", home, query)
    found = [(row["name"]["value"], row["where"]["value"]) for row in answer["answer"]["results"]["bindings"]]
    assert found == [("a", "https://example.org/t"), ("b", "https://example.org/t")]


def test_the_command_names_file_line_and_column(desk: Desk) -> None:
    home = desk.deployed()
    mapping = {**MAPPING, "@context": {"name": {"@id": "urn:n", "@type": "http://www.w3.org/2001/XMLSchema#integer"}}}
    rows, named = desk.file("t.csv", CSV), desk.file("m.json", json.dumps(mapping))
    ran = desk.refused(home, "publish", rows, "--asset", "t", "--mapping", named)
    assert ran.code == 1
    assert "t.csv: line 2, column 'name': 'a' is no xsd:integer" in ran.err
    assert "--mapping FILE" in desk.refused(home, "publish", rows, "--asset", "t").err
    unknown = desk.refused(home, "publish", desk.file("x.bib", "@misc{"), "--asset", "t")
    assert "x.bib: line 1" in unknown.err
