"""A deterministic scheduler with virtual time: the `Runtime` of simulated nodes.

Tasks are coroutines. What is due at the same moment runs in an order that the seed decides, so that one seed is one
history and another seed another. Nothing waits for real: an hour of sleeping takes no time. Cancelling works as trio's
does: a task of a cancelled nursery gets `Cancelled` wherever it waits, and the nursery's block swallows it.
"""

from __future__ import annotations

import heapq
import random
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from node.replication.runtime import Event

Result = TypeVar("Result")
Main = Callable[..., Coroutine[Any, Any, Result]]

STEPS_MAX = 5_000_000
"""Steps of tasks after which a simulation is thought to hang."""


class Cancelled(BaseException):
    """Raised in a task whose nursery was cancelled."""


class StuckError(Exception):
    """No task can go on, and the one that is waited for has not ended."""


class Parking:
    """A task that waits, once. Whoever has it may wake the task; later than that it does nothing."""

    def __init__(self, loop: Loop, task: Task) -> None:
        self._loop = loop
        self._task = task
        task.parking = self

    def wake(self) -> None:
        if self._task.parking is self:
            self._task.parking = None
            self._loop.ready(self._task)


@types.coroutine
def park(arrange: Callable[[Parking], object]) -> Generator[Callable[[Parking], object], None, None]:
    """Give the scheduler the turn until somebody wakes this task."""
    yield arrange


class Task:
    """A coroutine on its way. `scope`: the innermost nursery that it is in."""

    def __init__(self, coroutine: Coroutine[Any, Any, object], scope: SimNursery | None, number: int) -> None:
        self.coroutine = coroutine
        self.home = scope
        self.scope = scope
        self.number = number
        self.parking: Parking | None = None
        self.started = False
        self.shielded = False
        self.done = False
        self.result: object = None
        self.failure: BaseException | None = None


class SimEvent:
    """See `node.replication.runtime.Event`."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[Parking] = []

    def set(self) -> None:
        self._is_set = True
        waiting, self._waiting = self._waiting, []
        for parking in waiting:
            parking.wake()

    @property
    def is_set(self) -> bool:
        return self._is_set

    def wakes(self, parking: Parking) -> None:
        """Wake a task when it happens."""
        self._waiting.append(parking)

    def forget(self, parking: Parking) -> None:
        """The task waits no more."""
        if parking in self._waiting:
            self._waiting.remove(parking)

    async def wait(self) -> None:
        if not self._is_set:
            await park(self.wakes)


class SimNursery:
    """See `node.replication.runtime.Nursery`."""

    def __init__(self, loop: Loop, body: Task) -> None:
        self._loop = loop
        self._body = body
        self._outer = body.scope
        self._inner: set[SimNursery] = set()
        self.cancelled: bool = self._outer is not None and self._outer.cancelled
        """Whether this nursery or one around it is cancelled."""
        if self._outer is not None:
            self._outer._inner.add(self)
        self.interrupted = False
        """Whether the block or a task was ended by cancelling."""
        self.tasks: set[Task] = set()
        self.failures: list[BaseException] = []
        self.empty = SimEvent()

    def members(self) -> Iterator[Task]:
        """All tasks within this nursery, the one that opened it among them."""
        for task in (self._body, *self.tasks):
            yield task
            scope = task.scope
            while scope is not None and scope is not self and scope is not task.home:
                yield from scope.members()
                scope = scope._outer

    def start_soon(self, task: Callable[..., Awaitable[object]], *args: object) -> None:
        self.tasks.add(self._loop.start(_run(task, *args), self))

    def cancel(self) -> None:
        if not self.cancelled:
            self._mark()
            self._loop.interrupt(self)

    def _mark(self) -> None:
        self.cancelled = True
        for inner in self._inner:
            if not inner.cancelled:
                inner._mark()

    def ended(self, task: Task) -> None:
        self.tasks.discard(task)
        if isinstance(task.failure, Cancelled):
            self.interrupted = True
        elif task.failure is not None:
            self.failures.append(task.failure)
            self.cancel()
        if not self.tasks:
            self.empty.set()

    async def leave(self, task: Task) -> None:
        """Wait for all tasks; nothing interrupts this, for what would has reached the tasks as well."""
        task.shielded = True
        while self.tasks:
            self.empty = SimEvent()
            await self.empty.wait()
        task.shielded = False
        if self._outer is not None:
            self._outer._inner.discard(self)


async def _run(task: Callable[..., Awaitable[object]], *args: object) -> object:
    return await task(*args)


class Loop:
    """The scheduler. `run` drives a coroutine, and everything it starts, to its end."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.time = 0.0
        self.steps = 0
        self._tasks: set[Task] = set()
        self._queue: list[tuple[float, float, int, Task | Callable[[], object]]] = []
        self._count = 0
        self._current: Task | None = None
        self._main: Task | None = None

    @property
    def current(self) -> Task:
        assert self._current is not None
        return self._current

    def start(self, coroutine: Coroutine[Any, Any, object], scope: SimNursery | None = None) -> Task:
        self._count += 1
        task = Task(coroutine, scope, self._count)
        self._tasks.add(task)
        self.ready(task)
        return task

    def ready(self, task: Task) -> None:
        """Let a task go on."""
        self._push(0.0, task)

    def call_later(self, delay: float, call: Callable[[], object]) -> None:
        """Call something after a while."""
        self._push(delay, call)

    def _push(self, delay: float, what: Task | Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.time + delay, self.rng.random(), self._count, what))

    def interrupt(self, nursery: SimNursery) -> None:
        """Wake all that wait within a nursery that was cancelled."""
        for task in sorted(set(nursery.members()), key=lambda task: task.number):
            if task.parking is not None and not task.shielded and task.scope and task.scope.cancelled:
                task.parking.wake()

    def run(self, main: Main[Result], *args: object) -> Result:
        """What a coroutine gives. Raises what it raises, and `StuckError` when nothing can go on."""
        task = self._main = self.start(main(*args))
        try:
            while not task.done:
                self._step()
        finally:
            for left in sorted(self._tasks, key=lambda task: task.number):
                left.coroutine.close()
            self._tasks.clear()
        if task.failure is not None:
            raise task.failure
        return task.result  # type: ignore[return-value]  # of that coroutine

    def _step(self) -> None:
        self.steps += 1
        if not self._queue or self.steps > STEPS_MAX:
            raise StuckError(f"nothing can go on, or nothing ends, at {self.time:.3f} s, step {self.steps}")
        when, _, _, what = heapq.heappop(self._queue)
        self.time = max(self.time, when)
        if isinstance(what, Task):
            self._advance(what)
        else:
            what()

    def _advance(self, task: Task) -> None:
        if task.done:
            return
        self._current = task
        interrupted = task.started and not task.shielded and task.scope is not None and task.scope.cancelled
        task.started = True
        try:
            arrange = task.coroutine.throw(Cancelled()) if interrupted else task.coroutine.send(None)
        except StopIteration as end:
            self._end(task, end.value, None)
        except BaseException as error:  # noqa: BLE001 - handed on to the nursery, or to `run`
            self._end(task, None, error)
        else:
            parking = Parking(self, task)
            arrange(parking)
            if not task.shielded and task.scope is not None and task.scope.cancelled:
                parking.wake()
        finally:
            self._current = None

    def _end(self, task: Task, result: object, failure: BaseException | None) -> None:
        task.done, task.result, task.failure = True, result, failure
        self._tasks.discard(task)
        if task.home is not None:
            task.home.ended(task)
        elif failure is not None and task is not self._main:
            raise failure  # of a task that nobody waits for


class SimRuntime:
    """See `node.replication.runtime.Runtime`. Each node has its own chance."""

    def __init__(self, loop: Loop, name: str = "", disk_s: float = 0.0) -> None:
        """`disk_s`: how long anything takes that is done in `blocking`."""
        self._loop = loop
        self._disk_s = disk_s
        self._free_at: dict[str, float] = {}
        self._random = random.Random(f"{name} {loop.rng.random()}")

    @property
    def random(self) -> random.Random:
        return self._random

    def now(self) -> float:
        return self._loop.time

    async def sleep(self, seconds: float) -> None:
        await park(lambda parking: self._loop.call_later(max(0.0, seconds), parking.wake))

    def event(self) -> SimEvent:
        return SimEvent()

    async def wait(self, event: Event, seconds: float) -> None:
        assert isinstance(event, SimEvent)
        if event.is_set:
            await self.sleep(0.0)
            return
        waiting: list[Parking] = []

        def arrange(parking: Parking) -> None:
            waiting.append(parking)
            event.wakes(parking)
            self._loop.call_later(max(0.0, seconds), parking.wake)

        try:
            await park(arrange)
        finally:
            event.forget(waiting[0])

    @asynccontextmanager
    async def nursery(self) -> AsyncIterator[SimNursery]:
        task = self._loop.current
        outer = task.scope
        nursery = task.scope = SimNursery(self._loop, task)
        try:
            yield nursery
        except Cancelled:
            nursery.interrupted = True
        except BaseException as error:  # noqa: BLE001 - raised below, with those of the tasks
            nursery.failures.append(error)
            nursery.cancel()
        await nursery.leave(task)
        task.scope = outer
        if nursery.failures:
            raise BaseExceptionGroup("tasks of a nursery failed", nursery.failures)
        if nursery.interrupted and outer is not None and outer.cancelled:
            raise Cancelled

    async def blocking(self, lane: str, work: Callable[[], Result]) -> Result:
        """Done in one step when the lane has come to it; others get their turn before."""
        done_at = max(self.now(), self._free_at.get(lane, 0.0)) + self._disk_s
        self._free_at[lane] = done_at
        await self.sleep(done_at - self.now())
        return work()
