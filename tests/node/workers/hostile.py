"""A worker that somebody has taken over: it tries, from inside, what a sandbox must not let it.

The text of a `Query` says what to do: a name below, a space, an argument. Other jobs are done as usual.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyoxigraph

from node.workers import child
from node.workers.jobs import Facts, Query, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.workers.child import Run
    from node.workers.jobs import Job
    from node.workers.settings import Settings

PIPE = 3


def warm_up() -> None:
    """Nothing: these workers need not be fast."""


def runner(store: Path | None, settings: Settings) -> Run:
    usual = child.runner(store, settings)

    def run(job: Job) -> Result:
        what, _, argument = job.text.partition(" ") if isinstance(job, Query) else ("", "", "")
        if what not in ATTEMPTS:
            return usual(job)
        try:
            said = ATTEMPTS[what](argument)
        except OSError as error:
            said = f"{type(error).__name__}: {error.strerror}"
        return Result(str(said).encode(), Facts("ASK", "csv", None, None, 0.0))

    return run


def serve(run: Run, connection: socket.socket, settings: Settings, measures: dict[str, str]) -> None:
    child.serve(run, connection, settings, measures)


def _connect(port: str) -> str:
    with socket.socket() as connection:
        connection.connect(("127.0.0.1", int(port)))
    return "connected"


def _service(port: str) -> str:
    """As if the scanner had let it through."""
    query = f"SELECT * WHERE {{ SERVICE <http://127.0.0.1:{port}/> {{ ?s ?p ?o }} }}"
    try:
        return str(list(pyoxigraph.Store().query(query)))  # type: ignore[arg-type]  # a SELECT
    except (OSError, RuntimeError) as error:
        return f"refused: {error}"


def _load(port: str) -> str:
    try:
        pyoxigraph.Store().update(f"LOAD <http://127.0.0.1:{port}/>")
    except (OSError, RuntimeError) as error:
        return f"refused: {error}"
    return "loaded"


def _segfault(_: str) -> str:
    ctypes.string_at(0)
    return "alive"


def _stack(_: str) -> str:
    """The 4.5 kB query of RELIABILITY 1.1, which the scanner refuses."""
    depth = 20_000
    pyoxigraph.Store().query("SELECT * WHERE " + "{" * depth + "}" * depth)
    return "alive"


def _python_memory(_: str) -> str:
    kept = []
    while True:
        kept.append(bytes(1 << 20))


def _engine_memory(_: str) -> str:
    """Eight times ten times as long."""
    binds = " ".join(f"BIND(CONCAT({','.join([f'?v{i}'] * 10)}) AS ?v{i + 1})" for i in range(9))
    query = f"SELECT (STRLEN(?v9) AS ?n) WHERE {{ BIND('0123456789' AS ?v0) {binds} }}"
    return str(list(pyoxigraph.Store().query(query)))  # type: ignore[arg-type]  # a SELECT


def _spin(_: str) -> str:
    while True:
        pass


def _sleep(seconds: str) -> str:
    time.sleep(float(seconds))
    return "slept"


def _fork(_: str) -> str:
    if not os.fork():
        os._exit(0)
    return "forked"


def _thread(_: str) -> str:
    """What the engine may do: a thread of its own."""
    store = pyoxigraph.Store()
    store.bulk_load(b"<urn:a> <urn:b> <urn:c> .", format=pyoxigraph.RdfFormat.N_TRIPLES)
    return f"{len(store)} loaded"


def _exec(_: str) -> str:
    os.execv("/bin/true", ["true"])  # the process would go on as another program


def _kill(pid: str) -> str:
    os.kill(int(pid), signal.SIGKILL)
    return "killed"


def _limit(pid: str) -> str:
    resource.prlimit(int(pid), resource.RLIMIT_CORE, (0, 0))
    return "limited"


def _own_signal(pid: str) -> str:
    """Have the kernel send the signal."""
    fcntl.fcntl(PIPE, fcntl.F_SETOWN, int(pid))
    return "set"


def _lock(path: str) -> str:
    with Path(path).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return "locked"


def _lease(path: str) -> str:
    with Path(path).open("rb") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    return "leased"


def _read(path: str) -> str:
    return f"{len(Path(path).read_bytes())} bytes"


def _write(path: str) -> str:
    with Path(path).open("r+b") as file:
        file.write(b"x")
    return "written"


def _empty(path: str) -> str:
    os.truncate(path, 0)
    return "emptied"


def _remove(path: str) -> str:
    Path(path).unlink()
    return "removed"


def _move(path: str) -> str:
    Path(path).rename(f"{path}.moved")
    return "moved"


def _mode(path: str) -> str:
    Path(path).chmod(0)
    return "changed"


def _listed(path: str) -> str:
    return str(sorted(os.listdir(path)))  # noqa: PTH208


def _secrets(_: str) -> str:
    files = []
    for file in range(1024):
        try:
            os.fstat(file)
        except OSError:
            continue
        files.append(file)
    return json.dumps({
        "environment": sorted(os.environ),
        "files": files,
        "session": os.getsid(0) == os.getpid(),
        "memory": resource.getrlimit(resource.RLIMIT_AS)[1],
        "uid": os.getuid(),
    })  # fmt: skip


def _privileges(_: str) -> str:
    """The capabilities that are left, as two words of bits each for effective, permitted and inheritable ones."""
    header = ctypes.create_string_buffer(b"\x22\x05\x08\x20" + bytes(4))
    words = ctypes.create_string_buffer(24)
    ctypes.CDLL(None).capget(header, words)
    return "none" if not any(words.raw) else words.raw.hex()


def _say(what: str) -> str:
    """Bytes on the pipe that are no reply, and then silence."""
    data = WORDS[what]
    while data:
        data = data[os.write(PIPE, data) :]
    time.sleep(3600)
    return "never here"


WORDS = {
    "garbage": b"\x00\x00\x00\x02\x00\x00\x00\x00{]",
    "deep": (10_000).to_bytes(4, "big") + bytes(4) + b"[" * 10_000,
    "array": b"\x00\x00\x00\x02\x00\x00\x00\x00[]",
    "long-header": b"\xff\xff\xff\xff\x00\x00\x00\x00",
    "long-payload": b"\x00\x00\x00\x02\xff\xff\xff\xff{}",
    "two": b'\x00\x00\x00\x28\x00\x00\x00\x00{"error":"QueryError","message":"twice" }' * 2,
    "no-facts": b'\x00\x00\x00\x0f\x00\x00\x00\x00{"spent":false}',
    "half": b"\x00\x00\x00\x0f",
}


def _hang_up(_: str) -> str:
    os.close(PIPE)
    time.sleep(3600)
    return "never here"


def _exit(code: str) -> str:
    os._exit(int(code))


def _raise(_: str) -> str:
    raise KeyboardInterrupt("not even an Exception")


ATTEMPTS: dict[str, Callable[[str], str]] = {
    "connect": _connect, "service": _service, "load": _load, "segfault": _segfault, "stack": _stack,
    "python-memory": _python_memory, "engine-memory": _engine_memory, "spin": _spin, "sleep": _sleep, "fork": _fork,
    "thread": _thread, "exec": _exec, "kill": _kill, "limit": _limit, "own-signal": _own_signal, "read": _read,
    "write": _write, "lock": _lock, "lease": _lease, "list": _listed, "secrets": _secrets, "say": _say,
    "empty": _empty, "remove": _remove, "move": _move, "mode": _mode, "privileges": _privileges,
    "hang-up": _hang_up, "exit": _exit, "raise": _raise,
}  # fmt: skip
