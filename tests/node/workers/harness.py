"""Workers on an event loop in a thread, so that plain tests can use them; and the data that they work on."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import psutil

from dkg.errors import DkgError
from node.workers.jobs import Query, Result
from node.workers.pool import Workers
from node.workers.spawner import CHILD_MODULE

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from concurrent.futures import Future
    from pathlib import Path
    from types import TracebackType

    from node.workers.jobs import Job
    from node.workers.settings import Settings

HOSTILE = "tests.node.workers.hostile"
NO_ROOT = b"\x01\x71\x12\x20" + bytes(32)
"""A root that no store has."""


class Pool:
    """Workers for tests that wait."""

    def __init__(
        self,
        store: Path | None,
        settings: Settings | None = None,
        *,
        readable: Iterable[Path] = (),
        module: str = CHILD_MODULE,
    ) -> None:
        self.workers = Workers(store, settings, readable=readable, module=module)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.do(self.workers.start())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.do(self.workers.close())
        finally:
            self._stop()

    def _stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401
        """Run something on the loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def run(self, job: Job, client: str = "somebody") -> Result:
        """Run a job."""
        return self.workers.run_sync(job, client=client)

    def start(self, job: Job, client: str = "somebody") -> Future[Result]:
        """Ask for a job, and wait no longer than until it waits or runs."""
        future = asyncio.run_coroutine_threadsafe(self.workers.run(job, client=client), self.loop)
        self.do(asyncio.sleep(0))
        return future

    def outcome(self, job: Job, client: str = "somebody") -> Result | DkgError:
        """What comes of a job."""
        return self.outcomes([job], client)[0]

    def outcomes(self, jobs: Iterable[Job], client: str | None = None) -> list[Result | DkgError]:
        """What comes of some jobs that are asked for at once, each by a client of its own if no other is named."""
        named = [(job, client or f"client {number}") for number, job in enumerate(jobs)]
        found: list[Any] = self.do(_gathered(self.workers, named))
        for outcome in found:
            if not isinstance(outcome, Result | DkgError):
                raise outcome
        return found

    def attempt(self, what: str) -> str:
        """What a hostile worker says of an attempt."""
        return self.run(Query(root=NO_ROOT, text=what)).body.decode()

    def failure(self, what: str) -> DkgError:
        """What comes of an attempt that goes wrong."""
        outcome = self.outcome(Query(root=NO_ROOT, text=what))
        assert isinstance(outcome, DkgError), outcome
        return outcome

    @property
    def zygote(self) -> psutil.Process:
        """The process that workers are forked from."""
        pid = self.workers._crew.zygote
        assert pid is not None
        return psutil.Process(pid)

    def processes(self) -> list[psutil.Process]:
        """The worker processes that there are."""
        return [child for child in self.zygote.children() if child.status() != psutil.STATUS_ZOMBIE]

    @staticmethod
    def wait_until(condition: Callable[[], bool]) -> None:
        """Wait until something is so."""

        while not condition():
            time.sleep(0.002)

    def wait_idle(self) -> None:
        """Wait until all workers are there and have nothing to do."""
        self.wait_until(lambda: self.workers.state().idle == self.workers.settings.workers)


async def _gathered(workers: Workers, named: list[tuple[Job, str]]) -> list[Any]:
    return await asyncio.gather(*(workers.run(job, client=client) for job, client in named), return_exceptions=True)
