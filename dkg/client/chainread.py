"""What is asked of a chain, with types: `ChainReader`, and the one that asks an endpoint.

Headers are checked against their hash and storage against a header's state root before they are given out; events are
not believed, and their readers check them against storage. What remains to trust is which block is the chain's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from dkg.chain.anchor import verify_slots
from dkg.chain.header import Header, header_of_json
from dkg.client.rpc import RpcAnswerError, RpcRefusedError, RpcTooLongError
from dkg.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg.client.rpc import HttpRpc

LOGS_MAX: Final = 20_000
"""Most events of one range of blocks; ask for the events of fewer blocks if there are more."""

LOGS_REQUESTS_MAX: Final = 1_000
"""Most requests for the events of one range of blocks: endpoints that take few blocks at once need many."""

SMALL_BYTES_MAX: Final = 256 * 1024
"""Longest answer that holds a number or a word, in bytes: endpoints that fail send pages of HTML."""

HEADER_BYTES_MAX: Final = 4 * 1024 * 1024
"""Longest block without its transactions, in bytes: their hashes, for about 50,000 of them."""

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

    @property
    def need(self) -> int:
        """How many endpoints say which block is the chain's: all that a client must trust."""

    def chain_id(self) -> int:
        """The id of the chain."""

    def header(self, which: str | int | bytes) -> Header:
        """A block's header, which hashes to its hash, and has the number or the hash asked for."""

    def logs(self, address: bytes, start: int, end: int, topics: Sequence[bytes] = ()) -> list[Log]:
        """The events of a contract in blocks `start` to `end`, both included, with these first topics.

        Raises `RpcTooLongError` if they are more than `LOGS_MAX`.
        """

    def slots(self, address: bytes, slots: Sequence[bytes], header: Header) -> list[int]:
        """What slots of a contract's storage hold, proved from the header's state root.

        Raises `UnprovableError` if the endpoint does not offer proofs.
        """

    def storage(self, address: bytes, slot: bytes, header: Header) -> int:
        """A storage slot, on the endpoint's word."""

    def close(self) -> None:
        """Close all connections and end all threads. Whoever waits for an answer gets a `ChainError`."""


class RpcReader:
    """Reads a chain through one endpoint, which it closes."""

    need: int = 1

    def __init__(self, rpc: HttpRpc) -> None:
        self.rpc = rpc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """See `ChainReader`."""
        self.rpc.close()

    @property
    def name(self) -> str:
        """The endpoint, as it may be shown."""
        return self.rpc.name

    def chain_id(self) -> int:
        """See `ChainReader`."""
        return _quantity(self.rpc.call("eth_chainId", bytes_max=SMALL_BYTES_MAX), "eth_chainId")

    def header(self, which: str | int | bytes) -> Header:
        """See `ChainReader`."""
        if isinstance(which, bytes):
            params: list[object] = ["0x" + which.hex(), False]
            return header_of_json(self.rpc.call("eth_getBlockByHash", params, bytes_max=HEADER_BYTES_MAX), which)
        params = [_reference(which), False]
        header = header_of_json(self.rpc.call("eth_getBlockByNumber", params, bytes_max=HEADER_BYTES_MAX))
        if isinstance(which, int) and header.number != which:
            raise ProofError(f"{self.name} gave block {header.number} for block {which}")
        return header

    def logs(self, address: bytes, start: int, end: int, topics: Sequence[bytes] = ()) -> list[Log]:
        """See `ChainReader`. A range that the endpoint refuses, or has too much to say of, is halved until it fits.

        The rest of the range is then asked for in pieces of that size, with `LOGS_REQUESTS_MAX` requests in all.
        """
        found: list[Log] = []
        size, asked = end - start + 1, 0
        while start <= end:
            last = min(start + size - 1, end)
            asked += 1
            if asked > LOGS_REQUESTS_MAX:
                raise RpcAnswerError(
                    f"{self.name} gives the events of so few blocks at once that those up to block {end} would take "
                    f"more than {LOGS_REQUESTS_MAX} requests: use another endpoint"
                )
            try:
                found += self._logs(address, start, last, topics)
            except (RpcRefusedError, RpcTooLongError):
                if start == last:
                    raise
                size = (last - start + 1) // 2
            else:
                start = last + 1
            if len(found) > LOGS_MAX:
                raise RpcTooLongError(f"{self.name} gives more than {LOGS_MAX} events of the blocks up to {end}")
        return found

    def _logs(self, address: bytes, start: int, end: int, topics: Sequence[bytes]) -> list[Log]:
        question: dict[str, Any] = {"address": "0x" + address.hex(), "fromBlock": hex(start), "toBlock": hex(end)}
        if topics:
            question["topics"] = ["0x" + topic.hex() for topic in topics]
        found = self.rpc.call("eth_getLogs", [question])
        if not isinstance(found, list):
            raise RpcAnswerError(f"eth_getLogs of {self.name} gave no list")
        logs = [_log(one) for one in found]
        wanted = tuple(topics)
        for log in logs:
            is_wanted = log.address == address and log.topics[: len(wanted)] == wanted
            if not (is_wanted and start <= log.block_number <= end):
                raise RpcAnswerError(f"eth_getLogs of {self.name} gave an event that was not asked for")
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
        params = ["0x" + address.hex(), "0x" + slot.hex(), _hash(header)]
        found = self.rpc.call("eth_getStorageAt", params, bytes_max=SMALL_BYTES_MAX)
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
    if found.get("removed") not in (None, False):
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
