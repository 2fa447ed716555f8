"""The `Runtime` of the node: trio's clock and tasks, and threads for what takes long."""

from __future__ import annotations

from contextlib import asynccontextmanager
from random import SystemRandom
from typing import TYPE_CHECKING, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from random import Random

    from node.replication.runtime import Event

Result = TypeVar("Result")


class _Nursery:
    """See `node.replication.runtime.Nursery`."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    def start_soon(self, task: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task."""
        self._nursery.start_soon(task, *args)

    def cancel(self) -> None:
        """End all."""
        self._nursery.cancel_scope.cancel()


class TrioRuntime:
    """See `node.replication.runtime.Runtime`. One is for one trio loop."""

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or SystemRandom()
        self._lanes: dict[str, trio.CapacityLimiter] = {}

    @property
    def random(self) -> Random:
        """Chance, which no peer can foresee."""
        return self._random

    def now(self) -> float:
        """Seconds of trio's clock."""
        return trio.current_time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await trio.sleep(seconds)

    def event(self) -> trio.Event:
        """A new event."""
        return trio.Event()

    async def wait(self, event: Event, seconds: float) -> None:
        """Wait for an event, but no longer than that."""
        with trio.move_on_after(max(0.0, seconds)):
            await event.wait()

    @asynccontextmanager
    async def nursery(self) -> AsyncIterator[_Nursery]:
        """A block for tasks."""
        async with trio.open_nursery() as nursery:
            yield _Nursery(nursery)

    async def blocking(self, lane: str, work: Callable[[], Result]) -> Result:
        """Done in a thread; a lane has one thread at a time."""
        limiter = self._lanes.get(lane)
        if limiter is None:
            limiter = self._lanes[lane] = trio.CapacityLimiter(1)
        return await trio.to_thread.run_sync(work, limiter=limiter)
