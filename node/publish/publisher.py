"""`Publisher`: a home and its keys, publishing to a chain.

    with open_publisher(home, Wallets.of(key)) as publisher:
        done = publisher.publish(Request("import 17", "the cities of France", edit), wait="final")

A publish may be interrupted or killed at any point: the next one from the same home, or `resume`, goes on from there.
For each request there is exactly one commit on the chain.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from dkg.client.anchored import Client
from dkg.client.chainread import RpcReader
from dkg.client.quorum import Quorum
from dkg.client.rpc import HttpRpc, Waiting
from dkg.client.store import SqliteStore
from dkg.client.trusted import TrustedHeads
from node.publish.fees import FeePolicy
from node.publish.jobs import JobState
from node.publish.journal import Journal
from node.publish.lock import home_lock
from node.publish.sender import Sender, Tools
from node.publish.session import Parts, Session
from node.publish.waits import Waits, silent
from node.publish.writer import TIMEOUT_S, RpcWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.client.chainread import ChainReader
    from dkg.client.settings import ChainSettings
    from node.home import Home
    from node.publish.jobs import Attempt
    from node.publish.published import Published, Request, Wanted
    from node.publish.waits import Progress
    from node.publish.wallet import Wallets


class Publisher:
    """Publishes from one home, for one thread at a time; close it after use.

    `allow_unproved`: take an endpoint without `eth_getProof` at its word.
    """

    def __init__(
        self,
        home: Home,
        settings: ChainSettings,
        wallets: Wallets,
        reader: ChainReader,
        tools: Tools,
        *,
        allow_unproved: bool = False,
    ) -> None:
        self.home, self.settings, self.wallets, self.reader, self.tools = home, settings, wallets, reader, tools
        self._allow_unproved = allow_unproved
        self._journal: Journal | None = None
        self._store: SqliteStore | None = None

    def close(self) -> None:
        """Close the home's databases; the next publish opens them again. The reader and the writer are the caller's."""
        for database in (self._journal, self._store):
            if database is not None:
                database.close()
        self._journal = self._store = None

    def publish(self, request: Request, progress: Progress = silent, *, wait: Wanted = "mined") -> Published:
        """Bring what a request changes to the chain; what was left undone before goes first.

        `wait`: until the commit is proved to be in a block, or until that block is final. A request that was published
        already, or that changes nothing, sends nothing and gives the commit that is there.

        Raises `PublishError` with what to do (publishing again goes on), `SignerError` if the key may not sign,
        `InputError` for what the edit refuses, `ProofError` and `ChainError` if the chain cannot be read.
        """
        with self._session(progress) as session:
            return session.publish(request, wait)

    def resume(self, progress: Progress = silent, *, wait: Wanted = "mined") -> Published | None:
        """Finish what was left undone; the last commit that came of it, None if there was nothing to do.

        Raises what `publish` raises.
        """
        with self._session(progress) as session:
            return session.resume(wait)

    def client(self) -> Client:
        """A client that proves this publisher's head, and remembers it in the home."""
        return Client(
            self.reader,
            self.settings.domain,
            self.wallets.publisher,
            trusted=TrustedHeads(self.home.heads),
            clock=self.tools.now,
            finality_depth=self.settings.finality_depth,
            allow_unproved=self._allow_unproved,
        )

    def waiting_transactions(self) -> list[Attempt]:
        """What was sent for commits that are not on the chain, the oldest first. The caller holds the home's lock."""
        if not self.home.journal.exists():
            return []
        journal, _ = self._opened()
        jobs = [job for job in journal.open_jobs() if job.state is not JobState.MINED]
        return [attempt for job in jobs for attempt in journal.attempts(job)]

    @contextmanager
    def _session(self, progress: Progress) -> Iterator[Session]:
        tools, domain = self.tools, self.settings.domain
        with home_lock(self.home.path, tools.waits, tools.waiting, progress):
            tools.at("begin")
            journal, store = self._opened()
            yield Session(
                Parts(
                    home=self.home,
                    settings=self.settings,
                    wallets=self.wallets,
                    reader=self.reader,
                    client=self.client(),
                    store=store,
                    journal=journal,
                    sender=Sender(self.wallets.payer, domain.chain_id, tools),
                    tools=tools,
                    progress=progress,
                )
            )

    def _opened(self) -> tuple[Journal, SqliteStore]:
        """The home's databases, which stay open: closing one folds its log into it, which takes as long as a commit."""
        if self._journal is None:
            self._journal = Journal(self.home.journal, self.settings.domain, self.wallets.publisher, self.tools.now)
        if self._store is None:
            self._store = SqliteStore(self.home.store)
        return self._journal, self._store


@contextmanager
def open_publisher(
    home: Home,
    wallets: Wallets,
    *,
    settings: ChainSettings | None = None,
    policy: FeePolicy | None = None,
    waits: Waits | None = None,
    allow_unproved: bool = False,
) -> Iterator[Publisher]:
    """A publisher over the endpoints of its home's settings (`settings`: others), closed when the block ends.

    Raises `InputError` if the settings make no sense.
    """
    settings = settings or home.chain()
    with connected(settings.endpoints, settings.need) as (reader, writer):
        tools = Tools(writer, Waiting(), time.time, policy or FeePolicy(), waits or Waits())
        with closing(Publisher(home, settings, wallets, reader, tools, allow_unproved=allow_unproved)) as publisher:
            yield publisher


@contextmanager
def connected(
    urls: list[str], need: int, waiting: Waiting | None = None, *, timeout_s: float = TIMEOUT_S
) -> Iterator[tuple[ChainReader, RpcWriter]]:
    """A reader over endpoints of which `need` must agree, and a writer over the same; closed when the block ends.

    `timeout_s`: for one call, in seconds.
    """
    readers = [RpcReader(HttpRpc(url, waiting=waiting, timeout_s=timeout_s)) for url in urls]
    alone = len(readers) == need == 1
    reader = readers[0] if alone else Quorum([(reader.name, reader) for reader in readers], need)
    with closing(reader), closing(RpcWriter(urls, waiting, timeout_s=timeout_s)) as writer:
        yield reader, writer
