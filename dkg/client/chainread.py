"""What is asked of a chain, with types: `ChainReader`, and the one that asks an endpoint.

Headers are checked against their hash and storage against a header's state root before they are given out; events are
not believed, and their readers check them against storage. What remains to trust is which block is the chain's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from dkg.chain.anchor import verify_slots
from dkg.chain.header import Header, header_of_json
from dkg.client.rpc import RpcAnswerError, RpcRefusedError
from dkg.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg.client.rpc import HttpRpc

LOGS_MAX: Final = 50_000
"""Most events that one answer may hold."""

_TAGS: Final = frozenset({"latest", "finalized", "safe", "earliest"})
_QUANTITY: Final = re.compile(r"0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})")
_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_TOPICS_MAX: Final = 4


class FinalityError(ProofError):
    """What was final is not on the chain any more."""


class UnprovableError(RpcRefusedError):
    """The endpoint does not offer proofs of storage."""


@dataclass(frozen=True, slots=True)
class Log:
    """An event as an endpoint tells it."""

    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    log_index: int
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


class ChainReader(Protocol):
    """Reads a chain. Block references: a tag, a number, or a hash of 32 bytes. All raise `ChainError`."""

    def chain_id(self) -> int:
        """The id of the chain."""

    def header(self, which: str | int | bytes) -> Header:
        """A block's header, which hashes to its hash, and has the number or the hash asked for."""

    def logs(self, address: bytes, start: int, end: int, topics: Sequence[bytes] = ()) -> list[Log]:
        """The events of a contract in blocks `start` to `end`, both included, with these first topics."""

    def slots(self, address: bytes, slots: Sequence[bytes], header: Header) -> list[int]:
        """What slots of a contract's storage hold, proved from the header's state root.

        Raises `UnprovableError` if the endpoint does not offer proofs.
        """

    def storage(self, address: bytes, slot: bytes, header: Header) -> int:
        """A storage slot, on the endpoint's word."""


class RpcReader:
    """Reads a chain through one endpoint."""

    def __init__(self, rpc: HttpRpc) -> None:
        self.rpc = rpc

    @property
    def name(self) -> str:
        """The endpoint, as it may be shown."""
        return self.rpc.name

    def chain_id(self) -> int:
        """See `ChainReader`."""
        return _quantity(self.rpc.call("eth_chainId"), "eth_chainId")

    def header(self, which: str | int | bytes) -> Header:
        """See `ChainReader`."""
        if isinstance(which, bytes):
            return header_of_json(self.rpc.call("eth_getBlockByHash", ["0x" + which.hex(), False]), which)
        header = header_of_json(self.rpc.call("eth_getBlockByNumber", [_reference(which), False]))
        if isinstance(which, int) and header.number != which:
            raise ProofError(f"{self.name} gave block {header.number} for block {which}")
        return header

    def logs(self, address: bytes, start: int, end: int, topics: Sequence[bytes] = ()) -> list[Log]:
        """See `ChainReader`. A range that the endpoint refuses is halved until it takes it."""
        question: dict[str, Any] = {"address": "0x" + address.hex(), "fromBlock": hex(start), "toBlock": hex(end)}
        if topics:
            question["topics"] = ["0x" + topic.hex() for topic in topics]
        try:
            found = self.rpc.call("eth_getLogs", [question])
        except RpcRefusedError:
            if start == end:
                raise
            middle = (start + end) // 2
            return [*self.logs(address, start, middle, topics), *self.logs(address, middle + 1, end, topics)]
        if not isinstance(found, list) or len(found) > LOGS_MAX:
            raise RpcAnswerError(f"eth_getLogs of {self.name} gave no list of at most {LOGS_MAX} events")
        logs = [_log(one) for one in found]
        if any(log.address != address for log in logs):
            raise RpcAnswerError(f"eth_getLogs of {self.name} gave events of another contract")
        return logs

    def slots(self, address: bytes, slots: Sequence[bytes], header: Header) -> list[int]:
        """See `ChainReader`."""
        params = ["0x" + address.hex(), ["0x" + slot.hex() for slot in slots], _hash(header)]
        try:
            proof = self.rpc.call("eth_getProof", params)
        except RpcRefusedError as error:
            if error.is_unknown_method:
                raise UnprovableError(f"{self.name} does not offer eth_getProof", error.code) from error
            raise
        return verify_slots(header, address, slots, proof)

    def storage(self, address: bytes, slot: bytes, header: Header) -> int:
        """See `ChainReader`."""
        found = self.rpc.call("eth_getStorageAt", ["0x" + address.hex(), "0x" + slot.hex(), _hash(header)])
        return int.from_bytes(_bytes(found, "eth_getStorageAt", 32))


def _reference(which: str | int) -> str:
    if isinstance(which, int):
        return hex(which)
    if which not in _TAGS:
        raise ValueError(f"{which!r} is no tag of a block")
    return which


def _hash(header: Header) -> dict[str, str]:
    """A block by its hash (EIP-1898): a number could mean another block by now."""
    return {"blockHash": "0x" + header.hash.hex()}


def _quantity(value: object, what: str) -> int:
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise RpcAnswerError(f"{what} is not a number as JSON-RPC writes it")
    return int(value, 16)


def _bytes(value: object, what: str, length: int | None = None) -> bytes:
    if not isinstance(value, str) or not _DATA.fullmatch(value):
        raise RpcAnswerError(f"{what} is not hexadecimal")
    data = bytes.fromhex(value[2:])
    if length is not None and len(data) != length:
        raise RpcAnswerError(f"{what} has {len(data)} bytes, not {length}")
    return data


def _log(found: object) -> Log:
    if not isinstance(found, dict):
        raise RpcAnswerError("an event of eth_getLogs is no JSON object")
    topics = found.get("topics")
    if not isinstance(topics, list) or len(topics) > _TOPICS_MAX:
        raise RpcAnswerError("the topics of an event are no list of at most 4")
    if found.get("removed") not in {None, False}:
        raise RpcAnswerError("an event of eth_getLogs was removed from the chain")
    return Log(
        block_number=_quantity(found.get("blockNumber"), "blockNumber of an event"),
        block_hash=_bytes(found.get("blockHash"), "blockHash of an event", 32),
        transaction_hash=_bytes(found.get("transactionHash"), "transactionHash of an event", 32),
        log_index=_quantity(found.get("logIndex"), "logIndex of an event"),
        address=_bytes(found.get("address"), "address of an event", 20),
        topics=tuple(_bytes(topic, "a topic of an event", 32) for topic in topics),
        data=_bytes(found.get("data"), "data of an event"),
    )
