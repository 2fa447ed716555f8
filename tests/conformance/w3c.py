"""The W3C SPARQL query evaluation tests: manifests, data, and verdicts.

Two verdicts a test. `engine_verdict`: the oracle against the results that W3C publishes. `our_verdict`: an
evaluator against the oracle, also where the engine itself is wrong, because users get what the engine gives.
Known exceptions are in `known_failures.toml`, one line a test, each with its reason.

The data is brought to what our datasets hold: literals in normal form, blank nodes skolemised
(`<urn:skolem:FILE:LABEL>`), the default graph in a named graph of its own.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyoxigraph as ox

from tests.conformance.results import expected_outcome, flatten_to_csv
from tests.oracle import (
    Evaluator,
    Graph,
    Match,
    Outcome,
    Quad,
    Refusal,
    Row,
    Rows,
    Term,
    dataset_clause,
    difference,
    normal_form,
    oracle,
)

BASE = "https://w3c.github.io/rdf-tests/sparql/"
DEFAULT_GRAPH = b"<urn:dkg:default>"
SKOLEM = b"<urn:skolem:"

_MF = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#"
_QT = "http://www.w3.org/2001/sw/DataAccess/tests/test-query#"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_TYPES = {_MF + "QueryEvaluationTest", _MF + "CSVResultFormatTest"}


@dataclass(frozen=True)
class Case:
    """One evaluation test. Paths are files of the unpacked suite; graph names are IRIs without brackets."""

    id: str
    query: Path
    base_iri: str
    data: tuple[Path, ...]
    graph_data: tuple[tuple[str, Path], ...]
    result: Path
    result_iri: str
    lax: bool

    @property
    def text(self) -> str:
        """The query."""
        return self.query.read_bytes().decode()

    @property
    def match(self) -> Match:
        """How W3C wants the rows compared: REDUCED leaves their number open, ORDER BY fixes their sequence."""
        if self.lax:
            return Match.SET
        return Match.SEQUENCE if "ORDER BY" in self.text.upper() else Match.BAG


@dataclass(frozen=True)
class Dataset:
    """What an evaluator is given for a case."""

    quads: tuple[Quad, ...]
    default_graphs: tuple[Term, ...] | None
    named_graphs: tuple[Term, ...] | None


@cache
def known_failures() -> dict[str, dict[str, str]]:
    """Return section -> test id -> reason."""
    path = Path(__file__).parent / "known_failures.toml"
    sections: dict[str, dict[str, str]] = tomllib.loads(path.read_text())
    return sections


# --- manifests ---------------------------------------------------------------------------------------------


class _Manifest:
    """One manifest file as a small graph."""

    def __init__(self, root: Path, folder: str) -> None:
        self.root, self.folder = root, folder
        base = f"{BASE}{folder}/"
        text = (root / folder / "manifest.ttl").read_bytes()
        self._arcs: dict[tuple[Any, str], list[Any]] = {}
        for quad in ox.parse(text, ox.RdfFormat.TURTLE, base_iri=f"{base}manifest.ttl"):
            self._arcs.setdefault((quad.subject, quad.predicate.value), []).append(quad.object)

    def all(self, node: Any, predicate: str) -> list[Any]:  # noqa: ANN401 - a node of RDF, whatever its kind
        return self._arcs.get((node, predicate), [])

    def one(self, node: Any, predicate: str) -> Any:  # noqa: ANN401 - a node of RDF, whatever its kind
        return next(iter(self.all(node, predicate)), None)

    def entries(self) -> list[Any]:
        """Return the tests in the order of mf:entries."""
        (head,) = (o for (_, p), objects in self._arcs.items() if p == _MF + "entries" for o in objects)
        found = []
        while head.value != _RDF + "nil":
            found.append(self.one(head, _RDF + "first"))
            head = self.one(head, _RDF + "rest")
        return found

    def path(self, iri: ox.NamedNode) -> Path:
        return self.root / iri.value.removeprefix(BASE)

    def case(self, test: Any) -> Case | None:  # noqa: ANN401 - a node of RDF, whatever its kind
        """Return the evaluation test, or None if this entry is of another kind or of an entailment regime."""
        types = {t.value for t in self.all(test, _RDF + "type")}
        action = self.one(test, _MF + "action")
        if not types & _TYPES or self.all(action, "http://www.w3.org/ns/sparql-service-description#entailmentRegime"):
            return None
        query, result = self.one(action, _QT + "query"), self.one(test, _MF + "result")
        name = test.value.rpartition("#")[2]
        graph_data = sorted((g.value, self.path(g)) for g in self.all(action, _QT + "graphData"))
        return Case(
            id=f"{self.folder}/{name}",
            query=self.path(query),
            base_iri=query.value,
            data=tuple(sorted(self.path(d) for d in self.all(action, _QT + "data"))),
            graph_data=tuple(graph_data),
            result=self.path(result),
            result_iri=result.value,
            lax=self.all(test, _MF + "resultCardinality") != [],
        )


_FOLDERS = {
    "sparql10": (
        "algebra ask basic bnode-coreference boolean-effective-value bound cast construct dataset distinct "
        "expr-builtin expr-equals expr-ops graph i18n open-world optional optional-filter reduced regex "
        "solution-seq sort triple-match type-promotion"
    ),
    "sparql11": (
        "aggregates bind bindings cast construct csv-tsv-res exists functions grouping json-res negation "
        "project-expression property-path subquery"
    ),
}


def cases(root: Path, suite: str) -> list[Case]:
    """Return the query evaluation tests of `sparql10` or `sparql11`; `root` holds both folders."""
    manifests = [_Manifest(root, f"{suite}/{folder}") for folder in _FOLDERS[suite].split()]
    found = [m.case(test) for m in manifests for test in m.entries()]
    return [case for case in found if case is not None]


# --- data --------------------------------------------------------------------------------------------------


def _read(path: Path, iri: str, graph: Term, *, skolemise: bool) -> list[Quad]:
    """Return the quads of one file; blank nodes are named after the file, so that files share none."""
    prefix = (SKOLEM if skolemise else b"_:") + path.stem.replace(".", "-").encode()

    def term(node: Any) -> Term:  # noqa: ANN401 - a node of RDF, whatever its kind
        if not isinstance(node, ox.BlankNode):
            return normal_form(str(node).encode())
        return prefix + (b":%s>" if skolemise else b"%s") % node.value.encode()

    triples = ox.parse(path.read_bytes(), ox.RdfFormat.from_extension(path.suffix[1:]), base_iri=iri)
    return [(term(t.subject), term(t.predicate), term(t.object), graph) for t in triples]


def dataset(case: Case, *, skolemise: bool = True) -> Dataset:
    """Return the data of a case. A query with FROM reads the files that it names, by the custom of the suite."""
    root = Path(str(case.query).removesuffix(case.base_iri.removeprefix(BASE)))
    clause = dataset_clause(case.text, case.base_iri)
    if clause is not None:
        iris = sorted({g[1:-1].decode() for graphs in clause for g in graphs})
        files = [(iri, root / iri.removeprefix(BASE), f"<{iri}>".encode()) for iri in iris]
    else:
        files = [(f"{BASE}{p.relative_to(root)}", p, DEFAULT_GRAPH) for p in case.data]
        files += [(iri, path, f"<{iri}>".encode()) for iri, path in case.graph_data]
    quads = [q for iri, path, graph in files for q in _read(path, iri, graph, skolemise=skolemise)]
    if clause is not None:
        return Dataset(tuple(quads), None, None)
    named = tuple(f"<{iri}>".encode() for iri, _ in case.graph_data)
    return Dataset(tuple(quads), (DEFAULT_GRAPH,), named)


# --- verdicts ------------------------------------------------------------------------------------------------


def evaluate(evaluator: Evaluator, case: Case, data: Dataset) -> Outcome:
    """Run one case."""
    return evaluator(data.quads, case.text, data.default_graphs, data.named_graphs, case.base_iri)


def _unskolemised(outcome: Outcome) -> Outcome:
    def row(cells: Row) -> Row:
        return tuple(b"_:" + t[1:-1] if t is not None and t.startswith(SKOLEM) else t for t in cells)

    if isinstance(outcome, Rows):
        return Rows(outcome.variables, tuple(map(row, outcome.rows)))
    return Graph(frozenset(map(row, outcome.triples))) if isinstance(outcome, Graph) else outcome


def engine_verdict(case: Case, *, skolemise: bool = True) -> str | None:
    """Compare the oracle with what W3C expects: None if equal, else the difference."""
    actual = _unskolemised(evaluate(oracle, case, dataset(case, skolemise=skolemise)))
    if isinstance(actual, Refusal):
        return actual.reason
    if case.result.suffix == ".csv":
        actual = flatten_to_csv(actual)
    return difference(expected_outcome(case.result, case.result_iri, actual), actual, case.match)


def engine_problem(case: Case) -> str | None:
    """Return what is wrong with the engine verdict, given the known failures: an unexpected pass is wrong too."""
    skolemised, raw = engine_verdict(case), engine_verdict(case, skolemise=False)
    if case.id in known_failures()["skolem"]:
        stale, fault = skolemised is None, raw
    elif case.id in known_failures()["engine"]:
        stale, fault = skolemised is None or raw is None, None
    else:
        stale, fault = False, skolemised or raw
    return "passes now: take it off known_failures.toml" if stale else fault


def our_verdict(case: Case, evaluator: Evaluator) -> str | None:
    """Compare an evaluator with the oracle: None if it is right, else the difference.

    Where the answer depends on the order in which the engine happens to read triples, any answer that the
    engine gives for some order is right; such cases are listed, and their number of rows must still agree.
    """
    data = dataset(case)
    actual = evaluate(evaluator, case, data)
    if case.id in known_failures()["refused"]:
        return None if isinstance(actual, Refusal) else "answered, though no remote answer to it can be proved"
    expected = evaluate(oracle, case, data)
    if case.id in known_failures()["order_dependent"]:
        expected, actual = _row_count(expected), _row_count(actual)
    return difference(expected, actual, case.match)


def order_dependent(case: Case) -> bool:
    """Say whether the oracle's own answer changes with the order in which the data was inserted."""
    data = dataset(case)
    arguments = data.quads, case.text, data.default_graphs, data.named_graphs, case.base_iri
    first = oracle(*arguments)
    return any(difference(first, oracle(*arguments, shuffle=seed), case.match) for seed in range(8))


def _row_count(outcome: Outcome) -> Outcome:
    if not isinstance(outcome, Rows):
        return outcome
    return Rows(outcome.variables, tuple(() for _ in outcome.rows))
