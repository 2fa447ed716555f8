"""JSON-RPC over HTTP/1.1, on the loopback interface unless told otherwise: a thread per connection, one function."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

HOST: Final = "127.0.0.1"
ANY: Final = "0.0.0.0"  # noqa: S104 - compared with

REQUEST_BYTES_MAX: Final = 1024 * 1024
"""Longest body of a request, in bytes."""


GRACE_S: Final = 1.0
"""How long those who are being answered may take to read it when the server stops, in seconds."""


class LoopbackServer(ThreadingHTTPServer):
    """An HTTP server, of this machine alone by default, that can be stopped whole: threads, connections and port."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler], host: str = HOST) -> None:
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__((host, port), handler)

    @property
    def url(self) -> str:
        """Where it answers; of several addresses, that of this machine alone."""
        host = str(self.server_address[0])
        return f"http://{HOST if host == ANY else host}:{self.server_address[1]}"

    def server_bind(self) -> None:
        """Take the port. http.server would look the host's name up, which may ask the network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's types
        """Start a connection's thread, and remember the connection."""
        with self._changed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        """Close a connection."""
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """A client that hangs up is no event; whatever else goes wrong is shown, and ends that connection only."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def stop(self, grace: float = GRACE_S) -> None:
        """End `serve_forever`, hang up on those who are connected, wait for their threads, free the port."""
        self.shutdown()
        with self._changed:
            self._hang_up(socket.SHUT_RD)  # whoever is being answered still gets the answer
            self._changed.wait_for(lambda: not self._connections, grace)
            self._hang_up(socket.SHUT_RDWR)
        self.server_close()

    def _hang_up(self, how: int) -> None:
        for connection in self._connections:
            with suppress(OSError):  # it was gone already
                connection.shutdown(how)


class JsonServer(LoopbackServer):
    """Answers the bodies of POST requests with what `answer` makes of them. Port 0 takes a free one."""

    def __init__(self, port: int, answer: Callable[[bytes], bytes], host: str = HOST) -> None:
        self.answer = answer
        super().__init__(port, _Handler, host)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # the answer leaves in one piece
    disable_nagle_algorithm = True
    server: JsonServer

    def do_POST(self) -> None:
        """Answer one request."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            self._answer(HTTPStatus.LENGTH_REQUIRED, b"")
        elif int(length) > REQUEST_BYTES_MAX:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"")
        else:
            self._answer(HTTPStatus.OK, self.server.answer(self.rfile.read(int(length))))

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        self.close_connection = self.close_connection or status != HTTPStatus.OK
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Requests are not logged."""
