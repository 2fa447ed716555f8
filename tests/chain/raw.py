"""A server that answers HTTP requests with whatever bytes a test wants, or with none: what no web server would send."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

Serve = Callable[["Caller"], None]
"""Answers one connection. It ends when this returns."""


class Caller:
    """A connection from a client."""

    def __init__(self, connection: socket.socket, owner: RawServer) -> None:
        self.connection = connection
        self.owner = owner

    def request(self) -> bytes:
        """Read one request, headers and body; empty if the client hung up."""
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            part = self.connection.recv(65536)
            if not part:
                return b""
            data += part
        length = next(int(line[15:]) for line in data.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(data) < end + 4 + length:
            data += self.connection.recv(65536)
        self.owner.requests.append(data)
        return data

    def send(self, data: bytes) -> None:
        """Send some bytes."""
        self.connection.sendall(data)

    def for_ever(self, data: bytes) -> None:
        """Send the same again and again until the client hangs up."""
        with suppress(OSError):
            while not self.owner.ended.is_set():
                self.connection.sendall(data)

    def wait(self) -> None:
        """Say nothing until the client hangs up."""
        with suppress(OSError):
            while self.connection.recv(65536):
                pass


class RawServer:
    """A running server. `requests`: all that was asked, in bytes; `connections`: how many there were."""

    def __init__(self, serve: Serve, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = threading.Event()
        self._serve, self._tls = serve, tls
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._accepting = threading.Thread(target=self._accept, name="raw")
        self._accepting.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while not self.ended.is_set():
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.add(connection)
                thread = threading.Thread(target=self._answer, args=(connection,), name="raw-answer")
                self._threads.append(thread)
                thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                self._open.discard(connection)
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.add(connection)
            self._serve(Caller(connection, self))
        self._open.discard(connection)
        connection.close()

    def stop(self) -> None:
        """Hang up on everybody, and free the port."""
        self.ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@contextmanager
def raw_server(serve: Serve, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """A server for as long as the block runs."""
    running = RawServer(serve, tls)
    try:
        yield running
    finally:
        running.stop()


def answering(*answers: bytes) -> Serve:
    """Answers the requests of each connection with these bytes, in turn, then hangs up."""

    def serve(caller: Caller) -> None:
        for answer in answers:
            if not caller.request():
                return
            caller.send(answer)

    return serve


def replying(calls: int) -> Serve:
    """Answers so many calls of each connection with their own identifiers, then hangs up."""

    def serve(caller: Caller) -> None:
        for _ in range(calls):
            asked = caller.request()
            if asked:
                call = json.loads(asked.partition(b"\r\n\r\n")[2])
                caller.send(http(json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": call["method"]}).encode()))

    return serve


def http(body: bytes, status: str = "200 OK", headers: bytes = b"") -> bytes:
    """An HTTP answer with its length."""
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status.encode(), len(body), headers, body)
