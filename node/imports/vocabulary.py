"""Terms of the vocabularies that imports write, and literals."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import pyoxigraph as ox

from node.imports.lexical import XSD
from node.imports.schema_org import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.imports.item import Triple

BIBO: Final = "http://purl.org/ontology/bibo/"
DCTERMS: Final = "http://purl.org/dc/terms/"
PRISM: Final = "http://prismstandard.org/namespaces/basic/3.0/"
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS: Final = "http://www.w3.org/2000/01/rdf-schema#"
SCHEMA: Final = NAMESPACE

TYPE: Final = f"<{RDF}type>".encode()
NIL: Final = f"<{RDF}nil>".encode()


def text_literal(value: str, language: str | None = None) -> bytes:
    """A text as a literal."""
    return str(ox.Literal(value, language=language) if language else ox.Literal(value)).encode()


def typed_literal(value: str, datatype: str) -> bytes:
    """A literal of a datatype of XML Schema, by its name there."""
    return str(ox.Literal(value, datatype=ox.NamedNode(XSD + datatype))).encode()


class Builder:
    """Triples as they are found.

    `part` names what has no name of its own. As blank nodes, a list of 1,000 authors would be too much for RDFC-1.0.
    """

    def __init__(self, base: str) -> None:
        """`base`: what the IRIs of parts begin with."""
        self.triples: list[Triple] = []
        self._base = base
        self._parts: Counter[str] = Counter()

    def add(self, subject: bytes, predicate: str, *objects: bytes | None) -> None:
        """Say something of a subject; None says nothing. `predicate`: an IRI."""
        name = f"<{predicate}>".encode()
        self.triples += [(subject, name, thing) for thing in objects if thing is not None]

    def types(self, subject: bytes, *classes: str) -> None:
        """Say what a subject is."""
        self.add(subject, f"{RDF}type", *(f"<{name}>".encode() for name in classes))

    def part(self, what: str) -> bytes:
        """A new name for something that belongs to the item."""
        self._parts[what] += 1
        return f"<{self._base}#{what}-{self._parts[what]}>".encode()

    def listed(self, what: str, things: Iterable[bytes]) -> bytes:
        """An RDF list of things; gives its first node."""
        given = list(things)
        nodes = [*(self.part(what) for _ in given), NIL]
        for node, thing, rest in zip(nodes, given, nodes[1:], strict=False):
            self.add(node, f"{RDF}first", thing)
            self.add(node, f"{RDF}rest", rest)
        return nodes[0]
