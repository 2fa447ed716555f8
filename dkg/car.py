"""CARv1: pages in one file, under one root or several (https://ipld.io/specs/transport/car/carv1/).

The reader is strict: the roots that are expected, in their order, minimal lengths, CIDs of pages only, no block twice,
no byte left over. What it accepts encodes back to the same bytes, so that a proof has one form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import libipld

from dkg.errors import ProofError
from dkg.page import CID_LENGTH, CID_PREFIX, PAGE_BYTES_MAX, cid_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BLOCK_OVERHEAD: Final = CID_LENGTH + 4
"""Most bytes that a block takes besides its data: its length and its CID."""

VARINT_BYTES_MAX: Final = 5
"""Most bytes of a block's length."""


def varint(value: int) -> bytes:
    """An unsigned LEB128."""
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def car_header(*roots: bytes) -> bytes:
    """The header of a CAR with these roots, in this order; one may be there twice."""
    header: bytes = libipld.encode_dag_cbor({"roots": list(roots), "version": 1})
    return varint(len(header)) + header


def car_blocks(blocks: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """The parts of a CAR after its header, for (CID, bytes) pairs."""
    for cid, raw in blocks:
        yield varint(CID_LENGTH + len(raw)) + cid + raw


def write_car(root: bytes, blocks: Iterable[tuple[bytes, bytes]], others: Sequence[bytes] = ()) -> bytes:
    """A whole CAR. `others`: roots after the first."""
    return b"".join([car_header(root, *others), *car_blocks(blocks)])


def read_car(data: bytes, root: bytes, blocks_max: int, others: Sequence[bytes] = ()) -> dict[bytes, bytes]:
    """The blocks of a CAR that must have the root `root`, in order. Nothing is hashed here. Raises `ProofError`.

    `others`: the roots that must come after the first.
    """
    header = car_header(root, *others)
    if not data.startswith(header):
        if others:
            raise ProofError(f"this is not a CAR file of version 1 with the {1 + len(others)} roots expected, in order")
        raise ProofError(_other_header(data, header, root))
    blocks: dict[bytes, bytes] = {}
    at, end = len(header), len(data)
    while at < end:
        size, start = block_length(data, at)
        at = start + size
        if size <= CID_LENGTH or size > CID_LENGTH + PAGE_BYTES_MAX or at > end:
            raise ProofError(f"the block at byte {start} has an impossible length of {size} bytes")
        cid = data[start : start + CID_LENGTH]
        if not cid.startswith(CID_PREFIX):
            raise ProofError(f"the block at byte {start} is not named by the CID of a page")
        if cid in blocks:
            raise ProofError(f"page {cid_text(cid)} is there twice")
        blocks[cid] = data[start + CID_LENGTH : at]
        if len(blocks) > blocks_max:
            raise ProofError(f"the proof has more than the {blocks_max} pages that the limits allow")
    return blocks


def _other_header(data: bytes, header: bytes, root: bytes) -> str:
    """What is wrong with a header that is not the expected one."""
    at = header.index(root)
    other = data[at : at + CID_LENGTH]
    if data[: len(header)] == header.replace(root, other) and other.startswith(CID_PREFIX):
        return f"the proof is for root {cid_text(other)}, not for {cid_text(root)}"
    return f"this is not a CAR file of version 1 whose one root is {cid_text(root)}"


def block_length(data: bytes, at: int) -> tuple[int, int]:
    """The length of a block that begins at `at`, and where it starts after that. Raises `ProofError`."""
    value = 0
    for i in range(VARINT_BYTES_MAX):
        if at + i >= len(data):
            raise ProofError("the file ends within the length of a block")
        byte = data[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:  # noqa: PLR2004 - the last byte
            if i and not byte:
                raise ProofError(f"the length at byte {at} is not in its shortest form")
            return value, at + i + 1
    raise ProofError(f"the length at byte {at} is longer than {VARINT_BYTES_MAX} bytes")
