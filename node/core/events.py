"""The node's log: one JSON object a line, on standard error or in a file that is put aside when it is long.

Who writes gives the name of an event and facts; what Python's `logging` is told, by libraries and by `node.peers`, goes
the same way. No secret is ever a fact: keys and passwords are in no value that has a text.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from dkg.errors import StoreError
from node.core.outlet import DescriptorSink, FileSink, Outlet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STANDARD_ERROR: Final = 2

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}

FACT_CHARACTERS_MAX: Final = 4_000
"""Longest text of a fact; more is cut off: some of it comes from strangers."""

WARNINGS: Final = frozenset({
    "failed", "refused", "went_back", "dropped", "equivocation", "not_collected", "commit_gone", "relay_waits",
    "publish_waits", "log_dropped", "own_dataset_missing", "outside", "no_view", "view_failed",
    "checkpoint_waits", "checkpoint_case_lost", "checkpoints_wait",
})  # fmt: skip
"""Events that are warnings; those named in `ERRORS` are errors, and all others information."""

ERRORS: Final = frozenset({"died", "frozen", "stop_forced"})


class EventLog:
    """See the module. Any thread may write, and none waits (`node.core.outlet`)."""

    def __init__(
        self,
        file: Path | None = None,
        *,
        level: str = "info",
        bytes_max: int = 16 * 1024 * 1024,
        files: int = 4,
        clock: Callable[[], float],
        descriptor: int = STANDARD_ERROR,
    ) -> None:
        """`file`: None writes to `descriptor`. `clock`: Unix seconds. Raises `StoreError`."""
        self._least = LEVELS[level]
        self._clock = clock
        self.listener: Callable[[str, dict[str, object]], None] | None = None
        """Told each event with its facts, in the thread where it happens."""
        sink = _descriptor(descriptor) if file is None else FileSink(file, bytes_max, files)
        self._outlet = Outlet(sink, self._dropped)

    def __call__(self, event: str, /, **facts: object) -> None:
        """Take an event."""
        if self.listener is not None:
            self.listener(event, facts)
        level = "error" if event in ERRORS else "warning" if event in WARNINGS else "info"
        self.write(str(facts.pop("level", level)), event, facts)

    def write(self, level: str, event: str, facts: dict[str, object]) -> None:
        """Have a line written, if its level is not too low. A log that cannot be written is no reason to stop."""
        if LEVELS.get(level, LEVELS["error"]) >= self._least:
            self._outlet.put(self._line(level, event, facts))

    def _line(self, level: str, event: str, facts: dict[str, object]) -> bytes:
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        known = {"at": at, "level": level, "event": event}
        return (json.dumps(known | {name: _fact(value) for name, value in facts.items()}) + "\n").encode()

    def _dropped(self, lines: int) -> bytes:
        return self._line("warning", "log_dropped", {"lines": lines})

    def flush(self) -> None:
        """Write what waits, as far as that is possible within a short time."""
        self._outlet.flush()

    def close(self) -> None:
        """Write what waits, as far as that is possible within a short time, and close the file."""
        self._outlet.close()


def _descriptor(number: int) -> DescriptorSink:
    try:
        return DescriptorSink(os.dup(number))
    except OSError as error:
        raise StoreError(f"the log cannot be written to standard error: {error.strerror}; set node.log_file") from error


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
