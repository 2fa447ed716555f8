"""Recursive Length Prefix, Ethereum's encoding (Yellow Paper, appendix B). Strict: each value has one encoding.

An item is `bytes` or a list of items.
"""

from __future__ import annotations

from typing import Final

from dkg.errors import ProofError

DEPTH_MAX: Final = 8
"""Most lists inside one another: headers have one, nodes of a trie a few."""

BYTES_MAX: Final = 64 * 1024
"""Longest encoding that is read, in bytes: headers and nodes have about 1,000 at most."""

Item = bytes | list["Item"]

_SHORT_BYTES: Final = 0x80
_LONG_BYTES: Final = 0xB7
_SHORT_LIST: Final = 0xC0
_LONG_LIST: Final = 0xF7
_SHORT_MAX: Final = 55


class RlpError(ProofError):
    """Bytes that are not the one encoding of an item."""


def encode(item: Item) -> bytes:
    """The encoding of an item."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < _SHORT_BYTES:
            return item
        return _prefix(len(item), _SHORT_BYTES) + item
    body = b"".join(map(encode, item))
    return _prefix(len(body), _SHORT_LIST) + body


def number(value: int) -> bytes:
    """A number as RLP has it: big-endian, without leading zeros."""
    return value.to_bytes((value.bit_length() + 7) // 8)


def number_of(item: Item, what: str) -> int:
    """Read a number back; `what`: named if it is none. Raises `RlpError`."""
    if not isinstance(item, bytes) or item[:1] == b"\0":
        raise RlpError(f"{what} is no number without leading zeros")
    return int.from_bytes(item)


def decode(data: bytes) -> Item:
    """Read one item that fills the bytes; raises `RlpError` for any other bytes."""
    if len(data) > BYTES_MAX:
        raise RlpError(f"{len(data)} bytes of RLP; {BYTES_MAX} are the most")
    item, end = _item(data, 0, len(data), 0)
    if end != len(data):
        raise RlpError(f"{len(data) - end} bytes follow the end of the RLP")
    return item


def _prefix(length: int, base: int) -> bytes:
    if length <= _SHORT_MAX:
        return bytes([base + length])
    size = number(length)
    return bytes([base + _SHORT_MAX + len(size)]) + size


def _item(data: bytes, at: int, limit: int, depth: int) -> tuple[Item, int]:
    if depth > DEPTH_MAX:
        raise RlpError(f"RLP lists are nested more than {DEPTH_MAX} deep")
    if at >= limit:
        raise RlpError("the RLP ends too early")
    first = data[at]
    if first < _SHORT_BYTES:
        return data[at : at + 1], at + 1
    is_list = first >= _SHORT_LIST
    start, end = _bounds(data, at, limit, _SHORT_LIST if is_list else _SHORT_BYTES)
    if not is_list:
        if end - start == 1 and data[start] < _SHORT_BYTES:
            raise RlpError("a byte below 0x80 has a length before it: not canonical")
        return data[start:end], end
    items: list[Item] = []
    while start < end:
        item, start = _item(data, start, end, depth + 1)
        items.append(item)
    return items, end


def _bounds(data: bytes, at: int, limit: int, base: int) -> tuple[int, int]:
    """Where the contents of an item begin and end."""
    length, start = data[at] - base, at + 1
    if length > _SHORT_MAX:
        size = length - _SHORT_MAX
        start += size
        digits = data[at + 1 : start]
        length = int.from_bytes(digits)
        if start > limit or digits[0] == 0 or length <= _SHORT_MAX:
            raise RlpError("a length in the RLP is cut off or not the shortest")
    if start + length > limit:
        raise RlpError("an item of the RLP ends after its list or the bytes do")
    return start, start + length
