"""Block headers: the JSON of eth_getBlockByNumber, believed only if it hashes to the block's hash.

A header is the RLP list of the fields below, as far as the block's fork has them (Yellow Paper 4.3; EIP-1559, 4895,
4844, 4788, 7685). Later forks append; a field in the middle is never left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dkg.chain.rlp import encode, number
from dkg.chain.secp import keccak256
from dkg.errors import ProofError

EXTRA_BYTES_MAX: Final = 16 * 1024
"""Longest extraData, in bytes: 32 on Ethereum, thousands where it names the validators (Polygon, BNB Chain)."""

HEIGHT_MAX: Final = 2**64 - 1
"""Largest number and timestamp of a block: clients of the chain have 64 bits for each."""

_DATA: Final = -1
_NUMBER: Final = -2

_FIELDS: Final = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", _NUMBER),
    ("number", _NUMBER),
    ("gasLimit", _NUMBER),
    ("gasUsed", _NUMBER),
    ("timestamp", _NUMBER),
    ("extraData", _DATA),
    ("mixHash", 32),
    ("nonce", 8),
)
"""Fields of every header: how many bytes each has, or what it is."""

_LATER: Final = (
    ("baseFeePerGas", _NUMBER),  # London, EIP-1559
    ("withdrawalsRoot", 32),  # Shanghai, EIP-4895
    ("blobGasUsed", _NUMBER),  # Cancun, EIP-4844
    ("excessBlobGas", _NUMBER),
    ("parentBeaconBlockRoot", 32),  # EIP-4788
    ("requestsHash", 32),  # Prague, EIP-7685
)
"""Fields that forks added, in order: a header has the first few of them."""

_QUANTITY: Final = re.compile(r"0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})")
_BYTES: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*")


class HeaderError(ProofError):
    """A block that is not what its hash says, or has no header that we know."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is used of a header. `timestamp`: Unix seconds. Hashes have 32 bytes."""

    number: int
    hash: bytes
    parent: bytes
    state_root: bytes
    timestamp: int


def header_of_json(block: object, expected_hash: bytes | None = None) -> Header:
    """Read a block's JSON and check that its header hashes to the hash it names, and to `expected_hash` if given.

    Raises `HeaderError` for any other JSON.
    """
    if not isinstance(block, dict):
        raise HeaderError("the endpoint has no such block")
    fields = [*_FIELDS, *_later(block)]
    values = [_field(block, name, kind) for name, kind in fields]
    by_name = dict(zip((name for name, _ in fields), values, strict=True))
    height, timestamp = _int(by_name["number"]), _int(by_name["timestamp"])
    if max(height, timestamp) > HEIGHT_MAX:
        raise HeaderError("the number or the time of a block is beyond 64 bits: no chain has that")
    found = keccak256(encode([number(v) if isinstance(v, int) else v for v in values]))
    if found != _field(block, "hash", 32):
        raise HeaderError(
            f"the header of block {height} hashes to 0x{found.hex()}, which is not the hash that the endpoint names: "
            "it altered the block, or the chain has headers of another kind"
        )
    if expected_hash is not None and found != expected_hash:
        raise HeaderError(f"the endpoint gave the block 0x{found.hex()} for 0x{expected_hash.hex()}")
    return Header(height, found, _bytes(by_name["parentHash"]), _bytes(by_name["stateRoot"]), timestamp)


def _later(block: dict[str, object]) -> list[tuple[str, int]]:
    present = [block.get(name) is not None for name, _ in _LATER]
    if present != sorted(present, reverse=True):
        missing = next(name for (name, _), there in zip(_LATER, present, strict=True) if not there)
        raise HeaderError(f"a block without {missing} has fields of a later fork")
    return list(_LATER[: sum(present)])


def _field(block: dict[str, object], name: str, kind: int) -> bytes | int:
    text = block.get(name)
    pattern = _QUANTITY if kind == _NUMBER else _BYTES
    if not isinstance(text, str) or len(text) > 2 + 2 * EXTRA_BYTES_MAX or not pattern.fullmatch(text):
        raise HeaderError(f"{name} of a block is not what JSON-RPC has there")
    if kind == _NUMBER:
        return int(text, 16)
    data = bytes.fromhex(text[2:])
    if kind != _DATA and len(data) != kind:
        raise HeaderError(f"{name} of a block has {len(data)} bytes, not {kind}")
    return data


def _int(value: bytes | int) -> int:
    if not isinstance(value, int):
        raise TypeError("a number")
    return value


def _bytes(value: bytes | int) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("bytes")
    return value
