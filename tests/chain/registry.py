"""A registry on a chain, for tests of those who read it: deployed, committed to and rotated through dev accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from web3 import Web3

from contracts import registry
from dkg.chain.commit import ZERO_HASH, Commit, Domain
from dkg.chain.registry import Committed, decode_event
from dkg.chain.secp import keccak256

if TYPE_CHECKING:
    from collections.abc import Callable

_CONTRACT = Web3().eth.contract(abi=registry().abi)


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
        prior = self.latest.get(publisher)
        seq = prior.commit.seq + 1 if prior else 1
        previous = prior.commit.root if prior else ZERO_HASH
        root = keccak256(publisher + seq.to_bytes(8)) if root is None else root
        commit = Commit(publisher, seq, root, 1000 + seq, previous, 1_800_000_000 + seq)
        meta = prior.meta() if prior else ZERO_HASH
        receipt = self.call(
            "commit", publisher, root, commit.count, previous, commit.created, meta, sender=sender or publisher
        )
        (log,) = receipt["logs"]
        block = self.rpc("eth_getBlockByHash", receipt["blockHash"], False)  # noqa: FBT003 - JSON-RPC
        topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
        event = decode_event(
            topics, bytes.fromhex(log["data"][2:]), int(block["number"], 16), int(block["timestamp"], 16)
        )
        assert isinstance(event, Committed)
        assert event.commit == commit
        self.latest[publisher] = event
        return event

    def call(self, function: str, *args: object, sender: bytes) -> dict[str, Any]:
        """Send a transaction to a function; gives its receipt, which must say success."""
        values = ["0x" + arg.hex() if isinstance(arg, bytes) else arg for arg in args]
        values = [Web3.to_checksum_address(v) if isinstance(v, str) and len(v) == 42 else v for v in values]
        return self._sent(sender, self.address, _CONTRACT.encode_abi(function, args=values))

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
