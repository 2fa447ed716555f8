"""pySHACL, as it is used here: rdflib graphs in, a validation report out; nothing is fetched, nothing passed over.

`pyshacl.validate` is not called: it opens what looks like a path or a URL, and adds a handler to the log each time.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pyoxigraph as ox
from pyshacl.errors import ShapeRecursionWarning
from pyshacl.graph_abstraction import DataGraph
from pyshacl.validator import Validator
from rdflib.graph import Graph
from rdflib.namespace import XSD
from rdflib.term import BNode, Literal, URIRef

from dkg.terms import to_oxigraph
from node.assets.errors import ShapesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rdflib.term import IdentifiedNode

    from dkg.terms import Quad, Term

SHAPES_DEPTH_MAX: Final = 30
"""How far shapes may lead to other shapes."""


class _Heard(logging.Handler):
    """What pySHACL only warns of: a constraint that it cannot read, and passes over."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning."""
        self.warnings.append(record.getMessage())


def private_logger() -> logging.Logger:
    """A log of its own: what is said in one check is heard in it alone."""
    return logging.Logger("shapes")  # noqa: LOG001 - see above


@contextmanager
def unlogged() -> Iterator[None]:
    """While rdflib makes literals: it would log each one that is ill-typed, with a traceback."""
    log = logging.getLogger("rdflib.term")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def validated(data: Graph, shapes: Graph) -> tuple[Graph, int]:
    """The validation report of a graph, and how many of its nodes the shapes looked at."""
    logger, heard = private_logger(), _Heard()
    logger.addHandler(heard)
    options: dict[str, Any] = {
        "logger": logger,
        "inference": "none",
        "inplace": True,
        "max_validation_depth": SHAPES_DEPTH_MAX,
    }
    try:
        validator = Validator(DataGraph.from_rdflib(data), shacl_graph=shapes, options=options)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ShapeRecursionWarning)  # it only warns when it gives up on such shapes
            _, report, _ = validator.run()  # type: ignore[no-untyped-call]
        shape_list = [shape for shape in validator.shacl_graph.shapes if not shape.deactivated]
        nodes = {node for shape in shape_list for node in shape.focus_nodes(data)}
    except ShapeRecursionWarning as error:
        raise ShapesError("the shapes lead to themselves (recursive shapes), which SHACL leaves undefined") from error
    except Exception as error:  # pySHACL raises what comes up where shapes are not what it expects
        raise ShapesError(f"the shapes cannot be used: {' '.join(str(error).split())[:400]}") from error
    if heard.warnings:
        raise ShapesError(f"a constraint of the shapes cannot be checked: {heard.warnings[0][:500]}")
    return report, len(nodes)


def data_graph(quads: Iterable[Quad]) -> tuple[Graph, dict[BNode, URIRef]]:
    """Quads as a graph in which blank nodes that were given IRIs are blank again, and these IRIs."""
    graph = Graph()
    names: dict[BNode, URIRef] = {}
    nodes: dict[Term, Any] = {}

    def node(term: Term, genid: bytes) -> Any:  # noqa: ANN401 - a node of any kind
        if term not in nodes:
            made = rdflib_node(to_oxigraph(term))
            if term.startswith(genid):
                names[BNode(term[len(genid) : -1].decode())] = URIRef(str(made))
                made = BNode(term[len(genid) : -1].decode())
            nodes[term] = made
        return nodes[term]

    for s, p, o, g in quads:
        genid = g[:-1] + b"/.well-known/genid/"
        graph.add((node(s, genid), node(p, genid), node(o, genid)))
    return graph, names


def rdflib_node(term: ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple) -> IdentifiedNode | Literal:
    """A term of the engine as rdflib has it, literals as they are. Raises `ShapesError` for triple terms."""
    if isinstance(term, ox.NamedNode):
        return URIRef(term.value)
    if isinstance(term, ox.BlankNode):
        return BNode(term.value)
    if isinstance(term, ox.Triple):
        raise ShapesError(f"a triple term is not supported here (RDF 1.2): {str(term)[:200]}")
    if term.language:
        return Literal(term.value, lang=term.language)
    plain = term.datatype.value == str(XSD.string)
    return Literal(term.value, datatype=None if plain else URIRef(term.datatype.value), normalize=False)
