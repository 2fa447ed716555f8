"""JSON-RPC 2.0 over HTTP with the standard library: what an edge device asks a chain's endpoint with.

An endpoint is not trusted: its answer is read up to a limit of bytes and until a deadline, it is strict JSON with the
identifier that was sent, redirects are not followed, and nothing of a URL but scheme, host and port is ever shown
(keys of providers stand in the path, the query and the user).
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from dkg.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
"""Longest answer that is read, in bytes."""

TIMEOUT_S: Final = 20.0
"""Time for one call, in seconds, all its reading included."""

ATTEMPTS: Final = 4
"""How often a call is tried while the endpoint is down or busy."""

BACKOFF_S: Final = 0.25
"""Wait before the second attempt, in seconds; it doubles with each attempt, and jitter takes up to half of it off."""

RETRY_AFTER_MAX_S: Final = 10.0
"""Longest wait that an endpoint may ask for, in seconds."""

METHOD_NOT_FOUND: Final = -32601

_READ_BYTES: Final = 64 * 1024
_OK: Final = 200
_BUSY: Final = frozenset({429, 502, 503, 504})


class ChainError(StoreError):
    """The chain cannot be read: its endpoints are down, busy, or answer nonsense."""


class RpcUnavailableError(ChainError):
    """An endpoint that is dead, slow or busy; `retry_after`: seconds that it asks to wait, if it does."""

    retry_after: float | None = None


class RpcAnswerError(ChainError):
    """An answer that is no JSON-RPC, or larger than what is read."""


class RpcRefusedError(ChainError):
    """An error object that the endpoint answered with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code

    @property
    def is_unknown_method(self) -> bool:
        """Whether the endpoint does not offer the method at all."""
        return self.code == METHOD_NOT_FOUND


@dataclass(slots=True)
class Waiting:
    """How time passes: injected, so that simulation and tests need none."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = field(default_factory=lambda: Random().random)  # noqa: S311 - jitter is no secret


class HttpRpc:
    """One endpoint. Keeps one connection; one object serves one thread at a time.

    `bytes_read`, `requests`: what was used so far.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        bytes_max: int = ANSWER_BYTES_MAX,
        attempts: int = ATTEMPTS,
        waiting: Waiting | None = None,
    ) -> None:
        """Raises `InputError` if the URL is no http or https URL. Nothing is sent yet."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InputError("the endpoint of a chain is a URL like http://127.0.0.1:8545")
        try:
            port = parts.port
        except ValueError as error:
            raise InputError("the port in the endpoint's URL is no port") from error
        self.name = f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port else "")
        self._host, self._port, self._secure = parts.hostname, port, parts.scheme == "https"
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "dkg"}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        self._timeout, self._bytes_max, self._attempts = timeout_s, bytes_max, attempts
        self._waiting = waiting if waiting is not None else Waiting()
        self._connection: http.client.HTTPConnection | None = None
        self._next_id = 0
        self.bytes_read = 0
        self.requests = 0

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(self, method: str, params: Sequence[Any] = (), *, retry: bool = True) -> Any:  # noqa: ANN401 - JSON
        """The result of a call. `retry`: whether it may be sent again when no answer came.

        Raises `RpcRefusedError` for an error object, `RpcUnavailableError` or `RpcAnswerError`.
        """
        attempts = self._attempts if retry else 1
        for attempt in range(1, attempts + 1):
            try:
                return self._once(method, params)
            except RpcUnavailableError as error:
                if attempt == attempts:
                    raise
                wait = BACKOFF_S * 2 ** (attempt - 1) * (1 - self._waiting.random() / 2)
                self._waiting.sleep(wait if error.retry_after is None else min(error.retry_after, RETRY_AFTER_MAX_S))
        raise AssertionError("at least one attempt")

    # --- one attempt ---------------------------------------------------------------------------------------

    def _once(self, method: str, params: Sequence[Any]) -> Any:  # noqa: ANN401
        self._next_id += 1
        body = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": list(params)}
        data = self._exchange(method, json.dumps(body).encode())
        return self._result(method, _strict_json(data, f"the answer of {self.name} to {method}"))

    def _result(self, method: str, answer: object) -> Any:  # noqa: ANN401
        what = f"the answer of {self.name} to {method}"
        if not isinstance(answer, dict):
            raise RpcAnswerError(f"{what} is no JSON-RPC object")
        error = answer.get("error")
        if isinstance(error, dict):
            code = error.get("code")
            text = str(error.get("message", ""))[:200]
            raise RpcRefusedError(
                f"{self.name} refused {method}: {text} (code {code})", code if isinstance(code, int) else 0
            )
        if answer.get("id") != self._next_id or type(answer.get("id")) is not int:
            raise RpcAnswerError(f"{what} has another id than the question")
        if error is not None or "result" not in answer:
            raise RpcAnswerError(f"{what} has neither a result nor an error")
        return answer["result"]

    def _exchange(self, method: str, body: bytes) -> bytes:
        deadline = self._waiting.clock() + self._timeout
        fresh = self._connection is None
        try:
            return self._attempt(method, body, deadline)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if fresh:
                raise self._unavailable(method, error) from error
        try:  # a kept connection that the server closed meanwhile: once more, on a new one
            return self._attempt(method, body, deadline)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._unavailable(method, error) from error

    def _unavailable(self, method: str, error: Exception) -> RpcUnavailableError:
        reason = "it takes too long" if isinstance(error, TimeoutError) else type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        return RpcUnavailableError(f"{self.name} does not answer {method}: {reason}")

    def _attempt(self, method: str, body: bytes, deadline: float) -> bytes:
        connection = self._connected(deadline)
        self.requests += 1
        connection.request("POST", self._target, body, self._headers)
        response = connection.getresponse()
        data = self._read(response, method, deadline)
        if response.will_close:
            self.close()
        if response.status in _BUSY:
            busy = RpcUnavailableError(f"{self.name} is too busy for {method} (HTTP {response.status})")
            with suppress(ValueError):
                busy.retry_after = max(0.0, float(response.getheader("Retry-After") or ""))
            raise busy
        if response.status != _OK and not data.lstrip()[:1] == b"{":
            raise RpcAnswerError(f"{self.name} answered {method} with HTTP {response.status}")
        return data

    def _connected(self, deadline: float) -> http.client.HTTPConnection:
        left = max(0.001, deadline - self._waiting.clock())
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            self._connection = kind(self._host, self._port, timeout=left)
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.sock.settimeout(left)
        return self._connection

    def _read(self, response: http.client.HTTPResponse, method: str, deadline: float) -> bytes:
        if response.getheader("Content-Encoding", "identity") != "identity":
            self.close()
            raise RpcAnswerError(f"{self.name} answered {method} compressed, which was not asked for")
        parts: list[bytes] = []
        size = 0
        while part := response.read1(_READ_BYTES):
            size += len(part)
            self.bytes_read += len(part)
            parts.append(part)
            if size > self._bytes_max:
                self.close()
                raise RpcAnswerError(f"the answer of {self.name} to {method} is longer than {self._bytes_max} bytes")
            if self._waiting.clock() > deadline:
                raise TimeoutError("timed out")
        if response.length:  # fewer bytes came than were announced
            raise http.client.IncompleteRead(b"")
        return b"".join(parts)


def _strict_json(data: bytes, what: str) -> object:
    """JSON without what different readers read differently: names given twice, NaN, lone surrogates."""
    try:
        found: object = json.loads(data.decode(), object_pairs_hook=_object, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise RpcAnswerError(f"{what} is no JSON: {str(error)[:100]}") from error
    return found


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name is there twice")
    return made


def _refused(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")
