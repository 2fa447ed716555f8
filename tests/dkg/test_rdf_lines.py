from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg._rdf_lines import BLOCK_BYTES, LineParser, blocks
from dkg.errors import DkgError, LimitError, RdfError
from dkg.limits import IRI_BYTES_MAX, LINE_BYTES_MAX, LITERAL_BYTES_MAX, RDF_DEPTH_MAX
from dkg.normal import normalize
from tests.dkg import term_strategies as some

if TYPE_CHECKING:
    from dkg.terms import Quad

GRAPH = b"<urn:g>"
XSD = b"http://www.w3.org/2001/XMLSchema#"


def ours(text: bytes, *, quads: bool) -> list[Quad]:
    return LineParser(GRAPH, quads=quads).parse(text)


def by_the_engine(text: bytes, *, quads: bool) -> list[Quad]:
    """Return what the engine's strict parser and the normal form of each term make of lines."""

    def term(node: object) -> bytes:
        if isinstance(node, ox.DefaultGraph):
            return GRAPH
        return str(node).encode() if isinstance(node, ox.BlankNode) else normalize(str(node).encode())

    parsed = list(ox.parse(text, ox.RdfFormat.N_QUADS if quads else ox.RdfFormat.N_TRIPLES))
    return [(term(q.subject), term(q.predicate), term(q.object), term(q.graph_name)) for q in parsed]


def same(text: bytes, *, quads: bool) -> bool:
    """Whether both read the same quads, or both refuse."""
    try:
        expected = by_the_engine(text, quads=quads)
    except (SyntaxError, DkgError):
        with pytest.raises((RdfError, LimitError)):
            ours(text, quads=quads)
        return True
    return sorted(ours(text, quads=quads)) == sorted(expected)


# --- what is accepted is what the engine accepts -----------------------------------------------------------------

_words = st.sampled_from(
    (
        *('<http://e/a> <http://e/b> "x" .', "<http://e/é> <http://e/b> _:a.b .", '_:a <http://e/p> "a\\tb"@en .'),
        *("<http://e/a>", "<urn:x>", "<a:b>", "<a>", "<http://e/ >", "<http://e/\\u0041>", "<http://[::1]/>", "<<("),
        *("_:a", "_:a.", "_:a.b", "_:é", "_:1", "_:-", "_:a:b", ")>>", "<http://e/é>", "<http://e:80x/>"),
        *('"x"', '"x"@en', '"x"@EN-us', '"x"@en--ltr', '"x"@e-', '"01"^^<http://www.w3.org/2001/XMLSchema#integer>'),
        *('"\\u0041"', '"\\x"', '"\t"', '"\ufffe"', '"é\U0001f600"', '"a\\nb"', '"a"^^<a>', '"a" ^^<a:b>', '"\x00"'),
        *(" ", " ", " ", " ", "\t", ".", ".", " .\n", " .\n", " .\r\n", "\n", "\r", "# c", "#", "\ufeff", "@prefix"),
    )
)
_lines = st.lists(_words, max_size=9).map("".join)
_terms = st.one_of(
    some.terms, some.literals, st.sampled_from((b"_:a", b"_:b.c", b"<http://e/a>", b'"x"@en', b"<http://e/\xc3\xa9>"))
)
_spaces = st.sampled_from((b" ", b" ", b" ", b"\t", b"  ", b""))


@settings(deadline=None, max_examples=1500)
@given(_lines, st.booleans())
def test_lines_of_pieces_are_read_as_by_the_engine(text: str, quads: bool) -> None:  # noqa: FBT001
    assert same((text + "\n").encode(), quads=quads)


@settings(deadline=None, max_examples=1500)
@given(st.lists(st.tuples(_terms, _spaces, _terms, _spaces, _terms, _spaces, _terms), max_size=3), st.booleans())
def test_lines_of_terms_are_read_as_by_the_engine(rows: list[tuple[bytes, ...]], four: bool) -> None:  # noqa: FBT001
    text = b"".join(b"".join(row if four else row[:-1]) + b" .\n" for row in rows)
    assert same(text, quads=four)


@settings(deadline=None, max_examples=800)
@given(st.binary(max_size=40), st.integers(0, 70), st.booleans())
def test_damaged_lines_are_read_as_by_the_engine(damage: bytes, at: int, quads: bool) -> None:  # noqa: FBT001
    text = (
        b'<http://e/a> <http://e/b> "x\xc3\xa9" .\n_:a <http://e/b> "01"^^<http://www.w3.org/2001/XMLSchema#byte> .\n'
    )
    assert same(text[:at] + damage + text[at + len(damage) // 2 :] + b"\n", quads=quads)


@pytest.mark.parametrize(
    "line",
    [
        b'<a:a> <a:b> "x" .',
        b'<a:a>\t<a:b>  "x"  .  ',
        b'<a:a> <a:b> "x".',
        b'<a:a> <a:b> "x" . # comment',
        b"# comment \xff",
        b"",
        b" \t",
        b"<a:a> <a:b> <a:c> <a:d> .",
        b"<a:a> <a:b> _:c. .",
        b"_:a <a:b> _:c.",
        b"_:a <a:b> _:c.d.",
        b'"a" <a:b> <a:c> .',
        b"<a:a> _:b <a:c> .",
        b"<a:a><a:b><a:c>.",
        b"<a:a> <a:b> <a:c>",
        b"<a:a> <a:b>\n<a:c> .",
        b"<a:a> <a:b> <a:c> .\r<a:a> <a:b> <a:d> .",
        b"<a:a> <a:b> <a:c> . <a:a> <a:b> <a:d> .",
        b'<a:a> <a:b> "\xef\xbf\xbe" .',
        b'<a:a> <a:b> "\xef\xbf\xbf\\uFFFE" .',
        b'<a:a> <a:b> "\xed\xa0\x80" .',
        b'<a:a> <a:b> "\\uD800" .',
        b'<a:a> <a:b> "\x7f\x01\\u007F" .',
        b"<a:a> <a:b> <a:\xc3\xa9> .",
        b"<a:a> <a:b> <a:\xee\x80\x80> .",
        b"<a:\\u00e9> <a:b> <a:%zz> .",
        b"<A:a> <HTTP://E/%41> <http://e/../a> .",
        b'<a:a> <a:b> "x"@x-y-z .',
        b'<a:a> <a:b> "x"@abcdefghi .',
        b'<a:a> <a:b> "1.50"^^<http://www.w3.org/2001/XMLSchema#decimal> .',
        b'<a:a> <a:b> "x"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#langString> .',
    ],
)
@pytest.mark.parametrize("quads", [False, True])
def test_layouts(line: bytes, *, quads: bool) -> None:
    assert same(line + b"\n", quads=quads)


def test_default_graph_and_named_graphs() -> None:
    text = b"<a:a> <a:b> <a:c> .\n<a:a> <a:b> <a:c> <a:g> .\n<a:a> <a:b> <a:c>\t_:g .\n"
    assert [quad[3] for quad in ours(text, quads=True)] == [GRAPH, b"<a:g>", b"_:g"]


# --- errors say where -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"<a> <a:b> <a:c> .", "at line 103: .*No scheme found"),
        (b'<a:a> <a:b> "\xff" .', "line 103: .*Invalid UTF-8"),
        (b'<a:a> <a:b> "x"@en--ltr .', "line 103: .*base direction"),
        (b"<a:a> <a:b> <<( <a:a> <a:b> <a:c> )>> .", "line 103: .*triple term"),
        (b'<a:a> <a:b> "' + b"x" * LITERAL_BYTES_MAX + b'" .', "line 103: .*LITERAL_BYTES_MAX"),
        (b"<a:" + b"x" * IRI_BYTES_MAX + b"> <a:b> <a:c> .", "line 103: .*IRI_BYTES_MAX"),
    ],
)
def test_errors_name_the_line(line: bytes, words: str) -> None:
    good = b"# a comment\n<a:a> <a:b> <a:c> .\n"
    with pytest.raises((RdfError, LimitError), match=words):
        LineParser(GRAPH, quads=False).parse(good + line + b"\n" + good, 100)


# --- sizes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 8_191, 8_192, 16_000, 16_384, 40_000, LITERAL_BYTES_MAX - 2])
def test_lines_of_every_length(size: int) -> None:
    line = b'<a:a> <a:b> "' + b"x" * size + b'" .\n'
    assert ours(line * 2, quads=False) == [(b"<a:a>", b"<a:b>", b'"' + b"x" * size + b'"', GRAPH)] * 2


@pytest.mark.parametrize("place", range(4))
def test_no_iri_over_its_limit_gets_through(place: int) -> None:
    longest = b"<a:" + b"x" * (IRI_BYTES_MAX - 4) + b">"
    terms = [b"<a:a>"] * 4
    terms[place] = longest
    assert ours(b" ".join([*terms, b".\n"]) * 2, quads=True) == [tuple(terms)] * 2
    terms[place] = b"<a:x" + longest[3:]
    with pytest.raises(LimitError, match="IRI_BYTES_MAX"):
        ours(b" ".join([*terms, b".\n"]) * 2, quads=True)


def test_a_line_is_bounded() -> None:
    line = b"#" * LINE_BYTES_MAX
    assert list(blocks(BytesIO(line + b"\n#"))) == [line + b"\n", b"#\n"]
    with pytest.raises(LimitError, match=f"line 2 has over {LINE_BYTES_MAX} bytes"):
        list(blocks(BytesIO(b"#\n#" + line)))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from((b"a\n", b"\n", b"#" * (BLOCK_BYTES // 4 - 1), b"b\r\n", b"c")), max_size=6))
def test_blocks_are_whole_lines_and_lose_nothing(parts: list[bytes]) -> None:
    text = b"".join(parts)
    found = list(blocks(BytesIO(text)))
    assert all(block.endswith(b"\n") for block in found)
    assert b"".join(found) in {text, text + b"\n"}


def test_nested_triple_terms_are_refused_before_the_engine_sees_them() -> None:
    def nested(levels: int) -> bytes:
        return b"<a:a> <a:b> " + b"<<( <a:a> <a:b> " * levels + b'"x"' + b" )>>" * levels + b" .\n"

    with pytest.raises(RdfError, match="triple term"):
        ours(nested(RDF_DEPTH_MAX // 2), quads=False)  # both `<<` and `(` are counted
    for levels in (RDF_DEPTH_MAX // 2 + 1, 30_000):
        with pytest.raises(LimitError, match="RDF_DEPTH_MAX"):
            ours(nested(levels), quads=False)


def test_a_string_is_no_triple_term() -> None:
    literal = b'"' + b"<<(" * 1_000 + b'"@EN'
    assert ours(b"<a:a> <a:b> " + literal + b" .#\n", quads=False)[0][2] == literal[:-2] + b"en"


def test_terms_that_are_remembered_stay_what_they_are() -> None:
    parser = LineParser(GRAPH, quads=False)
    line = b'<a:\xc3\xa9> <a:b> "01"^^<%binteger> .\n' % XSD
    assert (
        parser.parse(line)
        == parser.parse(line * 2)[:1]
        == [(b"<a:\xc3\xa9>", b"<a:b>", b'"1"^^<%binteger>' % XSD, GRAPH)]
    )
