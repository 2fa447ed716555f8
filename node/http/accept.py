"""Content negotiation (RFC 9110, section 12.5.1): which of the formats that there are a client wants most.

Of the ranges in an Accept header the most specific one that fits a type gives its quality. Of types with the same
quality one that is named goes before one that a wildcard lets in, and then the one that comes first here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RANGES_MAX: Final = 100
"""Most ranges of an Accept header that are looked at."""

RANGE_CHARACTERS_MAX: Final = 256
"""Longest range that is looked at, in characters."""

_REMEMBERED: Final = 256
_REMEMBERED_BYTES: Final = 1024
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_RANGE: Final = re.compile(rf"\s*({_WORD})/({_WORD})\s*((?:;.*)?)", re.DOTALL)
_PARAMETER: Final = re.compile(rf';\s*({_WORD})\s*=\s*({_WORD}|"(?:[^"\\]|\\.)*")\s*')
_QUALITY: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


class Format(NamedTuple):
    """A type of content, and the name that evaluation has for it."""

    media_type: str
    name: str


TABLES: Final = (
    Format("application/sparql-results+json", "json"),
    Format("application/sparql-results+xml", "xml"),
    Format("text/csv", "csv"),
    Format("text/tab-separated-values", "tsv"),
    Format("application/json", "json"),
    Format("application/xml", "xml"),
    Format("text/xml", "xml"),
)
"""Formats of SELECT and ASK: those that the W3C registered, then what else clients call them."""

GRAPHS: Final = (
    Format("text/turtle", "ttl"),
    Format("application/n-triples", "nt"),
    Format("application/rdf+xml", "xml"),
    Format("application/ld+json", "json"),
    Format("text/plain", "nt"),
    Format("application/json", "json"),
    Format("application/xml", "xml"),
    Format("text/xml", "xml"),
)
"""Formats of CONSTRUCT and DESCRIBE, and of other graphs."""

PROOFS: Final = (Format("application/vnd.ipld.car", "car"), Format("application/vnd.ipld.car+zstd", "car.zst"))
"""Formats of proofs."""


@dataclass(frozen=True, slots=True)
class Range:
    """A part of an Accept header. `quality`: in thousandths."""

    main: str
    sub: str
    quality: int
    parameters: dict[str, str] = field(default_factory=dict)

    def fits(self, media_type: str) -> int:
        """How specific this is for a type: 0 if it does not fit, 1 for any, 2 for a family, 3 for the very type."""
        main, _, sub = media_type.partition("/")
        if self.main == self.sub == "*":
            return 1
        if self.main == main and self.sub == "*":
            return 2
        return 3 if (self.main, self.sub) == (main, sub) else 0


ANYTHING: Final = (Range("*", "*", 1000),)


def parse_accept(header: str) -> tuple[Range, ...]:
    """The ranges of an Accept header. What is no range is left out; without any range, all types are good."""
    if not header.strip():
        return ANYTHING
    found: list[Range] = []
    for part in islice(_parts(header), RANGES_MAX):
        match = _RANGE.fullmatch(part) if len(part) <= RANGE_CHARACTERS_MAX else None
        if match is None:
            continue
        main, sub, rest = match.groups()
        parameters = {name.lower(): _unquoted(value) for name, value in _PARAMETER.findall(rest)}
        text = parameters.pop("q", "1")
        quality = round(1000 * float(text)) if _QUALITY.fullmatch(text) else 1000
        found.append(Range(main.lower(), sub.lower(), quality, parameters))
    return tuple(found)


def _parts(header: str) -> Iterator[str]:
    """What is between commas, but for those in quoted texts. Its time is linear, whatever the header."""
    start, quoted, escaped = 0, False, False
    for at, character in enumerate(header):
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = character == "\\", character != '"'
        elif character == '"':
            quoted = True
        elif character == ",":
            yield header[start:at]
            start = at + 1
    yield header[start:]


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


class Rank(NamedTuple):
    """How much a type is wanted: the larger, the more."""

    quality: int
    specific: int
    place: int


def rank(ranges: Sequence[Range], media_type: str, place: int = 0) -> Rank | None:
    """How much a type is wanted; None if it is not."""
    best = max(ranges, key=lambda one: one.fits(media_type), default=None)
    if best is None or not best.fits(media_type) or not best.quality:
        return None
    return Rank(best.quality, best.fits(media_type), -place)


def best_of(ranges: Sequence[Range], formats: Sequence[Format]) -> tuple[Format, Rank] | None:
    """The format that is wanted most; None if none is."""
    ranked = [(found, one) for at, one in enumerate(formats) if (found := rank(ranges, one.media_type, at)) is not None]
    if not ranked:
        return None
    found, one = max(ranked, key=lambda pair: pair[0])
    return one, found


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client wants of a query: a proof, or results, in a format for each form of query; None where none fits."""

    table: Format | None
    graph: Format | None
    proof: Format | None
    key: bytes = field(init=False)
    """What tells this from others that may give other bytes."""

    def __post_init__(self) -> None:
        names = ("-" if one is None else one.media_type for one in (self.table, self.graph, self.proof))
        object.__setattr__(self, "key", "|".join(names).encode())


def negotiate(header: str) -> Wanted | None:
    """What a client wants of a query; None if that is nothing that there is.

    A proof is given if it is wanted more than results of every form.
    """
    return _remembered(header) if len(header) <= _REMEMBERED_BYTES else _negotiated(header)


def _negotiated(header: str) -> Wanted | None:
    ranges = parse_accept(header)
    table, graph, proof = (best_of(ranges, formats) for formats in (TABLES, GRAPHS, PROOFS))
    results = [found[1][:2] for found in (table, graph) if found is not None]
    if proof is not None and all(proof[1][:2] > other for other in results):
        return Wanted(None, None, proof[0])
    if not results:
        return None
    return Wanted(table and table[0], graph and graph[0], None)


_remembered = lru_cache(_REMEMBERED)(_negotiated)


@lru_cache(_REMEMBERED)
def negotiate_graph(header: str) -> Format | None:
    """The format that is wanted most of a graph that needs no proof."""
    found = best_of(parse_accept(header), GRAPHS)
    return found and found[0]
