"""A connection: uvicorn's, with the limits that uvicorn leaves to a proxy in front of it.

A header may take only so long to arrive and have only so many bytes; a client must read what it asked for at some
pace; what is left of a body that nobody read ends the connection; and there are only so many connections, of one
address and in all. What is too slow is found by `sweep`, once a second, so that no request sets a timer for it.
"""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from node.http.clients import client_of, is_within
from node.http.problems import Code, Problem

if TYPE_CHECKING:
    import asyncio

    from node.http.context import Context

PIPELINED_MAX: Final = 16
"""Most requests of a connection that wait for the one before."""

_MORE_BYTES: Final = 4 * 1024  # of a request line and of what separates header fields
_NO_REQUEST: Final = "-"  # the id of a request that never was one


class Guard:
    """What the connections of a server share."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = context.settings
        self.proxies = context.settings.proxy_networks()
        self.by_client: Counter[str] = Counter()
        self.head_bytes = self.settings.url_bytes + self.settings.header_bytes + _MORE_BYTES

    def refused(self, why: str) -> None:
        """A connection was refused or cut."""
        self.context.metrics.refused.labels(why).inc()


class Connection(HttpToolsProtocol):
    """A connection. `guard`: what it shares with the others; the rest is uvicorn's."""

    def __init__(self, guard: Guard, **given: Any) -> None:  # noqa: ANN401
        super().__init__(**given)
        self._guard = guard
        self._address: str | None = None  # counted, if there is one
        self._in_head = True
        self._head_since = self.loop.time()
        self._head_bytes = 0
        self._complete = True
        """Whether all of the newest request has arrived."""
        self._stalled_since: float | None = None
        self._closing_since: float | None = None

    # --- the transport's side ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection, if there is room for it."""
        super().connection_made(transport)
        guard, settings = self._guard, self._guard.settings
        guard.context.metrics.connections.set(len(self.connections))
        peer = self.client[0] if self.client else ""
        if not (guard.proxies and is_within(peer, guard.proxies)):
            self._address = client_of(peer)
            guard.by_client[self._address] += 1
        own = guard.by_client[self._address] if self._address is not None else 0
        if own > settings.client_connections or len(self.connections) > settings.connections:
            guard.refused("too many connections")
            self._refuse(Problem(Code.OVERLOADED, "there are too many connections", retry_after_s=1))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        super().connection_lost(exc)
        guard = self._guard
        guard.context.metrics.connections.set(len(self.connections))
        if self._address is not None:
            guard.by_client[self._address] -= 1
            if not guard.by_client[self._address]:
                del guard.by_client[self._address]
            self._address = None

    def data_received(self, data: bytes) -> None:
        """Read some bytes."""
        if self.transport.is_closing():
            return
        if not self._in_head and self._is_idle():
            self._begin_head()
        was_in_head = self._in_head
        super().data_received(data)
        if was_in_head and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._guard.head_bytes:
                self._guard.refused("long header")
                self._refuse(
                    Problem(Code.HEADERS_TOO_LARGE, f"the header has more than {self._guard.head_bytes} bytes")
                )

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        super().pause_writing()
        self._stalled_since = self.loop.time()

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        self._stalled_since = None

    # --- the parser's side ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._begin_head()
        self._complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field; what comes after a body is none."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The header is there."""
        self._in_head = False
        super().on_headers_complete()
        if len(self.pipeline) > PIPELINED_MAX:
            self._guard.refused("too many requests at once")
            self.transport.abort()

    def on_message_complete(self) -> None:
        """All of a request is there."""
        self._complete = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """All of an answer is on its way."""
        super().on_response_complete()
        if not self._complete and not self._in_head and not self.pipeline:
            self.transport.close()  # what is left of the body is not read

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request."""
        self._refuse(Problem(Code.REQUEST_MALFORMED, msg))

    # --- limits ----------------------------------------------------------------------------------------------------

    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        cycle = getattr(self, "cycle", None)  # uvicorn says that there always is one
        return cycle is None or cycle.response_complete

    def _begin_head(self) -> None:
        self._in_head = True
        self._head_since = self.loop.time()
        self._head_bytes = 0

    def sweep(self, now: float) -> None:
        """End this if it is too slow. `now`: the loop's time."""
        settings = self._guard.settings
        if self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > settings.send_seconds:
                self.transport.abort()
        elif self._stalled_since is not None and now - self._stalled_since > settings.send_seconds:
            self._guard.refused("slow reader")
            self.transport.abort()
        elif self._in_head and now - self._head_since > settings.header_seconds:
            self._guard.refused("slow header")
            self._refuse(Problem(Code.REQUEST_TIMEOUT, "the header did not arrive in time"))

    def _refuse(self, problem: Problem) -> None:
        """Answer before there is a request, and close."""
        if self._is_idle():
            response = problem.response(_NO_REQUEST)
            status = problem.code.status
            lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(), b"connection: close"]
            lines += [b"%b: %b" % field for field in response.raw_headers]
            self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self.transport.close()
