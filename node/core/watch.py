"""The chain, watched: steps of the follower, what they come to, and what is wrong when they fail.

Nothing here moves what others see when an endpoint is down or lies: the view stays, and grows old. When a chain that
was final is gone, the view is frozen, and says so until the endpoints show that chain again, or somebody decides
(docs/operations.md).

An endpoint that once left out a change of keys, of a publisher that had no commit yet, is found out when there is one.
Then the whole log is read anew: at once where the follower can prove that, else when what is shown has been wrong some
times in a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from dkg.chain.log import Block
from dkg.client.chainread import FinalityError
from dkg.client.follower import Follower, ForgedPastError, Resumed, kept_blocks
from dkg.client.rpc import ChainError
from dkg.errors import ProofError, StoreError
from node.core.recorded import RecordedLog
from node.core.view import LogView

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.chain.commit import Domain
    from dkg.client.chainread import ChainReader
    from node.core.chainfile import ChainFile, Kept
    from node.core.checkpointwatch import CheckpointWatch


ANEW_AFTER: Final = 5
"""Looks in a row that were wrong, after which the log is read anew; twice as many the next time."""


class Condition(StrEnum):
    """How the last look at the chain went."""

    STARTING = "starting"
    """There was none yet."""
    FOLLOWING = "following"
    DOWN = "down"
    """The endpoints do not answer, or lag behind."""
    WRONG = "wrong"
    """The endpoints show what cannot be."""
    FROZEN = "frozen"
    """What was final is not on the chain any more."""


@dataclass(slots=True)
class Counted:
    """What happened since the node started."""

    steps: int = 0
    failures: int = 0
    reorganisations: int = 0
    blocks_back: int = 0
    """Blocks that the chain left."""
    read_anew: int = 0
    """How often the whole log was read again."""


class Watch:
    """See the module. `step` is for one thread at a time; the rest may be read in any."""

    def __init__(
        self,
        reader: ChainReader,
        domain: Domain,
        file: ChainFile[RecordedLog],
        kept: Kept[RecordedLog],
        *,
        first_block: int,
        finality_depth: int,
        checkpoints: CheckpointWatch | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """`kept`: what `file` held; that is the view until the first step. `progress`: see `Follower.step`.

        `checkpoints`: the checkpoint contract, if it is followed too; every view has both as of one block.
        """
        self._reader = reader
        self._domain = domain
        self._file = file
        self._first_block = first_block
        self._depth = finality_depth
        self._log = kept.log
        self._follower = self._following(kept.resumed)
        self._progress = progress
        self.checkpoints = checkpoints
        self._checked_chain = False
        self._wrong = 0
        self._anew_after = ANEW_AFTER
        self._is_anew = False
        self.counted = Counted()
        self.condition = Condition.STARTING
        self.trouble = ""
        """What was wrong with the last look; empty if nothing was."""
        self.disk_trouble = ""
        """Why what was read is not kept on this disk; empty if it is."""
        self.view = LogView(self._log.copy(), kept.head, self._follower.final_position)

    def step(self) -> LogView:
        """Look at the chain; gives the view after that, which is the one before if there is nothing new."""
        self.counted.steps += 1
        try:
            self._require_chain()
            step = self._follower.step(self._progress)
        except FinalityError as error:
            self._failed(Condition.FROZEN, error)
            self.view = replace(self.view, frozen=str(error))
            return self.view
        except ProofError as error:
            self._failed(Condition.WRONG, error)
            self._wrong += 1
            is_first = self._anew_after == ANEW_AFTER
            if self._wrong >= self._anew_after or (is_first and isinstance(error, ForgedPastError)):
                self._begin_anew()
            return self.view
        except ChainError as error:
            self._failed(Condition.DOWN, error)
            return self.view
        self._wrong, self._anew_after = 0, ANEW_AFTER
        self.condition, self.trouble = Condition.FOLLOWING, ""
        if step.rolled_back:
            self.counted.reorganisations += 1
            self.counted.blocks_back += step.rolled_back
        head = Block(step.head.number, step.head.hash, step.head.parent, step.head.timestamp)
        watch, before = self.checkpoints, self.view
        seen = None if watch is None else watch.step(step.head, self._log, self._follower.final)
        if head != before.head or before.frozen or step.proved != before.proved or seen is not before.checkpoints:
            log = self._log.copy() if self._log.records or self._is_anew else before.log
            final, went_back = self._follower.final_position, self.counted.reorganisations
            self.view = LogView(log, head, final, step.proved, seen, reorganisations=went_back)
            self._write(head)
        return self.view

    def doubt(self, publisher: bytes) -> None:
        """See `Follower.doubt`. In any thread."""
        self._follower.doubt(publisher)

    def _following(self, resumed: Resumed) -> Follower:
        return Follower(
            self._reader,
            self._domain,
            first_block=self._first_block,
            finality_depth=self._depth,
            resumed=resumed,
        )

    def _begin_anew(self) -> None:
        """Have the next step read everything. What was final must be on the chain all the same."""
        self._log = RecordedLog(kept_blocks(self._depth))
        self._follower = self._following(Resumed(self._log, self._follower.final, 0))
        self._wrong, self._anew_after, self._is_anew = 0, 2 * self._anew_after, True
        self.counted.read_anew += 1

    def _require_chain(self) -> None:
        """Once, that the endpoints are of the chain that this node follows."""
        if self._checked_chain:
            return
        found = self._reader.chain_id()
        if found != self._domain.chain_id:
            raise ProofError(f"the endpoint is of chain {found}, not {self._domain.chain_id}")
        self._checked_chain = True

    def _failed(self, condition: Condition, error: Exception) -> None:
        self.condition, self.trouble = condition, str(error)
        self.counted.failures += 1

    def _write(self, head: Block) -> None:
        final = self._follower.final
        if final is None or self.disk_trouble:
            return
        try:
            if self._is_anew:
                self._file.empty()
                self._is_anew = False
            self._file.write(self._log, final, head, self._follower.proved_entries)
        except StoreError as error:  # what was read counts all the same; it is read again when the node starts
            self.disk_trouble = str(error)

    def flush(self) -> None:
        """Write down how far the chain was read, before the node ends. Raises `StoreError`.

        What a look that failed has read in part is not written down.
        """
        final, head = self._follower.final, self.view.head
        if final is not None and head is not None and not (self._log.records or self._is_anew or self.disk_trouble):
            self._file.flush(self._log, final, head, self._follower.proved_entries)
            if self.checkpoints is not None:
                self.checkpoints.flush(head, final)
