"""`Bridge`: the core's answers for the HTTP side's event loop, while the core runs in the peers' thread."""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, TypeVar

from node.serving import NOW

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from dkg.chain.commit import Domain, SignedCommit
    from dkg.chain.registry import Committed
    from dkg.pages import Pages
    from node.core.core import NodeCore
    from node.peers.thread import PeerThread
    from node.serving import At, CheckpointsStatus, Datasets, PeerStatus, PublisherStatus, Said, Standing, Ticket
    from node.storage import Operation

T = TypeVar("T")


class Bridge:
    """See `node.serving.Service`: what is quick is asked directly, what takes a while in the core's own loop."""

    def __init__(self, core: NodeCore, thread: PeerThread, more: Callable[[], dict[str, Any]]) -> None:
        """`more`: what the process adds to the status."""
        self._core = core
        self._thread = thread
        self._more = more

    async def _there(self, work: Callable[[], Awaitable[T]]) -> T:
        """What a coroutine gives in the core's loop. It goes on if whoever waits for it does not."""
        return await asyncio.wrap_future(self._thread.submit(work))

    @property
    def domain(self) -> Domain:
        """See `Service.domain`."""
        return self._core.domain

    def standing(self, publishers: tuple[bytes, ...] | None, at: At = NOW) -> Standing:
        """See `Service.standing`."""
        return self._core.standing(publishers, at)

    def checkpointed(self, at: At = NOW, beside: Datasets = ()) -> Standing:
        """See `Service.checkpointed`."""
        return self._core.checkpointed(at, beside)

    def checkpoints(self) -> CheckpointsStatus:
        """See `Service.checkpoints`."""
        return self._core.checkpoints()

    def reading(self, root: bytes) -> AbstractContextManager[Path | None]:
        """See `Service.reading`."""
        return self._core.reading(root)

    async def read(self, work: Callable[[Pages], T]) -> T:
        """See `Service.read`."""
        return await self._there(lambda: self._core.read(work))

    def page(self, cid: bytes) -> bytes | None:
        """See `Service.page`."""
        return self._core.page(cid)

    def publishers(self, *, after: bytes, most: int, followed: bool = False) -> list[PublisherStatus]:
        """See `Service.publishers`."""
        return self._core.publishers(after=after, most=most, followed=followed)

    def publisher(self, address: bytes) -> PublisherStatus | None:
        """See `Service.publisher`."""
        return self._core.publisher(address)

    def commits(self, publisher: bytes | None, *, before: int | None, most: int) -> list[Committed]:
        """See `Service.commits`."""
        return self._core.commits(publisher, before=before, most=most)

    async def propose(self, position: int | None) -> dict[str, Any]:
        """See `Service.propose`."""
        return await self._there(lambda: self._core.requests.propose(position))

    async def challenge(self, checkpoint: int, *, dry_run: bool) -> dict[str, Any]:
        """See `Service.challenge`."""
        return await self._there(lambda: self._core.requests.challenge(checkpoint, dry_run=dry_run))

    async def publish_signed(self, ticket: Ticket, commit: SignedCommit, car: bytes, *, relay: bool) -> Operation:
        """See `Service.publish_signed`."""
        return await self._there(lambda: self._core.publish_signed(ticket, commit, car, relay=relay))

    async def publish_rdf(self, ticket: Ticket, name: str, data: bytes, rdf_format: str, said: Said) -> Operation:
        """See `Service.publish_rdf`."""
        return await self._there(lambda: self._core.publish_rdf(ticket, name, data, rdf_format, said))

    async def retract(self, ticket: Ticket, name: str, reason: str | None) -> Operation:
        """See `Service.retract`."""
        return await self._there(lambda: self._core.retract(ticket, name, reason))

    async def commit_private(self, ticket: Ticket, name: str, commitment: str | None) -> Operation:
        """See `Service.commit_private`."""
        return await self._there(lambda: self._core.commit_private(ticket, name, commitment))

    def operation(self, name: str) -> Operation | None:
        """See `Service.operation`."""
        return self._core.operation(name)

    def operations(self, most: int, before: tuple[int, str] | None = None) -> list[Operation]:
        """See `Service.operations`."""
        return self._core.operations(most, before)

    def peers(self) -> list[PeerStatus]:
        """See `Service.peers`."""
        return self._core.peers()

    def status(self) -> dict[str, object]:
        """See `Service.status`."""
        return {"version": release(), **self._core.status(), **self._more()}


def release() -> str:
    """The version of this program."""
    try:
        return version("dkg")
    except PackageNotFoundError:
        return "unknown"
