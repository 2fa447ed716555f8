"""Regular expressions over text that strangers wrote, in linear time.

Python's `re` backtracks: `(a+)+$` over 40 letters does not end. The engine of `pyoxigraph` (Rust's `regex`, of which
SPARQL's REGEX is made) has no backtracking, no look-around and no back-references, and refuses patterns that compile to
too much. Case does not matter, and what is searched is the text as `retrieval.safety.clean` leaves it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import pyoxigraph as ox

from retrieval.policy.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Sequence

PATTERN_CHARS_MAX: Final = 500
"""Longest pattern, in characters."""

PATTERNS_MAX: Final = 200
"""Most patterns of one list of a policy."""

_FLAGS: Final = frozenset("imsxq")


def pattern(text: str, path: str, flags: str = "i") -> str:
    """A pattern that the engine takes. Raises `PolicyError`."""
    if len(text) > PATTERN_CHARS_MAX:
        raise PolicyError(f"{path}: the pattern has {len(text)} characters; {PATTERN_CHARS_MAX} is the limit")
    if not set(flags) <= _FLAGS:
        raise PolicyError(f"{path}: flags of a pattern are among i, m, s, x, q")
    if not _usable(text, flags):
        raise PolicyError(
            f"{path}: the pattern is not one of SPARQL's REGEX without look-around and back-references, or too large"
        )
    return text


def _usable(text: str, flags: str) -> bool:
    try:
        query = f'SELECT ?x {{ BIND(REGEX("", {ox.Literal(text)}, "{flags}") AS ?x) }}'
        (row,) = ox.Store().query(query)  # type: ignore[misc]  # a SELECT has rows
    except (ValueError, SyntaxError):
        return False
    return row[0] is not None


def found(text: str, patterns: Sequence[str], flags: str = "i") -> int | None:
    """The number of the first pattern that occurs in the text, from 0."""
    return next((at for at, one in enumerate(patterns) if occurs(one, text, flags)), None)


@lru_cache(maxsize=16_384)
def occurs(pattern: str, text: str, flags: str = "i") -> bool:
    """Whether a pattern that `pattern` passed occurs in a text."""
    return bool(ox.Store().query(f'ASK {{ FILTER(REGEX({ox.Literal(text)}, {ox.Literal(pattern)}, "{flags}")) }}'))
