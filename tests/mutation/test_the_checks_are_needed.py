"""Each check of the verifier, taken away, must be noticed: a catalogue that notices nothing proves nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pytest

from dkg import gather, page, pages, proof, scan
from dkg.errors import PageError, ProofError, StoreError
from dkg.evaluate import evaluate
from dkg.pages import KnownPages, Pages, ProvedPages, StoredPages
from tests.evaluators import outcome_of
from tests.mutation.catalogue import MUTATIONS, attack
from tests.mutation.forgeries import MALFORMED, NO_QUADS, QUADS, Forge, reordered
from tests.mutation.judge import verdict
from tests.mutation.subjects import blocks_of
from tests.oracle import Match, difference, oracle

if TYPE_CHECKING:
    from dkg.page import Page

EVERYTHING = "SELECT * { ?s ?p ?o }"
SEEDS = 25
Patch = Callable[[pytest.MonkeyPatch], None]
CHECKS: dict[str, Patch] = {}


def check(patch: Patch) -> Patch:
    CHECKS[patch.__name__.strip("_").replace("_", " ")] = patch
    return patch


# --- what is left when one is taken away -------------------------------------------------------------------------


@check
def _a_page_hashes_to_its_name(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pages, "decode", lambda _, raw: page.decode(page.cid_of(raw), raw))


@check
def _a_page_is_in_canonical_encoding(patch: pytest.MonkeyPatch) -> None:
    for kind in (page.Leaf, page.Inner, page.DatasetRoot):
        patch.setattr(kind, "encode", _Anything)


class _Anything(bytes):
    """Equal to any bytes."""

    __hash__ = bytes.__hash__

    def __new__(cls, _: object) -> _Anything:  # noqa: PYI034 - it is never subclassed
        return super().__new__(cls)

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


@check
def _keys_ascend(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(page, "_check_ascending", lambda *_: None)


@check
def _the_file_is_well_formed(patch: pytest.MonkeyPatch) -> None:
    def lax(data: bytes, _root: bytes, _most: int) -> dict[bytes, bytes]:
        try:
            return dict(blocks_of(data))
        except IndexError as error:
            raise ProofError from error

    patch.setattr(proof, "read_car", lax)


class _Lax(ProvedPages):
    """Says that all blocks were read, in the order of the file."""

    def __init__(self, blocks: Mapping[bytes, bytes], known: KnownPages | None) -> None:
        super().__init__(blocks, known)
        self._read = ProvedPages(blocks)
        self.used = dict.fromkeys(blocks)  # type: ignore[assignment]  # only its keys are looked at

    def page(self, cid: bytes) -> Page:
        return self._read.page(cid)


@check
def _every_page_is_read_in_order(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(proof, "ProvedPages", _Lax)


@check
def _a_child_is_what_its_parent_says(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(scan, "child_of", lambda source, parent, at, *_: source.node(parent.children[at]))


@check
def _a_tree_has_no_more_than_so_many_levels(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(scan, "LEVELS_MAX", 1_000)


@check
def _a_link_to_a_tree_leads_to_a_tree(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Pages, "node", lambda self, cid: self.page(cid))


@check
def _all_indexes_have_the_count_of_the_dataset(patch: pytest.MonkeyPatch) -> None:
    def cursor(self: gather.Gather, order: str) -> scan.Cursor:
        found = self._cursors.get(order)
        if found is None:
            found = self._cursors[order] = scan.Cursor(self.pages, self.dataset.trees[page.ORDERS.index(order)])
        return found

    patch.setattr(gather.Gather, "cursor", cursor)


@check
def _a_key_is_a_quad(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gather, "keys_are_quads", lambda *_: True)


# --- who notices -------------------------------------------------------------------------------------------------


def _mutations_notice() -> None:
    for name in MUTATIONS:
        rng = random.Random(name)
        for seed in range(SEEDS):
            made = attack(name, seed, rng)
            if made is not None:
                verdict(made)


def _forgeries_notice() -> None:
    for forgery in MALFORMED:
        forge = Forge()
        root = forge.root({order: forgery(forge, order) for order in page.ORDERS})
        try:
            evaluate(StoredPages(forge.store), root, EVERYTHING)
        except (ProofError, StoreError):
            continue
        message = f"{forgery.__name__} was read"
        raise AssertionError(message)


def _keys_that_are_no_quads_notice() -> None:
    expected = oracle(QUADS, EVERYTHING, None, None, None)
    for key in NO_QUADS:
        forge = Forge()
        trees = {order: forge.tree(order, [reordered(key, order)]) for order in page.ORDERS}
        root = forge.root(trees, len(QUADS) + 1)
        try:
            actual = evaluate(StoredPages(forge.store), root, EVERYTHING)
        except PageError:
            continue
        assert difference(expected, outcome_of(actual), Match.BAG) is None


def _noticed() -> bool:
    for harness in (_forgeries_notice, _keys_that_are_no_quads_notice, _mutations_notice):
        try:
            harness()
        except Exception:  # noqa: BLE001 - whatever escapes is what the harness reports
            return True
    return False


@pytest.mark.parametrize("name", CHECKS)
def test_a_verifier_without_a_check_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _mutations_notice()  # makes the proofs, with all checks in place
    CHECKS[name](monkeypatch)
    assert _noticed()


def test_the_verifier_with_all_checks_is_not() -> None:
    assert not _noticed()
