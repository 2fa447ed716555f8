"""DAG-CBOR from strangers: looked at before it is decoded, and refused unless it is in its one encoding."""

from __future__ import annotations

from typing import Any, Final

import libipld

_LENGTH_FOLLOWS: Final = 24  # RFC 8949, section 3
_SIZE_MAX: Final = 8
_BYTES, _TEXT, _LIST, _TAG = 2, 3, 4, 6


def encode(value: dict[str, Any]) -> bytes:
    """The canonical bytes of a map."""
    made: bytes = libipld.encode_dag_cbor(value)
    return made


def decode(raw: bytes, *, depth_max: int, items_max: int) -> Any:  # noqa: ANN401 - whatever a peer sent
    """The value. Raises `ValueError` for what is not canonical DAG-CBOR, or is nested deeper or has more items."""
    _look(raw, depth_max, items_max)
    try:
        value = libipld.decode_dag_cbor(raw)
        same = libipld.encode_dag_cbor(value) == raw
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"it is not DAG-CBOR: {error}") from error
    if not same:
        raise ValueError("it is not in canonical encoding")
    return value


def _look(raw: bytes, depth_max: int, items_max: int) -> None:
    """Walk over the headers of all items: the decoder recurses, and a kilobyte of brackets would end the process."""
    at, items, left = 0, 0, [1]
    while left:
        if at >= len(raw):
            raise ValueError("it ends in the middle")
        items += 1
        left[-1] -= 1
        major, length = raw[at] >> 5, raw[at] & 31
        at += 1
        if length >= _LENGTH_FOLLOWS:
            size = 1 << (length - _LENGTH_FOLLOWS)
            if size > _SIZE_MAX:
                raise ValueError("it has items of unknown length")
            length = int.from_bytes(raw[at : at + size])
            at += size
        if major in {_BYTES, _TEXT}:
            at += length
        elif _LIST <= major <= _TAG:
            left.append(1 if major == _TAG else length * (major - _LIST + 1))
        while left and not left[-1]:
            left.pop()
        if len(left) > depth_max or items > items_max:
            raise ValueError(f"it is nested deeper than {depth_max} levels or has more than {items_max} items")
    if at != len(raw):
        raise ValueError("bytes follow its end")
