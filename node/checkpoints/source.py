"""Where the pages come from that a look at a checkpoint needs: the store, odd commits, peers, answers on the chain.

A page is what its CID says, so nobody can lie about it; whoever has it may give it. Pages that came are put into the
store: the next look has them, and whoever asks this node, until garbage is collected.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from dkg.chain.checkpoint_events import TOPICS, Answered, decode_checkpoint_event
from dkg.checkpoints.shown import Kind, classify
from dkg.client.database import FullError
from dkg.client.rpc import ChainError
from dkg.errors import LimitError, ProofError, StoreError
from dkg.page import CID_PREFIX, DatasetRoot, Inner, cid_of, cid_text, decode
from node.checkpoints.find import Right
from node.checkpoints.walk import shown_as
from node.core.mending import held
from node.replication.errors import BusyError, NotHeldError, PeerError, UnreachableError
from node.replication.fetch import LANE
from node.replication.ledger import LIE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from node.checkpoints.keeper import CheckpointKeeper
    from node.checkpoints.walk import Asking
    from node.core.parts import Parts
    from node.replication.ask import Asker

T = TypeVar("T")

STEPS_MAX: Final = 256
"""Most requests of a look that are answered from this disk in one go, so that others get their turn."""

PAGES_MAX: Final = 2_000_000
"""Most pages of a commit that are looked at: some 40 million quads. More are nobody's to keep here. Of a checkpoint any
number is looked at: whoever proposes it cuts a right one into 128 pages a quad, and must not be safe for that."""

BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of pages that came after which no more are asked for at a time: the first is what is needed (`Walk`)."""

SLOW_S: Final = 5.0
"""A peer that takes longer for an answer is asked after all others, and no more in the same look."""

CHAIN_LANE: Final = "chain"


class _Short(NamedTuple):
    """Some of the pages that a look wants are not here."""

    here: dict[bytes, bytes]
    missing: list[bytes]


class _Look(Generic[T]):
    """A look under way, that is given `most` pages. `until`: when peers are asked last."""

    def __init__(self, asking: Asking[T], here: Callable[[bytes], bytes | None], most: float, until: float) -> None:
        self._asking = asking
        self._here = here
        self._most = most
        self._sending: dict[bytes, bytes] | None = None
        self._given = 0
        self.until = until
        self.slow: set[str] = set()
        """Who did not answer soon."""
        self.full: FullError | None = None
        """Why not all that came is here."""
        self.found: T

    def go_on(self, came: dict[bytes, bytes]) -> _Short | None:
        """Go on with what came and what is here, until something is missing; None when it is `found`."""
        if self._sending is not None:
            self._sending |= came
        for _ in range(STEPS_MAX):
            self._given += len(self._sending or ())
            if self._given > self._most:
                raise LimitError(f"this node looks at {self._most:,} pages of a commit at most")
            try:
                wanted = next(self._asking) if self._sending is None else self._asking.send(self._sending)
            except StopIteration as done:
                self.found = done.value
                return None
            self._sending = {cid: raw for cid in wanted if (raw := self._here(cid)) is not None}
            missing = [cid for cid in wanted if cid not in self._sending]
            if missing:
                return _Short(self._sending, missing)
        return _Short({}, [])


class Source:
    """See the module. Several looks may be under way."""

    def __init__(self, parts: Parts, asker: Asker, keeper: CheckpointKeeper) -> None:
        self._parts = parts
        self._asker = asker
        self._keeper = keeper
        self._answered: Mapping[bytes, tuple[int, int]] = {}
        self._took: dict[str, float] = {}  # by peer, how long its last answer took, in seconds

    def seen(self, answered: Mapping[bytes, tuple[int, int]]) -> None:
        """`answered`: see `CheckpointLog`; these pages are on the chain, whoever demanded them."""
        self._answered = answered

    async def found(self, asking: Asking[T], *, pages_max: float = math.inf, seconds: float = math.inf) -> T:
        """What a look finds. Raises what the look raises, and `FullError` where nothing is wrong and not all is kept.

        `seconds`: how long peers are asked; what they give later nobody gives.
        """
        runtime = self._parts.runtime
        self._took = {one: self._took[one] for one in self._parts.transport.peers() if one in self._took}
        look: _Look[T] = _Look(asking, lambda cid: self._given(look, cid), pages_max, runtime.now() + seconds)
        came = dict[bytes, bytes]()
        arriving = await runtime.blocking(LANE, self._arrives)
        try:
            while (short := await runtime.blocking(LANE, lambda came=came: self._go_on(look, came))) is not None:  # type: ignore[misc]
                came = await self._brought(look, short.missing)
        finally:
            arriving.close()  # at once: whoever gives up a look waits for nothing
        if look.full is not None and isinstance(look.found, Right):
            raise look.full
        return look.found

    def _arrives(self) -> ExitStack:
        arriving = ExitStack()
        arriving.enter_context(self._parts.store.arriving())
        return arriving

    def _go_on(self, look: _Look[T], came: dict[bytes, bytes]) -> _Short | None:
        if came:
            self._put(look, came)
        return look.go_on(came)

    def _put(self, look: _Look[T], pages: dict[bytes, bytes]) -> None:
        try:
            self._parts.store.pages.put_many(pages.items())
        except FullError as error:  # a full disk saves no wrong checkpoint: what came is looked at all the same
            look.full = error

    def _given(self, look: _Look[T], cid: bytes) -> bytes | None:
        """The same as `here`; then it is in the store, where all of a root that is kept must be."""
        stored = self._stored(cid)
        if stored is not None:
            return stored
        raw = self._keeper.odd.page(cid)
        if raw is not None:
            self._put(look, {cid: raw})
        return raw

    def here(self, cid: bytes) -> bytes | None:
        """A page that is on this disk, undamaged. In the lane."""
        stored = self._stored(cid)
        return self._keeper.odd.page(cid) if stored is None else stored

    def _stored(self, cid: bytes) -> bytes | None:
        raw = self._parts.store.pages.get(cid)
        return raw if raw is not None and cid_of(raw) == cid else None

    def spog(self, root: bytes, shown: Mapping[bytes, int]) -> Iterator[tuple[bytes, bytes]]:
        """The pages of a commit's spog, which has no fault; of those that were shown to be long, if they are here.

        In the lane. Raises `StoreError` if one that was given has been collected since.
        """
        stack, seen = [root], set[bytes]()
        while stack:
            cid = stack.pop()
            raw = None if cid in seen else self.here(cid)
            if raw is None and cid not in seen and shown_as(shown, cid) is None:
                raise StoreError(f"page {cid_text(cid)} was here, and is not any more: it is fetched again")
            seen.add(cid)
            if raw is None:
                continue
            yield cid, raw
            page = decode(cid, raw) if classify(raw).kind is Kind.WELL_FORMED else None
            if isinstance(page, DatasetRoot):
                stack.append(page.trees[0])
            elif isinstance(page, Inner):
                stack += page.children

    async def _brought(self, look: _Look[T], missing: list[bytes]) -> dict[bytes, bytes]:
        """What somebody else has of pages that are not here."""
        from_chain = {cid: await self._from_chain(cid) for cid in missing}
        came = {cid: raw for cid, raw in from_chain.items() if raw is not None}
        return came | await self._from_peers(look, [cid for cid in missing if cid not in came])

    async def _from_peers(self, look: _Look[T], missing: list[bytes]) -> dict[bytes, bytes]:
        """Pages that some peer has."""
        found: dict[bytes, bytes] = {}
        now = self._parts.runtime.now
        for peer in self._peers(look) if missing else []:
            wanted = [cid for cid in missing if cid not in found]
            while wanted and now() < look.until:
                if missing[0] in found and sum(map(len, found.values())) >= BYTES_MAX:
                    return found
                began, failed = now(), True
                try:
                    part = await self._asker.pages(peer, wanted)
                    found |= held(peer, part)
                    wanted, failed = wanted[len(part) :], False
                except PeerError as error:
                    self._parts.transport.penalise(peer, LIE, str(error))
                except UnreachableError:
                    began -= SLOW_S
                except (BusyError, NotHeldError):
                    pass
                self._took[peer] = now() - began
                if self._took[peer] >= SLOW_S:
                    look.slow.add(peer)
                if failed or peer in look.slow:
                    break
        return found

    def _peers(self, look: _Look[T]) -> list[str]:
        """Whom to ask, who answers soonest first. Who is slow is asked once a look: that takes most of a minute."""
        peers = [peer for peer in self._parts.transport.peers() if peer not in look.slow]
        self._parts.runtime.random.shuffle(peers)
        return sorted(peers, key=lambda peer: self._took.get(peer, SLOW_S / 2))

    async def _from_chain(self, cid: bytes) -> bytes | None:
        """A page that somebody answered a demand with."""
        contract = self._parts.settings.checkpoints
        demand, block = self._answered.get(cid.removeprefix(CID_PREFIX), (0, 0))
        if not demand or contract is None:
            return None
        topics = [TOPICS[Answered], demand.to_bytes(32), cid.removeprefix(CID_PREFIX)]

        def read() -> bytes | None:
            try:
                logs = self._parts.reader.logs(contract, block, block, topics)
                events = [decode_checkpoint_event(log.topics, log.data) for log in logs]
            except (ChainError, ProofError):
                return None  # the endpoint does not say: then nobody has the page, for now
            raws = [event.raw for event in events if isinstance(event, Answered)]
            return next((raw for raw in raws if cid_of(raw) == cid), None)

        return await self._parts.runtime.blocking(CHAIN_LANE, read)
