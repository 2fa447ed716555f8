"""The checkpoint contract as its events make it, block by block, with rollback: what a follower keeps.

`CheckpointLog` is a pure function of the events, like `dkg.chain.log.RegistryLog`. It re-derives what the contract
enforces (ids and numbers without gap, windows, what is pending, what may end) and refuses events that break it. What
it cannot see for itself, whether a challenge was right, is what the contract is for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.checkpoint_events import (
    Answered,
    CheckpointEvent,
    Demanded,
    Expired,
    Finalised,
    Marked,
    Page,
    Proposed,
    Refuted,
    Shown,
    Target,
)
from dkg.chain.checkpoints import OPEN_MAX, Checkpoint, ContractState, Mark, Status
from dkg.chain.log import BlockLog, LogError

if TYPE_CHECKING:
    from dkg.chain.log import Block

DEMAND_WINDOWS: Final = 2
"""A demand puts off the end of a checkpoint's window to so many demand windows from then."""


@dataclass(slots=True)
class _Undo:
    block: Block
    state: ContractState
    opened: tuple[int, ...]
    changes: list[tuple[dict[Any, Any], Any, Any]] = field(default_factory=list)
    """Tables, keys, and what was there before; None: nothing."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a log was; see `CheckpointLog.snapshot`."""

    state: ContractState
    opened: tuple[int, ...]
    tables: tuple[dict[Any, Any], ...]
    undo: tuple[_Undo, ...]


class CheckpointLog(BlockLog[CheckpointEvent, _Undo]):
    """All checkpoints and marks so far, and open demands. `kept_blocks`: how many blocks can be rolled back.

    Positions are not compared with the registry's log here.
    """

    def __init__(self, kept_blocks: int = 256) -> None:
        super().__init__(kept_blocks)
        self.state = ContractState(0, 0, 0, 0)
        self.opened: tuple[int, ...] = ()
        """Ids of the pending checkpoints, oldest first."""
        self.checkpoints: dict[int, Checkpoint] = {}
        """By id."""
        self.marks: dict[int, Mark] = {}
        """By number, from 1."""
        self.marked: dict[int, Mark] = {}
        """By the commit's position in the registry's log."""
        self.demands: dict[int, Demanded] = {}
        """Those that are open, by number."""
        self.shown: dict[bytes, Page] = {}
        """What was shown, by digest."""
        self.answered: dict[bytes, tuple[int, int]] = {}
        """Demands that pages were shown for first, by digest, and the blocks that have their bytes."""

    @property
    def final(self) -> Checkpoint | None:
        """The latest final checkpoint."""
        return self.checkpoints.get(self.state.final)

    @property
    def pending(self) -> list[Checkpoint]:
        """The pending checkpoints, oldest first."""
        return [self.checkpoints[one] for one in self.opened]

    def state_at(self, number: int) -> ContractState:
        """What the contract's state was after the block with a number, one of those that can be rolled back to."""
        after = (undo.state for undo in self._undo if undo.block.number > number)
        return next(after, self.state)

    def mark_at(self, position: int, marks: int) -> Mark | None:
        """The mark of the commit at a position, if it is among the first `marks`."""
        found = self.marked.get(position)
        return found if found is not None and found.number <= marks else None

    def snapshot(self) -> Snapshot:
        """What the log is now, to come back to with `restore` however many blocks are applied in between."""
        tables = tuple(table.copy() for table in self._tables())
        return Snapshot(self.state, self.opened, tables, tuple(self._undo))

    def restore(self, snapshot: Snapshot) -> None:
        """Make the log what it was; not after a `rollback` to before that."""
        for table, before in zip(self._tables(), snapshot.tables, strict=True):
            table.clear()
            table.update(before)
        self.state, self.opened, self._undo = snapshot.state, snapshot.opened, list(snapshot.undo)

    def copy(self) -> CheckpointLog:
        """The log as it is, for reading: it changes no more, and cannot be rolled back."""
        made = CheckpointLog()
        made.restore(replace(self.snapshot(), undo=()))
        return made

    def _tables(self) -> tuple[dict[Any, Any], ...]:
        return self.checkpoints, self.marks, self.marked, self.demands, self.shown, self.answered

    def _put(self, table: dict[Any, Any], key: object, value: object) -> None:
        """Set a value, or take it out (None), so that it can be undone."""
        self._undo[-1].changes.append((table, key, table.get(key)))
        _set(table, key, value)

    def _begin(self, block: Block) -> _Undo:
        return _Undo(block, self.state, self.opened)

    def _revert(self, undo: _Undo) -> None:
        for table, key, before in reversed(undo.changes):
            _set(table, key, before)
        self.state, self.opened = undo.state, undo.opened

    # --- events ----------------------------------------------------------------------------------------------

    def _event(self, event: CheckpointEvent, block: Block) -> None:
        time = block.time
        match event:
            case Proposed():
                self._proposed(event, time)
            case Refuted():
                self._end(self._pending(event.id, "is refuted"), Status.REFUTED)
            case Finalised():
                self._finalised(event, time)
            case Marked():
                self._marked(event)
            case Shown():
                self._shown(event)
            case Demanded():
                self._demanded(event, time)
            case Answered() | Expired():
                self._closed(event, block)

    def _proposed(self, event: Proposed, time: int) -> None:
        if event.id != self.state.last + 1:
            raise LogError(f"checkpoint {event.id} comes after checkpoint {self.state.last}: some are missing")
        if event.marks > self.state.marks:
            raise LogError(f"checkpoint {event.id} is about more marks than there are")
        if event.ends < time:
            raise LogError(f"checkpoint {event.id} ends before it begins")
        made = Checkpoint(
            event.id, event.proposer, event.position, event.marks, event.root, Status.PENDING, time, event.ends, 0, 0
        )
        final, wanted = self.final, (event.position, event.marks)
        if final is not None and not (_above(made, final) and wanted != (final.position, final.marks)):
            raise LogError(f"checkpoint {event.id} is about no more than checkpoint {final.id}, which is final")
        if any((one.position, one.marks, one.root) == (*wanted, event.root) for one in self.pending):
            raise LogError(f"checkpoint {event.id} says what a pending one says")
        if len(self.opened) == OPEN_MAX:
            raise LogError(f"checkpoint {event.id} is one more than can be pending")
        self._put(self.checkpoints, event.id, made)
        self.state = replace(self.state, last=event.id)
        self.opened = (*self.opened, event.id)

    def _finalised(self, event: Finalised, time: int) -> None:
        found = self._pending(event.id, "becomes final")
        if time < found.ends or found.open_demands:
            raise LogError(f"checkpoint {event.id} becomes final before its window ends")
        self._end(found, Status.FINAL)
        if self.final is None or _above(found, self.final):
            self.state = replace(self.state, final=event.id)

    def _marked(self, event: Marked) -> None:
        if event.number != self.state.marks + 1:
            raise LogError(f"mark {event.number} comes after mark {self.state.marks}: some are missing")
        if event.position in self.marked:
            raise LogError(f"mark {event.number} is of commit {event.position}, which is marked")
        mark = Mark(event.number, event.position, event.reason)
        self._put(self.marks, mark.number, mark)
        self._put(self.marked, mark.position, mark)
        self.state = replace(self.state, marks=event.number)

    def _shown(self, event: Shown) -> None:
        if event.digest in self.shown:
            raise LogError(f"the page {event.digest.hex()} is shown twice")
        self._put(self.shown, event.digest, event.kind)

    def _demanded(self, event: Demanded, time: int) -> None:
        if event.demand != self.state.demands + 1:
            raise LogError(f"demand {event.demand} comes after demand {self.state.demands}: some are missing")
        if event.deadline < time:
            raise LogError(f"demand {event.demand} ends before it begins")
        if event.kind is Target.CHECKPOINT:
            found = self._pending(event.target, "gets a demand")
            ends = max(found.ends, time + DEMAND_WINDOWS * (event.deadline - time))
            more = replace(found, ends=ends, open_demands=found.open_demands + 1, demands=found.demands + 1)
            self._put(self.checkpoints, found.id, more)
        elif event.target in self.marked:
            raise LogError(f"demand {event.demand} is of commit {event.target}, which is marked")
        self._put(self.demands, event.demand, event)
        self.state = replace(self.state, demands=event.demand)

    def _closed(self, event: Answered | Expired, block: Block) -> None:
        found, time = self.demands.get(event.demand), block.time
        if found is None:
            raise LogError(f"demand {event.demand}, which is not open, is answered or expires")
        if isinstance(event, Answered) and (event.digest != found.digest or time > found.deadline):
            raise LogError(f"demand {event.demand} is answered too late, or with another page than it asks for")
        if isinstance(event, Expired) and time <= found.deadline:
            raise LogError(f"demand {event.demand} expires before its deadline")
        self._put(self.demands, event.demand, None)
        if isinstance(event, Answered) and event.digest not in self.answered:
            self._put(self.answered, event.digest, (event.demand, block.number))
        if found.kind is Target.CHECKPOINT:
            of = self.checkpoints[found.target]
            self._put(self.checkpoints, of.id, replace(of, open_demands=of.open_demands - 1))

    def _pending(self, checkpoint: int, what: str) -> Checkpoint:
        if checkpoint not in self.opened:
            raise LogError(f"checkpoint {checkpoint}, which is not pending, {what}")
        return self.checkpoints[checkpoint]

    def _end(self, found: Checkpoint, status: Status) -> None:
        self._put(self.checkpoints, found.id, replace(found, status=status))
        self.opened = tuple(one for one in self.opened if one != found.id)


def _above(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether a checkpoint goes back from another in neither position nor marks."""
    return one.position >= other.position and one.marks >= other.marks


def _set(table: dict[Any, Any], key: object, value: object) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
