"""Whose job is next, and who may ask for more: fairness between clients, as plain values and a clock.

- Clients take turns, whatever number of jobs each has waiting, and one runs only so many at once.
- What waits is bounded in number and bytes, for each client and in all. When all places are taken, a client with less
  waiting takes the place of the last job of the client with most.
- What a client may use of workers' time and of bytes is a bucket that fills evenly, whole in one window. A job may
  overdraw it, since nobody knows before what a job takes; then the client waits until it is positive again.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from node.workers.errors import ClientQuotaError, OverloadedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.workers.settings import Settings

CLIENTS_MAX: Final = 65_536
"""Most clients that are remembered; of those with nothing waiting or running, the one longest unheard of goes first."""

RETRY_SECONDS_MAX: Final = 60
"""Longest time that a client is told to wait, in seconds, if its quota does not say more."""

_FORGOTTEN_AT_ONCE: Final = 2
_WEIGHT: Final = 0.1  # of the latest job in the average

T = TypeVar("T")


@dataclass(slots=True)
class _Client(Generic[T]):
    seconds: float
    bytes: float
    at: float
    """When these two were right."""
    waiting: deque[tuple[T, int]] = field(default_factory=deque)
    """Jobs and their bytes."""
    running: int = 0

    @property
    def idle(self) -> bool:
        return not self.waiting and not self.running


class FairQueue(Generic[T]):
    """Jobs that wait, by client. `clock`: seconds that never go back."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._runs, self._time = settings.client_runs, settings.client_time
        self._clock = clock
        self._clients: OrderedDict[str, _Client[T]] = OrderedDict()
        self._waiters: dict[str, _Client[T]] = {}
        """Those that have a job waiting."""
        self._turns: OrderedDict[str, None] = OrderedDict()
        """Those of them that may run it, the next one first."""
        self._bytes = 0
        self._waiting = 0
        self._mean_seconds = 0.0

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return self._waiting

    @property
    def clients(self) -> int:
        """How many clients are remembered."""
        return len(self._clients)

    def add(self, name: str, job: T, size: int) -> T | None:
        """Have a job wait; gives the job of another client that lost its place to it, if one did.

        Raises `OverloadedError` when there is no place, `ClientQuotaError` when the client has used up its quota.
        """
        client = self._client(name)
        self._check_quota(client)
        settings, bumped = self._settings, None
        if len(client.waiting) >= settings.waiting_per_client:
            raise self.overloaded(f"{len(client.waiting)} requests of this client wait already")
        if self._bytes + size > settings.waiting_bytes:
            raise self.overloaded(f"requests of {self._bytes} bytes wait already")
        if self._waiting >= settings.waiting:
            bumped = self._bump(len(client.waiting))
        client.waiting.append((job, size))
        self._waiters[name] = client
        self._waiting += 1
        self._bytes += size
        self._line_up(name, client)
        return bumped

    def next(self) -> tuple[str, T] | None:
        """The job whose turn it is, and its client; it counts as running until `done`."""
        if not self._turns:
            return None
        name, _ = self._turns.popitem(last=False)
        client = self._clients[name]
        entry = client.waiting[0]
        self._take(name, client, entry)
        client.running += 1
        self._line_up(name, client)
        return name, entry[0]

    def done(self, name: str, seconds: float, size: int) -> None:
        """A job of a client has run: it took so long, and had so many bytes, in and out."""
        client = self._clients[name]
        client.running -= 1
        self._refill(client)
        client.seconds -= seconds
        client.bytes -= size
        self._mean_seconds += (seconds - self._mean_seconds) * (_WEIGHT if self._mean_seconds else 1)
        self._line_up(name, client)

    def remove(self, name: str, job: T) -> bool:
        """Have a job wait no longer; False if it does not wait."""
        client = self._clients.get(name)
        found = client and next((entry for entry in client.waiting if entry[0] == job), None)
        if not client or not found:
            return False
        self._take(name, client, found)
        return True

    def clear(self) -> list[T]:
        """Have no job wait any longer; gives all that did."""
        entries = [(name, client, entry) for name, client in self._waiters.items() for entry in client.waiting]
        for name, client, entry in entries:
            self._take(name, client, entry)
        return [entry[0] for _, _, entry in entries]

    def overloaded(self, why: str) -> OverloadedError:
        """The error for a job that there is no place for."""
        turns = math.ceil((self._waiting + 1) / self._settings.workers)
        seconds = min(RETRY_SECONDS_MAX, max(1, math.ceil(turns * self._mean_seconds)))
        return OverloadedError(f"{why}: try again in {seconds} s", seconds)

    # --- below ---------------------------------------------------------------------------------------------

    def _take(self, name: str, client: _Client[T], entry: tuple[T, int]) -> None:
        """Have a job wait no longer."""
        client.waiting.remove(entry)
        self._waiting -= 1
        self._bytes -= entry[1]
        if not client.waiting:
            del self._waiters[name]
            self._turns.pop(name, None)

    def _line_up(self, name: str, client: _Client[T]) -> None:
        """Give a client its place at the end of the line, if it may run something and has none."""
        if client.waiting and client.running < self._runs:
            self._turns.setdefault(name)

    def _bump(self, own: int) -> T:
        """Take the last job of the client with most waiting, if that is more than one more than `own`."""
        name, most = max(self._waiters.items(), key=lambda item: len(item[1].waiting))
        if len(most.waiting) <= own + 1:
            raise self.overloaded(f"{self._waiting} requests wait already")
        entry = most.waiting[-1]
        self._take(name, most, entry)
        return entry[0]

    def _client(self, name: str) -> _Client[T]:
        client = self._clients.get(name)
        if client is None:
            self._forget()
            now = self._clock()
            client = _Client(self._time, self._settings.client_bytes, now)
            self._clients[name] = client
        self._clients.move_to_end(name)
        return client

    def _forget(self) -> None:
        """Forget clients that have been still for a window, whose buckets are full; others only for want of room."""
        before = self._clock() - self._settings.window_seconds
        oldest = [name for name, _ in zip(self._clients, range(_FORGOTTEN_AT_ONCE), strict=False)]
        for name in oldest:
            client = self._clients[name]
            if not client.idle:
                self._clients.move_to_end(name)
                continue
            if client.at <= before:
                self._refill(client)
            if self._is_full(client) or len(self._clients) >= CLIENTS_MAX:
                del self._clients[name]
        if len(self._clients) >= CLIENTS_MAX:
            raise self.overloaded(f"{len(self._clients)} clients are here already")

    def _is_full(self, client: _Client[T]) -> bool:
        return client.seconds >= self._time and client.bytes >= self._settings.client_bytes

    def _refill(self, client: _Client[T]) -> None:
        settings, now = self._settings, self._clock()
        share = max(0.0, now - client.at) / settings.window_seconds
        client.seconds = min(self._time, client.seconds + share * self._time)
        client.bytes = min(settings.client_bytes, client.bytes + share * settings.client_bytes)
        client.at = now

    def _check_quota(self, client: _Client[T]) -> None:
        self._refill(client)
        settings = self._settings
        for left, whole, what in (
            (client.seconds, self._time, "seconds of workers' time"),
            (client.bytes, settings.client_bytes, "bytes"),
        ):
            if left <= 0:
                wait = math.floor(-left / whole * settings.window_seconds) + 1
                raise ClientQuotaError(
                    f"this client has used the {whole:.15g} {what} that it may use in "
                    f"{settings.window_seconds:.15g} s; try again in {wait} s",
                    wait,
                )
