"""Following the checkpoint contract, block by block beside the registry's log, through endpoints that may lie.

A step brings a `CheckpointLog` to the block that the registry's log was just brought to (`dkg.client.follower`). It
believes events no further than they are proved: the counts, which checkpoints are pending, every word of a checkpoint,
mark or page that is new or pending are read with `eth_getProof` against that block. So a checkpoint, mark or end of
either cannot be left out or made up, nor demands. What storage does not count is left to the endpoints' word: that a
page was shown (an event that is hidden makes somebody show it again, which costs gas), and the bytes of an answer,
which their digest tells.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.chain.checkpoint_events import TERMS_MASK, Demanded, Marked, Page, Proposed, Target, decode_checkpoint_event
from dkg.chain.checkpoint_log import CheckpointLog
from dkg.chain.checkpoints import (
    OPEN_SLOT,
    STATE_SLOT,
    Checkpoint,
    demand_slots,
    mark_log_slot,
    marked_slot,
    pack_open,
    shown_slot,
)
from dkg.chain.log import LogError
from dkg.client.blocks import by_block, in_pieces
from dkg.client.chainread import UnprovableError
from dkg.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dkg.chain.checkpoint_events import CheckpointEvent
    from dkg.chain.header import Header
    from dkg.chain.log import Block, RegistryLog
    from dkg.client.chainread import ChainReader

SLOTS_PER_PROOF: Final = 64
"""Storage slots that one eth_getProof is asked for."""


@dataclass(frozen=True, slots=True)
class _Word:
    """What a slot holds: this, in the bits of the mask, or more than this."""

    value: int
    mask: int = 2**256 - 1
    is_least: bool = False

    def holds(self, found: int) -> bool:
        """Whether it is so."""
        return found > self.value if self.is_least else found & self.mask == self.value


class CheckpointFollower:
    """Keeps a log of the contract at an address (20 bytes) in step with the registry's.

    `first_block`: of the contract's deployment, or any block before. `proved`: whether all of `log` was proved when it
    was kept.
    """

    def __init__(
        self, reader: ChainReader, address: bytes, log: CheckpointLog, *, first_block: int = 0, proved: bool = False
    ) -> None:
        self.log = log
        self.head: Header | None = None
        """The block that the log was last brought to."""
        self.proved = proved
        """Whether all of the log is proved as of `head`."""
        self._reader = reader
        self._address = address
        self._first = first_block
        self._checked = log.snapshot()
        self._empty = CheckpointLog().snapshot()

    def step(
        self, head: Header, registry: RegistryLog, progress: Callable[[int, int], None] | None = None
    ) -> CheckpointLog:
        """Read what is new up to a block, of which `registry` is; gives the log.

        Raises `LogError` or another `ProofError` for events that are not what the contract logged, and `ChainError` if
        the endpoints fail. The log is then as of a block that was read whole, and the next step goes on.
        """
        if head == self.head:
            return self.log
        self.head = None
        self._back_to_common(head)
        tip = self.log.tip
        start = tip.number + 1 if tip else self._first
        try:
            in_pieces(start, head.number, lambda first, last: self._read(first, last, head, registry), progress)
            proved = self._check(head)
        except ProofError:
            self.log.restore(self._checked)  # any event since then may be the one that is wrong
            raise
        self.head, self.proved, self._checked = head, proved, self.log.snapshot()
        return self.log

    # --- reorganisations -----------------------------------------------------------------------------------

    def _back_to_common(self, head: Header) -> None:
        """Roll back to the latest block that the chain still has."""
        blocks = self.log.blocks
        on_chain = next((block for block in reversed(blocks) if self._is_on_chain(block, head)), None)
        if blocks and on_chain != blocks[-1]:
            self.log.restore(self._checked)
            self.log.rollback(on_chain.number if on_chain else self._first - 1)
            self._checked = self.log.snapshot()

    def _is_on_chain(self, block: Block, head: Header) -> bool:
        if block.number >= head.number - 1:
            return block.hash == {head.number: head.hash, head.number - 1: head.parent}.get(block.number)
        return self._reader.header(block.number).hash == block.hash

    # --- events --------------------------------------------------------------------------------------------

    def _read(self, start: int, end: int, head: Header, registry: RegistryLog) -> int:
        found = 0
        for block, logs in by_block(self._reader, self._address, start, end, head):
            events = [decode_checkpoint_event(log.topics, log.data) for log in logs]
            _require_entries(events, bisect_right(registry.entries, block.number, key=lambda one: one.block))
            self.log.apply(block, events)
            found += len(events)
        return found

    # --- what the state root says --------------------------------------------------------------------------

    def _check(self, head: Header) -> bool:
        """Compare what is new, and all that may change, with the contract's storage; whether it could be."""
        expected = self._expected()
        slots = list(expected)
        try:
            for at in range(0, len(slots), SLOTS_PER_PROOF):
                some = slots[at : at + SLOTS_PER_PROOF]
                for slot, value in zip(some, self._reader.slots(self._address, some, head), strict=True):
                    if not expected[slot].holds(value):
                        raise LogError(
                            f"the events up to block {head.number} are not those that the checkpoint contract stored"
                        )
        except UnprovableError:
            return False
        return True

    def _expected(self) -> dict[bytes, _Word]:
        """What slots hold: of all that is new since it was proved last, and of what may have changed since."""
        log, before = self.log, self._checked if self.proved else self._empty
        checkpoints, marks, _, demands, shown, _ = before.tables
        found = {STATE_SLOT.to_bytes(32): _Word(log.state.pack()), OPEN_SLOT.to_bytes(32): _Word(pack_open(log.opened))}
        for one in log.checkpoints.values():
            if one.id in log.opened or checkpoints.get(one.id) != one:
                found |= zip(Checkpoint.slots(one.id), map(_Word, one.pack()), strict=True)
        for mark in log.marks.values():
            if marks.get(mark.number) != mark:
                found[marked_slot(mark.position)] = _Word(mark.pack())
                found[mark_log_slot(mark.number)] = _Word(mark.position)
        for demand in log.demands.values():
            digest, terms = demand_slots(demand.demand)
            found[terms] = _Word(demand.pack(), TERMS_MASK)
            if demand.demand not in demands:
                found[digest] = _Word(int.from_bytes(demand.digest))
        for number in {*demands, *range(before.state.demands + 1, log.state.demands + 1)} - log.demands.keys():
            found[demand_slots(number)[1]] = _Word(0)
        for page, kind in log.shown.items():
            if page not in shown:
                found[shown_slot(page)] = _Word(int(kind)) if kind else _Word(Page.LONG, is_least=True)
        return found


def _require_entries(events: Sequence[CheckpointEvent], entries: int) -> None:
    """Raise `LogError` for events of commits that the registry's log did not have: it had `entries`."""
    for event in events:
        match event:
            case Proposed():
                most = event.position
            case Marked():
                most = event.position + 1
            case Demanded(kind=Target.COMMIT):
                most = event.target + 1
            case _:
                continue
        if most > entries:
            raise LogError(f"the checkpoint contract tells of commit {most - 1}, and the registry's log has {entries}")
