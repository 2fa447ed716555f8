"""An OpenAI-compatible proxy: questions to a chat endpoint get verified facts, and its answers get citations.

    client -> proxy -> any OpenAI-compatible endpoint (llama-server, Ollama, vLLM, ...)

`POST /v1/chat/completions`: the last question of the user is looked up; what is found stands before it, fenced and
numbered (`retrieval.prompt`); the answer comes back with `annotations` of the kind `url_citation` and a member `dkg`
with everything that was found. `GET /v1/proofs/...` are the proofs (`retrieval.http`). All else is handed on untouched.

Whoever can reach the proxy can use the endpoint behind it, so it listens at loopback unless it is told otherwise,
answers by loopback's names alone, and refuses what web pages of other machines send, whatever the endpoint would let
them do: they would read facts. Keys that clients send go to the endpoint and nowhere else.
"""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

import anyio
import anyio.to_thread
import httpx
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from dkg.errors import DkgError, InputError, LimitError, ProofError, StoreError
from retrieval.plugs.openai import (
    Stream,
    annotated,
    annotation,
    facts_text,
    last_words,
    question_of,
    request_of,
    with_facts,
)
from retrieval.proofs import describe
from retrieval.service import RETRY_S, BusyError, NotReadyError, UnknownProofError
from retrieval.shown import as_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from retrieval.results import Result
    from retrieval.service import Knowledge

PORT: Final = 8901

REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024
"""Longest request for a chat completion, in bytes."""

ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
"""Longest whole answer that gets citations, in bytes."""

CONNECT_S: Final = 10.0
"""How long the endpoint may take to accept a connection, in seconds."""

SILENT_S: Final = 300.0
"""How long the endpoint may be silent, in seconds: small machines read long prompts slowly."""

AT_ONCE: Final = 64
"""Requests that are answered at a time."""

_HOST: Final = re.compile(r"([A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

Field = tuple[bytes, bytes]
Told = list[Field]

_HOP: Final = frozenset({
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
    b"transfer-encoding", b"upgrade", b"host",
})  # fmt: skip
"""Header fields that are between two machines (RFC 9110, 7.6.1)."""

_CHANGED: Final = frozenset(
    {b"content-length", b"content-encoding", b"accept-encoding", b"content-type", b"etag", b"expect"}
)
"""Those that are of a body which is another one now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """Settings of the proxy. Raises `InputError` for values that make no sense."""

    upstream: str
    """URL of the endpoint, such as `http://127.0.0.1:8080` or `https://api.example.org/v1`."""
    tokens: int = 150
    """Tokens of facts for each question."""
    refuse: bool = True
    """What to do when nothing can be looked up: refuse, or hand the question on as it is and say so."""
    hosts: frozenset[str] | None = LOOPBACK
    """Names that the Host header may have; None: any."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.upstream)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise InputError("the endpoint is a URL like http://127.0.0.1:8080 or https://api.example.org/v1")
        if parts.username is not None or parts.password is not None:
            raise InputError("the endpoint's URL has a password in it: let clients send their keys instead")

    @property
    def base(self) -> str:
        """The endpoint without `/v1`, which the paths of requests begin with."""
        return self.upstream.rstrip("/").removesuffix("/v1")


def make_app(
    knowledge: Knowledge, settings: ProxySettings, transport: httpx.AsyncBaseTransport | None = None
) -> Starlette:
    """The proxy, as an ASGI application. `transport`: how the endpoint is reached; by default over the network."""
    proxy = Proxy(knowledge, settings, transport)
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    routes = [
        Route("/v1/chat/completions", proxy.chat, methods=["POST"]),
        Route("/v1/proofs/{id}", proxy.proofs, methods=["GET"]),
        Route("/v1/proofs/{id}/{number:int}", proxy.proof, methods=["GET"]),
        Route("/{path:path}", proxy.other, methods=methods),
    ]
    return Starlette(routes=routes, lifespan=proxy.lifespan)


class Proxy:
    """The routes."""

    def __init__(
        self, knowledge: Knowledge, settings: ProxySettings, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self._knowledge = knowledge
        self._settings = settings
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._threads = anyio.CapacityLimiter(AT_ONCE)

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """Connections to the endpoint, for as long as the application runs."""
        timeout = httpx.Timeout(SILENT_S, connect=CONNECT_S)
        limits = httpx.Limits(max_connections=AT_ONCE)
        async with httpx.AsyncClient(
            transport=self._transport, timeout=timeout, limits=limits, trust_env=False
        ) as self._client:
            yield

    # --- questions -----------------------------------------------------------------------------------------------

    async def chat(self, request: Request) -> Response:
        """A question: facts before it, citations in the answer."""
        refused = self._refused(request)
        if refused is not None:
            return refused
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _error(415, "send application/json", "media_type_unsupported")
        try:
            asked = request_of(await _body(request))
        except LimitError as error:
            return _error(413, str(error), "too_large")
        except InputError as error:
            return _error(400, str(error), "invalid_request")
        question = question_of(asked)
        if question is not None and not any(map(str.isalnum, last_words(question))):
            question = None  # a smile, or "...": there is nothing to look up, and nothing wrong
        found: Result | None = None
        failure: str | None = None
        try:
            if question is not None:
                found = await self._find(question)
                asked = with_facts(asked, facts_text(found.found))
        except DkgError as error:
            if self._settings.refuse or isinstance(error, InputError):
                return _failed(error)
            failure = "nothing could be looked up: this answer rests on no verified fact"
        return await self._asked(request, asked, found, failure)

    async def _find(self, question: str) -> Result:
        return await anyio.to_thread.run_sync(
            lambda: self._knowledge.chat(last_words(question), self._settings.tokens), limiter=self._threads
        )

    async def _asked(
        self, request: Request, asked: dict[str, Any], found: Result | None, failure: str | None
    ) -> Response:
        """The endpoint's answer to a question that has its facts."""
        fields = [(name, value) for name, value in _fields(request) if name not in _CHANGED]
        fields += [(b"content-type", b"application/json"), (b"accept-encoding", b"identity")]
        body = json.dumps(asked, ensure_ascii=False).encode(errors="replace")
        try:
            answer = await self._send(request, fields, body)
        except httpx.HTTPError as error:
            return _silent(error)
        told = [(b"dkg-retrieval", b"failed" if failure else b"none" if found is None else b"facts")]
        more = {"dkg": as_json(found.shown())} if found is not None else {"dkg": {"error": failure}} if failure else {}
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            stream = Stream(_annotator(found), more)
            made = StreamingResponse(_cited(answer, stream), answer.status_code, media_type="text/event-stream")
            return _headed(made, answer, _CHANGED, told)
        try:
            data = await _whole(answer)
        except httpx.HTTPError as error:
            return _silent(error)
        except LimitError as error:
            return _error(502, str(error), "upstream_too_large")
        return self._cited_whole(answer, data, found, more, told)

    def _cited_whole(
        self, answer: httpx.Response, data: bytes, found: Result | None, more: dict[str, Any], told: Told
    ) -> Response:
        """A whole answer with its citations; one that is no JSON object, or a refusal, as it came."""
        if answer.status_code == 200:  # noqa: PLR2004 - OK
            try:
                parsed = json.loads(data)
            except (ValueError, RecursionError):
                parsed = None
            if isinstance(parsed, dict):
                changed = annotated(parsed, _annotator(found), more)
                data = json.dumps(changed, ensure_ascii=False).encode(errors="replace")
        return _headed(Response(data, answer.status_code), answer, _CHANGED - {b"content-type"}, told)

    # --- all else --------------------------------------------------------------------------------------------------

    async def other(self, request: Request) -> Response:
        """Hand a request on, and its answer back, as they are."""
        refused = self._refused(request)
        if refused is not None:
            return refused
        try:
            body = request.stream() if _has_body(request) else None
            answer = await self._send(request, _fields(request), body)
        except httpx.HTTPError as error:
            return _silent(error)
        return _headed(StreamingResponse(_raw(answer), answer.status_code), answer, frozenset(), [])

    async def proofs(self, request: Request) -> Response:
        """What the proofs of an answer are, and how to check them."""
        refused = self._refused(request)
        if refused is not None:
            return refused
        name = request.path_params["id"]
        try:
            found = self._knowledge.claims(name)
        except DkgError as error:
            return _failed(error)
        return JSONResponse({"id": name, "proofs": [describe(one, n) for n, one in enumerate(found, 1)]})

    async def proof(self, request: Request) -> Response:
        """One of them, as a CAR file."""
        refused = self._refused(request)
        if refused is not None:
            return refused
        name, number = request.path_params["id"], request.path_params["number"]
        try:
            made = await anyio.to_thread.run_sync(lambda: self._knowledge.proof(name, number), limiter=self._threads)
        except DkgError as error:
            return _failed(error)
        return Response(made.car, media_type="application/vnd.ipld.car")

    # --- below -----------------------------------------------------------------------------------------------------

    def _refused(self, request: Request) -> Response | None:
        hosts = self._settings.hosts
        name = _name_of(request.headers.get("host", ""))
        if hosts is not None and name not in hosts:
            return _error(421, "this proxy does not answer by the name in the Host header", "host_refused")
        is_foreign = request.headers.get("sec-fetch-site") == "cross-site"
        for origin in request.headers.getlist("origin"):
            scheme, _, host = origin.partition("://")
            page = _name_of(host)
            is_foreign |= scheme not in {"http", "https"} or page is None or page not in (hosts or {name})
        if is_foreign:
            return _error(403, "web pages of other machines may not use this proxy", "origin_refused")
        path, query = _target_of(request)
        if not path.isascii() or not query.isascii() or b"#" in path + query:
            return _error(400, "the path has bytes that no path of a URL has", "path_refused")
        if {b".", b".."} & set(unquote_to_bytes(path).replace(b"\\", b"/").split(b"/")):
            return _error(400, "the path has parts that are . or .., which lead to other paths", "path_refused")
        return None

    async def _send(self, request: Request, fields: list[Field], body: Any) -> httpx.Response:  # noqa: ANN401
        client = self._client
        if client is None:
            raise RuntimeError("the application was not started: its lifespan makes the connections")
        path, query = _target_of(request)
        base = httpx.URL(self._settings.base)
        target = base.copy_with(raw_path=base.raw_path.rstrip(b"/") + path + (b"?" + query if query else b""))
        made = httpx.Request(  # `client.build_request` would add fields of its own, such as what it can decode
            request.method,
            target,
            headers=httpx.Headers(fields),
            content=body,
            extensions={"timeout": client.timeout.as_dict()},
        )
        return await client.send(made, stream=True)


def _name_of(host: str) -> str | None:
    """The name in a Host header, or after the scheme of an origin; None if there is none."""
    found = _HOST.fullmatch(host)
    return None if found is None else found[1].strip("[]").lower()


def _target_of(request: Request) -> tuple[bytes, bytes]:
    """Path and query, as they were sent."""
    return request.scope.get("raw_path") or request.scope["path"].encode(), request.scope["query_string"]


def _has_body(request: Request) -> bool:
    """Whether a body comes (RFC 9112, 6.3). One that is sent without need confuses servers that expect none."""
    return "content-length" in request.headers or "transfer-encoding" in request.headers


def _fields(request: Request) -> list[Field]:
    """Header fields that go on to the endpoint, as the bytes they are."""
    named = {one.strip().lower().encode("latin-1") for one in request.headers.get("connection", "").split(",")}
    return [(name, value) for name, value in request.headers.raw if name not in _HOP | named]


def _headed(response: Response, answer: httpx.Response, without: frozenset[bytes], told: Told) -> Response:
    """A response with the header fields of the endpoint's answer, as the bytes they are, and with ours."""
    kept = [(name.lower(), value) for name, value in answer.headers.raw]
    response.raw_headers += [(name, value) for name, value in kept if name not in _HOP | without]
    response.raw_headers += told
    return response


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > REQUEST_BYTES_MAX:
            raise LimitError(f"the body has more than the {REQUEST_BYTES_MAX} bytes that are allowed")
        parts.append(part)
    return b"".join(parts)


async def _whole(answer: httpx.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async for part in answer.aiter_bytes():
            size += len(part)
            if size > ANSWER_BYTES_MAX:
                raise LimitError(f"the endpoint's answer has more than the {ANSWER_BYTES_MAX} bytes that are read")
            parts.append(part)
    finally:
        await answer.aclose()
    return b"".join(parts)


async def _raw(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for part in answer.aiter_raw():
            yield part
    finally:
        await answer.aclose()


async def _cited(answer: httpx.Response, stream: Stream) -> AsyncIterator[bytes]:
    """A streamed answer with its citations. One that breaks off ends with an error, and without `[DONE]`."""
    try:
        async for part in answer.aiter_bytes():
            out = stream.feed(part)
            if out:
                yield out
        yield stream.end()
    except (httpx.HTTPError, LimitError) as error:
        told = str(error) if isinstance(error, LimitError) else "the chat endpoint's answer broke off"
        yield b"data: " + json.dumps(_told(502, told, "upstream_broke_off")).encode() + b"\n\n"
    finally:
        await answer.aclose()


def _annotator(found: Result | None) -> Any:  # noqa: ANN401 - see `retrieval.plugs.openai.Annotate`
    if found is None:
        return lambda _text: []
    return lambda text: [annotation(one.start, one.end, one.url, one.title) for one in found.cited(text)]


def _error(status: int, text: str, code: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(_told(status, text, code), status, headers)


def _told(status: int, text: str, code: str) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    kind = "invalid_request_error" if status < 500 else "server_error"  # noqa: PLR2004 - RFC 9110
    return {"error": {"message": text, "type": kind, "param": None, "code": code}}


def _failed(error: DkgError) -> Response:
    """Why nothing was looked up; what may name files of this machine is not told."""
    if isinstance(error, UnknownProofError):
        return _error(404, str(error), "proof_unknown")
    if isinstance(error, InputError):
        return _error(400, str(error), "question_refused")
    if isinstance(error, BusyError | NotReadyError):
        return _error(503, str(error), "not_ready", {"Retry-After": str(RETRY_S)})
    if isinstance(error, ProofError):
        return _error(500, "what is stored here is damaged, so nothing can be proved", "data_damaged")
    if isinstance(error, StoreError):
        return _error(503, "the store does not answer, so nothing can be looked up", "store_unavailable")
    return _error(500, "something went wrong", "internal")


def _silent(error: httpx.HTTPError) -> Response:
    """The endpoint did not answer; its URL is not told."""
    if isinstance(error, httpx.TimeoutException):
        return _error(504, "the chat endpoint did not answer in time", "upstream_timeout")
    return _error(502, f"the chat endpoint cannot be reached ({type(error).__name__})", "upstream_unreachable")
