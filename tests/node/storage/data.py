"""Datasets of publishers, for tests of what a node keeps."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from dkg.chain.ual import Publisher
from dkg.dataset import build_dataset, update_dataset
from dkg.pages import StoredPages

if TYPE_CHECKING:
    from dkg.pages import PageStore
    from dkg.terms import Quad

CHAIN_ID = 31337
REGISTRY = bytes.fromhex("5fbdb2315678afecb367f032d93f642f64180aa3")


def publisher(number: int) -> Publisher:
    """A publisher; each number has its own address."""
    return Publisher(CHAIN_ID, REGISTRY, bytes([number]) * 20)


def quads_of(owner: Publisher, count: int, seed: int = 0) -> list[Quad]:
    """Quads of a publisher, a few to an asset; those of two publishers may say the same in graphs of their own."""
    chance = random.Random(seed)
    made = {
        (
            b"<http://example.org/thing/%d>" % (at // 3),
            b"<http://example.org/p%d>" % (at % 3),
            b'"%d"^^<http://www.w3.org/2001/XMLSchema#integer>' % chance.randrange(1000)
            if at % 2
            else b"<http://example.org/thing/%d>" % chance.randrange(count),
            b"<%basset%d>" % (owner.prefix.encode(), at // 20),
        )
        for at in range(count)
    }
    return sorted(made)


def changed(quads: list[Quad], changes: int, seed: int) -> list[Quad]:
    """The same quads, but for some that have another object."""
    chance = random.Random(seed)
    gone = chance.sample(quads, changes)
    come = [(s, p, b'"changed %d"' % seed, g) for s, p, _, g in gone]
    return sorted({*quads} - {*gone} | {*come})


def put(store: PageStore, quads: list[Quad], onto: tuple[bytes, list[Quad]] | None = None) -> bytes:
    """A dataset of these quads in a store; `onto`: made by changing another. Gives its root."""
    if onto is None:
        return build_dataset([quads], store)
    old, had = onto
    return update_dataset(StoredPages(store), old, {*quads} - {*had}, {*had} - {*quads}, store)
