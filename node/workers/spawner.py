"""The node's side of the zygote: starting it, having it fork workers and kill them, and hearing of their end."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from node.workers.errors import SandboxError
from node.workers.zygote import MESSAGE_BYTES_MAX

if TYPE_CHECKING:
    from pathlib import Path

    from node.workers.settings import Settings

CHILD_MODULE: Final = "node.workers.child"
"""The module that does the work: its `warm_up`, before workers are forked, then their `runner` and `serve`."""

START_SECONDS: Final = 30.0
"""How long the zygote may take to be ready, in seconds; it takes less than one."""

STOP_SECONDS: Final = 5.0
"""How long the zygote may take to bury its workers, in seconds; then it is killed, which kills them too."""

_SEND_SECONDS: Final = 1.0  # it answers at once: it does nothing else
_SAID_BYTES: Final = 4096
_SAID_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class Ended:
    """How a worker ended. `exit`: its exit code, or minus the signal that ended it."""

    number: int
    exit: int
    said: str
    """What it wrote to standard error, at the end."""


class Listener(Protocol):
    """Who hears of workers' ends."""

    def worker_ended(self, ended: Ended) -> None:
        """A worker is gone and buried."""

    def zygote_ended(self) -> None:
        """The zygote is gone without being told to, and all workers with it."""


class Spawner:
    """One zygote. `readable`: files and directories that workers may read."""

    def __init__(
        self, listener: Listener, store: Path | None, settings: Settings, readable: list[Path], module: str
    ) -> None:
        self._listener = listener
        self._config = {
            "store": None if store is None else str(store.absolute()),
            "settings": asdict(settings),
            "readable": [str(path.absolute()) for path in readable],
            "module": module,
        }
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._gone: asyncio.Future[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The zygote's process id."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the zygote and wait until it can fork. Raises `SandboxError`."""
        self._loop = asyncio.get_running_loop()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(_SEND_SECONDS)
        try:
            self._process = _start_process(theirs)
        except OSError as error:
            self._close()
            raise SandboxError(f"the process that starts workers cannot be started: {error}") from error
        finally:
            theirs.close()
        self._ready, self._gone = self._loop.create_future(), self._loop.create_future()
        self._loop.add_reader(self._control.fileno(), self._hear)
        try:
            self._send(self._config)
            await asyncio.wait_for(self._ready, START_SECONDS)
        except (SandboxError, TimeoutError) as error:
            said = self._last_words()
            self._close()
            raise SandboxError(f"the process that starts workers did not get ready: {said or error}") from error
        except BaseException:
            self._close()
            raise

    def spawn(self, number: int) -> socket.socket:
        """Have a worker forked; its pipe. Raises `SandboxError`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                self._send({"start": number}, theirs.fileno())
        except BaseException:
            ours.close()
            if self._process is not None:
                self._process.kill()  # it does not answer: `zygote_ended` follows
            raise
        return ours

    def kill(self, number: int) -> None:
        """Have a worker killed; its end is told as any other. One that has ended is no matter."""
        with suppress(SandboxError):  # then the zygote is gone, and its workers with it
            self._send({"kill": number})

    async def stop(self) -> None:
        """End the zygote and all workers, and wait until they are gone."""
        if self._control is None or self._gone is None:
            return
        self._stopping = True
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._gone), STOP_SECONDS)
        self._close()

    # --- below ---------------------------------------------------------------------------------------------

    def _send(self, message: dict[str, Any], *files: int) -> None:
        if self._control is None:
            raise SandboxError("the process that starts workers is gone")
        data = json.dumps(message).encode()
        if len(data) > MESSAGE_BYTES_MAX:
            raise SandboxError(f"the settings of workers have over {MESSAGE_BYTES_MAX} bytes: name fewer directories")
        try:
            socket.send_fds(self._control, [data], files)
        except OSError as error:  # a timeout too
            raise SandboxError(f"the process that starts workers does not answer: {error}") from error

    def _hear(self) -> None:
        """Take one message, which is there."""
        message = b""
        if self._control is not None:
            with suppress(OSError):
                message = self._control.recv(MESSAGE_BYTES_MAX)
        if not message:
            self._hung_up()
            return
        told = json.loads(message)
        if "ended" in told:
            self._listener.worker_ended(Ended(told["ended"], told["exit"], told["said"]))
        elif self._ready and not self._ready.done():
            self._ready.set_result(None)

    def _hung_up(self) -> None:
        if self._loop and self._control:
            self._loop.remove_reader(self._control.fileno())
        if self._ready and not self._ready.done():
            self._ready.set_exception(SandboxError("it ended early"))  # and `start` goes on from there
        elif self._gone and not self._gone.done():
            self._gone.set_result(None)
            self._close()
            if not self._stopping:
                self._listener.zygote_ended()

    def _last_words(self) -> str:
        """Why the zygote did not start."""
        process = self._process
        if process is None or process.stderr is None:
            return ""
        os.set_blocking(process.stderr.fileno(), False)
        said = process.stderr.read(_SAID_BYTES) or b""
        return said.decode(errors="replace").strip()[-_SAID_CHARS:]

    def _close(self) -> None:
        if self._loop and self._control and self._control.fileno() >= 0:
            self._loop.remove_reader(self._control.fileno())
        if self._control:
            self._control.close()
        if self._process:
            self._process.kill()  # if it has not ended yet
            self._process.wait()
            if self._process.stderr:
                self._process.stderr.close()
        self._control = None


def _start_process(control: socket.socket) -> subprocess.Popen[bytes]:
    """Start the zygote with nothing of ours but the pipe and the places of Python's modules."""
    environment = {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MALLOC_ARENA_MAX": "1",  # else each thread of the engine takes 128 MiB of the address space that is allowed
    }
    arguments = [sys.executable, "-P", "-s", "-X", "utf8", "-m", "node.workers.zygote"]
    return subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
        [*arguments, str(control.fileno()), str(os.getpid())],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[control.fileno()],
        start_new_session=True,
    )
