"""RDF in: what the engine's strict parser reads, and nothing else, comes out as quads in normal form."""

from __future__ import annotations

import gzip
import hashlib
import re
from io import BytesIO
from typing import TYPE_CHECKING

import pyoxigraph as ox
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dkg.canon import canonical_nquads
from dkg.errors import CanonicalizationError, DkgError, LimitError, RdfError
from dkg.limits import IRI_BYTES_MAX, LITERAL_BYTES_MAX
from dkg.normal import normalize, require_normal
from dkg.rdf import FORMATS, parse_quads, quads_of_rdflib

if TYPE_CHECKING:
    from dkg.terms import Quad

DEFAULT = b"<urn:dkg:default>"
RDF_XML = (
    b'%b<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="urn:e:">'
    b'<rdf:Description rdf:about="urn:s">%b</rdf:Description></rdf:RDF>'
)


def quads_of(data: bytes, name: str, graph: bytes = DEFAULT, base_iri: str | None = None) -> list[Quad]:
    batches = parse_quads(data, format=name, graph=graph, base_iri=base_iri)
    return [quad for batch in batches for quad in batch]


def by_engine(data: bytes, name: str) -> set[Quad] | None:
    """What the engine's strict parser gives, in normal form; None where it refuses."""
    found = set()
    try:
        for quad in ox.parse(data, format=FORMATS[name]):
            graph = quad.graph_name
            g = DEFAULT if isinstance(graph, ox.DefaultGraph) else str(graph).encode()
            found.add((str(quad.subject).encode(), str(quad.predicate).encode(), str(quad.object).encode(), g))
        return {(normalize(s), normalize(p), normalize(o), normalize(g)) for s, p, o, g in found}
    except (SyntaxError, ValueError, RdfError, LimitError):
        return None


def by_us(data: bytes, name: str) -> set[Quad] | None:
    try:
        return set(quads_of(data, name))
    except DkgError:
        return None


# --- what comes out ------------------------------------------------------------------------------------------------

ONE = {
    "nt": b'<urn:s> <urn:e:p> "1"^^<http://www.w3.org/2001/XMLSchema#byte> .',
    "nq": b'<urn:s> <urn:e:p> "1"^^<http://www.w3.org/2001/XMLSchema#byte> .\n',
    "ttl": b'@prefix x: <http://www.w3.org/2001/XMLSchema#> . <urn:s> <urn:e:p> "1"^^x:byte .',
    "trig": b'{ <urn:s> <urn:e:p> "1"^^<http://www.w3.org/2001/XMLSchema#byte> }',
    "n3": b'<urn:s> <urn:e:p> "1"^^<http://www.w3.org/2001/XMLSchema#byte> .',
    "xml": RDF_XML % (b"", b'<e:p rdf:datatype="http://www.w3.org/2001/XMLSchema#byte">1</e:p>'),
    "jsonld": b'{"@id":"urn:s","urn:e:p":{"@value":"1","@type":"http://www.w3.org/2001/XMLSchema#byte"}}',
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_syntax_gives_the_same_quad(name: str) -> None:
    expected = normalize(b'"1"^^<http://www.w3.org/2001/XMLSchema#byte>')
    assert quads_of(ONE[name], name, b"<urn:g>") == [(b"<urn:s>", b"<urn:e:p>", expected, b"<urn:g>")]


@pytest.mark.parametrize("name", ["nt", "nq", "ttl", "trig", "n3"])
def test_empty_input_has_no_quads(name: str) -> None:
    for data in (b"", b"\n", b"\r\n \t\n", b"# a comment\n\n"):
        assert quads_of(data, name) == []


def test_a_stream_gives_what_bytes_give() -> None:
    data = b"".join(b'<urn:s%d> <urn:p> "%d"@EN .\n' % (i, i) for i in range(50_000))
    streamed = [quad for batch in parse_quads(BytesIO(data), format="nt") for quad in batch]
    assert streamed == quads_of(data, "nt")
    assert streamed[-1] == (b"<urn:s49999>", b"<urn:p>", b'"49999"@en', DEFAULT)


def test_plain_lines_and_others_may_follow_each_other() -> None:
    data = (
        b"<urn:s> <urn:p> <urn:o> .\n"
        b"<urn:s>\t<urn:p>  <urn:o2> . # why\n"
        b"\n# no statement\n"
        b'<urn:s> <urn:p> "a b . c"@en-GB <urn:g> .\r\n'
        b"<urn:s> <urn:p> <urn:o3> .\r<urn:s> <urn:p> <urn:o4> ."
    )
    assert set(quads_of(data, "nq")) == by_engine(data, "nq")
    assert len(quads_of(data, "nq")) == 5


def test_relative_iris_need_a_base() -> None:
    assert quads_of(b"<a> <b> <c> .", "ttl", base_iri="http://x/")[0][0] == b"<http://x/a>"
    with pytest.raises(RdfError):
        quads_of(b"<a> <b> <c> .", "ttl")


def test_an_unknown_format_is_named_with_the_known_ones() -> None:
    with pytest.raises(RdfError, match="'csv' is not a format; choose one of nt, nq"):
        quads_of(b"", "csv")


@pytest.mark.parametrize("graph", [b'"g"', b"_:g", b"<g>", b"<urn:a b>"])
def test_a_graph_name_that_is_no_iri_is_refused(graph: bytes) -> None:
    with pytest.raises(RdfError):
        quads_of(b"", "nt", graph)


def test_a_graph_name_leaves_room_for_blank_nodes() -> None:
    with pytest.raises(LimitError, match="name of a graph"):
        quads_of(b"", "nt", b"<urn:" + b"g" * (IRI_BYTES_MAX - 20) + b">")
    longest = b"<urn:" + b"g" * (IRI_BYTES_MAX - 64 - 6) + b">"
    for quad in quads_of(b"_:a <urn:p> _:b .", "nt", longest):
        require_normal(quad)


# --- plain lines against the engine --------------------------------------------------------------------------------

_PIECES = st.sampled_from(
    [
        *(b"<urn:s>", b"<urn:p>", b"<http://a/\xc3\xa9>", b"<rel>", b"<urn:a\\u0041>", b"<urn:a b>", b"<>", b"<urn:a"),
        *(b'"x"', b'"a b . c"', b'"\\n\\u00E9"', b'"\\q"', b'"\xff"', b'"x"@en', b'"x"@EN-us', b'"x"@en--ltr', b'"x"@'),
        b'"01"^^<http://www.w3.org/2001/XMLSchema#integer>',
        *(b'"x"^^<rel>', b'"x"^^', b'"un', b"'x'", b"_x", b"<<( <urn:s> <urn:p> <urn:o> )>>"),
        *(b".", b" ", b"  ", b"\t", b"\n", b"\r", b"\r\n", b"# c", b"\0", b"\xef\xbb\xbf", b";", b","),
    ]
)
_LINE = st.one_of(
    st.lists(_PIECES, max_size=8).map(b"".join),
    st.lists(_PIECES, min_size=3, max_size=4).map(lambda parts: b" ".join([*parts, b"."])),
    st.tuples(_PIECES, st.sampled_from([b" .", b"  .", b".", b" . ", b" .#c", b" <urn:g> .", b" <rel> ."])).map(
        lambda end: b"<urn:s> <urn:p> " + end[0] + end[1]
    ),
)


@settings(max_examples=600, deadline=None)
@given(st.lists(_LINE, max_size=4).map(b"\n".join), st.sampled_from(["nt", "nq"]))
@example(b"\xef\xbb\xbf<urn:s> <urn:p> <urn:o> .", "nt")
@example(b'<urn:s> <urn:p> "x"@en--ltr .', "nt")
@example(b"<urn:s> <urn:p> <urn:o> <urn:g> .", "nt")
def test_lines_are_read_as_the_engine_reads_them(data: bytes, name: str) -> None:
    assert by_us(data, name) == by_engine(data, name)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=12), st.booleans())
def test_any_text_is_read_as_the_engine_reads_it(text: str, as_iri: bool) -> None:  # noqa: FBT001 - drawn
    term = b"<urn:%b>" % text.encode() if as_iri else b'"%b"' % text.encode()
    data = b"<urn:s> <urn:p> %b .\n" % term
    assert by_us(data, "nt") == by_engine(data, "nt")


# --- blank nodes ---------------------------------------------------------------------------------------------------

BLANK = b'_:a <urn:p> _:b .\n_:b <urn:p> "1" .\n<urn:s> <urn:p> <urn:o> .\n'


def test_blank_nodes_are_named_after_graph_document_and_label() -> None:
    a, b = b"_:a", b"_:b"
    canonical = canonical_nquads([(a, b"<urn:p>", b, b""), (b, b"<urn:p>", b'"1"', b"")])
    base = b"<urn:g/.well-known/genid/" + hashlib.sha256(canonical).hexdigest()[:16].encode()
    quads = set(quads_of(BLANK, "nt", b"<urn:g>"))
    names = {term for quad in quads for term in quad if b"genid" in term}
    assert names == {base + b"-c14n0>", base + b"-c14n1>"}
    assert (b"<urn:s>", b"<urn:p>", b"<urn:o>", b"<urn:g>") in quads
    for quad in quads:
        require_normal(quad)


@pytest.mark.parametrize("name", ["nt", "nq", "ttl", "trig", "n3"])
def test_labels_order_and_syntax_do_not_change_the_names(name: str) -> None:
    other = b'_:b9 <urn:p> "1" .\n<urn:s> <urn:p> <urn:o> .\n_:a <urn:p> _:b9 .\n'
    data = b"{%b}" % other if name == "trig" else other
    assert set(quads_of(data, name)) == set(quads_of(BLANK, "nt"))


def test_two_documents_share_no_blank_node() -> None:
    other = BLANK.replace(b'"1"', b'"2"')
    first, second = ({t for q in quads_of(data, "nt") for t in q if b"genid" in t} for data in (BLANK, other))
    assert first
    assert not first & second


def test_a_blank_graph_name_is_named_too() -> None:
    (quad,) = quads_of(b"<urn:s> <urn:p> <urn:o> _:g .", "nq")
    assert re.fullmatch(rb"<urn:dkg:default/\.well-known/genid/[0-9a-f]{16}-c14n0>", quad[3])


def test_attack_poison_is_refused() -> None:
    clique = b"".join(b"_:%d <urn:p> _:%d .\n" % (i, j) for i in range(10) for j in range(10) if i != j)
    with pytest.raises(CanonicalizationError, match="give some of them IRIs"):
        quads_of(clique, "nt")


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("nt", b"<urn:s> <urn:p> <<( <urn:s> <urn:p> <urn:o> )>> .", "line 1: a triple term"),
        ("ttl", b"<urn:s> <urn:p> <<( <urn:s> <urn:p> <urn:o> )>> .", "a triple term"),
        ("nt", b'<urn:s> <urn:p> "x"@en--ltr .', "base direction"),
        ("ttl", b'<urn:s> <urn:p> "x"@en--ltr .', "base direction"),
        ("nt", b"<urn:s> <urn:p> <urn:o> .\n<s> <urn:p> <urn:o> .", "at line 2"),
        ("ttl", b"<urn:s> <urn:p> <urn:o> .\n<urn:s> .", "at line 2"),
        ("nt", b"\xef\xbb\xbf<urn:s> <urn:p> <urn:o> .", "byte order mark"),
        ("ttl", b"\xff\xfe<\x00", "UTF-16"),
        ("nt", "<urn:s> <urn:p> <urn:o> .".encode("utf-16"), "UTF-16"),
        ("nt", gzip.compress(b"", mtime=0), "gzip"),
        ("ttl", b'<urn:s> <urn:p> "\xff" .', "parse"),
        ("jsonld", b'{"@id":"urn:s","urn:p":"\xff"}', "not UTF-8"),
        ("jsonld", b'{"@context":"http://a/context","@id":"urn:s"}', "parse"),
        ("jsonld", b'{"@id":', "parse"),
        ("xml", b'<?xml version="1.0" encoding="nonsense"?><a/>', "parse"),
        ("xml", b'<?xml version="1.0" encoding="utf-7"?><a/>', "parse"),
        ("xml", b"", "parse"),
    ],
)
def test_what_cannot_be_read_or_held_is_refused_with_a_reason(name: str, data: bytes, says: str) -> None:
    with pytest.raises(RdfError, match=says):
        quads_of(data, name)


@pytest.mark.parametrize("name", ["nt", "ttl"])
@pytest.mark.parametrize("size", [LITERAL_BYTES_MAX + 1, 3 * LITERAL_BYTES_MAX, 20 * LITERAL_BYTES_MAX])
def test_attack_long_literals_are_refused(name: str, size: int) -> None:
    with pytest.raises(LimitError):
        quads_of(b'<urn:s> <urn:p> "' + b"x" * size + b'" .', name)


@pytest.mark.parametrize("name", ["nt", "ttl"])
def test_the_longest_literal_is_read(name: str) -> None:
    longest = b'"' + b"x" * (LITERAL_BYTES_MAX - 2) + b'"'
    assert quads_of(b"<urn:s> <urn:p> " + longest + b" .", name)[0][2] == longest


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.lists(st.one_of(_PIECES, st.sampled_from([b"[", b"]", b"{", b"}", b"(", b")", b'"""', b"@prefix e: "]))).map(
            b" ".join
        ),
        st.sampled_from(sorted(ONE.values())).flatmap(
            lambda data: st.tuples(st.integers(0, len(data)), st.integers(0, len(data)), st.binary(max_size=4)).map(
                lambda cut: data[: cut[0]] + cut[2] + data[cut[1] :]
            )
        ),
    ),
    st.sampled_from(sorted(FORMATS)),
)
def test_attack_arbitrary_bytes_give_quads_in_normal_form_or_an_error_of_ours(data: bytes, name: str) -> None:
    try:
        quads = quads_of(data, name)
    except DkgError:
        return
    require_normal([term for quad in quads for term in quad])


# --- rdflib --------------------------------------------------------------------------------------------------------


def test_rdflib_graphs_and_datasets_give_what_their_text_gives() -> None:
    rdflib = pytest.importorskip("rdflib")
    turtle = b'<urn:s> <urn:p> "1", 1, 1.50, "a"@EN, [ <urn:q> <urn:o> ] .'
    graph = rdflib.Graph().parse(data=turtle, format="turtle")
    ours = {quad for batch in quads_of_rdflib(graph, graph=b"<urn:g>") for quad in batch}
    assert ours == set(quads_of(turtle, "ttl", b"<urn:g>"))
    trig = b'<urn:s> <urn:p> "1" . <urn:h> { <urn:s> <urn:p> <urn:o> }'
    dataset = rdflib.Dataset()
    s, p, o, h = map(rdflib.URIRef, ("urn:s", "urn:p", "urn:o", "urn:h"))
    dataset.default_graph.add((s, p, rdflib.Literal("1")))
    dataset.graph(h).add((s, p, o))
    ours = {quad for batch in quads_of_rdflib(dataset, graph=b"<urn:g>") for quad in batch}
    assert ours == set(quads_of(trig, "trig", b"<urn:g>"))


def test_rdflib_terms_that_no_dataset_holds_are_refused() -> None:
    rdflib = pytest.importorskip("rdflib")
    graph = rdflib.Graph()
    graph.add((rdflib.URIRef("relative"), rdflib.URIRef("urn:p"), rdflib.Literal("x")))
    with pytest.raises(RdfError, match="not an absolute IRI"):
        list(quads_of_rdflib(graph))
    with pytest.raises(RdfError, match="neither bytes"):
        list(quads_of_rdflib(3))
