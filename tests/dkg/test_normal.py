from __future__ import annotations

from typing import cast

import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg import errors
from dkg.errors import DkgError, LimitError, NormalFormError, RdfError
from dkg.limits import IRI_BYTES_MAX, LITERAL_BYTES_MAX
from dkg.normal import is_normal, normalize, normalize_all, require_normal, surely_normal
from tests.dkg import term_strategies as some
from tests.vectors import load

NORMAL_FORMS = cast("list[dict[str, str]]", load("terms/normal_forms.json"))
REFUSED = cast("list[dict[str, object]]", load("terms/refused.json"))


def stored(term: bytes) -> bytes | None:
    """Return what the engine makes of a term, by another way than `dkg.normal`: None if it refuses it."""
    try:
        (triple,) = ox.parse(b"<a:s> <a:p> " + term + b" .", format=ox.RdfFormat.N_TRIPLES)
    except (SyntaxError, ValueError):
        return None
    store = ox.Store()
    store.add(ox.Quad(triple.subject, triple.predicate, triple.object))
    (quad,) = store
    return str(quad.object).encode()


# --- vectors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", NORMAL_FORMS, ids=lambda case: case["term"][:40])
def test_engine_and_we_agree_on_the_vector(case: dict[str, str]) -> None:
    term, normal = case["term"].encode(), case["normal"].encode()
    assert stored(term) == normal
    assert stored(normal) == normal
    assert normalize(term) == normal
    assert is_normal(normal)
    assert is_normal(term) == (term == normal)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: str(case.get("term", "long")))
def test_terms_without_a_normal_form_are_refused(case: dict[str, object]) -> None:
    if "term" in case:
        term = str(case["term"]).encode()
    else:
        start, part, repeats, end = cast("tuple[str, str, int, str]", case["parts"])
        term = (start + part * repeats + end).encode()
    expected = cast("type[DkgError]", getattr(errors, str(case["error"])))
    with pytest.raises(expected):
        normalize(term)
    with pytest.raises(expected):
        normalize_all([b"<http://a>", b'"01"^^<http://www.w3.org/2001/XMLSchema#integer>', term])
    assert not is_normal(term)


def test_all_terms_are_normalized_together_and_in_order() -> None:
    terms = [case["term"].encode() for case in NORMAL_FORMS]
    normal = [case["normal"].encode() for case in NORMAL_FORMS]
    assert normalize_all(terms + terms[::-1]) == normal + normal[::-1]
    assert normalize_all([]) == []


# --- the engine defines it -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=1500)
@given(some.terms)
def test_what_the_patterns_pass_the_engine_leaves_as_it_is(term: bytes) -> None:
    if surely_normal(term):
        assert stored(term) == term


@settings(deadline=None, max_examples=1500)
@given(st.one_of(some.terms, some.literals))
def test_normal_form_is_what_the_engine_gives_back(term: bytes) -> None:
    try:
        normal = normalize(term)
    except RdfError:
        assert not is_normal(term)
        return
    assert stored(term) == normal
    assert stored(normal) == normal
    assert is_normal(normal)
    assert normalize(normal) == normal


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=12), st.sampled_from(("", "en", "zh-hant-hk", "x-a")))
def test_every_string_the_engine_prints_is_in_normal_form(text: str, language: str) -> None:
    literal = ox.Literal(text, language=language) if language else ox.Literal(text)
    assert is_normal(str(literal).encode())
    assert normalize(str(literal).encode()) == str(literal).encode()


@settings(deadline=None, max_examples=200)
@given(st.lists(some.terms, max_size=8))
def test_many_at_once_is_the_same_as_one_at_a_time(terms: list[bytes]) -> None:
    try:
        expected = [normalize(term) for term in terms]
    except DkgError:
        with pytest.raises(DkgError):
            normalize_all(terms)
    else:
        assert normalize_all(terms) == expected


def test_common_terms_need_no_engine() -> None:
    common = [
        *(
            "<http://example.org/a#b>",
            "<urn:x>",
            "<http://example.org:80/a?b=%20>",
            '"a"',
            '"a\\n"',
            '"a"@en',
            '"a"@en-us',
        ),
        *(f'"{text}"^^<{some.XSD}{datatype}>' for text, datatype in (("5", "integer"), ("-1.5", "decimal"))),
        *(f'"{text}"^^<{some.XSD}{datatype}>' for text, datatype in (("52.52437", "double"), ("true", "boolean"))),
        *(f'"{text}"^^<{some.XSD}{datatype}>' for text, datatype in (("2020-01-28", "date"), ("2020", "gYear"))),
        f'"2020-01-01T10:20:30.5Z"^^<{some.XSD}dateTime>',
        f'"http://a"^^<{some.XSD}anyURI>',
        '"POINT(1 2)"^^<http://www.opengis.net/ont/geosparql#wktLiteral>',
    ]
    assert [term for term in common if not surely_normal(term.encode())] == []


# --- errors ------------------------------------------------------------------------------------------------


def test_terms_off_the_normal_form_are_refused_by_name() -> None:
    with pytest.raises(NormalFormError, match=r'"01"\^\^.*integer> is not in normal form: write it as "1"\^\^'):
        require_normal([b"<http://a>", b'"01"^^<http://www.w3.org/2001/XMLSchema#integer>'])


def test_terms_in_normal_form_pass() -> None:
    terms = [b"<http://a>", b'"1"^^<http://www.w3.org/2001/XMLSchema#integer>']
    require_normal(iter(terms))
    assert normalize_all(terms) == terms


@pytest.mark.parametrize(
    ("term", "words"),
    [
        (b"_:b", "a blank node, which a dataset cannot hold: skolemise it"),
        (b"<<( <http://a> <http://b> <http://c> )>>", "a triple term"),
        (b'"a"@en--ltr', "a base direction"),
        (b"a", "neither an IRI nor a literal"),
        (b'"\xff"', "not UTF-8"),
        (b"<a>", "does not parse: .*No scheme"),
    ],
)
def test_errors_say_what_is_wrong(term: bytes, words: str) -> None:
    with pytest.raises(RdfError, match=words):
        normalize(term)


def test_long_terms_are_cut_short_in_errors() -> None:
    with pytest.raises(RdfError) as caught:
        normalize(b"x" * 10_000)
    assert "10000 bytes" in str(caught.value)
    assert len(str(caught.value)) < 400


# --- limits ------------------------------------------------------------------------------------------------


def of_length(start: bytes, end: bytes, length: int) -> bytes:
    """Return a term of so many bytes."""
    return start + b"a" * (length - len(start) - len(end)) + end


@pytest.mark.parametrize(
    ("start", "end", "limit"),
    [
        (b"<http://a/", b">", IRI_BYTES_MAX),
        (b'"', b'"', LITERAL_BYTES_MAX),
        (b'"', b'"@en', LITERAL_BYTES_MAX),
        (b'"', b'"^^<http://a>', LITERAL_BYTES_MAX),
    ],
)
def test_terms_at_their_limit_pass_and_one_byte_more_does_not(start: bytes, end: bytes, limit: int) -> None:
    longest = of_length(start, end, limit)
    assert normalize(longest) == longest
    assert is_normal(longest)
    with pytest.raises(LimitError, match=f"{limit} bytes"):
        normalize(of_length(start, end, limit + 1))
    assert not is_normal(of_length(start, end, limit + 1))


def test_a_term_whose_normal_form_is_over_the_limit_is_refused() -> None:
    with pytest.raises(LimitError):
        normalize(b'"' + b"\x01" * (LITERAL_BYTES_MAX // 3) + b'"')


@pytest.mark.parametrize(
    "term",
    [
        '"P99999999D"^^<http://[::1]/duration>',
        '"P99999999D"^^<http://www.w3.org/2001/XMLSchema#uration>',
        '"xP99999999D"^^<http://www.w3.org/2001/XMLSchema#duration>',
        '"P99999999D "^^<http://www.w3.org/2001/XMLSchema#duration>',
        f'"P1{"0" * 99}D"^^<http://www.w3.org/2001/XMLSchema#duration>',
    ],
)
def test_what_is_no_duration_is_not_refused_as_one(term: str) -> None:
    assert is_normal(term.encode())


@pytest.mark.parametrize(
    ("longest", "more"),
    [
        ("P3652499D", "P3652500D"),
        ("-P3652499D", "-P3652500D"),
        ("PT315575999999S", "PT315576000000S"),
        ("P1Y3652499DT23H59M59.9S", "P1Y3652498DT48H"),
        ("P9000000000000000M", "-P9000000000000000M100000000000D"),
    ],
)
@pytest.mark.parametrize("datatype", ["duration", "dayTimeDuration"])
def test_durations_of_ten_thousand_years_of_days_are_refused(longest: str, more: str, datatype: str) -> None:
    end = f'"^^<http://www.w3.org/2001/XMLSchema#{datatype}>'
    assert is_normal(normalize(f'"{longest}{end}'.encode()))
    with pytest.raises(LimitError, match="days"):
        normalize(f'"{more}{end}'.encode())
    assert not is_normal(f'"{more}{end}'.encode())
