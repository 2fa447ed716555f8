"""What SHACL shapes found: values for people and programs, from the report that the standard defines.

A finding names the node that was looked at, the path from it, the value there, and what the shape expected.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import pyoxigraph as ox
from rdflib.namespace import RDF, SH, XSD
from rdflib.term import BNode, Literal, URIRef

from node.assets.errors import ShapesError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rdflib.graph import Graph
    from rdflib.term import Node

SHOWN_MAX: Final = 20
"""Most findings that a text tells one by one; it says how many there are."""

_SHOWN_CHARACTERS_MAX: Final = 300
_ITEMS_MAX: Final = 8
_DEPTH_MAX: Final = 16
_COMPONENT: Final = "ConstraintComponent"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One result of a validation. IRIs and literals are written as N-Triples writes them."""

    severity: str
    """`Violation`, `Warning`, `Info`, or the IRI of another."""
    focus: str
    """The node that was looked at."""
    path: str
    """The path from it, as a SPARQL property path; empty if the node itself was at fault."""
    value: str
    """The value at fault; empty if one is missing, or the number of them is at fault."""
    component: str
    """The kind of constraint: `MinCount`, `Datatype`, ..."""
    expected: str
    """What the shape says: `sh:minCount 1`."""
    message: str
    """The shape's own message (sh:message), if it has one."""
    shape: str
    """The shape, if it has a name."""

    def __str__(self) -> str:
        focus = "a node without a name" if self.focus.startswith("_:") else _cut(self.focus)
        where = f"{focus}, {_cut(self.path)}" if self.path else focus
        found = f" has {_cut(self.value)}" if self.value and self.value != self.focus else ""
        message = f" ({_cut(self.message)})" if self.message else ""
        return f"{where}{found}: {self.expected} is expected{message}"


@dataclass(frozen=True, slots=True)
class ShapesReport:
    """What came of checking an asset against shapes."""

    findings: tuple[Finding, ...]
    """In order: violations first."""
    nodes: int
    """How many nodes of the asset the shapes looked at. None of them: then nothing was checked."""
    rdf: str
    """The report as the standard has it, in Turtle (sh:ValidationReport)."""

    @property
    def violations(self) -> list[Finding]:
        """What refuses the asset: all but warnings and informations."""
        return [finding for finding in self.findings if finding.severity not in {"Warning", "Info"}]

    @property
    def others(self) -> list[Finding]:
        """Warnings and informations."""
        return [finding for finding in self.findings if finding.severity in {"Warning", "Info"}]

    def json(self) -> dict[str, Any]:
        """The report as an object for JSON."""
        findings = [asdict(finding) for finding in self.findings]
        return {"conforms": not self.violations, "nodes": self.nodes, "findings": findings}


class ShapesViolated(ShapesError):  # noqa: N818 - it says what happened
    """The asset does not conform to its shapes: a line for each violation. `report` has them as values and as RDF."""

    def __init__(self, report: ShapesReport) -> None:
        self.report = report
        super().__init__(f"the asset does not conform to its shapes: {told(report.violations, 'violation')}")


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else f"{text[:_SHOWN_CHARACTERS_MAX]}..."


def told(findings: list[Finding], noun: str) -> str:
    """How many findings there are, and the first of them, a line each."""
    shown = "".join(f"\n  {finding}" for finding in findings[:SHOWN_MAX])
    more = f"\n  and {len(findings) - SHOWN_MAX} more" if len(findings) > SHOWN_MAX else ""
    return f"{len(findings)} {noun}{'' if len(findings) == 1 else 's'}{shown}{more}"


def findings_of(report: Graph, shapes: Graph, names: Mapping[BNode, str]) -> tuple[Finding, ...]:
    """The findings of a validation report. `names`: what people know blank nodes by."""
    # The report quotes blank nodes of data and shapes whole, and these may say that they are results themselves.
    heads = [head for head in report.subjects(RDF.type, SH.ValidationReport) if (None, None, head) not in report]
    results = [result for head in heads for result in report.objects(head, SH.result)]
    found = {_finding(report, result, shapes, names) for result in results}
    return tuple(sorted(found, key=lambda finding: (finding.severity in {"Warning", "Info"}, finding)))


def _finding(report: Graph, result: Node, shapes: Graph, names: Mapping[BNode, str]) -> Finding:
    def one(predicate: Node) -> Node | None:
        return report.value(result, predicate, any=True)

    def text(predicate: Node) -> str:
        node = one(predicate)
        return names.get(node, term_text(node)) if isinstance(node, BNode) else term_text(node)

    shape, component = one(SH.sourceShape), str(one(SH.sourceConstraintComponent))
    path, own = one(SH.resultPath), {*shapes.objects(shape, SH.message)}
    kind = component.removeprefix(str(SH)).removesuffix(_COMPONENT)
    return Finding(
        severity=str(one(SH.resultSeverity)).removeprefix(str(SH)),
        focus=text(SH.focusNode),
        path="" if path is None else path_text(report, path),
        value=text(SH.value),
        component=kind,
        expected=_expected(shapes, shape, kind),
        message="; ".join(sorted(map(str, own & {*report.objects(result, SH.resultMessage)}))),
        shape=term_text(shape) if isinstance(shape, URIRef) else "",
    )


def term_text(node: Node | None) -> str:
    """A term as N-Triples writes it; empty for none."""
    if node is None:
        return ""
    if isinstance(node, Literal):
        return str(ox.Literal(str(node))) + _suffix(node)  # rdflib would leave line ends as they are
    return f"<{node}>" if isinstance(node, URIRef) else f"_:{node}"


def _suffix(literal: Literal) -> str:
    if literal.language:
        return f"@{literal.language}"
    return f"^^<{literal.datatype}>" if literal.datatype else ""


def path_text(graph: Graph, path: Node) -> str:
    """A SHACL path as SPARQL writes it."""
    return _path(graph, path, 0)[0]


def _path(graph: Graph, path: Node, depth: int) -> tuple[str, int]:
    """The text of a path, and how loosely it holds together: a name, something around one, a sequence, a choice."""
    if not isinstance(path, BNode) or depth > _DEPTH_MAX:
        return term_text(path), _NAME
    if (path, RDF.first, None) in graph:
        steps = [_path(graph, step, depth + 1) for step in _items(graph, path)]
        return "/".join(_grouped(step, _CHOICE) for step in steps), _SEQUENCE
    for predicate, inner in graph.predicate_objects(path):
        if predicate == SH.alternativePath:
            return "|".join(_path(graph, one, depth + 1)[0] for one in _items(graph, inner)), _CHOICE
        before, after = _AROUND.get(predicate, ("", ""))  # type: ignore[call-overload]  # any node may be looked up
        if before or after:
            return f"{before}{_grouped(_path(graph, inner, depth + 1), _UNARY)}{after}", _UNARY
    return term_text(path), _NAME


_NAME, _UNARY, _SEQUENCE, _CHOICE = range(4)
_AROUND: Final = {
    SH.inversePath: ("^", ""),
    SH.zeroOrMorePath: ("", "*"),
    SH.oneOrMorePath: ("", "+"),
    SH.zeroOrOnePath: ("", "?"),
}


def _grouped(step: tuple[str, int], looser: int) -> str:
    """A step, in parentheses if it is as loose as `looser`."""
    return f"({step[0]})" if step[1] >= looser else step[0]


def _items(graph: Graph, head: Node) -> list[Node]:
    """The first items of a list, cyclic or not."""
    found: list[Node] = []
    node: Node | None = head
    while node is not None and len(found) <= _ITEMS_MAX:
        first = graph.value(node, RDF.first)
        if first is None:
            break
        found.append(first)
        node = graph.value(node, RDF.rest)
    return found


def _expected(shapes: Graph, shape: Node | None, kind: str) -> str:
    """What a shape says that a kind of constraint checks: its parameters and their values."""
    names = _PARAMETERS.get(kind, (kind[:1].lower() + kind[1:],))
    said = [f"sh:{name} {_value_text(shapes, value)}" for name in names for value in shapes.objects(shape, SH + name)]
    return _cut(" ; ".join(sorted(said))) or f"sh:{names[0]}"


_PARAMETERS: Final = {
    "Pattern": ("pattern", "flags"),
    "Closed": ("closed", "ignoredProperties"),
    "QualifiedMinCount": ("qualifiedMinCount", "qualifiedValueShape"),
    "QualifiedMaxCount": ("qualifiedMaxCount", "qualifiedValueShape"),
}


_PREFIXES: Final = {str(XSD): "xsd:", str(SH): "sh:", str(RDF): "rdf:"}
_BARE: Final = {XSD.integer, XSD.decimal, XSD.boolean}


def short(iri: str) -> str:
    """An IRI with a prefix that everybody knows, or as N-Triples writes it."""
    prefix = next((prefix for prefix in _PREFIXES if iri.startswith(prefix)), None)
    return f"<{iri}>" if prefix is None else _PREFIXES[prefix] + iri.removeprefix(prefix)


def _value_text(shapes: Graph, value: Node) -> str:
    if isinstance(value, URIRef):
        return short(str(value))
    if isinstance(value, Literal):
        return str(value) if value.datatype in _BARE else term_text(value)
    items = _items(shapes, value)
    if not items:
        return "[...]"
    more = " ..." if len(items) > _ITEMS_MAX else ""
    return "(" + " ".join(_value_text(shapes, item) for item in items[:_ITEMS_MAX]) + f"{more})"
