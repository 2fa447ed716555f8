"""Cuts: the code against the definition, and the bounds that hold whoever picks the hashes."""

from __future__ import annotations

import random
from hashlib import sha256
from zlib import crc32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dkg.cut import FORMAT_1, Cutter, Shape, entry_hashes, find_cuts, separator
from tests.dkg.trees import forged_keys

WINDOWS = st.integers(1, 12)
HASHES = st.integers(0, 3) | st.integers(0, 2**32 - 1)
"""Few different values make runs of equal hashes."""
LEVELS = st.lists(HASHES, max_size=80) | st.integers(0, 80).flatmap(
    lambda n: st.sampled_from([list(range(n)), list(range(n, 0, -1)), [7] * n])
)
"""The hashes of a level: random, and as an adversary picks them: ascending, descending, all equal."""


def by_definition(hashes: list[int], window: int) -> list[int]:
    """docs/formats.md, section 4, word for word."""
    starts = set()
    for first in range(len(hashes) - window + 1):
        inside = hashes[first : first + window]
        starts.add(first + inside.index(min(inside)))
    return sorted(starts - {0})


def page_sizes(cuts: list[int], entries: int) -> list[int]:
    return [stop - start for start, stop in zip([0, *cuts], [*cuts, entries], strict=True)]


@given(LEVELS, WINDOWS)
def test_cuts_are_the_minimizers_of_the_definition(hashes: list[int], window: int) -> None:
    assert find_cuts(hashes, window) == by_definition(hashes, window)


@given(LEVELS, WINDOWS, st.lists(st.integers(0, 9), min_size=1))
def test_cuts_do_not_depend_on_how_the_level_arrives(hashes: list[int], window: int, chunks: list[int]) -> None:
    cutter = Cutter(window)
    at = turn = 0
    while at < len(hashes):
        size = chunks[turn % len(chunks)] or turn % 2
        cutter.feed(hashes[at : at + size])
        at, turn = at + size, turn + 1
    cutter.feed([], last=True)
    assert [cut for cut in cutter.cuts if cut] == find_cuts(hashes, window)


@given(LEVELS, WINDOWS)
@example(list(range(80, 0, -1)), 12)
def test_no_hashes_make_a_page_longer_than_the_window(hashes: list[int], window: int) -> None:
    sizes = page_sizes(find_cuts(hashes, window), len(hashes))
    # Entry 0 starts a page even where it is no minimizer, and what comes before the first minimizer is < window.
    assert all(0 < size <= window for size in sizes) or not hashes


@given(LEVELS, WINDOWS, HASHES, st.data())
def test_no_added_entry_moves_a_cut_further_than_a_window_away(
    hashes: list[int], window: int, new: int, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(hashes)))
    before = find_cuts(hashes, window)
    after = find_cuts([*hashes[:at], new, *hashes[at:]], window)
    reach = window - 1
    assert [cut for cut in before if cut < at - reach] == [cut for cut in after if cut < at - reach]
    # Entries from `at` on stand one place further. (Read from right to left, this is about a removed entry.)
    beyond = at + reach
    assert [cut for cut in before if cut >= max(beyond, 1)] == [cut - 1 for cut in after if cut > max(beyond, 1)]


def test_descending_hashes_make_pages_of_one_and_ascending_ones_fill_the_window_once() -> None:
    falling, rising = list(range(100, 0, -1)), list(range(100))
    assert page_sizes(find_cuts(falling, 40), 100) == [39, *[1] * 61]
    assert page_sizes(find_cuts(rising, 40), 100) == [1] * 60 + [40]
    assert page_sizes(find_cuts([5] * 100, 40), 100) == [1] * 60 + [40]


@pytest.mark.parametrize("window", [FORMAT_1.leaf_window, FORMAT_1.inner_window])
def test_pages_hold_half_a_window_on_average(window: int) -> None:
    chance = random.Random(1)
    hashes = [chance.getrandbits(32) for _ in range(100_000)]
    cuts = find_cuts(hashes, window)
    assert len(hashes) / (len(cuts) + 1) == pytest.approx((window + 1) / 2, rel=0.02)


@given(LEVELS, WINDOWS)
def test_a_cutter_keeps_no_more_than_two_windows(hashes: list[int], window: int) -> None:
    cutter = Cutter(window)
    for value in hashes:
        cutter.feed([value])
        assert len(cutter._hashes) <= 2 * window


def test_the_window_of_a_level() -> None:
    assert [FORMAT_1.window(level) for level in (0, 1, 2, 31)] == [40, 8, 8, 8]
    assert Shape(5, 3).window(0) == 5


def test_leaves_hash_keys_with_crc_32() -> None:
    assert entry_hashes(0, [b"123456789", b""]) == [0xCBF43926, 0]  # the check value of CRC-32/ISO-HDLC


def test_inner_levels_hash_level_and_separator_so_that_work_on_one_is_lost_on_the_next() -> None:
    def hashed(level: int) -> int:
        return int.from_bytes(sha256(bytes([level]) + b"sep").digest()[:8], "big")

    assert entry_hashes(1, [b"sep"]) == [hashed(1)]
    assert entry_hashes(2, [b"sep"]) == [hashed(2)] != [hashed(1)]


@given(st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_an_adversary_can_choose_every_leaf_hash(hashes: list[int]) -> None:
    keys = forged_keys(hashes)
    assert [crc32(key) for key in keys] == hashes
    assert keys == sorted(keys)


@given(st.binary(max_size=6), st.binary(max_size=6))
@example(b"a", b"a\0")
@example(b"\xff", b"\xff\xff")
def test_separator_is_the_shortest_prefix_of_the_right_key_that_separates(one: bytes, other: bytes) -> None:
    left, right = sorted((one, other))
    if left == right:
        return
    found = separator(left, right)
    assert left < found <= right
    assert right.startswith(found)
    assert all(not left < right[:shorter] for shorter in range(len(found)))
