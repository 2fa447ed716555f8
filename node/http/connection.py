"""A connection: uvicorn's, with the limits that uvicorn leaves to a proxy in front of it.

A header may take only so long to arrive and have only so many bytes; a client must read what it asked for at some
pace; what is left of a body that nobody read ends the connection; and there are only so many connections, of one
address and in all. What is too slow is found by `sweep`, once a second, so that no request sets a timer for it.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from node.http.clients import client_of, is_within
from node.http.problems import Code, Problem

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

    from node.http.context import Context

PIPELINED_MAX: Final = 16
"""Most requests of a connection that wait for the one before."""

_TOGETHER_BYTES: Final = 64 * 1024
"""Longest body that is joined with its header, in bytes; a longer one is handed on as it is."""

_UNFIT: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FRAMING: Final = frozenset({b"connection", b"transfer-encoding"})
_LENGTHS: Final = frozenset({b"content-length", b"transfer-encoding"})

_MORE_BYTES: Final = 4 * 1024  # of a request line and of what separates header fields
_NO_REQUEST: Final = "-"  # the id of a request that never was one


class Cycle(RequestResponseCycle):
    """uvicorn's request and its answer; an answer that is there as a whole is written at once, and checked as a whole.

    Header fields may hold no line breaks and no control characters. Others' names and values would be looked at one
    by one, which takes longer than all else that happens to an answer.
    """

    _head: bytes | None = None
    """Of an answer whose body comes next."""

    async def send(self, message: ASGISendEvent) -> None:
        """Take a part of an answer."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected or self.response_complete:
            await super().send(message)
        elif message["type"] == "http.response.start" and not self.response_started:
            self._head = self._head_of(message["status"], list(message.get("headers", ())))
            if self._head is None:
                await super().send(message)
        elif self._head is not None and message["type"] == "http.response.body":
            self._write(message.get("body", b""), more=message.get("more_body", False))
        else:
            await super().send(message)

    def _head_of(self, status: int, fields: list[tuple[bytes, bytes]]) -> bytes | None:
        """The header as it is sent; None where the answer says no length, or something of the connection."""
        known = dict(fields)
        length = known.get(b"content-length", b"0" if status in {204, 304} else b"")
        if not length.isdigit() or not _FRAMING.isdisjoint(known):
            return None
        fields = [*self.default_headers, *fields]
        block = b"".join([b"%b: %b\r\n" % field for field in fields])
        if block.count(b"\n") != len(fields) or block.count(b"\r") != len(fields) or _UNFIT.search(block):
            raise RuntimeError("a header field of an answer holds a character that it may not hold")
        self.response_started = True
        self.waiting_for_100_continue = False
        self.chunked_encoding = False
        self.expected_content_length = 0 if self.scope["method"] == "HEAD" else int(length)
        return b"%b%b%b\r\n" % (STATUS_LINE[status], block, b"" if self.keep_alive else b"connection: close\r\n")

    def _write(self, body: bytes, *, more: bool) -> None:
        """Write the header and what comes first of the body."""
        head, self._head = self._head or b"", None
        if self.scope["method"] == "HEAD":
            body = b""
        if len(body) > self.expected_content_length or (not more and len(body) < self.expected_content_length):
            raise RuntimeError("an answer has not the length that it says")
        self.expected_content_length -= len(body)
        if len(body) <= _TOGETHER_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)
        if not more:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()


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
        self._is_again = False
        """Whether what the parser is given is a header that was read before (`_again`)."""
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
        self._parse(data)
        if was_in_head and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._guard.head_bytes:
                self._guard.refused("long header")
                self._refuse(
                    Problem(Code.HEADERS_TOO_LARGE, f"the header has more than {self._guard.head_bytes} bytes")
                )

    def _parse(self, data: bytes) -> None:
        """Have the parser read some bytes. Nobody is offered another protocol here, whatever `Upgrade` asks for."""
        self._unset_keepalive_if_required()
        try:
            while data:
                try:
                    self.parser.feed_data(data)
                    data = b""
                except httptools.HttpParserUpgrade as upgrade:
                    data = data[upgrade.args[0] :]
                    self._again()
        except httptools.HttpParserError:
            self.logger.warning("what came is no HTTP request")
            self.send_400_response("this is no HTTP request")

    def _again(self) -> None:
        """Go on behind the header of a request for another protocol.

        The parser takes it for all of the request. What follows would be the next one, though it may be the body.
        """
        if self._complete:
            return
        head = b"".join(b"%b: %b\r\n" % field for field in self._lengths())
        self.parser, self._is_again = httptools.HttpRequestParser(self), True
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % head)

    def _lengths(self) -> list[tuple[bytes, bytes]]:
        """What the header of the newest request says of the length of its body."""
        return [field for field in self.headers if field[0] in _LENGTHS]

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
        if self._is_again:
            return
        super().on_message_begin()
        self._begin_head()
        self._complete = False

    def on_url(self, url: bytes) -> None:
        """A part of the URL."""
        if not self._is_again:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field; what comes after a body is none."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The header is there."""
        if self._is_again:
            self._is_again = False
            return
        self._in_head = False
        self._begin_answer()
        if len(self.pipeline) > PIPELINED_MAX:
            self._guard.refused("too many requests at once")
            self.transport.abort()

    def _begin_answer(self) -> None:
        """As uvicorn does it, with a `Cycle`; there is no other protocol to change to, and no limit besides ours."""
        parser, scope = self.parser, self.scope
        version = parser.get_http_version()
        scope["method"] = parser.get_method().decode("ascii")
        if version != "1.1":
            scope["http_version"] = version
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = url.path
        scope["query_string"] = url.query or b""
        idle = self._is_idle()
        cycle = self.cycle = Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if idle:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_message_complete(self) -> None:
        """All of a request is there."""
        if self.parser.should_upgrade() and self._lengths():
            return  # but for its body: see `_again`
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
