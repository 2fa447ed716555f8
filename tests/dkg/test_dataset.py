from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.build import build_tree
from dkg.check import check_dataset
from dkg.dataset import build_dataset, diff_datasets, nquads, quads, update_dataset, update_pays
from dkg.errors import LimitError, NormalFormError, RdfError
from dkg.limits import LITERAL_BYTES_MAX
from dkg.page import EMPTY_TREE, ORDERS, DatasetRoot, Inner, Leaf, cid_of
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from dkg.sorting import KeySorter, MemorySpill, merge_runs
from dkg.terms import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg.terms import Quad

_XSD = b"http://www.w3.org/2001/XMLSchema#"
_IRIS = [b"<urn:%d>" % i for i in range(12)]
_OBJECTS = [
    *_IRIS,
    b'"a"',
    b'"a"@en',
    b'"line\\nbreak"',
    *(b'"%d"^^<%sinteger>' % (i, _XSD) for i in (-3, 0, 7, 70)),
    b'"1.5"^^<%sdecimal>' % _XSD,
    b'"2020-01-02"^^<%sdate>' % _XSD,
    '"zwölf 🜁"'.encode(),
]
_QUADS = st.tuples(
    st.sampled_from(_IRIS), st.sampled_from(_IRIS[:4]), st.sampled_from(_OBJECTS), st.sampled_from(_IRIS[:3])
)


def _some(count: int, seed: int = 1) -> list[Quad]:
    """Different quads with shared terms, in no order."""
    chance = random.Random(seed)
    found: set[Quad] = set()
    while len(found) < count:
        subject = b"<http://example.org/thing/%d>" % chance.randrange(count // 3 + 1)
        predicate = b"<http://example.org/p%d>" % chance.randrange(7)
        number = chance.randrange(count)
        target = b'"%d"^^<%sinteger>' % (number, _XSD) if number % 2 else b"<http://example.org/thing/%d>" % number
        found.add((subject, predicate, target, b"<http://example.org/graph%d>" % chance.randrange(3)))
    listed = sorted(found)
    chance.shuffle(listed)
    return listed


def _built(batches: Iterable[list[Quad]], store: MemoryPageStore | None = None) -> bytes:
    return build_dataset(batches, MemoryPageStore() if store is None else store)


def _all(store: MemoryPageStore, root: bytes) -> list[Quad]:
    return [quad for batch in quads(StoredPages(store), root) for quad in batch]


@given(st.lists(_QUADS, max_size=60), st.randoms(use_true_random=False), st.integers(1, 9))
def test_any_order_any_batches_any_repetitions_give_one_root(
    given_quads: list[Quad], chance: random.Random, size: int
) -> None:
    store = MemoryPageStore()
    root = _built([sorted(set(given_quads))], store)
    shuffled = given_quads + given_quads[:5]
    chance.shuffle(shuffled)
    assert _built(shuffled[i : i + size] for i in range(0, len(shuffled), size)) == root
    assert _all(store, root) == sorted(set(given_quads), key=lambda quad: key_of(quad, "spog"))


@given(st.lists(_QUADS, max_size=40), st.lists(_QUADS, max_size=12), st.lists(_QUADS, max_size=12))
def test_an_update_gives_the_root_of_a_build(start: list[Quad], add: list[Quad], remove: list[Quad]) -> None:
    store = MemoryPageStore()
    old = _built([start], store)
    new = update_dataset(StoredPages(store), old, add, remove, store)
    expected = (set(start) - set(remove)) | set(add)
    assert new == _built([list(expected)])
    assert check_dataset(StoredPages(store), new).problems == []
    assert check_dataset(StoredPages(store), old).problems == []


@given(st.lists(_QUADS, max_size=40), st.lists(_QUADS, max_size=40))
def test_a_diff_is_the_difference(before: list[Quad], after: list[Quad]) -> None:
    store = MemoryPageStore()
    old, new = _built([before], store), _built([after], store)
    went: list[Quad] = []
    came: list[Quad] = []
    for gone, fresh in diff_datasets(StoredPages(store), old, new):
        went += gone
        came += fresh
    assert set(went) == set(before) - set(after)
    assert set(came) == set(after) - set(before)
    assert len(went) == len(set(went))
    assert len(came) == len(set(came))


def test_a_large_update_is_merged_and_gives_the_same_root() -> None:
    some = _some(26_000)
    store = MemoryPageStore()
    old = _built([some[:4_000]], store)
    remove = [*some[:300], *some[25_000:25_100]]
    add = [*some[3_000:25_000], some[7]]
    assert not update_pays(4_000, len(add))
    new = update_dataset(StoredPages(store), old, add, remove, store)
    assert new == _built([[*some[300:25_000], some[7]]])


def test_updates_in_any_batches_with_deletions_give_one_root() -> None:
    some = _some(3_000)
    for seed in range(3):
        chance = random.Random(seed)
        store = MemoryPageStore()
        pages = StoredPages(store)
        root = _built([], store)
        order = some[:2_000] + some
        chance.shuffle(order)
        while order:
            size = chance.choice((1, 10, 700))
            root = update_dataset(pages, root, order[:size], (), store)
            del order[:size]
            gone = chance.sample(some, 20)
            root = update_dataset(pages, root, (), gone, store)
            root = update_dataset(pages, root, gone, (), store)
        assert root == _built([some])


def test_the_empty_dataset_has_a_root() -> None:
    store = MemoryPageStore()
    empty = _built([], store)
    assert StoredPages(store).root(empty).trees == [EMPTY_TREE] * 4
    some = _some(500)
    full = update_dataset(StoredPages(store), empty, some, (), store)
    assert update_dataset(StoredPages(store), full, (), some, store) == empty
    assert check_dataset(StoredPages(store), empty).problems == []


def test_what_changes_nothing_gives_the_same_root_and_no_page() -> None:
    some = _some(1_000)
    store = MemoryPageStore()
    root = _built([some[:900]], store)
    before = dict(store.pages)
    assert update_dataset(StoredPages(store), root, some[:50], some[950:], store) == root
    assert update_dataset(StoredPages(store), root, (), (), store) == root
    assert store.pages == before


@pytest.mark.parametrize(
    ("quad", "error"),
    [
        ((b"<urn:a>", b"<urn:p>", b'"01"^^<%sinteger>' % _XSD, b"<urn:g>"), NormalFormError),
        ((b"<urn:a>", b"<urn:p>", b'"a"@EN', b"<urn:g>"), NormalFormError),
        ((b'"a"', b"<urn:p>", b'"a"', b"<urn:g>"), RdfError),
        ((b"<urn:a>", b'"p"', b'"a"', b"<urn:g>"), RdfError),
        ((b"<urn:a>", b"<urn:p>", b'"a"', b'"g"'), RdfError),
        ((b"<urn:a>", b"<urn:p>", b"_:b", b"<urn:g>"), RdfError),
        ((b"<urn:a>", b"<urn:p>", b'"a\n"', b"<urn:g>"), RdfError),
        ((b"<urn:a\0>", b"<urn:p>", b'"a"', b"<urn:g>"), RdfError),
        ((b"<urn:a>", b"<urn:p>", b'"' + b"x" * LITERAL_BYTES_MAX + b'"', b"<urn:g>"), LimitError),
    ],
)
def test_what_is_no_quad_in_normal_form_is_refused(quad: Quad, error: type[Exception]) -> None:
    store = MemoryPageStore()
    with pytest.raises(error):
        _built([[(b"<urn:a>",) * 4], [quad]], store)
    assert store.pages == {}
    root = _built([], store)
    with pytest.raises(error):
        update_dataset(StoredPages(store), root, [quad], (), store)


def test_canonical_nquads_come_out_sorted_and_whole() -> None:
    some = _some(300)
    store = MemoryPageStore()
    text = b"".join(nquads(StoredPages(store), _built([some], store)))
    assert sorted(text.splitlines()) == sorted(b"%b %b %b %b ." % quad for quad in some)


def test_a_key_that_is_no_quad_is_ignored() -> None:
    store = MemoryPageStore()
    good = (b"<urn:a>", b"<urn:p>", b'"5"^^<%sinteger>' % _XSD, b"<urn:g>")
    bad = [b"<urn:a>\0<urn:p>\0", b"junk", b'<urn:a>\0<urn:p>\0"5"^^<%sinteger>\0<urn:g>\0' % _XSD]
    sink = PageSink(store)
    trees = [build_tree([sorted([key_of(good, order), *bad])], sink)[0] for order in ORDERS]
    forged = sink.add(DatasetRoot(trees, 4))
    sink.flush()
    pages = StoredPages(store)
    assert _all(store, forged) == [good]
    assert list(diff_datasets(pages, _built([], store), forged)) == [([], [good])]
    assert any("no quad in normal form" in problem for problem in check_dataset(pages, forged).problems)


# Sorting


@pytest.mark.parametrize("chunk_bytes", [1, 5_000, 10**9])
def test_chunks_and_runs_give_the_sorted_keys(chunk_bytes: int) -> None:
    some = _some(1_500)
    sorter = KeySorter(MemorySpill(), chunk_bytes=chunk_bytes)
    for start in range(0, 1_500, 100):
        sorter.add(some[start : start + 100])
        sorter.add(some[start : start + 7])
    for order in ORDERS:
        for _ in range(2):
            keys = [key for batch in sorter.keys(order) for key in batch]
            assert keys == sorted(key_of(quad, order) for quad in some)


@given(st.lists(st.lists(st.sets(st.binary(max_size=2), max_size=5), max_size=4), max_size=5))
def test_merged_runs_ascend_strictly(given_runs: list[list[set[bytes]]]) -> None:
    keys = [sorted({key for part in run for key in part}) for run in given_runs]
    runs = [[run[i : i + 3] for i in range(0, len(run), 3)] + [[]] for run in keys]
    merged = [key for batch in merge_runs(list(runs)) for key in batch]
    assert merged == sorted({key for run in keys for key in run})


# Checking


def _damaged(store: MemoryPageStore, cid: bytes) -> StoredPages:
    copy = MemoryPageStore()
    copy.pages = {kept: raw for kept, raw in store.pages.items() if kept != cid}
    return StoredPages(copy)


def test_check_finds_every_missing_page() -> None:
    store = MemoryPageStore()
    root = _built([_some(400)], store)
    assert check_dataset(StoredPages(store), root) == (400, len(store.pages), [])
    for cid in store.pages:
        assert check_dataset(_damaged(store, cid), root).problems != []


def test_check_finds_trees_of_other_quads_and_wrong_counts() -> None:
    store = MemoryPageStore()
    some = _some(600)
    pages = StoredPages(store)
    first, second = (pages.root(_built([part], store)) for part in (some[:300], some[300:]))
    for at, order in enumerate(ORDERS):
        trees = [*first.trees[:at], second.trees[at], *first.trees[at + 1 :]]
        forged = DatasetRoot(trees, 300).encode()
        store.put_many([(cid_of(forged), forged)])
        problems = check_dataset(pages, cid_of(forged)).problems
        assert problems != []
        assert at == 0 or problems[0].startswith(order)
    forged = DatasetRoot(first.trees, 301).encode()
    store.put_many([(cid_of(forged), forged)])
    assert "holds 300 keys" in check_dataset(pages, cid_of(forged)).problems[0]


def test_check_finds_a_tree_that_is_cut_in_other_places() -> None:
    store = MemoryPageStore()
    root = StoredPages(store).root(_built([_some(60)], store))
    keys = sorted(key_of(quad, "ospg") for quad in _some(60))
    sink = PageSink(store)
    halves = [(sink.add(Leaf(part)), len(part)) for part in (keys[:30], keys[30:])]
    uneven = sink.add(Inner([cid for cid, _ in halves], [keys[30]], [count for _, count in halves]))
    forged = sink.add(DatasetRoot([*root.trees[:2], uneven, root.trees[3]], 60))
    sink.flush()
    problems = check_dataset(StoredPages(store), forged).problems
    assert len(problems) == 1
    assert problems[0].startswith("ospg is not the tree")
