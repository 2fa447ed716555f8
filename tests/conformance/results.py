"""The expected results of the W3C tests, in every format that the suites use."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pyoxigraph as ox

from tests.oracle import Boolean, Graph, Outcome, Row, Rows, normal_form

if TYPE_CHECKING:
    from pathlib import Path

_RS = "http://www.w3.org/2001/sw/DataAccess/tests/result-set#"
_SOLUTION_FORMATS = {
    ".srx": ox.QueryResultsFormat.XML,
    ".srj": ox.QueryResultsFormat.JSON,
    ".tsv": ox.QueryResultsFormat.TSV,
}


def _term(node: Any) -> bytes | None:  # noqa: ANN401 - a node of RDF, whatever its kind
    return None if node is None else normal_form(str(node).encode())


def expected_outcome(path: Path, iri: str, like: Outcome) -> Outcome:
    """Return the outcome that a file describes, with its columns in the order of `like`.

    `like` also tells a graph result from a result set written in Turtle or RDF/XML.
    """
    if path.suffix in _SOLUTION_FORMATS:
        outcome = _solutions(path)
    elif path.suffix == ".csv":
        outcome = _csv(path)
    else:
        triples = list(ox.parse(path.read_bytes(), ox.RdfFormat.from_extension(path.suffix[1:]), base_iri=iri))
        if isinstance(like, Graph):
            return Graph(frozenset((_term(t.subject), _term(t.predicate), _term(t.object)) for t in triples))
        outcome = _result_set(triples)
    if isinstance(outcome, Rows) and isinstance(like, Rows) and {*outcome.variables} == {*like.variables}:
        places = [outcome.variables.index(name) for name in like.variables]
        return Rows(like.variables, tuple(tuple(row[i] for i in places) for row in outcome.rows))
    return outcome


def _solutions(path: Path) -> Outcome:
    parsed = ox.parse_query_results(path.read_bytes(), _SOLUTION_FORMATS[path.suffix])
    if isinstance(parsed, ox.QueryBoolean):
        return Boolean(bool(parsed))
    variables = tuple(v.value for v in parsed.variables)
    return Rows(variables, tuple(tuple(_term(t) for t in solution) for solution in parsed))


def _csv(path: Path) -> Rows:
    """Return the cells as plain literals, for CSV holds no types: see `flatten_to_csv`."""
    header, *rows = csv.reader(io.StringIO(path.read_text(), newline=""))
    return Rows(tuple(header), tuple(tuple(_cell(text) for text in row) for row in rows))


def _cell(text: str) -> bytes:
    return text.encode() if text.startswith("_:") else str(ox.Literal(text)).encode()


def flatten_to_csv(outcome: Outcome) -> Outcome:
    """Return rows as CSV shows them: the lexical form of a literal, the text of an IRI, nothing for unbound."""
    if not isinstance(outcome, Rows):
        return outcome

    def flat(term: bytes | None) -> bytes:
        if term is None:
            return b'""'
        if term.startswith(b'"'):
            return _cell(_literal(term).value)
        return _cell(term.decode() if term.startswith(b"_:") else term[1:-1].decode())

    return Rows(outcome.variables, tuple(tuple(map(flat, row)) for row in outcome.rows))


def _literal(term: bytes) -> Any:  # noqa: ANN401 - a node of RDF, whatever its kind
    (triple,) = ox.parse(b"<urn:s> <urn:p> " + term + b" .", ox.RdfFormat.N_TRIPLES)
    return triple.object


def _result_set(triples: list[Any]) -> Outcome:
    """Read the DAWG result set vocabulary; solutions in the order of rs:index where they have one."""
    arcs: dict[tuple[Any, str], list[Any]] = {}
    for t in triples:
        arcs.setdefault((t.subject, t.predicate.value.removeprefix(_RS)), []).append(t.object)
    (root,) = (t.subject for t in triples if getattr(t.object, "value", "") == _RS + "ResultSet")
    if (root, "boolean") in arcs:
        return Boolean(arcs[root, "boolean"][0].value == "true")
    variables = tuple(v.value for v in arcs.get((root, "resultVariable"), []))
    indexed: list[tuple[int, Row]] = []
    for solution in arcs.get((root, "solution"), []):
        bindings = arcs.get((solution, "binding"), [])
        values = {arcs[b, "variable"][0].value: _term(arcs[b, "value"][0]) for b in bindings}
        (index,) = arcs.get((solution, "index"), [ox.Literal(0)])
        indexed.append((int(index.value), tuple(values.get(name) for name in variables)))
    indexed.sort(key=lambda pair: pair[0])
    return Rows(variables, tuple(row for _, row in indexed))
