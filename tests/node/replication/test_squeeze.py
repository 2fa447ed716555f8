"""Compressed bodies: nothing bigger than announced is ever unpacked."""

from __future__ import annotations

import tracemalloc

import pytest
from backports.zstd import CompressionParameter, ZstdCompressor, compress
from hypothesis import given
from hypothesis import strategies as st

from dkg.page import PAGE_BYTES_MAX
from node.replication.errors import PeerError
from node.replication.squeeze import squeezed, unsqueezed


@given(st.binary(max_size=2000))
def test_what_was_squeezed_comes_back(data: bytes) -> None:
    assert unsqueezed(squeezed(data), len(data)) == data


@pytest.mark.parametrize("size", [999, 1001, 0])
def test_a_size_that_is_not_the_body_s_is_refused(size: int) -> None:
    with pytest.raises(PeerError, match="not one frame of"):
        unsqueezed(squeezed(bytes(1000)), size)


def test_a_bomb_of_a_thousand_to_one_is_cut_at_the_size_that_was_announced() -> None:
    bomb = squeezed(bytes(64 * 1024 * 1024))
    assert len(bomb) * 1000 < 64 * 1024 * 1024
    tracemalloc.start()
    with pytest.raises(PeerError, match="not one frame of"):
        unsqueezed(bomb, 1024 * 1024)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


def test_a_frame_that_demands_a_huge_window_is_refused() -> None:
    compressor = ZstdCompressor(options={CompressionParameter.window_log: 27})
    body = compressor.compress(bytes(1000)) + compressor.flush()
    with pytest.raises(PeerError, match="cannot be unpacked"):
        unsqueezed(body, 1000)


@pytest.mark.parametrize("body", [b"", b"abc", squeezed(b"abc")[:-1], squeezed(b"abc") + b"x", squeezed(b"abc") * 2])
def test_what_is_not_exactly_one_frame_is_refused(body: bytes) -> None:
    with pytest.raises(PeerError, match=r"unpacked|not one frame"):
        unsqueezed(body, 3)


@given(st.binary(max_size=100), st.integers(0, 200))
def test_arbitrary_bytes_raise_nothing_but_peer_errors(body: bytes, size: int) -> None:
    with pytest.raises(PeerError):
        unsqueezed(b"\x28\xb5\x2f\xfd" + body, size + 1_000_000)


def test_the_largest_page_passes_even_if_nothing_in_it_can_be_compressed() -> None:
    noise = compress(bytes(1000)) * 40  # any bytes: what counts is the window of the frame
    data = (noise * (PAGE_BYTES_MAX // len(noise) + 1))[:PAGE_BYTES_MAX]
    assert unsqueezed(squeezed(data), PAGE_BYTES_MAX) == data
