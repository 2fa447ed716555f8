"""The workers that there are: always as many as the settings say, whatever they die of."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from node.workers.errors import SandboxError, WorkerCrashedError
from node.workers.sandbox import require_no_network
from node.workers.worker import Worker

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine
    from typing import Any

    from dkg.errors import DkgError
    from node.workers.settings import Settings
    from node.workers.spawner import Ended, Listener, Spawner

PAUSE_SECONDS: Final = 0.1
"""Pause after a worker that died before it was ready, in seconds; doubled with each that follows."""

PAUSE_SECONDS_MAX: Final = 10.0
"""Longest such pause, in seconds."""

_PAUSES: Final = 10  # doublings that matter
_TRIES: Final = 3  # of the first start
_SAID_CHARS: Final = 500


class Crew:
    """The living workers. `make_spawner`: gives a zygote that reports to the crew; `free`: told when one may work."""

    def __init__(
        self, settings: Settings, make_spawner: Callable[[Listener], Spawner], free: Callable[[], None]
    ) -> None:
        self.settings = settings
        self.missing: dict[str, str] = {}
        """Measures of the sandbox that are not taken here, and why."""
        self.started = 0
        """Workers that were started so far."""
        self._make_spawner = make_spawner
        self._free = free
        self._spawner: Spawner | None = None
        self._staff: dict[int, Worker] = {}
        """Those that work, or will. Others were sent away, and are for the zygote to bury."""
        self._idle: list[Worker] = []
        self._failures = 0
        """Starts in a row that failed."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._first: asyncio.Future[None] | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def idle(self) -> int:
        """How many have nothing to do."""
        return len(self._idle)

    @property
    def zygote(self) -> int | None:
        """The zygote's process id."""
        return self._spawner.pid if self._spawner else None

    async def start(self) -> None:
        """Start the zygote and the workers; wait until the first is ready. Raises `SandboxError`."""
        self._first = asyncio.get_running_loop().create_future()
        try:
            self._spawner = self._make_spawner(self)
            await self._spawner.start()
            self._fill()
            await self._first
        except BaseException:
            await self.close(SandboxError("workers did not start"))
            raise

    def take(self) -> Worker | None:
        """A worker that has nothing to do: the one that worked last, since its memory is warm."""
        return self._idle.pop() if self._idle else None

    async def close(self, error: DkgError) -> None:
        """End all workers and the zygote; `error`: what comes of their jobs. No process and no file is left."""
        self._closed = True
        if self._pause is not None:
            self._pause.cancel()
        for worker in list(self._staff.values()):
            worker.close(error)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._spawner is not None:
            await self._spawner.stop()
        await asyncio.sleep(0)  # pipes that were aborted are closed in the next turn of the loop

    # --- what workers and the zygote tell ------------------------------------------------------------------

    def worker_ready(self, worker: Worker, measures: dict[str, str]) -> None:
        """See `Boss`."""
        self.missing = measures
        try:
            if self.settings.isolation == "full":
                require_no_network(measures)
        except SandboxError as error:
            worker.close(error)
            return
        self._failures = 0
        if self._first and not self._first.done():
            self._first.set_result(None)
        self.worker_free(worker)

    def worker_free(self, worker: Worker) -> None:
        """See `Boss`."""
        self._idle.append(worker)
        self._free()

    def worker_lost(self, worker: Worker) -> None:
        """See `Boss`."""
        with suppress(ValueError):
            self._idle.remove(worker)
        if self._spawner is not None:
            self._spawner.kill(worker.number)

    def worker_failed(self, worker: Worker) -> None:
        """See `Boss`."""
        if self._staff.pop(worker.number, None) is None:
            return
        self.worker_lost(worker)
        if not worker.worked:
            self._start_failed(worker.error)
        self._fill()

    def worker_ended(self, ended: Ended) -> None:
        """See `Listener`."""
        worker = self._staff.get(ended.number)
        if worker is not None:
            worker.ended(ended)

    def zygote_ended(self) -> None:
        """See `Listener`. There will be another, with other workers."""
        self._spawner = None
        error = WorkerCrashedError("the process that workers come from was ended, and this job with it")
        for worker in list(self._staff.values()):
            worker.close(error)
        self._start_failed(error)
        self._fill()

    # --- below ---------------------------------------------------------------------------------------------

    def _start_failed(self, error: DkgError | None) -> None:
        self._failures += 1
        if self._first and not self._first.done() and (self._failures > _TRIES or isinstance(error, SandboxError)):
            self._first.set_exception(_not_started(error))

    def _fill(self) -> None:
        """Start what is missing: at once, or after a pause if it goes wrong again and again."""
        if self._closed or self._pause is not None:
            return
        pause = min(PAUSE_SECONDS * 2 ** min(self._failures - 1, _PAUSES), PAUSE_SECONDS_MAX) if self._failures else 0
        self._pause = asyncio.get_running_loop().call_later(pause, self._hire)

    def _hire(self) -> None:
        self._pause = None
        if self._spawner is None:
            self._run(self._restart())
            return
        while len(self._staff) < self.settings.workers:
            self.started += 1
            try:
                pipe = self._spawner.spawn(self.started)
            except SandboxError:
                return  # the zygote is being ended, which we shall hear
            worker = self._staff[self.started] = Worker(self.started, self)
            self._run(_connect(worker, pipe))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _restart(self) -> None:
        spawner = self._make_spawner(self)
        try:
            await spawner.start()
        except SandboxError as error:
            self._start_failed(error)
        else:
            self._spawner = spawner
        self._fill()


async def _connect(worker: Worker, pipe: socket.socket) -> None:
    try:
        await asyncio.get_running_loop().create_unix_connection(lambda: worker, sock=pipe)
    except OSError as error:
        worker.close(WorkerCrashedError(f"the pipe of a worker cannot be used: {error}"))
        pipe.close()
    except BaseException:
        pipe.close()
        raise


def _not_started(error: DkgError | None) -> SandboxError:
    if isinstance(error, SandboxError):
        return error
    detail = getattr(error, "detail", "")
    return SandboxError(f"workers end as soon as they are started: {error}. {detail[-_SAID_CHARS:]}".strip())
