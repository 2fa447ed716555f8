"""The registry's log as of one block, for everybody to read: a `LogView` never changes."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg.chain.log import RegistryLog
from dkg.page import CID_PREFIX
from node.replication.messages import Anchored

if TYPE_CHECKING:
    from dkg.chain.log import Block
    from dkg.chain.registry import Committed
    from node.core.checkpointwatch import CheckpointView


@dataclass(frozen=True, slots=True, eq=False)
class LogView:
    """The log up to a block. `log` is for reading."""

    log: RegistryLog = field(default_factory=RegistryLog)
    head: Block | None = None
    """The newest block that was read; None before the first was."""
    final_position: int = 0
    """How many entries are final."""
    proved: bool = False
    """Whether all of it is proved from the head's state root."""
    checkpoints: CheckpointView | None = None
    """The checkpoint contract as of the same block; None: none is followed, or it could not be read."""
    frozen: str = ""
    """Why nothing is final any more, if a chain that was final is gone: then nothing moves. Empty: all is well."""
    reorganisations: int = 0
    """How often blocks that had been read were not the chain's any more, since this node started."""

    @property
    def length(self) -> int:
        """How many entries there are."""
        return len(self.log.entries)

    def has(self, committed: Committed) -> bool:
        """Whether this is one of the entries."""
        return committed.position < self.length and self.log.entries[committed.position] == committed

    def confirms(self, head: Anchored) -> bool:
        """See `node.replication.state.Chain.confirms`."""
        return head.position < self.length and anchored(self.log.entries[head.position]) == head

    def latest(self, publisher: bytes) -> Committed | None:
        """A publisher's latest commit."""
        return self.log.head_at(publisher, self.length)

    def prior(self, committed: Committed) -> Committed | None:
        """The commit of the same publisher before one; None before the first."""
        return self.log.entries[committed.prior_position] if committed.commit.seq > 1 else None

    def commit(self, publisher: bytes, seq: int) -> Committed | None:
        """A publisher's commit by its number."""
        found = self.latest(publisher)
        while found is not None and found.commit.seq > seq:
            found = self.prior(found)
        return found if found is not None and found.commit.seq == seq else None

    def signer(self, publisher: bytes) -> bytes | None:
        """Who signs the publisher's next commit; None: nobody."""
        state = self.log.publishers.get(publisher)
        return publisher if state is None else state.head.signer

    def at_block(self, number: int) -> int:
        """How many entries there are up to a block."""
        return bisect_right(self.log.entries, number, key=lambda one: one.block)

    def at_time(self, time: int) -> int:
        """How many entries there are up to a time, in Unix seconds."""
        return bisect_right(self.log.entries, time, key=lambda one: one.time)

    def common(self, later: LogView) -> int:
        """How many entries this and a later view have in common, from the first. What was final is the same."""
        ours, theirs = self.log.entries, later.log.entries
        length = min(len(ours), len(theirs))
        at = min(self.final_position, length)
        while at < length and ours[at] == theirs[at]:
            at += 1
        return at


def dataset_root(committed: Committed) -> bytes:
    """The CID of the dataset that a commit names."""
    return CID_PREFIX + committed.commit.root


def anchored(committed: Committed) -> Anchored:
    """A commit as peers tell it each other."""
    commit = committed.commit
    return Anchored(commit.publisher, commit.seq, CID_PREFIX + commit.root, commit.count, committed.position)
