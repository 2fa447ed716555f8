"""A page at very many places, which only keys of one stem allow: it is looked at a few times, however many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.checkpoints.evidence import shows_needed, summarised
from dkg.checkpoints.judge import Invalid, judge
from dkg.limits import STEM_BYTES
from dkg.page import CID_PREFIX, DatasetRoot, Inner, Leaf, cid_of
from node.checkpoints.cover import showable_keys
from node.checkpoints.find import Right, Wrong, find_invalid
from node.checkpoints.walk import driven
from tests.node.checkpoints.world import World

if TYPE_CHECKING:
    from dkg.pages import MemoryPageStore

LEVELS = 20
STEM = b"a" * STEM_BYTES


def _put(store: MemoryPageStore, page: Leaf | Inner | DatasetRoot) -> bytes:
    raw = page.encode()
    store.put_many([(cid_of(raw), raw)])
    return cid_of(raw)


def _crowded(store: MemoryPageStore, key: bytes, said: int = 1) -> bytes:
    """A leaf at 8^20 places of a dataset of 22 pages."""
    top, count = _put(store, Leaf([key])), said
    for _ in range(LEVELS):
        top = _put(store, Inner([top] * 8, [STEM + bytes([one]) for one in range(7)], [count] * 8))
        count *= 8
    return _put(store, DatasetRoot([top] * 4, count))


def test_a_commit_with_a_page_at_8_to_the_20_places_is_looked_through_at_once() -> None:
    world = World()
    root = _crowded(world.store, STEM + b"\x03")
    committed = world.commit(1, root)
    asked: list[bytes] = []

    def get(cid: bytes) -> bytes | None:
        asked.append(cid)
        return world.store.get(cid)

    assert driven(find_invalid(committed, {}), get) == Right(0, 8**LEVELS)
    assert [key for keys in showable_keys(get, root) for key in keys] == []
    assert len(asked) < 2_000


def test_a_fault_that_comes_again_and_again_is_found_where_it_is_first() -> None:
    world = World()
    for key, said in ((STEM + b"\x03", 2), (b"b", 1), (b"a", 1)):
        root = _crowded(world.store, key, said)
        found = driven(find_invalid(world.commit(1, root), {}), world.store.get)
        assert isinstance(found, Wrong)
        assert isinstance(found.evidence, Invalid)
        first = shows_needed(found.evidence)
        less = summarised(found.evidence, {cid_of(raw).removeprefix(CID_PREFIX) for raw in first})
        said_of_it = judge(world.view(root, [*found.first, *first]), less)
        assert said_of_it.startswith("the spog has the fault")
