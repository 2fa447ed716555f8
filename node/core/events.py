"""The node's log: one JSON object a line, on standard error or in a file that is put aside when it is long.

Who writes gives the name of an event and facts; what Python's `logging` is told, by libraries and by `node.peers`, goes
the same way. No secret is ever a fact: keys and passwords are in no value that has a text.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

from dkg.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}

FACT_CHARACTERS_MAX: Final = 4_000
"""Longest text of a fact; more is cut off: some of it comes from strangers."""

WARNINGS: Final = frozenset({
    "failed", "refused", "went_back", "dropped", "equivocation", "not_collected", "commit_gone", "relay_waits",
    "publish_waits", "own_dataset_missing", "outside", "fetch_broken_off", "no_view",
})  # fmt: skip
"""Events that are warnings; those named in `ERRORS` are errors, and all others information."""

ERRORS: Final = frozenset({"died", "frozen", "stop_forced"})


class EventLog:
    """See the module. Any thread may write."""

    def __init__(
        self,
        file: Path | None = None,
        *,
        level: str = "info",
        bytes_max: int = 16 * 1024 * 1024,
        files: int = 4,
        clock: Callable[[], float],
        stream: TextIO | None = None,
    ) -> None:
        """`file`: None writes to `stream`, by default standard error. `clock`: Unix seconds. Raises `StoreError`."""
        self._path = file
        self._least = LEVELS[level]
        self._bytes_max = bytes_max
        self._files = files
        self._clock = clock
        self._lock = threading.Lock()
        self._size = 0
        self._stream = stream or sys.stderr
        self._open()

    def _open(self) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("a", encoding="utf-8")
            self._size = self._path.stat().st_size
        except OSError as error:
            raise StoreError(f"the log {self._path} cannot be written: {error.strerror or error}") from error

    def __call__(self, event: str, /, **facts: object) -> None:
        """Take an event."""
        level = "error" if event in ERRORS else "warning" if event in WARNINGS else "info"
        self.write(str(facts.pop("level", level)), event, facts)

    def write(self, level: str, event: str, facts: dict[str, object]) -> None:
        """Write a line, if its level is not too low. A log that cannot be written is no reason to stop."""
        if LEVELS.get(level, LEVELS["error"]) < self._least:
            return
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"at": at, "level": level, "event": event, **{k: _fact(v) for k, v in facts.items()}}) + "\n"
        with self._lock, suppress(OSError, ValueError):
            if self._path is not None and self._size + len(line) > self._bytes_max:
                self._put_aside()
            self._stream.write(line)
            self._stream.flush()
            self._size += len(line)

    def _put_aside(self) -> None:
        """Begin a new file; the one before becomes number 1, that one 2, and the oldest goes."""
        path = self._path
        if path is None:
            return
        self._stream.close()
        for number in range(self._files, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            newer = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
            with suppress(FileNotFoundError):
                newer.replace(older)
        if not self._files:
            path.unlink(missing_ok=True)
        self._open()

    def close(self) -> None:
        """Close the file."""
        if self._path is not None:
            with self._lock:
                self._stream.close()


def _fact(value: object) -> Any:  # noqa: ANN401 - what JSON has
    match value:
        case None | bool() | int() | float():
            return value
        case bytes():
            return "0x" + value.hex()
        case dict():
            return {str(key): _fact(one) for key, one in value.items()}
        case list() | tuple():
            return [_fact(one) for one in value]
        case _:
            text = str(value)
            return text if len(text) <= FACT_CHARACTERS_MAX else text[:FACT_CHARACTERS_MAX] + "..."


class LoggingHandler(logging.Handler):
    """Takes what Python's `logging` is told to the node's log."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        facts: dict[str, object] = {"logger": record.name, "text": record.getMessage()}
        if record.exc_info is not None and record.exc_info[1] is not None:
            facts["error"] = repr(record.exc_info[1])
        self._log.write(record.levelname.lower(), "log", facts)
