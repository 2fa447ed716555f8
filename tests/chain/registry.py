"""A registry on a chain, for tests of those who read it: deployed, committed to and rotated through dev accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eth_account import Account
from web3 import Web3

from contracts import registry
from dkg.chain.commit import ZERO_HASH, Commit, Domain
from dkg.chain.registry import Committed, decode_event
from dkg.chain.secp import keccak256
from node.devnet.accounts import dev_accounts

if TYPE_CHECKING:
    from collections.abc import Callable

_CONTRACT = Web3().eth.contract(abi=registry().abi)
KEYS = {account.address: account.key for account in dev_accounts(10)}
"""Private keys of the accounts."""


class Registry:
    """A registry, and what was committed to it through this object. `rpc`: calls a method of the chain."""

    def __init__(self, rpc: Callable[..., Any]) -> None:
        self.rpc = rpc
        self.accounts = [bytes.fromhex(name[2:]) for name in rpc("eth_accounts")]
        receipt = self._sent(self.accounts[9], None, registry().bytecode)
        self.address = bytes.fromhex(receipt["contractAddress"][2:])
        self.first_block = int(receipt["blockNumber"], 16)
        self.domain = Domain(int(rpc("eth_chainId"), 16), self.address)
        self.latest: dict[bytes, Committed] = {}

    def commit(self, publisher: bytes, root: bytes | None = None, *, sender: bytes | None = None) -> Committed:
        """Commit a root (default: one of a kind); gives what was logged."""
        commit, prior = self._next(publisher, root)
        receipt = self.call("commit", *_arguments(commit, prior), sender=sender or publisher)
        return self.logged(receipt, commit)

    def signed(self, publisher: bytes, root: bytes | None = None) -> str:
        """A transaction for the publisher's next commit, signed and not sent, in hexadecimal."""
        commit, prior = self._next(publisher, root)
        return self.signed_call("commit", *_arguments(commit, prior), sender=publisher)

    def signed_call(self, function: str, *args: object, sender: bytes) -> str:
        """A transaction to a function, signed and not sent, in hexadecimal."""
        nonce = int(self.rpc("eth_getTransactionCount", "0x" + sender.hex(), "pending"), 16)
        return signed_transaction(self.domain, nonce, calldata(function, *args), KEYS[sender])

    def logged(self, receipt: dict[str, Any], commit: Commit | None = None) -> Committed:
        """The commit that a transaction logged, which is the publisher's latest from now on."""
        assert receipt["status"] == "0x1"
        (log,) = receipt["logs"]
        block = self.rpc("eth_getBlockByHash", receipt["blockHash"], False)  # noqa: FBT003 - JSON-RPC
        topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
        event = decode_event(
            topics, bytes.fromhex(log["data"][2:]), int(block["number"], 16), int(block["timestamp"], 16)
        )
        assert isinstance(event, Committed)
        assert commit in {event.commit, None}
        self.latest[event.publisher] = event
        return event

    def _next(self, publisher: bytes, root: bytes | None) -> tuple[Commit, Committed | None]:
        prior = self.latest.get(publisher)
        seq = prior.commit.seq + 1 if prior else 1
        root = keccak256(publisher + seq.to_bytes(8)) if root is None else root
        previous = prior.commit.root if prior else ZERO_HASH
        return Commit(publisher, seq, root, 1000 + seq, previous, 1_800_000_000 + seq), prior

    def call(self, function: str, *args: object, sender: bytes) -> dict[str, Any]:
        """Send a transaction to a function; gives its receipt, which must say success."""
        return self._sent(sender, self.address, calldata(function, *args))

    def _sent(self, sender: bytes, to: bytes | None, data: str) -> dict[str, Any]:
        transaction = {"from": "0x" + sender.hex(), "data": data, "gas": hex(3_000_000)}
        if to is not None:
            transaction["to"] = "0x" + to.hex()
        digest = self.rpc("eth_sendTransaction", transaction)
        found: dict[str, Any] | None = None
        while found is None:  # anvil mines a moment later
            found = self.rpc("eth_getTransactionReceipt", digest)
        assert found["status"] == "0x1"
        return found


def calldata(function: str, *args: object) -> str:
    """A call of the registry's, in hexadecimal."""
    values = ["0x" + arg.hex() if isinstance(arg, bytes) else arg for arg in args]
    values = [Web3.to_checksum_address(v) if isinstance(v, str) and len(v) == 42 else v for v in values]
    return str(_CONTRACT.encode_abi(function, args=values))


def signed_transaction(domain: Domain, nonce: int, data: str, key: bytes) -> str:
    """A signed transaction to the registry, in hexadecimal."""
    transaction: dict[str, Any] = {
        "type": 2,
        "chainId": domain.chain_id,
        "nonce": nonce,
        "to": Web3.to_checksum_address(domain.registry),
        "value": 0,
        "gas": 1_000_000,
        "maxFeePerGas": 100 * 10**9,
        "maxPriorityFeePerGas": 10**9,
        "data": data,
    }
    return "0x" + bytes(Account.sign_transaction(transaction, key).raw_transaction).hex()


def _arguments(commit: Commit, prior: Committed | None) -> tuple[object, ...]:
    meta = prior.meta() if prior else ZERO_HASH
    return commit.publisher, commit.root, commit.count, commit.previous, commit.created, meta
