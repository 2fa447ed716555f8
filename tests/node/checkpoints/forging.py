"""Wrong trees: any page of a dataset replaced by another one, and all pages above it made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.limits import SHOW_MAX
from dkg.page import DatasetRoot, Inner, Leaf, cid_of, decode

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from dkg.page import Page
    from dkg.pages import MemoryPageStore


def count(chance: random.Random, page: Page, _others: list[bytes]) -> bytes:
    """A count that is one more, or one less."""
    by = chance.choice([-1, 1])
    if isinstance(page, Inner):
        at = chance.randrange(len(page.counts))
        counts = [max(1, n + by) if i == at else n for i, n in enumerate(page.counts)]
        return Inner(page.children, page.separators, counts).encode()
    if isinstance(page, DatasetRoot):
        return DatasetRoot(page.trees, max(0, page.count + by)).encode()
    return Leaf(page.keys[:-1]).encode()


def separator(chance: random.Random, page: Page, _others: list[bytes]) -> bytes:
    """A separator that is longer, shorter, or another one."""
    if not isinstance(page, Inner) or not page.separators:
        return page.encode()
    made, at = [*page.separators], chance.randrange(len(page.separators))
    options = [made[at] + b"\x01", made[at] + b"z" * 800, made[at][:-1] or b"a", b"\x01", b"\xf0", made[at] + b"\xfe"]
    made[at] = chance.choice(options)
    return Inner(page.children, made, page.counts).encode()


def swapped(chance: random.Random, page: Page, others: list[bytes]) -> bytes:
    """Another child in the place of one."""
    children = page.children if isinstance(page, Inner) else page.trees if isinstance(page, DatasetRoot) else None
    if children is None:
        return page.encode()
    at = chance.randrange(len(children))
    made = [chance.choice(others) if i == at else cid for i, cid in enumerate(children)]
    if isinstance(page, DatasetRoot):
        return DatasetRoot(made, page.count).encode()
    return Inner(made, page.separators, page.counts).encode()  # type: ignore[union-attr]  # the two kinds with children


def exchanged(chance: random.Random, page: Page, _others: list[bytes]) -> bytes:
    """Two children in each other's place."""
    if not isinstance(page, Inner) or len(page.children) == 1:
        return page.encode()
    made, (a, b) = [*page.children], chance.sample(range(len(page.children)), 2)
    made[a], made[b] = made[b], made[a]
    counts = [*page.counts]
    if chance.random() < 0.5:
        counts[a], counts[b] = counts[b], counts[a]
    return Inner(made, page.separators, counts).encode()


def disordered(chance: random.Random, page: Page, _others: list[bytes]) -> bytes:
    """Keys that do not ascend, or one twice."""
    if not isinstance(page, Leaf) or len(page.keys) == 1:
        return page.encode()
    made = [*page.keys]
    at = chance.randrange(len(made) - 1)
    made[at] = made[at + 1] if chance.random() < 0.5 else made[-1]
    return Leaf(made).encode()


def spelled(chance: random.Random, page: Page, _others: list[bytes]) -> bytes:
    """Another encoding of the same, or nothing that is a page."""
    raw = page.encode()
    return chance.choice(
        [raw + b"\0", raw[:-1], b"", b"\xf6", raw.replace(b"\x61k", b"\x61K", 1), b"\xa1\x61k\x81\x18\x18"]
    )


def long(chance: random.Random, page: Page, _others: list[bytes]) -> bytes:
    """A page that is longer than what can be shown; it may be well-formed but for that."""
    if isinstance(page, Leaf) and page.keys and chance.random() < 0.7:
        return Leaf([*page.keys[:-1], page.keys[-1] + b"x" * SHOW_MAX]).encode()
    return page.encode() + bytes(SHOW_MAX)


def key_changed(chance: random.Random, page: Page, _others: list[bytes]) -> bytes:
    """A key that is another one, short or not, or has not the shape of a quad."""
    if not isinstance(page, Leaf) or not page.keys:
        return page.encode()
    made, at = [*page.keys], chance.randrange(len(page.keys))
    options = [made[at][:-1] + b"1\0", made[at] + b"\x01", made[at][:-1], made[at][:-2] + b"\xff\0"]
    made[at] = chance.choice([*options, made[at][:-1] + b"x" * 800 + b"\0"])
    return Leaf(sorted(set(made))).encode()


def deeper(_chance: random.Random, page: Page, _others: list[bytes]) -> bytes:
    """A page with the one page below it that was in its place."""
    if isinstance(page, DatasetRoot) or not page.count:
        return page.encode()
    return Inner([cid_of(page.encode())], [], [page.count]).encode()


CHANGES = [count, separator, swapped, exchanged, disordered, spelled, long, key_changed, deeper]


def forged(store: MemoryPageStore, root: bytes, chance: random.Random, change: Callable[..., bytes]) -> bytes:
    """A dataset in which one page, anywhere, is another one; its root. New pages go to the store."""
    others = list(store.pages)

    def put(raw: bytes) -> bytes:
        cid = cid_of(raw)
        store.put_many([(cid, raw)])
        return cid

    def go(cid: bytes, stop: int) -> bytes:
        page = decode(cid, store.pages[cid])
        children = page.trees if isinstance(page, DatasetRoot) else page.children if isinstance(page, Inner) else []
        if not stop or not children:
            return put(change(chance, page, others))
        at = chance.randrange(len(children))
        made = [go(child, stop - 1) if i == at else child for i, child in enumerate(children)]
        if isinstance(page, DatasetRoot):
            return put(DatasetRoot(made, page.count).encode())
        return put(Inner(made, page.separators, page.counts).encode())  # type: ignore[union-attr]  # it has children

    return go(root, chance.randrange(8))
