from __future__ import annotations

import datetime as dt
import math
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dkg.values import NUMERIC, TEMPORAL, order_bytes, value_of
from tests.dkg.term_strategies import typed
from tests.vectors import load

if TYPE_CHECKING:
    from decimal import Decimal

ORDER = cast("list[dict[str, str]]", load("terms/order.json"))


def test_order_bytes_of_the_vector() -> None:
    encoded = [order_bytes(float(case["value"])).hex() for case in ORDER]
    assert encoded == [case["order_hex"] for case in ORDER]
    assert encoded == sorted(encoded)


@settings(deadline=None)
@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_order_bytes_sort_as_doubles_do(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert order_bytes(low) <= order_bytes(high)
    assert order_bytes(high) < order_bytes(math.nan)


@given(st.floats())
def test_order_bytes_are_nine_and_never_look_like_a_terminator(value: float) -> None:
    encoded = order_bytes(value)
    assert len(encoded) == 9
    assert min(encoded) >= 0x80


def test_order_bytes_by_hand() -> None:
    # 1.0 is 0x3FF0..., with its sign flipped 0xBFF0..., shifted right by one 0x5FF8...; then 7 bits a byte.
    bits = 0x5FF8_0000_0000_0000
    assert order_bytes(1.0) == bytes(bits >> 7 * i & 0x7F | 0x80 for i in range(8, -1, -1))
    assert order_bytes(-0.0) == order_bytes(0.0)
    assert order_bytes(-math.nan) == order_bytes(math.nan)


# --- numbers -----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(), st.sampled_from(("integer", "decimal", "double", "float")))
def test_numbers_sort_by_the_nearest_double(number: int, datatype: str) -> None:
    expected = Fraction(number)
    found = value_of(typed(str(number), datatype))
    assert found is not None
    assert found[0] == NUMERIC
    assert abs(Fraction(found[1]) - expected) <= abs(expected) / 2**53


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=20))
def test_decimals_sort_by_the_nearest_double(number: Decimal) -> None:
    assert value_of(typed(f"{number:f}", "decimal")) == (NUMERIC, float(number))


@pytest.mark.parametrize(
    ("text", "datatype", "value"),
    [
        ("1" * 5000, "integer", math.inf),
        ("-" + "1" * 5000, "decimal", -math.inf),
        ("INF", "double", math.inf),
        ("-INF", "float", -math.inf),
        ("0.1", "float", 0.1),
        ("0." + "0" * 5000 + "1", "decimal", 0.0),
    ],
)
def test_extreme_numbers(text: str, datatype: str, value: float) -> None:
    assert value_of(typed(text, datatype)) == (NUMERIC, value)


@pytest.mark.parametrize(
    ("text", "datatype"),
    [
        *(("abc", datatype) for datatype in ("integer", "decimal", "double", "float", "dateTime", "date", "gYear")),
        *(("", datatype) for datatype in ("integer", "decimal", "double", "float", "dateTime", "date", "gYearMonth")),
        *(("1.0", "integer"), ("1e0", "decimal"), ("INF", "decimal"), ("inf", "double"), ("1_0", "double")),
        *((" 1", "integer"), ("1\u0661", "integer"), ("1", "int"), ("true", "boolean"), ("a", "anyURI")),
        *(("2020-13-01", "date"), ("2020-00-01", "date"), ("2021-02-29", "date"), ("1900-02-29", "date")),
        *(("2020-04-31", "date"), ("2020-01-01T24:00:00", "dateTime"), ("2020-01-01T00:60:00", "dateTime")),
        *(("2020-01-01T00:00:60", "dateTime"), ("2020-01-01+14:01", "date"), ("2020-01-01+15:00", "date")),
        *(("20", "gYear"), ("02020", "gYear"), ("9" * 19, "gYear"), ("2020-01-01", "dateTime"), ("--01", "gMonth")),
        *(("12:00:00", "time"), ("P1Y", "duration")),
    ],
)
def test_ill_typed_and_other_literals_have_no_order(text: str, datatype: str) -> None:
    assert value_of(typed(text, datatype)) is None


@pytest.mark.parametrize("term", [b"<http://a>", b'"5"', b'"5"@en', b'"5"^^<http://dt>', b"", b">", b'"^^<', b'"'])
def test_terms_without_a_known_datatype_have_no_order(term: bytes) -> None:
    assert value_of(term) is None


# --- times -------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.datetimes(), st.sampled_from((None, 0, 1, -330, 840, -840)))
def test_times_sort_by_their_instant(moment: dt.datetime, minutes: int | None) -> None:
    zone = "" if minutes is None else "Z" if minutes == 0 else f"{minutes // 60:+03}:{minutes % 60:02}"
    assume(minutes != -330)  # Python's floor division; by hand below
    since = moment - dt.datetime(1970, 1, 1) - dt.timedelta(minutes=minutes or 0)  # noqa: DTZ001
    expected = Fraction(since // dt.timedelta(microseconds=1), 1_000_000)
    text = f"{moment.year:04}{moment:-%m-%dT%H:%M:%S.%f}{zone}"
    assert value_of(typed(text, "dateTime")) == (TEMPORAL, float(expected))


@pytest.mark.parametrize(
    ("text", "datatype", "seconds"),
    [
        ("1970-01-01T00:00:00Z", "dateTime", 0),
        ("1970-01-01T00:00:00", "dateTime", 0),
        ("1970-01-01T00:00:00-05:30", "dateTime", 5.5 * 3600),
        ("1970-01-01T00:00:00+14:00", "dateTime", -14 * 3600),
        ("1970-01-02", "date", 86_400),
        ("1970-01-02-01:00", "date", 90_000),
        ("1971", "gYear", 365 * 86_400),
        ("1971Z", "gYear", 365 * 86_400),
        ("1970-03", "gYearMonth", 59 * 86_400),
        ("0000-02-29", "date", -719_469 * 86_400),
        ("0000-03-01", "date", -719_468 * 86_400),
        ("-0001-12-31", "date", -719_529 * 86_400),
        ("-0004-02-29", "date", (-719_469 - 1461) * 86_400),
        ("2000-02-29T23:59:59.5Z", "dateTime", 951_868_799.5),
    ],
)
def test_times_by_hand(text: str, datatype: str, seconds: float) -> None:
    assert value_of(typed(text, datatype)) == (TEMPORAL, seconds)


def test_years_of_eighteen_digits_have_an_order() -> None:
    found = value_of(typed("9" * 18, "gYear"))
    assert found is not None
    assert found[1] == pytest.approx(1e18 * 365.2425 * 86_400)
