"""A stream of libp2p as this project wants it: an end is no error, and all errors are `UnreachableError`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import trio
from libp2p.exceptions import BaseLibp2pError

from node.replication.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from libp2p.abc import INetStream

WRITE_S: Final = 20.0
"""How long a peer may take to make room for a frame, in seconds, besides the time for its bytes."""

BYTES_PER_S_MIN: Final = 64 * 1024
"""Slowest peer that is written to, in bytes a second."""

CHUNK_BYTES: Final = 256 * 1024
"""Bytes that are handed to libp2p at once: it copies what it is given again and again."""


_BROKEN: Final = (
    BaseLibp2pError,
    OSError,
    trio.TooSlowError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
)


class Wire:
    """One stream. Reading and writing may go on side by side; writers take turns, a frame each."""

    def __init__(self, stream: INetStream) -> None:
        self._stream = stream
        self._turn = trio.Lock()

    @property
    def peer(self) -> str:
        """Who is at the other end."""
        return str(self._stream.muxed_conn.peer_id)

    async def read(self, n: int | None = None) -> bytes:
        """Some bytes; none at the end. Raises `UnreachableError`."""
        with self._errors():
            try:
                data: bytes = await self._stream.read(n)
            except EOFError:
                return b""
            return data

    async def write(self, data: bytes) -> None:
        """Write all of the bytes; raises `UnreachableError` if the peer takes them too slowly."""
        with self._errors(), trio.fail_after(WRITE_S + len(data) / BYTES_PER_S_MIN):
            async with self._turn:
                for at in range(0, len(data), CHUNK_BYTES):
                    await self._stream.write(data[at : at + CHUNK_BYTES])

    async def reset(self) -> None:
        """End the stream at once, both ways."""
        with trio.move_on_after(1) as scope, self._errors(quiet=True):
            scope.shield = True
            await self._stream.reset()

    @contextmanager
    def _errors(self, *, quiet: bool = False) -> Iterator[None]:
        try:
            yield
        except (
            BaseLibp2pError,
            OSError,
            trio.TooSlowError,
            trio.BrokenResourceError,
            trio.ClosedResourceError,
        ) as error:
            if not quiet:
                raise UnreachableError(f"the stream of the peer {self.peer} is broken: {error}") from error
