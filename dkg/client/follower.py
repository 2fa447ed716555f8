"""Following the registry's log on a chain, through endpoints that may lie (rows B1, B3, B5 of the fault matrix).

`Follower.step` brings a `RegistryLog` up to the chain's head. It believes events no further than they are proved:
every new entry, the log's length, and every head and nonce are read with `eth_getProof` and checked against the head
block's state root; events that were left out, forged or reordered do not survive that. Where an endpoint does not
offer `eth_getProof`, the log is marked as unproved.

What is left to trust is which block is the chain's head (`dkg.client.quorum` asks several endpoints for it), and, of
keys that changed more than once between two steps, the signers in between: storage has the last one only.

Storage does not say which publishers there are. So an endpoint can hide a change of keys of a publisher that has
committed nothing, until that publisher is heard of. Then the nonce in the block that was checked last proves that the
past was forged (`ForgedPastError`), and the log has to be read anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.chain.log import LogError, Mark, PublisherState, RegistryLog
from dkg.chain.registry import LOG_STATE_SLOT, Head, LogState, decode_event, entry_slot, head_slot, nonce_slot
from dkg.chain.secp import checksum
from dkg.client.blocks import by_block, in_pieces
from dkg.client.chainread import FinalityError, UnprovableError
from dkg.client.rpc import ChainError
from dkg.errors import ProofError
from dkg.limits import FINALITY_DEPTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dkg.chain.commit import Domain
    from dkg.chain.header import Header
    from dkg.client.chainread import ChainReader

SLOTS_PER_PROOF: Final = 64
"""Storage slots that one eth_getProof is asked for."""

DOUBTED_MAX: Final = 64
"""Most publishers that wait to be compared though no event tells of them (`Follower.doubt`)."""


class BehindError(ChainError):
    """The endpoints show a head further back than what was final before: they lag, or hide the newest blocks."""


class ForgedPastError(LogError):
    """What earlier steps were given was not all that the registry logged: read it anew, into a new log."""


class _KeysError(LogError):
    """Signers or nonces that are not those of the events."""

    def __init__(self, message: str, publisher: bytes) -> None:
        super().__init__(message)
        self.publisher = publisher


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did. `head`: the block that the log is as of."""

    head: Header
    new_events: int
    rolled_back: int
    """Blocks that were forgotten, because the chain left them."""
    proved: bool


@dataclass(frozen=True, slots=True)
class Resumed:
    """What an earlier run came to, and kept. `final`: number and hash of the highest block that was final then."""

    log: RegistryLog
    """With the blocks after `final` still to be rolled back (`kept_blocks`)."""
    final: tuple[int, bytes] | None
    proved_entries: int
    """How many entries of the log were proved."""


def kept_blocks(finality_depth: int) -> int:
    """How many blocks a follower's log keeps, to be rolled back."""
    return 4 * finality_depth + 64


class Follower:
    """Keeps a log in step with a chain.

    `first_block`: the block of the registry's deployment, or any block before. `finality_depth`: blocks that bury
    what is final; a reorganisation deeper than that is a `FinalityError`, and nothing is rewritten. `resumed`: where to
    go on; what is in it is believed as far as a step's checks leave it to be, so it must come from this follower.
    """

    def __init__(
        self,
        reader: ChainReader,
        domain: Domain,
        *,
        first_block: int = 0,
        finality_depth: int = FINALITY_DEPTH,
        resumed: Resumed | None = None,
    ) -> None:
        self.log = resumed.log if resumed else RegistryLog(kept_blocks(finality_depth))
        self.finality_depth = finality_depth
        self.head: Header | None = None
        """The block that the log was last checked against."""
        self._reader = reader
        self._domain = domain
        self._first = first_block
        self._proved = False
        self._proved_entries = resumed.proved_entries if resumed else 0
        self._checked: Mark = self.log.mark()
        self._is_whole = False
        """Whether the log has all up to `head`: not while a reorganisation is being followed."""
        self._doubted: dict[bytes, None] = {}
        self._known: dict[int, bytes] = {}
        """Hashes of blocks by number: heads, and as the lowest the highest block that is final."""
        if resumed is not None and resumed.final is not None:
            self._known = dict([resumed.final])

    @property
    def final(self) -> tuple[int, bytes] | None:
        """Number and hash of the highest block that is final."""
        number = self.final_block
        return None if number is None else (number, self._known[number])

    @property
    def proved_entries(self) -> int:
        """How many of the log's entries are proved."""
        return self._proved_entries

    @property
    def final_block(self) -> int | None:
        """The number of the highest block that is final; it never goes down. None before the first step."""
        return min(self._known, default=None)

    @property
    def final_position(self) -> int:
        """How many of the log's entries are final."""
        limit = self.final_block
        entries = self.log.entries
        length = len(entries) if limit is not None else 0
        while length and entries[length - 1].block > (limit or 0):
            length -= 1
        return length

    def age(self, now: float) -> int | None:
        """Seconds from the time of the head block to `now` (Unix seconds); None before the first step.

        It goes up while the endpoints are down or hide new blocks. Below 0: the device's clock is behind.
        """
        return None if self.head is None else int(now) - self.head.timestamp

    def doubt(self, publisher: bytes) -> None:
        """Compare the keys of a publisher of whom no event tells with the contract's storage, once, in the next step.

        A change of keys that an endpoint hid shows in nothing else before the first commit. In any thread.
        `DOUBTED_MAX` wait at most, and more are left out.
        """
        if len(self._doubted) < DOUBTED_MAX:
            self._doubted[publisher] = None

    def step(self, progress: Callable[[int, int], None] | None = None) -> Step:
        """Read what is new. `progress`: called with the block reached and the head's number.

        Raises `LogError` or another `ProofError` for events that are not what the registry logged, `ForgedPastError`
        if that was so in an earlier step, `FinalityError` for a reorganisation too deep, and `ChainError` if the
        endpoints fail. What was final before stays as it is;
        the log is as before the step, or as of a block that was read whole, and the next step goes on.
        """
        head = self._reader.header("latest")
        if self._is_whole and head == self.head and not self._doubted:
            return Step(head, 0, 0, self._proved)
        rolled_back = self._back_to_common(head)
        if self.head is not None and self._is_whole and head.number < self.head.number:
            return Step(self.head, 0, 0, self._proved)  # an endpoint that lags takes nothing back
        final = self._final_at(head)
        events = self._read_to(head, progress)
        heads_are_proved = self._check(head)
        self.head, self._checked, self._is_whole = head, self.log.mark(), True
        self._proved = heads_are_proved and self._proved_entries == len(self.log.entries)
        self._known = {number: known for number, known in self._known.items() if number > final[0]}
        self._known |= {head.number: head.hash, final[0]: final[1]}
        return Step(head, events, rolled_back, self._proved)

    def _final_at(self, head: Header) -> tuple[int, bytes]:
        """Number and hash of the block that is final when this is the head."""
        number, before = max(0, head.number - self.finality_depth), self.final_block
        if before is not None and before >= number:
            return before, self._known[before]
        return number, self._reader.header(number).hash

    # --- reorganisations -----------------------------------------------------------------------------------

    def _back_to_common(self, head: Header) -> int:
        """Roll back to the latest block that the chain still has; how many blocks were forgotten."""
        lowest = self._first if self.final_block is None else self.final_block
        known = self._known | {block.number: block.hash for block in self.log.blocks if block.number >= lowest}
        numbers = sorted(number for number in known if number <= head.number)
        if known and not numbers:
            raise BehindError(
                f"the endpoints show block {head.number} as the newest; block {min(known)} was read before: they lag, "
                "or hide the newest blocks"
            )
        low, high = 0, len(numbers)  # those before `low` are on the chain, those from `high` on are not
        while low < high:
            middle = (low + high + 1) // 2 if high < len(numbers) else high  # mostly they all are
            if self._is_on_chain(numbers[middle - 1], known, head):
                low = middle
            else:
                high = middle - 1
        if low == len(numbers):
            return 0
        if low == 0 and self._known:
            raise FinalityError(
                f"block {numbers[0]} was final and is not on the chain any more: it was reorganised deeper than "
                f"{self.finality_depth} blocks, or this is another chain. What was final is frozen; check the "
                "endpoints. If they are right, the chain must be read anew, with a greater depth (docs/operations.md)"
            )
        return self._rolled_back(numbers[low - 1] if low else self._first - 1)

    def _is_on_chain(self, number: int, known: dict[int, bytes], head: Header) -> bool:
        if number >= head.number - 1:
            return known[number] == (head.hash if number == head.number else head.parent)
        return known[number] == self._reader.header(number).hash

    def _rolled_back(self, fork: int) -> int:
        gone = sum(block.number > fork for block in self.log.blocks)
        self.log.restore(self._checked)
        self.log.rollback(fork)
        self._checked, self._is_whole = self.log.mark(), False
        self._proved_entries = min(self._proved_entries, len(self.log.entries))
        self._known = {number: known for number, known in self._known.items() if number <= fork}
        return gone

    # --- events --------------------------------------------------------------------------------------------

    def _read_to(self, head: Header, progress: Callable[[int, int], None] | None) -> int:
        """Read the events up to a head; how many."""
        tip = self.log.tip
        start = tip.number + 1 if tip else self._first
        return in_pieces(start, head.number, lambda first, last: self._read(first, last, head), progress)

    def _read(self, start: int, end: int, head: Header) -> int:
        before, proved, found = self.log.mark(), self._proved_entries, 0
        try:
            for block, logs in by_block(self._reader, self._domain.registry, start, end, head):
                events = [decode_event(list(log.topics), log.data, block.number, block.time) for log in logs]
                self.log.apply(block, events)
                found += len(events)
            self._prove_entries(head)
        except BaseException:
            self.log.restore(before)
            self._proved_entries = proved
            raise
        return found

    # --- what the state root says --------------------------------------------------------------------------

    def _prove_entries(self, head: Header) -> None:
        """Check the entries that are not proved yet: written once, they are in every later state."""
        entries = self.log.entries[self._proved_entries :]
        expected = {entry_slot(entry.position): int.from_bytes(entry.entry()) for entry in entries}
        try:
            for slot, value in self._stored(list(expected), head):
                if value != expected[slot]:
                    raise self._not_stored(expected, slot, head)
        except UnprovableError:
            return
        self._proved_entries = len(self.log.entries)

    def _not_stored(self, expected: dict[bytes, int], slot: bytes, head: Header) -> LogError:
        position = self._proved_entries + list(expected).index(slot)
        if position < self._checked.length:
            return ForgedPastError(
                f"commit {position} of the log, which was taken without proof, was a lie: begin anew"
            )
        return LogError(f"the events up to block {head.number} are not those that the registry stored")

    def _check(self, head: Header) -> bool:
        """Compare the log's length, heads and nonces with the contract's storage; returns whether it could be."""
        try:
            self._compare(head)
        except UnprovableError:
            return False
        except ProofError as error:
            self.log.restore(self._checked)  # any event since then may be the one that is wrong
            self._proved_entries = min(self._proved_entries, len(self.log.entries))
            if isinstance(error, _KeysError) and self._was_hidden(error.publisher):
                raise ForgedPastError(
                    f"a change of keys of {checksum(error.publisher)} was left out before: begin anew"
                ) from error
            raise
        return True

    def _was_hidden(self, publisher: bytes) -> bool:
        """Whether a publisher that is new to the log had changed its keys by the block that was checked last."""
        if self.head is None or publisher in self._checked.publishers:
            return False
        try:
            return self._reader.slots(self._domain.registry, [nonce_slot(publisher)], self.head) != [0]
        except ChainError:  # the endpoint has that block's state no more
            return False

    def _compare(self, head: Header) -> None:
        length = LOG_STATE_SLOT.to_bytes(32)
        doubted = list(self._doubted)
        states = {who: PublisherState(Head.unpack(who, 0), 0, ()) for who in doubted} | self.log.publishers
        heads = {head_slot(publisher): publisher for publisher in states}
        nonces = {nonce_slot(publisher): publisher for publisher in states}
        for slot, value in self._stored([length, *heads, *nonces], head):
            if slot == length and LogState.unpack(value).length != len(self.log.entries):
                raise LogError(f"the events up to block {head.number} are not all that the registry logged")
            if (who := heads.get(slot)) is not None and Head.unpack(who, value) != states[who].head:
                raise _KeysError(f"the signers that events tell of are not those of block {head.number}", who)
            if (who := nonces.get(slot)) is not None and value != states[who].nonce:
                raise _KeysError(f"changes of keys up to block {head.number} are missing, or made up", who)
        for publisher in doubted:
            self._doubted.pop(publisher, None)

    def _stored(self, slots: list[bytes], head: Header) -> Iterable[tuple[bytes, int]]:
        """Slots with what is proved to be in them."""
        for at in range(0, len(slots), SLOTS_PER_PROOF):
            some = slots[at : at + SLOTS_PER_PROOF]
            yield from zip(some, self._reader.slots(self._domain.registry, some, head), strict=True)
