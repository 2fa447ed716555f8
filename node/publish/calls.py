"""Calls of the registry: who is called, with which bytes (`contracts/registry.vy`; the ABI is in its artefact)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from eth_abi.abi import encode

from contracts import checkpoints, registry
from dkg.chain.secp import keccak256

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from contracts import Artefact
    from dkg.chain.commit import Commit, Domain, SignedCommit

_SELECTOR_BYTES = 4


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction does: the contract that it calls (None: it makes one), and the bytes that it takes there.

    `value`: wei that go with it.
    """

    to: bytes | None
    data: bytes
    value: int = 0


def deployment() -> Call:
    """Put a registry on a chain."""
    return Call(None, bytes.fromhex(registry().bytecode[2:]))


def checkpoints_deployment(arguments: bytes) -> Call:
    """Put a checkpoint contract on a chain. `arguments`: those of its constructor, encoded."""
    return Call(None, bytes.fromhex(checkpoints().bytecode[2:]) + arguments)


def commit(domain: Domain, commit: Commit, prior: bytes) -> Call:
    """Anchor a commit, sent by its signer. `prior`: the `meta` of the commit before, zeros for the first."""
    return _call(domain, "commit", commit.publisher, commit.root, commit.count, commit.previous, commit.created, prior)


def commit_signed(signed: SignedCommit, prior: bytes) -> Call:
    """Anchor a signed commit, sent by anyone."""
    commit = signed.commit
    fields = (commit.publisher, commit.seq, commit.root, commit.count, commit.previous, commit.created)
    return _call(signed.domain, "commit_signed", *fields, prior, *_parts(signed.signature))


def rotate(domain: Domain, publisher: bytes, signer: bytes) -> Call:
    """Name a publisher's signer, sent by the publisher."""
    return _call(domain, "rotate", publisher, signer)


def rotate_signed(domain: Domain, publisher: bytes, signer: bytes, nonce: int, signature: bytes) -> Call:
    """The same, sent by anyone."""
    return _call(domain, "rotate_signed", publisher, signer, nonce, *_parts(signature))


def revoke(domain: Domain, publisher: bytes) -> Call:
    """Revoke a publisher's signer, sent by either."""
    return _call(domain, "revoke", publisher)


def revoke_signed(domain: Domain, publisher: bytes, nonce: int, signature: bytes) -> Call:
    """The same, sent by anyone."""
    return _call(domain, "revoke_signed", publisher, nonce, *_parts(signature))


def retire(domain: Domain, publisher: bytes) -> Call:
    """Retire a publisher, sent by itself."""
    return _call(domain, "retire", publisher)


def retire_signed(domain: Domain, publisher: bytes, nonce: int, signature: bytes) -> Call:
    """The same, sent by anyone."""
    return _call(domain, "retire_signed", publisher, nonce, *_parts(signature))


def _parts(signature: bytes) -> tuple[bytes, bytes, int]:
    """r, s, v, as the registry takes them."""
    return signature[:32], signature[32:64], signature[64]


def _call(domain: Domain, function: str, *values: bytes | int) -> Call:
    return Call(domain.registry, encoded(_functions()[function], values))


@cache
def _functions() -> dict[str, Function]:
    return functions_of(registry())


# --- any contract ------------------------------------------------------------------------------------------------

Function = tuple[bytes, list[str]]
"""Selector and argument types of a function."""


def functions_of(artefact: Artefact) -> dict[str, Function]:
    """The functions of a contract, by name."""
    found: dict[str, Function] = {}
    for entry in artefact.abi:
        if entry["type"] == "function":
            types = [_type(argument) for argument in entry["inputs"]]
            signature = f"{entry['name']}({','.join(types)})"
            found[entry["name"]] = keccak256(signature.encode())[:_SELECTOR_BYTES], types
    return found


def encoded(function: Function, values: Sequence[Any]) -> bytes:
    """The bytes that call a function. Structures are tuples."""
    selector, types = function
    return selector + encode(types, values)


def _type(argument: Mapping[str, Any]) -> str:
    """An argument's type as signatures have it: structures by their parts."""
    kind: str = argument["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(map(_type, argument['components']))})" + kind.removeprefix("tuple")
