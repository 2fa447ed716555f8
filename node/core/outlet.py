"""The way of the log's lines out of the process, which nobody who writes one ever waits for.

Lines are queued, and a thread of their own writes them: into a file that is put aside when it is long, or to a
descriptor, which may be a pipe that nobody reads. What is queued is bounded. When there is no room, lines are dropped
and counted until the queue is written out, and then a line tells how many.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from dkg.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WAITING_BYTES_MAX: Final = 1024 * 1024
"""Most bytes of lines that wait to be written."""

CLOSE_S: Final = 2.0
"""How long the log may take at its end to write what waits, in seconds."""

RETRY_S: Final = 1.0
"""Wait after something could not be written, in seconds."""

GATHER_S: Final = 0.05
"""How long lines wait for others, in seconds: a thread that woke for each would slow those who write them."""

_TOGETHER_BYTES: Final = 16 * 1024
_LOOK_MS: Final = 100
_PIPE_BYTES: Final = 4_096
"""What a pipe that is ready takes without blocking (PIPE_BUF)."""


class Sink(Protocol):
    """Where lines go. For one thread."""

    def write(self, line: bytes, gives_up: Callable[[], bool]) -> None:
        """Write lines; raises `OSError` if that is not possible, and when `gives_up` says so while it waits."""

    def close(self) -> None:
        """Close it."""


class DescriptorSink:
    """An open descriptor: standard error, say. It is closed with the sink."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def write(self, line: bytes, gives_up: Callable[[], bool]) -> None:
        """See `Sink.write`."""
        at = 0
        while at < len(line):
            if self._poll.poll(_LOOK_MS):
                at += os.write(self._descriptor, line[at : at + _PIPE_BYTES])
            elif gives_up():
                raise BlockingIOError("nobody reads the log")

    def close(self) -> None:
        """See `Sink.close`."""
        os.close(self._descriptor)


class FileSink:
    """A file that is put aside when it is long: it becomes number 1, that one 2, and the oldest goes."""

    def __init__(self, path: Path, bytes_max: int, files: int) -> None:
        """`files`: how many stay besides. Raises `StoreError`."""
        self._path = path
        self._bytes_max = bytes_max
        self._files = files
        self._is_torn = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            raise StoreError(f"the log {path} cannot be written: {error.strerror or error}") from error

    def _open(self) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)  # who asks for what
        self._file = os.fdopen(handle, "ab", buffering=0)
        self._size = self._path.stat().st_size

    def write(self, line: bytes, gives_up: Callable[[], bool]) -> None:
        """See `Sink.write`."""
        del gives_up
        while line:
            if self._file.closed:
                self._open()
            fits = line.rfind(b"\n", 0, max(0, self._bytes_max - self._size)) + 1
            if not fits and self._size:
                self._put_aside()
                continue
            part = line[: fits or line.find(b"\n") + 1 or len(line)]
            self._append(part)
            line = line[len(part) :]

    def _append(self, line: bytes) -> None:
        if self._is_torn:
            line = b"\n" + line
        at = 0
        try:
            while at < len(line):
                at += self._file.write(line[at:])
        finally:
            self._size += at
            self._is_torn = self._is_torn and not at if at in {0, len(line)} else True

    def _put_aside(self) -> None:
        self._file.close()
        for number in range(self._files, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path if number == 1 else self._path.with_name(f"{self._path.name}.{number - 1}")
            with suppress(FileNotFoundError):
                newer.replace(older)
        if not self._files:
            self._path.unlink(missing_ok=True)
        self._is_torn = False
        self._open()

    def close(self) -> None:
        """See `Sink.close`."""
        self._file.close()


class Outlet:
    """See the module. Any thread may `put`."""

    def __init__(self, sink: Sink, told: Callable[[int], bytes]) -> None:
        """`told`: the line that says how many were dropped."""
        self._sink = sink
        self._told = told
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._dropped = 0
        self._is_busy = False
        self._is_closing = False
        self._flushing = 0
        """How many wait until all is written."""
        self._gives_up = threading.Event()
        self._thread = threading.Thread(target=self._write_out, name="log", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Have a line written, or drop it. Returns at once."""
        with self._changed:
            if self._dropped or self._is_closing or self._bytes + len(line) > WAITING_BYTES_MAX:
                self._dropped += 1
                return
            self._lines.append(line)
            self._bytes += len(line)
            if len(self._lines) == 1:
                self._changed.notify_all()

    def flush(self, within_s: float = CLOSE_S) -> bool:
        """Wait until all is written; whether it was within that time."""
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: not self._lines and not self._is_busy, within_s)
            finally:
                self._flushing -= 1

    def close(self, within_s: float = CLOSE_S) -> None:
        """Write what waits, as far as that is possible within a time, and close the sink."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(within_s)
        self._gives_up.set()
        self._thread.join(RETRY_S)
        if not self._thread.is_alive():  # else it is stuck in the kernel, and what it writes to stays open
            self._sink.close()

    def _write_out(self) -> None:
        while self._take():
            failed = False
            lines, count = self._next()
            try:
                self._sink.write(lines, self._gives_up.is_set)
            except OSError:
                failed = True
            with self._changed:
                self._is_busy = False
                if failed:
                    self._dropped += count
                    self._changed.wait_for(lambda: self._is_closing, RETRY_S)
                self._changed.notify_all()
                if failed and self._is_closing:
                    return

    def _take(self) -> bool:
        """Wait until there is something to write; False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._dropped or self._is_closing)
            self._changed.wait_for(self._has_gathered, GATHER_S)
            self._is_busy = bool(self._lines or self._dropped)
            return self._is_busy

    def _has_gathered(self) -> bool:
        """Whether there is enough to write at once, or somebody waits for it."""
        return self._flushing > 0 or self._is_closing or self._bytes >= _TOGETHER_BYTES

    def _next(self) -> tuple[bytes, int]:
        """The next lines, and how many are lost if they cannot be written."""
        with self._changed:
            if self._lines:
                lines = [self._lines.popleft()]
                size = len(lines[0])
                while self._lines and size + len(self._lines[0]) <= _TOGETHER_BYTES:
                    lines.append(self._lines.popleft())
                    size += len(lines[-1])
                self._bytes -= size
                return b"".join(lines), len(lines)
            count, self._dropped = self._dropped, 0
            return self._told(count), count
