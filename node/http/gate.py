"""The gate: what every request goes through before a route sees it, and every answer on its way out.

1. Who asks is found out, and the request gets an id.
2. The Host header, the lengths of URL and header, and the client's rate are checked.
3. What the routes raise becomes a problem (`node.http.problems`), whatever it is; nothing else of it is shown.
4. Answers get the header fields of safety and of CORS; long ones go out in pieces, as fast as the client reads.
5. It is counted and logged. The log has no query strings: they may hold what somebody would not say aloud.
"""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final

from starlette.requests import Request

from dkg.errors import DkgError
from node.http.clients import asked_by, client_of
from node.http.context import ASKING, KEY, PIECE_BYTES, Exchange
from node.http.cors import Cors
from node.http.problems import Code, Problem, problem_of
from node.http.settings import host_name
from node.http.whole import first_of
from node.workers.errors import WorkerCrashedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from node.http.context import Context
    from node.http.sparql import Handler

HEALTH: Final = ("/health", "/health/live", "/health/ready")
"""Paths that are answered however much is going on."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_HOST_BYTES_MAX: Final = 300
_ID_BYTES: Final = 8
_IDS_DRAWN: Final = 256  # at once
_CLIENT_CLOSED: Final = 499
"""What the log and the metrics have for a request whose client did not wait (nginx's custom)."""

_FAULT: Final = 500
_EXPECTED: Final = frozenset({Code.OVERLOADED, Code.NOT_READY})
"""Of the codes from 500 on, those that tell of no fault."""

_ASK_AGAIN: Final = (b"cache-control", b"no-cache")
_SAFETY: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"referrer-policy", b"no-referrer"),
]


class Entrance:
    """An application that hands on at once what is answered directly; all else goes the way of `app`, and its gate."""

    def __init__(self, app: ASGIApp, context: Context, direct: Mapping[tuple[str, str], Handler]) -> None:
        self._app = app
        self._direct = direct
        self._gate = Gate(app, context, direct)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] == "http" and (scope["path"], scope["method"]) in self._direct:
            await self._gate(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class Gate:
    """An ASGI middleware around all routes."""

    def __init__(self, app: ASGIApp, context: Context, direct: Mapping[tuple[str, str], Handler]) -> None:
        """`direct`: what answers a path and a method; all others are looked for by `app`, which takes longer."""
        self._app = app
        self._context = context
        self._direct = direct
        self._proxies = context.settings.proxy_networks()
        self._hosts = context.settings.host_names()
        self._cors = Cors(context.settings)
        self._ids: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the module."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        context, fields = self._context, first_of(scope["headers"])
        exchange = Exchange(self._id(fields), self._client(scope), context.ticks(), fields)
        ASKING.set(exchange.client)
        scope = {**scope, KEY: exchange}  # the server looks at its own, which stays as it is
        if scope["method"] == "HEAD":
            # Routes are for GET; the body is dropped on its way out.
            exchange.is_head = True
            scope["method"] = "GET"
        origin = fields.get(b"origin")
        answer = _Answer(exchange, send, self._cors.headers(None if origin is None else origin.decode("latin-1")))
        always = scope["path"] in HEALTH
        try:
            self._check(scope, fields)
            if not always:
                context.admission.enter(exchange.client)
        except Problem as problem:
            await self._tell(problem, exchange, scope, receive, answer)
        else:
            try:
                await self._answer(scope, receive, answer)
            finally:
                if not always:
                    context.admission.leave(exchange.client)
        finally:
            self._record(scope, exchange)

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        exchange = answer.exchange
        try:
            async with asyncio.timeout(self._context.settings.request_seconds) as answer.patience:
                handler = self._direct.get((scope["path"], scope["method"]))
                if handler is not None:
                    exchange.route = scope["path"]
                    await (await handler(Request(scope, receive)))(scope, receive, answer)
                else:
                    await (self._cors.preflight(scope) or self._app)(scope, receive, answer)
        except TimeoutError:
            await self._tell(Problem(Code.TIMEOUT, "the node took too long"), exchange, scope, receive, answer)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not exchange.abandoned or task is None:
                raise
            task.uncancel()
            exchange.status = exchange.status or _CLIENT_CLOSED
        except Exception as error:  # noqa: BLE001 - whatever it is, it is logged, and nobody sees more of it than a code
            await self._tell(error, exchange, scope, receive, answer)

    async def _tell(
        self, error: Exception, exchange: Exchange, scope: Scope, receive: Receive, answer: _Answer
    ) -> None:
        """Answer with a problem. If the answer has begun, it is cut, which the server sees."""
        problem, answer.patience = problem_of(error), None
        exchange.code = problem.code.text
        if problem.code.status >= _FAULT and problem.code not in _EXPECTED:
            self._log_fault(error, exchange)
        if not exchange.status:
            await problem.response(exchange.id)(scope, receive, answer)

    def _log_fault(self, error: Exception, exchange: Exchange) -> None:
        detail = getattr(error, "detail", "") if isinstance(error, WorkerCrashedError) else ""
        known = isinstance(error, DkgError | Problem)
        self._context.log(
            "http.fault",
            request=exchange.id,
            code=exchange.code,
            error=type(error).__name__,
            text=str(error),
            detail=detail,
            trace=None if known else _trace(error),
        )

    # --- checks ----------------------------------------------------------------------------------------------

    def _check(self, scope: Scope, known: Mapping[bytes, bytes]) -> None:
        settings = self._context.settings
        url = len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"])
        if url > settings.url_bytes:
            raise Problem(Code.URL_TOO_LONG, f"the URL has more than {settings.url_bytes} bytes: send a POST")
        fields = scope["headers"]
        if len(fields) > settings.header_fields:
            raise Problem(Code.HEADERS_TOO_LARGE, f"there are more than {settings.header_fields} header fields")
        if sum(map(len, chain.from_iterable(fields))) > settings.header_bytes:
            raise Problem(Code.HEADERS_TOO_LARGE, f"the header has more than {settings.header_bytes} bytes")
        if len(known) < len(fields) and sum(name == b"host" for name, _ in fields) > 1:
            raise Problem(Code.REQUEST_MALFORMED, "there are several Host headers, and others may go by another one")
        if scope["path"] in HEALTH:
            return  # those who look after machines know them by their addresses
        host = known.get(b"host", b"")
        name = _host_of(host) if len(host) <= _HOST_BYTES_MAX else None
        if name is None:
            raise Problem(Code.REQUEST_MALFORMED, "the Host header is missing, or names no host")
        if self._hosts is not None and name not in self._hosts:
            raise Problem(
                Code.HOST_REFUSED, "this node does not answer by the name in the Host header (setting `hosts`)"
            )

    def _id(self, fields: Mapping[bytes, bytes]) -> str:
        given = fields.get(b"x-request-id", b"").decode("latin-1")
        if given and _REQUEST_ID.fullmatch(given):
            return given
        if not self._ids:
            drawn = self._context.chance(_ID_BYTES * _IDS_DRAWN).hex()
            self._ids = [drawn[at : at + 2 * _ID_BYTES] for at in range(0, len(drawn), 2 * _ID_BYTES)]
        return self._ids.pop()

    def _client(self, scope: Scope) -> str:
        peer = scope["client"][0] if scope.get("client") else ""
        if not self._proxies:
            return client_of(peer)
        # All of them: some proxies put a field of their own behind that of the client.
        forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        return client_of(asked_by(peer, forwarded.decode("latin-1"), self._proxies))

    # --- afterwards ------------------------------------------------------------------------------------------

    def _record(self, scope: Scope, exchange: Exchange) -> None:
        context = self._context
        method = "HEAD" if exchange.is_head else scope["method"]
        route = exchange.route or str(getattr(scope.get("route"), "path", "none"))
        seconds = context.ticks() - exchange.started
        metrics = context.metrics
        metrics.answered(route, method if method in METHODS else "other", exchange.status, seconds)
        metrics.sent.inc(exchange.sent)
        if exchange.code is not None:
            metrics.problems.labels(exchange.code).inc()
        context.log(
            "http.request",
            request=exchange.id,
            client=exchange.client,
            method=method,
            path=scope["path"],
            status=exchange.status,
            code=exchange.code,
            bytes=exchange.sent,
            seconds=round(seconds, 6),
            token=exchange.token.name if exchange.token else None,
            agent=exchange.fields.get(b"user-agent", b"")[:200].decode("latin-1"),
        )


@lru_cache(maxsize=1024)
def _host_of(header: bytes) -> str | None:
    """The name in a Host header; None for what names no host."""
    text = header.decode("latin-1")
    return host_name(text) if _HOST.fullmatch(text) else None


METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Answer:
    """An answer on its way out: a `Send`."""

    def __init__(self, exchange: Exchange, send: Send, fields: list[tuple[bytes, bytes]]) -> None:
        self.exchange = exchange
        self.patience: asyncio.Timeout | None = None
        self._send = send
        self._fields = fields

    async def __call__(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            await self._start(message)
        elif message["type"] == "http.response.body":
            await self._body(message)

    async def _start(self, message: Message) -> None:
        exchange = self.exchange
        exchange.status = message["status"]
        if self.patience is not None:
            self.patience.reschedule(None)  # from here on it takes as long as the client does
        headers = [*message["headers"], *_SAFETY, (b"x-request-id", exchange.id.encode()), *self._fields]
        if b"cache-control" not in dict(message["headers"]):
            headers.append(_ASK_AGAIN)
        await self._send({**message, "headers": headers})

    async def _body(self, message: Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        if self.exchange.is_head:
            body = b""
        self.exchange.sent += len(body)
        start = 0
        while len(body) - start > PIECE_BYTES:
            await self._send({**message, "body": body[start : start + PIECE_BYTES], "more_body": True})
            start += PIECE_BYTES
        await self._send({**message, "body": body[start:] if start else body, "more_body": more})


def _trace(error: Exception) -> str:
    """Where an error came from, for the log."""
    import traceback  # noqa: PLC0415 - only when something is wrong with the program

    return "".join(traceback.format_exception(error))[-8000:]
