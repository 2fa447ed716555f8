"""The registry's signed statements as wallets take them: the JSON of `eth_signTypedData_v4` (EIP-712)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "Commit": {
        "publisher": "address",
        "seq": "uint64",
        "root": "bytes32",
        "count": "uint64",
        "previous": "bytes32",
        "created": "uint64",
    },
    "Rotate": {"publisher": "address", "signer": "address", "nonce": "uint64"},
    "Revoke": {"publisher": "address", "nonce": "uint64"},
    "Retire": {"publisher": "address", "nonce": "uint64"},
}
"""Each statement's fields and their types, in order."""


def parts(signature: bytes) -> tuple[bytes, bytes, int]:
    """r, s and v of a signature of 65 bytes, as the registry takes them."""
    return signature[:32], signature[32:64], signature[64]


def typed_data(chain_id: int, registry: str, kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """One of `TYPES`, filled in, for the registry at an address (0x and hexadecimal digits) of a chain."""
    return {
        "domain": {"name": "DKG Registry", "version": "1", "chainId": chain_id, "verifyingContract": registry},
        "types": {kind: [{"name": name, "type": of} for name, of in TYPES[kind].items()]},
        "primaryType": kind,
        "message": dict(values),
    }
