"""Content negotiation: RFC 9110's rules, and that no header is too odd."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.http.accept import (
    GRAPHS,
    PROOFS,
    RANGES_MAX,
    TABLES,
    Format,
    Range,
    best_of,
    negotiate,
    negotiate_graph,
    parse_accept,
    rank,
)

CAR = "application/vnd.ipld.car"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("text/csv", [Range("text", "csv", 1000)]),
        ("TEXT/CSV;Q=0.5", [Range("text", "csv", 500)]),
        ("text/csv ; q=0.123", [Range("text", "csv", 123)]),
        ("a/b;x=1;q=0.5;y=2", [Range("a", "b", 500, {"x": "1", "y": "2"})]),
        ('a/b;x="1,2;3";q=0.5, c/d', [Range("a", "b", 500, {"x": "1,2;3"}), Range("c", "d", 1000)]),
        (r'a/b;x="\"q\""', [Range("a", "b", 1000, {"x": '"q"'})]),
        ("a/b, , ;q=1, nonsense, c/d", [Range("a", "b", 1000), Range("c", "d", 1000)]),
        ("a/b;q=2", [Range("a", "b", 1000)]),
        ("a/b;q=0.0000", [Range("a", "b", 1000)]),
        ("", [Range("*", "*", 1000)]),
        ("  ", [Range("*", "*", 1000)]),
        ("nonsense", []),
    ],
)
def test_ranges_of_a_header(header: str, expected: list[Range]) -> None:
    assert list(parse_accept(header)) == expected


@pytest.mark.parametrize(
    ("header", "media_type", "quality"),
    [
        # RFC 9110, section 12.5.1: the example and its table.
        *(
            (
                "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5",
                name,
                q,
            )
            for name, q in (("text/html", 300), ("image/jpeg", 500), ("text/plain", 700))
        ),
        ("*/*;q=0.1, text/csv;q=0", "text/csv", None),
        ("text/*", "application/json", None),
    ],
)
def test_the_most_specific_range_counts(header: str, media_type: str, quality: int | None) -> None:
    found = rank(parse_accept(header), media_type)
    assert (found and found.quality) == quality


def test_with_equal_quality_what_is_named_goes_before_what_is_let_in() -> None:
    formats = (Format("a/x", "x"), Format("a/y", "y"), Format("b/z", "z"))
    for header, expected in (("*/*, a/y", "y"), ("a/*, b/z", "z"), ("*/*, a/*", "x"), ("b/z, a/y", "y"), ("c/c", None)):
        found = best_of(parse_accept(header), formats)
        assert (found and found[0].name) == expected, header


@pytest.mark.parametrize(
    ("header", "proof"),
    [
        (CAR, "car"),
        (f"{CAR}+zstd", "car.zst"),
        (f"{CAR}+zstd, {CAR};q=0.9", "car.zst"),
        (f"{CAR}, */*;q=0.9", "car"),
        (f"{CAR}, text/csv;q=0.9", "car"),
        (f"{CAR}, text/csv", None),
        (f"{CAR};q=0.9, text/csv", None),
        ("*/*", None),
        ("application/*", None),
        (f"{CAR};q=0", "nothing"),
    ],
)
def test_a_proof_is_given_if_it_is_wanted_more_than_all_else(header: str, proof: str | None) -> None:
    wanted = negotiate(header)
    assert ("nothing" if wanted is None else wanted.proof and wanted.proof.name) == proof


def test_headers_that_are_too_long_to_remember_are_read_all_the_same() -> None:
    header = "text/csv;q=0.9" + ", a/b" * 50 + ";x=" + "y" * 2000
    assert negotiate(header) == negotiate("text/csv;q=0.9")


def test_ranges_are_read_up_to_a_limit() -> None:
    at = ", ".join(["a/b"] * (RANGES_MAX - 1) + ["text/csv"])
    over = ", ".join(["a/b"] * RANGES_MAX + ["text/csv"])
    assert (negotiate(at) is not None, negotiate(over)) == (True, None)


@given(st.text(max_size=300) | st.text(alphabet='ax/*;,="\\q.019 ', max_size=300))
def test_no_header_is_too_odd(header: str) -> None:
    ranges = parse_accept(header)
    assert all(0 <= one.quality <= 1000 for one in ranges)
    wanted = negotiate(header)
    if wanted is not None:
        assert (wanted.table or wanted.graph) is not None or wanted.proof in PROOFS
        assert wanted.table in {None, *TABLES}
        assert wanted.graph in {None, *GRAPHS}
    assert negotiate_graph(header) in {None, *GRAPHS}


@given(st.lists(st.tuples(st.sampled_from([*TABLES, *GRAPHS, *PROOFS]), st.integers(0, 1000)), min_size=1, max_size=6))
def test_nothing_is_given_that_was_refused(given_: list[tuple[Format, int]]) -> None:
    last = {one.media_type: quality for one, quality in reversed(given_)}
    header = ", ".join(f"{name};q={quality / 1000:.3f}" for name, quality in last.items())
    wanted = negotiate(header)
    for one in (wanted.table, wanted.graph, wanted.proof) if wanted else ():
        assert one is None or last[one.media_type] > 0


@pytest.mark.parametrize(
    "odd", ['"\\' * 16_000, '"' * 32_001, ';a="\\"' * 5_000, "a/b;" + 'x="\\";' * 5_000, "," * 32_000, "a/" * 16_000]
)
def test_a_header_made_to_take_long_is_read_once(odd: str) -> None:
    assert len(parse_accept(odd + ", text/csv")) <= 1
