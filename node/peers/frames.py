"""Frames on a stream: a number, a length, and so many bytes. The number says which answer is to which request.

Both are 32 bits, big-endian. The length is looked at before the bytes are read.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, Protocol

from node.replication.errors import PeerError

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER: Final = struct.Struct(">II")

NUMBER_MAX: Final = 2**32 - 1

READ_BYTES: Final = 64 * 1024
"""Most bytes that are taken from a stream at once."""


class ByteStream(Protocol):
    """A stream of libp2p, as far as it is needed here."""

    async def read(self, n: int | None = None) -> bytes:
        """Some bytes, `n` at most. Empty, or an error of libp2p's, at the end."""

    async def write(self, data: bytes) -> None:
        """Write all of the bytes."""


def header(number: int, length: int) -> bytes:
    """What stands before a frame's bytes."""
    return HEADER.pack(number, length)


class FrameReader:
    """Takes frames from a stream."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    async def next(self, most: Callable[[int], int]) -> tuple[int, bytes] | None:
        """The next frame; None at the end of the stream.

        `most` gives the largest length for a number; it is asked before anything of the frame is read. Raises
        `PeerError` for a frame that is longer, or that the stream ends in, and what the stream raises.
        """
        head = await self._exactly(HEADER.size)
        if not head:
            return None
        number, length = HEADER.unpack(head)
        limit = most(number)
        if length > limit:
            raise PeerError(f"a frame of {length} bytes, where {limit} bytes are the most")
        body = await self._exactly(length)
        if len(body) != length:
            raise PeerError("the stream ends in a frame")
        return number, body

    async def _exactly(self, size: int) -> bytes:
        """So many bytes; none at all at the end of the stream."""
        parts = bytearray()
        while len(parts) < size:
            some = await self._stream.read(min(size - len(parts), READ_BYTES))
            if not some:
                if parts:
                    raise PeerError("the stream ends in a frame")
                break
            parts += some
        return bytes(parts)
