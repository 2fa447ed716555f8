"""A worker process: takes one job after the other from its pipe, until the pipe closes.

It is forked by `node.workers.zygote` and shut in before it reads its first job. What it raises goes back by name; what
it dies of, the zygote sees.
"""

from __future__ import annotations

import resource
import signal
import time
import traceback
from typing import TYPE_CHECKING, Final

from dkg.client.store import SqliteStore
from dkg.errors import DkgError, StoreError
from node.workers.codec import Reply, decode_job, encode_reply
from node.workers.errors import JobMemoryError, WorkerCrashedError
from node.workers.execute import Executor
from node.workers.frames import REQUEST_HEADER_BYTES_MAX, Frame, Receiver, encode
from node.workers.jobs import is_private
from node.workers.sandbox import LIFE_CPU_SECONDS
from node.workers.warm import warm_up

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from node.workers.jobs import Job, Result
    from node.workers.settings import Settings

    Run = Callable[[Job], Result]
    """Does a job."""

__all__ = ["crashed", "runner", "serve", "too_much_memory", "warm_up"]

_KIB: Final = 1024


def runner(store: Path | None, settings: Settings) -> Run:
    """What does the jobs of a worker. `store`: the directory of pages."""

    def open_store() -> SqliteStore:
        if store is None:
            raise StoreError("these workers were started without a store of pages")
        return SqliteStore(store, read_only=True)

    return Executor(open_store, settings).run


def serve(run: Run, connection: socket.socket, settings: Settings, measures: dict[str, str]) -> None:
    """Do jobs until the node hangs up, or there is no memory left. `measures`: those that were not taken, and why."""
    worker = _Worker(run, settings)
    connection.sendall(encode({"ready": measures}))
    receiver = Receiver(connection, REQUEST_HEADER_BYTES_MAX, settings.input_bytes)
    while (frame := receiver.next()) is not None:
        connection.sendall(worker.reply(frame))
        del frame  # it may be large, and the next one too


class _Worker:
    def __init__(self, run: Run, settings: Settings) -> None:
        self._run = run
        self._settings = settings
        self._started = _peak_bytes()
        self._is_private = False
        self._no_memory = encode_reply(Reply(too_much_memory(settings), spent=True))  # made while there is some

    def reply(self, frame: Frame) -> bytes:
        self._is_private = False
        try:
            outcome = self._outcome(frame)
            spent = isinstance(outcome, WorkerCrashedError) or self._is_private or self._spent()
            return encode_reply(Reply(outcome, spent))
        except MemoryError:
            return self._no_memory

    def _outcome(self, frame: Frame) -> Result | DkgError:
        signal.setitimer(signal.ITIMER_PROF, self._settings.cpu_seconds)  # at its end the process dies of SIGPROF
        try:
            job = decode_job(frame)
            self._is_private = is_private(job)
            return self._run(job)
        except DkgError as error:
            return error
        except MemoryError:
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of the engine is not even an Exception
            return crashed(error)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _spent(self) -> bool:
        grown = _peak_bytes() - self._started
        return grown > self._settings.growth_bytes or time.process_time() > LIFE_CPU_SECONDS


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB


def too_much_memory(settings: Settings) -> JobMemoryError:
    """The error for a job that needed more than there is."""
    return JobMemoryError(
        f"this needs more than the {settings.memory_bytes} bytes of memory that are allowed; make the query more "
        "selective, or the document smaller"
    )


def crashed(error: BaseException) -> WorkerCrashedError:
    """The error for what evaluation raised and should not have."""
    where = "".join(traceback.format_exception(error))
    return WorkerCrashedError(
        f"this met a fault in the program ({type(error).__name__}), and nobody else did: please report it",
        where[-1_000:],
    )
