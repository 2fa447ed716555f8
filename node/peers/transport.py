"""`Transport` and `Directory` over libp2p: who is connected, and how they are asked.

Everything of libp2p runs in `_be_among_peers`, under supervision: a fault that takes it down costs the connections, and
it is started again under the same key and address. Links are made when something is asked, and made anew when they
break. Connections to pinned peers are made again for ever, with waits that grow; others come from the book of peers,
until there are enough.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import SystemRandom
from secrets import token_bytes
from typing import TYPE_CHECKING, Final, Protocol

import trio
from libp2p.abc import INetConn, INetStream, INetwork, INotifee
from libp2p.discovery.events.peerDiscovery import peerDiscovery
from libp2p.peer.id import ID
from libp2p.rcmgr import Direction
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from dkg.errors import StoreError
from node.peers.addresses import PeerAddress, host_of, usable
from node.peers.book import Book
from node.peers.contact import Contact
from node.peers.directory import KademliaDirectory
from node.peers.gossip import GossipService
from node.peers.guards import GuardedTcp, require_free_port
from node.peers.host import make_host
from node.peers.identity import KEY_BYTES, host_key, key_pair
from node.peers.link import Answering, Backlog
from node.peers.session import PROTOCOL, Session, remote_of
from node.peers.slots import Slots
from node.peers.wire import Wire
from node.replication.errors import PeerError, UnreachableError
from node.replication.ledger import BROKEN, Ledger
from node.serving import PeerStatus, Penalty

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from random import Random

    from libp2p.host.basic_host import BasicHost
    from libp2p.peer.peerinfo import PeerInfo

    from node.peers.settings import PeerSettings
    from node.replication.transport import AnnouncementHandler, RequestHandler

KEY_FILE: Final = "host.key"
BOOK_FILE: Final = "peers.json"

LINKS_MAX: Final = 2
"""Streams on which one peer may ask at a time: one, and another while it gives that one up."""

BACKOFF_S: Final = 1.0
"""Wait before a pinned peer is tried again, in seconds; it doubles each time."""

BACKOFF_MAX_S: Final = 60.0

TOP_UP_S: Final = 10.0
"""Time between two looks into the book of peers, in seconds."""

WANTED_PEERS: Final = 8
"""Peers that a node wants to be connected to; below that it looks into its book."""

STOP_S: Final = 5.0
"""How long closing all connections may take, in seconds."""

RESTART_S: Final = 2.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Traffic:
    """Bytes of messages, without what the layers below add."""

    sent: int = 0
    received: int = 0
    served: int = 0


class Started(Protocol):
    """Whom to tell that something runs; trio's task status."""

    def started(self) -> None:
        """It runs."""


class Libp2pTransport(INotifee):
    """See `Transport` and `Directory` in `node.replication.transport`. All of it belongs to one trio loop."""

    def __init__(
        self, settings: PeerSettings, random: Random | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """Read the host key and the book of peers. `clock`: Unix seconds. Raises `InputError` and `StoreError`."""
        folder = settings.directory
        self.settings = settings
        self.traffic = Traffic()
        self.restarts = 0
        self._random = random or SystemRandom()
        self._clock = clock
        self._key = host_key(folder / KEY_FILE) if folder is not None else key_pair(token_bytes(KEY_BYTES))
        self._book = Book(folder / BOOK_FILE if folder is not None else None)
        self._pinned = {address.peer: address for address in settings.pinned}
        self._ledger = Ledger()
        self._slots = Slots(frozenset(self._pinned), settings.slots)
        self._listen = settings.listen
        self._session: Session | None = None
        self._backlog = Backlog()
        self._serving: Counter[str] = Counter()
        self._request: RequestHandler | None = None
        self._announcement: AnnouncementHandler | None = None

    # --- what replication uses -------------------------------------------------------------------------------------

    def peers(self) -> list[str]:
        """See `Transport.peers`."""
        now = trio.current_time()
        connected = self._session.connected if self._session is not None else ()
        return [peer for peer in connected if not self._ledger.is_out(peer, now)]

    async def request(self, peer: str, message: bytes, *, timeout_s: float, bytes_max: int) -> bytes:
        """See `Transport.request`."""
        session = self._session
        if session is None:
            raise UnreachableError("this node is not among peers now")
        try:
            with trio.fail_after(timeout_s):
                link = await session.link(peer)
                answered = await link.ask(message, timeout_s=timeout_s, bytes_max=bytes_max)
        except trio.TooSlowError as error:
            await session.failed(peer)
            raise UnreachableError(f"the peer {peer} did not answer within {timeout_s:.1f} s") from error
        except UnreachableError:
            await session.failed(peer)
            raise
        session.failures.pop(peer, None)
        self.traffic.sent += len(message)
        self.traffic.received += len(answered)
        self._came(peer, len(answered), sent=len(message))
        return answered

    def _came(self, peer: str, size: int, sent: int = 0) -> None:
        """Something came from a peer, and something went to it."""
        contact = self._session.connected.get(peer) if self._session is not None else None
        if contact is not None:
            contact.came(size, self._clock())
            contact.sent += sent

    def announce(self, message: bytes) -> None:
        """See `Transport.announce`."""
        if self._session is not None and self._session.gossip is not None:
            self._session.gossip.announce(message)

    def on_request(self, handler: RequestHandler) -> None:
        """See `Transport.on_request`."""
        self._request = handler

    def on_announce(self, handler: AnnouncementHandler) -> None:
        """See `Transport.on_announce`."""
        self._announcement = handler

    def penalise(self, peer: str, points: int, why: str) -> None:
        """See `Transport.penalise`. A pinned peer that is shut out stays connected, and is asked nothing."""
        log.info("peer %s gets %d points: %s", peer, points, why)
        if self._ledger.penalise(peer, points, trio.current_time(), why):
            log.warning("peer %s is shut out: %s", peer, why)
            if self._session is not None and peer not in self._pinned:
                self._session.drop(peer)

    async def provide(self, root: bytes) -> None:
        """See `Directory.provide`."""
        if self._session is not None and self._session.directory is not None:
            await self._session.directory.provide(root)

    async def find(self, root: bytes) -> list[str]:
        """See `Directory.find`."""
        session = self._session
        if session is None or session.directory is None:
            return []
        found = await session.directory.find(root)
        async with trio.open_nursery() as nursery:
            for address in found:
                self._book.heard(address)
                nursery.start_soon(self._dial, session, address)
        return [address.peer for address in found if address.peer in session.connected]

    def about(self) -> list[PeerStatus]:
        """Who is connected, those who are shut out included; what they hold is for others to say."""
        session = self._session
        if session is None:
            return []
        listening: dict[str, list[str]] = {}
        for address in session.listening():
            if str(address) not in listening.setdefault(address.peer, []):
                listening[address.peer].append(str(address))
        return [
            self._about(peer, contact, tuple(listening.get(peer, ()))) for peer, contact in session.connected.items()
        ]

    def _about(self, peer: str, contact: Contact, addresses: tuple[str, ...]) -> PeerStatus:
        now, ago = self._clock(), trio.current_time()
        host, port = contact.remote
        return PeerStatus(
            peer,
            addresses=addresses,
            remote=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            inbound=contact.inbound,
            pinned=peer in self._pinned,
            since=int(contact.since),
            last_seen=int(contact.last_seen),
            sent_bytes=contact.sent,
            received_bytes=contact.received,
            score=self._ledger.points(peer, ago),
            shut_out=self._ledger.is_out(peer, ago),
            penalties=tuple(
                Penalty(round(now - (ago - one.at)), one.points, one.why) for one in self._ledger.reasons(peer)
            ),
        )

    @property
    def id(self) -> str:
        """This node's identifier among peers."""
        return str(ID.from_pubkey(self._key.public_key))

    @property
    def addresses(self) -> list[str]:
        """Where this node can be reached, with its identifier; empty when it does not run."""
        return [str(address) for address in self._session.host.get_addrs()] if self._session is not None else []

    # --- running -----------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: Started = trio.TASK_STATUS_IGNORED) -> None:
        """Be among peers, for ever. Raises `StoreError` if it cannot even begin."""
        address = self._listen.split("/")
        require_free_port(address[2], int(address[4]))
        started = False

        def begun() -> None:
            nonlocal started
            if not started:
                started = True
                task_status.started()

        while True:
            try:
                await self._be_among_peers(begun)
            except Exception as error:  # a fault of the library, which a peer may have provoked
                if not started:
                    raise StoreError(f"cannot listen for peers on {self._listen}: {error}") from error
                self.restarts += 1
                log.exception("the peers' side broke; it is started again in %s s", RESTART_S)
            await trio.sleep(RESTART_S)

    async def _be_among_peers(self, begun: Callable[[], None]) -> None:
        tcp = GuardedTcp(self._slots)
        host = make_host(self._key, self.settings, tcp, self._listen)
        try:
            await self._with_host(host, begun)
        finally:
            self._slots = Slots(frozenset(self._pinned), self.settings.slots)
            with trio.move_on_after(STOP_S) as scope:
                scope.shield = True
                await tcp.close_rest()

    async def _with_host(self, host: BasicHost, begun: Callable[[], None]) -> None:
        async with self._hears_of_nearby(), host.run([Multiaddr(self._listen)]):
            try:
                async with trio.open_nursery() as nursery:
                    session = self._session = Session(host, nursery)
                    self._listen = str(host.get_transport_addrs()[0])  # the same port after a restart
                    host.get_network().register_notifee(self)
                    host.set_stream_handler(PROTOCOL, self._serve)
                    self._start(session)
                    begun()
            finally:
                self._session = None
                with trio.move_on_after(STOP_S) as scope:
                    scope.shield = True
                    await _close(host)

    def _start(self, session: Session) -> None:
        settings, nursery = self.settings, session.nursery
        if settings.gossip:
            session.gossip = GossipService(session.host, f"/dkg/1/{settings.network}", self._heard)
            nursery.start_soon(session.gossip.run)
        if settings.kademlia:
            session.directory = KademliaDirectory(session.host)
            nursery.start_soon(session.directory.run)
        for address in self._pinned.values():
            nursery.start_soon(self._keep, session, address)
        nursery.start_soon(self._top_up, session)

    @asynccontextmanager
    async def _hears_of_nearby(self) -> AsyncIterator[None]:
        """mDNS, if it is wanted, tells of peers in the local network, in a thread of its own."""
        token = trio.lowlevel.current_trio_token()

        def found(info: PeerInfo) -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(self._nearby, info)

        if self.settings.mdns:
            peerDiscovery.register_peer_discovered_handler(found)
        try:
            yield
        finally:
            peerDiscovery.unregister_peer_discovered_handler(found)

    def _nearby(self, info: PeerInfo) -> None:
        for address in usable(info)[:1]:
            self._book.heard(address)

    def _heard(self, peer: str, message: bytes) -> None:
        self._came(peer, len(message))
        if self._announcement is not None and not self._ledger.is_out(peer, trio.current_time()):
            self._announcement(peer, message)

    async def _serve(self, stream: INetStream) -> None:
        """Answer a peer on the stream that it opened."""
        wire = Wire(stream)
        peer = wire.peer
        self._serving[peer] += 1
        try:
            if self._serving[peer] > LINKS_MAX:
                self.penalise(peer, BROKEN, f"it opens more than {LINKS_MAX} streams to ask on")
            else:
                await Answering(wire, self._answered, self._backlog).run()
        except* PeerError as group:
            self.penalise(peer, BROKEN, str(group.exceptions[0]))
        finally:
            self._serving[peer] -= 1
            if not self._serving[peer]:
                del self._serving[peer]
            await wire.reset()

    async def _answered(self, peer: str, message: bytes) -> bytes:
        if self._request is None:
            raise UnreachableError("nobody answers here yet")
        self._came(peer, len(message))
        made = await self._request(peer, message)
        self.traffic.served += len(made)
        self._came(peer, 0, sent=len(made))
        return made

    # --- connections -------------------------------------------------------------------------------------------------

    async def connect(self, address: str) -> bool:
        """Connect to a peer now; whether that worked. Raises `InputError` for what is no address."""
        found = PeerAddress.parse(address)
        self._book.heard(found)
        return self._session is not None and await self._dial(self._session, found)

    async def _dial(self, session: Session, address: PeerAddress) -> bool:
        peer, host = address.peer, host_of(address.address)
        if peer in session.connected:
            return True
        if peer == self.id or (self._ledger.is_out(peer, trio.current_time()) and peer not in self._pinned):
            return False
        if not self._slots.may_dial(peer, host):
            return False
        self._slots.went(peer, host)
        if await session.dial(address):
            self._book.reached(peer)
            return True
        self._book.missed(peer)
        self._slots.gone(peer)
        return False

    async def _keep(self, session: Session, address: PeerAddress) -> None:
        """Stay connected to a pinned peer."""
        wait_s = BACKOFF_S
        while True:
            wait_s = BACKOFF_S if await self._dial(session, address) else min(BACKOFF_MAX_S, 2 * wait_s)
            await trio.sleep(wait_s * (0.5 + self._random.random()))

    async def _top_up(self, session: Session) -> None:
        """Learn of peers, and connect to some when there are too few."""
        while True:
            await trio.sleep(TOP_UP_S * (0.5 + self._random.random()))
            for address in session.listening():
                if address.peer not in self._pinned:
                    self._book.heard(address)
            if session.directory is not None:
                session.directory.trim({ID.from_string(peer) for peer in session.connected})
            if len(session.connected) < WANTED_PEERS:
                for found in await session.directory.explore() if session.directory is not None else ():
                    if found.peer not in self._pinned:
                        self._book.heard(found)
                missing = WANTED_PEERS - len(session.connected)
                async with trio.open_nursery() as nursery:
                    for address in self._book.some(self._random, missing, [*session.connected, self.id]):
                        nursery.start_soon(self._dial, session, address)
            try:
                await trio.to_thread.run_sync(self._book.save)
            except StoreError as error:
                log.warning("%s", error)

    # --- what libp2p tells -------------------------------------------------------------------------------------------

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        """A connection is there."""
        del network
        session, peer = self._session, str(conn.muxed_conn.peer_id)
        remote = remote_of(conn)
        if session is None or remote is None:
            return
        self._slots.secured(remote)
        inbound = conn.direction is Direction.INBOUND  # type: ignore[attr-defined]  # libp2p's interface lacks it
        out = self._ledger.is_out(peer, trio.current_time()) and peer not in self._pinned
        if out or (inbound and not self._slots.come(peer, remote[0])):
            session.drop(peer)
            return
        if peer not in session.connected:
            now = self._clock()
            session.connected[peer] = Contact(inbound, remote, now, now)
        if session.directory is not None:
            await session.directory.met(conn.muxed_conn.peer_id)

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        """A connection is gone."""
        session, peer = self._session, str(conn.muxed_conn.peer_id)
        if session is not None and not network.get_connections(conn.muxed_conn.peer_id):
            session.forget(peer)
            self._slots.gone(peer)

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None:
        """Of no interest."""

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None:
        """Of no interest."""

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Of no interest."""

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Of no interest."""


async def _close(host: BasicHost) -> None:
    """Close all connections, side by side, and then the host: left to itself it leaves sockets open."""
    async with trio.open_nursery() as nursery:
        for connection in host.get_network().get_connections():
            nursery.start_soon(connection.close)
    await host.close()
