"""Whether a text is one that a datatype of XML Schema has: `"12a"` is no xsd:integer.

RDF lets ill-typed literals be, and the engine keeps them as they are; a query then finds nothing where a number should
be. In an import they are mistakes of a table or of its mapping, so they are errors. Datatypes that are not in the list
are taken as they come.
"""

from __future__ import annotations

import re
from calendar import monthrange
from typing import Final

XSD: Final = "http://www.w3.org/2001/XMLSchema#"

_ZONE: Final = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?"
_DAY: Final = r"-?(?:[1-9][0-9]{4,8}|[0-9]{4})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK: Final = r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?|24:00:00(?:\.0+)?)"
_YEAR: Final = r"-?(?:[1-9][0-9]{4,8}|[0-9]{4})"
_INTEGER: Final = "[+-]?[0-9]+"
_FLOATING: Final = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?INF|NaN"
_DURATION_DAY: Final = r"(?:[0-9]+D)?(?:T(?=[0-9])(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+(?:\.[0-9]+)?S)?)?"

_FORMS: Final = {
    name: re.compile(form)
    for name, form in {
        "boolean": "true|false|1|0",
        "integer": _INTEGER,
        "decimal": r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)",
        "double": _FLOATING,
        "float": _FLOATING,
        "date": _DAY + _ZONE,
        "time": _CLOCK + _ZONE,
        "dateTime": f"{_DAY}T{_CLOCK}{_ZONE}",
        "dateTimeStamp": rf"{_DAY}T{_CLOCK}(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})",
        "gYear": _YEAR + _ZONE,
        "gYearMonth": rf"{_YEAR}-(?:0[1-9]|1[0-2]){_ZONE}",
        "gMonthDay": rf"--(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]){_ZONE}",
        "gDay": rf"---(?:0[1-9]|[12][0-9]|3[01]){_ZONE}",
        "gMonth": rf"--(?:0[1-9]|1[0-2]){_ZONE}",
        "duration": rf"-?P(?=[0-9T])(?:[0-9]+Y)?(?:[0-9]+M)?{_DURATION_DAY}",
        "dayTimeDuration": rf"-?P(?=[0-9T]){_DURATION_DAY}",
        "yearMonthDuration": r"-?P(?=[0-9])(?:[0-9]+Y)?(?:[0-9]+M)?",
        "hexBinary": "(?:[0-9a-fA-F]{2})*",
    }.items()
}

_RANGES: Final[dict[str, tuple[int | None, int | None]]] = {
    "nonNegativeInteger": (0, None),
    "positiveInteger": (1, None),
    "nonPositiveInteger": (None, 0),
    "negativeInteger": (None, -1),
    **{name: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for name, bits in (("long", 64), ("int", 32), ("short", 16))},
    "byte": (-128, 127),
    **{f"unsigned{name}": (0, 2**bits - 1) for name, bits in (("Long", 64), ("Int", 32), ("Short", 16), ("Byte", 8))},
}

_DIGITS_MAX: Final = 300  # Python takes time that grows with the square of the digits
_DATED: Final = frozenset({"date", "dateTime", "dateTimeStamp"})


def is_lexical(datatype: str, text: str) -> bool:
    """Whether a datatype, an IRI, has this text; True for datatypes that are not known here."""
    if not datatype.startswith(XSD):
        return True
    name = datatype.removeprefix(XSD)
    if name in _RANGES:
        return _in_range(text, *_RANGES[name])
    form = _FORMS.get(name)
    if form is None:
        return True
    return form.fullmatch(text) is not None and (name not in _DATED or _is_day(text))


def _in_range(text: str, low: int | None, high: int | None) -> bool:
    if len(text) > _DIGITS_MAX or _FORMS["integer"].fullmatch(text) is None:
        return False
    value = int(text)
    return (low is None or low <= value) and (high is None or value <= high)


def _is_day(text: str) -> bool:
    """Whether the month of the date that a text begins with has such a day."""
    year, month, day = text.removeprefix("-").split("-", 2)
    leap = 2000 + int(year) % 400  # the calendar repeats after 400 years
    return int(day[:2]) <= monthrange(leap, int(month))[1]
