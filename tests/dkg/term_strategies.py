"""Random terms and keys, most of them valid, the rest nearly so or made to smuggle something in."""

from __future__ import annotations

from hypothesis import strategies as st

from dkg.terms import key_of

XSD = "http://www.w3.org/2001/XMLSchema#"
ORDERS = ("spog", "posg", "ospg", "gspo")

_DATATYPE_NAMES = (
    "integer int long short byte nonNegativeInteger positiveInteger nonPositiveInteger negativeInteger unsignedLong "
    "unsignedInt unsignedShort unsignedByte decimal double float boolean dateTime dateTimeStamp date time gYear "
    "gYearMonth gMonth gDay gMonthDay duration yearMonthDuration dayTimeDuration string anyURI hexBinary "
    "base64Binary language normalizedString token Name NCName NMTOKEN QName ENTITY"
)
DATATYPES = _DATATYPE_NAMES.split()


def typed(text: str, datatype: str) -> bytes:
    """Return a literal of one of XSD's datatypes."""
    return f'"{text}"^^<{XSD}{datatype}>'.encode()


def _joined(pieces: tuple[str, ...], most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces), max_size=most).map("".join)


_IRI_PIECES = (
    *"aZ9:/?#[]@%-._~!$&'()*+,;= \"<>\\^`{|}\x00\x1f\x7f",
    *("%C3%A9", "%zz", "//", "http://", "a:", "[::1]", ":80", "\u00e9", "\u6f22", "\U0001f389", "\u0080", "\u00a0"),
    *("\ue000", "\ufdd0", "\ufff0", "\ufffe", "\U000e0001", "\U000f0000", "\U0001fffe", "\u200e", "\\u0041"),
    "> .\n<x:x> <y:y> <z:z",
)
_TEXT_PIECES = (
    *"aZ9 '<>^@.:_#\t\n\r\x00\x08\x0b\x1f\x7f\"\\",
    *(r"\"", r"\\", r"\n", r"\r", r"\t", r"\b", r"\f", r"\'", r"\u0000", r"\u000B", r"\u000b", r"\u001F"),
    *(r"\u0041", r"\u00E9", r"\U0001F389", r"\uD800", r"\uFFFE", r"\uFFFF", r"\x41", "\ufffe", "\uffff", "\ufffd"),
    *("\u00e9", "e\u0301", "\u6f22", "\U0001f389", "\u0085", "\u2028", '" .\n<x:x> <y:y> "', '"@en', '"^^<x:y>'),
)
_TAGS = (
    *("a", "Z", "en", "EN", "en-us", "en-US", "zh-hant-hk", "x-a", "i-klingon", "e", "en-", "en--ltr", "a1"),
    *("de-1996", "en-419", "en_us", "-"),
)

_NUMBER_PIECES = (*"0123456789", "+", "-", ".", "e", "E", "INF", "NaN", " ", "00", "999999999")
_TIME_PIECES = (
    *("2020", "-0001", "0000", "12020", "02020", "1970", "-", "01", "02", "12", "13", "28", "29", "30", "31", "T"),
    *("00:00:00", "24:00:00", "23:59:59", ".5", ".50", ".000", "Z", "+00:00", "-00:00", "+14:00", "-14:01", "+05:30"),
    *("2020-01-01", "2020-02-29", "T12:00:00", "--", "P", "Y", "M", "D", "H", "S", "1", "60"),
)
_GOOD_TIMES = st.builds(
    "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}{}".format,
    st.integers(1, 12_000),
    st.integers(1, 13),
    st.integers(1, 31),
    st.integers(0, 24),
    st.integers(0, 60),
    st.integers(0, 60),
    st.sampled_from(("", ".5", ".123456789012345678", ".10", ".999999999999999999")),
    st.sampled_from(("", "Z", "+00:00", "-05:30", "+14:00", "-14:00")),
)

iri_texts = st.one_of(
    _joined(_IRI_PIECES, 8),
    _joined(_IRI_PIECES, 6).map("http://a".__add__),
    st.sampled_from(("http://e/a", "http://e/b", "urn:x")),
)
iris = iri_texts.map(lambda text: f"<{text}>".encode())
numbers = st.one_of(
    st.integers().map(str),
    st.integers(-10, 10).map(str),
    st.floats().map(repr),
    st.floats(width=32).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False).map("{:f}".format),
    _joined(_NUMBER_PIECES, 8),
)
times = st.one_of(
    _GOOD_TIMES,
    _GOOD_TIMES.map(lambda text: text.partition("T")[0] + text[19:][-6:]),
    st.dates().map(str),
    _joined(_TIME_PIECES, 6),
)
_of_xsd = st.builds(typed, st.one_of(numbers, times, _joined(_TEXT_PIECES, 3)), st.sampled_from(DATATYPES))
_suffixes = st.one_of(
    st.just(""),
    st.sampled_from(_TAGS).map("@".__add__),
    iri_texts.map("^^<{}>".format),
    st.sampled_from(("^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#langString>", " ", " .", "@en .", "x")),
)
_of_text = st.builds(lambda text, suffix: f'"{text}"{suffix}'.encode(), _joined(_TEXT_PIECES, 6), _suffixes)
literals = st.one_of(_of_xsd, _of_text)
terms = st.one_of(iris, literals, st.binary(max_size=12), st.sampled_from((b"_:b", b"<<( <a:a> <b:b> <c:c> )>>")))

_nasty = st.one_of(
    st.binary(min_size=1, max_size=3),
    st.sampled_from(
        (
            *(
                b"\0",
                b"\n",
                b'"',
                b"\\",
                b">",
                b"<",
                b" .\n<x:x> <y:y> <z:z> .",
                b"\x10",
                b"\x11",
                b"\x12",
                b"@",
                b"^^",
            ),
            *(
                b"#",
                b"\xed\xa0\x80",
                b"\xc0\x80",
                b"\xff",
                b"\xef\xbf\xbe",
                b"\\u0041",
                b"\x10" + b"\x80" * 9 + b'"',
                b"",
            ),
        )
    ),
)


@st.composite
def keys(draw: st.DrawFn, order: str) -> bytes:
    """Return a key of an index, or what an adversary makes of one."""
    plain = st.integers(0, 5).flatmap(lambda n: st.sampled_from((b"<http://e/s>", b"<http://e/p>")) if n else iris)
    objects = st.one_of(literals, iris, st.builds(typed, st.integers(-9, 9).map(str), st.just("integer")))
    key = key_of((draw(plain), draw(plain), draw(objects), draw(plain)), order)
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 1, 2)))):
        start = draw(st.integers(0, len(key)))
        end = draw(st.integers(start, min(len(key), start + 3)))
        key = key[:start] + draw(_nasty) + key[end:]
    return key
