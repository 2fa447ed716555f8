"""What a term says to a reader: the text, language and datatype of a literal, the words of an IRI."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

from retrieval.words import literal_text

XSD: Final = "http://www.w3.org/2001/XMLSchema#"
STRING: Final = XSD + "string"
LANG_STRING: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"

_SEPARATORS: Final = re.compile(r"[/#?&=:;,._~+\-]+")
_LAST: Final = re.compile(r"(.*[/#:])([^/#:]+)", re.DOTALL)
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Literal(NamedTuple):
    """A literal's parts."""

    text: str
    language: str
    """Its language tag in lower case, empty without one."""
    datatype: str
    """IRI of its datatype."""


def literal(term: bytes) -> Literal | None:
    """The parts of a literal in normal form; None for an IRI."""
    if term[:1] != b'"':
        return None
    text, language, datatype = literal_text(term)
    if language is not None:
        return Literal(text, language.lower(), LANG_STRING)
    return Literal(text, "", datatype or STRING)


def iri_words(iri: str) -> list[str]:
    """What an IRI reads like, its last part by itself: percent-encoding undone, and words apart.

    One that has more than a name in it (encoded signs, another address) comes whole as well, with its signs.
    """
    parts = _LAST.fullmatch(iri.rstrip("/#"))  # as `retrieval.words.local_name`, which says what a prompt shows
    found = [words for part in (parts.groups() if parts else (iri,)) if (words := _words(part))]
    if "%" in iri or iri.count("://") > 1:
        whole = unquote(iri, errors="replace")
        found += [whole, whole.replace("_", " ")]
    return found


def namespace_words(term: bytes) -> str | None:
    """What an IRI reads like up to its last part; None for a literal, and for an IRI without parts."""
    parts = _LAST.fullmatch(term[1:-1].decode()) if term[:1] == b"<" else None
    return None if parts is None else _words(parts[1])


def _words(part: str) -> str:
    text = unquote(part, errors="replace") if "%" in part else part
    return _CAMEL.sub(" ", _SEPARATORS.sub(" ", text)).strip()


def texts_of(term: bytes) -> list[str]:
    """All that a term could say to a reader: for a literal its text and its language tag, for an IRI its words."""
    parts = literal(term)
    if parts is None:
        return iri_words(term[1:-1].decode())
    texts = [parts.text]
    if parts.language:
        texts.append(parts.language.replace("-", " "))
    if parts.datatype not in {STRING, LANG_STRING} and not parts.datatype.startswith(XSD):
        texts += iri_words(parts.datatype)
    return texts
