"""A progress bar on standard error: how much, how fast, how long still. Silent where nobody watches."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_WIDTH: Final = 24
_SECONDS_BETWEEN: Final = 0.1
_SECONDS_BETWEEN_LINES: Final = 5.0  # where the output is not a terminal and lines were asked for


def grouped(number: float) -> str:
    """A number with its digits in groups of three: 1,234,567."""
    return f"{number:,.0f}"


def size(count: float) -> str:
    """Bytes as people read them: `7.4 kB`."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:  # noqa: PLR2004 - SI units
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def duration(seconds: float) -> str:
    """A time as people read it: `0.32 ms`, `41.3 ms`, `4.1 s`, `2:05`."""
    if seconds < 1:
        return f"{seconds * 1000:.2f} ms" if seconds < 0.01 else f"{seconds * 1000:.1f} ms"  # noqa: PLR2004
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f}:{seconds % 60:02.0f}"  # noqa: PLR2004


class Progress:
    """`with Progress("loading", "quads", total) as bar: bar.add(n)`. `total` None: no bar, no end in sight.

    `lines` forces plain lines, one every few seconds, when `stream` is no terminal; otherwise nothing is printed there.
    """

    def __init__(
        self,
        what: str,
        unit: str,
        total: int | None = None,
        *,
        lines: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._unit, self._total = what, unit, total
        self._stream = sys.stderr if stream is None else stream
        self._tty = self._stream.isatty()
        self._every = _SECONDS_BETWEEN if self._tty else _SECONDS_BETWEEN_LINES if lines else float("inf")
        self._clock = clock
        self._start = self._shown = clock()
        self.done = 0

    def phase(self, what: str, unit: str) -> None:
        """From now on this is done, counted in these units."""
        if what != self._what:
            self._what, self._unit, self._total, self.done = what, unit, None, 0
            self._start = self._clock()

    def add(self, count: int) -> None:
        """So many more are done."""
        self.at(self.done + count)

    def at(self, done: int, total: int | None = None) -> None:
        """So many are done, of a total that may have become known."""
        self.done = done
        self._total = self._total if total is None else total
        now = self._clock()
        if now - self._shown >= self._every:
            self._shown = now
            line = self.line(now - self._start)
            self._stream.write(f"\r\x1b[K{line}" if self._tty else f"{line}\n")
            self._stream.flush()

    def line(self, seconds: float) -> str:
        """What the bar shows after so many seconds."""
        rate = self.done / seconds if seconds > 0 else 0.0
        head = f"{self._what} "
        tail = f"{grouped(self.done)} {self._unit}, {grouped(rate)}/s"
        if not self._total:
            return head + tail
        part = min(self.done / self._total, 1.0)
        full = int(part * _WIDTH)
        left = f", {duration((self._total - self.done) / rate)} left" if rate and part < 1 else ""
        return f"{head}[{'#' * full}{'.' * (_WIDTH - full)}] {part:4.0%} {tail}{left}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tty:
            self._stream.write("\r\x1b[K")  # the summary that follows says it all
            self._stream.flush()
