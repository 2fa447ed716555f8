"""Shutting workers in. What is done once, by the process that workers are forked from, and what each worker does.

| measure   | what it takes away                                                     | needs                           |
|-----------|------------------------------------------------------------------------|---------------------------------|
| limits    | memory, processor time, files, writing of files, core dumps            | nothing                         |
| network   | every network: a namespace of its own with nothing in it               | root, or user namespaces        |
| landlock  | files other than programs, the database of pages and views; writing    | Linux 5.13                      |
| seccomp   | sockets, programs, processes, signals, changing files                  | x86_64 or aarch64               |

Besides: no privileges and no way to new ones, no environment, no open files but the pipe, a session of its own, and
the end when its parent ends. Either `network` or `seccomp` cuts the network; `full` isolation wants one of them.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dkg
from node.workers import landlock, seccomp
from node.workers.errors import SandboxError
from node.workers.kernel import (
    CLONE_NEWNET,
    CLONE_NEWUSER,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    drop_capabilities,
    prctl,
    unshare,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FILES_MAX: Final = 256
"""Files that a worker may have open. The engine wants 96 at least."""

LIFE_CPU_SECONDS: Final = 600
"""Processor time, in seconds, after which a worker is replaced. One that somebody has taken over ends soon after."""

_LAST_JOBS: Final = 2  # that it may still do
_KILLED_FIRST: Final = "500"  # of 1,000: when the machine runs out of memory, workers go before the node
_PACKAGES: Final = {"site-packages", "dist-packages"}
_SYSTEM: Final = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/urandom")


def shut_parent(readable: Iterable[Path]) -> dict[str, str]:
    """Shut in this process and all that it forks; `readable`: what workers read. Gives why a measure was not taken.

    The process must have one thread. `limits` and `seccomp` are for each worker (`shut_worker`).
    """
    failed: dict[str, str] = {}
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_KILLED_FIRST, encoding="ascii")
    _try(failed, "network", _leave_network)
    _try(failed, "landlock", lambda: landlock.shut(_existing([*readable, *_programs()])))
    drop_capabilities()
    return failed


def shut_worker(memory_bytes: int, cpu_seconds: float, parent: int) -> dict[str, str]:
    """Shut in a worker that was just forked by `parent`. Gives why a measure was not taken."""
    os.setsid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that was set
        os._exit(1)
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, LIFE_CPU_SECONDS + _LAST_JOBS * ceil(cpu_seconds)),
        (resource.RLIMIT_NOFILE, FILES_MAX),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write is an error, not the end
    failed: dict[str, str] = {}
    if seccomp.available():
        _try(failed, "seccomp", seccomp.shut)
    else:
        failed["seccomp"] = "there is no filter for this processor"
    return failed


def require_no_network(failed: dict[str, str]) -> None:
    """Raise `SandboxError` if nothing keeps workers from the network."""
    if {"network", "seccomp"} <= failed.keys():
        raise SandboxError(
            f"workers would reach the network: no namespace of their own ({failed['network']}) and no filter of system "
            f"calls ({failed['seccomp']}). Allow this program one of them; or set isolation to 'limits' if nobody "
            "untrusted can send queries or documents"
        )


def _try(failed: dict[str, str], name: str, measure: Callable[[], None]) -> None:
    try:
        measure()
    except OSError as error:
        failed[name] = error.strerror or str(error)


def _leave_network() -> None:
    """Go to a network namespace of our own: as root, else in a user namespace, with the same user inside."""
    try:
        unshare(CLONE_NEWNET)
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
        unshare(CLONE_NEWUSER | CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")


def _programs() -> list[Path]:
    """Where Python, packages, we ourselves and the libraries of the system are.

    Not all of `sys.path`: it may have somebody's home in it.
    """
    packages = [path for path in map(Path, sys.path) if path.name in _PACKAGES]
    ours = [Path(dkg.__file__).parent, Path(__file__).parent.parent]
    return [*map(Path, (sys.prefix, sys.base_prefix, sys.exec_prefix, *_SYSTEM)), *packages, *ours]


def _existing(paths: Iterable[Path]) -> list[Path]:
    found = []
    for path in dict.fromkeys(paths):
        with suppress(OSError):
            found += [path] if path.exists() else []
    return found
