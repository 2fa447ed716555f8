"""Documents of SHACL shapes: SHACL Core, well formed, with something to check.

Whatever else a shapes graph may say (SPARQL, JavaScript, rules, imports, entailment) could run code or fetch
documents, and a term of SHACL that is unknown or misspelt would be passed over in silence; so both are refused, and
shapes that are not well formed as well.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Final

import pyoxigraph as ox
from pyshacl.shapes_graph import ShapesGraph
from rdflib.graph import Graph
from rdflib.namespace import OWL, RDF, SH, XSD
from rdflib.term import BNode, URIRef

from dkg.errors import InputError, LimitError
from dkg.normal import normalize_all
from dkg.rdf import FORMATS
from dkg.rdf_safety import check_nesting
from dkg.terms import to_oxigraph
from node.assets.errors import ShapesError
from node.assets.report import findings_of, short, told
from node.assets.shacl import private_logger, rdflib_node, validated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rdflib.term import Node

SHAPES_BYTES_MAX: Final = 1024 * 1024
"""Longest document of shapes, in bytes."""

SHAPES_TRIPLES_MAX: Final = 20_000
"""Most triples of a shapes graph."""

_CORE: Final = {
    "targetClass", "targetNode", "targetObjectsOf", "targetSubjectsOf", "path", "property", "node", "severity",
    "message", "deactivated", "name", "description", "order", "group", "defaultValue", "inversePath",
    "alternativePath", "zeroOrMorePath", "oneOrMorePath", "zeroOrOnePath", "class", "datatype", "nodeKind",
    "minCount", "maxCount", "minExclusive", "minInclusive", "maxExclusive", "maxInclusive", "minLength",
    "maxLength", "pattern", "flags", "languageIn", "uniqueLang", "equals", "disjoint", "lessThan",
    "lessThanOrEquals", "not", "and", "or", "xone", "qualifiedValueShape", "qualifiedMinCount", "qualifiedMaxCount",
    "qualifiedValueShapesDisjoint", "closed", "ignoredProperties", "hasValue", "in", "declare", "prefix",
    "namespace", "conforms", "result", "focusNode", "resultPath", "resultSeverity", "resultMessage", "value",
    "sourceShape", "sourceConstraint", "sourceConstraintComponent", "detail",
}  # fmt: skip
_CLASSES: Final = {"Shape", "NodeShape", "PropertyShape", "PropertyGroup", "ValidationReport", "ValidationResult"}
_TARGETS: Final = (SH.targetClass, SH.targetNode, SH.targetObjectsOf, SH.targetSubjectsOf)
_REWRITTEN: Final = {
    XSD.dateTimeStamp: "xsd:dateTime",
    **dict.fromkeys(
        [
            *(XSD.int, XSD.long, XSD.short, XSD.byte, XSD.nonNegativeInteger, XSD.positiveInteger),
            *(XSD.nonPositiveInteger, XSD.negativeInteger),
            *(XSD.unsignedLong, XSD.unsignedInt, XSD.unsignedShort, XSD.unsignedByte),
        ],
        "xsd:integer with sh:minInclusive and sh:maxInclusive",
    ),
}
"""Datatypes that no literal in normal form has (docs/formats.md, section 1), and what to ask for instead."""


def read_shapes(data: bytes, form: str, base_iri: str | None = None) -> Graph:
    """A document of shapes as a graph. Raises `ShapesError` and `LimitError`."""
    graph = _parsed(data, form, base_iri)
    names = _names(graph)
    _check_vocabulary(graph, names)
    report, _ = validated(graph, _shapes_of_shapes())
    faults = [fault for fault in findings_of(report, _shapes_of_shapes(), names) if fault.severity == "Violation"]
    if faults:
        raise ShapesError(f"the shapes are not well formed: {told(faults, 'fault')}")
    if not any((None, target, None) in graph for target in _TARGETS) and not _has_class_target(graph):
        raise ShapesError("none of the shapes has a target, so nothing would be checked: add a sh:targetClass")
    return graph


def _parsed(data: bytes, form: str, base_iri: str | None) -> Graph:
    if form not in FORMATS:
        raise ShapesError(f"{form!r} is not a format of shapes; choose one of {', '.join(FORMATS)}")
    if len(data) > SHAPES_BYTES_MAX:
        raise LimitError(f"the shapes have {len(data)} bytes; {SHAPES_BYTES_MAX} is the most (SHAPES_BYTES_MAX)")
    graph = Graph()
    try:
        check_nesting(data, form)
        parsed = ox.parse(data, format=FORMATS[form], base_iri=base_iri)
        triples = [quad.triple for quad in islice(parsed, SHAPES_TRIPLES_MAX + 1)]
        texts = {term: str(term).encode() for triple in triples for term in triple if isinstance(term, ox.Literal)}
        normal = dict(zip(texts, map(to_oxigraph, normalize_all(list(texts.values()))), strict=True))
        for s, p, o in triples:
            graph.add((rdflib_node(s), rdflib_node(p), rdflib_node(normal.get(o, o))))
    except InputError as error:
        raise type(error)(f"the shapes cannot be read: {error}") from error
    except (SyntaxError, ValueError) as error:
        raise ShapesError(f"the shapes do not parse: {error}") from error
    if len(triples) > SHAPES_TRIPLES_MAX:
        raise LimitError(f"the shapes have over {SHAPES_TRIPLES_MAX} triples (SHAPES_TRIPLES_MAX)")
    return graph


def _names(graph: Graph) -> dict[BNode, str]:
    """What people can know blank nodes of a shapes graph by: the nearest shape with a name that leads to them."""
    names: dict[BNode, str] = {}
    pending: list[tuple[Node, str]] = [(s, f"<{s}>") for s in set(graph.subjects()) if isinstance(s, URIRef)]
    while pending:
        subject, name = pending.pop()
        for predicate, o in graph.predicate_objects(subject):
            if isinstance(o, BNode) and o not in names:
                names[o] = name if predicate in {RDF.first, RDF.rest} else f"the {short(str(predicate))} of {name}"
                pending.append((o, names[o]))
    return names


def _check_vocabulary(graph: Graph, names: Mapping[BNode, str]) -> None:
    for s, p, o in graph:
        name = str(p).removeprefix(str(SH))
        if p == OWL.imports:
            raise ShapesError(f"the shapes import <{o}>, and nothing is fetched: put its shapes into the same file")
        if name != str(p) and name not in _CORE:
            raise ShapesError(f"sh:{name} of {_told(s, names)} is no term of SHACL Core, so nothing would check it")
        kind = str(o).removeprefix(str(SH))
        if p == RDF.type and kind != str(o) and kind not in _CLASSES:
            raise ShapesError(f"{_told(s, names)} is a sh:{kind}, which is not SHACL Core: nothing would check it")
        if p == SH.datatype and isinstance(o, URIRef) and o in _REWRITTEN:
            raise ShapesError(
                f"no published literal has the datatype {short(str(o))}, which {_told(s, names)} asks for: numbers "
                f"and times are published in normal form; ask for {_REWRITTEN[o]}"
            )


def _told(node: Node, names: Mapping[BNode, str]) -> str:
    return names.get(node, "a shape without a name") if isinstance(node, BNode) else f"<{node}>"


def _has_class_target(graph: Graph) -> bool:
    return any(shape.implicit_class_targets() for shape in ShapesGraph(graph, logger=private_logger()).shapes)


@cache
def _shapes_of_shapes() -> Graph:
    """The shapes that say what a well-formed shapes graph is (SHACL, appendix C), as they come with pySHACL."""
    return _parsed((files("pyshacl") / "assets" / "shacl-shacl.ttl").read_bytes(), "ttl", None)
