"""JSON-RPC 2.0 over HTTP with the standard library: what an edge device asks a chain's endpoint with.

An endpoint is not trusted: its answer is read up to a limit of bytes and until a deadline (`dkg.client.wire`), it is
strict JSON of a bounded number of values with the identifier that was sent, and redirects are not followed. Nothing of
a URL but scheme, host and port is ever shown, even where the endpoint repeats it: keys of providers stand in the path,
the query and the user.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

from dkg.client.wire import TooLongError, Wire
from dkg.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dkg.client.wire import Reply

ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
"""Longest answer that is read, in bytes."""

JSON_VALUES_MAX: Final = 400_000
"""Most values in an answer, by its brackets and commas. Python takes up to 200 bytes for one: 80 MB for all."""

TIMEOUT_S: Final = 20.0
"""Time for one call, in seconds, connecting and all its reading included."""

ATTEMPTS: Final = 4
"""How often a call is tried while the endpoint is down or busy."""

BACKOFF_S: Final = 0.25
"""Wait before the second attempt, in seconds; it doubles with each attempt, and jitter takes up to half of it off."""

RETRY_AFTER_MAX_S: Final = 10.0
"""Longest wait that an endpoint may ask for, in seconds."""

METHOD_NOT_FOUND: Final = -32601
METHOD_NOT_SUPPORTED: Final = -32004
"""The same in EIP-1474, as some providers have it."""

_OK: Final = 200
_REDIRECTS: Final = range(300, 400)
_BUSY: Final = frozenset({429, 502, 503, 504})
_TEXT_MAX: Final = 200
_SECRET_CHARS_MIN: Final = 6
"""Shorter parts of a path are names like `rpc` or `v3`, and no keys."""


class ChainError(StoreError):
    """The chain cannot be read: its endpoints are down, busy, or answer nonsense."""


class RpcUnavailableError(ChainError):
    """An endpoint that is dead, slow or busy; `retry_after`: seconds that it asks to wait, if it does."""

    retry_after: float | None = None


class RpcAnswerError(ChainError):
    """An answer that is no JSON-RPC."""


class RpcTooLongError(RpcAnswerError):
    """An answer larger than what is read."""


class RpcRefusedError(ChainError):
    """An error object that the endpoint answered with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code

    @property
    def is_unknown_method(self) -> bool:
        """Whether the endpoint does not offer the method at all."""
        return self.code in {METHOD_NOT_FOUND, METHOD_NOT_SUPPORTED}


@dataclass(slots=True)
class Waiting:
    """How time passes: injected, so that simulation and tests need none. `sleep`: None for one that `close` ends."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] | None = None
    random: Callable[[], float] = field(default_factory=lambda: Random().random)  # noqa: S311 - jitter is no secret


class HttpRpc:
    """One endpoint. Keeps one connection; calls of several threads come one after the other. Close it after use.

    `requests`: what was sent so far, repeated attempts too.
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
        parts = _parsed(url)
        host, secure = str(parts.hostname), parts.scheme == "https"
        self.name = _name(parts)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "dkg"}
        self._secrets = _secrets(parts)
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            token = base64.b64encode(user.encode()).decode()
            self._headers["Authorization"] = f"Basic {token}"
            self._secrets.insert(0, token)
        self._timeout, self._bytes_max, self._attempts = timeout_s, bytes_max, attempts
        self._waiting = waiting if waiting is not None else Waiting()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._wire = Wire(host, parts.port, secure=secure, clock=self._waiting.clock, ended=self._ended)
        self._next_id = 0
        self.requests = 0

    @property
    def bytes_read(self) -> int:
        """All that came so far, in bytes."""
        return self._wire.bytes_read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call opens another. A call of another thread is cut short and fails."""
        self._ended.set()
        self._wire.abort()
        with self._lock:
            self._wire.close()
            self._ended.clear()

    def call(self, method: str, params: Sequence[Any] = (), *, retry: bool = True, bytes_max: int | None = None) -> Any:  # noqa: ANN401 - JSON
        """The result of a call. `retry`: whether it may be sent again when no answer came. `bytes_max`: of an answer.

        Raises `RpcRefusedError` for an error object, `RpcUnavailableError` or `RpcAnswerError`.
        """
        with self._lock:
            attempts = self._attempts if retry else 1
            if not retry:
                self._wire.close()  # on a kept connection one cannot tell whether it was closed before or after
            for attempt in range(1, attempts + 1):
                try:
                    return self._once(method, params, bytes_max or self._bytes_max)
                except RpcUnavailableError as error:
                    if attempt == attempts or self._ended.is_set():
                        raise
                    self._wait(attempt, error.retry_after)
        raise AssertionError("at least one attempt")

    def _wait(self, attempt: int, retry_after: float | None) -> None:
        wait = BACKOFF_S * 2 ** (attempt - 1) * (1 - self._waiting.random() / 2)
        sleep = self._waiting.sleep if self._waiting.sleep is not None else self._ended.wait
        sleep(max(wait, min(retry_after or 0.0, RETRY_AFTER_MAX_S)))

    # --- one attempt ---------------------------------------------------------------------------------------

    def _once(self, method: str, params: Sequence[Any], bytes_max: int) -> Any:  # noqa: ANN401
        self._next_id += 1
        body = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": list(params)}
        try:
            reply = self._exchange(method, json.dumps(body).encode(), bytes_max)
            return self._result(method, reply)
        except RpcAnswerError:
            self._wire.close()  # what else it sends belongs to nothing that is asked later
            raise

    def _exchange(self, method: str, body: bytes, bytes_max: int) -> Reply:
        deadline = self._waiting.clock() + self._timeout
        kept = self._wire.is_open
        try:
            try:
                return self._posted(body, bytes_max, deadline)
            except (ConnectionError, http.client.HTTPException):
                if not kept:
                    raise
            return self._posted(body, bytes_max, deadline)  # the server closed what was kept: once more, anew
        except (OSError, http.client.HTTPException) as error:
            reason = "it takes too long" if isinstance(error, TimeoutError) else type(error).__name__
            if isinstance(error, OSError) and error.strerror:
                reason = error.strerror
            raise RpcUnavailableError(f"{self.name} does not answer {method}: {self._plain(reason)}") from error
        except TooLongError:
            raise RpcTooLongError(f"the answer of {self.name} to {method} is longer than {bytes_max} bytes") from None

    def _posted(self, body: bytes, bytes_max: int, deadline: float) -> Reply:
        self.requests += 1
        return self._wire.post(self._target, body, self._headers, bytes_max=bytes_max, deadline=deadline)

    def _result(self, method: str, reply: Reply) -> Any:  # noqa: ANN401
        if reply.status in _BUSY:
            busy = RpcUnavailableError(f"{self.name} is too busy for {method} (HTTP {reply.status})")
            with suppress(ValueError):
                busy.retry_after = max(0.0, float(reply.headers.get("retry-after", "")))
            raise busy
        if reply.headers.get("content-encoding", "identity") != "identity":
            raise RpcAnswerError(f"{self.name} answered {method} compressed, which was not asked for")
        if reply.status in _REDIRECTS or (reply.status != _OK and not reply.body.lstrip().startswith(b"{")):
            raise RpcAnswerError(f"{self.name} answered {method} with HTTP {reply.status}")
        what = f"the answer of {self.name} to {method}"
        answer = _strict_json(reply.body, what)
        if not isinstance(answer, dict):
            raise RpcAnswerError(f"{what} is no JSON-RPC object")
        error, number = answer.get("error"), answer.get("id")
        is_ours = type(number) is int and number == self._next_id
        if not is_ours and not (isinstance(error, dict) and number is None):  # errors may come without an id
            raise RpcAnswerError(f"{what} has another id than the question")
        if isinstance(error, dict):
            raise self._refusal(method, error)
        if error is not None or "result" not in answer or reply.status != _OK:
            raise RpcAnswerError(f"{what} (HTTP {reply.status}) has neither a result nor an error")
        return answer["result"]

    def _refusal(self, method: str, error: dict[str, Any]) -> RpcRefusedError:
        code = error.get("code")
        text = self._plain(str(error.get("message", "")))
        number = code if type(code) is int else 0
        return RpcRefusedError(f"{self.name} refused {method}: {text} (code {number})", number)

    def _plain(self, text: str) -> str:
        """What an endpoint says, safe to show: no secret of ours, nothing that a terminal would act on."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return "".join(c if c.isprintable() else "?" for c in text[:_TEXT_MAX])


def _parsed(url: str) -> SplitResult:
    """The parts of an endpoint's URL. Its errors do not repeat it, and have no cause that does."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        raise InputError("the endpoint's URL is none: its host or its port cannot be read") from None
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise InputError("the endpoint of a chain is a URL like http://127.0.0.1:8545")
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise InputError("the endpoint's URL has characters that a URL writes otherwise: %XX, or xn-- in a host")
    return parts


def _name(parts: SplitResult) -> str:
    """Scheme, host and port: what is shown, and the same for two ways to write one endpoint."""
    host = str(parts.hostname).rstrip(".")
    usual = {"http": 80, "https": 443}[parts.scheme]
    port = "" if parts.port in {None, usual} else f":{parts.port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def _secrets(parts: SplitResult) -> list[str]:
    """What must not be shown, longest first, as it stands in the URL and as it is read."""
    pieces = [parts.query, *re.split("[/&=]", f"{parts.path}&{parts.query}")]
    found = {piece for piece in pieces if len(piece) >= _SECRET_CHARS_MIN} | {parts.username, parts.password}
    return sorted({text for one in found if one for text in (one, unquote_plus(one))}, key=len, reverse=True)


def _strict_json(data: bytes, what: str) -> object:
    """JSON without what different readers read differently (names given twice, NaN), and not too many values of it."""
    if sum(map(data.count, (b",", b"[", b"{"))) > JSON_VALUES_MAX:
        raise RpcTooLongError(f"{what} has more than {JSON_VALUES_MAX} values")
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
