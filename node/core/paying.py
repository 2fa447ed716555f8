"""The chain's side of publishing, for the process: a payer that relays commits, and the node's own publisher."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg.chain.commit import ZERO_HASH
from dkg.client.anchored import Client
from dkg.client.store import SqliteStore
from dkg.client.trusted import TrustedHeads
from node.publish import calls
from node.publish.errors import RejectedError
from node.publish.kept import KeptGoal
from node.publish.sender import Sender, View
from node.publish.waits import silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.chain.commit import Domain, SignedCommit
    from dkg.client.anchored import ClientHead
    from dkg.client.chainread import ChainReader
    from dkg.pages import PageStore
    from node.core.parts import Attempts
    from node.publish.published import Published, Request
    from node.publish.publisher import Publisher
    from node.publish.sender import Tools
    from node.publish.wallet import Wallet


class ChainPayer:
    """See `node.core.parts.Payer`. The reader and the writer in `tools` are its alone."""

    def __init__(self, wallet: Wallet, reader: ChainReader, domain: Domain, tools: Tools, finality_depth: int) -> None:
        self._sender = Sender(wallet, domain.chain_id, tools)
        self._reader = reader
        self._domain = domain
        self._tools = tools
        self._depth = finality_depth

    def relay(self, signed: SignedCommit, attempts: Attempts) -> bytes | None:
        """See `Payer.relay`."""
        client = Client(
            self._reader,
            self._domain,
            signed.commit.publisher,
            trusted=TrustedHeads(None),
            clock=self._tools.now,
            finality_depth=self._depth,
        )
        goal = _RelayGoal(attempts, attempts.load(), signed, client)
        self._sender.drive(goal, silent)
        return goal.made[-1].hash if goal.made else None


@dataclass(slots=True)
class _RelayGoal(KeptGoal):
    """Reached when the publisher's proved head is the commit, or a later one. See `node.publish.sender.Goal`."""

    signed: SignedCommit
    client: Client

    def look(self) -> View[ClientHead]:
        """See `Goal`. Raises `RejectedError` if the registry can never take the commit."""
        head, commit = self.client.head(), self.signed.commit
        committed = head.committed
        number = committed.commit.seq if committed else 0
        if number >= commit.seq:
            if committed is not None and number == commit.seq and committed.commit != commit:
                raise RejectedError(f"the chain has another commit number {commit.seq}")
            return View(head.anchored.block, done=head)
        if (number + 1, committed.commit.root if committed else ZERO_HASH) != (commit.seq, commit.previous):
            raise RejectedError(f"commit {commit.seq} does not follow from commit {number}, the chain's latest")
        signer = head.anchored.head.signer
        if signer is None or self.signed.commit.signed_by(self.signed.domain, self.signed.signature) != signer:
            raise RejectedError("whoever signed the commit may not sign for the publisher any more")
        prior = committed.meta() if committed else ZERO_HASH
        return View(head.anchored.block, call=calls.commit_signed(self.signed, prior))


class HomePublisher:
    """See `node.core.parts.OwnPublisher`: a publisher with its home."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    @property
    def address(self) -> bytes:
        """The publisher's address."""
        return self._publisher.wallets.publisher

    def publish(self, request: Request) -> Published:
        """See `OwnPublisher.publish`."""
        return self._publisher.publish(request)

    def resume(self) -> None:
        """See `OwnPublisher.resume`."""
        self._publisher.resume()

    @contextmanager
    def pages(self) -> Iterator[PageStore]:
        """See `OwnPublisher.pages`."""
        with SqliteStore(self._publisher.home.store, read_only=True) as store:
            yield store
