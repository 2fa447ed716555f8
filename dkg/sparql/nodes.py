"""Terms of a query: IRIs, prefixed names and literals of the text as terms in normal form."""

from __future__ import annotations

import re
from typing import Final

import pyoxigraph

from dkg.errors import RdfError
from dkg.normal import normalize

XSD: Final = "http://www.w3.org/2001/XMLSchema#"
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^<>\"{}|^`\\\x00-\x20]*")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_SHORT: Final = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f", "\\": "\\", '"': '"', "'": "'"}


class UnknownSyntaxError(Exception):
    """The converter met something that it does not positively know: the query is covered whole."""


class Names:
    """Resolves the names of one query. `prologue`: its BASE and PREFIX part as text."""

    def __init__(self, prologue: str, base_iri: str | None, *, by_engine: bool = False) -> None:
        self._prologue = prologue
        self._base_iri = base_iri
        self.prefixes: dict[str, str] = {}
        self._by_engine = by_engine or base_iri is not None or re.search("base", prologue, re.IGNORECASE) is not None
        self._known: dict[str, bytes] = {}

    def declare(self, prefix: str, iri: str) -> None:
        """A PREFIX declaration."""
        if self._by_engine or not _ABSOLUTE.fullmatch(iri):
            self._by_engine = True
        else:
            self.prefixes[prefix] = iri

    def iri(self, token: str) -> bytes:
        """The term of an IRI reference or a prefixed name as written."""
        known = self._known.get(token)
        if known is None:
            known = self._known[token] = self._resolved(token)
        return known

    def _resolved(self, token: str) -> bytes:
        if self._by_engine or "\\" in token:
            return self._asked(token)
        if token.startswith("<"):
            iri = token[1:-1]
        else:
            prefix, _, local = token.partition(":")
            if prefix not in self.prefixes:
                raise UnknownSyntaxError(f"prefix {prefix}: is not declared")
            iri = self.prefixes[prefix] + local
        if not _ABSOLUTE.fullmatch(iri):
            return self._asked(token)
        return f"<{iri}>".encode()

    def _asked(self, token: str) -> bytes:
        """What the engine makes of a name: escapes and relative references are its business."""
        query = f"{self._prologue} SELECT ({token} AS ?name) WHERE {{}}"
        try:
            solutions = pyoxigraph.Store().query(query, base_iri=self._base_iri)
        except (SyntaxError, ValueError) as error:
            raise UnknownSyntaxError(f"the engine does not read {token}") from error
        values = [solution[0] for solution in solutions] if isinstance(solutions, pyoxigraph.QuerySolutions) else []
        if len(values) != 1 or not isinstance(values[0], pyoxigraph.NamedNode):
            raise UnknownSyntaxError(f"{token} is not a name")
        return str(values[0]).encode()


def string_value(token: str) -> str:
    """The value of a string as written, quotes included."""
    quotes = 3 if token[:3] in {'"""', "'''"} and len(token) >= 6 else 1  # noqa: PLR2004 - two times three quotes
    body = token[quotes:-quotes]
    return _ESCAPE.sub(_unescaped, body) if "\\" in body else body


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    if code is not None:
        # Whether such an escape can end a string is read in two ways; only harmless characters are decoded here.
        value = int(code, 16)
        if value < 0x20 or value in {0x22, 0x27, 0x5C} or 0xD800 <= value <= 0xDFFF or value > 0x10FFFF:  # noqa: PLR2004
            raise UnknownSyntaxError("an escape of a structural character")
        return chr(value)
    if match[3] not in _SHORT:
        raise UnknownSyntaxError(f"the escape \\{match[3]}")
    return _SHORT[match[3]]


def literal(value: str, datatype: bytes | None = None, language: str | None = None) -> bytes:
    """The term of a literal, in normal form."""
    if language is not None:
        if "--" in language:
            raise UnknownSyntaxError("a base direction")
        made = pyoxigraph.Literal(value, language=language)
    elif datatype is not None:
        made = pyoxigraph.Literal(value, datatype=pyoxigraph.NamedNode(datatype[1:-1].decode()))
    else:
        made = pyoxigraph.Literal(value)
    try:
        return normalize(str(made).encode())
    except RdfError as error:
        raise UnknownSyntaxError(str(error)) from error


def number(kind: str, text: str) -> bytes:
    """The term of a number as written; `kind` is integer, decimal or double."""
    return literal(text, f"<{XSD}{kind}>".encode())
