"""Builds the trees of a dataset side by side, in forked processes.

A child inherits the quads, so that nothing is copied to it. It sorts, cuts, hashes and compresses one tree, and
sends packs back; only the parent writes to the database. Where forking is not safe (this process has threads) or
does not pay, the trees are built here one after the other: the root is the same.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final

from dkg.dataset import run_in_turn, sample_pages
from dkg.errors import DkgError, StoreError
from dkg.pages import PageSink

if TYPE_CHECKING:
    from collections.abc import Iterable
    from multiprocessing.connection import Connection

    from dkg.client.store import SqliteStore
    from dkg.dataset import Tick, TreeJob

_PAYS_FROM: Final = 8_000  # keys in the sample: fewer are built sooner than processes start
_SAMPLE_PAGES: Final = 2_000


class TreeBuilder:
    """The `Runner` for a `SqliteStore` that is inside `writing`. `processes`: at most so many; 1 means here."""

    def __init__(self, store: SqliteStore, processes: int | None = None) -> None:
        self._store = store
        self._processes = processes_allowed() if processes is None else processes

    def __call__(self, jobs: list[TreeJob], store: object, sample: list[bytes], tick: Tick) -> list[tuple[bytes, int]]:
        """See `Runner`."""
        del store  # it is the one given at the start
        self._store.train(sample_pages(sample, _SAMPLE_PAGES))
        if self._processes < 2 or len(sample) < _PAYS_FROM:  # noqa: PLR2004 - two is where "side by side" begins
            return run_in_turn(jobs, self._store, sample, tick)
        return _Forked(jobs, self._store, tick).run(self._processes)


def processes_allowed() -> int:
    """How many processes may build at once: the processors there are, or 1 where forking is not safe."""
    if sys.platform != "linux":
        return 1
    # A lock that another thread holds at the moment of a fork is never released in the child.
    if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - names are all that is wanted
        return 1
    return len(os.sched_getaffinity(0))


class _Forked:
    def __init__(self, jobs: list[TreeJob], store: SqliteStore, tick: Tick) -> None:
        self._jobs = jobs
        self._store = store
        self._tick = tick
        self._context = multiprocessing.get_context("fork")
        self._running: dict[Any, tuple[int, Any]] = {}  # connection: number of the job, its process
        self._results: dict[int, tuple[bytes, int]] = {}

    def run(self, processes: int) -> list[tuple[bytes, int]]:
        """The results of all jobs, at most `processes` of them at once."""
        waiting = list(enumerate(self._jobs))[::-1]
        try:
            while waiting or self._running:
                while waiting and len(self._running) < processes:
                    self._start(*waiting.pop())
                for connection in wait(list(self._running)):
                    self._receive(connection)
        finally:
            for connection, (_, process) in self._running.items():
                process.kill()
                process.join()
                connection.close()
        return [self._results[number] for number in range(len(self._jobs))]

    def _start(self, number: int, job: TreeJob) -> None:
        ours, theirs = self._context.Pipe(duplex=False)
        # The child closes what it inherits of reading ends: else no worker would notice that the parent is gone.
        inherited = [ours, *self._running]
        process = self._context.Process(target=_work, args=(job, self._store, theirs, inherited), daemon=True)
        process.start()
        theirs.close()
        self._running[ours] = number, process

    def _receive(self, connection: Any) -> None:  # noqa: ANN401 - `wait` does not say which kind it gives
        number, process = self._running[connection]
        try:
            packs, keys, result = connection.recv()
        except EOFError:
            del self._running[connection]
            connection.close()
            process.join()
            raise StoreError(
                f"a process that built an index ended early (exit code {process.exitcode}; -9 is often for want of "
                "memory). Nothing was changed"
            ) from None
        if isinstance(result, DkgError):
            raise result
        self._store.put_packs(packs)
        self._tick(keys)
        if result is not None:
            self._results[number] = result
            del self._running[connection]
            connection.close()
            process.join()


class _Sender:
    """The store that a child sees: packs pages and sends them to the parent."""

    def __init__(self, store: SqliteStore, connection: Connection) -> None:
        self._store = store
        self._connection = connection
        self.keys = 0

    def get(self, cid: bytes) -> bytes | None:
        """See `PageStore.get`."""
        return self._store.get(cid)

    def put_many(self, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """See `PageStore.put_many`."""
        self._connection.send((list(self._store.packed(list(pages))), self.keys, None))
        self.keys = 0

    def tick(self, keys: int) -> None:
        self.keys += keys


def _work(job: TreeJob, store: SqliteStore, connection: Connection, inherited: list[Any]) -> None:
    """What a child does."""
    for other in inherited:
        other.close()
    try:
        store.reopen_in_child()
        sender = _Sender(store, connection)
        sink = PageSink(sender)
        result = job(sink, sender.tick)
        sink.flush()
        connection.send(([], sender.keys, result))
    except BrokenPipeError:
        pass  # the parent is gone, and with it whoever wanted the tree
    except DkgError as error:
        connection.send(([], 0, error))
