"""JSON-RPC methods that change the chain: transactions, and a development chain's controls under anvil's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eth_account import Account

from dkg.chain.secp import checksum
from node.devnet.errors import invalid, rejected
from node.devnet.params import address, digest, flag, items, members, number, octets
from node.devnet.reading import TIP_WEI
from node.devnet.shapes import data, quantity, transaction_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from node.devnet.accounts import DevAccount
    from node.devnet.ledger import Ledger
    from node.devnet.reading import Reading

REORG_TRANSACTIONS_MAX: Final = 1000
"""Transactions that one `anvil_reorg` may bring."""

_DAYS_MAX: Final = 36_500 * 86_400
_COPIED: Final = ("value", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "gas", "nonce", "chainId", "type")


class Control:
    """What JSON-RPC can do to a chain."""

    def __init__(self, ledger: Ledger, reading: Reading, accounts: Sequence[DevAccount]) -> None:
        self._ledger = ledger
        self._reading = reading
        self._accounts = {account.address: account for account in accounts}

    def methods(self) -> dict[str, Callable[..., Any]]:
        """The methods by their names."""
        return {
            "anvil_dropTransaction": self.drop,
            "anvil_mine": self.mine,
            "anvil_reorg": self.reorg,
            "anvil_setAutomine": self.set_automine,
            "eth_accounts": lambda: [data(owner) for owner in self._accounts],
            "eth_sendRawTransaction": self.send_raw,
            "eth_sendTransaction": self.send,
            "evm_increaseTime": self.increase_time,
            "evm_mine": self.mine_one,
            "evm_revert": self.revert,
            "evm_setAutomine": self.set_automine,
            "evm_setNextBlockTimestamp": self.set_next_timestamp,
            "evm_snapshot": lambda: quantity(self._ledger.snapshot()),
            "txpool_content": self.pool,
            "txpool_status": lambda: {"pending": quantity(len(self._ledger.pool.waiting)), "queued": "0x0"},
        }

    # --- transactions --------------------------------------------------------------------------------------

    def send_raw(self, raw: object) -> str:
        """Take a signed transaction; its hash."""
        return data(self._ledger.send(octets(raw, "a signed transaction")))

    def send(self, call: object) -> str:
        """Sign a transaction with the key of a development account and take it; its hash."""
        wanted = members(call, "the transaction")
        sender = address(wanted.get("from"), "from")
        if sender not in self._accounts:
            raise rejected(f"{checksum(sender)} is none of this chain's accounts: sign the transaction yourself")
        signed = Account.sign_transaction(self._filled(wanted, sender), self._accounts[sender].key)
        return data(self._ledger.send(bytes(signed.raw_transaction)))

    def _filled(self, wanted: dict[str, Any], sender: bytes) -> dict[str, Any]:
        """A transaction with all that was left out: number, chain, gas and fees."""
        found: dict[str, Any] = {name: number(wanted[name], name) for name in _COPIED if wanted.get(name) is not None}
        code = wanted.get("input") if wanted.get("input") is not None else wanted.get("data")
        found["data"] = b"" if code is None else octets(code, "the transaction's data")
        if wanted.get("to") is not None:
            found["to"] = checksum(address(wanted["to"], "to"))
        if unknown := sorted(wanted.keys() - {*_COPIED, "from", "to", "data", "input"}):
            raise invalid(f"the development chain cannot send a transaction with {', '.join(unknown)}")
        found.setdefault("value", 0)
        found.setdefault("chainId", self._ledger.machine.chain_id)
        found.setdefault("nonce", self._ledger.pending_nonce(sender))
        if "gas" not in found:
            found["gas"] = int(self._reading.estimate_gas(wanted), 16)
        if "gasPrice" not in found:
            tip = found.setdefault("maxPriorityFeePerGas", TIP_WEI)
            found.setdefault("maxFeePerGas", 2 * self._ledger.base_fee() + tip)
        return found

    def drop(self, named: object) -> str | None:
        """Forget a waiting transaction; its hash, None if it does not wait."""
        dropped = self._ledger.pool.waiting.pop(digest(named), None)
        return None if dropped is None else data(dropped.hash)

    def pool(self) -> dict[str, Any]:
        """All waiting transactions, by sender and nonce."""
        senders: dict[str, Any] = {}
        for sent in self._ledger.pool.waiting.values():
            senders.setdefault(data(sent.sender), {})[str(sent.nonce)] = transaction_json(sent)
        return {"pending": senders, "queued": {}}

    # --- blocks and time -----------------------------------------------------------------------------------

    def mine(self, count: object = 1, interval: object = 0) -> None:
        """Mine blocks, some seconds apart."""
        self._ledger.mine(number(count, "the number of blocks"), _seconds(interval))

    def mine_one(self, _options: object = None) -> str:
        """Mine one block."""
        self._ledger.mine()
        return "0x0"

    def set_automine(self, wanted: object) -> None:
        """Whether each transaction is mined as it comes."""
        self._ledger.automine = flag(wanted, "automine")
        if self._ledger.automine:
            self._ledger.mine_ready()

    def increase_time(self, seconds: object) -> int:
        """Put the chain's clock forward; by how much it is ahead now, in seconds."""
        self._ledger.offset += _seconds(seconds)
        return self._ledger.offset

    def set_next_timestamp(self, timestamp: object) -> None:
        """The next block's timestamp, from which the chain's clock goes on."""
        wanted, latest = number(timestamp, "the timestamp"), int(self._ledger.head.header.timestamp)
        if not latest <= wanted <= latest + _DAYS_MAX:
            raise invalid(f"the next block cannot be of {wanted}: the latest is of {latest}")
        self._ledger.next_timestamp = wanted

    def revert(self, snapshot: object) -> bool:
        """Come back to a snapshot."""
        return self._ledger.revert(number(snapshot, "the snapshot"))

    def reorg(self, depth: object, pairs: object) -> None:
        """Replace the latest blocks; each pair is a raw transaction and the new block it goes into, from 0."""
        given = items(pairs, "transactions", REORG_TRANSACTIONS_MAX)
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in given):  # noqa: PLR2004 - a pair
            raise invalid("transactions must be pairs of a raw transaction and a block")
        raw = [(octets(tx, "a signed transaction"), number(at, "a block")) for tx, at in given]
        self._ledger.reorg(number(depth, "the depth"), raw)


def _seconds(value: object) -> int:
    found = number(value, "the number of seconds")
    if found > _DAYS_MAX:
        raise invalid(f"{found} seconds are more than a hundred years")
    return found
