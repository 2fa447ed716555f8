"""A libp2p host that runs: who is connected, and the links to them."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

import trio
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.peer.peerstore import PeerStoreError

from node.peers.addresses import PeerAddress, host_of, usable
from node.peers.link import Link
from node.peers.wire import Wire
from node.replication.errors import UnreachableError

if TYPE_CHECKING:
    from libp2p.abc import INetConn
    from libp2p.host.basic_host import BasicHost
    from libp2p.network.swarm import Swarm

    from node.peers.contact import Contact
    from node.peers.directory import KademliaDirectory
    from node.peers.gossip import GossipService

PROTOCOL: Final = TProtocol("/dkg/peer/1")

CONNECT_S: Final = 15.0
"""How long a connection may take, its handshakes included, in seconds."""

OPEN_S: Final = 10.0
"""How long the opening of a stream may take, in seconds."""

FAILURES_MAX: Final = 3
"""Requests without an answer, one after the other, after which a connection is closed: it may be dead."""

log = logging.getLogger(__name__)


class Session:
    """One life of the host."""

    def __init__(self, host: BasicHost, nursery: trio.Nursery) -> None:
        self.host = host
        self.nursery = nursery
        self.gossip: GossipService | None = None
        self.directory: KademliaDirectory | None = None
        self.connected: dict[str, Contact] = {}
        self.failures: dict[str, int] = {}
        self._links: dict[str, Link] = {}
        self._opening: dict[str, trio.Lock] = {}

    async def link(self, peer: str) -> Link:
        """The link to a peer, opened if need be. Raises `UnreachableError`."""
        if peer not in self.connected:
            raise UnreachableError(f"the peer {peer} is not connected")
        async with self._opening.setdefault(peer, trio.Lock()):
            link = self._links.get(peer)
            if link is None or link.broken:
                link = self._links[peer] = Link(await self._open(peer))
                self.nursery.start_soon(link.run)
            return link

    async def _open(self, peer: str) -> Wire:
        try:
            with trio.fail_after(OPEN_S):
                return Wire(await self.host.new_stream(ID.from_string(peer), [PROTOCOL]))
        except (BaseLibp2pError, OSError, trio.TooSlowError) as error:
            raise UnreachableError(f"the peer {peer} takes no requests: {error}") from error

    async def failed(self, peer: str) -> None:
        """A request had no answer."""
        self.failures[peer] = self.failures.get(peer, 0) + 1
        if self.failures[peer] >= FAILURES_MAX and peer in self.connected:
            self.drop(peer)

    def drop(self, peer: str) -> None:
        """Close the connections to a peer."""
        self.forget(peer)
        self.nursery.start_soon(self._drop, ID.from_string(peer))

    async def _drop(self, peer: ID) -> None:
        try:
            await self.host.disconnect(peer)
        except (BaseLibp2pError, OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            log.info("closing the connection to %s: %s", peer, error)

    def forget(self, peer: str) -> None:
        """A peer is not connected any more."""
        self.connected.pop(peer, None)
        self.failures.pop(peer, None)
        self._opening.pop(peer, None)
        self._links.pop(peer, None)

    async def dial(self, address: PeerAddress) -> bool:
        """Connect to a peer; whether that worked."""
        info = address.info()
        cast("Swarm", self.host.get_network()).unblock_peer(info.peer_id)  # it would not try again for a minute
        self.host.get_peerstore().clear_addrs(info.peer_id)  # or it may try another, which somebody told it
        try:
            with trio.fail_after(CONNECT_S):
                await self.host.connect(info)
        except (BaseLibp2pError, OSError, trio.TooSlowError) as error:
            log.info("cannot connect to %s: %s", address, error)
            return False
        return True

    def listening(self) -> list[PeerAddress]:
        """Where connected peers say they listen, if that is where they are connected from."""
        found: list[PeerAddress] = []
        for connection in self.host.get_network().get_connections():
            peer, remote = connection.muxed_conn.peer_id, remote_of(connection)
            if remote is None:
                continue
            with suppress(PeerStoreError):  # nobody has said where it listens, or that was long ago
                known = usable(PeerInfo(peer, self.host.get_peerstore().addrs(peer)))
                found += [address for address in known if host_of(address.address) == remote[0]][:1]
        return found


def remote_of(connection: INetConn) -> tuple[str, int] | None:
    """Host and port of the other end."""
    found = connection.muxed_conn.get_remote_address()  # type: ignore[attr-defined]  # yamux has it
    return (str(found[0]), int(found[1])) if found else None
