"""Everything that one secp256k1 key signs in this world: each signature with the digest it is over (row E2)."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_account import Account
from eth_account.messages import SignableMessage, encode_defunct, encode_typed_data
from eth_account.typed_transactions.typed_transaction import TypedTransaction

from dkg.chain.commit import Commit, Domain, Retire, Revoke, Rotate, Statement
from dkg.chain.secp import address_of, checksum, keccak256, sign

KEY, OTHER_KEY = b"\x11" * 32, b"\x12" * 32
PUBLISHER, OTHER = address_of(KEY), address_of(OTHER_KEY)
DOMAIN = Domain(31337, b"\xaa" * 20)
COMMIT = Commit(PUBLISHER, 2, b"\x01" * 32, 1_000, b"\x02" * 32, 1_800_000_000)
STATEMENTS: tuple[Statement, ...] = (COMMIT, Rotate(PUBLISHER, OTHER, 1), Revoke(PUBLISHER, 1), Retire(PUBLISHER, 1))

Signed = tuple[bytes, bytes]
"""A digest and a signature over it."""


def typed_data(domain: Domain, statement: Statement, **others: object) -> dict[str, Any]:
    """The statement as eth_account takes it, from its EIP-712 type alone; `others`: members of the domain."""
    members = [part.split(" ") for part in statement.TYPE.partition("(")[2].removesuffix(")").split(",")]
    separator: dict[str, object] = {
        "name": "DKG Registry",
        "version": "1",
        "chainId": domain.chain_id,
        "verifyingContract": "0x" + domain.registry.hex(),
    }
    separator = {name: value for name, value in (separator | others).items() if value is not None}
    types = {
        "name": "string",
        "version": "string",
        "chainId": "uint256",
        "verifyingContract": "address",
        "salt": "bytes32",
    }
    return {
        "types": {
            "EIP712Domain": [{"name": name, "type": types[name]} for name in types if name in separator],
            statement.name: [{"name": name, "type": kind} for kind, name in members],
        },
        "domain": separator,
        "primaryType": statement.name,
        "message": {field.name: getattr(statement, field.name) for field in fields(statement)},
    }


def contexts() -> dict[str, Signed]:
    """By name: the statements, the same elsewhere, and what wallets sign besides."""
    made = {statement.name: _statement(DOMAIN, statement) for statement in STATEMENTS}
    for statement in STATEMENTS:
        made[f"{statement.name} on another chain"] = _statement(replace(DOMAIN, chain_id=1), statement)
        made[f"{statement.name} to another registry"] = _statement(replace(DOMAIN, registry=b"\xab" * 20), statement)
        made[f"{statement.name} in a domain of another name"] = _typed(statement, name="DKG Registry 2")
        made[f"{statement.name} in a domain of another version"] = _typed(statement, version="2")
    made["commit with the next seq"] = _statement(DOMAIN, replace(COMMIT, seq=3))
    made["rotation with the next nonce"] = _statement(DOMAIN, Rotate(PUBLISHER, OTHER, 2))
    made["commit in a domain without a chain"] = _typed(COMMIT, chainId=None)
    made["commit in a domain without a contract"] = _typed(COMMIT, verifyingContract=None)
    made["commit in a domain with salt"] = _typed(COMMIT, salt=bytes(32))
    made["struct hash of a commit"] = _raw(COMMIT.struct_hash())
    made["message of a struct hash (EIP-191)"] = _message(encode_defunct(COMMIT.struct_hash()))
    made["message of a digest (EIP-191)"] = _message(encode_defunct(COMMIT.digest(DOMAIN)))
    validated = SignableMessage(b"\0", DOMAIN.registry, COMMIT.struct_hash())
    made["message for a validator (EIP-191, version 0)"] = _message(validated)
    made["authorisation of code (EIP-7702)"] = _raw(keccak256(b"\x05" + rlp.encode([31337, DOMAIN.registry, 0])))
    return made | _transactions()


def _statement(domain: Domain, statement: Statement) -> Signed:
    return statement.digest(domain), statement.sign(domain, KEY)


def _typed(statement: Statement, **others: object) -> Signed:
    message = encode_typed_data(full_message=typed_data(DOMAIN, statement, **others))
    return _message(message)


def _message(message: SignableMessage) -> Signed:
    signed = Account.sign_message(message, KEY)
    return bytes(signed.message_hash), bytes(signed.signature)


def _raw(digest: bytes) -> Signed:
    return digest, sign(digest, KEY)


def _transactions() -> dict[str, Signed]:
    """Transactions to the registry, the hash of a commit as their data."""
    common: dict[str, Any] = {
        "nonce": 0,
        "to": checksum(DOMAIN.registry),
        "value": 0,
        "gas": 100_000,
        "data": COMMIT.struct_hash(),
    }
    fees = {"type": 2, "chainId": 31337, "maxFeePerGas": 10, "maxPriorityFeePerGas": 1}
    legacy = [0, 10, 100_000, DOMAIN.registry, 0, COMMIT.struct_hash()]
    return {
        "transaction with fees (EIP-1559)": _typed_transaction(common | fees),
        "transaction with a list (EIP-2930)": _typed_transaction(
            common | {"type": 1, "chainId": 31337, "gasPrice": 10, "accessList": []}
        ),
        "transaction (EIP-155)": _raw(keccak256(rlp.encode([*legacy, 31337, 0, 0]))),
        "transaction of any chain": _raw(keccak256(rlp.encode(legacy))),
    }


def _typed_transaction(transaction: dict[str, Any]) -> Signed:
    sent = Account.sign_transaction(transaction, KEY)
    signature = sent.r.to_bytes(32) + sent.s.to_bytes(32) + bytes([sent.v + 27])
    return bytes(TypedTransaction.from_dict(transaction).hash()), signature
