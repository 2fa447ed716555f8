"""A JSON-RPC endpoint that stands in front of an honest one and is dead, slow or broken, or lies.

A rule is a plain function `(request, response) -> response` for one call. `response.payload` is what the honest
endpoint answers; it is asked when a rule first reads it, so a rule that does not read it swallows the call. `FAULTS`
are endpoints that fail, `LIES` are endpoints that answer what is not so (`tests/chain/lies.py`).
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from node.devnet.server import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Request:
    """One call; `number` counts the calls of this proxy from 1."""

    method: str
    params: list[Any]
    id: object
    number: int


@dataclass(slots=True)
class Response:
    """What goes back for a call. With `body`, it goes out in the payload's place."""

    ask: Callable[[], dict[str, Any]]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay_s: float = 0.0
    hang_up: bool = False
    """Close the connection without an answer."""
    part: float = 1.0
    """The share of the body that is sent before the connection is closed."""
    endless: bytes = b""
    """Sent again and again, with no length announced, until the client hangs up."""
    pause_s: float = 0.0
    """Wait between two pieces of an endless body."""
    _payload: dict[str, Any] | None = None

    @property
    def payload(self) -> dict[str, Any]:
        """The JSON-RPC answer; a copy that a rule may change."""
        if self._payload is None:
            self._payload = self.ask()
        return self._payload

    @property
    def result(self) -> Any:  # noqa: ANN401 - JSON
        """The result, None if the answer is an error."""
        return self.payload.get("result")

    def with_result(self, request: Request, result: object) -> Response:
        """The same with another result."""
        return replace(self, _payload={"jsonrpc": "2.0", "id": request.id, "result": result})

    def with_error(self, request: Request, code: int, message: str) -> Response:
        """The same with an error object."""
        error = {"code": code, "message": message}
        return replace(self, _payload={"jsonrpc": "2.0", "id": request.id, "error": error})


Rule = Callable[[Request, Response], Response]


class Proxy:
    """A running proxy. `rule` may be changed at any time; `calls` are the methods that were asked for."""

    def __init__(self, target: str, rule: Rule) -> None:
        self.target = target
        self.rule = rule
        self.calls: list[str] = []
        self.ended = threading.Event()
        self._server = _Server(self)
        self.url = self._server.url
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="proxy")
        self._thread.start()

    def respond(self, call: dict[str, Any]) -> Response:
        """What goes back for a call."""
        self.calls.append(call["method"])
        request = Request(call["method"], call.get("params", []), call.get("id"), len(self.calls))
        return self.rule(request, Response(lambda: self._forward(call)))

    def _forward(self, call: dict[str, Any]) -> dict[str, Any]:
        with closing(http.client.HTTPConnection(urlsplit(self.target).netloc)) as connection:
            connection.request("POST", "/", json.dumps(call).encode(), {"Content-Type": "application/json"})
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found

    def stop(self) -> None:
        """Hang up on everybody and free the port."""
        self.ended.set()
        self._server.stop(grace=0)
        self._thread.join()


@contextmanager
def proxy(target: str, rule: Rule) -> Iterator[Proxy]:
    """A proxy for as long as the block runs."""
    running = Proxy(target, rule)
    try:
        yield running
    finally:
        running.stop()


def unreachable() -> str:
    """A URL at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


class _Server(LoopbackServer):
    def __init__(self, owner: Proxy) -> None:
        self.owner = owner
        super().__init__(0, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        owner = self.server.owner
        # Of a batch each call has its own answer; how it is sent is what the first call's rule says.
        responses = [owner.respond(call) for call in (asked if isinstance(asked, list) else [asked])]
        response = responses[0]
        body = response.body
        if body is None and not response.hang_up:
            payloads = [each.payload for each in responses]
            body = json.dumps(payloads if isinstance(asked, list) else payloads[0]).encode()
        owner.ended.wait(response.delay_s)
        self._send(response, body or b"")

    def _send(self, response: Response, body: bytes) -> None:
        self.close_connection = response.hang_up or response.part < 1 or bool(response.endless)
        if response.hang_up:
            return
        self.send_response(response.status)
        headers = {"Content-Type": "application/json", **response.headers}
        if not response.endless:
            headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: int(len(body) * response.part)])
        while response.endless and not self.server.owner.ended.is_set():
            self.wfile.write(response.endless)
            self.wfile.flush()
            self.server.owner.ended.wait(response.pause_s)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Requests are not logged."""
