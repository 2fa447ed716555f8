"""Datasets to bring over, good ones and those that no honest publisher makes."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING

from dkg.build import build_tree
from dkg.cut import Shape
from dkg.dataset import build_dataset, update_dataset
from dkg.page import ORDERS, DatasetRoot, Inner, Leaf, Page
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from dkg.terms import key_of
from node.replication.messages import Anchored
from tests.datasets import university

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.terms import Quad

PUBLISHER = bytes(19) + b"\x01"


@cache
def quads(students: int) -> list[Quad]:
    return sorted(set(university(students)))


@cache
def dataset(students: int) -> tuple[MemoryPageStore, Anchored]:
    """A store with one dataset, and the commit for it. Not to be written to."""
    store = MemoryPageStore()
    root = build_dataset([quads(students)], store, normal=True)
    return store, anchored(root, len(quads(students)))


@cache
def changed(students: int, changes: int, seed: int = 1) -> tuple[MemoryPageStore, Anchored]:
    """The same with some quads replaced, all over it; the store has the first dataset too."""
    before, head = dataset(students)
    store = MemoryPageStore()
    store.pages.update(before.pages)
    gone = random.Random(seed).sample(quads(students), changes)
    come = [(s, p, b'"changed %d"' % at, g) for at, (s, p, _, g) in enumerate(gone)]
    root = update_dataset(StoredPages(store), head.root, come, gone, store)
    count = StoredPages(store).root(root).count
    return store, anchored(root, count, 2)


def anchored(root: bytes, count: int, seq: int = 1) -> Anchored:
    return Anchored(PUBLISHER, seq, root, count, seq - 1)


class Forge:
    """Makes pages that hash to what they are named, and say what they should not."""

    def __init__(self) -> None:
        self.store = MemoryPageStore()
        self._sink = PageSink(self.store)

    def add(self, page: Page) -> bytes:
        cid = self._sink.add(page)
        self._sink.flush()
        return cid

    def tree(self, keys: list[bytes], shape: Shape = Shape()) -> bytes:  # noqa: B008 - it is frozen
        root, _ = build_tree([sorted(keys)], self._sink, shape)
        self._sink.flush()
        return root

    def head(self, spog: bytes, others: list[bytes], count: int) -> tuple[MemoryPageStore, Anchored]:
        return self.store, anchored(self.add(DatasetRoot([spog, *others], count)), count)


def keys(order: str, some: list[Quad]) -> list[bytes]:
    return [key_of(quad, order) for quad in some]


def indexes_disagree() -> tuple[MemoryPageStore, Anchored]:
    """Of the same size, and one quad is another one in posg."""
    forge, some = Forge(), quads(30)
    other = [*some[1:], quads(31)[-1]]
    trees = [forge.tree(keys(order, other if order == "posg" else some)) for order in ORDERS]
    return forge.head(trees[0], trees[1:], len(some))


def cut_otherwise() -> tuple[MemoryPageStore, Anchored]:
    """The right quads in trees of another shape."""
    forge, some = Forge(), quads(30)
    trees = [forge.tree(keys(order, some), Shape(20, 4)) for order in ORDERS]
    return forge.head(trees[0], trees[1:], len(some))


def no_quad() -> tuple[MemoryPageStore, Anchored]:
    """A key that is no quad, in all four indexes."""
    forge, some = Forge(), quads(30)
    trees = [forge.tree([*keys(order, some), b"\xc3\x28 no quad"]) for order in ORDERS]
    return forge.head(trees[0], trees[1:], len(some) + 1)


def off_normal_form() -> tuple[MemoryPageStore, Anchored]:
    """A number that is not in normal form."""
    forge, some = Forge(), quads(30)
    s, p, _, g = some[0]
    odd: Quad = (s, p, b'"007"^^<http://www.w3.org/2001/XMLSchema#integer>', g)
    trees = [forge.tree(keys(order, [*some, odd])) for order in ORDERS]
    return forge.head(trees[0], trees[1:], len(some) + 1)


def other_count() -> tuple[MemoryPageStore, Anchored]:
    """The root page is of one quad more than its trees."""
    forge, some = Forge(), quads(30)
    trees = [forge.tree(keys(order, some)) for order in ORDERS]
    return forge.head(trees[0], trees[1:], len(some) + 1)


def a_tree_for_a_dataset() -> tuple[MemoryPageStore, Anchored]:
    """The anchored root is the page of a tree."""
    forge = Forge()
    return forge.store, anchored(forge.tree(keys("spog", quads(30))), len(quads(30)))


def a_dataset_for_a_tree() -> tuple[MemoryPageStore, Anchored]:
    """The tree of spog is a dataset root."""
    forge = Forge()
    tree = forge.tree(keys("spog", quads(30)))
    inner = forge.add(DatasetRoot([tree] * 4, len(quads(30))))
    return forge.head(inner, [tree] * 3, len(quads(30)))


def _bent(bend: Callable[[Inner], Inner]) -> tuple[MemoryPageStore, Anchored]:
    forge, some = Forge(), quads(60)
    tree = forge.tree(keys("spog", some))
    root = StoredPages(forge.store).node(tree)
    assert type(root) is Inner
    bent = forge.add(bend(root))
    return forge.head(bent, [bent] * 3, len(some))


def children_swapped() -> tuple[MemoryPageStore, Anchored]:
    """Two children in each other's place."""

    def bend(page: Inner) -> Inner:
        return Inner([page.children[1], page.children[0], *page.children[2:]], page.separators, page.counts)

    return _bent(bend)


def child_twice() -> tuple[MemoryPageStore, Anchored]:
    """A child in the place of its neighbour."""

    def bend(page: Inner) -> Inner:
        return Inner([page.children[0], page.children[0], *page.children[2:]], page.separators, page.counts)

    return _bent(bend)


def counts_moved() -> tuple[MemoryPageStore, Anchored]:
    """The right sum of wrong counts."""

    def bend(page: Inner) -> Inner:
        first, second, *rest = page.counts
        return Inner(page.children, page.separators, [first + 1, second - 1, *rest])

    return _bent(bend)


def leaves_at_two_depths() -> tuple[MemoryPageStore, Anchored]:
    """A tree of which one side is a level lower."""
    forge, some = Forge(), keys("spog", quads(60))
    left, right = forge.tree(some[:5]), forge.tree(some[5:])
    root = forge.add(Inner([left, right], [some[5]], [5, len(some) - 5]))
    return forge.head(root, [root] * 3, len(some))


def without_end() -> tuple[MemoryPageStore, Anchored]:
    """A tree of forty levels with one leaf."""
    forge = Forge()
    page = forge.add(Leaf(keys("spog", quads(30))[:1]))
    for _ in range(40):
        page = forge.add(Inner([page], [], [1]))
    return forge.head(page, [page] * 3, 1)


def an_inner_page_for_a_leaf() -> tuple[MemoryPageStore, Anchored]:
    """One leaf is a tree of its own."""
    forge, some = Forge(), keys("spog", quads(60))
    split = forge.add(Inner([forge.tree(some[:2]), forge.tree(some[2:5])], [some[2]], [2, 3]))
    root = forge.add(Inner([forge.tree(some[5:8]), split], [some[0]], [3, 5]))
    return forge.head(root, [root] * 3, 8)


MALFORMED = [
    indexes_disagree, cut_otherwise, no_quad, off_normal_form, other_count, a_tree_for_a_dataset, a_dataset_for_a_tree,
    children_swapped, child_twice, counts_moved, leaves_at_two_depths, without_end, an_inner_page_for_a_leaf,
]  # fmt: skip
"""Each gives a store with the pages of a commit, and the commit."""
