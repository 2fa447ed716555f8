"""Measurements in processes of their own: nothing is warm that should not be, and memory is what one job took.

Memory is the proportional set size of the process and its children together, sampled while they run: what forked
processes share is counted once. Without /proc/PID/smaps_rollup it is the peak of the first process alone.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.data import ROOT

_SECONDS_BETWEEN: Final = 0.05
_SHARE: Final = 30  # watching takes one part in so many of the time: it must not slow what it watches
_PSS: Final = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_PEAK: Final = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


class Outcome(NamedTuple):
    """What a job said, and the most memory that it and its children had, in bytes."""

    said: dict[str, Any]
    peak: int


class JobError(Exception):
    """A job ended badly; its own words are in the message."""


def run(job: str, **arguments: object) -> Outcome:
    """Run a job of `bench.jobs` in a process of its own. Raises `JobError`."""
    return watched([sys.executable, "-m", "bench.jobs", job, json.dumps(arguments, default=str)])


def watched(command: list[str]) -> Outcome:
    """Run a command whose last line of output is JSON. Raises `JobError`."""
    with subprocess.Popen(  # noqa: S603 - our own interpreter and our own modules
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        watch = _Watch(process.pid)
        watch.start()
        out, err = process.communicate()
        watch.stop()
    lines = out.strip().splitlines()
    if process.returncode or not lines:
        raise JobError(f"{' '.join(command)} ended with {process.returncode}:\n{err.strip() or 'no output'}")
    return Outcome(json.loads(lines[-1]), watch.peak)


class _Watch(threading.Thread):
    """Samples the memory of a process and its children until it is stopped."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._process = process
        self._stopped = threading.Event()

    def run(self) -> None:
        pause = _SECONDS_BETWEEN
        while not self._stopped.wait(pause):
            start = time.perf_counter()
            self.peak = max(self.peak, memory(self._process))
            pause = max(_SECONDS_BETWEEN, _SHARE * (time.perf_counter() - start))

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def memory(process: int) -> int:
    """Bytes of a process and its children; 0 for one that is gone."""
    return _own(process) + sum(map(memory, _children(process)))


def peak(status: str) -> int:
    """The most bytes that a process ever had in memory, from the text of its /proc/PID/status.

    `getrusage` does not do: its maximum begins with what the parent had at the fork.
    """
    found = _PEAK.search(status)
    return int(found[1]) * 1024 if found else 0


def _own(process: int) -> int:
    folder = Path(f"/proc/{process}")
    for name, pattern in (("smaps_rollup", _PSS), ("status", _PEAK)):
        try:
            found = pattern.search((folder / name).read_text())
        except OSError:
            continue
        if found:
            return int(found[1]) * 1024
    return 0


def _children(process: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:
            continue
    return found
