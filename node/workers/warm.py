"""A job of each kind over a handful of quads: patterns are compiled and tables filled before workers are forked."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Final

from dkg.api import build, load
from dkg.pages import MemoryPageStore
from node.workers.execute import Executor
from node.workers.jobs import Check, Parse, Prove, Query
from node.workers.settings import Settings

_DATA: Final = b"""
<urn:a> <urn:p> "text"@en, 1, 2.5, "2026-01-31T12:00:00Z"^^<http://www.w3.org/2001/XMLSchema#dateTime> ; <urn:q> [] .
"""
_QUERIES: Final = (
    "SELECT ?o WHERE { <urn:a> <urn:p> ?o . FILTER(?o > 1) } ORDER BY ?o LIMIT 2",
    "SELECT (COUNT(*) AS ?n) WHERE { ?s <urn:p> ?o OPTIONAL { ?s <urn:q>/<urn:r>* ?x } } GROUP BY ?s",
    "CONSTRUCT { ?s <urn:p> ?o } WHERE { GRAPH ?g { ?s <urn:p> ?o } }",
    "ASK { ?s ?p 1 }",
)


def warm_up() -> None:
    """Do it. Starts no threads and leaves nothing open."""
    store = MemoryPageStore()
    root = build(load(_DATA, format="ttl", graph="urn:g"), store)
    executor = Executor(lambda: nullcontext(store), Settings())
    for text in _QUERIES:
        executor.run(Query(root=root, text=text))
        car = executor.run(Prove(root=root, text=text, compressed=True)).body
        executor.run(Check(root=root, text=text, car=car))
    for syntax, data in ("ttl", _DATA), ("nq", b'<urn:a> <urn:p> "1" <urn:g> .\n'), ("jsonld", b'{"@id": "urn:a"}'):
        executor.run(Parse(data=data, format=syntax, graph="urn:g"))
    executor.close()
