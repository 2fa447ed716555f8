"""The goal of a job: its commit, on the chain. And who may sign it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg.chain.commit import ZERO_HASH, verify_commit
from dkg.chain.secp import SignatureError, checksum
from node.publish import calls
from node.publish.errors import ForeignCommitError, SignerError
from node.publish.jobs import JobState
from node.publish.sender import View

if TYPE_CHECKING:
    from dkg.chain.commit import SignedCommit
    from dkg.chain.registry import Head
    from dkg.client.anchored import Client, ClientHead
    from node.publish.calls import Call
    from node.publish.jobs import Attempt, Job
    from node.publish.journal import Journal
    from node.publish.wallet import Wallets


class MovedError(Exception):
    """The publisher's head is not where a job expects it: compare the journal with the chain anew. Stays inside."""


@dataclass(slots=True)
class CommitGoal:
    """Reached when the publisher's head is proved to be the job's commit; gives that head.

    `head`: what was last read of the chain, used for the first look.
    """

    job: Job
    signed: SignedCommit
    head: ClientHead | None
    client: Client
    wallets: Wallets
    journal: Journal

    def look(self) -> View[ClientHead]:
        """See `Goal`. Raises `MovedError` or `SignerError`."""
        head, self.head = self.head or self.client.head(), None
        committed, commit = head.committed, self.job.commit
        if committed is not None and committed.commit == commit:
            return View(head.anchored.block, done=head)
        root = committed.commit.root if committed else ZERO_HASH
        if (head.anchored.head.seq + 1, root) != (commit.seq, commit.previous):
            raise MovedError
        require_signer(head.anchored.head, self.wallets)
        return View(head.anchored.block, call=self._call(committed.meta() if committed else ZERO_HASH))

    def attempts(self) -> list[Attempt]:
        """See `Goal`."""
        return self.journal.attempts(self.job)

    def keep(self, attempt: Attempt) -> None:
        """See `Goal`."""
        self.journal.keep_attempt(self.job, attempt)

    def refuse(self, attempt: Attempt) -> None:
        """See `Goal`."""
        self.journal.refuse_attempt(attempt)

    def sent(self, attempt: Attempt) -> None:
        """See `Goal`."""
        del attempt
        if self.job.state is not JobState.SENT:
            self.job = self.journal.move(self.job, JobState.SENT)

    def dropped(self, reason: str) -> None:
        """See `Goal`."""
        if self.job.state is JobState.SENT:
            self.job = self.journal.move(self.job, JobState.DROPPED, reason)

    def _call(self, prior: bytes) -> Call:
        """Sent by the signer itself, a commit needs no signature of its own."""
        signer, domain = self.wallets.signer, self.signed.domain
        if self.wallets.payer.address == signer.address:
            return calls.commit(domain, self.job.commit, prior)
        try:
            verify_commit(self.signed, domain, signer.address)
        except SignatureError:  # the signer was rotated since: the same statement, signed by the new one
            self.signed = signer.sign_commit(domain, self.job.commit)
        return calls.commit_signed(self.signed, prior)


def require_signer(head: Head, wallets: Wallets) -> None:
    """Raise `SignerError` unless this key may sign for the publisher now."""
    who, key = checksum(wallets.publisher), checksum(wallets.signer.address)
    if head.retired:
        raise SignerError(f"{who} is retired: it never commits again. Publish under another key")
    if head.signer is None:
        raise SignerError(f"the signer of {who} was revoked: its own key must name another one (`dkg key rotate`)")
    if head.signer != wallets.signer.address:
        raise SignerError(f"{key} may not sign for {who}: the registry has {checksum(head.signer)} as its signer")


def foreign(publisher: bytes, seq: int) -> ForeignCommitError:
    """The chain has a commit that this home did not make."""
    return ForeignCommitError(
        f"commit {seq} of {checksum(publisher)} on the chain was not made in this home: another home publishes with "
        "this key. Publish from there, or bring its `store` and `commits` here. If there is none, the key is stolen: "
        "revoke it (`dkg key revoke`)"
    )
