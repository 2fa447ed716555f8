"""All publishers by a checkpoint: which root is asked, and which datasets stand beside it.

From a view of the chain and what is kept, as `node.core.standings` for everything else.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from dkg.chain.checkpoints import Status
from dkg.chain.secp import checksum
from dkg.checkpoints.answer import Parts
from dkg.checkpoints.records import counting_commit, marked_among
from dkg.errors import InputError
from dkg.page import CID_PREFIX, cid_text
from node.core.view import LogView, dataset_root
from node.serving import (
    NOW,
    At,
    Checkpointed,
    CheckpointsStatus,
    Claim,
    NoCheckpointError,
    Standing,
    State,
    UnknownMomentError,
)
from node.union_keeper import publisher_name

if TYPE_CHECKING:
    from dkg.chain.checkpoint_log import CheckpointLog
    from dkg.chain.checkpoints import Checkpoint
    from dkg.chain.commit import Domain
    from dkg.chain.log import RegistryLog
    from node.core.checkpointwatch import CheckpointView
    from node.core.heads import CoreChain
    from node.core.shelf import Shelf
    from node.serving import Datasets

CHECKPOINT: Final = "checkpoint:"
"""What the names begin with under which the unions of checkpoints are kept; then comes the id."""


def changed_since(log: RegistryLog, contract: CheckpointLog, checkpoint: Checkpoint) -> set[bytes]:
    """Publishers of whom something else may count than the checkpoint has: they committed, or what counted was marked.

    A mark of a commit before the one that counts changes nothing (`dkg.client.counting.changes_since`).
    """
    found = {one.publisher for one in log.entries[checkpoint.position :]}
    marked = marked_among(contract.marked, contract.state.marks)
    for number in range(checkpoint.marks + 1, contract.state.marks + 1):
        position = contract.marks[number].position
        if position < checkpoint.position:
            publisher = log.entries[position].publisher
            counts = counting_commit(log, publisher, checkpoint.position, marked)
            if counts is None or counts.position < position:
                found.add(publisher)
    return found


def beside(log: RegistryLog, contract: CheckpointLog, checkpoint: Checkpoint) -> Datasets:
    """What counts now of those of whom it may have changed since a checkpoint."""
    marked = marked_among(contract.marked, contract.state.marks)
    found = []
    for publisher in sorted(changed_since(log, contract, checkpoint)):
        one = counting_commit(log, publisher, len(log.entries), marked)
        found.append((publisher, None if one is None else dataset_root(one)))
    return tuple(found)


class _Known:
    """What follows from one view, so that not each question goes through the log. In any thread."""

    def __init__(self, view: LogView) -> None:
        self.view = view
        self.now: tuple[object, Standing] | None = None
        """What was kept, and what is asked where nobody names a checkpoint."""
        self._beside: dict[int, Datasets] = {}
        self._changed: dict[int, tuple[bytes, ...]] = {}

    @cached_property
    def publishers(self) -> tuple[bytes, ...]:
        """All that have committed anything."""
        return tuple(sorted(who for who, state in self.view.log.publishers.items() if state.head.seq))

    def beside(self, checkpoint: Checkpoint, seen: CheckpointView) -> Datasets:
        """See `beside`."""
        if checkpoint.id not in self._beside:
            self._beside[checkpoint.id] = beside(self.view.log, seen.log, checkpoint)
        return self._beside[checkpoint.id]

    def changed(self, checkpoint: Checkpoint, seen: CheckpointView) -> tuple[bytes, ...]:
        """See `changed_since`: anybody may ask for the status, as often as it likes."""
        if checkpoint.id not in self._changed:
            self._changed[checkpoint.id] = tuple(sorted(changed_since(self.view.log, seen.log, checkpoint)))
        return self._changed[checkpoint.id]

    def is_all(self, checkpoint: Checkpoint, datasets: Datasets, seen: CheckpointView) -> bool:
        """Whether a checkpoint with these datasets beside it is what counts now, as they are all there should be."""
        needed, named = dict(self.beside(checkpoint, seen)), dict(datasets)
        if named == needed:
            return True
        marked = marked_among(seen.log.marked, seen.log.state.marks)
        for publisher in named.keys() - needed.keys():
            one = counting_commit(self.view.log, publisher, self.view.length, marked)
            needed[publisher] = None if one is None else dataset_root(one)
        return named == needed


class ByCheckpoint:
    """See the module. In any thread."""

    def __init__(self, domain: Domain, chain: CoreChain, shelf: Shelf, finality_depth: int) -> None:
        self._domain = domain
        self._chain = chain
        self._shelf = shelf
        self._depth = finality_depth
        self._known = _Known(LogView())

    def find(self, at: At = NOW, datasets: Datasets = ()) -> Standing:
        """See `Service.checkpointed`."""
        view, kept = self._chain.view, self._shelf.kept
        if view.head is None or view.checkpoints is None:
            raise NoCheckpointError("this node follows no checkpoint contract, or has not read it yet")
        known = self._known_of(view)
        if at != NOW:
            return self._standing(self._named(at, view.checkpoints), datasets, known, view.checkpoints)
        if known.now is None or known.now[0] is not kept:
            latest = view.checkpoints.log.final
            if latest is None:
                raise NoCheckpointError("no checkpoint is final yet")
            found = known.beside(latest, view.checkpoints)
            known.now = kept, self._standing(latest, found, known, view.checkpoints)
        return known.now[1]

    def status(self, contract: bytes | None) -> CheckpointsStatus:
        """See `Service.checkpoints`. `contract`: its address."""
        view = self._chain.view
        if view.head is None or view.checkpoints is None or contract is None:
            raise NoCheckpointError("this node follows no checkpoint contract, or has not read it yet")
        log = view.checkpoints.log
        final = log.final
        known = [*([] if final is None else [final]), *log.pending]
        return CheckpointsStatus(
            contract,
            log,
            view.checkpoints.proved,
            frozenset(one.id for one in known if self._holds(one)),
            view.head.number,
            view.head.time,
            view.length,
            () if final is None else self._known_of(view).changed(final, view.checkpoints),
        )

    def _known_of(self, view: LogView) -> _Known:
        known = self._known
        if known.view is not view:
            known = self._known = _Known(view)
        return known

    def _holds(self, checkpoint: Checkpoint) -> bool:
        root = CID_PREFIX + checkpoint.root
        return any(one.root == root for one in self._shelf.rows(f"{CHECKPOINT}{checkpoint.id}"))

    def _named(self, at: At, seen: CheckpointView) -> Checkpoint:
        if at.root is None or at != At(root=at.root):
            raise InputError("by a checkpoint, all publishers are asked as of now, or of its root")
        # Whoever wants what is final asks the one that was so in the newest block that is final.
        for number in (seen.log.state.final, seen.settled, *seen.log.opened):
            one = seen.log.checkpoints.get(number)
            if one is not None and CID_PREFIX + one.root == at.root:
                return one
        raise UnknownMomentError(f"{cid_text(at.root)} is the root of no checkpoint that is final or pending now")

    def _standing(self, checkpoint: Checkpoint, datasets: Datasets, known: _Known, seen: CheckpointView) -> Standing:
        root, view, head = CID_PREFIX + checkpoint.root, known.view, known.view.head
        assert head is not None  # noqa: S101 - `find` has looked
        Parts(self._domain, root, dict(datasets))  # raises if they are too many
        if not self._holds(checkpoint):
            raise UnknownMomentError(
                f"the pages of checkpoint {checkpoint.id} are not here: ask again, or another node"
            )
        for publisher, one in datasets:
            if one is not None and not any(row.root == one for row in self._shelf.rows(publisher_name(publisher))):
                raise UnknownMomentError(f"{cid_text(one)} of {checksum(publisher)} is not here: ask again in a moment")
        is_now = known.is_all(checkpoint, datasets, seen)
        return Standing(
            root=root,
            publishers=known.publishers,
            claim=Claim.UNION,
            state=_state(checkpoint, view, seen, is_now=is_now),
            position=view.length if is_now else checkpoint.position,
            seq=None,
            block=head.number,
            block_hash=head.hash,
            block_time=head.time,
            finality_depth=self._depth,
            checkpoint=Checkpointed(checkpoint.id, checkpoint.position, _alone(checkpoint, view, seen), datasets),
        )


def _alone(checkpoint: Checkpoint, view: LogView, seen: CheckpointView) -> State:
    """The state of a checkpoint; final is what was so in the newest block that is final."""
    if checkpoint.disputed or view.frozen:
        return State.DISPUTED
    return State.FINAL if checkpoint.status is Status.FINAL and checkpoint.id == seen.settled else State.PENDING


def _state(checkpoint: Checkpoint, view: LogView, seen: CheckpointView, *, is_now: bool) -> State:
    """The state of an answer: all commits and marks since must be final too."""
    alone = _alone(checkpoint, view, seen)
    if alone is not State.FINAL:
        return alone
    is_buried = view.length <= view.final_position and seen.log.state.marks == seen.settled_marks
    return State.FINAL if is_now and is_buried else State.PENDING
