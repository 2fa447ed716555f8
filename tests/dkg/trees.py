"""Trees for tests: building, walking, and keys that an adversary would choose."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from hypothesis import strategies as st

from dkg.build import build_tree
from dkg.cut import FORMAT_1, Shape
from dkg.page import Inner
from dkg.pages import MemoryPageStore, Pages, PageSink

if TYPE_CHECKING:
    from collections.abc import Iterable

SMALL_SHAPES = st.builds(Shape, st.integers(1, 9), st.integers(2, 7))
"""Small windows give tall trees of few keys. A window of one at the leaves makes every key a page."""


def key(number: int) -> bytes:
    """A key of a small made-up index."""
    return b"<http://example.org/%d>\0" % number


def key_sets(size: int = 150) -> st.SearchStrategy[set[bytes]]:
    """Sets of keys that often share some with each other."""
    return st.sets(st.integers(0, 400).map(key), max_size=size)


def built(keys: Iterable[bytes], shape: Shape = FORMAT_1) -> tuple[MemoryPageStore, bytes]:
    """A store with the tree of these keys, in any order, and its root."""
    store = MemoryPageStore()
    sink = PageSink(store)
    root, _ = build_tree([sorted(keys)], sink, shape)
    sink.flush()
    return store, root


def levels(pages: Pages, root: bytes) -> list[list[bytes]]:
    """The CIDs of all pages of a tree, level by level, leaves first, each from left to right."""
    found = [[root]]
    while True:
        below = [child for cid in found[-1] for child in _children(pages, cid)]
        if not below:
            return found[::-1]
        found.append(below)


def _children(pages: Pages, cid: bytes) -> list[bytes]:
    node = pages.node(cid)
    return node.children if type(node) is Inner else []


def entries_of(pages: Pages, cid: bytes) -> int:
    """How many keys or children a page holds."""
    node = pages.node(cid)
    return len(node.children) if type(node) is Inner else node.count


# --- what an adversary can do about CRC-32 ----------------------------------------------------------------------


def _crc_steps() -> list[int]:
    steps = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)  # noqa: PLW2901 - a shift register
        steps.append(value)
    return steps


_STEPS = _crc_steps()
_STEP_OF_TOP = {step >> 24: at for at, step in enumerate(_STEPS)}


def with_crc(start: bytes, crc: int) -> bytes:
    """`start` and four bytes more, such that CRC-32 of the whole is `crc`: the adversary's tool."""
    register, steps = crc ^ 0xFFFFFFFF, []
    for _ in range(4):  # back from the wanted end: which table entries were used, by their top bytes
        at = _STEP_OF_TOP[register >> 24]
        steps.append(at)
        register = ((register ^ _STEPS[at]) << 8) & 0xFFFFFFFF
    register, patch = crc32(start) ^ 0xFFFFFFFF, bytearray()
    for at in reversed(steps):  # forward again: the bytes that use them
        patch.append((register ^ at) & 0xFF)
        register = (register >> 8) ^ _STEPS[at]
    return start + bytes(patch)


def forged_keys(hashes: Iterable[int]) -> list[bytes]:
    """Ascending keys with exactly these CRC-32 hashes, in this order."""
    return [with_crc(b"<http://example.org/%08d>" % at, crc) for at, crc in enumerate(hashes)]
