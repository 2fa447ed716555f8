"""The node's side of one worker: its pipe, its job, its end."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Final, Protocol, cast

from node.workers.child import too_much_memory
from node.workers.codec import cleaned, decode_reply
from node.workers.errors import JobTimeoutError, SandboxError, WorkerCrashedError
from node.workers.frames import REPLY_HEADER_BYTES_MAX, Frame, FrameError, FrameReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.errors import DkgError
    from node.workers.jobs import Result
    from node.workers.settings import Settings
    from node.workers.spawner import Ended

    Finish = Callable[[Result | DkgError], None]
    """Told once what came of a job."""

READY_SECONDS: Final = 10.0
"""How long a worker may take to be ready, in seconds; it takes some milliseconds."""

_OUT_OF_MEMORY: Final = ("memory allocation of", "std::bad_alloc", "MemoryError", "Resource temporarily unavailable")
"""What is written to standard error by what cannot go on without memory: Rust, C++, Python, and a thread's start."""


class Boss(Protocol):
    """Who has workers."""

    settings: Settings

    def worker_ready(self, worker: Worker, measures: dict[str, str]) -> None:
        """It is shut in, but for `measures`, and may have its first job."""

    def worker_free(self, worker: Worker) -> None:
        """It has done its job and may have the next."""

    def worker_lost(self, worker: Worker) -> None:
        """Its pipe is closed: it must be killed if it has not ended, and gets no more jobs."""

    def worker_failed(self, worker: Worker) -> None:
        """It is of no more use, or used up: it must be killed, and there must be another."""


class Worker(asyncio.Protocol):
    """One worker process. `number` is the zygote's name for it.

    It speaks when it is ready, and after each job, once. For anything else it is killed. When its pipe closes, the
    zygote will tell how it ended; its job waits for that, within its time.
    """

    def __init__(self, number: int, boss: Boss) -> None:
        self.number = number
        self.ready = False
        self._boss = boss
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader(REPLY_HEADER_BYTES_MAX, boss.settings.result_bytes)
        self._transport: asyncio.WriteTransport | None = None
        self._finish: Finish | None = None
        self._jobs = 0
        self.error: DkgError | None = None
        """Why it is of no more use; None while it is."""
        self._lost = False
        self._ended: Ended | None = None
        self._timer = self._loop.call_later(READY_SECONDS, self._fail, WorkerCrashedError("the worker did not start"))

    @property
    def worked(self) -> bool:
        """Whether it was ready for work, and not refused then."""
        return self.ready and not isinstance(self.error, SandboxError)

    @property
    def busy(self) -> bool:
        """Whether it has a job."""
        return self._finish is not None

    # --- what the node does --------------------------------------------------------------------------------

    def assign(self, frame: bytes, finish: Finish) -> None:
        """Give it a job."""
        if self.busy or self.error is not None or self._transport is None:
            raise RuntimeError(f"worker {self.number} cannot take a job now")
        self._jobs += 1
        self._finish = finish
        self._timer = self._loop.call_later(self._boss.settings.wall_seconds, self._expire)
        self._transport.write(frame)

    def hurry(self, seconds: float) -> None:
        """Nobody waits for its job any more: it may take so much longer, at most."""
        if self.busy and self._timer.when() > self._loop.time() + seconds:
            self._timer.cancel()
            self._timer = self._loop.call_later(seconds, self._expire)

    def ended(self, ended: Ended) -> None:
        """The process is gone; what it said before may still be on its way."""
        self._ended = ended
        if self._lost or self._transport is None:
            self._fail(self._cause(ended))

    def close(self, error: DkgError) -> None:
        """Have no more to do with it; `error`: what comes of its job."""
        self._fail(error)

    # --- what the worker does ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.WriteTransport", transport)  # a stream's is one, and uvloop's own kind too
        if self.error is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self.error is not None:
            return
        try:
            frames = self._reader.feed(data)
            if frames and not self.ready:
                self._get_ready(*frames)
            elif frames:
                self._take_reply(*frames)
            elif self.ready and not self.busy:
                self._speak_unasked()
        except (FrameError, TypeError) as error:  # a TypeError: more than one frame
            self._fail(WorkerCrashedError("the worker answered what is no answer, and was ended", str(error)))

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        del error  # whatever it was
        self._lost = True
        if self._ended is not None:
            self._fail(self._cause(self._ended))
        else:
            self._boss.worker_lost(self)  # it has ended, or must: then we hear how

    # --- below ---------------------------------------------------------------------------------------------

    def _get_ready(self, frame: Frame) -> None:
        measures = frame.header.get("ready")
        if type(measures) is not dict or not all(isinstance(text, str) for text in measures.values()):
            raise FrameError("it did not say that it is ready")
        self.ready = True
        self._timer.cancel()
        self._boss.worker_ready(self, measures)

    def _take_reply(self, frame: Frame) -> None:
        reply = decode_reply(frame)
        finish, self._finish = self._finish, None
        if finish is None:
            self._speak_unasked()
            return
        self._timer.cancel()
        finish(reply.outcome)
        if reply.spent or self._jobs >= self._boss.settings.jobs_per_worker:
            self._fail(WorkerCrashedError("the worker was replaced"))
        else:
            self._boss.worker_free(self)

    def _speak_unasked(self) -> None:
        self._fail(WorkerCrashedError("the worker spoke without being asked, and was ended"))

    def _expire(self) -> None:
        seconds = self._boss.settings.wall_seconds
        self._fail(
            JobTimeoutError(
                f"this takes longer than the {seconds:.15g} s that are allowed, and was ended; make the query more "
                "selective, or the document smaller"
            )
        )

    def _fail(self, error: DkgError) -> None:
        if self.error is not None:
            return
        self.error = error
        self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        finish, self._finish = self._finish, None
        if finish is not None:
            finish(error)
        self._boss.worker_failed(self)

    def _cause(self, ended: Ended) -> DkgError:
        """The error for a job that the process died of."""
        said = cleaned(ended.said)
        settings = self._boss.settings
        if ended.exit in {-signal.SIGPROF, -signal.SIGXCPU}:
            return JobTimeoutError(
                f"this takes more than the {settings.cpu_seconds:.15g} s of processor time that are allowed, and was "
                "ended; make the query more selective, or the document smaller"
            )
        if any(words in said for words in _OUT_OF_MEMORY):
            return too_much_memory(settings)
        how = f"exit code {ended.exit}" if ended.exit >= 0 else _signal_name(-ended.exit)
        return WorkerCrashedError(f"the worker died of this ({how}), and nothing else did", said)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
