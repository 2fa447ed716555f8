"""Vectors of terms: normal forms, components, and which keys are quads."""

from __future__ import annotations

from dkg.errors import DkgError
from dkg.normal import normalize
from dkg.terms import component, key_of, keys_are_quads
from dkg.values import order_bytes

_XSD = "http://www.w3.org/2001/XMLSchema#"

Case = dict[str, object]


def _typed(text: str, datatype: str) -> str:
    return f'"{text}"^^<{_XSD}{datatype}>'


# Rewritten by the engine: the literals of ../shared/STACK.md section 3.5 and their kin.
_REWRITTEN: dict[str, str] = {
    "integer": "01 +5 -0 00 -007 +0",
    "int": "3 -3 03",
    "long": "3 9223372036854775807 -9223372036854775808",
    "short": "3 70000",
    "byte": "3 300",
    "nonNegativeInteger": "3 -3",
    "positiveInteger": "3",
    "nonPositiveInteger": "-3 0",
    "negativeInteger": "-3",
    "unsignedLong": "3",
    "unsignedInt": "3",
    "unsignedShort": "3",
    "unsignedByte": "3",
    "decimal": "1.0 1.50 01.5 .5 5. +1 -0 -0.0 0.10",
    "double": "1e0 1E0 1.5E10 1.0 -0.0 +INF 1e400 1e-400 1E21 1E-7 inf nan Infinity -NaN 5e-324 .5",
    "float": "1e0 1.0E+1 16777217 3.5e38 0.30000001192092896 -0.0",
    "boolean": "1 0",
    "dateTime": "2020-01-01T00:00:00+00:00 2020-01-01T00:00:00-00:00 2020-01-01T24:00:00 2020-12-31T24:00:00Z "
    "2020-01-01T00:00:00.000 2020-01-01T00:00:00.10Z",
    "dateTimeStamp": "2020-01-01T00:00:00+01:00 2020-01-01T00:00:00Z",
    "date": "2020-01-01+00:00",
    "time": "24:00:00 12:00:00.0 12:00:00+00:00",
    "gYear": "2020+00:00",
    "gYearMonth": "2020-01+00:00",
    "gMonth": "--01+00:00",
    "gDay": "---01+00:00",
    "gMonthDay": "--01-01+00:00",
    "duration": "P1Y12M P0D P0M P1DT24H PT60S PT1.50S P1Y0D -P1Y12M -P0D",
    "yearMonthDuration": "P1Y12M -P1Y12M P0Y",
    "dayTimeDuration": "P0D P1DT24H PT60S PT1.50S PT36H",
    "string": "a",
}

# Left as they are, because they are canonical or because the engine cannot read them.
_KEPT: dict[str, str] = {
    "integer": "0 5 -5 9223372036854775807 9223372036854775808 -9223372036854775809 09223372036854775808 abc 1.0",
    "int": "9223372036854775808 abc",
    "decimal": "1 0.5 -0.5 170141183460469231731.687303715884105727 170141183460469231731.687303715884105728 "
    "0.000000000000000001 0.0000000000000000001 1e0 abc",
    "double": "0 -0 0.1 1000000 123456789012345680000 INF -INF NaN abc",
    "float": "0 -0 0.1 16777216 INF NaN abc",
    "boolean": "true false TRUE",
    "dateTime": "2020-01-01T00:00:00 2020-01-01T00:00:00Z 2020-01-01T00:00:00+05:30 2020-01-01T00:00:00-14:00 "
    "2020-02-29T12:34:56.789Z -0001-01-01T00:00:00 0000-01-01T00:00:00 12020-01-01T00:00:00 "
    "2020-02-30T00:00:00 2020-01-01T00:00:00+14:01 2020-01-01",
    "date": "2020-01-01 2020-01-01Z 2020-01-01-05:00 -2020-01-01 2021-02-29 2020-1-1",
    "time": "12:00:00 12:00:00Z",
    "gYear": "2020 2020Z 20200 -2020 0000 20 02020",
    "gYearMonth": "2020-01 2020-01Z 2020-13",
    "gMonth": "--01",
    "gDay": "---01",
    "gMonthDay": "--01-01 --02-30",
    "duration": "P1Y P2M PT0S PT1.5S -P1Y P1Y1D abc",
    "yearMonthDuration": "P1Y P0M PT0S P1D",
    "dayTimeDuration": "P1D PT0S P0M P1Y",
    "anyURI": "http://a",
    "hexBinary": "0aF",
    "base64Binary": "YQ==",
    "token": "a",
}

_OTHERS: tuple[str, ...] = (
    "<http://example.org/a>",
    "<http://example.org/a#b>",
    "<http://example.org/%C3%A9?q=1&r=[]>".replace("[]", "%5B%5D"),
    "<http://[2001:db8::1]:80/>",
    "<HTTP://EXAMPLE.org/../a>",
    "<http://example.org/\u00e9\u6f22\U0001f389>",
    r"<http://example.org/\u0041>",
    "<urn:x>",
    "<mailto:a@example.org>",
    '""',
    '"a"',
    '"\u00e9 \u6f22 \U0001f389"',
    '"e\u0301"',
    r'"\u0041\U0001F389"',
    r'"\t\b\n\r\f\"\\"',
    '"\t"',
    r'"\'"',
    '"\'"',
    r'"\u0000\u0001\u000B\u001F\u007F"',
    r'"\u000b\u007f"',
    '"\x7f"',
    r'"\uFFFE\uFFFF"',
    '"\ufffe"',
    '"\u0085\u2028"',
    '"a"@en',
    '"a"@EN',
    '"a"@en-US',
    '"a"@zh-Hant-HK',
    '"a"@x-private',
    '"a"^^<http://example.org/datatype>',
    '"\u00e9"^^<http://example.org/\u00e9>',
    '"{}"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON>',
    '"<b>a</b>"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#HTML>',
    '"POINT(1 2)"^^<http://www.opengis.net/ont/geosparql#wktLiteral>',
    _typed(" 5", "integer"),
    _typed("5 ", "double"),
    _typed("", "integer"),
    _typed("1" * 400, "integer"),
    _typed("0." + "0" * 400 + "1", "decimal"),
)

_REFUSED: tuple[str, ...] = (
    "_:b",
    "<<( <http://a> <http://b> <http://c> )>>",
    '"a"@en--ltr',
    "<a>",
    "<>",
    "<http://a b>",
    "<http://a/%zz>",
    "<http://a/[>",
    "<http://a:b/>",
    "<http://a>>",
    '"a',
    "a",
    "",
    '"a\nb"',
    '"a" .\n<http://a> <http://b> "c"',
    '"a" # comment',
    '"a" ',
    '"a"@',
    '"a"@e',
    '"a"@en_us',
    '"a"@en-',
    '"a"^^<a>',
    '"a"^^<http://a b>',
    '"a"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#langString>',
    r'"\uD800"',
    r'"\x41"',
    "'a'",
    '"' + "a" * (1 << 20) + '"',
    "<http://a/" + "a" * (1 << 14) + ">",
)


def normal_forms() -> list[Case]:
    """Terms, their normal forms, and the components of these."""
    terms = [_typed(t, d) for table in (_REWRITTEN, _KEPT) for d, texts in table.items() for t in texts.split()]
    cases: list[Case] = []
    for term in (*terms, *_OTHERS):
        normal = normalize(term.encode())
        cases.append({"term": term, "normal": normal.decode(), "component_hex": component(normal).hex()})
    return cases


def refused() -> list[Case]:
    """What has no normal form, and the class of the error; long terms are given as start, repeated part, end."""
    cases: list[Case] = []
    for term in _REFUSED:
        try:
            normalize(term.encode())
        except DkgError as error:
            body = term.rstrip('>"')
            start = body.rstrip("a")
            repeats = len(body) - len(start)
            cases.append(
                {"parts": [start, "a", repeats, term[len(body) :]], "error": type(error).__name__}
                if repeats > 1
                else {"term": term, "error": type(error).__name__}
            )
        else:
            message = f"{term[:100]} was not refused"
            raise AssertionError(message)
    return cases


_ORDERED: tuple[str, ...] = (
    *("-INF", "-1.7976931348623157e308", "-1e10", "-1.5", "-1", "-5e-324", "0", "5e-324", "1", "1.5", "1e10"),
    *("1.7976931348623157e308", "INF", "NaN"),
)


def order() -> list[Case]:
    """Doubles in ascending order, and their order bytes."""
    return [{"value": text, "order_hex": order_bytes(float(text)).hex()} for text in _ORDERED]


def keys() -> list[Case]:
    """Keys of each index, and whether they are quads."""
    s, p, g = b"<http://example.org/s>", b"<http://example.org/p>", b"<http://example.org/g>"
    five = _typed("5", "integer").encode()
    tagged = component(five)
    good = [b'"a"', b'"a"@en', s, five, _typed("2020-01-01", "date").encode(), b'"\\u0000"']
    cases: list[tuple[str, bytes]] = [
        (order, key_of((s, p, o, g), order)) for o in good for order in ("spog", "posg", "ospg", "gspo")
    ]
    bad_objects = {
        "order bytes missing": five,
        "order bytes of another value": tagged[:1] + order_bytes(6.0) + five,
        "tag of times": b"\x11" + tagged[1:],
        "order bytes where none belong": b"\x10" + order_bytes(5.0) + b'"a"',
        "not in normal form": component(_typed("05", "integer").encode()),
        "language tag in upper case": b'"a"@EN',
        "raw newline": b'"a\nb"',
        "a second statement": b'"a" .\n<http://x> <http://y> "z"',
        "escape that is not canonical": rb'"\u0041"',
        "blank node": b"_:b",
        "invalid UTF-8": b'"\xff"',
        "surrogate": b'"\xed\xa0\x80"',
        "empty": b"",
        "tag alone": b"\x10",
        "xsd:string written out": _typed("a", "string").encode(),
    }
    cases += [("spog", b"\0".join((s, p, o, g, b""))) for o in bad_objects.values()]
    shapes = {
        "no terminator": b"\0".join((s, p, b'"a"', g)),
        "three components": b"\0".join((s, p, b'"a"', b"")),
        "five components": b"\0".join((s, p, b'"a"', g, g, b"")),
        "literal as subject": b"\0".join((b'"a"', p, s, g, b"")),
        "relative IRI": b"\0".join((b"<a>", p, s, g, b"")),
        "empty key": b"",
    }
    cases += [("spog", key) for key in shapes.values()]
    comments = [""] * (len(cases) - len(bad_objects) - len(shapes)) + [*bad_objects, *shapes]
    return [
        {"comment": comment, "order": order, "key_hex": key.hex(), "quad": keys_are_quads([key], order)}
        for comment, (order, key) in zip(comments, cases, strict=True)
    ]


FILES = {
    "terms/normal_forms.json": normal_forms,
    "terms/refused.json": refused,
    "terms/order.json": order,
    "terms/keys.json": keys,
}
