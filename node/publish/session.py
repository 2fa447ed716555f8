"""One publish while it holds its home: earlier jobs first, then the new one, each to the chain and proved there.

The store's head is the root of the publisher's latest commit that this home has seen proved on the chain. The pages of
a planned commit are durable before its job is; the store counts its root among those it has had, which keeps its pages
from being collected, and the head stays (before the first commit there is none that could). So a crash leaves a job
that goes on, or nothing that a reader sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg.chain.commit import Commit
from dkg.client.anchored import State
from dkg.dataset import build_dataset, update_dataset
from dkg.errors import InputError
from dkg.page import CID_PREFIX
from dkg.pages import StoredPages
from node.publish.errors import JournalError, StuckError
from node.publish.goals import CommitGoal, MovedError, require_signer
from node.publish.jobs import JobState
from node.publish.places import Places
from node.publish.published import Published
from node.publish.reconcile import FINAL_AT_ONCE, Reconciler, root_digest
from node.publish.waits import Pace, Patience

if TYPE_CHECKING:
    from dkg.chain.commit import SignedCommit
    from dkg.client.anchored import Client, ClientHead
    from dkg.client.chainread import ChainReader
    from dkg.client.settings import ChainSettings
    from dkg.client.store import SqliteStore
    from node.change import Change
    from node.home import Home
    from node.publish.jobs import Job
    from node.publish.journal import Journal
    from node.publish.published import Request, Wanted
    from node.publish.sender import Sender, Tools
    from node.publish.waits import Progress
    from node.publish.wallet import Wallets


@dataclass(frozen=True, slots=True)
class Parts:
    """What a session works with."""

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
        self._reconciler = Reconciler(
            home=parts.home,
            settings=parts.settings,
            publisher=parts.wallets.publisher,
            store=parts.store,
            journal=parts.journal,
            client=parts.client,
            places=self._places,
            patience=self._patience,
            at=parts.tools.at,
        )

    def publish(self, request: Request, wanted: Wanted) -> Published:
        """See `Publisher.publish`."""
        head = self._settled(self._head())
        job = self._journal.job(request.id)
        if job is None or job.state is JobState.FAILED:
            job = self._planned(request, head)
            if job is None:
                return self._unchanged(request, head, wanted)
            head = self._settled(head)
        return self._published(job, head, wanted)

    def resume(self, wanted: Wanted) -> Published | None:
        """See `Publisher.resume`."""
        before = {job.id for job in self._journal.open_jobs()} if wanted == "final" else set()
        head = self._settled(self._head())
        ids = before | self._reconciler.brought
        jobs = [job for job in self._journal.jobs() if job.id in ids and job.state is not JobState.FAILED]
        newest = max(jobs, key=lambda job: job.commit.seq, default=None)
        if newest is None:
            self._reconciler.finish(head)
            return None
        return self._published(newest, head, wanted)

    # --- to the chain --------------------------------------------------------------------------------------

    def _head(self) -> ClientHead:
        head = self._patience(self._client.head)
        self._at("head")
        return head

    def _settled(self, head: ClientHead) -> ClientHead:
        """Bring every commit that is not on the chain there, in order; the publisher's head after that."""
        while (job := self._reconciler.first_loose(head)) is not None:
            try:
                head = self._carried(job, head)
            except MovedError:
                head = self._head()
        if head.committed is not None and self._store.head() != head.root:
            self._store.set_head(head.root)
            self._at("stored")
        self._reconciler.finish(head, FINAL_AT_ONCE)
        return head

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
        kept = self._reconciler.kept(job.commit.seq)
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

    # --- planning ------------------------------------------------------------------------------------------

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
            previous=root_digest(head),
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

    # --- what came of it -----------------------------------------------------------------------------------

    def _published(self, job: Job, head: ClientHead, wanted: Wanted) -> Published:
        """A job whose commit is on the chain."""
        if wanted == "final":
            head = self._final(job.commit.seq, head)
        job = self._noted(job.commit.seq, head) or job
        if job.outcome is None:
            raise RuntimeError(f"job {job.id} is {job.state} without an outcome")
        final, changed = job.state is JobState.FINAL, job.id in self._reconciler.brought
        return Published.of(job.label, job.commit, job.outcome, final=final, changed=changed)

    def _unchanged(self, request: Request, head: ClientHead, wanted: Wanted) -> Published:
        """What there is already, for a request that changes nothing."""
        if head.committed is None:
            raise InputError(f"{request.label}: there is nothing to publish, and nothing was published before")
        commit = head.committed.commit
        if wanted == "final":
            head = self._final(commit.seq, head)
        job = self._noted(commit.seq, head)
        outcome = job.outcome if job else None
        if outcome is None:
            outcome = self._patience(lambda: self._places.outcome(commit, (), head))
        changed = job is not None and job.id in self._reconciler.brought  # this request's own, left undone before
        return Published.of(request.label, commit, outcome, final=self._is_final(commit.seq, head), changed=changed)

    def _noted(self, seq: int, head: ClientHead) -> Job | None:
        """The job of a commit that is on the chain, with the block that it is in now."""
        job = self._journal.at_seq(seq)
        if job is None or job.state is JobState.FINAL:
            return job
        job = self._reconciler.current(job, head)
        if job.outcome and job.outcome.block <= head.anchored.block.number - self._parts.settings.finality_depth:
            self._reconciler.finish(head)
        return self._journal.at_seq(seq)

    def _final(self, seq: int, head: ClientHead) -> ClientHead:
        """Wait until a commit is final; one that a reorganisation drops is sent again. The head that shows it."""
        self._pace.reset()
        since, waits = self._pace.now(), self._pace.waits
        while not self._is_final(seq, head):
            if head.anchored.head.seq < seq:
                raise StuckError(f"commit {seq} is not on the chain any more, and this home has no signed commit of it")
            if self._pace.now() - since >= waits.patience_s:
                raise StuckError(
                    f"commit {seq} is on the chain and not final, and no block came in {waits.patience_s:g} s: does "
                    "the chain stand still? Publish again to go on waiting"
                )
            self._tell(seq, head)
            self._pace.pause()
            block = head.anchored.block.hash
            head = self._settled(self._head())
            if head.anchored.block.hash != block:
                since = self._pace.now()
                self._pace.reset()
        return head

    def _is_final(self, seq: int, head: ClientHead) -> bool:
        """Whether a commit is final as of a head, which shows it."""
        if head.anchored.head.seq >= seq:
            self._reconciler.finish(head)
        job = self._journal.at_seq(seq)
        return head.state is State.FINAL or (job is not None and job.state is JobState.FINAL)

    def _tell(self, seq: int, head: ClientHead) -> None:
        job = self._journal.at_seq(seq)
        block = job.outcome.block if job and job.outcome else head.committed.block if head.committed else 0
        done, depth = max(0, head.anchored.block.number - block), self._parts.settings.finality_depth
        self._parts.progress(f"waiting until commit {seq} is final", min(done, depth), depth)
