"""Processes of `dkg` that belong to one command: started, watched, and all ended with it.

They are told to end when the command ends in whatever way (`node.cli.child`), and a Ctrl-C on the terminal is not for
them: it is the command that ends them, in order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from dkg.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

POLL_S: Final = 0.05
"""Time between two looks at something that is waited for, in seconds."""

START_S: Final = 120.0
"""How long a process may take until it answers, in seconds: 16 nodes share the processors of a laptop."""

STOP_S: Final = 35.0
"""How long processes may take to end before they are killed, in seconds; a node gives itself 30."""

SAID_BYTES_MAX: Final = 2_000
"""How much is told of the end of what a process wrote, in bytes."""

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedError(StoreError):
    """The command was told to end before it had done its work."""


class Stop:
    """Whether the command was told to end: `with Stop() as stop`. Handlers only take note, so nothing is half done."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._count = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        wanted = [number for number in SIGNALS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._told) for number in wanted}  # nohup: it stays ignored
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _told(self, _signal: int, _frame: FrameType | None) -> None:
        self._count += 1
        self._event.set()

    @property
    def is_urgent(self) -> bool:
        """Whether it was told so more than once."""
        return self._count > 1

    def sleep(self, seconds: float) -> None:
        """Wait. Raises `StoppedError` if the command is told to end."""
        if self._event.wait(seconds):
            raise StoppedError("it was told to end")

    def wait(self, seconds: float) -> bool:
        """Wait; whether the command was told to end."""
        return self._event.wait(seconds)


@dataclass(slots=True)
class Child:
    """A process. `said`: the file of what it writes to standard error."""

    name: str
    process: subprocess.Popen[bytes]
    said: Path

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def why(self) -> str:
        """How it ended, and the end of what it said."""
        try:
            with self.said.open("rb") as file:
                file.seek(max(0, self.said.stat().st_size - SAID_BYTES_MAX))
                text = file.read(SAID_BYTES_MAX).decode(errors="replace").strip()
        except OSError:
            text = ""
        code = self.process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code and code < 0 else f"ended with {code}"
        return f"{self.name} {how}" + (f": {text}" if text else "")


class Children:
    """The processes: `with Children(stop) as children`. At the end of the block they are ended, the first one last."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._all: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end(self._all[1:])
        self._end(self._all[:1])  # the chain: others ask it while they end

    def start(self, name: str, argv: list[str], said: Path) -> Child:
        """Start `dkg` with these arguments. Raises `StoreError`."""
        command = [sys.executable, "-m", "node.cli.child", str(os.getpid()), *argv]
        kept = {key: value for key, value in os.environ.items() if not key.startswith("DKG_")}  # settings of others
        try:
            with said.open("wb") as file:
                process = subprocess.Popen(  # noqa: S603 - ourselves
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=file,
                    env=kept,
                    process_group=0,
                )
        except OSError as error:
            raise StoreError(f"{name} cannot be started: {error.strerror or error}") from error
        child = Child(name, process, said)
        self._all.append(child)
        return child

    def until(self, child: Child, ready: Callable[[], bool]) -> None:
        """Wait until a process is ready. Raises `StoreError` if it ends or takes too long, `StoppedError`."""
        end = time.monotonic() + START_S
        while not ready():
            if not child.is_running:
                raise StoreError(child.why())
            if time.monotonic() > end:
                raise StoreError(f"{child.name} was not up after {START_S:.0f} s; what it says is in {child.said}")
            self._stop.sleep(POLL_S)

    def _end(self, children: list[Child]) -> None:
        for child in children:
            _tell(child, signal.SIGTERM)
        end = time.monotonic() + STOP_S
        for child in children:
            while child.is_running:
                if self._stop.is_urgent or time.monotonic() > end:
                    _tell(child, signal.SIGKILL)
                    child.process.wait()
                else:
                    time.sleep(POLL_S)


def _tell(child: Child, number: int) -> None:
    if child.is_running:
        with suppress(ProcessLookupError):
            child.process.send_signal(number)
