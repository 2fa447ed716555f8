"""One HTTP/1.1 connection on which nothing outlasts a deadline, whatever the other side sends or holds back.

http.client limits the time of each read, not of all of them together: one byte now and then, in a header or between
two chunks, keeps it waiting for ever. Here each read gets what is left until the deadline, a host with many addresses
gets no more time than one with one, and another thread can hang up.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping

_READ_BYTES: Final = 64 * 1024
_HTTP_PORT: Final = 80
_HTTPS_PORT: Final = 443


class TooLongError(Exception):
    """A body longer than what is read."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """A connection to one host, kept open between exchanges. One thread at a time uses it; any may `abort` it.

    `clock`: seconds that only go up. `ended`: set when everything must end. `bytes_read`: all that came, headers too.
    """

    def __init__(
        self, host: str, port: int | None, *, secure: bool, clock: Callable[[], float], ended: threading.Event
    ) -> None:
        self.bytes_read = 0
        self._host, self._secure = host, secure
        self._port = port or (_HTTPS_PORT if secure else _HTTP_PORT)
        self._clock, self._ended = clock, ended
        self._deadline = 0.0
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._tls: ssl.SSLContext | None = None

    @property
    def is_open(self) -> bool:
        """Whether a connection is kept; the other side may have closed it meanwhile."""
        return self._connection is not None

    def post(self, target: str, body: bytes, headers: Mapping[str, str], *, bytes_max: int, deadline: float) -> Reply:
        """One exchange. Raises `OSError` (`TimeoutError` at the deadline), `HTTPException`, or `TooLongError`.

        After any of these the connection is closed.
        """
        return self._exchanged(target, body, headers, bytes_max, deadline)

    def get(self, target: str, headers: Mapping[str, str], *, bytes_max: int, deadline: float) -> Reply:
        """Like `post`, with nothing to send."""
        return self._exchanged(target, None, headers, bytes_max, deadline)

    def _exchanged(
        self, target: str, body: bytes | None, headers: Mapping[str, str], bytes_max: int, deadline: float
    ) -> Reply:
        try:
            with closing(self._sent(target, body, headers, deadline)) as response:
                data = b"".join(_body(response, bytes_max))
        except BaseException:
            self.close()
            raise
        if response.will_close:
            self.close()
        return Reply(response.status, {name.lower(): value for name, value in response.headers.items()}, data)

    def stream(
        self, target: str, body: bytes, headers: Mapping[str, str], *, bytes_max: int, deadline: float
    ) -> Iterator[Reply]:
        """One exchange whose body is given in parts, as they come: each reply has the next. At least one comes.

        Raises what `post` raises, at any part. The connection is closed at the end, and when the iterator is.
        """
        try:
            with closing(self._sent(target, body, headers, deadline)) as response:
                named = {name.lower(): value for name, value in response.headers.items()}
                yield Reply(response.status, named, b"")
                for part in _body(response, bytes_max):
                    yield Reply(response.status, named, part)
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection; the next exchange opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def abort(self) -> None:
        """Wake whoever waits in an exchange, which then fails. For other threads; set `ended` first."""
        waiting = self._socket
        if waiting is not None:
            with suppress(OSError):  # not connected yet, or not any more
                waiting.shutdown(socket.SHUT_RDWR)

    def _sent(
        self, target: str, body: bytes | None, headers: Mapping[str, str], deadline: float
    ) -> http.client.HTTPResponse:
        """The response to a request, its body still to be read. Without a body it is a GET."""
        self._deadline = deadline
        if self._connection is None:
            self._connection = self._connected()
        self._connection.request("GET" if body is None else "POST", target, body, dict(headers))
        return self._connection.getresponse()

    # --- connecting ----------------------------------------------------------------------------------------

    def _left(self) -> float:
        """Seconds until the deadline."""
        if self._ended.is_set():
            raise ConnectionAbortedError(0, "it was closed here")
        left = self._deadline - self._clock()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def _connected(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self._host, self._port)
        connection.sock = _Timed(self._opened(), self._left, self._count)
        return connection

    def _opened(self) -> socket.socket:
        """A connected socket: the first of the host's addresses that answers."""
        failed: OSError = OSError(0, "the name of its host has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM):
            self._socket = socket.socket(family, kind, protocol)
            try:
                self._socket.settimeout(self._left())
                self._socket.connect(address)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return self._secured(self._socket) if self._secure else self._socket
            except OSError as error:
                self.close()
                failed = error
        raise failed

    def _secured(self, connected: socket.socket) -> socket.socket:
        """The socket with TLS, its certificate checked as the system says."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
        secured = self._tls.wrap_socket(connected, server_hostname=self._host, do_handshake_on_connect=False)
        self._socket = secured  # so that `abort` finds it
        secured.settimeout(self._left())
        secured.do_handshake()
        return secured

    def _count(self, size: int) -> None:
        self.bytes_read += size


def _body(response: http.client.HTTPResponse, bytes_max: int) -> Iterator[bytes]:
    """A body in parts, as they come."""
    size = 0
    while part := response.read1(_READ_BYTES):
        size += len(part)
        if size > bytes_max:
            raise TooLongError
        yield part
    if response.length:  # fewer bytes came than were announced
        raise http.client.IncompleteRead(b"")


class _Timed:
    """A connected socket as http.client uses one; each call gets what `left` says, in seconds."""

    def __init__(self, connected: socket.socket, left: Callable[[], float], count: Callable[[int], None]) -> None:
        self._socket, self._left, self._count = connected, left, count

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        self._socket.settimeout(self._left())
        self._socket.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What answers are read from."""
        return io.BufferedReader(_Reader(self._socket, self._left, self._count))

    def close(self) -> None:
        """Close it, once answers that are being read are done."""
        self._socket.close()


class _Reader(io.RawIOBase):
    """Reads of a socket, each with what is left of the time."""

    def __init__(self, connected: socket.socket, left: Callable[[], float], count: Callable[[int], None]) -> None:
        self._socket, self._left, self._count = connected, left, count
        self._raw = connected.makefile("rb", buffering=0)

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # always a memoryview, from BufferedReader
        """Read what is there, or wait for it."""
        self._socket.settimeout(self._left())
        size = self._raw.readinto(buffer) or 0
        self._count(size)
        return size

    def close(self) -> None:
        """Close it; the socket closes when its last reader does."""
        self._raw.close()
        super().close()
