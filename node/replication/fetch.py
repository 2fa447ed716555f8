"""Fetching a dataset's pages from several peers at once.

Each peer that may have the dataset gets a few requests at a time. Whoever sends what is not asked for is penalised and
asked no more; whoever has not the pages, is busy or is gone, leaves them to the others; what takes long is asked of
another peer too, and whichever answer is first counts. In memory are the pages of requests under way and what the walk
keeps (`node.replication.walk`), nothing that grows with the dataset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.errors import DkgError
from dkg.page import cid_text
from node.replication.acquaintance import STALLED_S, STRANGER_S
from node.replication.errors import (
    BusyError,
    NobodyError,
    NotHeldError,
    PeerError,
    SupersededError,
    UnreachableError,
)
from node.replication.ledger import LIE, STALL

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.replication.acquaintance import Acquaintances
    from node.replication.ask import Asker
    from node.replication.runtime import Event, Nursery, Runtime
    from node.replication.transport import Transport
    from node.replication.walk import Walk

LANE: Final = "fetch"
"""Where pages are checked and stored (`Runtime.blocking`)."""

PEERS_MAX: Final = 6
"""Most peers that one dataset is fetched from at a time."""

PEERS_WAITED_MAX: Final = 18
"""The same, with those that do not answer: whoever is waited for longer than `HEDGE_S` keeps nobody from coming."""

REQUESTS_MAX: Final = 2
"""Requests to one peer at a time."""

BATCH_FIRST: Final = 32
"""Pages of the first request to a peer; each next one may have twice as many."""

BATCH_MAX: Final = 256
"""Most pages of a request."""

SHARE_MIN: Final = 8
"""Fewest pages to leave to a request when there are not enough for all."""

HEDGE_S: Final = 1.0
"""Time after which a request is made to another peer too, in seconds."""

PATIENCE_S: Final = 10.0
"""How long to look for somebody to ask before giving up, in seconds."""

SUPERSEDED_IDLE_S: Final = 3.0
"""How long a dataset that is wanted no more is fetched while nothing comes of it, in seconds."""

SUPERSEDED_S: Final = 30.0
"""How long it is fetched at most, in seconds: what has come of it serves the next."""

_TICK_S: Final = 0.5


class Fetched(NamedTuple):
    """How far a fetch is."""

    pages: int
    bytes: int
    """Of pages, uncompressed."""
    quads: int
    waiting: int
    """Pages that are known and not there yet."""


@dataclass(slots=True, eq=False)
class _Flight:
    """A request under way."""

    peer: str
    cids: list[bytes]
    since: float
    hedged: bool = False


class _Step(NamedTuple):
    cids: list[bytes]
    done: bool


class Fetch:
    """Brings all pages of a walk. For one use."""

    def __init__(
        self,
        runtime: Runtime,
        transport: Transport,
        asker: Asker,
        acquaintances: Acquaintances,
        walk: Walk,
        root: bytes,
        *,
        progress: Callable[[Fetched], None] | None = None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """`wanted`: whether this is still what the chain wants."""
        self._runtime = runtime
        self._transport = transport
        self._asker = asker
        self._acquaintances = acquaintances
        self._walk = walk
        self._root = root
        self._progress = progress or (lambda _: None)
        self._wanted = wanted
        self._wanted_at = self._came_at = runtime.now()
        self._workers: dict[str, int] = {}
        self._liars: set[str] = set()
        self._flights: list[_Flight] = []
        self._changed: Event = runtime.event()
        self._failure: DkgError | None = None
        self._over = False

    async def run(self) -> None:
        """Fetch until all is there and stored.

        Raises `NobodyError` when nobody has what is missing, `SupersededError` when it is wanted no more and takes
        long, `MalformedError` for a dataset that breaks the format, and `StoreError`. Whatever the end, pages that came
        are stored.
        """
        async with self._runtime.nursery() as nursery:
            await self._hire(nursery)
            nursery.cancel()
        await self._runtime.blocking(LANE, self._walk.flush)
        if self._failure is not None:
            raise self._failure

    def _end(self, failure: DkgError | None = None) -> None:
        self._failure = self._failure or failure
        self._over = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = self._runtime.event()

    async def _hire(self, nursery: Nursery) -> None:
        """Give work to peers as they come, until it is over."""
        alone_since = self._runtime.now()
        while not self._over:
            now = self._runtime.now()
            if self._is_in_vain(now):
                self._end(SupersededError(f"the dataset {cid_text(self._root)} is wanted no more"))
                return
            for peer in self._acquaintances.order(self._root, self._transport.peers(), now):
                if peer not in self._liars and peer not in self._workers and self._may_hire(now):
                    self._workers[peer] = REQUESTS_MAX
                    for _ in range(REQUESTS_MAX):
                        nursery.start_soon(self._work, peer)
            if self._workers:
                alone_since = now
            elif now - alone_since > PATIENCE_S:
                self._end(NobodyError(f"nobody has the missing pages of the dataset {cid_text(self._root)}"))
                return
            await self._runtime.wait(self._changed, _TICK_S)

    def _is_in_vain(self, now: float) -> bool:
        """Whether it is fetched for nobody. A peer that promises and stalls could keep that up for ever."""
        if self._wanted():
            self._wanted_at = now
            return False
        idle_s = now - max(self._came_at, self._wanted_at)
        return idle_s > SUPERSEDED_IDLE_S or now - self._wanted_at > SUPERSEDED_S

    def _may_hire(self, now: float) -> bool:
        waited = len({flight.peer for flight in self._flights if flight.since < now - HEDGE_S})
        return len(self._workers) - waited < PEERS_MAX and len(self._workers) < PEERS_WAITED_MAX

    async def _work(self, peer: str) -> None:
        """Ask one peer, again and again, until it is over or the peer is of no more use."""
        batch = BATCH_FIRST
        try:
            while not self._over:
                cids = await self._next(peer, batch)
                if cids and not await self._ask(peer, cids):
                    return
                batch = min(BATCH_MAX, 2 * batch)
        except DkgError as error:
            self._end(error)
        finally:
            self._workers[peer] -= 1
            if not self._workers[peer]:
                del self._workers[peer]
            self._wake()

    async def _next(self, peer: str, batch: int) -> list[bytes]:
        """What to ask a peer for; nothing after a while when there is nothing."""
        if not self._walk.waiting:  # all that is known is being fetched
            late = self._late(peer)
            if late is None:
                await self._runtime.wait(self._changed, HEDGE_S)
                return []
            late.hedged = True
            return late.cids
        idle = sum(self._workers.values()) - len(self._flights)
        share = max(SHARE_MIN, -(-self._walk.waiting // max(1, idle)))
        step = await self._runtime.blocking(LANE, lambda: self._take(min(batch, share)))
        if step.done:
            self._end()
        return step.cids

    def _take(self, pages_max: int) -> _Step:
        return _Step(self._walk.take(pages_max), self._walk.done)

    def _late(self, peer: str) -> _Flight | None:
        """The request to somebody else that has been under way longest, if that is too long."""
        limit = self._runtime.now() - HEDGE_S
        flights = [f for f in self._flights if f.peer != peer and not f.hedged and f.since < limit]
        return min(flights, key=lambda flight: flight.since, default=None)

    async def _ask(self, peer: str, cids: list[bytes]) -> bool:
        """Ask for pages; whether to go on with this peer."""
        flight = _Flight(peer, cids, self._runtime.now())
        self._flights.append(flight)
        try:
            return await self._asked(peer, cids)
        except PeerError as error:
            self._transport.penalise(peer, LIE, str(error))
            self._liars.add(peer)
        except NotHeldError:
            self._acquaintances.lacks(peer, self._root, self._runtime.now())
        except BusyError as error:
            self._acquaintances.away(peer, self._runtime.now() + max(0.1, error.retry_after_s))
        except UnreachableError as error:
            self._transport.penalise(peer, STALL, str(error))
            self._acquaintances.away(peer, self._runtime.now() + STALLED_S)
            self._acquaintances.gone(peer)
        finally:
            self._flights.remove(flight)
        await self._runtime.blocking(LANE, lambda: self._walk.put_back(cids))
        return False

    async def _asked(self, peer: str, cids: list[bytes]) -> bool:
        if self._acquaintances.hello(peer) is None:
            try:
                self._acquaintances.greeted(peer, await self._asker.hello(peer))
            except NotHeldError:
                self._acquaintances.away(peer, self._runtime.now() + STRANGER_S)
                raise
        answer = await self._asker.pages(peer, cids)
        lacking, done = await self._runtime.blocking(LANE, lambda: self._give(cids, answer))
        if lacking < len(answer):
            self._came_at = self._runtime.now()
        self._progress(Fetched(self._walk.fetched, self._walk.fetched_bytes, self._walk.quads, self._walk.waiting))
        self._wake()
        if done:
            self._end()
        if lacking:
            raise NotHeldError(f"the peer {peer} does not have {lacking} of {len(cids)} pages")
        return True

    def _give(self, cids: list[bytes], answer: list[tuple[bytes, bytes | None]]) -> tuple[int, bool]:
        """Take an answer in; how many pages the peer does not have, and whether all pages are there now."""
        for cid, raw in answer:
            if raw is not None:
                self._walk.give(cid, raw)
        self._walk.put_back(cids)
        return sum(raw is None for _, raw in answer), self._walk.done
