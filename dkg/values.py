"""Order bytes: what makes numbers and times sort by value in a key (docs/formats.md, section 2).

A literal has order bytes when its datatype is one of eight and its text belongs to that datatype in XSD 1.1,
with at most 18 digits in a year or a fraction of a second, whether or not the engine can compute with it.
They are those of a double:

- of a number: the double nearest to the number as written;
- of a time: the double nearest to the seconds from 1970-01-01T00:00:00Z to its start; no zone is read as UTC.
"""

from __future__ import annotations

import math
import re
from struct import pack, unpack
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

NUMERIC: Final = b"\x10"
"""The tag of components of xsd:integer, xsd:decimal, xsd:double and xsd:float."""

TEMPORAL: Final = b"\x11"
"""The tag of components of xsd:dateTime, xsd:date, xsd:gYear and xsd:gYearMonth."""

_XSD: Final = b"http://www.w3.org/2001/XMLSchema#"
_SIGN: Final = 1 << 63
_NAN_BITS: Final = 0x7FF8_0000_0000_0000
_SECONDS_A_DAY: Final = 86_400
_DAYS_BEFORE_1970: Final = 719_468  # from 0000-03-01 to 1970-01-01

_INTEGER: Final = re.compile(rb"[+\-]?[0-9]+")
_DECIMAL: Final = re.compile(rb"[+\-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_DOUBLE: Final = re.compile(rb"[+\-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+\-]?[0-9]+)?|[+\-]?INF|NaN")

_YEAR: Final = rb"(-?(?:[1-9][0-9]{4,17}|[0-9]{4}))"  # longer years overflow the engine, which then compares nothing
_ZONE: Final = rb"(Z|[+\-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+\-]14:00)?"
_MONTH: Final = rb"-(0[1-9]|1[0-2])"
_DAY: Final = rb"-(0[1-9]|[12][0-9]|3[01])"
_CLOCK: Final = rb"T([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,18}))?"
_NOTHING: Final = rb"()"  # a group for what a datatype lacks

_DATE_TIME: Final = re.compile(_YEAR + _MONTH + _DAY + _CLOCK + _ZONE)
_DATE: Final = re.compile(_YEAR + _MONTH + _DAY + _NOTHING * 4 + _ZONE)
_YEAR_MONTH: Final = re.compile(_YEAR + _MONTH + _NOTHING * 5 + _ZONE)
_YEAR_ONLY: Final = re.compile(_YEAR + _NOTHING * 6 + _ZONE)


def order_bytes(value: float) -> bytes:
    """Nine bytes that sort as doubles do: 63 bits, 7 a byte, each above 0x7F. -0 is 0; NaN is above INF."""
    bits = _NAN_BITS if math.isnan(value) else unpack(">Q", pack(">d", value + 0.0))[0]
    bits = (bits ^ (2 * _SIGN - 1) if bits & _SIGN else bits | _SIGN) >> 1
    return bytes([bits >> shift & 0x7F | 0x80 for shift in (56, 49, 42, 35, 28, 21, 14, 7, 0)])


def _number(lexical: re.Pattern[bytes]) -> Callable[[bytes], float | None]:
    return lambda text: float(text) if lexical.fullmatch(text) else None


def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 in the proleptic Gregorian calendar with a year 0 (Howard Hinnant's algorithm)."""
    year -= month <= 2  # noqa: PLR2004 - the year begins in March
    era = year // 400
    year -= era * 400
    days = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + year * 365 + year // 4 - year // 100 + days - _DAYS_BEFORE_1970


def _month_length(year: int, month: int) -> int:
    if month == 2:  # noqa: PLR2004 - February
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in {4, 6, 9, 11} else 31


def _time(lexical: re.Pattern[bytes]) -> Callable[[bytes], float | None]:
    def instant(text: bytes) -> float | None:
        found = lexical.fullmatch(text)
        if found is None:
            return None
        year, month, day, hour, minute, second, fraction, zone = found.groups()
        y, m, d = int(year), int(month or 1), int(day or 1)
        if d > _month_length(y, m):
            return None
        seconds = _days(y, m, d) * _SECONDS_A_DAY
        seconds += int(hour or 0) * 3600 + int(minute or 0) * 60 + int(second or 0)
        if zone and zone != b"Z":
            offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
            seconds += offset if zone[:1] == b"-" else -offset
        if not fraction:
            return float(seconds)
        scale: int = 10 ** len(fraction)
        return (seconds * scale + int(fraction)) / scale  # correctly rounded, unlike a sum of doubles

    return instant


_ORDERED: Final[dict[bytes, tuple[bytes, Callable[[bytes], float | None]]]] = {
    _XSD + b"integer": (NUMERIC, _number(_INTEGER)),
    _XSD + b"decimal": (NUMERIC, _number(_DECIMAL)),
    _XSD + b"double": (NUMERIC, _number(_DOUBLE)),
    _XSD + b"float": (NUMERIC, _number(_DOUBLE)),
    _XSD + b"dateTime": (TEMPORAL, _time(_DATE_TIME)),
    _XSD + b"date": (TEMPORAL, _time(_DATE)),
    _XSD + b"gYear": (TEMPORAL, _time(_YEAR_ONLY)),
    _XSD + b"gYearMonth": (TEMPORAL, _time(_YEAR_MONTH)),
}


def value_of(term: bytes) -> tuple[bytes, float] | None:
    """The tag and the value that a literal sorts by, None if it has none: another datatype, or ill-typed."""
    head, mark, datatype = term.rpartition(b'"^^<')
    ordered = _ORDERED.get(datatype[:-1]) if mark else None
    if ordered is None:
        return None
    tag, read = ordered
    value = read(head[1:])
    return None if value is None else (tag, value)
