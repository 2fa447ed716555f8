"""Words of names and questions: folded, split, stemmed, so that spelling, case and accents do not decide.

Everything here is a pure function of the text, for any language; the English endings of `stem` only ever bring words
together, they never keep words apart.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

TEXT_CHARS_MAX: Final = 400
"""Characters of a literal that the index reads for words; the rest of a long text adds little."""

_LETTERS: Final = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}  # noqa: RUF001
)
"""Letters that Unicode does not take apart and that people type without their strokes."""

_POSSESSIVE: Final = re.compile(r"\s?['’`´]\s?s\b")  # noqa: RUF001 - the apostrophes that people type
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD: Final = re.compile(r"[぀-ヿ㐀-䶿一-鿿豈-﫿]|[^\W_぀-ヿ㐀-䶿一-鿿豈-﫿]+")
"""A run of letters and digits; one character where the script has no spaces."""

_ENDINGS: Final = ("ations", "ation", "ities", "ity", "ings", "ing", "ies", "ers", "ors", "ed", "er", "or", "es", "s")
_STEM_LETTERS_MIN: Final = 3

_STOP: Final = """
a an and any are as at be been being but by can could did do does for from had has have he her hers him his i if in into
is it its itself me my of on or our please s she so some such tell than that the their them then there these they this
those to us was we were what which who whom whose will with would you your name named called know about
find give like look out show up want
der das des dem den ein eine ist von und wer le la les de du un une est et qui el los las del es y quien
"""
STOP: Final = frozenset(_STOP.split())
"""Words that say nothing about which fact is meant."""


def fold(text: str) -> str:
    """Text without case, accents, strokes and compatibility forms."""
    wide = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in wide if not unicodedata.combining(c)).translate(_LETTERS)


def words(text: str) -> list[str]:
    """The folded words of a text, in order; a possessive `'s` is none."""
    return _WORD.findall(_POSSESSIVE.sub(" ", fold(text)))


def split_name(name: str) -> str:
    """The last part of an IRI as words: `placeOfBirth`, `place_of_birth` and `place-of-birth` are three words."""
    return _CAMEL.sub(" ", name).replace("_", " ").replace("-", " ").strip()


def local_name(iri: bytes) -> str:
    """The last part of an IRI (in angle brackets), percent-decoded, for things without a label."""
    text = iri[1:-1].decode()
    tail = re.split(r"[#/:]", text.rstrip("#/"))[-1]
    if "%" in tail:
        from urllib.parse import unquote  # noqa: PLC0415 - rare

        tail = unquote(tail)
    return tail or text


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A word without its English ending, if enough is left."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _STEM_LETTERS_MIN and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    return word[:-1] if word.endswith(("e", "y")) and len(word) > _STEM_LETTERS_MIN else word


_ESCAPE: Final = re.compile(r"\\(?:([tbnrf\"'\\])|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))")
_ESCAPES: Final = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f"}


def literal_text(term: bytes) -> tuple[str, str | None, str | None]:
    """The text of a literal in N-Triples, its language or None, and its datatype or None for a plain string."""
    body, _, tail = term.decode()[1:].rpartition('"')
    text = _ESCAPE.sub(_unescaped, body) if "\\" in body else body
    if tail.startswith("@"):
        return text, tail[1:], None
    return text, None, tail[3:-1] if tail else None


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        return _ESCAPES.get(match[1], match[1])
    return chr(int(match[2] or match[3], 16))
