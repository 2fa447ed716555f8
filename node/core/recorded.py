"""Logs that tell what happens to them, and how their events are written down (`node.core.chainfile`)."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from dkg.chain import checkpoint_events as seen
from dkg.chain.checkpoint_log import CheckpointLog
from dkg.chain.checkpoints import Reason
from dkg.chain.commit import Commit
from dkg.chain.log import Block, RegistryLog
from dkg.chain.registry import Committed, Retired, Revoked, Rotated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dkg.chain.checkpoint_events import CheckpointEvent
    from dkg.chain.checkpoint_log import Snapshot
    from dkg.chain.log import Mark
    from dkg.chain.registry import Event

_COMMITTED, _ROTATED, _REVOKED, _RETIRED = range(4)
_CHECKPOINT_EVENTS: Final = (
    seen.Proposed, seen.Refuted, seen.Finalised, seen.Marked, seen.Shown, seen.Demanded, seen.Answered, seen.Expired,
)  # fmt: skip


class Recording:
    """`records`: what happened to a log since it was last written down.

    Blocks without events are left out: where the log was read to is in every frame.
    """

    def __init__(self) -> None:
        self.records: list[list[Any]] = []
        self._written = -1  # number of the newest block that is written down

    def written(self) -> None:
        """All records are written down."""
        if self.records:
            self._written = self.records[-1][1]
        self.records = []

    def _record(self, block: Block, events: list[Any]) -> None:
        if events:
            self.records.append(["b", *block_row(block), events])

    def _went_back(self, tip: Block | None) -> None:
        """Forget the records of blocks that are gone; of those that are written down, tell."""
        number = tip.number if tip else -1
        while self.records and self.records[-1][1] > number - (self.records[-1][0] == "r"):
            self.records.pop()
        if self._written > number:
            self.records.append(["r", number])


class RecordedLog(Recording, RegistryLog):
    """The registry's log, which tells what happens to it."""

    def __init__(self, kept: int) -> None:
        Recording.__init__(self)
        RegistryLog.__init__(self, kept)

    def apply(self, block: Block, events: Sequence[Event]) -> None:
        """See `RegistryLog.apply`."""
        super().apply(block, events)
        self._record(block, [_event(event) for event in events])

    def rollback(self, number: int) -> None:
        """See `RegistryLog.rollback`."""
        super().rollback(number)
        self._went_back(self.tip)

    def restore(self, mark: Mark) -> None:
        """See `RegistryLog.restore`."""
        super().restore(mark)
        self._went_back(self.tip)

    def settled(self, final: int) -> int:
        """The block of the latest entry up to a block; -1 if there is none."""
        return next((one.block for one in reversed(self.entries) if one.block <= final), -1)

    def copy(self) -> RegistryLog:
        """The log as it is, for reading: it changes no more."""
        made = RegistryLog()
        made.entries = self.entries.copy()
        made.publishers = self.publishers.copy()
        return made


class RecordedCheckpoints(Recording, CheckpointLog):
    """The checkpoint contract's log, which tells what happens to it."""

    def __init__(self, kept: int) -> None:
        Recording.__init__(self)
        CheckpointLog.__init__(self, kept)

    def apply(self, block: Block, events: Sequence[CheckpointEvent]) -> None:
        """See `CheckpointLog.apply`."""
        super().apply(block, events)
        self._record(block, [_checkpoint_event(event) for event in events])

    def rollback(self, number: int) -> None:
        """See `CheckpointLog.rollback`."""
        super().rollback(number)
        self._went_back(self.tip)

    def restore(self, snapshot: Snapshot) -> None:
        """See `CheckpointLog.restore`."""
        super().restore(snapshot)
        self._went_back(self.tip)

    def settled(self, _final: int) -> int:
        """What becomes final is nothing to write down here."""
        return -1


L = TypeVar("L", RecordedLog, RecordedCheckpoints)


@dataclass(frozen=True, slots=True)
class Kind(Generic[L]):
    """A contract whose log is kept. `make`: an empty log that keeps so many blocks; `event_of`: reads an event back."""

    name: str
    make: Callable[[int], L]
    event_of: Callable[[list[Any], Block], Any]


def block_row(block: Block) -> list[Any]:
    """A block as it is written down."""
    return [block.number, block.hash, block.parent, block.time]


def _event(event: Event) -> list[Any]:
    match event:
        case Committed():
            commit = event.commit
            own = [commit.publisher, commit.seq, commit.root, commit.count, commit.previous, commit.created]
            return [_COMMITTED, *own, event.position, event.prior_position]
        case Rotated():
            return [_ROTATED, event.publisher, event.signer, event.nonce, event.position]
        case Revoked():
            return [_REVOKED, event.publisher, event.signer, event.nonce, event.position]
        case Retired():
            return [_RETIRED, event.publisher, event.nonce, event.position]


def _event_of(found: list[Any], block: Block) -> Event:
    kind, *values = found
    if kind == _COMMITTED:
        *own, position, prior = values
        return Committed(Commit(*own), position, prior, block.number, block.time)
    made: type[Rotated | Revoked | Retired] = {_ROTATED: Rotated, _REVOKED: Revoked, _RETIRED: Retired}[kind]
    return made(*values)


def _checkpoint_event(event: CheckpointEvent) -> list[Any]:
    if isinstance(event, seen.Answered):
        event = replace(event, raw=b"")  # the log does not keep pages
    values = [getattr(event, one.name) for one in fields(event)]
    plain = [int(value) if isinstance(value, int) else value for value in values]
    return [_CHECKPOINT_EVENTS.index(type(event)), *plain]


def _checkpoint_event_of(found: list[Any], _block: Block) -> CheckpointEvent:
    number, *values = found
    kind = _CHECKPOINT_EVENTS[number]
    if kind is seen.Marked:
        values[2] = Reason(values[2])
    elif kind is seen.Shown:
        values[1] = seen.Page(values[1])
    elif kind is seen.Demanded:
        values[2] = seen.Target(values[2])
    return kind(*values)


REGISTRY: Final = Kind("chain", RecordedLog, _event_of)
CHECKPOINTS: Final = Kind("checkpoint", RecordedCheckpoints, _checkpoint_event_of)
