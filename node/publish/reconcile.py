"""The journal and the signed commits of a home, brought up to what the chain shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dkg.chain.commit import ZERO_HASH
from dkg.client.anchored import PendingError, State
from dkg.client.chainread import FinalityError
from node.publish.errors import JournalError
from node.publish.goals import foreign
from node.publish.jobs import JobState

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.chain.commit import SignedCommit
    from dkg.client.anchored import Client, ClientHead
    from dkg.client.settings import ChainSettings
    from dkg.client.store import SqliteStore
    from node.home import Home
    from node.publish.jobs import Job
    from node.publish.journal import Journal
    from node.publish.places import Places
    from node.publish.waits import Patience

RECOVERED: Final = "recovered commit"
"""What the id and the label of a job begin with whose journal was lost; the commit's number follows."""

FINAL_AT_ONCE: Final = 8
"""Jobs that may have become final before it is asked whether they have: that takes as long as reading a head."""


@dataclass(slots=True)
class Reconciler:
    """Compares a home with its publisher's proved head."""

    home: Home
    settings: ChainSettings
    publisher: bytes
    store: SqliteStore
    journal: Journal
    client: Client
    places: Places
    patience: Patience
    at: Callable[[str], None]
    brought: set[int] = field(default_factory=set)
    """Jobs that were found to be on the chain, and were not known to be."""

    def first_loose(self, head: ClientHead) -> Job | None:
        """Note what is on the chain and what is not any more; the first job whose commit is not there.

        Raises `ForeignCommitError` if the chain has commits that this home did not make, `FinalityError` if one is
        gone that was final, and `JournalError` if the home contradicts itself.
        """
        seq = head.anchored.head.seq
        self._require_ours(head)
        for job in self.journal.open_jobs():
            if job.commit.seq <= seq:
                self._arrived(job, head)
            elif job.state is JobState.MINED:
                reason = f"a reorganisation took it off the chain, seen at block {head.anchored.block.number}"
                self.journal.move(job, JobState.DROPPED, reason)
        return self._next_job(seq + 1, head)

    def finish(self, head: ClientHead, least: int = 1) -> None:
        """Note which jobs are final by now, if at least so many may be."""
        deep = head.anchored.block.number - self.settings.finality_depth
        ripe = [job for job in self.journal.open_jobs() if job.outcome and job.outcome.block <= deep]
        if len(ripe) < least:
            return
        try:
            final = head if head.state is State.FINAL else self.patience(lambda: self.client.head(final=True))
        except PendingError:  # a reorganisation moved what seemed deep enough
            return
        for job in ripe:
            if job.state is JobState.MINED and job.commit.seq <= final.anchored.head.seq:
                self.journal.move(self.current(job, head), JobState.FINAL)
                self.at("final")

    def current(self, job: Job, head: ClientHead) -> Job:
        """A job that is on the chain, with the block that it is in now: a reorganisation may have moved it."""
        kept = job.outcome
        if kept is not None and self.patience(lambda: self.places.has(kept, head)):
            return job
        return self._mined(job, head)

    def kept(self, seq: int) -> SignedCommit | None:
        """The signed commit with a number, None if there is none. Raises `JournalError` if it is of others."""
        kept = self.home.commit(seq)
        if kept is not None and (kept.domain, kept.commit.publisher) != (self.settings.domain, self.publisher):
            raise JournalError(
                f"{self.home.path} has commits of another publisher or for another registry: a home publishes for one "
                "publisher at one registry; use another home (--home DIR)"
            )
        return kept

    def _require_ours(self, head: ClientHead) -> None:
        """The latest commit was made in this home, or its pages are here at least."""
        if head.committed is None:
            return
        commit = head.committed.commit
        kept = self.kept(commit.seq)
        if kept is None and self.store.get(head.root) is not None:
            return
        if kept is None or kept.commit != commit:
            raise foreign(self.publisher, commit.seq)

    def _next_job(self, seq: int, head: ClientHead) -> Job | None:
        """The job of the commit that comes after the head, if this home has one."""
        job = self.journal.at_seq(seq) or self._recovered(seq)
        if job is None:
            return None
        if job.state is JobState.FINAL:
            raise FinalityError(
                f"commit {seq} was final and is not on the chain any more: do not trust this chain before you know why"
            )
        if job.commit.previous == root_digest(head):
            return job
        if job.state is not JobState.PLANNED:
            raise foreign(self.publisher, seq - 1)
        self.journal.move(job, JobState.FAILED, "it was not signed, and the chain has another commit before it")
        return None

    def _recovered(self, seq: int) -> Job | None:
        """A job for a commit that was signed and is not in the journal, which was lost."""
        kept = self.kept(seq)
        if kept is None:
            return None
        return self.journal.plan(f"{RECOVERED} {seq}", f"{RECOVERED} {seq}", kept.commit, JobState.SIGNED)

    def _arrived(self, job: Job, head: ClientHead) -> None:
        """A job whose number the chain has."""
        if job.state is JobState.MINED:
            latest = head.committed
            if latest is not None and latest.commit.seq == job.commit.seq and _moved(job, latest.block):
                self._mined(job, head)
            return
        kept = self.kept(job.commit.seq)
        if kept is None and job.state is JobState.PLANNED:
            self.journal.move(job, JobState.FAILED, "it was not signed, and the chain has another commit in its place")
            return
        if kept is None or kept.commit != job.commit:
            raise JournalError(
                f"the journal and the signed commit {job.commit.seq} in {self.home.path} differ: one of them is "
                "damaged. If the commit's file is as it was, move the journal jobs.db away"
            )
        self._mined(job, head)
        self.brought.add(job.id)

    def _mined(self, job: Job, head: ClientHead) -> Job:
        sent = [attempt.hash for attempt in self.journal.attempts(job)]
        outcome = self.patience(lambda: self.places.outcome(job.commit, sent, head))
        job = self.journal.move(job, JobState.MINED, outcome=outcome)
        self.at("mined")
        return job


def root_digest(head: ClientHead) -> bytes:
    """The digest of the root that the next commit follows from: zeros for the first."""
    return head.committed.commit.root if head.committed else ZERO_HASH


def _moved(job: Job, block: int) -> bool:
    return job.outcome is None or job.outcome.block != block
