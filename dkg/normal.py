r"""Terms in normal form: what the engine gives back for a term it has stored (docs/formats.md, section 1).

A term is its N-Triples text in UTF-8. It is in normal form when the engine's strict N-Triples parser reads
it, an in-memory store keeps it, and what the store gives back prints as the same bytes. So
`"01"^^xsd:integer`, `"a"@EN` and `"\u0041"` are not in normal form. Blank nodes, triple terms and literals
with a base direction have none, and neither has a term longer than its limit (`dkg.limits`).

The engine alone defines what normal form is. A regular expression knows most terms that are, which saves
asking the engine about them; `tests/dkg/test_normal.py` holds the one against the other.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import pyoxigraph as ox

from dkg.errors import LimitError, NormalFormError, RdfError
from dkg.limits import DURATION_DAYS_MAX, IRI_BYTES_MAX, LITERAL_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable

_XSD: Final = r"http://www\.w3\.org/2001/XMLSchema\#"

_CACHED: Final = 4_096
_CACHED_BYTES_MAX: Final = 256  # longer terms are not cached, so that the cache stays below 3 MB

# RFC 3987, less what is rare and left to the engine: IP literals in brackets, private characters in queries.
_UCSCHAR = (
    "\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef"
    "\U00010000-\U0001fffd\U00020000-\U0002fffd\U00030000-\U0003fffd\U00040000-\U0004fffd\U00050000-\U0005fffd"
    "\U00060000-\U0006fffd\U00070000-\U0007fffd\U00080000-\U0008fffd\U00090000-\U0009fffd\U000a0000-\U000afffd"
    "\U000b0000-\U000bfffd\U000c0000-\U000cfffd\U000d0000-\U000dfffd"
)
_NAME = rf"A-Za-z0-9\-._~!$&'()*+,;={_UCSCHAR}"
# Repeated classes are possessive: that keeps matching linear. Groups are not: Python 3.11.1 gets those wrong.
_PART = rf"[{_NAME}:@/?]*+(?:%[0-9A-Fa-f]{{2}}[{_NAME}:@/?]*+)*"
_AUTHORITY = rf"//[{_NAME}]*+(?::[0-9]*+)?(?=[/?#>])"
_IRI_REFERENCE = rf"[A-Za-z][A-Za-z0-9+.\-]*+:(?:{_AUTHORITY}|(?!//)){_PART}(?:\#{_PART})?"

IRI: Final = f"<{_IRI_REFERENCE}>"
"""Pattern (of `str`): an IRI in normal form, all but rare ones."""

_STRING = (
    r'"[^"\\\x00-\x1f\x7f\ufffe\uffff]*+'
    r'(?:\\(?:["\\bfnrt]|u(?:00(?:0[0-7BEF]|1[0-9A-F]|7F)|FFF[EF]))[^"\\\x00-\x1f\x7f\ufffe\uffff]*+)*"'
)
_LANGUAGE = r"@[a-z]{2,3}(?:-(?:[a-z]{2}|[0-9]{3}))?(?![a-z0-9\-])"
# Of the namespaces whose datatypes the engine may know, those it is known to leave as they are.
_LEFT_ALONE = "anyURI|hexBinary|base64Binary|language|normalizedString|token|Name|NCName|NMTOKEN|QName"
_OPAQUE = (
    rf"\^\^<(?:{_XSD}(?:{_LEFT_ALONE})"
    rf"|(?!http://www\.w3\.org/(?:2001/XMLSchema|1999/02/22-rdf-syntax-ns)\#){_IRI_REFERENCE})>"
)

LITERAL: Final = rf'(?:"(?:true|false)"\^\^<{_XSD}boolean>|{_STRING}(?:{_LANGUAGE}|{_OPAQUE})?)'
"""Pattern (of `str`): a literal in normal form, all but rare ones, numbers and times."""

_DAY = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{0,8}[1-9])?"
# At most 18 digits fit any integer type of the engine, 15 digits are one double, 6 digits are one float.
_TYPED: Final = "|".join(
    rf'"(?:{lexical})"\^\^<{_XSD}{datatype}>'
    for datatype, lexical in {
        "integer": r"0|-?[1-9][0-9]{0,17}",
        "decimal": r"0|-?[1-9][0-9]{0,17}|-?(?:0|[1-9][0-9]{0,8})\.[0-9]{0,8}[1-9]",
        "double": r"-?(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{0,5}[1-9])?|NaN|-?INF",
        "float": r"-?(?:0|[1-9][0-9]{0,2})(?:\.[0-9]{0,2}[1-9])?|NaN|-?INF",
        "dateTime": rf"{_DAY}T{_CLOCK}Z?",
        "date": rf"{_DAY}Z?",
        "gYear": "[0-9]{4}Z?",
        "gYearMonth": "[0-9]{4}-(?:0[1-9]|1[0-2])Z?",
    }.items()
)

_SURELY_NORMAL: Final = re.compile(f"{IRI}|{LITERAL}|{_TYPED}")

# One IRI or one literal as N-Triples writes them, canonical or not: nothing that could end a statement early.
_ONE_TERM: Final = re.compile(
    r'<[^\x00-\x20<>"{}|^`]*+>|"[^"\\\n\r]*+(?:\\.[^"\\\n\r]*+)*"'
    r'(?:@[A-Za-z]++(?:-[A-Za-z0-9]++)*|\^\^<[^\x00-\x20<>"{}|^`]*+>)?'
)
_DURATION: Final = re.compile(
    rb'"-?P(?:[0-9]{1,99}Y)?(?:[0-9]{1,99}M)?(?:([0-9]{1,99})D)?'
    rb'(?:T(?:([0-9]{1,99})H)?(?:([0-9]{1,99})M)?(?:([0-9]{1,99})(?:\.[0-9]*)?S)?)?"'
    rb"\^\^<http://www\.w3\.org/2001/XMLSchema#(?:d|dayTimeD|yearMonthD)uration>"
)
_REFUSED: Final = {
    re.compile(r"_:.*", re.DOTALL): "a blank node, which a dataset cannot hold: skolemise it first",
    re.compile(r"<<.*", re.DOTALL): "a triple term, which this format cannot hold",
    re.compile(r'".*"@[A-Za-z0-9\-]+--[A-Za-z]+', re.DOTALL): (
        "a literal with a base direction, which this format cannot hold"
    ),
    re.compile(".*", re.DOTALL): "neither an IRI nor a literal in N-Triples syntax",
}


def surely_normal(term: bytes) -> bool:
    """Whether a term is seen to be in normal form without the engine; False means that it must be asked."""
    if len(term) > IRI_BYTES_MAX:
        return False
    try:
        return _SURELY_NORMAL.fullmatch(term.decode()) is not None
    except UnicodeDecodeError:
        return False


def normalize(term: bytes) -> bytes:
    """The normal form of a term given in N-Triples syntax.

    Raises `RdfError` for what is no IRI and no literal or what the format cannot hold, and `LimitError` for a
    term over its limit.
    """
    if surely_normal(term):
        return term
    return _asked_and_kept(term) if len(term) <= _CACHED_BYTES_MAX else _asked([term])[0]


@lru_cache(maxsize=_CACHED)
def _asked_and_kept(term: bytes) -> bytes:
    return _asked([term])[0]


def normalize_all(terms: list[bytes]) -> list[bytes]:
    """The normal forms of terms, in their order; the engine is asked once for all of them together.

    Raises what `normalize` raises, for the first bad term.
    """
    rare = list(dict.fromkeys(term for term in terms if not surely_normal(term)))
    if not rare:
        return list(terms)
    normal = dict(zip(rare, _asked(rare), strict=True))
    return [normal.get(term, term) for term in terms]


def require_normal(terms: Iterable[bytes]) -> None:
    """Check that all terms are in normal form. Raises `NormalFormError` that names the first that is not."""
    given = list(terms)
    for term, normal in zip(given, normalize_all(given), strict=True):
        if term != normal:
            raise NormalFormError(
                f"the term {shown(term)} is not in normal form: write it as {shown(normal)}, "
                "because only the normal form is signed"
            )


def is_normal(term: bytes) -> bool:
    """Whether a term is in normal form. Never raises, whatever the bytes: they may come from an adversary."""
    if surely_normal(term):
        return True
    try:
        return _asked([term])[0] == term
    except (RdfError, LimitError):
        return False


def shown(term: bytes) -> str:
    """A term as an error message shows it: its first 200 bytes."""
    text = term[:200].decode(errors="backslashreplace")
    return text if len(term) <= 200 else f"{text}... ({len(term)} bytes)"  # noqa: PLR2004 - as above


def _asked(terms: list[bytes]) -> list[bytes]:
    for term in terms:
        _check(term)
    normal = _stored(terms)
    changed = [after for before, after in zip(terms, normal, strict=True) if before != after]
    for term in changed:
        _check_size(term)
    if changed and _stored(changed) != changed:  # pragma: no cover - no such literal is known
        raise RdfError(f"the engine does not settle on one form of {shown(changed[0])}, or of a term given with it")
    return normal


def _check(term: bytes) -> None:
    _check_size(term)
    try:
        text = term.decode()
    except UnicodeDecodeError as error:
        raise RdfError(f"the term {shown(term)} is not UTF-8: {error.reason} at byte {error.start}") from error
    if _ONE_TERM.fullmatch(text) is None:
        reason = next(reason for pattern, reason in _REFUSED.items() if pattern.fullmatch(text))
        raise RdfError(f"the term {shown(term)} is {reason}")
    if b"uration>" in term[-9:]:
        _check_duration(term)


def _check_duration(term: bytes) -> None:
    """Comparing durations takes the engine time that grows with their days: 0.5 s for 10^9 of them, once."""
    found = _DURATION.fullmatch(term)
    if found is None:
        return
    days, hours, minutes, seconds = (int(part or b"0") for part in found.groups())
    if days + hours // 24 + minutes // 1_440 + seconds // 86_400 >= DURATION_DAYS_MAX:
        raise LimitError(f"the duration {shown(term)} has more than DURATION_DAYS_MAX, {DURATION_DAYS_MAX} days")


def _check_size(term: bytes) -> None:
    literal = term[:1] == b'"'
    name, limit = ("LITERAL_BYTES_MAX", LITERAL_BYTES_MAX) if literal else ("IRI_BYTES_MAX", IRI_BYTES_MAX)
    if len(term) > limit:
        raise LimitError(f"the term {shown(term)} is longer than {name}, {limit} bytes")


def _stored(terms: list[bytes]) -> list[bytes]:
    """What a store gives back for terms that `_check` has passed."""
    text = b"".join(b"<urn:%d> <urn:p> %b .\n" % (i, term) for i, term in enumerate(terms))
    store = ox.Store()
    try:
        store.load(text, format=ox.RdfFormat.N_TRIPLES)
    except SyntaxError as error:
        if len(terms) == 1:
            raise RdfError(f"the term {shown(terms[0])} does not parse: {error.msg}") from error
        return [_stored([term])[0] for term in terms]  # names the bad one
    found: dict[str, bytes] = {}
    for quad in store:
        found[quad.subject.value] = str(quad.object).encode()
    return [found[f"urn:{i}"] for i in range(len(terms))]
