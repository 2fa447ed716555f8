"""A proposer withholds many pages and shows one after the other: they are demanded beside each other."""

from __future__ import annotations

from dataclasses import replace

from dkg.cut import Shape
from dkg.page import CID_PREFIX, Leaf, decode
from dkg.pages import MemoryPageStore, StoredPages
from node.checkpoints.find import Demand, find
from node.checkpoints.walk import driven
from tests.node.checkpoints.world import World, keys_of, whole


def test_of_many_withheld_pages_each_is_demanded_before_the_first_is_shown() -> None:
    world, ours = World(), MemoryPageStore()
    keys = keys_of(1, 200)
    world.commit(1, whole(world.store, keys))
    ours_root = whole(ours, keys)
    proposed = MemoryPageStore()
    root = whole(proposed, keys, Shape(7, 3))
    leaves = {cid for cid, raw in proposed.pages.items() if isinstance(decode(cid, raw), Leaf)} - ours.pages.keys()
    demanded: set[bytes] = set()
    while True:
        subject = replace(world.subject(root), demanded=frozenset(demanded))
        get = lambda cid: None if cid in leaves else proposed.pages.get(cid)  # noqa: E731 - as short as it is
        found = driven(find(subject, StoredPages(ours), ours_root), get)
        assert isinstance(found, Demand)
        digest = found.named.removeprefix(CID_PREFIX)
        if digest in demanded:
            break
        demanded.add(digest)
    spog = {key for digest in demanded for key in decode_keys(proposed, digest)}
    assert len(demanded) > 10
    assert spog <= keys


def decode_keys(store: MemoryPageStore, digest: bytes) -> list[bytes]:
    """The keys of a leaf."""
    page = decode(CID_PREFIX + digest, store.pages[CID_PREFIX + digest])
    assert isinstance(page, Leaf)
    return page.keys
