"""Terms, components, keys: the sorted byte strings that trees hold for quads (docs/formats.md, section 2).

- A *term* is its N-Triples text in normal form (`dkg.normal`), as UTF-8 bytes.
- A *component* is a term as a key holds it: the term itself, or, for numbers and times, a tag (0x10, 0x11),
  nine order bytes (`dkg.values`) and the term. It never holds 0x00: N-Triples escapes that, and order bytes
  are above 0x7F.
- A *key* is the four components of a quad in the order of an index, each followed by 0x00.

A key that is not that is no quad, and evaluation ignores it on every side (DESIGN section 5). Which keys are
quads is therefore part of the format: it hangs on the key's bytes alone, and every reader must agree on it.
"""

from __future__ import annotations

import math
import re
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final, cast

import pyoxigraph as ox

from dkg.errors import LimitError, RdfError
from dkg.limits import IRI_BYTES_MAX
from dkg.normal import IRI, LITERAL, is_normal, normalize, shown
from dkg.values import TEMPORAL, order_bytes, value_of

if TYPE_CHECKING:
    from collections.abc import Callable

Term = bytes
"""An IRI or a literal in normal form."""

Quad = tuple[bytes, bytes, bytes, bytes]
"""Subject, predicate, object, graph name."""

_TAGGED: Final = 10  # bytes before the term: a tag and the order bytes
_CACHED: Final = 16_384
_CACHED_BYTES_MAX: Final = 256  # longer ones are not cached, so that each cache stays below 12 MB
_FEW: Final = 256  # components that are looked at one by one, before the pattern for many is compiled

_WIDER: Final = 2.0**-20
"""Relative. The engine compares in the wider type of two, at worst xsd:float, whose steps are 2^-23."""

_TINY: Final = 2.0**-120

_ZONES: Final = 2.0 * 86_400
"""Seconds. Times without a zone may be up to 14 hours from where they sort."""

_INFINITE: Final = (math.inf, -math.inf)


def component(term: bytes) -> bytes:
    """A term as a key holds it."""
    if term[-1:] != b">" or term[:1] == b"<":
        return term
    return _component(term) if len(term) <= _CACHED_BYTES_MAX else _tagged(term)


def _tagged(term: bytes) -> bytes:
    found = value_of(term)
    return term if found is None else found[0] + order_bytes(found[1]) + term


_component = lru_cache(maxsize=_CACHED)(_tagged)


def term_of(component: bytes) -> bytes:
    """The term that a component holds."""
    return component[_TAGGED:] if component[:1] < b" " else component


def key_of(quad: Quad, order: str) -> bytes:
    """The key of a quad in the index `order`."""
    s, p, o, g = quad
    o = component(o)
    if order == "spog":
        return b"%b\0%b\0%b\0%b\0" % (s, p, o, g)
    if order == "posg":
        return b"%b\0%b\0%b\0%b\0" % (p, o, s, g)
    if order == "ospg":
        return b"%b\0%b\0%b\0%b\0" % (o, s, p, g)
    if order == "gspo":
        return b"%b\0%b\0%b\0%b\0" % (g, s, p, o)
    raise ValueError(f"there is no index {order!r}")


def quad_of(key: bytes, order: str) -> Quad:
    """The quad of a key that `keys_are_quads` has passed."""
    a, b, c, d, _ = key.split(b"\0")
    if order == "spog":
        return a, b, term_of(c), d
    if order == "posg":
        return c, a, term_of(b), d
    if order == "ospg":
        return b, c, term_of(a), d
    if order == "gspo":
        return b, c, term_of(d), a
    raise ValueError(f"there is no index {order!r}")


def keys_are_quads(keys: list[bytes], order: str) -> bool:
    """Whether all keys of the index `order` are quads, for keys of which nothing is known.

    A key is a quad if and only if it is four components, each followed by 0x00, of which subject, predicate
    and graph name are IRIs in normal form, and the object is `component` of a term in normal form.
    """
    return _surely_quads(keys, order) or all(_is_quad(key, order) for key in keys)


def quads_only(keys: list[bytes], order: str) -> list[bytes]:
    """The keys that are quads, in their order; see `keys_are_quads`."""
    return [key for key in keys if _surely_quads([key], order) or _is_quad(key, order)]


def _surely_quads(keys: list[bytes], order: str) -> bool:
    """Looks at each distinct component once, and at few that were seen before. False means: look at each key."""
    parts = b"\n".join([b"", *keys]).split(b"\0")  # a line break before each key and nowhere else, or it is False
    if parts.pop() or len(parts) != len(order) * len(keys):
        return not keys
    first, *columns = (set(parts[at :: len(order)]) for at in range(len(order)))
    if not all(part[:1] == b"\n" for part in first):
        return False
    columns.insert(0, {part[1:] for part in first})
    objects = columns.pop(order.index("o")) - _OBJECTS.known
    iris = columns[0].union(*columns[1:]) - _IRIS.known
    return _IRIS.hold(iris) and _OBJECTS.hold(objects)


class _Normal:
    """What components in normal form are. Those that were looked at are known: most occur again and again."""

    def __init__(self, one: Callable[[bytes], bool], pattern: str) -> None:
        """`one`: whether a component is one. `pattern`: of most that are and have no order bytes, not of others."""
        self.known: set[bytes] = set()
        self._one = one
        self._pattern = pattern

    @cached_property
    def _lines(self) -> re.Pattern[str]:
        """Any number of lines. Compiled when there is much to look at: it takes 10 ms, and a point has little."""
        return re.compile(f"(?:(?:{self._pattern})\n)*")

    def hold(self, parts: set[bytes]) -> bool:
        """Whether all of these are components in normal form."""
        if not parts:
            return True
        if not self._match(parts) and not all(map(self._one, parts)):
            return False
        if len(self.known) > _CACHED:
            self.known.clear()
        self.known.update(part for part in parts if len(part) <= _CACHED_BYTES_MAX)
        return True

    def _match(self, parts: set[bytes]) -> bool:
        if len(self.known) < _FEW or max(map(len, parts)) > IRI_BYTES_MAX:
            return False  # so that a component that matches is within its limit
        plain = [part for part in parts if part[:1] >= b" "]
        if len(plain) < len(parts) and not all(self._one(part) for part in parts if part[:1] < b" "):
            return False
        text = b"\n".join([*plain, b""])
        if text.count(b"\n") > len(plain):
            return False  # a component that has a line break would pass for two
        try:
            return self._lines.fullmatch(text.decode()) is not None
        except UnicodeDecodeError:
            return False


def _is_quad(key: bytes, order: str) -> bool:
    parts = key.split(b"\0")
    if len(parts) != len(order) + 1 or parts[-1]:
        return False
    return all(_is_object(part) if place == "o" else _is_iri(part) for place, part in zip(order, parts, strict=False))


def _is_iri(part: bytes) -> bool:
    return part[:1] == b"<" and is_normal(part)


def _is_object(part: bytes) -> bool:
    term = term_of(part)
    return is_normal(term) and component(term) == part


_IRIS: Final = _Normal(_is_iri, IRI)
_OBJECTS: Final = _Normal(_is_object, f"{LITERAL}|{IRI}")


def numeric_range(op: str, literal: bytes) -> tuple[bytes, bytes] | None:
    """Bounds on the components that can satisfy `?x op literal`, for op of `<`, `<=`, `>`, `>=`, `=`.

    Every component whose term satisfies it lies in the half-open range; others may too. None where nothing is
    known: other operators, literals that are neither number nor time.
    """
    if op not in {"<", "<=", ">", ">=", "="}:
        return None
    try:
        found = value_of(normalize(literal))
    except (RdfError, LimitError):
        return None
    if found is None:
        return None
    tag, value = found
    low, high = tag, bytes([tag[0] + 1])
    if math.isnan(value):  # nothing is less than it, equal to it or greater
        return low, high
    wider = _ZONES if tag == TEMPORAL else abs(value) * _WIDER + _TINY
    if op[0] != "<":
        low = tag + order_bytes(value if value in _INFINITE else value - wider)
    if op[0] != ">":
        high = tag + order_bytes(value if value in _INFINITE else value + wider) + b"\xff"
    return low, high


def to_oxigraph(term: bytes) -> ox.NamedNode | ox.Literal:
    """The engine's object for a term in normal form. Raises `RdfError` for anything else."""
    if not is_normal(term):
        raise RdfError(f"{shown(term)} is not a term in normal form")
    if term[:1] == b"<":
        return ox.NamedNode(term[1:-1].decode())
    (triple,) = ox.parse(b"<urn:s> <urn:p> " + term + b" .", format=ox.RdfFormat.N_TRIPLES)
    return cast("ox.Literal", triple.object)
