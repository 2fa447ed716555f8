"""Frames on a pipe: a header in JSON and a payload of bytes, each with its length in front, big-endian, 32 bits.

Lengths are checked before anything is kept, and headers are JSON and nothing else: what comes out of a worker that
somebody has taken over is text and bytes of bounded length.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import socket

_LENGTHS: Final = struct.Struct(">II")
_JSON: Final = json.JSONEncoder(separators=(",", ":"))  # made once: it takes as long as its work
_AT_ONCE_BYTES: Final = 64 * 1024

REQUEST_HEADER_BYTES_MAX: Final = 4 * 1024 * 1024
"""Longest header of a job, in bytes: a query and the names of some ten thousand graphs."""

REPLY_HEADER_BYTES_MAX: Final = 16 * 1024
"""Longest header of a reply, in bytes."""


class FrameError(Exception):
    """What came is no frame; the connection is of no more use."""


class Frame(NamedTuple):
    """A header and a payload."""

    header: dict[str, Any]
    payload: bytes


def encode(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """The bytes of a frame."""
    text = _JSON.encode(header).encode()
    return b"".join((_LENGTHS.pack(len(text), len(payload)), text, payload))


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FrameError("the header of a frame is no JSON") from error
    if type(header) is not dict:
        raise FrameError("the header of a frame is no object")
    return header


class FrameReader:
    """Puts frames together from what arrives. Raises `FrameError`; nothing over the limits is kept."""

    def __init__(self, header_max: int, payload_max: int) -> None:
        self._limits = header_max, payload_max
        self._data = bytearray()
        self._need = _LENGTHS.size

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete with this."""
        self._data += data
        frames = []
        while len(self._data) >= self._need:
            header, payload = self._lengths()
            self._need = _LENGTHS.size + header + payload
            if len(self._data) < self._need:
                break
            with memoryview(self._data) as view:
                start = _LENGTHS.size + header
                frames.append(Frame(_header(bytes(view[_LENGTHS.size : start])), bytes(view[start : self._need])))
            del self._data[: self._need]
            self._need = _LENGTHS.size
        return frames

    def _lengths(self) -> tuple[int, int]:
        lengths = _LENGTHS.unpack_from(self._data)
        check_lengths(lengths, self._limits)
        return lengths


def check_lengths(lengths: tuple[int, int], limits: tuple[int, int]) -> None:
    """Raise `FrameError` for a header or a payload over its limit."""
    for what, length, most in zip(("header", "payload"), lengths, limits, strict=True):
        if length > most:
            raise FrameError(f"a frame whose {what} has {length} bytes, over the limit of {most}")


class Receiver:
    """Waits for frames, one at a time. What came with one and is of the next is kept for that."""

    def __init__(self, connection: socket.socket, header_max: int, payload_max: int) -> None:
        self._connection = connection
        self._limits = header_max, payload_max
        self._rest = b""

    def next(self) -> Frame | None:
        """The next frame; None when the other side is gone. Raises `FrameError`."""
        begun = self._rest or self._connection.recv(_AT_ONCE_BYTES)  # a small job comes whole
        head = self._filled(begun, _LENGTHS.size) if begun else None
        if head is None:
            return None
        lengths = _LENGTHS.unpack_from(head)
        check_lengths(lengths, self._limits)
        start = _LENGTHS.size + lengths[0]
        end = start + lengths[1]
        data = self._filled(head, end)
        if data is None:
            return None
        self._rest = data[end:]
        return Frame(_header(data[_LENGTHS.size : start]), data[start:end])

    def _filled(self, data: bytes, size: int) -> bytes | None:
        """Some bytes and those that are missing up to a size; None when the other side is gone."""
        if len(data) >= size:
            return data
        more = _exactly(self._connection, size - len(data))
        return None if more is None else data + more


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    data = bytearray(size)
    with memoryview(data) as view:
        got = 0
        while got < size:
            count = connection.recv_into(view[got:])
            if not count:
                return None
            got += count
    return bytes(data)
