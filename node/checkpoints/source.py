"""Where the pages come from that a look at a checkpoint needs: the store, odd commits, peers, answers on the chain.

A page is what its CID says, so nobody can lie about it; whoever has it may give it. Pages that came are put into the
store: the next look has them, and whoever asks this node, until garbage is collected.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from dkg.chain.checkpoint_events import TOPICS, Answered, decode_checkpoint_event
from dkg.client.rpc import ChainError
from dkg.errors import LimitError, ProofError
from dkg.page import CID_PREFIX, cid_of
from node.core.mending import held
from node.replication.errors import BusyError, NotHeldError, PeerError, UnreachableError
from node.replication.fetch import LANE
from node.replication.ledger import LIE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node.checkpoints.keeper import CheckpointKeeper
    from node.checkpoints.walk import Asking
    from node.core.parts import Parts
    from node.replication.ask import Asker

T = TypeVar("T")

STEPS_MAX: Final = 256
"""Most requests of a look that are answered from this disk in one go, so that others get their turn."""

PAGES_MAX: Final = 2_000_000
"""Most pages that one look is given: some 40 million quads. More are nobody's to judge here."""

BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of pages that came after which no more are asked for at a time: the first is what is needed (`Walk`)."""

CHAIN_LANE: Final = "chain"


class _Short(NamedTuple):
    """Some of the pages that a look wants are not here."""

    here: dict[bytes, bytes]
    missing: list[bytes]


class _Look(Generic[T]):
    """A look under way. `record`: takes the CIDs of all pages that it was given."""

    def __init__(self, asking: Asking[T], here: Callable[[bytes], bytes | None], record: dict[bytes, None]) -> None:
        self._asking = asking
        self._here = here
        self._record = record
        self._sending: dict[bytes, bytes] | None = None
        self._given = 0
        self.found: T

    def go_on(self, came: dict[bytes, bytes]) -> _Short | None:
        """Go on with what came and what is here, until something is missing; None when it is `found`."""
        if self._sending is not None:
            self._sending |= came
        for _ in range(STEPS_MAX):
            self._record |= dict.fromkeys(self._sending or ())
            self._given += len(self._sending or ())
            if self._given > PAGES_MAX:
                raise LimitError(f"this node looks at {PAGES_MAX:,} pages at most to judge what somebody says")
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
    """See the module. For one coroutine at a time."""

    def __init__(self, parts: Parts, asker: Asker, keeper: CheckpointKeeper) -> None:
        self._parts = parts
        self._asker = asker
        self._keeper = keeper
        self._answered: Mapping[bytes, tuple[int, int]] = {}
        self._failures: dict[str, int] = {}  # in a row, by peer
        self._silent: set[str] = set()  # who did not answer in this look

    def seen(self, answered: Mapping[bytes, tuple[int, int]]) -> None:
        """A look begins. `answered`: see `CheckpointLog`; these pages are on the chain, whoever demanded them."""
        self._answered = answered

    async def found(self, asking: Asking[T], record: dict[bytes, None] | None = None) -> T:
        """What a look finds. `record`: takes the CIDs of all pages that it was given. Raises what the look raises."""
        blocking = self._parts.runtime.blocking
        self._silent.clear()
        self._failures = {one: self._failures[one] for one in self._parts.transport.peers() if one in self._failures}
        look, came = _Look(asking, self.here, {} if record is None else record), dict[bytes, bytes]()
        arriving = await blocking(LANE, self._arrives)
        try:
            while (short := await blocking(LANE, lambda came=came: self._go_on(look, came))) is not None:  # type: ignore[misc]
                came = await self._brought(short.missing)
        finally:
            await blocking(LANE, arriving.close)
        return look.found

    def _arrives(self) -> ExitStack:
        arriving = ExitStack()
        arriving.enter_context(self._parts.store.arriving())
        return arriving

    def _go_on(self, look: _Look[T], came: dict[bytes, bytes]) -> _Short | None:
        if came:
            self._parts.store.pages.put_many(came.items())
        return look.go_on(came)

    def here(self, cid: bytes) -> bytes | None:
        """A page that is on this disk, undamaged. In the lane."""
        for get in (self._parts.store.pages.get, self._keeper.odd.page):
            raw = get(cid)
            if raw is not None and cid_of(raw) == cid:
                return raw
        return None

    async def _brought(self, missing: list[bytes]) -> dict[bytes, bytes]:
        """What somebody else has of pages that are not here."""
        came = await self._from_peers(missing)
        for cid in missing:
            raw = None if cid in came else await self._from_chain(cid)
            came |= {} if raw is None else {cid: raw}
        return came

    async def _from_peers(self, missing: list[bytes]) -> dict[bytes, bytes]:
        """Pages that some peer has."""
        found: dict[bytes, bytes] = {}
        for peer in self._peers() if missing else []:
            wanted = [cid for cid in missing if cid not in found]
            if not wanted:
                break
            try:
                while wanted and (missing[0] not in found or sum(map(len, found.values())) < BYTES_MAX):
                    part = await self._asker.pages(peer, wanted)
                    found |= held(peer, part)
                    wanted = wanted[len(part) :]
                self._failures.pop(peer, None)
            except PeerError as error:
                self._parts.transport.penalise(peer, LIE, str(error))
            except UnreachableError:
                self._failures[peer] = self._failures.get(peer, 0) + 1
                self._silent.add(peer)
            except (BusyError, NotHeldError):
                continue
        return found

    def _peers(self) -> list[str]:
        """Whom to ask, those who answered first. Who did not is asked once a look: that takes a minute each time."""
        peers = [peer for peer in self._parts.transport.peers() if peer not in self._silent]
        self._parts.runtime.random.shuffle(peers)
        return sorted(peers, key=lambda peer: self._failures.get(peer, 0))

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
