"""SELECT results as people read them: aligned, IRIs shortened by prefixes, nothing that could drive a terminal."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

import pyoxigraph

from dkg.client.cli.console import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dkg.answer import Results, Term

CELL_MAX: Final = 72
"""Characters of a cell; longer ones are cut, which the last cell character `…` shows."""

WELL_KNOWN: Final = {
    "dcterms": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "owl": "http://www.w3.org/2002/07/owl#",
    "prov": "http://www.w3.org/ns/prov#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "schema": "https://schema.org/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}

_LOCAL: Final = re.compile(r"[\w-]+(\.[\w-]+)*")
_NUMBERS: Final = {f"{WELL_KNOWN['xsd']}{name}" for name in ("integer", "decimal")}
_BARE: Final = {*_NUMBERS, f"{WELL_KNOWN['xsd']}boolean"}
_STRING: Final = f"{WELL_KNOWN['xsd']}string"


class Shortener:
    """Terms as short text. The prefixes of the query win over the well-known ones."""

    def __init__(self, prefixes: Mapping[str, str]) -> None:
        known = {**WELL_KNOWN, **prefixes}
        self._prefixes = sorted(((iri, name) for name, iri in known.items() if iri), key=lambda pair: -len(pair[0]))

    def iri(self, iri: str) -> str:
        """`foaf:name`, or `<http://...>` when no prefix fits."""
        for start, name in self._prefixes:
            if iri.startswith(start) and _LOCAL.fullmatch(iri, len(start)):
                return f"{name}:{iri[len(start) :]}"
        return f"<{iri}>"

    def term(self, term: Term | None) -> str:
        """A cell; empty when unbound."""
        if term is None:
            return ""
        if isinstance(term, pyoxigraph.NamedNode):
            return self.iri(term.value)
        if isinstance(term, pyoxigraph.Literal):
            return self._literal(term)
        return str(term)

    def _literal(self, term: pyoxigraph.Literal) -> str:
        datatype = term.datatype.value
        if datatype in _BARE:
            return term.value
        escaped = term.value.replace("\\", "\\\\").replace('"', '\\"')  # quotes: a string must not pass for an IRI
        if term.language:
            return f'"{escaped}"@{term.language}'
        return f'"{escaped}"' if datatype == _STRING else f'"{escaped}"^^{self.iri(datatype)}'


def width(text: str) -> int:
    """Columns that a terminal uses for `text`: two for wide East Asian characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def table(results: Results, prefixes: Mapping[str, str]) -> tuple[str, int]:
    """The rows of SELECT (or the boolean of ASK) as text, and how many cells were cut."""
    if results.boolean is not None:
        return ("true" if results.boolean else "false"), 0
    short = Shortener(prefixes)
    names = [f"?{name}" for name in results.variables]
    rows = [[plain(short.term(cell)) for cell in row] for row in results.rows]
    cut = sum(len(cell) > CELL_MAX for row in rows for cell in row)
    rows = [[cell if len(cell) <= CELL_MAX else f"{cell[: CELL_MAX - 1]}…" for cell in row] for row in rows]
    right = [bool(results.rows) and all(_is_number(row[at]) for row in results.rows) for at in range(len(names))]
    return aligned(names, rows, right), cut


def aligned(names: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """Columns under their names; those that are `right` are set flush right."""
    widths = [max([width(name), *(width(row[at]) for row in rows)]) for at, name in enumerate(names)]

    def line(cells: Sequence[str]) -> str:
        padded = []
        for cell, wide, flush in zip(cells, widths, right, strict=True):
            space = " " * (wide - width(cell))
            padded.append(space + cell if flush else cell + space)
        return "  ".join(padded).rstrip()

    return "\n".join([line(names), line(["─" * wide for wide in widths]), *map(line, rows)])


def _is_number(term: Term | None) -> bool:
    return isinstance(term, pyoxigraph.Literal) and term.datatype.value in _NUMBERS
