"""A signature counts in the one context it was made in: every ordered pair of contexts, swapped, is refused."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from eth_utils.crypto import keccak

from contracts.statements import TYPES, typed_data
from tests.contracts.onchain import CHAIN_ID, KEYS, OnChain, RevertedError, Step, sign

if TYPE_CHECKING:
    from collections.abc import Callable

OWNER, HOT, RELAYER = KEYS[:3]
FIRST: Final = Step(OWNER.address)

STATEMENTS: Final[dict[str, tuple[Any, ...]]] = {
    "Commit": FIRST.signed_part,
    "Rotate": (OWNER.address, HOT.address, 0),
    "Revoke": (OWNER.address, 0),
    "Retire": (OWNER.address, 0),
}
"""One statement of each kind that the registry takes from `OWNER`, who is publisher and signer."""


def _here(chain: OnChain, kind: str) -> list[bytes]:
    return [chain.sign(OWNER, kind, *STATEMENTS[kind])]


def _another_chain(chain: OnChain, kind: str) -> list[bytes]:
    return [sign(OWNER, CHAIN_ID + 1, chain.address, kind, *STATEMENTS[kind])]


def _another_registry(chain: OnChain, kind: str) -> list[bytes]:
    other = OnChain(chain.env)
    assert other.address != chain.address
    return [other.sign(OWNER, kind, *STATEMENTS[kind])]


def _another_publisher(chain: OnChain, kind: str) -> list[bytes]:
    return [chain.sign(OWNER, kind, HOT.address, *STATEMENTS[kind][1:])]


def _struct_hash(chain: OnChain, kind: str) -> bytes:
    values = dict(zip(TYPES[kind], STATEMENTS[kind], strict=True))
    return bytes(encode_typed_data(full_message=typed_data(CHAIN_ID, chain.address, kind, values)).body)


def _message(chain: OnChain, kind: str) -> list[bytes]:
    """EIP-191: what a wallet signs as a text."""
    return [bytes(OWNER.sign_message(encode_defunct(primitive=_struct_hash(chain, kind))).signature)]


def _struct_alone(chain: OnChain, kind: str) -> list[bytes]:
    return [bytes(Account.unsafe_sign_hash(_struct_hash(chain, kind), OWNER.key).signature)]


def _no_prefix(chain: OnChain, kind: str) -> list[bytes]:
    digest = keccak(chain.view("domain_separator") + _struct_hash(chain, kind))
    return [bytes(Account.unsafe_sign_hash(digest, OWNER.key).signature)]


def _transaction(chain: OnChain, kind: str) -> list[bytes]:
    """Of a transaction that does the same, as the registry would see it if it took v from there; with either v."""
    arguments = FIRST.arguments if kind == "Commit" else [value for value in STATEMENTS[kind] if value != 0]
    fields = {"gas": 100_000, "gasPrice": 1, "nonce": 0, "value": 0, "chainId": CHAIN_ID}
    to, data = bytes.fromhex(chain.address[2:]), chain.calldata(kind.lower(), *arguments)
    signed = OWNER.sign_transaction({"to": to, "data": data, **fields})
    return [signed.r.to_bytes(32) + signed.s.to_bytes(32) + bytes([v]) for v in (27, 28)]


CONTEXTS: Final[dict[str, Callable[[OnChain, str], list[bytes]]]] = {
    "here": _here,
    "another chain": _another_chain,
    "another registry": _another_registry,
    "another publisher": _another_publisher,
    "message": _message,
    "struct alone": _struct_alone,
    "no prefix": _no_prefix,
    "transaction": _transaction,
}


def show(chain: OnChain, kind: str, signature: bytes) -> None:
    """Relay the statement of this kind with a signature."""
    values = FIRST.relayed if kind == "Commit" else STATEMENTS[kind]
    chain.call(RELAYER.address, f"{kind.lower()}_signed", *values, signature)


def state(chain: OnChain) -> tuple[Any, ...]:
    """All that a call could change."""
    return chain.storage(0), chain.view("heads", OWNER.address), chain.view("nonces", OWNER.address)


@pytest.mark.parametrize("kind", STATEMENTS)
def test_statement_in_its_own_context_is_taken(chain: OnChain, kind: str) -> None:
    # The twin of the refusals below.
    before = state(chain)
    (signature,) = _here(chain, kind)
    show(chain, kind, signature)
    assert state(chain) != before


@pytest.mark.parametrize(
    ("context", "signed", "shown"),
    [swap for swap in product(CONTEXTS, STATEMENTS, STATEMENTS) if swap[0] != "here" or swap[1] != swap[2]],
)
def test_signature_swapped_into_another_context_rejected(chain: OnChain, context: str, signed: str, shown: str) -> None:
    before = state(chain)
    for signature in CONTEXTS[context](chain, signed):
        with pytest.raises(RevertedError, match=r"^not the (signer|publisher)$"):
            show(chain, shown, signature)
    assert state(chain) == before
