from __future__ import annotations

from typing import cast

import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.errors import RdfError
from dkg.limits import IRI_BYTES_MAX, KEY_BYTES_MAX, LITERAL_BYTES_MAX
from dkg.normal import is_normal, normalize, normalize_all
from dkg.terms import (
    _CACHED,
    _CACHED_BYTES_MAX,
    _FEW,
    _IRIS,
    _OBJECTS,
    Quad,
    _is_quad,
    _surely_quads,
    component,
    key_of,
    keys_are_quads,
    numeric_range,
    quad_of,
    quads_only,
    term_of,
    to_oxigraph,
)
from dkg.values import order_bytes
from tests.dkg import term_strategies as some
from tests.dkg.term_strategies import ORDERS, typed
from tests.vectors import load

NORMAL_FORMS = cast("list[dict[str, str]]", load("terms/normal_forms.json"))
KEYS = cast("list[dict[str, object]]", load("terms/keys.json"))

NORMAL_TERMS = sorted({case["normal"].encode() for case in NORMAL_FORMS})
S, P, G = b"<http://e/s>", b"<http://e/p>", b"<http://e/g>"


def as_text(quad: Quad) -> bytes:
    """Return a quad as evaluation writes it for the engine."""
    return b" ".join((*quad, b".\n"))


def loaded(text: bytes) -> list[Quad]:
    """Return what the engine's lenient parser and a store make of N-Quads."""
    store = ox.Store()
    store.load(text, format=ox.RdfFormat.N_QUADS, lenient=True)
    found = []
    for quad in store:
        s, p, o, g = (str(t).encode() for t in (quad.subject, quad.predicate, quad.object, quad.graph_name))
        found.append((s, p, o, g))
    return sorted(found)


# --- components and keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", NORMAL_FORMS, ids=lambda case: case["term"][:40])
def test_component_of_the_vector(case: dict[str, str]) -> None:
    term, expected = case["normal"].encode(), bytes.fromhex(case["component_hex"])
    assert component(term) == expected
    assert term_of(expected) == term


@pytest.mark.parametrize("order", ORDERS)
def test_keys_and_quads_convert_both_ways(order: str) -> None:
    quads = [(S, P, term, G) for term in NORMAL_TERMS]
    keys = [key_of(quad, order) for quad in quads]
    assert [quad_of(key, order) for key in keys] == quads
    assert len(set(keys)) == len(keys)
    assert keys_are_quads(keys, order)
    assert quads_only(keys, order) == keys


def test_places_of_each_order() -> None:
    quad = (b"<s:s>", b"<p:p>", b'"o"', b"<g:g>")
    by_place = dict(zip("spog", quad, strict=True))
    for order in ORDERS:
        assert key_of(quad, order) == b"".join(by_place[place] + b"\0" for place in order)


def test_unknown_orders_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no index 'opsg'"):
        key_of((S, P, S, G), "opsg")
    with pytest.raises(ValueError, match="no index 'opsg'"):
        quad_of(key_of((S, P, S, G), "spog"), "opsg")


def test_numbers_sort_by_value_in_keys() -> None:
    numbers = [typed(text, "decimal") for text in ["-10", "-9.5", "-1", "0", "0.5", "1", "2", "9", "10", "100.25"]]
    keys = [key_of((S, P, number, G), "posg") for number in numbers]
    assert keys == sorted(keys)


# --- which keys are quads ------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", KEYS, ids=lambda case: f"{case['order']}-{case['comment']}")
def test_keys_of_the_vector(case: dict[str, object]) -> None:
    key, order = bytes.fromhex(str(case["key_hex"])), str(case["order"])
    good = key_of((S, P, S, G), order)
    assert keys_are_quads([key], order) == case["quad"]
    assert keys_are_quads([good, key, good], order) == case["quad"]
    assert quads_only([good, key, good], order) == ([good, key, good] if case["quad"] else [good, good])


@settings(deadline=None, max_examples=800)
@given(st.data(), st.sampled_from(ORDERS))
def test_a_key_that_passes_loads_as_exactly_its_quad(data: st.DataObject, order: str) -> None:
    keys = data.draw(st.lists(some.keys(order), max_size=4))
    passed = quads_only(keys, order)
    assert keys_are_quads(keys, order) == (passed == keys)
    assert passed == [key for key in keys if _is_quad(key, order)]  # without the pattern over many keys
    assert _surely_quads(keys, order) <= (passed == keys)
    quads = {quad_of(key, order) for key in passed}
    assert loaded(b"".join(map(as_text, quads))) == sorted(quads)
    for key in passed:
        assert key_of(quad_of(key, order), order) == key
        assert all(map(is_normal, quad_of(key, order)))


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=40), st.sampled_from(ORDERS))
def test_no_bytes_raise(key: bytes, order: str) -> None:
    assert keys_are_quads([key], order) in {True, False}


@settings(deadline=None, max_examples=500)
@given(st.one_of(some.terms, some.literals))
def test_a_key_is_a_quad_exactly_if_its_object_is_in_normal_form(term: bytes) -> None:
    key = b"\0".join((S, P, component(term), G, b""))
    assert keys_are_quads([key], "spog") == is_normal(term)


def test_a_component_split_over_two_keys_is_no_quad() -> None:
    a, b = key_of((S, P, S, G), "spog"), key_of((S, P, P, G), "spog")
    for at in range(len(a)):
        assert not keys_are_quads([a[:at], a[at:] + b], "spog")


@pytest.mark.parametrize("order", ORDERS)
def test_line_breaks_between_keys_cannot_be_forged(order: str) -> None:
    a, b = key_of((S, P, S, G), order), key_of((S, P, P, G), order)
    for keys in ([a + b"\n" + b], [a + b"\n", b], [a, b"\n" + b], [a + b"\n" + b, b""], [a, b"", b], [b"", a]):
        assert not keys_are_quads(keys, order)
    assert keys_are_quads([a, b], order)


def test_what_is_known_of_one_place_says_nothing_of_another() -> None:
    literal = b'"a literal that was looked at as an object"'
    assert keys_are_quads([key_of((S, P, literal, G), "spog")], "spog")
    for key in ((literal, P, S, G), (S, literal, S, G), (S, P, S, literal)):
        assert not keys_are_quads([key_of(key, "spog")], "spog")


def test_many_components_are_looked_at_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    quads = [(b"<s:%d>" % at, P, component(NORMAL_TERMS[at % len(NORMAL_TERMS)]), G) for at in range(3 * _FEW)]
    keys = [b"\0".join((*quad, b"")) for quad in quads]
    bad = [
        keys[0].replace(b"<s:0>", other)
        for other in (b"<s: >", b"s:0", b'"s:0"', b"<s:%zz>", b"<s:\xff>", b"<s:0", b"")
    ]
    for known in (0, _FEW):
        for normal in (_IRIS, _OBJECTS):
            monkeypatch.setattr(normal, "known", {b"%d" % at for at in range(known)})
        assert keys_are_quads(keys, "spog")
        for key in bad:
            assert not keys_are_quads([*keys, key], "spog")
            assert quads_only([*keys, key], "spog") == keys


@pytest.mark.parametrize("known", [0, _FEW])
@pytest.mark.parametrize("order", ORDERS)
def test_a_component_with_a_line_break_is_none_however_much_is_known(
    monkeypatch: pytest.MonkeyPatch, order: str, known: int
) -> None:
    for normal in (_IRIS, _OBJECTS):
        monkeypatch.setattr(normal, "known", {b"%d" % at for at in range(known)})
    for literal in (b'"a"\n"b"', b'"a"\n<s:b>', S + b"\n" + S, b'"a"\n', b'\n"a"', typed("1", "integer") + b'\n"b"'):
        key = key_of((S, P, literal, G), order)
        assert not keys_are_quads([key], order)
        assert quads_only([key], order) == []
    two = S + b"\n" + P
    for quad in ((two, P, S, G), (S, two, S, G), (S, P, S, two)):
        assert not keys_are_quads([key_of(quad, order)], order)


def test_no_more_is_remembered_than_so_many_short_components() -> None:
    long = b"<s:%b>" % (b"l" * _CACHED_BYTES_MAX)
    assert keys_are_quads([key_of((long, P, S, G), "spog")], "spog")
    assert long not in _IRIS.known
    for at in range(0, 2 * _CACHED, 100):
        assert keys_are_quads([key_of((b"<m:%d>" % (at + i), P, S, G), "spog") for i in range(100)], "spog")
    assert len(_IRIS.known) <= _CACHED + 100 + 1


def test_forged_order_bytes_are_found_beside_right_ones() -> None:
    good = [key_of((S, P, typed(str(n), "integer"), G), "posg") for n in range(20)]
    forged = good[7].replace(order_bytes(7.0), order_bytes(70.0))
    assert keys_are_quads(good, "posg")
    assert not keys_are_quads([*good, forged], "posg")
    assert quads_only([*good, forged], "posg") == good


def test_a_mark_of_the_checker_in_a_key_does_not_pass_as_an_object() -> None:
    for mark in (b"\x10", b"\x11", b"\x12"):
        assert not keys_are_quads([b"\0".join((S, P, mark, G, b""))], "spog")
        assert not keys_are_quads([b"\0".join((S, P, mark + component(typed("5", "integer")), G, b""))], "spog")


def test_the_empty_list_has_only_quads() -> None:
    assert keys_are_quads([], "spog")
    assert quads_only([], "spog") == []


def test_longest_terms_fit_a_key_and_longer_ones_are_no_quads() -> None:
    def sized(start: bytes, end: bytes, length: int) -> bytes:
        return start + b"a" * (length - len(start) - len(end)) + end

    iri = sized(b"<http://a/", b">", IRI_BYTES_MAX)
    integer = b'"' + b"1" * (LITERAL_BYTES_MAX - 46) + typed("", "integer")[1:]
    assert len(integer) == LITERAL_BYTES_MAX
    longest = key_of((iri, iri, integer, iri), "spog")
    assert len(longest) == KEY_BYTES_MAX
    assert keys_are_quads([longest], "spog")
    longer = sized(b"<http://a/", b">", IRI_BYTES_MAX + 1)
    for quad in ((longer, P, S, G), (S, longer, S, G), (S, P, longer, G), (S, P, S, longer)):
        assert not keys_are_quads([key_of(quad, "spog")], "spog")
    assert not keys_are_quads([key_of((S, P, sized(b'"', b'"', LITERAL_BYTES_MAX + 1), G), "spog")], "spog")


# --- ranges ------------------------------------------------------------------------------------------------

OPERATORS = ("<", "<=", ">", ">=", "=")


def satisfying(op: str, literal: bytes, terms: list[bytes]) -> list[bytes]:
    """Return the terms for which the engine says `term op literal`."""
    store = ox.Store()
    store.extend(
        ox.Quad(ox.NamedNode(f"urn:{i}"), ox.NamedNode("urn:p"), to_oxigraph(term)) for i, term in enumerate(terms)
    )
    query = f"SELECT ?s WHERE {{ ?s <urn:p> ?x FILTER(?x {op} {literal.decode()}) }}"
    found = cast("ox.QuerySolutions", store.query(query))
    return [terms[int(cast("ox.NamedNode", solution["s"]).value[4:])] for solution in found]


def assert_in_range(op: str, literal: bytes, terms: list[bytes]) -> int:
    """Check that no term that satisfies the comparison lies outside the range; gives how many satisfy it."""
    bounds = numeric_range(op, literal)
    if bounds is None:
        return 0
    found = satisfying(op, literal, terms)
    outside = [term for term in found if not bounds[0] <= component(term) < bounds[1]]
    assert outside == [], f"{op} {literal!r}"
    return len(found)


_INTEGERS = (
    *("0", "1", "-1", "2", "5", "16777216", "16777217", "16777219", "9007199254740993", "9223372036854775807"),
    "9223372036854775808",
)
_DECIMALS = (
    *("0.1", "-0.1", "0.10000000149011612", "0.000000000000000001", "33554433.000000001", "0.333333333333333333"),
    "170141183460469231731.687303715884105727",
)
_DOUBLES = (
    *("-0", "1e-45", "1e-320", "5e-324", "1e300", "-1e300", "1.7976931348623157e308", "3.4028235e38", "3.5e38"),
    *("INF", "-INF", "NaN", "1e-40", "1e-12"),
)
_NUMBERS = [
    *(typed(text, datatype) for datatype in ("integer", "decimal", "double", "float") for text in _INTEGERS),
    *(typed(text, datatype) for datatype in ("decimal", "double", "float") for text in _DECIMALS),
    *(typed(text, datatype) for datatype in ("double", "float") for text in _DOUBLES),
    *(typed("5", "int"), typed("true", "boolean"), typed("x", "integer"), b'"5"', b'"5"@en', b"<http://a>"),
]
_ZONES = ("", "Z", "+14:00", "-14:00", "+00:01", "-05:30")
_TIMES = [
    typed(text + zone, datatype)
    for datatype, texts in {
        "dateTime": "2020-01-01T00:00:00 2020-01-01T23:59:59.999999999999999999 2020-12-31T12:00:00 "
        "1969-12-31T23:59:59.5 0000-02-29T00:00:00 -0001-01-01T00:00:00 12020-06-01T00:00:00",
        "date": "2020-01-01 2019-12-31 2020-01-02 -0001-01-01 0000-12-31 2020-02-29 999999999999-01-01",
        "gYear": "2020 2019 2021 -0001 0000 0001 999999999999",
        "gYearMonth": "2020-01 2019-12 2020-02 -0001-12 0000-01",
    }.items()
    for text in texts.split()
    for zone in _ZONES
]


@pytest.mark.parametrize("pool", [_NUMBERS, _TIMES], ids=["numbers", "times"])
@pytest.mark.parametrize("op", OPERATORS)
def test_no_satisfying_component_lies_outside_its_range(op: str, pool: list[bytes]) -> None:
    terms = list(dict.fromkeys(normalize_all(pool)))
    literals = [term for term in terms if term.startswith(b'"')]
    assert sum(assert_in_range(op, literal, terms) for literal in literals) >= len(terms)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(OPERATORS),
    st.lists(
        st.one_of(
            st.builds(typed, some.numbers, st.sampled_from(("integer", "decimal", "double", "float", "int"))),
            st.builds(typed, some.times, st.sampled_from(("dateTime", "date", "gYear", "gYearMonth"))),
        ),
        min_size=2,
        max_size=30,
    ),
)
def test_no_random_component_lies_outside_its_range(op: str, literals: list[bytes]) -> None:
    terms = [normalize(term) for term in literals if b"\\" not in term]
    if terms:
        assert_in_range(op, terms[0], terms)


def test_ranges_are_narrow() -> None:
    bounds = numeric_range(">=", typed("2020", "gYear"))
    assert bounds is not None
    assert component(typed("2019-12-01", "date")) < bounds[0] < component(typed("2020-01-01", "date")) < bounds[1]
    bounds = numeric_range("=", typed("5", "integer"))
    assert bounds is not None
    assert component(typed("4.9999", "decimal")) < bounds[0] < component(typed("5", "double")) < bounds[1]
    assert bounds[1] < component(typed("5.0001", "decimal"))


def test_range_of_a_literal_off_its_normal_form_is_that_of_its_normal_form() -> None:
    assert numeric_range("<", typed("05", "int")) == numeric_range("<", typed("5", "integer"))
    assert numeric_range("=", typed("1e39", "float")) == numeric_range("=", typed("INF", "float"))


@pytest.mark.parametrize(
    ("op", "literal"),
    [
        *(("<", term) for term in (b'"a"', b'"5"@en', b"<http://a>", b"_:b", b"", b'"\xff"')),
        *(("<", typed(*case)) for case in (("abc", "integer"), ("true", "boolean"), ("P1Y", "duration"))),
        ("!=", typed("5", "integer")),
        ("", typed("5", "integer")),
    ],
)
def test_no_range_where_nothing_is_known(op: str, literal: bytes) -> None:
    assert numeric_range(op, literal) is None


def test_nothing_compares_with_nan_so_that_any_range_will_do() -> None:
    for op in OPERATORS:
        assert numeric_range(op, typed("NaN", "double")) == (b"\x10", b"\x11")


# --- the engine's objects --------------------------------------------------------------------------------------


def test_every_term_of_the_vector_becomes_the_engines_object() -> None:
    assert [str(to_oxigraph(term)).encode() for term in NORMAL_TERMS] == NORMAL_TERMS


@settings(deadline=None, max_examples=300)
@given(some.terms)
def test_only_terms_in_normal_form_become_the_engines_objects(term: bytes) -> None:
    if is_normal(term):
        assert str(to_oxigraph(term)).encode() == term
    else:
        with pytest.raises(RdfError, match="not a term in normal form"):
            to_oxigraph(term)


@pytest.mark.parametrize("order", ["spog", "posg", "ospg", "gspo"])
def test_two_keys_glued_by_a_newline_are_no_quad(order: str) -> None:
    quad = (b"<http://e/s>", b"<http://e/p>", b"<http://e/o>", b"<http://e/g>")
    key = key_of(quad, order)
    assert keys_are_quads([key, key], order)
    assert not keys_are_quads([key + b"\n" + key], order)
    assert quads_only([key + b"\n" + key, key], order) == [key]
