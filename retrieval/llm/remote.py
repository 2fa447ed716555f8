"""A model behind a URL: any server with OpenAI's `/chat/completions`, such as llama.cpp's, vLLM's or Ollama's.

What it sends is read up to a limit of bytes and until a deadline (`dkg.client.wire`), redirects are not followed, and
nothing of it is believed but that it is text. Questions and facts leave this machine if it is on another one, so that
has to be allowed. The key is in the header and nowhere else: never in a URL, an error or a log.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from dkg.client.wire import TooLongError, Wire
from dkg.errors import InputError
from retrieval.llm.model import DEADLINE_S, ModelError, ModelTimeoutError, Reply
from retrieval.prompt.tokens import estimate

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from dkg.client.wire import Reply as Received
    from retrieval.llm.model import Prompt

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
"""Longest answer that is read, in bytes, markup included."""

WINDOW: Final = 4096
"""Tokens that are assumed to fit where nobody says how many do: what many servers cut prompts to unasked."""

_PATH: Final = "/chat/completions"
_OK: Final = 200
_SAID_MAX: Final = 200
_EVENT_BYTES_MAX: Final = 1024 * 1024
_DATA: Final = b"data:"
_DONE: Final = b"[DONE]"


class HttpModel:
    """A model behind a URL. A connection for each answer; those of several threads come one after the other."""

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        key: str | None = None,
        profile: str = "generic-small",
        window: int = WINDOW,
        remote: bool = False,
    ) -> None:
        """`url`: as far as `/v1`; `#NAME` at its end names the model, as `model` does. Nothing is sent yet.

        `remote`: whether it may be on another machine. Raises `InputError`.
        """
        parts = _parsed(url, remote=remote, has_key=key is not None)
        self.profile, self.window = profile, window
        self._model = model or parts.fragment or None
        self.name = self._model or f"{parts.scheme}://{parts.netloc}"
        path = parts.path.rstrip("/")
        self._target = path if path.endswith(_PATH) else path + _PATH
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "dkg"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {_usable(key)}"
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._wire = Wire(
            str(parts.hostname), parts.port, secure=parts.scheme == "https", clock=time.monotonic, ended=self._ended
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def count(self, text: str) -> int:
        """Tokens of a text, by a rule that gives rather too many: its tokenizer is not here."""
        return estimate(text)

    def answer(self, prompt: Prompt, *, deadline_s: float = DEADLINE_S) -> Reply:
        """See `Model.answer`."""
        end = time.monotonic() + deadline_s
        parts = list(self._exchange(prompt, end, stream=False))
        return _reply(self.name, _json(self.name, b"".join(part.body for part in parts)))

    def stream(self, prompt: Prompt, *, deadline_s: float = DEADLINE_S) -> Iterator[str]:
        """See `Model.stream`."""
        received = self._exchange(prompt, time.monotonic() + deadline_s, stream=True)
        with closing(received), closing(_events(self.name, received)) as events:
            for event in events:
                if event == _DONE:
                    return
                text = _delta(self.name, _json(self.name, event))
                if text:
                    yield text

    def close(self) -> None:
        """See `Model.close`."""
        self._ended.set()
        self._wire.abort()
        with self._lock:
            self._wire.close()

    def _exchange(self, prompt: Prompt, end: float, *, stream: bool) -> Generator[Received]:
        """Send a prompt; gives the body of the answer in parts."""
        if prompt.choices:
            raise InputError(
                f"the model {self.name} cannot be held to given answers: use a profile that is not extractive"
            )
        body = json.dumps(self._asked(prompt, stream=stream)).encode()
        if not self._lock.acquire(timeout=max(0.0, end - time.monotonic())):
            raise ModelTimeoutError(f"the model {self.name} was busy with other prompts until the deadline")
        try:
            received = self._wire.stream(self._target, body, self._headers, bytes_max=ANSWER_BYTES_MAX, deadline=end)
            for part in received:
                if part.status != _OK:
                    raise _status(self.name, part.status)
                yield part
        except TimeoutError as error:
            raise ModelTimeoutError(f"the model {self.name} did not answer in time") from error
        except TooLongError as error:
            raise ModelError(f"the model {self.name} sent more than {ANSWER_BYTES_MAX} bytes") from error
        except (OSError, http.client.HTTPException) as error:
            raise ModelError(f"the model {self.name} cannot be reached: {_said(str(error))}") from error
        finally:
            self._lock.release()

    def _asked(self, prompt: Prompt, *, stream: bool) -> dict[str, Any]:
        asked: dict[str, Any] = {
            "messages": [message._asdict() for message in prompt.messages],
            "max_tokens": prompt.answer_tokens,
            "temperature": 0,
            "stream": stream,
        }
        if self._model is not None:
            asked["model"] = self._model
        if prompt.stop:
            asked["stop"] = list(prompt.stop)
        return asked


def _parsed(url: str, *, remote: bool, has_key: bool) -> Any:  # noqa: ANN401 - urllib's own class
    """The parts of a usable URL."""
    try:
        parts = urlsplit(url)
        port_is_good = parts.port != 0
    except ValueError:
        raise InputError("the model's URL cannot be read: it is http://HOST:PORT/v1 or https://HOST/v1") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_good:
        raise InputError("a model's URL is http://HOST:PORT/v1 or https://HOST/v1")
    if parts.username is not None or parts.password is not None or parts.query:
        raise InputError("a model's URL has no user, password or query: give the key apart from it")
    if is_loopback(parts.hostname):
        return parts
    if not remote:
        raise InputError(
            f"the model at {parts.hostname} is on another machine, and would get questions and facts; allow that first"
        )
    if has_key and parts.scheme == "http":
        raise InputError(f"a key is not sent to {parts.hostname} in the clear: use https")
    return parts


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _usable(key: str) -> str:
    if not key.isascii() or not key.isprintable() or not key:
        raise InputError("the key of the model has characters that no header may have")
    return key


def _status(name: str, status: int) -> ModelError:
    return ModelError(f"the model {name} answered with status {status}")


def _json(name: str, body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the model {name} sent what is no JSON") from error
    if not isinstance(found, dict):
        raise ModelError(f"the model {name} sent no object")
    if "error" in found:
        raise ModelError(f"the model {name} refused the prompt")
    return found


def _choice(name: str, found: dict[str, Any], part: str) -> tuple[str, Any]:
    """The text of the first choice, and how it ended."""
    choices = found.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get(part) if isinstance(choice, dict) else None
    text = message.get("content") if isinstance(message, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict) or not isinstance(text, str | None):
        raise ModelError(f"the model {name} sent an answer without text")
    return text or "", choice.get("finish_reason")


def _reply(name: str, found: dict[str, Any]) -> Reply:
    text, finish = _choice(name, found, "message")
    usage = found.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    tokens = [
        value if isinstance(value := counts.get(of), int) else None for of in ("prompt_tokens", "completion_tokens")
    ]
    return Reply(text.strip(), tokens[0], tokens[1], whole=finish != "length")


def _delta(name: str, found: dict[str, Any]) -> str:
    """The text of one event; events about usage have no choices."""
    return _choice(name, found, "delta")[0] if found.get("choices") else ""


def _events(name: str, received: Iterator[Received]) -> Generator[bytes]:
    """The data of server-sent events, one line each as all these servers send them."""
    rest = b""
    for part in received:
        *lines, rest = (rest + part.body).split(b"\n")
        if len(rest) > _EVENT_BYTES_MAX:
            raise ModelError(f"the model {name} sent an event of more than {_EVENT_BYTES_MAX} bytes")
        for line in lines:
            if line.startswith(_DATA):
                yield line[len(_DATA) :].strip()


def _said(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:_SAID_MAX]
