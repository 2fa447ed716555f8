"""What a node says to those who ask: the half of `node.serving.Service` that only reads.

All of it reads values that are replaced as a whole, so that any thread may ask; pages are read from stores of their
own.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from dkg.pages import StoredPages
from node.serving import NOW, PublisherStatus
from node.storage import ViewError
from node.workers.errors import ViewFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dkg.chain.commit import Domain
    from dkg.chain.registry import Committed
    from dkg.pages import Pages
    from node.core.checkpointed import ByCheckpoint
    from node.core.desk import Desk
    from node.core.heads import CoreChain
    from node.core.housekeeping import Housekeeping
    from node.core.leases import Leases
    from node.core.parts import Parts
    from node.core.shelf import Shelf
    from node.core.standings import Standings
    from node.core.view import LogView
    from node.core.viewing import HeldViews
    from node.serving import At, CheckpointsStatus, Datasets, PeerStatus, Standing
    from node.storage import Operation

T = TypeVar("T")

READ_LANE: Final = "read"

_CACHED_PAGES: Final = 2_000


class Answers:
    """See the module. `NodeCore` is one."""

    parts: Parts
    shelf: Shelf
    chain: CoreChain
    desk: Desk
    standings: Standings
    by_checkpoint: ByCheckpoint
    leases: Leases
    housekeeping: Housekeeping
    views: HeldViews | None

    def __init__(self) -> None:
        self.views = None
        self._lock = threading.Lock()
        self._follow: tuple[bytes, ...] | None = None
        self._about_peers: list[PeerStatus] = []
        self._troubles: dict[bytes, str] = {}

    @property
    def domain(self) -> Domain:
        """See `Service.domain`."""
        return self.parts.domain

    def standing(self, publishers: tuple[bytes, ...] | None, at: At = NOW) -> Standing:
        """See `Service.standing`."""
        found = self.standings.find(publishers, at)
        self.leases.lease(found.root)
        return found

    def checkpointed(self, at: At = NOW, beside: Datasets = ()) -> Standing:
        """See `Service.checkpointed`."""
        found = self.by_checkpoint.find(at, beside)
        self.leases.lease(found.root)
        for _, root in found.checkpoint.beside if found.checkpoint is not None else ():
            if root is not None:
                self.leases.lease(root)
        return found

    def checkpoints(self) -> CheckpointsStatus:
        """See `Service.checkpoints`."""
        return self.by_checkpoint.status(self.parts.settings.checkpoints)

    @contextmanager
    def reading(self, root: bytes) -> Iterator[Path | None]:
        """See `Service.reading`."""
        views = self.views
        with self.leases.reading(root), ExitStack() as stack:
            view: Path | None = None
            if views is not None and not self.housekeeping.has_failed(root):
                try:
                    view = stack.enter_context(views.reading(root))
                except ViewError:
                    self.housekeeping.want_view(root)
            try:
                yield view
            except ViewFailedError as error:
                self.housekeeping.view_failed(root, str(error))
                raise

    async def read(self, work: Callable[[Pages], T]) -> T:
        """See `Service.read`."""
        pages = StoredPages(self.parts.browsed, _CACHED_PAGES)
        return await self.parts.runtime.blocking(READ_LANE, lambda: work(pages))

    def page(self, cid: bytes) -> bytes | None:
        """See `Service.page`."""
        with self._lock:
            return self.parts.public.get(cid)

    def publishers(self, *, after: bytes, most: int, followed: bool = False) -> list[PublisherStatus]:
        """See `Service.publishers`."""
        known = set(self.chain.followed()) if followed else {*self.chain.view.log.publishers, *(self._follow or ())}
        return [self._status_of(address) for address in sorted(one for one in known if one > after)[: max(0, most)]]

    def publisher(self, address: bytes) -> PublisherStatus | None:
        """See `Service.publisher`."""
        known = address in self.chain.view.log.publishers or address in (self._follow or ())
        return self._status_of(address) if known else None

    def _status_of(self, address: bytes) -> PublisherStatus:
        view, shelf = self.chain.view, self.shelf
        state = view.log.publishers.get(address)
        latest = view.latest(address)
        held = shelf.held(address, view)
        return PublisherStatus(
            address,
            view.signer(address),
            state is not None and state.head.retired,
            latest,
            held,
            self.chain.follows(address),
            None if latest == held else self._trouble(address, latest),
        )

    def _trouble(self, address: bytes, latest: Committed | None) -> str | None:
        """Why a publisher's latest dataset is not here."""
        if latest is not None and self.shelf.is_refused(latest):
            return f"commit {latest.commit.seq} is malformed: {self.shelf.why(latest)}"
        if not self.chain.follows(address):
            return None
        return self._troubles.get(address, "it is being fetched")

    def commits(self, publisher: bytes | None, *, before: int | None, most: int) -> list[Committed]:
        """See `Service.commits`."""
        view = self.chain.view
        end = view.length if before is None else max(0, min(before, view.length))
        if publisher is None:
            return view.log.entries[max(0, end - max(0, most)) : end][::-1]
        return list(islice(self._chain_of(view, publisher, end), max(0, most)))

    def _chain_of(self, view: LogView, publisher: bytes, end: int) -> Iterator[Committed]:
        found = view.log.head_at(publisher, end)
        while found is not None:
            yield found
            found = view.prior(found)

    def operation(self, name: str) -> Operation | None:
        """See `Service.operation`."""
        return self.desk.get(name)

    def operations(self, most: int, before: tuple[int, str] | None = None) -> list[Operation]:
        """See `Service.operations`."""
        return self.desk.recent(most, before)

    def peers(self) -> list[PeerStatus]:
        """See `Service.peers`."""
        return self._about_peers
