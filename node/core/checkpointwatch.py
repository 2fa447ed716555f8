"""The checkpoint contract, watched beside the registry: its log as of the block that the registry's log is of.

What goes wrong here never holds up the registry's log: then nothing is said of checkpoints until it is right again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.chain.checkpoints import ContractState
from dkg.chain.log import Block
from dkg.client.checkpointfollow import CheckpointFollower
from dkg.client.follower import kept_blocks
from dkg.client.rpc import ChainError
from dkg.errors import ProofError, StoreError
from node.core.recorded import RecordedCheckpoints

if TYPE_CHECKING:
    from dkg.chain.checkpoint_log import CheckpointLog
    from dkg.chain.header import Header
    from dkg.chain.log import RegistryLog
    from dkg.client.chainread import ChainReader
    from node.core.chainfile import ChainFile, Kept

ANEW_AFTER: Final = 5
"""Looks in a row that were wrong, after which the log is read anew; twice as many the next time."""


@dataclass(frozen=True, slots=True, eq=False)
class CheckpointView:
    """The contract as of a view's block. `log` is for reading, and changes no more."""

    log: CheckpointLog
    proved: bool
    """Whether all of it is proved from the head's state root."""
    settled: int = 0
    """Id of the latest checkpoint that was final already in the newest block that is final; 0: none was."""
    settled_marks: int = 0
    """How many marks there were in that block."""


class CheckpointWatch:
    """See the module. For one thread at a time."""

    def __init__(
        self,
        reader: ChainReader,
        file: ChainFile[RecordedCheckpoints],
        kept: Kept[RecordedCheckpoints],
        *,
        first_block: int,
        finality_depth: int,
    ) -> None:
        """`kept`: what `file` held. `first_block`: of the registry's deployment, or any block before."""
        self._reader = reader
        self._file = file
        self._first_block = first_block
        self._depth = finality_depth
        self._follower = self._following(kept.log, proved=bool(kept.proved_entries))
        self._log = kept.log
        self._wrong = 0
        self._anew_after = ANEW_AFTER
        self._is_anew = False
        self.view: CheckpointView | None = None
        """As of the last block that was read."""
        self.trouble = ""
        """Why nothing is said of checkpoints; empty if something is, or nothing was looked at yet."""
        self.disk_trouble = ""
        """Why what was read is not kept on this disk; empty if it is."""

    def step(self, head: Header, registry: RegistryLog, final: tuple[int, bytes] | None) -> CheckpointView | None:
        """Look up to a block, of which `registry` is; None: it failed. `final`: number and hash of what is final."""
        is_news = head != self._follower.head
        try:
            self._follower.step(head, registry)
        except (ProofError, ChainError) as error:
            self.view, self.trouble = None, str(error)
            self._wrong += isinstance(error, ProofError)
            if self._wrong >= self._anew_after:
                self._begin_anew()
            return None
        self._wrong, self._anew_after, self.trouble = 0, ANEW_AFTER, ""
        if is_news or self.view is None:
            before, proved = self.view, self._follower.proved
            state = ContractState(0, 0, 0, 0) if final is None else self._log.state_at(final[0])
            told = proved, state.final, state.marks
            is_same = before is not None and (before.proved, before.settled, before.settled_marks) == told
            if before is None or self._log.records or self._is_anew or not is_same:
                self.view = CheckpointView(self._log.copy(), *told)
            self._write(Block(head.number, head.hash, head.parent, head.timestamp), final)
        return self.view

    def flush(self, head: Block, final: tuple[int, bytes]) -> None:
        """Write down how far the contract was read, if that is up to this block. Raises `StoreError`."""
        if self.view is not None and not (self._log.records or self._is_anew or self.disk_trouble):
            self._file.flush(self._log, final, head, int(self._follower.proved))

    def _following(self, log: RecordedCheckpoints, *, proved: bool) -> CheckpointFollower:
        address = self._file.domain.registry
        return CheckpointFollower(self._reader, address, log, first_block=self._first_block, proved=proved)

    def _begin_anew(self) -> None:
        self._log = RecordedCheckpoints(kept_blocks(self._depth))
        self._follower = self._following(self._log, proved=False)
        self._wrong, self._anew_after, self._is_anew = 0, 2 * self._anew_after, True

    def _write(self, head: Block, final: tuple[int, bytes] | None) -> None:
        if final is None or self.disk_trouble:
            return
        try:
            if self._is_anew:
                self._file.empty()
                self._is_anew = False
            self._file.write(self._log, final, head, int(self._follower.proved))
        except StoreError as error:  # what was read counts all the same; it is read again when the node starts
            self.disk_trouble = str(error)
