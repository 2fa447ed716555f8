"""The model against what ../shared/PEERS.md says of the public code, and against a trie written out by hand."""

from __future__ import annotations

from hashlib import sha256
from statistics import mean
from typing import TYPE_CHECKING

import pytest

from bench.rgbtrie import HASH, RgbTrie, lookups

if TYPE_CHECKING:
    from bench.rgbtrie import Triple

A, B, P = b"<http://a>", b"<http://b>", b"<http://p>"


def sibling_bytes(terms: int) -> float:
    trie = RgbTrie(b"<http://term/%d>" % i for i in range(terms))
    paths = [trie.path(b"<http://term/%d>" % i) for i in range(0, terms, terms // 50)]
    return mean(HASH * (1 + sum(children - 1 for _, children in path or [])) for path in paths)


@pytest.mark.parametrize(("terms", "kilobytes"), [(1_000, 8.2), (1_000_000, 16.8)])
def test_a_lookup_has_the_size_that_was_measured_of_the_public_code(terms: int, kilobytes: float) -> None:
    assert sibling_bytes(terms) / 1e3 == pytest.approx(kilobytes, rel=0.05)


def test_a_path_names_the_branching_nodes_and_how_many_children_each_has() -> None:
    terms = [b"<http://%d>" % i for i in range(2_000)]
    trie = RgbTrie(terms)
    digests = [sha256(term).digest() for term in terms]
    for term, digest in zip(terms[:100], digests, strict=False):
        expected = []
        for depth in range(HASH):
            below = {other[depth] for other in digests if other[:depth] == digest[:depth]}
            if len(below) > 1:
                expected.append((digest[:depth], len(below)))
        assert trie.path(term) == expected


def test_a_term_that_is_not_there_has_no_proof() -> None:
    trie = RgbTrie([A, B, P])
    assert trie.path(b"<http://c>") is None
    assert trie.size([A, b"<http://c>"], lambda _: []) is None
    assert RgbTrie([]).path(A) is None


def test_a_size_is_hashes_and_posting_lists_and_shared_nodes_count_once_when_compressed() -> None:
    trie = RgbTrie([A, B, P])
    (_, children), *rest = trie.path(A) or []
    assert children == 3
    assert not rest
    triple: Triple = (A, P, B)
    size = trie.size([A, B], lambda _: [triple])
    assert size is not None
    assert size.lookups == 2
    assert size.raw == 2 * (HASH * 3 + len(A + P + B) + 4 * HASH)
    assert size.compressed - HASH * (3 + 2) < 80


def test_a_pattern_is_charged_its_cheapest_lookup() -> None:
    sizes = {P: 1_000, A: 3, b"<http://1>": 1, b"<http://2>": 1}

    def postings(term: bytes) -> list[Triple]:
        return [(term, P, b"%d" % i) for i in range(sizes[term])]

    def ask(query: str) -> list[bytes]:
        assert query == "SELECT DISTINCT ?s { ?s <http://p> <http://a> }" or query.endswith("?o }")
        return [b"<http://1>", b"<http://2>"] if query.startswith("SELECT DISTINCT ?s") else []

    query = "SELECT * { ?s <http://p> <http://a> . ?s <http://p> ?o }"
    assert lookups(query, ask, postings) == [A, b"<http://1>", b"<http://2>"]


@pytest.mark.parametrize(
    "group",
    [
        "?s <http://p>* ?o",
        "?s ?p ?o",
        "?s ?p <http://a> OPTIONAL { ?s ?q ?o }",
        "?s ?p <http://a> FILTER EXISTS { ?s ?p 1 }",
    ],
)
def test_what_the_trie_has_no_proof_for_is_not_charged(group: str) -> None:
    assert lookups(f"SELECT * {{ {group} }}", lambda _: [], lambda _: []) is None
