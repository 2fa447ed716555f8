"""What py-libp2p 0.8.1 gets wrong that a peer could make use of, put right. Each guard has a test that shows the need.

- `TrackedTcp`: a host that stops leaves connections open, and one that ends by an error leaves them all.
- `GuardedTcp`: the task of a connection that was accepted, and its place among the inbound connections, are freed only
  when the host stops; after 250 connections in all it would take no more. And whoever connects is asked for nothing
  first, so that a flood of connections would be a flood of handshakes.
- `BoundedYamux`: the window that a peer may fill is announced and not enforced, and streams that nobody reads yet
  count too, so that a peer could fill the memory.
- `guarded_streams`: an error in the handler of a stream ends the whole host: one that protobuf raises for what is no
  message, say.
- `NoAutoConnector`: below the middle of its watermarks libp2p connects to whoever it has heard of, whatever they are.
- `require_free_port`: listening sockets share their port, so that a second node on one port would start, and get half
  of the connections.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

import trio
from libp2p.io.trio import TrioTCPStream
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.stream_muxer.muxer_multistream import MuxerMultistream
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.transport.tcp.tcp import TCP, TCPListener

from dkg.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from libp2p.abc import IMuxedConn, INetStream, IRawConnection, ISecureConn
    from libp2p.custom_types import TMuxerOptions
    from libp2p.io.abc import ReadWriteCloser
    from libp2p.peer.id import ID
    from multiaddr import Multiaddr  # type: ignore[import-untyped]

    from node.peers.slots import Slots

    StreamHandler = Callable[[INetStream], Awaitable[None]]
    Handler = Callable[[ReadWriteCloser], Awaitable[None]]

CONNECTION_BYTES_MAX: Final = 24 * 1024 * 1024
"""Most bytes that a connection may have sent and nobody has read, in all its streams. Honest windows end at 16 MiB."""

UNREAD_BYTES_MAX: Final = 128 * 1024 * 1024
"""The same for all connections together; when it is more, those with more than their share are closed."""

STREAMS_MAX: Final = 128
"""Most streams of a connection that are open at a time; about ten are needed."""

log = logging.getLogger(__name__)


class _Watched(TrioTCPStream):
    """A connection that tells when it is closed."""

    def __init__(self, stream: trio.SocketStream, closed: Callable[[], None]) -> None:
        super().__init__(stream)
        self._closed = closed

    async def close(self) -> None:
        """Close it, and tell."""
        try:
            await super().close()
        finally:
            self._closed()


class TrackedTcp(TCP):
    """TCP that knows which connections are open, and can close those that a host forgets."""

    def __init__(self) -> None:
        super().__init__()
        self._open: dict[int, trio.SocketStream] = {}

    def watched(self, stream: trio.SocketStream, closed: Callable[[], None] = lambda: None) -> TrioTCPStream:
        """A connection that is tracked until it is closed."""
        self._open[id(stream)] = stream

        def forget() -> None:
            self._open.pop(id(stream), None)
            closed()

        return _Watched(stream, forget)

    async def dial(self, maddr: Multiaddr) -> IRawConnection:
        """See libp2p."""
        connection = await super().dial(maddr)
        if isinstance(connection, RawConnection) and isinstance(connection.stream, TrioTCPStream):
            connection.stream = self.watched(connection.stream.stream)
        return connection

    def create_listener(self, handler_function: Handler) -> TCPListener:
        """See libp2p."""

        async def handle(stream: ReadWriteCloser) -> None:
            if isinstance(stream, TrioTCPStream):
                await handler_function(self.watched(stream.stream))

        return TCPListener(handle)

    async def close_rest(self) -> None:
        """Close what is still open."""
        for stream in list(self._open.values()):
            await trio.aclose_forcefully(stream)
        self._open.clear()


class GuardedTcp(TrackedTcp):
    """TCP that frees what a connection held, and asks `Slots` before it talks to anybody."""

    def __init__(self, slots: Slots) -> None:
        super().__init__()
        self._slots = slots

    def create_listener(self, handler_function: Handler) -> TCPListener:
        """See libp2p."""

        async def handle(stream: ReadWriteCloser) -> None:
            remote = stream.get_remote_address()
            if not isinstance(stream, TrioTCPStream) or remote is None:
                return
            if not self._slots.accept(remote, trio.current_time()):
                await stream.close()
                return
            watched = stream
            try:
                with trio.CancelScope() as scope:
                    watched = self.watched(stream.stream, scope.cancel)
                    await handler_function(watched)
            finally:
                self._slots.closed(remote)
                with trio.move_on_after(1) as closing:
                    closing.shield = True
                    await watched.close()

        return TCPListener(handle)


class BoundedYamux(Yamux):
    """Yamux that ends the connection of a peer that sends more than its windows allow."""

    others: WeakSet[BoundedYamux]
    """All connections of the host."""

    @property
    def unread(self) -> int:
        """Bytes that nobody has read."""
        return sum(map(len, self.stream_buffers.values()))

    async def _read_data_body(self, length: int) -> bytes:
        unread = self.unread + length
        share = UNREAD_BYTES_MAX // len(self.others)
        greedy = unread > share and sum(other.unread for other in self.others) > UNREAD_BYTES_MAX
        if greedy or unread > CONNECTION_BYTES_MAX or len(self.streams) > STREAMS_MAX:
            log.warning(
                "peer %s has %d bytes and %d streams open that nobody reads", self.peer_id, unread, len(self.streams)
            )
            raise trio.TooSlowError  # what yamux ends a connection for
        data: bytes = await super()._read_data_body(length)
        return data


class BoundedMuxers(MuxerMultistream):
    """Makes every connection a `BoundedYamux`: libp2p would make its own yamux, whatever class it is given."""

    def __init__(self, muxers: TMuxerOptions) -> None:
        super().__init__(muxers)
        self._all: WeakSet[BoundedYamux] = WeakSet()

    async def new_conn(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        """See libp2p."""
        protocol, _ = await self._selector.select(conn, conn.is_initiator, self.negotiate_timeout)
        muxed = BoundedYamux(conn, peer_id, is_initiator=conn.is_initiator)
        muxed.others = self._all
        self._all.add(muxed)
        return self._annotate_connection(muxed, conn, protocol)


class NoAutoConnector(AutoConnector):
    """Connects to nobody of its own accord."""

    async def maybe_connect(self) -> None:
        """Nothing: `node.peers.transport` decides whom to connect to."""


def guarded_streams(handler: StreamHandler) -> StreamHandler:
    """A handler whose errors end its stream, and nothing else."""

    async def handle(stream: INetStream) -> None:
        try:
            await handler(stream)
        except Exception as error:  # noqa: BLE001 - whatever a peer can provoke in libp2p, and there is much
            log.info("the stream of %s was ended: %s: %s", stream.muxed_conn.peer_id, type(error).__name__, error)
            with trio.move_on_after(1) as scope:
                scope.shield = True
                await stream.reset()

    return handle


def require_free_port(host: str, port: int) -> None:
    """Raise `StoreError` if somebody listens there already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StoreError(f"cannot listen for peers on {host}, port {port}: {error.strerror or error}") from error
