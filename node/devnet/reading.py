"""JSON-RPC methods that read the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eth_typing import Address

from node.devnet.errors import REVERTED, SERVER_ERROR, RpcError, invalid
from node.devnet.machine import GAS_LIMIT, Call, CallError
from node.devnet.params import address, digest, flag, items, log_filter, members, number, octets
from node.devnet.shapes import (
    Json,
    block_json,
    data,
    log_json,
    proof_json,
    quantity,
    receipt_json,
    transaction_json,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.devnet.ledger import Ledger
    from node.devnet.machine import Block

SLOTS_MAX: Final = 1024
"""Slots that one `eth_getProof` may ask for, as in geth."""

FEE_HISTORY_MAX: Final = 1024
"""Blocks that one `eth_feeHistory` may ask for."""

TIP_WEI: Final = 10**9
"""The tip that is suggested, in wei per gas."""

_ZERO_ADDRESS: Final = "0x" + "00" * 20
_LATEST: Final = "latest"
_CALL_MEMBERS: Final = frozenset({
    "from", "to", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "value", "data", "input", "nonce",
    "chainId", "type",
})  # fmt: skip


class Reading:
    """What JSON-RPC can ask about a chain."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def methods(self) -> dict[str, Callable[..., Any]]:
        """The methods by their names."""
        return {
            "eth_blockNumber": self.block_number,
            "eth_call": self.call,
            "eth_chainId": self.chain_id,
            "eth_estimateGas": self.estimate_gas,
            "eth_feeHistory": self.fee_history,
            "eth_gasPrice": self.gas_price,
            "eth_getBalance": self.balance,
            "eth_getBlockByHash": self.block_by_hash,
            "eth_getBlockByNumber": self.block_by_number,
            "eth_getBlockReceipts": self.block_receipts,
            "eth_getCode": self.code,
            "eth_getLogs": self.logs,
            "eth_getProof": self.proof,
            "eth_getStorageAt": self.storage_at,
            "eth_getTransactionByHash": self.transaction,
            "eth_getTransactionCount": self.transaction_count,
            "eth_getTransactionReceipt": self.receipt,
            "eth_maxPriorityFeePerGas": self.tip,
            "eth_syncing": lambda: False,
            "net_listening": lambda: True,
            "net_version": lambda: str(self._ledger.machine.chain_id),
            "web3_clientVersion": lambda: "dkg-devnet/py-evm",
        }

    # --- which block ---------------------------------------------------------------------------------------

    def _find(self, tag: object) -> Block | None:
        """The block that a tag, a number or an EIP-1898 object names; None if the chain has none."""
        if isinstance(tag, dict):
            if "blockHash" in tag:
                return self._ledger.block_by_hash(digest(tag["blockHash"], "blockHash"))
            tag = tag.get("blockNumber")
        if tag == "pending":
            return self._ledger.pending_block()
        named = {_LATEST: self._ledger.head.number, "earliest": 0}
        named |= {"finalized": self._ledger.finalized, "safe": self._ledger.safe}
        at = named[tag] if isinstance(tag, str) and tag in named else number(tag, "a block")
        return self._ledger.block(at)

    def _block(self, tag: object) -> Block:
        """The block whose state is asked for; the pending state is that of the latest block."""
        block = self._ledger.head if tag == "pending" else self._find(tag)
        if block is None:
            raise RpcError(
                SERVER_ERROR, f"header not found: there is no block {tag}; the latest is {self._ledger.head.number}"
            )
        return block

    # --- the chain -----------------------------------------------------------------------------------------

    def chain_id(self) -> str:
        """The chain's id."""
        return quantity(self._ledger.machine.chain_id)

    def block_number(self) -> str:
        """The number of the latest block."""
        return quantity(self._ledger.head.number)

    def block_by_number(self, tag: object, full: object = False) -> Json | None:  # noqa: FBT002 - JSON-RPC's own
        """A block by tag or number."""
        block = self._find(tag)
        return None if block is None else block_json(block, full=flag(full, "the second parameter"))

    def block_by_hash(self, named: object, full: object = False) -> Json | None:  # noqa: FBT002
        """A block by hash."""
        block = self._ledger.block_by_hash(digest(named))
        return None if block is None else block_json(block, full=flag(full, "the second parameter"))

    def block_receipts(self, tag: object) -> list[Json] | None:
        """All receipts of a block."""
        block = self._find({"blockHash": tag} if isinstance(tag, str) and len(tag) > len(_ZERO_ADDRESS) else tag)
        if block is None:
            return None
        logs = self._ledger.logs_of_block(block)
        return [receipt_json(block, at, logs) for at in range(len(block.transactions))]

    def transaction(self, named: object) -> Json | None:
        """A transaction, mined or waiting."""
        wanted = digest(named)
        if place := self._ledger.mined(wanted):
            block, at = place
            return transaction_json(block.transactions[at], block, at)
        waiting = self._ledger.pool.waiting.get(wanted)
        return None if waiting is None else transaction_json(waiting)

    def receipt(self, named: object) -> Json | None:
        """The receipt of a mined transaction."""
        place = self._ledger.mined(digest(named))
        return place and receipt_json(*place, self._ledger.logs_of_block(place[0]))

    def logs(self, query: object) -> list[Json]:
        """Logs by blocks, contracts and topics."""
        asked = members(query, "the filter")
        wanted = log_filter(asked)
        if "blockHash" in asked:
            if asked.get("fromBlock") is not None or asked.get("toBlock") is not None:
                raise invalid("a filter has a blockHash or a range of blocks, not both")
            block = self._block({"blockHash": asked["blockHash"]})
            first = last = block.number
        else:
            first, last = self._height(asked.get("fromBlock")), self._height(asked.get("toBlock"))
        if first > last:
            raise invalid(f"invalid block range: from {first} to {last}")
        found = self._ledger.logs(first, last, wanted.addresses)
        return [log_json(entry) for entry in found if wanted.takes(tuple(entry.log.topics))]

    def _height(self, tag: object) -> int:
        """The number at an end of a range; one beyond the head is taken as it is."""
        if isinstance(tag, str) and not tag.startswith("0x"):
            return self._ledger.head.number if tag == "pending" else self._block(tag).number
        return self._ledger.head.number if tag is None else number(tag, "a block")

    # --- the state -----------------------------------------------------------------------------------------

    def balance(self, account: object, tag: object = _LATEST) -> str:
        """Wei of an account."""
        owner = Address(address(account))
        return quantity(self._ledger.machine.state(self._block(tag).header).get_balance(owner))

    def transaction_count(self, account: object, tag: object = _LATEST) -> str:
        """The next nonce of an account."""
        owner = address(account)
        if tag == "pending":
            return quantity(self._ledger.pending_nonce(owner))
        return quantity(self._ledger.machine.state(self._block(tag).header).get_nonce(Address(owner)))

    def code(self, account: object, tag: object = _LATEST) -> str:
        """The code of a contract."""
        owner = Address(address(account))
        return data(self._ledger.machine.state(self._block(tag).header).get_code(owner))

    def storage_at(self, account: object, slot: object, tag: object = _LATEST) -> str:
        """A slot of a contract's storage, as 32 bytes."""
        owner, at = Address(address(account)), number(slot, "a slot")
        return word(self._ledger.machine.state(self._block(tag).header).get_storage(owner, at))

    def proof(self, account: object, slots: object, tag: object = _LATEST) -> Json:
        """An account and slots of its storage with their Merkle proofs (EIP-1186)."""
        owner = address(account)
        wanted = [number(slot, "a slot") for slot in items(slots, "slots", SLOTS_MAX)]
        return proof_json(owner, wanted, self._ledger.machine.proof(self._block(tag).header, owner, wanted))

    # --- calls and fees ------------------------------------------------------------------------------------

    def call(self, call: object, tag: object = _LATEST) -> str:
        """What a call returns."""
        header = self._block(tag).header
        try:
            return data(self._ledger.machine.call(header, _call(call)))
        except CallError as error:
            raise _failed(error) from error

    def estimate_gas(self, call: object, tag: object = _LATEST) -> str:
        """Gas that a transaction needs."""
        header = self._block(tag).header
        try:
            return quantity(self._ledger.machine.estimate(header, _call(call)))
        except CallError as error:
            raise _failed(error) from error

    def gas_price(self) -> str:
        """What a transaction should pay, in wei per gas."""
        return quantity(self._ledger.base_fee() + TIP_WEI)

    def tip(self) -> str:
        """What a transaction should tip, in wei per gas."""
        return quantity(TIP_WEI)

    def fee_history(self, count: object, newest: object, percentiles: object = None) -> Json:
        """Base fees, fullness and tips of the latest blocks."""
        last = self._block(newest).number
        first = max(0, last + 1 - min(number(count, "the number of blocks"), FEE_HISTORY_MAX))
        blocks = self._ledger.blocks[first : last + 1]
        shares = _percentiles(percentiles)
        headers: list[Any] = [block.header for block in blocks]
        fees = [header.base_fee_per_gas for header in headers]
        fees += [self._ledger.machine.next_base_fee(headers[-1])] if headers else []
        found = {
            "oldestBlock": quantity(first),
            "baseFeePerGas": [quantity(fee) for fee in fees],
            "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
            "baseFeePerBlobGas": ["0x1"] * len(fees),
            "blobGasUsedRatio": [0.0] * len(headers),
        }
        return found | ({"reward": [_tips(block, shares) for block in blocks]} if shares else {})


def _call(value: object) -> Call:
    call = members(value, "the call")
    if unknown := sorted(call.keys() - _CALL_MEMBERS):
        raise invalid(f"the development chain cannot run a call with {', '.join(unknown)}")
    code = call.get("input") if call.get("input") is not None else call.get("data")
    gas = call.get("gas")
    return Call(
        address(call.get("from") or _ZERO_ADDRESS),
        None if call.get("to") is None else address(call["to"]),
        b"" if code is None else octets(code, "the call's data"),
        number(call.get("value") or "0x0", "value"),
        GAS_LIMIT if gas is None else min(number(gas, "gas"), GAS_LIMIT),
    )


def _failed(error: CallError) -> RpcError:
    if error.data is None:
        return RpcError(SERVER_ERROR, str(error))
    return RpcError(REVERTED, str(error), data(error.data))


def _percentiles(value: object) -> list[float]:
    shares = [] if value is None else items(value, "percentiles", 100)
    if not all(isinstance(share, int | float) and 0 <= share <= 100 for share in shares):  # noqa: PLR2004 - percent
        raise invalid("percentiles must be numbers from 0 to 100")
    return shares


def _tips(block: Block, shares: list[float]) -> list[str]:
    """The tip at each percentile of a block's gas."""
    header: Any = block.header
    paid: list[tuple[int, int]] = []
    before = 0
    for sent, receipt in zip(block.transactions, block.receipts, strict=True):
        paid.append((sent.tip(header.base_fee_per_gas), receipt.gas_used - before))
        before = receipt.gas_used
    return [quantity(_tip_at(sorted(paid), header.gas_used * share / 100)) for share in shares]


def _tip_at(paid: list[tuple[int, int]], gas: float) -> int:
    seen = 0
    for tip, used in paid:
        seen += used
        if seen >= gas:
            return tip
    return 0
