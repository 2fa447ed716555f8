"""Bringing one dataset over, from nothing or from an older one, to the root that is anchored.

1. The root page, from anyone: it hashes to the anchored root and is of as many quads as the commit says.
2. If an older dataset is here, peers are asked for the change as quads (`node.replication.change`). It counts if the
   tree of spog that it makes is the one the root page names.
3. Else the tree of spog is fetched page by page (`node.replication.fetch`), without what the older dataset has of it.
4. The other trees are made here, and the whole must have the anchored root (`node.replication.complete`).

Only then is it the caller's to move the head. Everything up to there can be broken off at any point, and costs no page
twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.errors import PageError
from dkg.page import DatasetRoot, cid_of, cid_text, decode
from node.replication.acquaintance import STALLED_S, STRANGER_S
from node.replication.change import apply_change, unpack_change
from node.replication.complete import MalformedError, complete_change, complete_dataset
from node.replication.errors import BusyError, NotHeldError, PeerError, UnreachableError
from node.replication.fetch import LANE, Fetch
from node.replication.ledger import LIE, STALL
from node.replication.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from dkg.pages import PageStore
    from node.replication.acquaintance import Acquaintances
    from node.replication.ask import Asker
    from node.replication.change import Keys
    from node.replication.complete import Builder
    from node.replication.fetch import Fetched
    from node.replication.messages import Anchored
    from node.replication.runtime import Event, Runtime
    from node.replication.transport import Transport

    Result = TypeVar("Result")

CHANGE_NEXT_S: Final = 2.0
"""How long a peer may take to tell a change before another is asked as well, in seconds."""

CHANGE_LAST_S: Final = 10.0
"""How long all together may take besides, before the pages are fetched instead, in seconds."""

CHANGE_PEERS_MAX: Final = 3
"""Most peers that are asked for a change before its pages are fetched instead."""

CHANGE_WAIT_S: Final = 2.0
"""How long to wait for a peer to come to have a dataset that none has yet, in seconds: whoever hears of a block first
finds nobody, and pages are many times as long as a change."""

_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Report:
    """What bringing a dataset over took."""

    head: Anchored
    by_change: bool
    """Whether it came as a change in quads."""
    pages: int
    """Fetched from peers."""
    page_bytes: int
    """Of these pages, uncompressed."""
    seconds: float


class _Change(NamedTuple):
    """A change that makes the right tree of spog."""

    page: DatasetRoot
    keys: Keys
    fresh: dict[bytes, bytes]


class Replication:
    """Brings datasets into one store. Several may come at the same time."""

    def __init__(
        self,
        runtime: Runtime,
        transport: Transport,
        asker: Asker,
        acquaintances: Acquaintances,
        store: PageStore,
        *,
        builder: Builder,
        progress: Callable[[Anchored, Fetched], None],
        wanted: Callable[[Anchored], bool] = lambda _head: True,
    ) -> None:
        """`store` is used in the lane `node.replication.fetch.LANE` alone. `wanted`: whether a head still is."""
        self._runtime = runtime
        self._transport = transport
        self._asker = asker
        self._acquaintances = acquaintances
        self._store = store
        self._builder = builder
        self._progress = progress
        self._wanted = wanted

    async def run(self, head: Anchored, old: bytes | None) -> Report:
        """Make the dataset of a head whole in the store. `old`: the root of one that is whole already.

        Raises `MalformedError` when the publisher's data is not a dataset, `NobodyError` when no peer has what is
        missing, `SupersededError` when it is wanted no more, and `StoreError`.
        """
        since = self._runtime.now()
        changed = old is not None and old != head.root and await self._by_change(head, old)
        walk = None
        if not changed and old != head.root:
            walk = await self._blocking(lambda: Walk(self._store, head.root, head.count, old))
            await Fetch(
                self._runtime, self._transport, self._asker, self._acquaintances, walk, head.root,
                progress=lambda fetched: self._progress(head, fetched),
                wanted=lambda: self._wanted(head),
            ).run()  # fmt: skip
            await self._blocking(lambda: complete_dataset(self._store, old, head.root, builder=self._builder))
        taken = (walk.fetched, walk.fetched_bytes) if walk else (0, 0)
        return Report(head, changed, *taken, self._runtime.now() - since)

    async def _blocking(self, work: Callable[[], Result]) -> Result:
        return await self._runtime.blocking(LANE, work)

    # --- as a change -------------------------------------------------------------------------------------------------

    async def _by_change(self, head: Anchored, old: bytes) -> bool:
        """Make the dataset whole from a change that a peer tells; False if nobody tells it."""
        since, found = self._runtime.now(), list[_Change]()
        while not found:
            order = self._acquaintances.order(head.root, self._transport.peers(), self._runtime.now())
            if order:
                await self._ask_change(head, old, order, found)
            have = self._acquaintances.providers(head.root, self._transport.peers())
            if not found and (have or self._runtime.now() - since > CHANGE_WAIT_S):
                return False
            if not found:
                await self._runtime.sleep(_LOOK_S)
        await self._blocking(lambda: complete_change(self._store, old, head.root, *found[0]))
        return True

    async def _ask_change(self, head: Anchored, old: bytes, order: list[str], found: list[_Change]) -> None:
        """Ask some peers for a change; whoever turns out not to have the dataset is remembered."""

        async def ask(peer: str, done: Event) -> None:
            change = await self._forgiving(peer, lambda: self._change_of(peer, head, old))
            if change is not None:
                found.append(change)
                nursery.cancel()
            done.set()

        async with self._runtime.nursery() as nursery:
            done = self._runtime.event()
            for peer in order[:CHANGE_PEERS_MAX]:
                done = self._runtime.event()
                nursery.start_soon(ask, peer, done)
                await self._runtime.wait(done, CHANGE_NEXT_S)
            await self._runtime.wait(done, CHANGE_LAST_S)
            nursery.cancel()

    async def _forgiving(self, peer: str, ask: Callable[[], Awaitable[Result]]) -> Result | None:
        """What a peer answers; None when it does not, which is remembered."""
        now = self._runtime.now()
        try:
            return await ask()
        except PeerError as error:
            self._transport.penalise(peer, LIE, str(error))
            self._acquaintances.away(peer, now + STRANGER_S)
        except NotHeldError:
            pass  # of the change, perhaps because the old dataset is gone there: it may still have the pages
        except BusyError as error:
            self._acquaintances.away(peer, now + error.retry_after_s)
        except UnreachableError as error:
            self._transport.penalise(peer, STALL, str(error))
            self._acquaintances.away(peer, now + STALLED_S)
            self._acquaintances.gone(peer)
        return None

    async def _change_of(self, peer: str, head: Anchored, old: bytes) -> _Change:
        page = await self._root_page(peer, head)
        message = await self._asker.change(peer, old, head.root)

        def checked() -> _Change:
            keys = unpack_change(message)
            return _Change(page, keys, apply_change(self._store, old, page, keys))

        return await self._blocking(checked)

    async def _root_page(self, peer: str, head: Anchored) -> DatasetRoot:
        ((_, raw),) = await self._asker.pages(peer, [head.root])
        if raw is None:
            self._acquaintances.lacks(peer, head.root, self._runtime.now())
            raise NotHeldError(f"the peer {peer} does not have the dataset {cid_text(head.root)}")
        if cid_of(raw) != head.root:
            raise PeerError(f"the peer {peer} sent another page than {cid_text(head.root)}")
        try:
            page = decode(head.root, raw)
        except PageError as error:
            raise MalformedError(f"the dataset {cid_text(head.root)} is malformed: {error}") from error
        if type(page) is not DatasetRoot or page.count != head.count:
            raise MalformedError(f"the dataset {cid_text(head.root)} is not one of {head.count} quads")
        return page
