"""The W3C suite for SHACL Core, through `check_shapes`: every result, as a set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pyoxigraph as ox
import pytest
from rdflib.graph import Graph
from rdflib.namespace import RDF, SH
from rdflib.term import BNode, Literal, URIRef

from dkg.normal import normalize
from dkg.rdf import parse_quads
from node.assets.errors import ShapesError
from node.assets.report import ShapesReport, ShapesViolated, path_text, term_text
from node.assets.shacl import rdflib_node
from node.assets.shapes import check_shapes
from tests.data import w3c_suite
from tests.node.assets.world import ual

if TYPE_CHECKING:
    from pathlib import Path

    from rdflib.term import Node

    from dkg.terms import Quad

ROOT = w3c_suite() / "shacl" / "data-shapes-test-suite" / "tests" / "core"
BASE = "https://w3c.github.io/data-shapes/tests/core/"
MF = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#"
SHT = "http://www.w3.org/ns/shacl-test#"
COMPONENTS = str(SH)

SKIPPED = {
    "node/qualified-001": "sh:qualifiedMinCount on a node shape is not well formed: refused, not ignored",
    "path/path-strange-002": "a path that is a list and an inverse path is not well formed: refused, not guessed at",
    "property/datatype-ill-formed": "asks for xsd:byte, which no literal in normal form has: refused, with a way out",
    "property/qualifiedValueShape-001": "uses sh:nodeShape, which is no term of SHACL: refused, not ignored",
    "property/uniqueLang-002": "rests on '1' being no true xsd:boolean; in normal form it is 'true', so it is checked",
}
"""Tests whose result differs from what W3C expects, on purpose, and why."""

Result = tuple[str, str, str, str, str, str]


@dataclass(frozen=True)
class Case:
    id: str
    data: Path
    shapes: Path
    manifest: Path

    @property
    def base(self) -> str:
        return iri_of(self.shapes)


def iri_of(path: Path) -> str:
    return BASE + path.relative_to(ROOT).as_posix()


@cache
def graph_of(path: Path) -> Graph:
    graph = Graph()
    for quad in ox.parse(path.read_bytes(), format=ox.RdfFormat.TURTLE, base_iri=iri_of(path)):
        s, p, o = (rdflib_node(term) for term in quad.triple)  # rdflib's own parser would rewrite literals
        graph.add((s, p, o))
    return graph


def cases() -> list[Case]:
    found = []
    for path in sorted(ROOT.rglob("*.ttl")):
        graph = graph_of(path)
        for test in graph.subjects(RDF.type, URIRef(SHT + "Validate")):
            action = graph.value(test, URIRef(MF + "action"))
            data, shapes = (
                ROOT / str(graph.value(action, URIRef(SHT + name))).removeprefix(BASE)
                for name in ("dataGraph", "shapesGraph")
            )
            found.append(Case(path.relative_to(ROOT).with_suffix("").as_posix(), data, shapes, path))
    return found


CASES = cases()


def quads_of(path: Path) -> frozenset[Quad]:
    batches = parse_quads(path.read_bytes(), format="ttl", base_iri=iri_of(path), graph=ual("a").graph)
    return frozenset(quad for batch in batches for quad in batch)


def text(node: Node | None) -> str:
    """A term in normal form; blank nodes, whose names differ, are all alike."""
    if isinstance(node, BNode):
        return "_"
    return normalize(term_text(node).encode()).decode() if isinstance(node, Literal) else term_text(node)


def result_of(graph: Graph, node: Node) -> Result:
    path = graph.value(node, SH.resultPath)
    return (
        str(graph.value(node, SH.resultSeverity)).removeprefix(str(SH)),
        text(graph.value(node, SH.focusNode)),
        "" if path is None else path_text(graph, path),
        text(graph.value(node, SH.value)),
        str(graph.value(node, SH.sourceConstraintComponent))
        .removeprefix(COMPONENTS)
        .removesuffix("ConstraintComponent"),
        shape_text(graph.value(node, SH.sourceShape)),
    )


def shape_text(shape: Node | None) -> str:
    return f"<{shape}>" if isinstance(shape, URIRef) else ""


def expected(case: Case) -> tuple[bool, set[Result]]:
    graph = graph_of(case.manifest)
    (report,) = graph.objects(None, URIRef(MF + "result"))
    results = [result_of(graph, node) for node in graph.objects(report, SH.result)]
    return str(graph.value(report, SH.conforms)) == "true", set(results)


def found(case: Case) -> tuple[bool, set[Result]]:
    report = report_of(case)
    results = [(f.severity, blank(f.focus), f.path, blank(f.value), f.component, f.shape) for f in report.findings]
    graph = Graph().parse(data=report.rdf, format="turtle")
    assert len(list(graph.subjects(RDF.type, SH.ValidationResult))) >= len(results)
    return not results, set(results)


def blank(term: str) -> str:
    return "_" if term.startswith("_:") or "/.well-known/genid/" in term else term


def report_of(case: Case) -> ShapesReport:
    try:
        return check_shapes(quads_of(case.data), case.shapes.read_bytes(), "ttl", base_iri=case.base)
    except ShapesViolated as violated:
        return violated.report


def test_the_suite_is_complete() -> None:
    assert len(CASES) == 98
    assert set(SKIPPED) <= {case.id for case in CASES}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.id, marks=[pytest.mark.slow] if case.id == "complex/shacl-shacl" else [])
        for case in CASES
        if case.id not in SKIPPED
    ],
)
def test_what_w3c_expects(case: Case) -> None:
    conforms, results = expected(case)
    assert found(case) == (conforms, results)


@pytest.mark.parametrize(
    ("test", "refusal"),
    [
        ("node/qualified-001", "can only be present on a PropertyShape"),
        ("path/path-strange-002", "not well formed"),
        ("property/datatype-ill-formed", "no published literal has the datatype xsd:byte"),
        ("property/qualifiedValueShape-001", "sh:nodeShape of .* is no term of SHACL Core"),
    ],
)
def test_what_is_refused_on_purpose(test: str, refusal: str) -> None:
    (case,) = (case for case in CASES if case.id == test)
    with pytest.raises(ShapesError, match=refusal):
        report_of(case)


def test_one_is_true() -> None:
    (case,) = (case for case in CASES if case.id == "property/uniqueLang-002")
    assert [finding.component for finding in report_of(case).findings] == ["UniqueLang"]
