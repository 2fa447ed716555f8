from __future__ import annotations

import pyoxigraph
import pytest

from dkg.client.cli.console import plain
from dkg.client.cli.table import CELL_MAX, Shortener, aligned, table, width
from dkg.evaluate import evaluate
from dkg.page import EMPTY_TREE, DatasetRoot, Leaf, cid_of
from dkg.pages import MemoryPageStore, StoredPages

XSD = "http://www.w3.org/2001/XMLSchema#"


@pytest.mark.parametrize(
    ("iri", "text"),
    [
        ("http://xmlns.com/foaf/0.1/name", "foaf:name"),
        ("http://example.org/people/ada", "p:ada"),
        ("http://example.org/ada", "e:ada"),
        ("http://example.org/a/b", "<http://example.org/a/b>"),  # `e:a/b` would be no prefixed name
        ("http://example.org/", "<http://example.org/>"),
        ("http://example.org/a.", "<http://example.org/a.>"),
        ("urn:other", "<urn:other>"),
    ],
)
def test_iris_are_shortened_by_the_longest_prefix(iri: str, text: str) -> None:
    short = Shortener({"e": "http://example.org/", "p": "http://example.org/people/"})
    assert short.iri(iri) == text


def test_prefixes_of_the_query_win() -> None:
    short = Shortener({"foaf": "http://example.org/"})
    assert short.iri("http://example.org/x") == "foaf:x"
    assert short.iri("http://xmlns.com/foaf/0.1/name") == "<http://xmlns.com/foaf/0.1/name>"


@pytest.mark.parametrize(
    ("term", "text"),
    [
        (pyoxigraph.Literal("Ada"), '"Ada"'),
        (pyoxigraph.Literal("Ada", language="en"), '"Ada"@en'),
        (pyoxigraph.Literal(5), "5"),
        (pyoxigraph.Literal("1.5", datatype=pyoxigraph.NamedNode(f"{XSD}double")), '"1.5"^^xsd:double'),
        (pyoxigraph.BlankNode("b"), "_:b"),
        (None, ""),
    ],
)
def test_terms(term: pyoxigraph.Literal | pyoxigraph.BlankNode | None, text: str) -> None:
    assert Shortener({}).term(term) == text


def test_a_string_cannot_pass_for_an_iri_or_for_two_cells() -> None:
    short = Shortener({})
    assert short.term(pyoxigraph.Literal("foaf:name")) == '"foaf:name"'
    assert short.term(pyoxigraph.Literal('a"  "b')) == '"a\\"  \\"b"'


@pytest.mark.parametrize("text", ["a\x1b[31m", "a\nb", "a\tb", "\u202egpj.exe", "\x9b2J", "\u2066", "a\u200bb"])
def test_nothing_drives_the_terminal(text: str) -> None:
    assert plain(text).isprintable()
    assert plain(text).isascii()


def test_wide_and_combining_characters_line_up() -> None:
    assert (width("ab"), width("日本"), width("e\u0301")) == (2, 4, 1)
    assert aligned(["a", "n"], [["日本", "1"], ["x", "22"]], [False, True]) == (
        "a      n\n────  ──\n日本   1\nx     22"
    )


def results_of(query: str) -> tuple[str, int]:
    store = MemoryPageStore()
    root = DatasetRoot([EMPTY_TREE] * 4, 0).encode()
    store.put_many([(EMPTY_TREE, Leaf([]).encode()), (cid_of(root), root)])
    return table(evaluate(StoredPages(store), cid_of(root), query), {})


def test_numbers_are_flush_right() -> None:
    text, cut = results_of("SELECT ?x ?y WHERE { VALUES (?x ?y) { (5 'a') (100 'b') } }")
    assert text == '?x   ?y\n───  ───\n  5  "a"\n100  "b"'.replace("?x   ", " ?x  ")
    assert cut == 0


def test_no_rows_and_no_columns() -> None:
    assert results_of("SELECT ?x WHERE { ?x ?p ?o }") == ("?x\n──", 0)
    assert results_of("ASK { ?x ?p ?o }") == ("false", 0)


@pytest.mark.parametrize(("length", "cut"), [(CELL_MAX - 2, 0), (CELL_MAX - 1, 1)])
def test_long_values_are_cut_and_counted(length: int, cut: int) -> None:
    text, counted = results_of(f"SELECT ('{'a' * length}' AS ?x) WHERE {{}}")
    last = text.splitlines()[-1]
    assert (len(last), last.endswith("…"), counted) == (CELL_MAX, bool(cut), cut)
