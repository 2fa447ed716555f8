"""The chain: its blocks and their indexes, the pool, time, snapshots and reorganisations. All in memory."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eth_typing import Address

from node.devnet.errors import RpcError, invalid
from node.devnet.machine import GAS_LIMIT, Block, Machine
from node.devnet.transactions import Pool, Sent, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from eth.abc import LogAPI

    from node.devnet.accounts import DevAccount

BLOCKS_AT_ONCE_MAX: Final = 10_000
"""Blocks that one call may mine."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A log and where it stands."""

    block: Block
    transaction: int
    index: int
    log: LogAPI


@dataclass(frozen=True, slots=True)
class _Snapshot:
    blocks: list[Block]
    pool: Pool
    offset: int


class Ledger:
    """A chain of blocks that mines what it is sent at once, on a clock, or when it is told to."""

    def __init__(
        self,
        chain_id: int,
        accounts: Sequence[DevAccount],
        funds: int,
        clock: Callable[[], float] = time.time,
        slots_in_an_epoch: int = 1,
    ) -> None:
        self.machine = Machine(chain_id)
        self.pool = Pool()
        self.automine = True
        self.offset = 0
        """Seconds that the chain's clock is ahead."""
        self.next_timestamp: int | None = None
        self.slots_in_an_epoch = slots_in_an_epoch
        self._clock = clock
        self._built = 0
        self._snapshots: dict[int, _Snapshot] = {}
        self._snapshot_ids = 0
        self.blocks: list[Block] = []
        self._by_hash: dict[bytes, int] = {}
        self._transactions: dict[bytes, tuple[int, int]] = {}
        self._logs: list[LogEntry] = []
        self._logs_of: dict[bytes, list[LogEntry]] = {}
        self._append(self.machine.genesis(accounts, funds, int(clock())))

    # --- reading -------------------------------------------------------------------------------------------

    @property
    def head(self) -> Block:
        """The latest block."""
        return self.blocks[-1]

    @property
    def finalized(self) -> int:
        """Number of the finalized block: two epochs behind the latest."""
        return max(0, self.head.number - 2 * self.slots_in_an_epoch)

    @property
    def safe(self) -> int:
        """Number of the safe block: one epoch behind the latest."""
        return max(0, self.head.number - self.slots_in_an_epoch)

    def block(self, number: int) -> Block | None:
        """A block of the chain by its number."""
        return self.blocks[number] if 0 <= number < len(self.blocks) else None

    def block_by_hash(self, digest: bytes) -> Block | None:
        """A block of the chain by its hash; one that a reorganisation replaced is not found."""
        number = self._by_hash.get(digest)
        return None if number is None else self.blocks[number]

    def mined(self, digest: bytes) -> tuple[Block, int] | None:
        """The block of a transaction and its index there."""
        place = self._transactions.get(digest)
        return None if place is None else (self.blocks[place[0]], place[1])

    def logs(self, first: int, last: int, addresses: frozenset[bytes] | None) -> Iterable[LogEntry]:
        """Logs of the blocks `first` to `last`, in the chain's order, of some contracts or all."""
        if addresses is None:
            return _between(self._logs, first, last)
        found = [entry for address in addresses for entry in _between(self._logs_of.get(address, []), first, last)]
        return sorted(found, key=lambda entry: (entry.block.number, entry.index))

    def logs_of_block(self, block: Block) -> list[LogEntry]:
        """All logs of a block."""
        return _between(self._logs, block.number, block.number)

    def nonce(self, address: bytes) -> int:
        """How many transactions of an account are mined."""
        return int(self.machine.state(self.head.header).get_nonce(Address(address)))

    def pending_nonce(self, address: bytes) -> int:
        """The same, with those that wait."""
        return self.pool.next_nonce(address, self.nonce(address))

    def base_fee(self) -> int:
        """Wei per gas that the next block burns."""
        return self.machine.next_base_fee(self.head.header)

    def pending_block(self) -> Block:
        """The block that would be mined now."""
        return self.machine.build(self.head.header, self._timestamp(), self._built, self._ready())

    # --- sending and mining --------------------------------------------------------------------------------

    def send(self, raw: bytes) -> bytes:
        """Take a signed transaction and, if that is how this chain mines, mine it; its hash. Raises `RpcError`."""
        sent = decode(self.machine, raw, GAS_LIMIT)
        if sent.hash in self._transactions:
            raise RpcError(-32003, "already known: the transaction is mined")
        state = self.machine.state(self.head.header)
        sender = Address(sent.sender)
        self.pool.add(sent, int(state.get_nonce(sender)), int(state.get_balance(sender)))
        if self.automine:
            self.mine_ready()
        return sent.hash

    def mine_ready(self) -> None:
        """Mine what can be mined now, in as many blocks as it takes."""
        while ready := self._ready():
            before = len(self.pool.waiting)
            self.mine_block(ready)
            if len(self.pool.waiting) == before:
                return  # none of it could be included

    def mine(self, count: int = 1, interval: int = 0) -> None:
        """Mine blocks, empty ones too, `interval` seconds apart if that is not 0."""
        if not 0 <= count <= BLOCKS_AT_ONCE_MAX:
            raise invalid(f"{count} blocks at once: {BLOCKS_AT_ONCE_MAX} at most")
        for at in range(count):
            if interval and at:
                self.offset += interval
            self.mine_block(self._ready())

    def mine_block(self, transactions: Sequence[Sent]) -> Block:
        """Mine one block of those transactions that fit."""
        self._built += 1
        block = self.machine.build(self.head.header, self._timestamp(), self._built, transactions)
        if self.next_timestamp is not None:
            self.offset, self.next_timestamp = self.next_timestamp - int(self._clock()), None
        self._append(block)
        for sent in block.transactions:
            self.pool.waiting.pop(sent.hash, None)
        self.pool.drop_stale(self.nonce)
        return block

    def _ready(self) -> list[Sent]:
        return self.pool.ready(self.nonce, self.base_fee()) if self.pool.waiting else []

    def _timestamp(self) -> int:
        # Two blocks may have one timestamp, as anvil's may: a burst of blocks must not run ahead of the clock.
        if self.next_timestamp is not None:
            return self.next_timestamp
        return max(int(self.head.header.timestamp), int(self._clock()) + self.offset)

    # --- snapshots and reorganisations ---------------------------------------------------------------------

    def snapshot(self) -> int:
        """Remember the chain as it is; the number to come back with."""
        self._snapshots[self._snapshot_ids] = _Snapshot(list(self.blocks), self.pool.copy(), self.offset)
        self._snapshot_ids += 1
        return self._snapshot_ids - 1

    def revert(self, number: int) -> bool:
        """Come back to a snapshot, which is used up with all that came after it; False if there is none."""
        if number not in self._snapshots:
            return False
        snapshot = self._snapshots[number]
        self._snapshots = {key: kept for key, kept in self._snapshots.items() if key < number}
        pairs = zip(self.blocks, snapshot.blocks, strict=False)
        self._truncate(sum(1 for mine, theirs in pairs if mine.hash == theirs.hash))
        for block in snapshot.blocks[len(self.blocks) :]:
            self._append(block)
        self.pool, self.offset = snapshot.pool.copy(), snapshot.offset
        return True

    def reorg(self, depth: int, transactions: Sequence[tuple[bytes, int]]) -> None:
        """Replace the latest `depth` blocks by as many others; each raw transaction goes to the new block it names.

        What stood in the old blocks is dropped, as anvil does. Raises `RpcError`.
        """
        if not 0 < depth < len(self.blocks):
            raise invalid(f"a reorganisation of {depth} blocks: the chain has {len(self.blocks) - 1} after its genesis")
        by_block: dict[int, list[Sent]] = {}
        for raw, at in transactions:
            if not 0 <= at < depth:
                raise invalid(f"block {at} of a reorganisation of {depth}: they are numbered from 0")
            by_block.setdefault(at, []).append(decode(self.machine, raw, GAS_LIMIT))
        self._truncate(len(self.blocks) - depth)
        for at in range(depth):
            self.mine_block(by_block.get(at, []))

    # --- the indexes ---------------------------------------------------------------------------------------

    def _append(self, block: Block) -> None:
        self.blocks.append(block)
        self._by_hash[block.hash] = block.number
        index = 0
        for at, (sent, receipt) in enumerate(zip(block.transactions, block.receipts, strict=True)):
            self._transactions[sent.hash] = block.number, at
            for log in receipt.logs:
                entry = LogEntry(block, at, index, log)
                self._logs.append(entry)
                self._logs_of.setdefault(bytes(log.address), []).append(entry)
                index += 1

    def _truncate(self, height: int) -> None:
        """Forget the blocks from a number on."""
        for block in self.blocks[height:]:
            del self._by_hash[block.hash]
            for sent in block.transactions:
                del self._transactions[sent.hash]
        del self.blocks[height:]
        for logs in (self._logs, *self._logs_of.values()):
            del logs[bisect_left(logs, height, key=_number) :]


def _number(entry: LogEntry) -> int:
    return entry.block.number


def _between(logs: list[LogEntry], first: int, last: int) -> list[LogEntry]:
    return logs[bisect_left(logs, first, key=_number) : bisect_right(logs, last, key=_number)]
