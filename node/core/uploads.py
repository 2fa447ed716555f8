"""Signed commits that somebody uploads with their pages: checked, kept, and relayed to the chain if that was asked.

What is checked before anything is kept:

1. The commit is for this chain and this registry.
2. It is the publisher's next one after the log that this node has read, or one that the log has already.
3. The signature is by whoever the log says may sign it.
4. No other commit with its number was uploaded; if one was, the two signatures are kept as evidence (I10).
5. The pages make the dataset whole, which is derived again from its quads and has the root and the count of the commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import libipld

from dkg.chain.commit import ZERO_HASH, SignedCommit, verify_commit
from dkg.chain.evidence import encode_evidence
from dkg.chain.secp import SignatureError, checksum
from dkg.errors import DkgError, InputError, ProofError, StoreError
from dkg.page import CID_PREFIX, cid_text
from node.core.intake import take_in, uploaded
from node.core.retries import Retries
from node.core.shelf import Staged
from node.core.view import dataset_root
from node.publish.errors import RejectedError
from node.publish.jobs import attempt_of, attempt_row
from node.replication.fetch import LANE
from node.serving import NoKeyError, Stage, UnknownPublisherError, body_of
from node.union_keeper import publisher_name
from node.workers.errors import OverloadedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dkg.chain.commit import Commit
    from node.core.desk import Desk
    from node.core.heads import CoreChain
    from node.core.parts import Parts
    from node.core.shelf import Shelf
    from node.publish.jobs import Attempt
    from node.serving import Ticket
    from node.storage import Operation

KIND: Final = "commit"
PAYER_LANE: Final = "payer"

EVIDENCE: Final = "evidence"
"""The directory of evidence of equivocation, below the node's."""

EVIDENCE_MAX: Final = 1_000
"""Most files of evidence that are kept."""

_RETRY_AFTER_S: Final = 60
_CHAIN_RETRY_S: Final = 5


@dataclass(frozen=True, slots=True)
class _Kept:
    """The transactions of an operation, in its inbox."""

    desk: Desk
    name: str

    def load(self) -> list[Attempt]:
        """See `Attempts.load`."""
        if not self.desk.has_content(self.name):
            return []
        try:
            rows = libipld.decode_dag_cbor(self.desk.content(self.name))
            return [attempt_of(row, refused=refused) for refused, *row in rows]
        except (ValueError, TypeError) as error:
            raise StoreError(f"the transactions of {self.name} are damaged") from error

    def save(self, attempts: list[Attempt]) -> None:
        """See `Attempts.save`."""
        rows = [[one.refused, *attempt_row(one)] for one in attempts]
        self.desk.put_content(self.name, libipld.encode_dag_cbor(rows))


class Uploads:
    """See the module."""

    def __init__(
        self,
        parts: Parts,
        chain: CoreChain,
        shelf: Shelf,
        desk: Desk,
        *,
        wake: Callable[[], None],
        look: Callable[[bytes], Awaitable[bool]],
    ) -> None:
        """`wake`: called when something was kept, or came to the chain.

        `look`: looks at the chain and at a publisher's keys; whether it could.
        """
        self._parts = parts
        self._chain = chain
        self._shelf = shelf
        self._desk = desk
        self._wake = wake
        self._look = look
        self._retries = Retries(parts.runtime, parts.settings)
        self._news = parts.runtime.event()
        self._commits: dict[str, SignedCommit] = {}  # of operations that are not finished
        # The block as of which the registry refused them first, and the reorganisations until then.
        self._refusals: dict[str, tuple[int, int]] = {}

    # --- taking ----------------------------------------------------------------------------------------------------

    async def take(self, ticket: Ticket, signed: SignedCommit, car: bytes, *, relay: bool) -> Operation:
        """See `Service.publish_signed`."""
        found = self._desk.again(ticket)
        if found is not None:
            return found
        if relay and self._parts.payer is None:
            raise NoKeyError("this node pays for nobody's commits: anchor it yourself, and then send the pages")
        try:
            self._check(signed)
        except ProofError as error:  # the chain may have gone on since this node looked last
            if not await self._look(signed.commit.publisher):
                raise OverloadedError(f"{error}; and it does not answer now", _CHAIN_RETRY_S) from error
            self._check(signed)
        made = await self._parts.runtime.blocking(LANE, lambda: self._keep(ticket, signed, car, relay=relay))
        self._news.set()
        self._wake()
        return made

    def _check(self, signed: SignedCommit) -> None:
        """Steps 1 to 3. Raises `ProofError`."""
        commit, view, domain = signed.commit, self._chain.view, self._parts.domain
        if signed.domain != domain:
            verify_commit(signed, domain, commit.publisher)  # says what is wrong
        who = checksum(commit.publisher)
        if not self._chain.follows(commit.publisher):
            raise UnknownPublisherError(f"this node does not follow {who}")
        latest = view.latest(commit.publisher)
        number = latest.commit.seq if latest else 0
        if commit.seq <= number:
            there = view.commit(commit.publisher, commit.seq)
            if there is None or there.commit != commit:
                raise ProofError(f"the chain has another commit number {commit.seq} of {who}")
            return
        if commit.seq != number + 1:
            raise ProofError(
                f"the chain has {number} commits of {who} as far as this node has read: {number + 1} is next"
            )
        if commit.previous != (latest.commit.root if latest else ZERO_HASH):
            raise ProofError(
                f"commit {commit.seq} of {who} does not follow from commit {number}: `previous` is another"
            )
        signer = view.signer(commit.publisher)
        if signer is None:
            raise SignatureError(f"nobody may sign for {who}: its signer was revoked, or it is retired")
        verify_commit(signed, domain, signer)

    def _keep(self, ticket: Ticket, signed: SignedCommit, car: bytes, *, relay: bool) -> Operation:
        """Steps 4 and 5, and all that is kept, pages first. In the lane."""
        found = self._desk.again(ticket)
        if found is not None:
            return found
        commit, settings = signed.commit, self._parts.settings
        waiting = self._desk.unfinished(KIND)
        if len(waiting) >= settings.uploads_max:
            raise OverloadedError(f"{len(waiting)} uploads wait for the chain already", _RETRY_AFTER_S)
        self._check(signed)  # the log may have gone on
        self._compare(signed, waiting)
        root = CID_PREFIX + commit.root
        self._take_pages(commit, root, car)
        there = self._chain.view.commit(commit.publisher, commit.seq)
        if there is None:
            self._shelf.stage(Staged(commit.publisher, commit.seq, root), at=int(self._parts.clock()))
        else:
            self._shelf.keep(there)
        body: dict[str, Any] = {"publisher": checksum(commit.publisher), "seq": commit.seq, "root": cid_text(root)}
        return self._desk.begin(ticket, KIND, {**body, "relay": relay}, signed.encode())

    def _compare(self, signed: SignedCommit, waiting: list[Operation]) -> None:
        """Step 4. One by a key that may not sign any more stands in nobody's way: the registry will not take it."""
        domain = self._parts.domain
        for one in waiting:
            other = self._signed(one)
            if (other.commit.publisher, other.commit.seq) != (signed.commit.publisher, signed.commit.seq):
                continue
            if other.commit != signed.commit:
                if other.commit.signed_by(domain, other.signature) != signed.commit.signed_by(domain, signed.signature):
                    self._desk.fail(one, "another key signs for the publisher by now: sign it anew")
                    continue
                path = self._accuse(other, signed)
                self._parts.log("equivocation", publisher=checksum(signed.commit.publisher), evidence=path)
                raise ProofError(
                    f"two commits number {signed.commit.seq} of {checksum(signed.commit.publisher)} were signed, and "
                    "this is the second: both are kept as evidence"
                )

    def _accuse(self, first: SignedCommit, second: SignedCommit) -> str:
        """Keep two signed commits as evidence; gives the name of the file."""
        evidence = encode_evidence(first, second)
        folder = self._parts.store.directory / EVIDENCE
        name = f"{first.commit.publisher.hex()}-{first.commit.seq}-{sha256(evidence).hexdigest()[:16]}.cbor"
        try:
            folder.mkdir(exist_ok=True)
            if len(list(folder.iterdir())) < EVIDENCE_MAX:
                (folder / name).write_bytes(evidence)
        except OSError as error:
            raise StoreError(f"{folder / name} cannot be written: {error.strerror or error}") from error
        return name

    def _take_pages(self, commit: Commit, root: bytes, car: bytes) -> None:
        """Step 5."""
        shelf = self._shelf
        if shelf.is_kept(root):  # it was checked before
            shelf.require_count(root, commit)
            return
        rows = shelf.rows(publisher_name(commit.publisher))
        pages = uploaded(car, root, commit, self._parts.settings)
        old = rows[0].root if rows else None
        take_in(self._parts.store, root, commit.count, old=old, source=pages.get)

    # --- following -------------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Compare what is unfinished with the log. In the lane. Raises `StoreError`."""
        view, unfinished = self._chain.view, self._desk.unfinished(KIND)
        self._commits = {one.id: self._commits[one.id] for one in unfinished if one.id in self._commits}
        self._refusals = {one.id: self._refusals[one.id] for one in unfinished if one.id in self._refusals}
        self._retries.only(one.id for one in unfinished)
        for one in unfinished:
            try:
                commit = self._signed(one).commit
            except (StoreError, ProofError):
                self._desk.fail(one, "what was uploaded is lost: send it again")
                continue
            there = view.commit(commit.publisher, commit.seq)
            if there is None:
                if one.state == Stage.MINED:
                    self._desk.move(one, Stage.ACCEPTED, block=None)
                    self._parts.log("commit_gone", operation=one.id, publisher=checksum(commit.publisher))
                    self._news.set()
            elif there.commit != commit:
                if there.position < view.final_position:
                    self._desk.fail(
                        one, f"the chain has another commit number {commit.seq}: {cid_text(dataset_root(there))}"
                    )
            else:
                final = there.position < view.final_position and not view.frozen
                self._desk.move(one, Stage.FINAL if final else Stage.MINED, block=there.block, waiting=None)

    def give_up(self, before: int) -> None:
        """Fail what was asked for before a time, in Unix seconds, and is in no block. In the lane."""
        for one in self._desk.unfinished(KIND):
            if one.created < before and one.state != Stage.MINED:
                self._desk.fail(one, "it was not anchored in time: sign and send it again")

    def _signed(self, one: Operation) -> SignedCommit:
        found = self._commits.get(one.id)
        if found is None:
            found = self._commits[one.id] = SignedCommit.decode(self._desk.content(one.id))
        return found

    # --- relaying --------------------------------------------------------------------------------------------------

    async def relay(self) -> None:
        """Bring to the chain what was asked for, one after the other, for ever."""
        while True:
            self._news = self._parts.runtime.event()
            due = [one for one in self._desk.unfinished(KIND) if self._is_due(one)]
            if due:
                await self._relay(due[0])
            else:
                await self._retries.wait(self._news)

    def _is_due(self, one: Operation) -> bool:
        return one.state in {Stage.ACCEPTED, Stage.RUNNING} and body_of(one)["relay"] and self._retries.is_due(one.id)

    async def _relay(self, one: Operation) -> None:
        runtime, payer = self._parts.runtime, self._parts.payer
        if payer is None:
            self._retries.failed(one.id)  # it was taken when there was a key to pay with
            return
        try:
            signed = self._signed(one)
            if not await runtime.blocking(LANE, lambda: self._is_begun(one.id)):
                return
            sent = await runtime.blocking(PAYER_LANE, lambda: payer.relay(signed, _Kept(self._desk, f"{one.id}.tx")))
        except (InputError, RejectedError) as error:
            why = str(error)
            self._retries.failed(one.id)
            await runtime.blocking(LANE, lambda: self._refused(one.id, why))
        except DkgError as error:
            why = str(error)
            self._retries.failed(one.id)
            self._parts.log("relay_waits", operation=one.id, why=why)
            await runtime.blocking(LANE, lambda: self._note(one.id, waiting=why))
        else:
            self._refusals.pop(one.id, None)
            self._retries.sent(one.id)
            text = "0x" + sent.hex() if sent else None
            await runtime.blocking(LANE, lambda: self._note(one.id, transaction=text, waiting=None))
            self._wake()

    def _is_begun(self, name: str) -> bool:
        """Whether there is still something to do about it; then it says so. In the lane."""
        one = self._desk.get(name)
        if one is None or one.state not in {Stage.ACCEPTED, Stage.RUNNING}:
            return False
        self._desk.move(one, Stage.RUNNING)
        return True

    def _refused(self, name: str, why: str) -> None:
        """The registry does not take it. Once this node sees why, and that is final, it has failed."""
        self.follow()
        one, head = self._desk.get(name), self._chain.view.head
        if one is None or head is None or one.state not in {Stage.ACCEPTED, Stage.RUNNING}:
            return
        self._desk.move(one, Stage(one.state), waiting=why)
        try:
            self._check(self._signed(one))
        except DkgError:
            went_back = self._chain.view.reorganisations
            since, then = self._refusals.get(name, (head.number, went_back))
            if then != went_back:  # what it was refused for may be gone with the blocks
                since = head.number
            self._refusals[name] = since, went_back
            if head.number >= since + self._parts.settings.finality_depth:
                self._desk.fail(one, why)
        else:  # the endpoint is ahead, or goes by what is in no block: this node has not seen why
            self._refusals.pop(name, None)

    def _note(self, name: str, **facts: object) -> None:
        one = self._desk.get(name)
        if one is not None:
            self._desk.move(one, Stage(one.state), **facts)
