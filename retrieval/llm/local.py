"""A model in this process: GGUF weights under llama.cpp (`xllamacpp`).

- Answers are made one at a time, at temperature 0, in a thread of their own. Whoever waits stops waiting at the
  deadline; the engine is told to stop, does so within `BATCH` tokens, and only then takes the next prompt.
- One thread by default: two that spin for each other on busy cores are many times slower than one (docs/retrieval.md).
- The engine opens a port on loopback, which its tokenizer is reached by. It wants a random key, and nothing else is
  served there.
- What is the engine's markup, such as `<|im_end|>`, is markup wherever it stands in a prompt. Texts must have been
  cleaned of it (`retrieval.safety.clean`).
"""

from __future__ import annotations

import http.client
import json
import queue
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from dkg.client.wire import TooLongError, Wire
from retrieval.llm.model import DEADLINE_S, ModelError, ModelTimeoutError, Reply
from retrieval.llm.weights import SMOLLM2, check_format, smollm2_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.client.wire import Reply as Received
    from retrieval.llm.model import Prompt

WINDOW: Final = 2048
"""Tokens of prompt and answer together, where nobody says otherwise."""

WINDOW_MAX: Final = 131_072
"""Largest window that can be asked for, in tokens."""

BATCH: Final = 64
"""Tokens of a prompt that are read in one go: so many more are read at most of one that was given up."""

THREADS_MAX: Final = 64
"""Most threads of one model."""

COUNTED_BYTES_MAX: Final = 1024 * 1024
"""Longest text whose tokens are counted, in bytes."""

CLOSE_S: Final = 30.0
"""How long `close` waits for an answer that was given up, in seconds; after that the model is left to its thread."""

_COUNT_S: Final = 10.0
_TOKENS_BYTES_MAX: Final = 16 * COUNTED_BYTES_MAX
_OK: Final = 200
_GRAMMAR_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})


class LocalModel:
    """A GGUF model in this process. Close it after use. May be called from several threads."""

    def __init__(
        self, path: Path | None = None, *, profile: str | None = None, window: int = WINDOW, threads: int = 1
    ) -> None:
        """Loads the model; `path`: None for the one that comes with the project. Raises `ModelError`, `ValueError`."""
        if not 1 <= threads <= THREADS_MAX or not 1 <= window <= WINDOW_MAX:
            raise ValueError(f"threads are 1 to {THREADS_MAX}, and a window has 1 to {WINDOW_MAX} tokens")
        if path is None:
            file = smollm2_path()
        else:
            check_format(file := path)
        self.name = SMOLLM2 if path is None else path.stem
        self.profile = profile or (SMOLLM2 if "smollm2" in file.name.lower() else "generic-small")
        self.window = window
        self._lock = threading.Lock()
        self._closed = threading.Event()
        key = secrets.token_urlsafe()
        self._server: Any = _loaded(file, window, threads, key)
        self._tokenizer = _Tokenizer(self._server.listening_address, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def count(self, text: str) -> int:
        """Tokens of a text, by the model's own tokenizer. Raises `ModelError`."""
        return self._tokenizer.count(text)

    def answer(self, prompt: Prompt, *, deadline_s: float = DEADLINE_S) -> Reply:
        """See `Model.answer`."""
        run = self._run(prompt, deadline_s)
        return run.reply("".join(run.pieces()))

    def stream(self, prompt: Prompt, *, deadline_s: float = DEADLINE_S) -> Iterator[str]:
        """See `Model.stream`."""
        yield from self._run(prompt, deadline_s).pieces()

    def close(self) -> None:
        """See `Model.close`. Whoever waits for an answer gets an error."""
        self._closed.set()
        self._tokenizer.close()
        if self._lock.acquire(timeout=CLOSE_S):  # the engine must not go while it works
            self._server = None
            self._lock.release()

    def _run(self, prompt: Prompt, deadline_s: float) -> _Run:
        end = time.monotonic() + deadline_s
        if not self._lock.acquire(timeout=max(0.0, deadline_s)):
            raise ModelTimeoutError(f"the model {self.name} was busy with other prompts for {deadline_s:g} seconds")
        if self._closed.is_set():
            self._lock.release()
            raise ModelError(f"the model {self.name} is closed")
        run = _Run(self._server, prompt, self.name, end, self._closed, self._lock)
        run.start()
        return run


class _Run:
    """One answer being made. Its thread frees the lock when the engine is done with it, not before."""

    def __init__(
        self,
        server: Any,  # noqa: ANN401 - the engine has no types
        prompt: Prompt,
        name: str,
        end: float,
        closed: threading.Event,
        lock: threading.Lock,
    ) -> None:
        self._server, self._prompt, self._name, self._end = server, prompt, name, end
        self._closed, self._lock = closed, lock
        self._given_up = threading.Event()
        self._parts: queue.SimpleQueue[str | Exception | None] = queue.SimpleQueue()
        self._usage: dict[str, Any] = {}
        self._finish = ""

    def start(self) -> None:
        """Begin, in a thread of its own."""
        threading.Thread(target=self._work, name="dkg-model").start()

    def pieces(self) -> Iterator[str]:
        """The answer as it comes, until it ends or the deadline is there."""
        try:
            while True:
                try:
                    part = self._parts.get(timeout=max(0.0, self._end - time.monotonic()))
                except queue.Empty:
                    raise ModelTimeoutError(f"the model {self._name} did not answer in time") from None
                if part is None:
                    return
                if isinstance(part, Exception):
                    raise part
                yield part
        finally:
            self._given_up.set()

    def reply(self, text: str) -> Reply:
        """The whole answer, after all pieces."""
        tokens = self._usage.get("prompt_tokens"), self._usage.get("completion_tokens")
        return Reply(text.strip(), *tokens, whole=self._finish != "length")

    def _work(self) -> None:
        try:
            made = self._call()
            self._parts.put(made)
        finally:
            self._server = None
            self._lock.release()

    def _call(self) -> Exception | None:
        """Run the engine. What it raises is passed on to whoever waits."""
        prompt = self._prompt
        asked: dict[str, Any] = {
            "max_tokens": prompt.answer_tokens,
            "temperature": 0.0,
            "stop": list(prompt.stop),
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,  # so that `_take` is called while the prompt is read, and can stop it
        }
        if prompt.choices:
            asked["grammar"] = grammar(prompt.choices, after_space=prompt.text is not None)
        try:
            if prompt.text is not None:
                failed = self._server.handle_completions(asked | {"prompt": prompt.text}, self._take)
            else:
                messages = [message._asdict() for message in prompt.messages]
                failed = self._server.handle_chat_completions(asked | {"messages": messages}, self._take)
        except Exception as error:  # noqa: BLE001 - the engine's own, of no known family; it reaches the caller
            return ModelError(f"the model {self._name} failed: {error}")
        return _refused(self._name, failed)

    def _take(self, chunk: dict[str, Any]) -> bool:
        """Take a piece of the answer; whether to stop."""
        if (failed := _refused(self._name, chunk)) is not None:
            self._parts.put(failed)
            return True
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices", ()):
            text = choice.get("text") or (choice.get("delta") or {}).get("content")
            self._finish = choice.get("finish_reason") or self._finish
            if text:
                self._parts.put(text)
        return self._given_up.is_set() or self._closed.is_set() or time.monotonic() >= self._end


def grammar(choices: tuple[str, ...], *, after_space: bool) -> str:
    """A grammar (GBNF) of exactly these texts. `after_space`: each after a space, as a text is gone on with."""
    quoted = " | ".join(f'"{choice.translate(_GRAMMAR_ESCAPES)}"' for choice in dict.fromkeys(choices))
    return f'root ::= " " ({quoted})' if after_space else f"root ::= {quoted}"


def _refused(name: str, answer: object) -> ModelError | None:
    """An error object that the engine gave."""
    if isinstance(answer, dict) and "error" in answer:
        error = answer["error"]
        said = error.get("message") if isinstance(error, dict) else error
        return ModelError(f"the model {name} refused the prompt: {said}")
    return None


def _loaded(file: Path, window: int, threads: int, key: str) -> Any:  # noqa: ANN401 - the engine has no types
    try:
        import xllamacpp  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra, and 100 MB
    except ImportError as error:
        raise ModelError("a model in this process needs xllamacpp: pip install 'dkg[llm]'") from error
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx = window
    params.n_batch = params.n_ubatch = min(BATCH, window)
    params.n_parallel = 1
    params.n_gpu_layers = 0
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = threads
        cpu.poll = 0
    params.n_threads_http = 1
    params.cache_ram_mib = 0
    params.verbosity = -1
    params.warmup = params.ui = params.endpoint_slots = params.fit_params = False
    params.offline = True
    params.api_keys = [key]
    params.hostnames = ["127.0.0.1"]
    try:
        return xllamacpp.Server(params)
    except Exception as error:  # the engine raises plain RuntimeError and worse
        raise ModelError(f"the model's file {file} cannot be loaded: {error}") from error


class _Tokenizer:
    """The engine's tokenizer, by its port."""

    def __init__(self, address: str, key: str) -> None:
        parts = urlsplit(address)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._wire = Wire(str(parts.hostname), parts.port, secure=False, clock=time.monotonic, ended=self._ended)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def count(self, text: str) -> int:
        """Tokens of a text."""
        content = text.encode(errors="replace").decode()
        body = json.dumps({"content": content, "add_special": False, "parse_special": True}).encode()
        if len(body) > COUNTED_BYTES_MAX:
            raise ModelError(f"a text of {len(body)} bytes is not counted; {COUNTED_BYTES_MAX} is the limit")
        with self._lock:
            try:
                reply = self._post(body)
            except (OSError, http.client.HTTPException, TooLongError) as error:
                raise ModelError(f"the model's tokenizer does not answer: {error}") from error
        if reply.status != _OK:
            raise ModelError(f"the model's tokenizer answered with status {reply.status}")
        return len(json.loads(reply.body)["tokens"])

    def _post(self, body: bytes) -> Received:
        """One exchange; again on a new connection where the kept one was closed meanwhile, as servers do."""
        kept = self._wire.is_open
        deadline = time.monotonic() + _COUNT_S
        try:
            return self._wire.post("/tokenize", body, self._headers, bytes_max=_TOKENS_BYTES_MAX, deadline=deadline)
        except (ConnectionError, http.client.HTTPException):
            if not kept or self._ended.is_set():
                raise
            return self._wire.post("/tokenize", body, self._headers, bytes_max=_TOKENS_BYTES_MAX, deadline=deadline)

    def close(self) -> None:
        """Close the connection."""
        self._ended.set()
        self._wire.abort()
        with self._lock:
            self._wire.close()
