"""Roots that someone signed over pages made to deceive.

A verifier trusts the root, not who made it. Malformed pages are `ProofError`s on both sides; keys that are no
quads change nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.errors import ProofError, StoreError
from dkg.evaluate import evaluate
from dkg.page import ORDERS, Leaf, Page
from dkg.pages import StoredPages
from dkg.proof import prove, verify
from tests.evaluators import outcome_of
from tests.mutation.forgeries import (
    MALFORMED,
    NO_QUADS,
    QUADS,
    Forge,
    a_page_that_nobody_has,
    all_pages,
    keys,
    reordered,
)
from tests.oracle import Match, difference, oracle

if TYPE_CHECKING:
    from collections.abc import Callable

EVERYTHING = "SELECT * { ?s ?p ?o }"
ONE = "SELECT * { <http://e/s05> ?p ?o }"
NAMED = "SELECT * { GRAPH ?g { ?s <http://e/p> ?o } }"
COUNTED = "SELECT (COUNT(*) AS ?n) { ?s <http://e/p> ?o }"
OBJECT = "SELECT * { ?s ?p 7 }"
QUERIES = (EVERYTHING, ONE, NAMED, COUNTED, OBJECT)


@pytest.mark.parametrize("forgery", MALFORMED, ids=lambda forgery: forgery.__name__)
def test_a_malformed_tree_is_refused_where_all_of_it_is_read(forgery: Callable[[Forge, str], bytes]) -> None:
    forge = Forge()
    root = forge.root({order: forgery(forge, order) for order in ORDERS})
    with pytest.raises(ProofError):
        verify(all_pages(forge, root), EVERYTHING, root)
    with pytest.raises((ProofError, StoreError) if forgery is a_page_that_nobody_has else ProofError):
        prove(StoredPages(forge.store), root, EVERYTHING)


@pytest.mark.parametrize("forgery", MALFORMED, ids=lambda forgery: forgery.__name__)
@pytest.mark.parametrize("query", QUERIES)
def test_who_reads_a_part_of_a_malformed_tree_sees_what_the_prover_saw(
    forgery: Callable[[Forge, str], bytes], query: str
) -> None:
    forge = Forge()
    root = forge.root({order: forgery(forge, order) for order in ORDERS})
    try:
        proof = prove(StoredPages(forge.store), root, query)
    except (ProofError, StoreError):
        with pytest.raises(ProofError):
            verify(all_pages(forge, root), query, root)
        return
    apart = difference(outcome_of(proof.answer), outcome_of(verify(proof.car, query, root)), Match.SEQUENCE)
    assert apart is None


@pytest.mark.parametrize("turn", range(1, len(ORDERS)))
@pytest.mark.parametrize("query", QUERIES)
def test_who_reads_one_index_in_place_of_another_sees_what_the_prover_saw(turn: int, query: str) -> None:
    forge = Forge()
    root = forge.root({order: forge.tree(ORDERS[(i + turn) % len(ORDERS)]) for i, order in enumerate(ORDERS)})
    proof = prove(StoredPages(forge.store), root, query)
    apart = difference(outcome_of(proof.answer), outcome_of(verify(proof.car, query, root)), Match.SEQUENCE)
    assert apart is None


@pytest.mark.parametrize("page", [Leaf([]), Leaf(keys("spog"))])
def test_a_tree_where_a_dataset_root_belongs_is_refused(page: Page) -> None:
    forge = Forge()
    root = forge.put(page)
    with pytest.raises(ProofError):
        verify(all_pages(forge, root), EVERYTHING, root)


@pytest.mark.parametrize("key", NO_QUADS, ids=range(len(NO_QUADS)))
@pytest.mark.parametrize("query", QUERIES)
def test_a_key_that_is_no_quad_changes_nothing(key: bytes, query: str) -> None:
    forge = Forge()
    root = forge.root({order: forge.tree(order, [reordered(key, order)]) for order in ORDERS}, len(QUADS) + 1)
    pages = StoredPages(forge.store)
    try:
        proof = prove(pages, root, query)
    except ProofError:  # not even a page: a key that is a link, or too long
        with pytest.raises(ProofError):
            verify(all_pages(forge, root), query, root)
        return
    expected = oracle(QUADS, query, None, None, None)
    if query != COUNTED:  # counts are of keys
        assert difference(expected, outcome_of(evaluate(pages, root, query)), Match.BAG) is None
        assert difference(expected, outcome_of(verify(proof.car, query, root)), Match.BAG) is None
    apart = difference(outcome_of(proof.answer), outcome_of(verify(proof.car, query, root)), Match.SEQUENCE)
    assert apart is None
