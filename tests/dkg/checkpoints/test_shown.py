"""What a page is, for the contract: an own strict reader of DAG-CBOR says the same, of pages right and wrong."""

from __future__ import annotations

import os
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.chain.secp import keccak256
from dkg.checkpoints.shown import Kind, classify, compress, last_block, length_of, stem
from dkg.limits import KEY_MAX, SHOW_MAX, STEM_BYTES
from dkg.page import DatasetRoot, Inner, Leaf, cid_of

CIDS = st.binary(min_size=1, max_size=2).map(cid_of)
KEYS = st.binary(max_size=40) | st.binary(min_size=1, max_size=3).map(lambda start: start + bytes(KEY_MAX))
LINKLIKE = CIDS | st.just(b"\x12\x20" + bytes(32)) | st.just(b"\x01\x55\0\0")
COUNTS = st.integers(1, 2**63 - 1) | st.integers(1, 300)


@st.composite
def inner_pages(draw: st.DrawFn) -> Inner:
    separators = sorted(draw(st.sets((KEYS | LINKLIKE).filter(bool), max_size=7)))
    size = len(separators) + 1
    children = draw(st.lists(CIDS, min_size=size, max_size=size))
    return Inner(children, separators, draw(st.lists(COUNTS, min_size=size, max_size=size)))


LEAVES = st.sets(KEYS | LINKLIKE, max_size=40).map(lambda keys: Leaf(sorted(keys)))
ROOTS = st.builds(DatasetRoot, st.lists(CIDS, min_size=4, max_size=4), COUNTS | st.just(0))
PAGES = LEAVES | inner_pages() | ROOTS


class _BadError(Exception):
    """What the reader below refuses."""


class _Reader:
    """Reads the three shapes byte by byte, by RFC 8949 and section 3 alone."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0

    def take(self, size: int) -> bytes:
        found = self.raw[self.at : self.at + size]
        self.at += size
        if len(found) != size:
            raise _BadError
        return found

    def want(self, expected: bytes) -> None:
        if self.take(len(expected)) != expected:
            raise _BadError

    def number(self, major: int) -> int:
        first = self.take(1)[0]
        if first >> 5 != major:
            raise _BadError
        info = first & 31
        if info < 24:
            return info
        if info > 27:
            raise _BadError
        size = 1 << (info - 24)
        found = int.from_bytes(self.take(size))
        if found < (24 if size == 1 else 1 << 4 * size):
            raise _BadError
        return found

    def strings(self, most: int) -> list[bytes]:
        size = self.number(4)
        if size > most:
            raise _BadError
        found = [self.take(self.number(2)) for _ in range(size)]
        if any(a >= b for a, b in pairwise(found)) or (found and found[-1] >= b"\xff"):
            raise _BadError
        return found

    def links(self, least: int, most: int) -> list[bytes]:
        size = self.number(4)
        if not least <= size <= most:
            raise _BadError
        found = []
        for _ in range(size):
            self.want(bytes.fromhex("d82a58250001711220"))
            found.append(self.take(32))
        return found

    def summary(self) -> bytes:
        fields = self.take(3)
        made = getattr(self, {b"\xa1ak": "leaf", b"\xa3ac": "inner", b"\xa3an": "dataset"}.get(fields, "bad"))()
        if self.at != len(self.raw):
            raise _BadError
        return bytes(made)

    def bad(self) -> bytes:
        raise _BadError

    def leaf(self) -> bytes:
        keys = self.strings(40)
        return bytes([1, len(keys)]) + b"".join(keccak256(key[:769]) for key in keys)

    def inner(self) -> bytes:
        children = self.links(1, 8)
        self.want(b"ak")
        separators = self.strings(7)
        self.want(b"an")
        counts = [self.number(0) for _ in range(self.number(4))]
        if not len(children) == len(counts) == len(separators) + 1 or b"" in separators:
            raise _BadError
        if not all(0 < count < 1 << 63 for count in counts):
            raise _BadError
        below = b"".join(a + b.to_bytes(8) for a, b in zip(children, counts, strict=True))
        hashes = b"".join(keccak256(separator[:769]) for separator in separators)
        return bytes([2, len(children)]) + below + keccak256(hashes)

    def dataset(self) -> bytes:
        count = self.number(0)
        self.want(b"at")
        trees = self.links(4, 4)
        self.want(b"av\x01")
        if count >= 1 << 63:
            raise _BadError
        return b"\3" + count.to_bytes(8) + b"".join(trees)


def expected(raw: bytes) -> tuple[Kind, bytes]:
    """What the reader says."""
    if len(raw) > SHOW_MAX:
        return Kind.LONG, b""
    try:
        return Kind.WELL_FORMED, _Reader(raw).summary()
    except _BadError:
        return Kind.MALFORMED, b""


def found(raw: bytes) -> tuple[Kind, bytes]:
    """What the library says."""
    shown = classify(raw)
    return shown.kind, shown.summary


@given(PAGES)
def test_pages_are_what_a_strict_reader_says(page: Leaf | Inner | DatasetRoot) -> None:
    raw = page.encode()
    assert found(raw) == expected(raw)


@settings(max_examples=settings().max_examples * 5)
@given(PAGES, st.data())
def test_mutated_pages_are_what_a_strict_reader_says(page: Leaf | Inner | DatasetRoot, data: st.DataObject) -> None:
    raw = bytearray(page.encode())
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, min(len(raw) - 1, 120)) | st.integers(0, len(raw) - 1))
        cut = data.draw(st.sampled_from([0, 1, 1, 1, 2]))
        raw[at : at + cut] = data.draw(
            st.sampled_from([b"\0", b"\x18", b"\x58", b"\xd8", b"\xff", b"\x80"]) | st.binary(max_size=2)
        )
        if not raw:
            break
    assert found(bytes(raw)) == expected(bytes(raw))


@pytest.mark.parametrize("size", [*range(130), 1000, SHOW_MAX, SHOW_MAX + 1])
def test_the_last_block_makes_the_digest_and_says_the_length(size: int) -> None:
    raw = os.urandom(size)
    state, block = last_block(raw)
    assert compress(state, block) == sha256(raw).digest()
    assert length_of(block) == 8 * size


@pytest.mark.parametrize(("state", "block"), [(31, 64), (32, 63), (33, 64), (32, 128)])
def test_what_is_no_state_or_block_is_refused(state: int, block: int) -> None:
    with pytest.raises(ValueError, match="SHA-256 takes a state of 32 bytes and a block of 64"):
        compress(bytes(state), bytes(block))


@pytest.mark.parametrize("size", [0, KEY_MAX, STEM_BYTES, STEM_BYTES + 1])
def test_a_stem_has_one_byte_more_than_the_longest_short_key(size: int) -> None:
    assert len(stem(bytes(size))) == min(size, KEY_MAX + 1)


@given(st.binary(max_size=KEY_MAX), st.binary(max_size=3), st.integers(0, 2))
def test_a_short_key_compares_with_a_stem_as_with_the_whole(key: bytes, tail: bytes, fill: int) -> None:
    whole = key + bytes(max(0, STEM_BYTES - len(key)) * (fill > 0)) + tail
    assert (key < whole, key == whole) == (key < stem(whole), key == stem(whole))
