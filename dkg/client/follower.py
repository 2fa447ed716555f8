"""Following the registry's log on a chain, through endpoints that may lie (rows B1, B3, B5 of the fault matrix).

`Follower.step` brings a `RegistryLog` up to the chain's head. It believes events no further than they are proved:
after each step the log's length, every new entry and every head that changed are read with `eth_getProof` and checked
against the head block's state root; events that were left out, forged or reordered do not survive that. Where an
endpoint does not offer `eth_getProof`, the log is marked as unproved.

What is left to trust is the block hash of the head. `dkg.client.quorum` asks several endpoints for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.chain.log import Block, LogError, RegistryLog
from dkg.chain.registry import LOG_STATE_SLOT, Head, LogState, decode_event, entry_slot, head_slot
from dkg.client.chainread import FinalityError, UnprovableError
from dkg.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.chain.commit import Domain
    from dkg.chain.header import Header
    from dkg.chain.registry import Event
    from dkg.client.chainread import ChainReader, Log

BLOCKS_PER_REQUEST: Final = 2_000
"""Blocks whose events are asked for at once."""

SLOTS_PER_PROOF: Final = 64
"""Storage slots that one eth_getProof is asked for."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did."""

    head: Header
    new_events: int
    rolled_back: int
    """Blocks that were forgotten, because the chain left them."""
    proved: bool


class Follower:
    """Keeps a log in step with a chain.

    `first_block`: the block of the registry's deployment, or any block before. `finality_depth`: blocks that bury
    what is final; a reorganisation deeper than that is a `FinalityError`, and nothing is rewritten.
    """

    def __init__(self, reader: ChainReader, domain: Domain, *, first_block: int = 0, finality_depth: int = 12) -> None:
        self.log = RegistryLog(kept_blocks=4 * finality_depth + 64)
        self.finality_depth = finality_depth
        self.head: Header | None = None
        self._reader = reader
        self._domain = domain
        self._first = first_block

    @property
    def final_position(self) -> int:
        """How many of the log's entries are buried `finality_depth` blocks deep."""
        limit = (self.head.number if self.head else 0) - self.finality_depth
        entries = self.log.entries
        length = len(entries)
        while length and entries[length - 1].block > limit:
            length -= 1
        return length

    def step(self, progress: Callable[[int, int], None] | None = None) -> Step:
        """Read what is new. `progress`: called with the block reached and the head's number.

        Raises `LogError` or another `ProofError` for events that are not what the registry logged, `FinalityError`
        for a reorganisation too deep, and `ChainError` if the endpoints fail. The log is then as before the step, or
        as of a block that was read whole: the next step goes on.
        """
        head = self._reader.header("latest")
        rolled_back = self._back_to_common(head)
        tip = self.log.tip
        start = tip.number + 1 if tip else self._first
        events = 0
        while start <= head.number:
            end = min(start + BLOCKS_PER_REQUEST - 1, head.number)
            events += self._read(start, end, head)
            start = end + 1
            if progress is not None:
                progress(end, head.number)
        proved = self._check(head)
        self.head = head
        return Step(head, events, rolled_back, proved)

    def _back_to_common(self, head: Header) -> int:
        """Roll back to the latest block that the chain still has."""
        blocks, tip = self.log.blocks, self.log.tip
        if tip is None:
            return 0
        keep = len(blocks)
        while keep and not self._is_on_chain(blocks[keep - 1], head):
            keep -= 1
        if keep == len(blocks):
            return 0
        fork = blocks[keep - 1].number if keep else self._first - 1
        final = (self.head.number if self.head else 0) - self.finality_depth
        if fork < final:
            raise FinalityError(
                f"the chain was reorganised from block {fork + 1} on, deeper than the finality depth of "
                f"{self.finality_depth} blocks: what was final is frozen; check the endpoints, then raise the depth"
            )
        gone = sum(block.number > fork for block in blocks)
        self.log.rollback(fork)
        return gone

    def _is_on_chain(self, block: Block, head: Header) -> bool:
        if block.number > head.number:
            return False
        return block.hash == (head if block.number == head.number else self._reader.header(block.number)).hash

    def _read(self, start: int, end: int, head: Header) -> int:
        logs = self._reader.logs(self._domain.registry, start, end)
        by_block: dict[int, list[Log]] = {}
        for log in logs:
            if not start <= log.block_number <= end:
                raise LogError(f"an endpoint gave an event of block {log.block_number} for blocks {start} to {end}")
            by_block.setdefault(log.block_number, []).append(log)
        by_block.setdefault(end, [])
        before = self.log.tip.number if self.log.tip else self._first - 1
        try:
            for number in sorted(by_block):
                self._apply(number, by_block[number], head)
        except ProofError:
            self.log.rollback(before)
            raise
        return len(logs)

    def _apply(self, number: int, logs: list[Log], head: Header) -> None:
        header = head if number == head.number else self._reader.header(number)
        logs.sort(key=lambda log: log.log_index)
        events: list[Event] = []
        for log in logs:
            if log.block_hash != header.hash:
                raise LogError(f"an event of block {number} is of another block with that number: read it again")
            events.append(decode_event(list(log.topics), log.data, number, header.timestamp))
        self.log.apply(Block(number, header.hash, header.parent, header.timestamp), events)

    # --- what the state root says --------------------------------------------------------------------------

    def _check(self, head: Header) -> bool:
        """Compare the log with the contract's storage; returns whether it could be."""
        try:
            return self._compare(head)
        except UnprovableError:
            return False
        except ProofError:
            self.log.rollback(self._unchecked_from(head) - 1)
            raise

    def _unchecked_from(self, head: Header) -> int:
        checked = self.head.number + 1 if self.head else self._first
        return min(checked, head.number)

    def _compare(self, head: Header) -> bool:
        first = self._unchecked_from(head)
        entries = [entry for entry in self.log.entries if entry.block >= first] if first else self.log.entries
        state = LOG_STATE_SLOT.to_bytes(32)
        expected = {state: len(self.log.entries)}
        expected |= {entry_slot(entry.position): int.from_bytes(entry.entry()) for entry in entries}
        heads = {head_slot(publisher): state.head for publisher, state in self.log.publishers.items()}
        slots = [*expected, *heads]
        for at in range(0, len(slots), SLOTS_PER_PROOF):
            some = slots[at : at + SLOTS_PER_PROOF]
            for slot, value in zip(some, self._reader.slots(self._domain.registry, some, head), strict=True):
                found = LogState.unpack(value).length if slot == state else value
                if slot in expected and found != expected[slot]:
                    raise LogError(f"the events up to block {head.number} are not those that the registry stored")
                if slot in heads and Head.unpack(heads[slot].publisher, value) != heads[slot]:
                    raise LogError(f"the signers that events tell of are not those of block {head.number}")
        return True
