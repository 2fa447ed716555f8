"""The process that workers are forked from: everything is loaded and warmed up, and nothing of the node is in it.

A worker is there within milliseconds, since it need load nothing. This process runs no untrusted input. It has one
thread, no network, no environment and no files but the pipe to the node; it ends when the node does, however that
ends, and its workers with it.

Messages on the pipe, one JSON object each: from the node the settings, then `{"start": number}` with the worker's pipe
attached, and `{"kill": number}`; from here `{"ready": measures}`, then `{"ended": number, ...}` for each worker.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from node.workers import sandbox
from node.workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

MESSAGE_BYTES_MAX: Final = 64 * 1024
"""Longest message on the pipe, in bytes."""

SAID_BYTES_MAX: Final = 4 * 1024
"""How much is kept of the end of what a worker wrote to standard error, in bytes."""

_PIPE_BYTES: Final = 64 * 1024
_FREE: Final = 3  # the first number of a file after standard input, output and error


@dataclass(frozen=True, slots=True)
class _Child:
    number: int
    pid: int
    handle: int
    """A pidfd: readable when the process has ended."""
    said: int
    """Where its standard error can be read."""


class Zygote:
    """Forks workers, and sees to their end."""

    def __init__(self, control: socket.socket, config: Mapping[str, Any]) -> None:
        self._control = control
        self._store = None if config["store"] is None else Path(config["store"])
        self._settings = Settings(**config["settings"])
        self._module = import_module(config["module"])
        self._readable = [Path(path) for path in (*config["readable"], Path(self._module.__file__ or "/").parent)]
        self._failed: dict[str, str] = {}
        self._children: dict[int, _Child] = {}

    def run(self, node: int) -> None:
        """Serve the node until it hangs up or ends. `node`: a pidfd of it."""
        self._module.warm_up()
        threads = len(list(Path("/proc/self/task").iterdir()))
        if threads > 1:
            raise RuntimeError(f"this process has {threads} threads, and can be forked safely with one only")
        self._failed = sandbox.shut_parent(self._readable)
        gc.collect()
        gc.freeze()  # collections in workers would write to the memory that they share
        self._tell({"ready": self._failed})
        try:
            while self._step(node):
                pass
        finally:
            for child in list(self._children.values()):
                _kill(child.pid)
                self._bury(child)

    def _step(self, node: int) -> bool:
        """Wait for something and do it; False when the node is gone."""
        by_handle = {child.handle: child for child in self._children.values()}
        poll = select.poll()
        for file in (self._control.fileno(), node, *by_handle):
            poll.register(file, select.POLLIN)
        ready = {file for file, _ in poll.poll()}
        for handle in ready & by_handle.keys():
            self._bury(by_handle[handle])
        if node in ready:
            return False
        return self._control.fileno() not in ready or self._obey()

    def _obey(self) -> bool:
        message, files, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES_MAX, 1)
        if not message:
            return False
        order = json.loads(message)
        if "start" in order:
            try:
                self._start(order["start"], files[0])
            except OSError as error:  # no memory, or no process
                self._tell({"ended": order["start"], "exit": 1, "said": f"it could not be forked: {error}"})
            finally:
                os.close(files[0])
        elif order["kill"] in self._children:  # else it has ended, and that is on its way
            _kill(self._children[order["kill"]].pid)
        return True

    def _start(self, number: int, pipe: int) -> None:
        said, says = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        own = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            os.close(said)
            os.close(says)
            raise
        if not pid:
            self._become_worker(pipe, says, own)
        os.close(says)
        self._children[number] = _Child(number, pid, os.pidfd_open(pid), said)

    def _become_worker(self, pipe: int, says: int, parent: int) -> NoReturn:
        try:
            os.dup2(says, sys.stderr.fileno())
            os.dup2(pipe, _FREE)
            os.closerange(_FREE + 1, os.sysconf("SC_OPEN_MAX"))
            faulthandler.enable()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            measures = self._failed | sandbox.shut_worker(
                self._settings.memory_bytes, self._settings.cpu_seconds, parent
            )
            run = self._module.runner(self._store, self._settings)
            self._module.serve(run, socket.socket(fileno=_FREE), self._settings, measures)
        except BaseException:  # noqa: BLE001 - whatever it was, this process ends here
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def _bury(self, child: _Child) -> None:
        """Take note of the end of a worker, and tell the node."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        _, status = os.waitpid(child.pid, 0)
        said = _read_all(child.said)[-SAID_BYTES_MAX:].decode(errors="replace")
        os.close(child.handle)
        os.close(child.said)
        del self._children[child.number]
        with suppress(OSError):  # the node may be gone
            self._tell({"ended": child.number, "exit": os.waitstatus_to_exitcode(status), "said": said})

    def _tell(self, message: dict[str, Any]) -> None:
        self._control.send(json.dumps(message).encode())


def _kill(pid: int) -> None:
    """Kill a worker that is ours and not yet buried, and what it may have started."""
    for kill in (os.kill, os.killpg):
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _read_all(file: int) -> bytes:
    """What is in a pipe."""
    with suppress(BlockingIOError):
        return os.read(file, _PIPE_BYTES)
    return b""


def main() -> None:
    """Serve the node that started this process: arguments are the pipe's number and the node's process id."""
    control = socket.socket(fileno=int(sys.argv[1]))
    node = os.pidfd_open(os.getppid())
    if os.getppid() != int(sys.argv[2]):
        return  # the node ended before it could be watched
    Zygote(control, json.loads(control.recv(MESSAGE_BYTES_MAX))).run(node)


if __name__ == "__main__":
    main()
