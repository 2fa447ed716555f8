"""One publish while it holds its home: earlier jobs first, then the new one, each to the chain and proved there.

The store's head is the root of the publisher's latest commit that this home has seen proved on the chain. The pages of
a planned commit are durable before its job is; the store counts its root among those it has had, which keeps its pages
from being collected, and the head stays (before the first commit there is none that could). So a crash leaves a job
that goes on, or nothing that a reader sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.chain.commit import ZERO_HASH, Commit
from dkg.client.anchored import State
from dkg.client.chainread import FinalityError
from dkg.dataset import build_dataset, update_dataset
from dkg.errors import InputError
from dkg.page import CID_PREFIX
from dkg.pages import StoredPages
from node.publish.errors import JournalError, StuckError
from node.publish.goals import CommitGoal, MovedError, foreign, require_signer
from node.publish.journal import JobState
from node.publish.published import Places, Published
from node.publish.waits import Pace, Patience

if TYPE_CHECKING:
    from dkg.chain.commit import SignedCommit
    from dkg.client.anchored import Client, ClientHead
    from dkg.client.chainread import ChainReader
    from dkg.client.settings import ChainSettings
    from dkg.client.store import SqliteStore
    from node.change import Change
    from node.home import Home
    from node.publish.journal import Job, Journal
    from node.publish.published import Request, Wanted
    from node.publish.sender import Sender, Tools
    from node.publish.waits import Progress
    from node.publish.wallet import Wallets

RECOVERED: Final = "recovered commit"
"""What the id and the label of a job begin with whose journal was lost; the commit's number follows."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a session works with; all of it is its own."""

    home: Home
    settings: ChainSettings
    wallets: Wallets
    reader: ChainReader
    client: Client
    store: SqliteStore
    journal: Journal
    sender: Sender
    tools: Tools
    progress: Progress


class Session:
    """See the module."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store, self._journal, self._client = parts.store, parts.journal, parts.client
        self._at = parts.tools.at
        self._pages = StoredPages(parts.store)
        self._pace = Pace(parts.tools.waits, parts.tools.waiting)
        self._patience = Patience(self._pace, parts.progress)
        self._places = Places(parts.reader, parts.tools.writer, parts.settings.first_block)
        self._brought: set[int] = set()

    def publish(self, request: Request, wanted: Wanted) -> Published:
        """See `Publisher.publish`."""
        head = self._settle(self._head())
        job = self._journal.job(request.id)
        if job is None or job.state is JobState.FAILED:
            job = self._planned(request, head)
            if job is None:
                return self._unchanged(request, head, wanted)
            head = self._settle(head)
        return self._published(job, head, wanted)

    def resume(self, wanted: Wanted) -> Published | None:
        """See `Publisher.resume`."""
        before = {job.id for job in self._journal.open_jobs()}
        head = self._settle(self._head())
        wanted_jobs = before | self._brought if wanted == "final" else self._brought
        jobs = [job for job in self._journal.jobs() if job.id in wanted_jobs and job.state is not JobState.FAILED]
        newest = max(jobs, key=lambda job: job.commit.seq, default=None)
        return None if newest is None else self._published(newest, head, wanted)

    # --- the journal and the chain -------------------------------------------------------------------------

    def _head(self) -> ClientHead:
        head = self._patience(self._client.head)
        self._at("head")
        return head

    def _settle(self, head: ClientHead) -> ClientHead:
        """Bring every commit that is not on the chain there, in order; the publisher's head after that."""
        while (job := self._first_loose(head)) is not None:
            try:
                head = self._carried(job, head)
            except MovedError:
                head = self._head()
        if head.committed is not None and self._store.head() != head.root:
            self._store.set_head(head.root)
            self._at("stored")
        return head

    def _first_loose(self, head: ClientHead) -> Job | None:
        """Bring the journal up to what the chain shows; the first job whose commit is not there."""
        seq = head.anchored.head.seq
        self._require_ours(head)
        final = self._final_seq(head)
        for job in self._journal.open_jobs():
            if job.commit.seq <= seq:
                self._arrived(job, head, final=job.commit.seq <= final)
            elif job.state is JobState.MINED:
                block = head.anchored.block.number
                self._journal.move(
                    job, JobState.DROPPED, f"a reorganisation took it off the chain, seen at block {block}"
                )
        return self._next_job(seq + 1, head)

    def _next_job(self, seq: int, head: ClientHead) -> Job | None:
        """The job of the commit that comes after the head, if this home has one."""
        job = self._journal.at_seq(seq) or self._recovered(seq)
        if job is None:
            return None
        if job.state is JobState.FINAL:
            raise FinalityError(
                f"commit {seq} was final and is not on the chain any more: do not trust this chain before you know why"
            )
        if job.commit.previous != _root(head):
            if job.state is not JobState.PLANNED:
                raise foreign(self._parts.wallets.publisher, seq - 1)
            self._journal.move(job, JobState.FAILED, "it was not signed, and the chain has another commit before it")
            return None
        return job

    def _require_ours(self, head: ClientHead) -> None:
        """Raise `ForeignCommitError` unless this home made the latest commit, or has its pages at least."""
        if head.committed is None:
            return
        commit = head.committed.commit
        kept = self._kept(commit.seq)
        if kept is None and self._store.get(head.root) is not None:
            return
        if kept is None or kept.commit != commit:
            raise foreign(self._parts.wallets.publisher, commit.seq)

    def _kept(self, seq: int) -> SignedCommit | None:
        """The signed commit with a number, which is of this publisher and registry."""
        kept = self._parts.home.commit(seq)
        ours = self._parts.settings.domain, self._parts.wallets.publisher
        if kept is not None and (kept.domain, kept.commit.publisher) != ours:
            raise JournalError(
                f"{self._parts.home.path} has commits of another publisher or for another registry: a home publishes "
                "for one publisher at one registry; use another home (--home DIR)"
            )
        return kept

    def _recovered(self, seq: int) -> Job | None:
        """A job for a commit that was signed and is not in the journal, which was lost."""
        kept = self._kept(seq)
        if kept is None:
            return None
        return self._journal.plan(f"{RECOVERED} {seq}", f"{RECOVERED} {seq}", kept.commit, JobState.SIGNED)

    def _arrived(self, job: Job, head: ClientHead, *, final: bool) -> None:
        """Note that a job's commit is on the chain."""
        kept = self._kept(job.commit.seq)
        if kept is None and job.state is JobState.PLANNED:
            self._journal.move(job, JobState.FAILED, "it was not signed, and the chain has another commit in its place")
            return
        if kept is None or kept.commit != job.commit:
            raise JournalError(
                f"the journal and the signed commit {job.commit.seq} in {self._parts.home.path} differ: one of them is "
                "damaged. If the commit's file is as it was, move the journal jobs.db away"
            )
        latest = head.committed if head.committed and head.committed.commit == job.commit else None
        outcome = None
        if job.outcome is None or job.state is not JobState.MINED or (latest and latest.block != job.outcome.block):
            sent = [attempt.hash for attempt in self._journal.attempts(job)]
            outcome = self._patience(lambda: self._places.outcome(kept.commit, sent, head))
        if job.state is not JobState.MINED:
            self._brought.add(job.id)
        if job.state is not JobState.MINED or outcome is not None:
            job = self._journal.move(job, JobState.MINED, outcome=outcome)
            self._at("mined")
        if final:
            self._journal.move(job, JobState.FINAL)
            self._at("final")

    def _final_seq(self, head: ClientHead) -> int:
        """The number of the latest commit that is final, 0 if that is of no interest to any job."""
        if head.state is State.FINAL:
            return head.anchored.head.seq
        deep = head.anchored.block.number - self._parts.settings.finality_depth
        if any(job.outcome and job.outcome.block <= deep for job in self._journal.open_jobs()):
            return self._patience(lambda: self._client.head(final=True)).anchored.head.seq
        return 0

    # --- one job -------------------------------------------------------------------------------------------

    def _planned(self, request: Request, head: ClientHead) -> Job | None:
        """A job for a request, its pages in the store; None if it changes nothing."""
        base = head.root if head.committed else None
        change = request.edit(self._pages, base)
        if not change:
            return None
        require_signer(head.anchored.head, self._parts.wallets)
        root = self._stored(change, base)
        if root == base:
            return None
        self._at("pages")
        commit = Commit(
            publisher=self._parts.wallets.publisher,
            seq=head.anchored.head.seq + 1,
            root=root.removeprefix(CID_PREFIX),
            count=self._pages.root(root).count,
            previous=_root(head),
            created=int(self._parts.tools.now()),
        )
        job = self._journal.plan(request.id, request.label, commit)
        self._at("planned")
        return job

    def _stored(self, change: Change, base: bytes | None) -> bytes:
        """The root of the changed dataset, its pages in the store to stay."""
        with self._store.writing():
            if base is None:
                root = build_dataset([list(change.add)], self._store)
            else:
                root = update_dataset(self._pages, base, change.add, change.remove, self._store)
            if root != base:
                self._store.set_head(root)
                if base is not None:
                    self._store.set_head(base)
        return root

    def _carried(self, job: Job, head: ClientHead) -> ClientHead:
        """Bring a job's commit to the chain; the head that shows it."""
        if self._store.get(CID_PREFIX + job.commit.root) is None:
            raise JournalError(
                f"the pages of commit {job.commit.seq} are not in {self._parts.home.store}: bring the store back that "
                "it was made with"
            )
        job, signed = self._signed(job)
        goal = CommitGoal(job, signed, head, self._client, self._parts.wallets, self._journal)
        found = self._parts.sender.drive(goal, self._parts.progress)
        self._at("proved")
        return found

    def _signed(self, job: Job) -> tuple[Job, SignedCommit]:
        """A job with its signed commit, which is signed once: what is kept stays."""
        kept = self._kept(job.commit.seq)
        if kept is None and job.state is JobState.PLANNED:
            kept = self._parts.wallets.signer.sign_commit(self._parts.settings.domain, job.commit)
            self._parts.home.keep_commit(kept)
            self._at("kept")
        if kept is None or kept.commit != job.commit:
            raise JournalError(
                f"the signed commit {job.commit.seq} in {self._parts.home.path} is missing or another than in the "
                "journal: bring the folder `commits` back"
            )
        if job.state is JobState.PLANNED:
            job = self._journal.move(job, JobState.SIGNED)
            self._at("signed")
        return job, kept

    # --- what came of it -----------------------------------------------------------------------------------

    def _published(self, job: Job, head: ClientHead, wanted: Wanted) -> Published:
        if wanted == "final":
            self._await_final(job.commit.seq, head)
        job = self._journal.at_seq(job.commit.seq) or job
        if job.outcome is None:
            raise RuntimeError(f"job {job.id} is {job.state} without an outcome")
        final, changed = job.state is JobState.FINAL, job.id in self._brought
        return Published.of(job.label, job.commit, job.outcome, final=final, changed=changed)

    def _unchanged(self, request: Request, head: ClientHead, wanted: Wanted) -> Published:
        """What there is already, for a request that changes nothing."""
        if head.committed is None:
            raise InputError(f"{request.label}: there is nothing to publish, and nothing was published before")
        commit = head.committed.commit
        if wanted == "final":
            head = self._await_final(commit.seq, head)
        job = self._journal.at_seq(commit.seq)
        outcome = job.outcome if job else None
        if outcome is None:
            outcome = self._patience(lambda: self._places.outcome(commit, (), head))
        final = head.state is State.FINAL or (job is not None and job.state is JobState.FINAL)
        return Published.of(request.label, commit, outcome, final=final, changed=False)

    def _await_final(self, seq: int, head: ClientHead) -> ClientHead:
        """Wait until a commit is final; one that a reorganisation drops is sent again. The head that shows it."""
        self._pace.reset()
        quiet_since, depth = self._pace.now(), self._parts.settings.finality_depth
        while not self._is_final(seq, head):
            if head.anchored.head.seq < seq:
                raise StuckError(f"commit {seq} is not on the chain any more, and this home has no signed commit of it")
            block = head.anchored.block
            self._parts.progress(f"waiting until commit {seq} is final", self._depth_of(seq, head), depth)
            if self._pace.now() - quiet_since >= self._pace.waits.patience_s:
                raise StuckError(
                    f"commit {seq} is on the chain and not final, and no block came in {self._pace.waits.patience_s:g} "
                    "s: does the chain stand still? Publish again to go on waiting"
                )
            self._pace.pause()
            head = self._settle(self._head())
            if head.anchored.block.hash != block.hash:
                quiet_since = self._pace.now()
                self._pace.reset()
        return head

    def _is_final(self, seq: int, head: ClientHead) -> bool:
        job = self._journal.at_seq(seq)
        return head.state is State.FINAL or (job is not None and job.state is JobState.FINAL)

    def _depth_of(self, seq: int, head: ClientHead) -> int:
        """How many blocks are on top of a commit's."""
        job = self._journal.at_seq(seq)
        block = job.outcome.block if job and job.outcome else head.committed.block if head.committed else 0
        return max(0, head.anchored.block.number - block)


def _root(head: ClientHead) -> bytes:
    """The digest of the root that the next commit follows from: zeros for the first."""
    return head.committed.commit.root if head.committed else ZERO_HASH
