from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.build import build_tree
from dkg.check import check_dataset as check_whole
from dkg.cut import Shape
from dkg.errors import StoreError
from dkg.page import ORDERS, DatasetRoot
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from dkg.terms import key_of
from node import union_check
from node.union_check import DatasetRefusedError, check_dataset
from tests.node.storage.data import changed, publisher, put, quads_of
from tests.node.test_union import Counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.terms import Quad

ONE = publisher(1)
A = quads_of(ONE, 900)
B = changed(A, 25, 1)

Keys = dict[str, set[bytes]]


def keys_of(quads: list[Quad]) -> Keys:
    return {order: {key_of(quad, order) for quad in quads} for order in ORDERS}


def forged(store: MemoryPageStore, keys: Keys, count: int | None = None, shape: Shape | None = None) -> bytes:
    """A dataset of any keys in any index."""
    sink = PageSink(store)
    shaped = (shape,) if shape else ()
    trees = [build_tree([sorted(keys[order])], sink, *shaped)[0] for order in ORDERS]
    root = sink.add(DatasetRoot(trees, len(keys["spog"]) if count is None else count))
    sink.flush()
    return root


def _lacks(order: str) -> Callable[[Keys], None]:
    return lambda keys: keys[order].remove(min(keys[order]))


def _has_more(order: str) -> Callable[[Keys], None]:
    more = (b"<urn:s>", b"<urn:p>", b'"more"', b"<urn:g>")
    return lambda keys: keys[order].add(key_of(more, order))


def _holds(order: str, key: bytes) -> Callable[[Keys], None]:
    return lambda keys: keys[order].add(key)


FORGERIES = {
    **{f"{order} lacks a quad": (_lacks(order), f"index {order} should be") for order in ORDERS[1:]},
    **{f"{order} has one more": (_has_more(order), f"index {order} should be") for order in ORDERS[1:]},
    "spog has one that no other has": (_has_more("spog"), "its index posg should be .*: it lacks <urn:s> <urn:p>"),
    "spog lacks one": (_lacks("spog"), "which its spog has not as a quad"),
    "a key off its normal form in spog": (
        _holds("spog", b'<urn:s>\0<urn:p>\0"01"^^<http://www.w3.org/2001/XMLSchema#integer>\0<urn:g>\0'),
        "a key that is no quad in normal form",
    ),
    "a blank node in posg": (_holds("posg", b"<urn:p>\0_:b\0<urn:s>\0<urn:g>\0"), "no quad in normal form"),
    "not a key at all in gspo": (_holds("gspo", b"hello"), "no quad in normal form"),
    "a key with five parts in ospg": (_holds("ospg", b"<urn:o>\0<urn:s>\0<urn:p>\0<urn:g>\0<urn:x>\0"), "no quad"),
}


@pytest.mark.parametrize("name", FORGERIES)
@pytest.mark.parametrize("from_old", [True, False])
def test_a_malformed_dataset_is_refused_with_the_first_difference(name: str, from_old: bool) -> None:  # noqa: FBT001
    forge, said = FORGERIES[name]
    store = MemoryPageStore()
    old = put(store, A) if from_old else None
    keys = keys_of(B)
    assert check_dataset(store, old, forged(store, keys)).quads == len(B)  # with one change less it is right
    forge(keys)
    bad = forged(store, keys)
    before = len(store.pages)
    with pytest.raises(DatasetRefusedError, match=f"(?s)is malformed: .*{said}"):
        check_dataset(store, old, bad)
    assert check_whole(StoredPages(store), bad).problems != []
    if from_old:
        assert len(store.pages) == before  # what was made to compare is not kept


@pytest.mark.parametrize("from_old", [True, False])
def test_counts_and_cuts_are_part_of_it(from_old: bool) -> None:  # noqa: FBT001
    store = MemoryPageStore()
    old = put(store, A) if from_old else None
    keys = keys_of(B)
    with pytest.raises(DatasetRefusedError, match=f"says that it has {len(B) + 1} quads, and has {len(B)}"):
        check_dataset(store, old, forged(store, keys, count=len(B) + 1))
    with pytest.raises(DatasetRefusedError, match=r"index spog should be .* in pages that are not cut by the rules"):
        check_dataset(store, old, forged(store, keys, shape=Shape(9, 4)))


def test_a_tree_that_is_none_is_refused() -> None:
    store = MemoryPageStore()
    old = put(store, A)
    root = StoredPages(store).root(old)
    for trees in ([old, *root.trees[1:]], [root.trees[1], *root.trees[1:]], [*root.trees[:3], old]):
        sink = PageSink(store)
        bad = sink.add(DatasetRoot(trees, root.count))
        sink.flush()
        for before in (old, None):
            with pytest.raises(DatasetRefusedError, match="is malformed"):
                check_dataset(store, before, bad)
    with pytest.raises(DatasetRefusedError, match="is not a dataset root"):
        check_dataset(store, old, root.trees[0])


def test_only_spog_is_needed_and_the_rest_is_put() -> None:
    elsewhere = MemoryPageStore()
    new = put(elsewhere, B)
    for from_old in (True, False):
        store = MemoryPageStore()
        old = put(store, A) if from_old else None
        pages = StoredPages(elsewhere)
        stack, spog = [pages.root(new).trees[0]], {new}
        while stack:
            cid = stack.pop()
            spog.add(cid)
            stack += getattr(pages.node(cid), "children", [])
        store.put_many((cid, elsewhere.pages[cid]) for cid in spog)
        checked = check_dataset(store, old, new)
        assert (checked.root, checked.quads) == (new, len(B))
        assert elsewhere.pages.keys() <= store.pages.keys()
        assert (checked.derived > 0) is from_old


def test_a_missing_page_is_no_verdict() -> None:
    store = MemoryPageStore()
    old, new = put(store, A), put(store, B)
    only_new = store.pages.keys() - set(MemoryPageStore().pages)
    lost = StoredPages(store).root(new).trees[0]
    assert lost in only_new
    del store.pages[lost]
    for before in (old, None):
        with pytest.raises(StoreError, match="the store has no page"):
            check_dataset(store, before, new)


def test_large_changes_are_made_from_all_quads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(union_check, "CHANGES_MAX", 10)
    store = MemoryPageStore()
    old, new = put(store, A), put(store, B)
    assert check_dataset(store, old, new).derived == 0
    with pytest.raises(DatasetRefusedError):
        check_dataset(store, old, forged(store, keys_of(B) | {"posg": keys_of(A)["posg"]}))


def test_a_check_reads_in_proportion_to_the_change() -> None:
    read = {}
    for size in (2_000, 16_000):
        store = Counted()
        quads = quads_of(ONE, size)
        old, new = put(store, quads), put(store, changed(quads, 5, 2))
        store.read = 0
        check_dataset(store, old, new)
        read[size] = store.read
    assert read[16_000] <= 2 * read[2_000]
    assert read[16_000] < 16_000 // 40 * 4


@given(st.data())
@settings(max_examples=settings().max_examples // 2)
def test_the_verdict_is_that_of_a_check_of_everything(data: st.DataObject) -> None:
    chance = random.Random(data.draw(st.integers(0, 10**6)))
    store = MemoryPageStore()
    old_quads = quads_of(ONE, 60)
    old = put(store, old_quads)
    keys = keys_of(changed(old_quads, chance.randrange(5), 3))
    for order in ORDERS:
        if chance.random() < 0.3:
            some = sorted(keys[order])
            keys[order].remove(chance.choice(some))
        if chance.random() < 0.2:
            keys[order].add(key_of(chance.choice(A), order))
    count = len(keys["spog"]) + chance.choice([0, 0, 0, 1])
    new = forged(store, keys, count)
    whole = check_whole(StoredPages(store), new).problems == []
    for before in (old, None):
        if whole:
            assert check_dataset(store, before, new).root == new
        else:
            with pytest.raises(DatasetRefusedError):
                check_dataset(store, before, new)
