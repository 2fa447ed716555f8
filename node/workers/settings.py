"""What workers may use, and what clients may use of them: named limits with their units."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final, Literal

from dkg.errors import InputError

MIB: Final = 1024 * 1024

WORKERS_MAX: Final = 256
"""Most worker processes."""

MEMORY_BYTES_MIN: Final = 256 * MIB
"""Least memory of a worker, in bytes of address space: programs, and opening a view, take about 200 MiB of it."""

Isolation = Literal["full", "limits"]
"""`full`: workers do not start unless their network is cut. `limits`: whatever of the sandbox this system allows, and
in any case memory, time and files; for systems that allow no more, if nobody untrusted can ask."""


def _workers() -> int:
    """One more than there are processors: while a client keeps those busy, the last one is for the others."""
    return min(len(os.sched_getaffinity(0)) + 1, WORKERS_MAX)


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits of workers and of their clients. Raises `InputError` for values that make no sense."""

    workers: int = field(default_factory=_workers)
    """Worker processes."""
    isolation: Isolation = "full"
    """What must be shut off (`node.workers.sandbox`)."""

    wall_seconds: float = 10.0
    """Longest time of a job, in seconds; then its worker is killed."""
    cpu_seconds: float = 10.0
    """Most processor time of a job, in seconds."""
    memory_bytes: int = 1024 * MIB
    """Memory of a worker, in bytes of address space."""
    input_bytes: int = 64 * MIB
    """Longest document or proof of a job, in bytes."""
    result_bytes: int = 64 * MIB
    """Longest result, in bytes."""

    jobs_per_worker: int = 50_000
    """Jobs after which a worker is replaced: what one of them left behind does not last. The next one has to open views
    and read pages anew, which takes as long as some hundred jobs."""
    growth_bytes: int = 256 * MIB
    """Growth of a worker's memory, in bytes, after which it is replaced."""
    cache_pages: int = 4_000
    """Decoded pages that a worker keeps between jobs: about 10 kB each."""
    views: int = 4
    """Views that a worker keeps open."""

    waiting: int = 256
    """Jobs that may wait."""
    waiting_per_client: int = 32
    """Jobs of one client that may wait."""
    waiting_bytes: int = 256 * MIB
    """Bytes of the jobs that may wait, in all."""
    wait_seconds: float = 10.0
    """How long a job may wait, in seconds."""
    running_per_client: int | None = None
    """Jobs of one client that run at once; None: all workers but one, so that one is left for the others."""

    window_seconds: float = 60.0
    """What a client may use is counted over this many seconds."""
    client_seconds: float | None = None
    """Seconds of workers' time that a client may use in a window; None: as much as its jobs at once can use."""
    client_bytes: int = 1024 * MIB
    """Bytes of documents, proofs and results of a client in a window."""

    def __post_init__(self) -> None:
        for name in ("workers", "jobs_per_worker", "waiting", "waiting_per_client", "views", "cache_pages"):
            self._at_least(name, 1)
        for name in ("input_bytes", "result_bytes", "growth_bytes", "waiting_bytes", "client_bytes"):
            self._at_least(name, 1)
        for name in ("wall_seconds", "cpu_seconds", "wait_seconds", "window_seconds"):
            self._at_least(name, 0.01)
        self._at_least("memory_bytes", MEMORY_BYTES_MIN)
        if self.workers > WORKERS_MAX:
            raise InputError(f"workers is {self.workers}; at most {WORKERS_MAX} make sense on one machine")
        if self.isolation not in {"full", "limits"}:
            raise InputError(f"isolation is {self.isolation!r}; it is 'full' or 'limits'")
        if self.running_per_client is not None:
            self._at_least("running_per_client", 1)
        if self.client_seconds is not None:
            self._at_least("client_seconds", 0.01)

    def _at_least(self, name: str, least: float) -> None:
        value = getattr(self, name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value < float("inf"):
            raise InputError(f"{name} is {value!r}; it is a number from {least} on")

    @property
    def client_runs(self) -> int:
        """Jobs of one client that run at once."""
        return max(1, self.workers - 1) if self.running_per_client is None else self.running_per_client

    @property
    def client_time(self) -> float:
        """Seconds of workers' time that a client may use in a window."""
        return self.client_runs * self.window_seconds if self.client_seconds is None else self.client_seconds
