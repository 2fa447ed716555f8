"""Keys that sign statements and transactions. No key is ever in a text, a log or an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eth_account import Account

from dkg.chain.commit import SignedCommit
from dkg.chain.secp import address_of, checksum, keccak256, personal_digest, sign

if TYPE_CHECKING:
    from dkg.chain.commit import Commit, Domain, Statement
    from node.publish.calls import Call
    from node.publish.fees import Fees

DYNAMIC_FEE: int = 2
"""The type of transactions with a tip and a maximum fee (EIP-1559)."""


class Wallet:
    """A private key, and its address (20 bytes)."""

    __slots__ = ("_key", "address")

    def __init__(self, key: bytes) -> None:
        """`key`: 32 bytes. Raises `InputError` if it is no private key."""
        self.address = address_of(key)
        self._key = key

    def __repr__(self) -> str:
        return f"Wallet({checksum(self.address)})"

    def sign_commit(self, domain: Domain, commit: Commit) -> SignedCommit:
        """Sign a commit."""
        return SignedCommit.make(domain, commit, self._key)

    def sign_personal(self, message: str) -> bytes:
        """The signature of a personal message (EIP-191), 65 bytes: it is one of nothing that a chain takes."""
        return sign(personal_digest(message), self._key)

    def sign(self, domain: Domain, statement: Statement) -> bytes:
        """The signature of a statement, 65 bytes."""
        return statement.sign(domain, self._key)

    def sign_transaction(self, chain_id: int, nonce: int, gas: int, fees: Fees, call: Call) -> tuple[bytes, bytes]:
        """Sign a transaction; its bytes and its hash."""
        fields: dict[str, object] = {
            "type": DYNAMIC_FEE,
            "chainId": chain_id,
            "nonce": nonce,
            "gas": gas,
            "maxFeePerGas": fees.max_fee,
            "maxPriorityFeePerGas": fees.tip,
            "value": call.value,
            "data": call.data,
        }
        if call.to is not None:
            fields["to"] = checksum(call.to)
        raw = bytes(Account.sign_transaction(fields, self._key).raw_transaction)
        return raw, keccak256(raw)


@dataclass(frozen=True, slots=True)
class Wallets:
    """Who publishes (an address, 20 bytes), who signs for it, and who pays for gas; often all three are one."""

    publisher: bytes
    signer: Wallet
    payer: Wallet

    @classmethod
    def of(cls, key: bytes) -> Wallets:
        """One key for everything. Raises `InputError` if it is no private key."""
        wallet = Wallet(key)
        return cls(wallet.address, wallet, wallet)
