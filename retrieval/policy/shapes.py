"""SHACL shapes as far as they can be checked on one fact: a strict subset, and an error for the rest.

- Targets: `sh:targetClass`, `sh:targetSubjectsOf`, `sh:targetNode`. A shape without a target is refused.
- `sh:property` with `sh:path`, an IRI.
- Constraints: `sh:datatype`, `sh:class`, `sh:nodeKind` (IRI, Literal, IRIOrLiteral), `sh:minInclusive`,
  `sh:maxInclusive`, `sh:minExclusive`, `sh:maxExclusive`, `sh:minLength`, `sh:maxLength`, `sh:pattern` with `sh:flags`,
  `sh:in`, `sh:languageIn`, and `sh:maxCount 1`, which makes the property functional.
- For people, ignored: `sh:name`, `sh:description`, `sh:message`, `rdfs:label`, `rdfs:comment`.

A shape that is silently left out would let through what its author thinks it stops; so all else is a `PolicyError`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, cast

import pyoxigraph as ox

from dkg.errors import LimitError
from dkg.normal import normalize
from dkg.values import NUMERIC, value_of
from retrieval.policy.errors import PolicyError
from retrieval.policy.patterns import occurs, pattern
from retrieval.safety.terms import XSD, literal

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPES_BYTES_MAX: Final = 256 * 1024
"""Longest document of shapes, in bytes of UTF-8."""

CONSTRAINTS_MAX: Final = 5_000
"""Most constraints of a document of shapes."""

PATTERN_TEXT_CHARS_MAX: Final = 2_000
"""How much of a value `sh:pattern` looks at, in characters. A longer value violates it."""

TYPE: Final = b"<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RDFS: Final = "http://www.w3.org/2000/01/rdf-schema#"
_SH: Final = "http://www.w3.org/ns/shacl#"
_SILENT: Final = {_SH + "name", _SH + "description", _SH + "message", _RDFS + "label", _RDFS + "comment"}
_TARGETS: Final = {"targetClass", "targetSubjectsOf", "targetNode"}
_BOUNDS: Final = {"minInclusive", "maxInclusive", "minExclusive", "maxExclusive"}
_LENGTHS: Final = {"minLength", "maxLength"}
_SINGLE: Final = (
    _BOUNDS | _LENGTHS | {"path", "datatype", "nodeKind", "pattern", "flags", "in", "languageIn", "maxCount"}
)
_KNOWN: Final = _SINGLE | {"class"}
_KINDS: Final = {"IRI", "Literal", "IRIOrLiteral"}


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint on the values of one property."""

    name: str
    """Without prefix, such as `maxInclusive`."""
    value: tuple[bytes, ...]
    """Terms; for `pattern`, the pattern and its flags as UTF-8."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Constraints on the values of one property of some subjects."""

    path: bytes
    constraints: tuple[Constraint, ...]
    classes: tuple[bytes, ...] = ()
    """It applies to subjects of one of these classes,"""
    subjects_of: tuple[bytes, ...] = ()
    """and to those that have one of these properties,"""
    nodes: tuple[bytes, ...] = ()
    """and to these."""


def shapes_of(turtle: str, path: str) -> tuple[Shape, ...]:
    """The shapes of a document. Raises `PolicyError` for what is not supported, naming it, and `LimitError`."""
    size = len(turtle.encode(errors="replace"))
    if size > SHAPES_BYTES_MAX:
        raise LimitError(f"{path}: the shapes have {size} bytes; {SHAPES_BYTES_MAX} is the limit")
    try:
        triples = [quad.triple for quad in ox.parse(turtle, format=ox.RdfFormat.TURTLE)]
    except (SyntaxError, ValueError) as error:
        raise PolicyError(f"{path}: the shapes are not Turtle: {error}") from None
    graph: _Graph = defaultdict(lambda: defaultdict(list))
    for triple in triples:
        graph[triple.subject][triple.predicate.value].append(triple.object)
    if len(triples) > CONSTRAINTS_MAX:
        raise LimitError(f"{path}: the shapes have {len(triples)} triples; {CONSTRAINTS_MAX} is the limit")
    reading = _Reading(graph, path)
    return reading.all()


_Node = ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple
_Graph = defaultdict[_Node, defaultdict[str, list[_Node]]]


class _Reading:
    """Turns the graph of a document into shapes, and notes what was used, so that nothing is left out unseen."""

    def __init__(self, graph: _Graph, path: str) -> None:
        self._graph = graph
        self._path = path
        self._used: set[_Node] = set()

    def all(self) -> tuple[Shape, ...]:
        """All shapes, in order of their text."""
        owners = [node for node, said in self._graph.items() if _SH + "property" in said]
        shapes = [shape for node in sorted(owners, key=str) for shape in self._node_shape(node)]
        for node in self._graph:
            if node not in self._used:
                raise PolicyError(f"{self._path}: {node} is not part of a node shape with sh:property and a target")
        if not shapes:
            raise PolicyError(f"{self._path}: there is no node shape with sh:property")
        return tuple(shapes)

    def _node_shape(self, node: _Node) -> list[Shape]:
        self._used.add(node)
        said = self._graph[node]
        targets = {name: tuple(self._iri(one, name) for one in said.get(_SH + name, ())) for name in sorted(_TARGETS)}
        if not any(targets.values()):
            raise PolicyError(f"{self._path}: the shape {node} has no target; allowed are {_sh(_TARGETS)}")
        for name in said:
            if name == _RDF + "type":
                self._only(said[name], {_SH + "NodeShape"}, node)
            elif name not in _SILENT and name.removeprefix(_SH) not in {*_TARGETS, "property"}:
                raise self._unsupported(name, node)
        return [
            Shape(
                *self._property(one),
                classes=targets["targetClass"],
                subjects_of=targets["targetSubjectsOf"],
                nodes=targets["targetNode"],
            )
            for one in said[_SH + "property"]
        ]

    def _property(self, node: _Node) -> tuple[bytes, tuple[Constraint, ...]]:
        if node not in self._graph:
            raise PolicyError(f"{self._path}: the property shape {node} is not in the document")
        self._used.add(node)
        said = self._graph[node]
        constraints = []
        for name in sorted(said):
            short = name.removeprefix(_SH)
            if name == _RDF + "type":
                self._only(said[name], {_SH + "PropertyShape"}, node)
            elif name not in _SILENT:
                if not name.startswith(_SH) or short not in _KNOWN:
                    raise self._unsupported(name, node)
                if short in _SINGLE and len(said[name]) > 1:
                    raise PolicyError(f"{self._path}: sh:{short} is given twice in one property shape")
                if short not in {"path", "flags"}:
                    constraints += [self._constraint(short, one, said) for one in said[name]]
        if _SH + "path" not in said:
            raise PolicyError(f"{self._path}: the property shape {node} has no sh:path")
        return self._iri(said[_SH + "path"][0], "path"), tuple(constraints)

    def _constraint(self, name: str, value: _Node, said: defaultdict[str, list[_Node]]) -> Constraint:
        if name in {"datatype", "class"}:
            return Constraint(name, (self._iri(value, name),))
        if name == "nodeKind":
            kind = self._iri(value, name).decode()[1:-1].removeprefix(_SH)
            if kind not in _KINDS:
                raise PolicyError(f"{self._path}: sh:nodeKind is one of {_sh(_KINDS)}")
            return Constraint(name, (kind.encode(),))
        if name in _LENGTHS or name == "maxCount":
            return Constraint(name, (str(self._count(name, value)).encode(),))
        if name in {"in", "languageIn"}:
            return Constraint(name, tuple(self._list(value, name)))
        if name in _BOUNDS:
            term = normalize(str(value).encode())
            if _comparable(term) is None:
                raise PolicyError(f"{self._path}: sh:{name} is a number or a date of XML Schema")
            return Constraint(name, (term,))
        flags = said.get(_SH + "flags", [ox.Literal("")])[0]
        if not isinstance(value, ox.Literal) or not isinstance(flags, ox.Literal):
            raise PolicyError(f"{self._path}: sh:pattern and sh:flags are text")
        pattern(value.value, f"{self._path}: sh:pattern", flags.value)
        return Constraint(name, (value.value.encode(), flags.value.encode()))

    def _count(self, name: str, value: _Node) -> int:
        if not isinstance(value, ox.Literal) or not value.value.isascii() or not value.value.isdigit():
            raise PolicyError(f"{self._path}: sh:{name} is a whole number")
        number = int(value.value[:9])
        if name == "maxCount" and number != 1:
            raise PolicyError(f"{self._path}: sh:maxCount is taken as 1 only: it makes the property functional")
        return number

    def _list(self, node: _Node, name: str) -> list[bytes]:
        found: list[bytes] = []
        while node != ox.NamedNode(_RDF + "nil"):
            said = self._graph.get(node)
            if said is None or node in self._used or set(said) != {_RDF + "first", _RDF + "rest"}:
                raise PolicyError(f"{self._path}: sh:{name} is a list that ends")
            self._used.add(node)
            (item,), (node,) = said[_RDF + "first"], said[_RDF + "rest"]
            if name == "languageIn":
                if not isinstance(item, ox.Literal):
                    raise PolicyError(f"{self._path}: sh:languageIn is a list of language tags")
                found.append(item.value.lower().encode())
            else:
                found.append(normalize(str(item).encode()))
        return found

    def _iri(self, node: _Node, name: str) -> bytes:
        if not isinstance(node, ox.NamedNode):
            raise PolicyError(f"{self._path}: sh:{name} must be an IRI here; paths and nested shapes are not supported")
        return str(node).encode()

    def _only(self, values: list[_Node], allowed: set[str], node: _Node) -> None:
        if {cast("ox.NamedNode", one).value for one in values} - allowed:
            raise PolicyError(f"{self._path}: the type of {node} is not supported; allowed is {_sh(allowed)}")

    def _unsupported(self, name: str, node: _Node) -> PolicyError:
        short = "sh:" + name.removeprefix(_SH) if name.startswith(_SH) else f"<{name}>"
        return PolicyError(f"{self._path}: {short} of {node} is not supported; docs/policy.md lists what is")


def _sh(names: set[str]) -> str:
    return ", ".join(sorted("sh:" + name.removeprefix(_SH) for name in names))


# --- checking ------------------------------------------------------------------------------------------------------


def violated(shape: Shape, value: bytes, has_type: Callable[[bytes, bytes], bool]) -> str | None:
    """The name of the first constraint that a value violates, None if there is none."""
    for one in shape.constraints:
        if not _holds(one, value, has_type):
            return f"sh:{one.name}"
    return None


def _holds(constraint: Constraint, value: bytes, has_type: Callable[[bytes, bytes], bool]) -> bool:
    name, asked = constraint.name, constraint.value
    if name == "class":
        return value[:1] == b"<" and has_type(value, asked[0])
    if name == "nodeKind":
        return asked[0] in {b"IRIOrLiteral", b"IRI" if value[:1] == b"<" else b"Literal"}
    if name == "in":
        return value in asked
    if name == "maxCount":
        return True  # `retrieval.policy.conflicts` sees to it
    if name in _BOUNDS:
        return _within(name, value, asked[0])
    parts = literal(value)
    if name == "datatype":
        return parts is not None and parts.datatype == asked[0].decode()[1:-1] and _well_typed(value, parts.datatype)
    text = parts.text if parts else value.decode()[1:-1]
    if name == "languageIn":
        return parts is not None and any(_speaks(parts.language, one.decode()) for one in asked)
    if name in _LENGTHS:
        return len(text) >= int(asked[0]) if name == "minLength" else len(text) <= int(asked[0])
    return len(text) <= PATTERN_TEXT_CHARS_MAX and occurs(asked[0].decode(), text, asked[1].decode())


def _speaks(language: str, asked: str) -> bool:
    return bool(language) and (asked in {"*", language} or language.startswith(asked + "-"))


_ORDERED: Final = {"integer", "decimal", "double", "float", "dateTime", "date", "gYear", "gYearMonth"}
"""Datatypes of XML Schema whose text `dkg.values` checks."""


def _well_typed(term: bytes, datatype: str) -> bool:
    short = datatype.removeprefix(XSD)
    if short in _ORDERED:
        return value_of(term) is not None
    parts = literal(term)
    if short == "boolean" and parts is not None:
        return parts.text in {"true", "false", "0", "1"}
    return True


def _comparable(term: bytes) -> tuple[bytes, Decimal] | None:
    """A number or a time as what compares exactly."""
    found, parts = value_of(term), literal(term)
    if found is None or parts is None:
        return None
    tag, value = found
    try:
        number = Decimal(parts.text) if tag == NUMERIC else Decimal(value)
    except InvalidOperation:
        return None
    return None if number.is_nan() else (tag, number)


def _within(name: str, value: bytes, bound: bytes) -> bool:
    here, there = _comparable(value), _comparable(bound)
    if here is None or there is None or here[0] != there[0]:
        return False
    if name == "minInclusive":
        return here[1] >= there[1]
    if name == "maxInclusive":
        return here[1] <= there[1]
    return here[1] > there[1] if name == "minExclusive" else here[1] < there[1]
