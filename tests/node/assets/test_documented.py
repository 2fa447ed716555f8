"""docs/assets.md: its queries give what it says, over proofs, and it names every statement and every limit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pyoxigraph as ox
import pytest

import dkg
from node.assets import edits, provenance, shacl, shapes, shapes_graph, strict_json, vocabulary
from node.assets.edits import Details, put, retract
from node.assets.request import PublishOptions, publish_request
from tests.data import w3c_suite
from tests.node.assets.world import NOW, PUBLISHER, World, triples, ual

if TYPE_CHECKING:
    from dkg.answer import Term

PAGE = (Path(__file__).parents[3] / "docs" / "assets.md").read_text()
(PREFIXES,) = re.findall(r"```sparql prefixes\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = re.findall(r"```sparql\n(.*?)```\n\n\|(.*?)\n\n", PAGE, re.DOTALL)
HOUR = 3600
CC = "https://creativecommons.org/licenses/by/4.0/"


def example() -> World:
    world = World()
    details = Details("Air 2025", licence=CC, derived_from=("https://example.org/sensors.csv",))
    world.apply(put(ual("air-2025"), triples("air-2025", ":north :no2 41 ."), details, NOW))
    details = Details("Air 2026", licence=CC, supersedes=(ual("air-2025"),))
    content = triples("air-2026", ":north :no2 19 . :south :no2 31 .")
    world.apply(put(ual("air-2026"), content, details, NOW + HOUR))
    world.apply(put(ual("draft"), triples("draft", ":north :no2 19000 ."), Details("Draft"), NOW))
    world.apply(retract(ual("draft"), NOW + 2 * HOUR, "wrong units"))
    credential = w3c_suite() / "eddsa" / "TestVectors" / "eddsa-rdfc-2022" / "signedDataInt.json"
    world.apply(publish_request(PUBLISHER, PublishOptions("diploma", (str(credential),), credential=True), NOW).edit)
    return world


def cell(term: Term | None) -> str:
    """A term as the page writes it: numbers and times without their types."""
    if isinstance(term, ox.Literal) and term.datatype.value.endswith(("#integer", "#dateTime")):
        return f"`{term.value}`"
    return f"`{term}`"


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == PAGE.count("```sparql\n") == 5


@pytest.mark.parametrize(("query", "table"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_gives_what_the_page_says(query: str, table: str) -> None:
    header, _, *rows = [re.split(r" *\| *", line.strip("| ")) for line in table.splitlines()]
    world = example()
    proof = dkg.prove(world.store, world.now, PREFIXES + query)
    answer = dkg.verify(proof.car, PREFIXES + query, world.now)
    assert list(answer.variables) == header
    assert [[cell(term) for term in row] for row in answer.rows] == rows


def test_every_statement_is_on_the_page() -> None:
    """What the example's provenance graphs hold, and every term that provenance can use."""
    prefixes = dict(re.findall(r"PREFIX (\w+): <(.*?)>", PREFIXES))
    prefixes["rdf"] = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    known = {
        term
        for name, term in vars(vocabulary).items()
        if isinstance(term, bytes) and not name.startswith("_") and name != "DATE_TIME"
    }
    used = {quad[1] for quad in example().quads() if quad[3].endswith(b"#provenance>")}
    assert used <= known
    for term in known:
        iri = term[1:-1].decode()
        prefix = next(prefix for prefix, namespace in prefixes.items() if iri.startswith(namespace))
        assert f"`{prefix}:{iri.removeprefix(prefixes[prefix])}`" in PAGE


def test_every_limit_is_on_the_page() -> None:
    limits = PAGE.partition("## Limits")[2]
    for most in (
        f"{edits.ASSET_QUADS_MAX:,} quads, {edits.ASSET_BYTES_MAX // 2**20} MiB",
        f"{provenance.TEXT_CHARACTERS_MAX:,} characters",
        f"{edits.NAMES_MAX} each",
        f"{shapes.CHECKED_QUADS_MAX:,} quads",
        f"{shapes_graph.SHAPES_BYTES_MAX // 2**20} MiB, {shapes_graph.SHAPES_TRIPLES_MAX:,} triples",
        f"{shacl.SHAPES_DEPTH_MAX} levels",
        f"{strict_json.DOCUMENT_BYTES_MAX // 2**20} MiB, {strict_json.VALUES_MAX:,} JSON values",
        f"{strict_json.DEPTH_MAX} levels; contexts of its own {strict_json.INLINE_CONTEXT_BYTES_MAX // 2**10} KiB",
    ):
        assert most in limits
