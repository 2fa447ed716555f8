"""Answers: what a query gave, as values and in the W3C result formats.

`Answer` is what a store says. `VerifiedAnswer` (dkg.proof) is what a proof shows. They are different types on
purpose: a function that needs proof takes the second and nothing else.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import pyoxigraph

from dkg.errors import BudgetError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dkg.sparql.algebra import Form

    Raw = pyoxigraph.QuerySolutions | pyoxigraph.QueryBoolean | pyoxigraph.QueryTriples

Term = pyoxigraph.NamedNode | pyoxigraph.BlankNode | pyoxigraph.Literal
"""A value in an answer, as pyoxigraph has it."""

TABLE_FORMATS: Final = {
    "json": pyoxigraph.QueryResultsFormat.JSON,
    "xml": pyoxigraph.QueryResultsFormat.XML,
    "csv": pyoxigraph.QueryResultsFormat.CSV,
    "tsv": pyoxigraph.QueryResultsFormat.TSV,
}
"""Formats of SELECT and ASK (ASK: the first two only, plus text in the others)."""

GRAPH_FORMATS: Final = {
    "ttl": pyoxigraph.RdfFormat.TURTLE,
    "nt": pyoxigraph.RdfFormat.N_TRIPLES,
    "xml": pyoxigraph.RdfFormat.RDF_XML,
    "json": pyoxigraph.RdfFormat.JSON_LD,
}
"""Formats of CONSTRUCT and DESCRIBE."""


class Results:
    """The results of a query. Computed once; serialising runs the engine again over what was gathered."""

    def __init__(self, form: Form, run: Callable[[], Raw], rows_max: int, prefixes: Mapping[str, str]) -> None:
        self.form = form
        self._run = run
        self._prefixes = dict(prefixes)
        self._solutions: list[pyoxigraph.QuerySolution] = []
        self._triples: list[pyoxigraph.Triple] = []
        self.variables: tuple[str, ...] = ()
        """The variables of SELECT, in order; empty for other forms."""
        self.boolean: bool | None = None
        """The answer to ASK; None for other forms."""
        raw = run()
        if isinstance(raw, pyoxigraph.QueryBoolean):
            self.boolean = bool(raw)
        elif isinstance(raw, pyoxigraph.QueryTriples):
            self._triples = list(dict.fromkeys(islice(raw, rows_max + 1)))
            _check(len(self._triples), rows_max)
        else:
            self.variables = tuple(variable.value for variable in raw.variables)
            self._solutions = list(islice(raw, rows_max + 1))
            _check(len(self._solutions), rows_max)

    @property
    def rows(self) -> list[tuple[Term | None, ...]]:
        """The solutions of SELECT: one cell a variable, None where it is unbound."""
        return [tuple(solution) for solution in self._solutions]

    @property
    def triples(self) -> list[pyoxigraph.Triple]:
        """The distinct triples of CONSTRUCT and DESCRIBE."""
        return self._triples

    def __len__(self) -> int:
        return 1 if self.boolean is not None else len(self._solutions) + len(self._triples)

    @property
    def nothing(self) -> bool:
        """Whether there is no solution: no rows, no triples, or ASK answered false."""
        return self.boolean is False if self.boolean is not None else not (self._solutions or self._triples)

    def serialize(self, name: str) -> bytes:
        """The results in a W3C format: json, csv, tsv, xml for SELECT and ASK; ttl, nt, xml, json for graphs.

        Raises `InputError` when the form of the query has no such format.
        """
        raw = self._run()
        formats: Mapping[str, object] = GRAPH_FORMATS if isinstance(raw, pyoxigraph.QueryTriples) else TABLE_FORMATS
        if name not in formats:
            kind = self.form.value
            raise InputError(f"{kind} has no results in format {name!r}; choose one of {', '.join(formats)}")
        if isinstance(raw, pyoxigraph.QueryTriples):
            graph = GRAPH_FORMATS[name]
            return pyoxigraph.serialize(self._triples, format=graph, prefixes=self._prefixes) or b""
        if isinstance(raw, pyoxigraph.QueryBoolean) and name in {"csv", "tsv"}:
            return b"true\n" if raw else b"false\n"  # neither format defines booleans
        return raw.serialize(format=TABLE_FORMATS[name]) or b""


def _check(rows: int, rows_max: int) -> None:
    if rows > rows_max:
        raise BudgetError(
            f"the query has more than the {rows_max} result rows that its budget allows; add a LIMIT or raise `rows`"
        )


class Answer(Results):
    """What a store answers. Nobody has checked it."""
