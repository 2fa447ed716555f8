"""What the node says of itself in RDF: the SPARQL 1.1 Service Description, and VoID."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyoxigraph as ox

from dkg.answer import GRAPH_FORMATS
from dkg.page import cid_text
from node.http.accept import PROOFS
from node.http.moments import time_text

if TYPE_CHECKING:
    from node.http.accept import Format
    from node.serving import Standing

_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_SD: Final = "http://www.w3.org/ns/sparql-service-description#"
_VOID: Final = "http://rdfs.org/ns/void#"
_DCTERMS: Final = "http://purl.org/dc/terms/"
_FOAF: Final = "http://xmlns.com/foaf/0.1/"
_FORMATS: Final = "http://www.w3.org/ns/formats/"
_MEDIA: Final = "https://www.iana.org/assignments/media-types/"
_XSD: Final = "http://www.w3.org/2001/XMLSchema#"

_RESULT_FORMATS: Final = (
    "SPARQL_Results_JSON",
    "SPARQL_Results_XML",
    "SPARQL_Results_CSV",
    "SPARQL_Results_TSV",
    "Turtle",
    "N-Triples",
    "RDF_XML",
    "JSON-LD",
)
"""https://www.w3.org/ns/formats/"""

_PREFIXES: Final = {"sd": _SD, "void": _VOID, "dcterms": _DCTERMS, "foaf": _FOAF, "rdf": _RDF, "xsd": _XSD}

Node = ox.NamedNode | ox.BlankNode
Value = ox.NamedNode | ox.BlankNode | ox.Literal


def service_description(base: str, form: Format) -> bytes:
    """The description of `/sparql`. `base`: how the node is reached."""
    endpoint, service = ox.NamedNode(f"{base}/sparql"), ox.BlankNode("service")
    dataset, graph = ox.BlankNode("dataset"), ox.BlankNode("graph")
    said: list[tuple[Node, str, Value]] = [
        (service, f"{_RDF}type", _iri(f"{_SD}Service")),
        (service, f"{_SD}endpoint", endpoint),
        (service, f"{_SD}supportedLanguage", _iri(f"{_SD}SPARQL11Query")),
        # The default graph holds the triples of all graphs. There is no federation, and no update.
        (service, f"{_SD}feature", _iri(f"{_SD}UnionDefaultGraph")),
        (service, f"{_SD}defaultDataset", dataset),
        *((service, f"{_SD}resultFormat", _iri(_FORMATS + name)) for name in _RESULT_FORMATS),
        *((service, f"{_SD}resultFormat", _iri(_MEDIA + proof.media_type)) for proof in PROOFS),
        (service, f"{_DCTERMS}conformsTo", _iri("https://www.w3.org/TR/sparql11-protocol/")),
        (dataset, f"{_RDF}type", _iri(f"{_SD}Dataset")),
        (dataset, f"{_SD}defaultGraph", graph),
        (dataset, f"{_VOID}sparqlEndpoint", endpoint),
        (dataset, f"{_DCTERMS}isReferencedBy", _iri(f"{base}/.well-known/void")),
        (graph, f"{_RDF}type", _iri(f"{_SD}Graph")),
    ]
    return _written(said, form)


def void(base: str, standing: Standing, quads: int, form: Format) -> bytes:
    """The description of the union. `quads`: how many it has."""
    about, dataset = _iri(f"{base}/.well-known/void"), _iri(f"{base}/.well-known/void#union")
    root = cid_text(standing.root)
    said: list[tuple[Node, str, Value]] = [
        (about, f"{_RDF}type", _iri(f"{_VOID}DatasetDescription")),
        (about, f"{_FOAF}primaryTopic", dataset),
        (dataset, f"{_RDF}type", _iri(f"{_VOID}Dataset")),
        (dataset, f"{_DCTERMS}title", ox.Literal("The union of the publishers that this node follows")),
        (dataset, f"{_DCTERMS}identifier", ox.Literal(root)),
        (dataset, f"{_DCTERMS}modified", ox.Literal(time_text(standing.block_time), datatype=_iri(f"{_XSD}dateTime"))),
        # It counts quads, which are at least as many as the triples of the union of its graphs.
        (dataset, f"{_VOID}triples", ox.Literal(quads)),
        (dataset, f"{_VOID}sparqlEndpoint", _iri(f"{base}/sparql")),
        (dataset, f"{_VOID}uriLookupEndpoint", _iri(f"{base}/v1/assets/")),
        (dataset, f"{_VOID}dataDump", _iri(f"{base}/ipfs/{root}?format=car")),
        *((dataset, f"{_VOID}feature", _iri(_FORMATS + name)) for name in _RESULT_FORMATS[4:]),
    ]
    return _written(said, form)


def _iri(text: str) -> ox.NamedNode:
    return ox.NamedNode(text)


def _written(said: list[tuple[Node, str, Value]], form: Format) -> bytes:
    triples = [ox.Triple(subject, _iri(predicate), value) for subject, predicate, value in said]
    return ox.serialize(triples, format=GRAPH_FORMATS[form.name], prefixes=_PREFIXES) or b""
