"""The registry's log as events make it, block by block, with rollback: what a follower keeps.

`RegistryLog` is a pure function of the events: the same events give the same state, on every node. It re-derives what
the contract enforces (positions without gap, seq, previous roots, signers) and refuses events that break it: an
endpoint that forges, drops or reorders events is found out here, whatever else it says.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from dkg.chain.commit import ZERO_HASH
from dkg.chain.registry import Committed, Event, Head, Retired, Revoked, Rotated
from dkg.chain.secp import checksum
from dkg.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import Sequence


ROTATIONS_MAX: Final = 256
"""Signers kept for one publisher (TUF bounds its chain of roots the same way); older ones are forgotten."""


class LogError(ProofError):
    """Events that the registry cannot have emitted: the endpoint lies, or left some out."""


@dataclass(frozen=True, slots=True)
class Block:
    """What identifies a block: its number, its hash and its parent's (32 bytes), its time in Unix seconds."""

    number: int
    hash: bytes
    parent: bytes
    time: int


class Undo(Protocol):
    """How to take one block back. `block`: which one."""

    @property
    def block(self) -> Block:
        """The block."""


E = TypeVar("E")
U = TypeVar("U", bound=Undo)


class BlockLog(Generic[E, U]):
    """What the events of a contract make, block by block, with rollback. Subclasses say what events do.

    `kept_blocks`: how many can be rolled back.
    """

    def __init__(self, kept_blocks: int) -> None:
        self._undo: list[U] = []
        self._kept = kept_blocks
        self._is_whole = True
        """Whether all blocks can be rolled back."""

    def _begin(self, block: Block) -> U:
        """How to come back to what the log is now."""
        raise RuntimeError(f"{type(self).__name__} does not say how block {block.number} is taken back")

    def _event(self, event: E, block: Block) -> None:
        """Apply one event. Raises `LogError` if the contract cannot have emitted it."""
        raise RuntimeError(f"{type(self).__name__} does not say what {event} does in block {block.number}")

    def _revert(self, undo: U) -> None:
        """Take back the newest block."""
        raise RuntimeError(f"{type(self).__name__} does not say how block {undo.block.number} is taken back")

    @property
    def tip(self) -> Block | None:
        """The latest block that was applied; None at the start."""
        return self._undo[-1].block if self._undo else None

    @property
    def blocks(self) -> list[Block]:
        """The blocks that can still be rolled back, oldest first."""
        return [undo.block for undo in self._undo]

    def apply(self, block: Block, events: Sequence[E]) -> None:
        """Apply the events of one block, in order. Blocks without events may be left out.

        Raises `LogError`, and changes nothing, if the contract cannot have emitted them.
        """
        tip = self.tip
        if tip is not None and block.number <= tip.number:
            raise LogError(f"block {block.number} does not come after block {tip.number}")
        if tip is not None and block.number == tip.number + 1 and block.parent != tip.hash:
            raise LogError(f"block {block.number} does not follow from block {tip.number}: its parent is another")
        self._undo.append(self._begin(block))
        try:
            for event in events:
                self._event(event, block)
        except LogError:
            self._revert(self._undo.pop())
            raise
        self._is_whole &= len(self._undo) <= self._kept
        del self._undo[: -self._kept]

    def rollback(self, number: int) -> None:
        """Forget all blocks above a number; raises `LogError` if that is further back than what is kept."""
        if self._undo and not self._is_whole and number < self._undo[0].block.number - 1:
            raise LogError(f"cannot go back to block {number}: what is kept begins at {self._undo[0].block.number}")
        while self._undo and self._undo[-1].block.number > number:
            self._revert(self._undo.pop())


@dataclass(frozen=True, slots=True)
class PublisherState:
    """A publisher at some point of the log. `signers`: (position from which on, address or None), oldest first."""

    head: Head
    nonce: int
    signers: tuple[tuple[int, bytes | None], ...]


@dataclass(slots=True)
class _Undo:
    block: Block
    length: int
    publishers: dict[bytes, PublisherState | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mark:
    """What a log was; see `RegistryLog.mark`."""

    length: int
    publishers: dict[bytes, PublisherState]
    undo: tuple[_Undo, ...]


class RegistryLog(BlockLog[Event, _Undo]):
    """All commits so far, and each publisher's state. `kept_blocks`: how many blocks can be rolled back."""

    def __init__(self, kept_blocks: int = 256) -> None:
        super().__init__(kept_blocks)
        self.entries: list[Committed] = []
        self.publishers: dict[bytes, PublisherState] = {}

    def mark(self) -> Mark:
        """What the log is now, to come back to with `restore` however many blocks are applied in between."""
        return Mark(len(self.entries), self.publishers.copy(), tuple(self._undo))

    def restore(self, mark: Mark) -> None:
        """Make the log what it was; not after a `rollback` to before that."""
        del self.entries[mark.length :]
        self.publishers = mark.publishers.copy()
        self._undo = list(mark.undo)

    def head_at(self, publisher: bytes, position: int) -> Committed | None:
        """The publisher's latest commit among the log's first `position` entries; None if it has none there."""
        state = self.publishers.get(publisher)
        if state is None or not state.head.seq:
            return None
        found = self.entries[state.head.position]
        while found.position >= position:
            if found.commit.seq == 1:
                return None
            found = self.entries[found.prior_position]
        return found

    def signer_at(self, publisher: bytes, position: int) -> bytes | None:
        """Who could sign the publisher's commit at a position of the log; None if nobody.

        Raises `LogError` for positions before the oldest signer that is still known.
        """
        state = self.publishers.get(publisher)
        signers = state.signers if state else ()
        if len(signers) == ROTATIONS_MAX and position < signers[0][0]:
            raise LogError(f"the signers of {checksum(publisher)} before position {signers[0][0]} are forgotten")
        signer: bytes | None = publisher
        for start, address in signers:
            if start <= position:
                signer = address
        return signer

    # --- events ----------------------------------------------------------------------------------------------

    def _event(self, event: Event, block: Block) -> None:
        publisher = event.publisher
        state = self.publishers.get(publisher) or PublisherState(Head.unpack(publisher, 0), 0, ())
        self._undo[-1].publishers.setdefault(publisher, self.publishers.get(publisher))
        if event.position != len(self.entries):
            raise LogError(
                f"an event of block {block.number} is at position {event.position} of the log, "
                f"which has {len(self.entries)} entries: events are missing, or there are too many"
            )
        if isinstance(event, Committed):
            self.publishers[publisher] = self._committed(event, state, block)
            self.entries.append(event)
        else:
            self.publishers[publisher] = _key_change(event, state)

    def _committed(self, event: Committed, state: PublisherState, block: Block) -> PublisherState:
        who, head = checksum(event.publisher), state.head
        prior = self.entries[head.position] if head.seq else None
        if head.signer is None:
            raise LogError(f"commit {event.commit.seq} of {who} comes after its signer was revoked")
        if event.commit.seq != head.seq + 1:
            raise LogError(f"commit {event.commit.seq} of {who} comes after commit {head.seq}")
        if event.commit.previous != (prior.commit.root if prior else ZERO_HASH):
            raise LogError(f"commit {event.commit.seq} of {who} does not follow from the root of the commit before")
        if event.prior_position != (prior.position if prior else 0):
            raise LogError(f"commit {event.commit.seq} of {who} names a wrong position for the commit before")
        if (event.block, event.time) != (block.number, block.time):
            raise LogError(f"commit {event.commit.seq} of {who} is of another block than {block.number}")
        head = replace(head, seq=event.commit.seq, position=event.position)
        return replace(state, head=head)

    def _begin(self, block: Block) -> _Undo:
        return _Undo(block, len(self.entries))

    def _revert(self, undo: _Undo) -> None:
        del self.entries[undo.length :]
        for publisher, state in undo.publishers.items():
            if state is None:
                self.publishers.pop(publisher, None)
            else:
                self.publishers[publisher] = state


def _key_change(event: Rotated | Revoked | Retired, state: PublisherState) -> PublisherState:
    who = checksum(event.publisher)
    if state.head.retired:
        raise LogError(f"the retired publisher {who} changes its keys")
    if event.nonce != state.nonce:
        raise LogError(f"a change of keys of {who} has the nonce {event.nonce}; {state.nonce} comes next")
    if isinstance(event, Revoked) and event.signer != state.head.signer:
        raise LogError(f"a revocation of {who} names {checksum(event.signer)}, which is not the signer")
    signer = event.signer if isinstance(event, Rotated) else None
    head = replace(state.head, signer=signer, retired=isinstance(event, Retired))
    signers = (*state.signers, (event.position, signer))[-ROTATIONS_MAX:]
    return replace(state, head=head, nonce=state.nonce + 1, signers=signers)
