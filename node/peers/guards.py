"""What py-libp2p 0.8.1 gets wrong that a peer could make use of, put right. Each guard has a test that shows the need.

- `GuardedTcp`: the task of a connection that was accepted, and its place among the inbound connections, are freed only
  when the host stops; after 250 connections in all it would take no more. And whoever connects is asked for nothing
  first, so that a flood of connections would be a flood of handshakes.
- `BoundedYamux`: the window that a peer may fill is announced and not enforced, and streams that nobody reads yet
  count too, so that a peer could fill the memory.
- `guarded_streams`: an error in the handler of a stream ends the whole host: one that protobuf raises for what is no
  message, say.
- `require_free_port`: listening sockets share their port, so that a second node on one port would start, and get half
  of the connections.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Final

import trio
from libp2p.io.trio import TrioTCPStream
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.transport.tcp.tcp import TCP, TCPListener

from dkg.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from libp2p.abc import INetStream
    from libp2p.io.abc import ReadWriteCloser

    from node.peers.slots import Slots

    StreamHandler = Callable[[INetStream], Awaitable[None]]

CONNECTION_BYTES_MAX: Final = 24 * 1024 * 1024
"""Most bytes that a connection may have sent and nobody has read, in all its streams. Honest windows end at 16 MiB."""

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


class GuardedTcp(TCP):
    """TCP that frees what a connection held, and asks `Slots` before it talks to anybody."""

    def __init__(self, slots: Slots) -> None:
        super().__init__()
        self._slots = slots

    def create_listener(self, handler_function: Callable[[ReadWriteCloser], Awaitable[None]]) -> TCPListener:
        """See libp2p."""

        async def handle(stream: ReadWriteCloser) -> None:
            remote = stream.get_remote_address()
            if not isinstance(stream, TrioTCPStream) or remote is None or not self._slots.accept(remote):
                await stream.close()
                return
            try:
                with trio.CancelScope() as scope:
                    await handler_function(_Watched(stream.stream, scope.cancel))
            finally:
                self._slots.closed(remote)
                with trio.move_on_after(1) as closing:
                    closing.shield = True
                    await stream.close()

        return TCPListener(handle)


class BoundedYamux(Yamux):
    """Yamux that ends the connection of a peer that sends more than its windows allow."""

    async def _read_data_body(self, length: int) -> bytes:
        unread = sum(map(len, self.stream_buffers.values()))
        if unread + length > CONNECTION_BYTES_MAX or len(self.streams) > STREAMS_MAX:
            log.warning(
                "peer %s has %d bytes and %d streams open that nobody reads", self.peer_id, unread, len(self.streams)
            )
            raise trio.TooSlowError  # what yamux ends a connection for
        data: bytes = await super()._read_data_body(length)
        return data


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
