"""Pages of the store that cannot be read any more: found before somebody needs them, and asked of peers (row A6).

A disk forgets bits that nobody has read for long. So all pages of the roots that are kept are read now and then, a
slice at a time, and at once when a task failed for the store's sake. What cannot be read is asked of the peers that are
connected: a page is what its CID says, so nobody can lie about it, and unions are the same on all nodes. Until a page
is back, whatever needs it is an error, never a smaller answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dkg.errors import PageError, StoreError
from dkg.page import DatasetRoot, Inner, cid_of, decode
from node.core.answers import READ_LANE
from node.replication.errors import BusyError, NotHeldError, PeerError, UnreachableError
from node.replication.fetch import LANE
from node.replication.ledger import LIE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg.pages import PageStore
    from node.core.parts import Parts
    from node.replication.ask import Asker

SCRUB_S: Final = 86_400.0
"""Time between two readings of all pages, in seconds."""

SOON_S: Final = 300.0
"""Least time between two of them, in seconds, however often something fails."""

SLICE: Final = 256
"""Pages that are read at a time, before others get their turn."""

PAUSE_S: Final = 0.05
"""Between two slices, in seconds."""

DAMAGED_MAX: Final = 4_096
"""Most pages that are asked for in one go; the rest are found the next time."""

ASKED_MAX: Final = 64
"""Most pages of one request."""


class Mending:
    """See the module."""

    def __init__(self, parts: Parts, asker: Asker) -> None:
        self._parts = parts
        self.asker = asker
        self._news = parts.runtime.event()

    def soon(self) -> None:
        """Something could not be read: look before long. From where the runtime runs."""
        self._news.set()

    async def run(self) -> None:
        """Read everything now and then, for ever; the seldomer, the oftener nothing was found."""
        runtime, rest_s = self._parts.runtime, SOON_S
        while True:
            await runtime.sleep(rest_s * (0.75 + runtime.random.random() / 2))
            await runtime.wait(self._news, SCRUB_S * (0.75 + runtime.random.random() / 2))
            self._news = runtime.event()
            found = await self.mend()
            rest_s = SOON_S if found else min(2 * rest_s, SCRUB_S)

    async def mend(self) -> int:
        """Read everything once, and bring back what cannot be read; how many pages could not. Raises `StoreError`."""
        runtime, store = self._parts.runtime, self._parts.store
        missing = await self._read(await runtime.blocking(LANE, store.counting))
        found, back = len(missing), 0
        while missing:
            pages = await self._ask(missing)
            if not pages:
                break
            back += await runtime.blocking(LANE, lambda pages=pages: store.pages.replace_many(pages.items()))  # type: ignore[misc]
            below = await self._read(pages)  # what hangs on a page is known when it is back
            missing = list(dict.fromkeys([*(cid for cid in missing if cid not in pages), *below]))
        if found:
            self._parts.log("mended", damaged=found, back=back, left=len(missing))
        return found

    async def _read(self, roots: Iterable[bytes]) -> list[bytes]:
        """The pages below some roots that cannot be read."""
        runtime, reading = self._parts.runtime, Reading(self._parts.browsed, roots)
        while not reading.done and len(reading.bad) < DAMAGED_MAX:
            await runtime.blocking(READ_LANE, reading.step)
            await runtime.sleep(PAUSE_S)
        return reading.bad

    async def _ask(self, missing: list[bytes]) -> dict[bytes, bytes]:
        """Pages that some peer has, of those that are missing."""
        found: dict[bytes, bytes] = {}
        peers = list(self._parts.transport.peers())
        self._parts.runtime.random.shuffle(peers)
        for peer in peers:
            wanted = [cid for cid in missing if cid not in found]
            try:
                while wanted:
                    part = await self.asker.pages(peer, wanted[:ASKED_MAX])
                    found |= held(peer, part)
                    wanted = wanted[len(part) :]
            except PeerError as error:
                self._parts.transport.penalise(peer, LIE, str(error))
            except (BusyError, NotHeldError, UnreachableError):
                continue
        return found


def held(peer: str, part: list[tuple[bytes, bytes | None]]) -> dict[bytes, bytes]:
    """The pages that a peer has, of those that it was asked for. Raises `PeerError` if it sent others."""
    found = {cid: raw for cid, raw in part if raw is not None}
    if any(cid_of(raw) != cid for cid, raw in found.items()):
        raise PeerError(f"the peer {peer} sent another page than it was asked for")
    return found


class Reading:
    """All pages below some roots, read a slice at a time. Of leaves nothing is remembered: there are many."""

    def __init__(self, pages: PageStore, roots: Iterable[bytes]) -> None:
        self._pages = pages
        self._stack = list(roots)
        self._seen: set[bytes] = set()
        self.bad: list[bytes] = []
        """Pages that are missing or damaged."""

    @property
    def done(self) -> bool:
        """Whether all were read."""
        return not self._stack

    def step(self) -> None:
        """Read some more."""
        for _ in range(min(SLICE, len(self._stack))):
            cid = self._stack.pop()
            if cid not in self._seen:
                self._look(cid)

    def _look(self, cid: bytes) -> None:
        try:
            raw = self._pages.get(cid)
            page = None if raw is None else decode(cid, raw)
        except (StoreError, PageError):
            page = None
        if page is None:
            self.bad.append(cid)
            self._seen.add(cid)
        elif isinstance(page, DatasetRoot):
            self._stack += page.trees
        elif isinstance(page, Inner):
            self._stack += page.children
            self._seen.add(cid)
