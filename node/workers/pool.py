"""`Workers`: jobs in, results out; whose job is next is for `node.workers.fair`, who does it for `node.workers.crew`.

All of it runs on one asyncio event loop, and never waits: a job goes to a worker in the turn of the loop in which it
arrives, if there is one.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from dkg.client.database import PAGES
from dkg.errors import LimitError, StoreError
from node.workers.codec import encode_job
from node.workers.crew import Crew
from node.workers.errors import OverloadedError
from node.workers.fair import FairQueue
from node.workers.frames import REQUEST_HEADER_BYTES_MAX
from node.workers.jobs import Result, check_size, payload_of
from node.workers.settings import Settings
from node.workers.spawner import CHILD_MODULE, Spawner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import TracebackType

    from dkg.errors import DkgError
    from node.workers.jobs import Job
    from node.workers.spawner import Listener
    from node.workers.worker import Worker

GRACE_SECONDS: Final = 0.1
"""What a job may still take, in seconds, when nobody waits for it any more. Killing a worker costs about as much as a
few small jobs, so that small ones are let finish."""

_DATABASE: Final = ("", "-wal", "-shm")  # what the names of a database's files end with, while a writer has it open


@dataclass(slots=True, eq=False)
class _Ticket:
    """A job under way."""

    client: str
    frame: bytes
    future: asyncio.Future[Result]
    timer: asyncio.TimerHandle | None = None
    """While it waits."""
    worker: Worker | None = None
    started: float = 0.0


@dataclass(frozen=True, slots=True)
class State:
    """How things stand."""

    workers: int
    idle: int
    waiting: int
    clients: int
    started: int
    """Workers that were started, those that replaced others included."""
    outcomes: dict[str, int] = field(default_factory=dict)
    """How many jobs came to what: `done`, or the name of an error."""
    missing: dict[str, str] = field(default_factory=dict)
    """Measures of the sandbox that are not taken here, and why (`node.workers.sandbox`)."""


class Workers:
    """Runs jobs in worker processes. An async context manager; see `Runner` for what `run` raises.

    `store`: the directory of pages, which must be there. Whoever writes to it should have it open from before `start`
    on: workers may read the files that the database has then, and nothing else there, as a node has its secrets and
    what is private beside it. `readable`: what else they may read, such as the directory of views. `clock`: seconds
    that never go back; deadlines are the event loop's.
    """

    isolated = True

    def __init__(
        self,
        store: Path | None,
        settings: Settings | None = None,
        *,
        readable: Iterable[Path] = (),
        clock: Callable[[], float] = time.monotonic,
        module: str = CHILD_MODULE,
    ) -> None:
        self.settings = settings or Settings()
        self._store = store
        self._readable = list(readable)
        self._module = module
        self._clock = clock
        self._queue: FairQueue[_Ticket] = FairQueue(self.settings, clock)
        self._outcomes: Counter[str] = Counter()
        self._crew = Crew(self.settings, self._make_spawner, self._dispatch)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._open = False

    async def start(self) -> None:
        """Start the workers. Raises `SandboxError`, and `StoreError` for a directory that is not there."""
        if self._loop is not None:
            raise RuntimeError("these workers were started before")
        for path in (*([self._store] if self._store else []), *self._readable):
            if not path.is_dir():
                raise StoreError(f"workers are to read {path}, and there is no such directory")
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        await self._crew.start()
        self._open = True

    async def close(self) -> None:
        """End all workers. Jobs that wait or run end with `OverloadedError`; none is taken any more."""
        self._open = False
        error = OverloadedError("the node is stopping: ask another one", 1)
        for ticket in self._queue.clear():
            self._settle(ticket, error)
        await self._crew.close(error)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- jobs ----------------------------------------------------------------------------------------------

    async def run(self, job: Job, *, client: str) -> Result:
        """See `Runner`. When the caller is cancelled, the job does not start, or is ended soon."""
        if self._loop is not asyncio.get_running_loop():
            raise RuntimeError("these workers belong to another event loop, or were not started; see `run_sync`")
        if not self._open:
            raise OverloadedError("the node is stopping: ask another one", 1)
        ticket = _Ticket(client, self._frame(job), self._loop.create_future())
        bumped = self._queue.add(client, ticket, len(ticket.frame))
        if bumped is not None:
            self._settle(bumped, self._queue.overloaded("other clients need the place"))
        self._dispatch()
        if ticket.worker is None:
            ticket.timer = self._loop.call_later(self.settings.wait_seconds, self._waited, ticket)
        try:
            return await ticket.future
        except asyncio.CancelledError:
            self._abandon(ticket)
            raise

    def run_sync(self, job: Job, *, client: str) -> Result:
        """See `Runner`: for every thread but the event loop's."""
        if self._loop is None or threading.get_ident() == self._thread:
            raise RuntimeError("`run_sync` waits: call it from a thread other than the event loop's")
        return asyncio.run_coroutine_threadsafe(self.run(job, client=client), self._loop).result()

    def state(self) -> State:
        """How things stand."""
        crew, queue = self._crew, self._queue
        return State(
            self.settings.workers,
            crew.idle,
            queue.waiting,
            queue.clients,
            crew.started,
            dict(self._outcomes),
            dict(crew.missing),
        )

    # --- below ---------------------------------------------------------------------------------------------

    def _make_spawner(self, listener: Listener) -> Spawner:
        own = [] if self._store is None else [self._store / f"{PAGES.file}{end}" for end in _DATABASE]
        return Spawner(listener, self._store, self.settings, [*own, *self._readable], self._module)

    def _frame(self, job: Job) -> bytes:
        check_size(job, self.settings)
        frame = encode_job(job)
        if len(frame) - len(payload_of(job)) > REQUEST_HEADER_BYTES_MAX:
            raise LimitError(
                f"the request has over {REQUEST_HEADER_BYTES_MAX} bytes besides its document: it names too many graphs"
            )
        return frame

    def _dispatch(self) -> None:
        """Give workers that have nothing to do what is next."""
        while self._crew.idle and (entry := self._queue.next()) is not None:
            ticket, worker = entry[1], self._crew.take()
            assert worker is not None  # noqa: S101 - there was an idle one
            if ticket.timer is not None:
                ticket.timer.cancel()
            ticket.worker, ticket.started = worker, self._clock()
            worker.assign(ticket.frame, partial(self._finish, ticket))

    def _finish(self, ticket: _Ticket, outcome: Result | DkgError) -> None:
        size = len(ticket.frame) + (len(outcome.body) if isinstance(outcome, Result) else 0)
        self._queue.done(ticket.client, self._clock() - ticket.started, size)
        ticket.worker = None
        self._settle(ticket, outcome)

    def _settle(self, ticket: _Ticket, outcome: Result | DkgError) -> None:
        self._outcomes["done" if isinstance(outcome, Result) else type(outcome).__name__] += 1
        if ticket.timer is not None:
            ticket.timer.cancel()
        if ticket.future.done():  # nobody waits for it
            return
        if isinstance(outcome, Result):
            ticket.future.set_result(outcome)
        else:
            ticket.future.set_exception(outcome)

    def _waited(self, ticket: _Ticket) -> None:
        if self._queue.remove(ticket.client, ticket):
            self._settle(ticket, self._queue.overloaded(f"this has waited for {self.settings.wait_seconds:.15g} s"))

    def _abandon(self, ticket: _Ticket) -> None:
        """Nobody waits for a job any more."""
        if ticket.timer is not None:
            ticket.timer.cancel()
        if ticket.worker is not None:
            ticket.worker.hurry(GRACE_SECONDS)
        elif self._queue.remove(ticket.client, ticket):
            self._outcomes["abandoned"] += 1
