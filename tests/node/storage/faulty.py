"""Faults for a node's storage: run as a program by `test_faults.py`, because pytest has threads and this forks.

    python -m tests.node.storage.faulty MODE DIRECTORY CASES

A child writes to a node: a new dataset, which it keeps, then garbage is collected, again and again; after each that
is durable it says its position. `kill`: it is killed after a while. `inject`: strace makes one of its system calls
fail, or kills it there. Then: the node opens, what was said is there and has the right quads, and `check_node` finds
nothing wrong. Prints a line for each case: what was done, how the child ended, and what was found to be wrong.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dkg.dataset import quads
from dkg.errors import StoreError
from dkg.pages import StoredPages
from node.storage import NodeStore, Retention, Rule, check_node
from tests.node.storage.data import changed, publisher, put, quads_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.terms import Quad

FAILED: Final = 3  # the child had a StoreError
TRUSTED: Final = 4  # it went on writing after the disk had refused a write

SYSCALLS: Final = ("openat", "pread64", "pwrite64", "fdatasync", "fsync", "ftruncate", "unlink", "fallocate")
_FIRST: Final = quads_of(publisher(1), 240)
_TWO: Final = Retention(Rule(count=2))


def _at(position: int) -> list[Quad]:
    """The quads at a position."""
    return changed(_FIRST, 12, position) if position else _FIRST


def _write(directory: Path, steps: int, say: Callable[[int], object]) -> None:
    """Go on from where the node is."""
    with NodeStore(directory, reserve_bytes=64 * 1024) as store:
        kept = store.kept("union")
        position = kept[0].position if kept else -1
        root = kept[0].root if kept else b""
        for _ in range(steps):
            try:
                root = put(store.pages, _at(position + 1), (root, _at(position)) if root else None)
                store.keep("union", root, position=position + 1, at=position + 1)
                position += 1
                say(position)
                if position % 2:
                    store.collect(_TWO, now=0)
            except StoreError:
                if store.pages.database.broken:
                    _try_again(store)
                raise


def _try_again(store: NodeStore) -> None:
    """After a refused write nothing may be written."""
    try:
        put(store.pages, _FIRST[:40])
    except StoreError as error:
        if "takes no more writes" in str(error):
            return
    os._exit(TRUSTED)


class _Child:
    """A child that writes; it waits until it is told to go on."""

    def __init__(self, directory: Path, steps: int) -> None:
        read, say = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            code = 1
            try:
                os.kill(os.getpid(), signal.SIGSTOP)
                _write(directory, steps, lambda position: os.write(say, b"%d\n" % position))
                code = 0
            except StoreError as error:
                sys.stderr.write(f"{error}\n")
                code = FAILED
            finally:
                os._exit(code)
        os.close(say)
        self._said = os.fdopen(read, "rb")
        self._heard: list[bytes] = []
        os.waitpid(self.pid, os.WUNTRACED)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def hear(self) -> None:
        """Wait until it says a position."""
        self._heard = self._said.readline().split()

    def end(self) -> tuple[int, int]:
        """How it ended, and the last position that it said; -1 for none."""
        with self._said as pipe:
            lines = [*self._heard, *pipe.read().split()]
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status), int(lines[-1]) if lines else -1


def _problems(directory: Path, said: int) -> list[str]:
    with NodeStore(directory, reserve_bytes=0) as store:
        found = check_node(store).problems
        kept = store.kept("union")
        if kept:
            now = [quad for batch in quads(StoredPages(store.pages), kept[0].root) for quad in batch]
            if now != _at(kept[0].position):
                found.append(f"other quads at position {kept[0].position}")
        if (kept[0].position if kept else -1) < said:
            found.append(f"position {said} was said, and is not there")
    return found


def _report(name: str, ended: int, said: int, problems: list[str]) -> None:
    sys.stdout.write(f"{name} ended {ended} said {said} {problems}\n")


def kill(directory: Path, cases: int) -> None:
    """One node, killed again and again."""
    chance = random.Random(cases)
    node = directory / "node"
    said = -1
    for case in range(cases):
        child = _Child(node, 10**6)
        child.go_on()
        for _ in range(case % 3):  # however slow this machine is, it comes so far
            child.hear()
        time.sleep(0.002 + chance.random() * 0.06)
        os.kill(child.pid, signal.SIGKILL)
        ended, now = child.end()
        said = max(said, now)
        _report(f"kill {case}", ended, said, _problems(node, said))


def inject(directory: Path, cases: int) -> None:
    """Each system call in turn fails, or kills, at some of the times that it is called."""
    fresh, grown = directory / "fresh", directory / "grown"
    fresh.mkdir()
    _write(grown, 3, lambda _: None)
    for base in (fresh, grown):
        calls = _calls(directory, base)
        times = max(1, cases // (4 * len(SYSCALLS)))
        for call in SYSCALLS:
            for at in sorted({1 + number * calls[call] // times for number in range(times) if calls[call]}):
                for effect in ("error=EIO", "signal=KILL"):
                    ended, said = _traced(directory, base, f"inject={call}:{effect}:when={at}")
                    _report(
                        f"{base.name} {call} {effect} {at}", ended, said, _problems(directory / "node" / "data", said)
                    )


def _calls(directory: Path, base: Path) -> dict[str, int]:
    """How often the child makes each call."""
    _traced(directory, base, f"trace={','.join(SYSCALLS)}")
    log = (directory / "strace").read_text()
    return {call: sum(line.startswith(f"{call}(") for line in log.splitlines()) for call in SYSCALLS}


def _traced(directory: Path, base: Path, what: str) -> tuple[int, int]:
    node = directory / "node" / "data"
    shutil.rmtree(node.parent, ignore_errors=True)
    if any(base.iterdir()):
        shutil.copytree(base, node)
    child = _Child(node, 3)
    with subprocess.Popen(
        ["strace", "-p", str(child.pid), "-o", str(directory / "strace"), "-e", what],
        stderr=subprocess.PIPE,
    ) as strace:
        assert strace.stderr is not None
        strace.stderr.readline()  # "attached"
        child.go_on()
        ended = child.end()
        strace.stderr.read()
    return ended


def main() -> None:
    """See the module's docstring."""
    mode, directory, cases = sys.argv[1:]
    {"kill": kill, "inject": inject}[mode](Path(directory), int(cases))


if __name__ == "__main__":
    main()
