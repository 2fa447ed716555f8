"""SHACL shapes, checked over an asset's content before it is published (W3C SHACL, 20 July 2017).

What is checked is what is published: the asset's quads, literals in normal form. Blank nodes, which were given IRIs,
are blank again while they are checked. Nothing is inferred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rdflib.graph import Graph
from rdflib.namespace import SH
from rdflib.term import BNode

from dkg.errors import LimitError
from node.assets.report import ShapesReport, ShapesViolated, findings_of
from node.assets.shacl import data_graph, unlogged, validated
from node.assets.shapes_graph import read_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rdflib.term import Node, URIRef

    from dkg.terms import Quad

CHECKED_QUADS_MAX: Final = 200_000
"""Most quads of an asset that is checked; so many take some 10 s and 0.5 GB."""


def check_shapes(quads: frozenset[Quad], shapes: bytes, form: str, *, base_iri: str | None = None) -> ShapesReport:
    """Check an asset's quads against a document of shapes in an RDF format (a name of `dkg.rdf.FORMATS`).

    Raises `ShapesViolated` with the report if the asset does not conform, `ShapesError` for shapes that cannot be
    used, `LimitError`. Warnings and informations are in the report that is given.
    """
    if len(quads) > CHECKED_QUADS_MAX:
        raise LimitError(
            f"an asset of {len(quads)} quads is too large to check: {CHECKED_QUADS_MAX} is the most (CHECKED_QUADS_MAX)"
        )
    with unlogged():
        graph = read_shapes(shapes, form, base_iri)
        data, names = data_graph(quads)
        report, nodes = validated(data, graph)
        texts = {node: f"<{iri}>" for node, iri in names.items()}
        rdf = _renamed(report, names).serialize(format="turtle")
        found = ShapesReport(findings_of(report, graph, texts), nodes, rdf)
    if found.violations:
        raise ShapesViolated(found)
    return found


def _renamed(report: Graph, names: Mapping[BNode, URIRef]) -> Graph:
    """The report with the IRIs that blank nodes of the asset are published under."""

    def name(node: Node) -> Node:
        return names.get(node, node) if isinstance(node, BNode) else node

    renamed = Graph()
    renamed.bind("sh", SH)
    for s, p, o in report:
        renamed.add((name(s), p, name(o)))
    return renamed
