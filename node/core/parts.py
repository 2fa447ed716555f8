"""What a node's core is made of: everything that reaches outside, as values and small protocols.

The process brings a chain over JSON-RPC, libp2p, a disk and the system's clock; the simulator its own of each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from node.core.settings import CoreSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from dkg.chain.commit import Domain, SignedCommit
    from dkg.client.chainread import ChainReader
    from dkg.pages import PageStore
    from node.checkpoints.hand import Hand
    from node.publish.jobs import Attempt
    from node.publish.published import Published, Request
    from node.replication.runtime import Runtime
    from node.replication.transport import Directory, Transport
    from node.serving import PeerStatus
    from node.storage import NodeStore
    from node.workers.jobs import Runner

    Log = Callable[..., None]
    """Tells an event: its name, and facts by keyword."""


class Attempts(Protocol):
    """The transactions for one commit, where they survive a crash."""

    def load(self) -> list[Attempt]:
        """Those that were sent so far, the oldest first. Raises `StoreError`."""

    def save(self, attempts: list[Attempt]) -> None:
        """Keep them; on the disk when this returns. Raises `StoreError`."""


class Payer(Protocol):
    """Brings others' signed commits to the chain, and pays. Used in one lane."""

    def relay(self, signed: SignedCommit, attempts: Attempts) -> bytes | None:
        """Returns when the commit is proved to be on the chain; the hash of the transaction, if one is known.

        It takes as long as blocks do. Raises `InputError` and `RejectedError` if it never will be, and other
        `DkgError`s if it may be tried again.
        """


class OwnPublisher(Protocol):
    """This node's own publisher: a home with a key that signs. Used in one lane."""

    @property
    def address(self) -> bytes:
        """The publisher's address."""

    def publish(self, request: Request) -> Published:
        """See `node.publish.publisher.Publisher.publish`."""

    def resume(self) -> None:
        """Finish what was left undone."""

    def pages(self) -> AbstractContextManager[PageStore]:
        """The pages of its datasets."""


@dataclass(frozen=True, slots=True)
class Parts:
    """See the module.

    `store` is used in the lane `node.replication.fetch.LANE` alone. The same pages, to be read, are `served` in
    `node.replication.serve.LANE`, `browsed` in the lane `read`, and `public` to whoever calls, under a lock: in threads
    these are stores of their own.
    """

    runtime: Runtime
    clock: Callable[[], float]
    """Unix seconds."""
    monotonic: Callable[[], float]
    """Seconds that never go back; in any thread, as `clock`."""
    domain: Domain
    store: NodeStore
    served: PageStore
    browsed: PageStore
    public: PageStore
    reader: ChainReader
    transport: Transport
    runner: Runner
    log: Log
    settings: CoreSettings = field(default_factory=CoreSettings)
    directory: Directory | None = None
    payer: Payer | None = None
    own: OwnPublisher | None = None
    hand: Hand | None = None
    """What sends to the checkpoint contract; used in one lane."""
    make_view: Callable[[bytes], object] | None = None
    """Makes the view of a root, in a process of its own if it can; None: no views are made."""
    views: Path | None = None
    """Where views are."""
    soon: Callable[[Callable[[], None]], object] = lambda call: call()
    """Has something called where the runtime runs; from any thread."""
    about_peers: Callable[[], list[PeerStatus]] | None = None
    """What the transport knows of connected peers; called where the transport runs."""
