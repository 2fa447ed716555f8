"""Loads that are killed: run as a program by `test_kill.py`, because pytest has threads and a load forks.

    python -m tests.dkg.client.killed MODE DIRECTORY CASES

Each case copies a store that has a head, starts a load into the copy in a child, has the child killed, and then
checks: the store opens, its head is the old root or the new one, `check_store` finds nothing wrong, and the same
load, done again, gives the new root. Prints a line for each case: its name, and which head was there.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dkg.client.fsck import check_store
from dkg.client.load import load_files
from dkg.client.store import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable

_SMALL, _LARGE = 200, 4_600


def _lines(start: int, count: int) -> str:
    return "".join(
        f'<http://example.org/s{i // 3}> <http://example.org/p{i % 3}> "value {i * 7919 % 1000}" .\n'
        f"<http://example.org/s{i // 3}> <http://example.org/q> <http://example.org/s{i}> .\n"
        for i in range(start, start + count)
    )


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _in_child(work: Callable[[], None]) -> int:
    """Do some work in a forked child; gives its process id."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    return child


class _Cases:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._base = directory / "base"
        first = directory / "first.nt"
        first.write_text(_lines(0, 750))
        with SqliteStore(self._base) as store:
            self._old = load_files([first], store).root

    def file(self, count: int) -> Path:
        """RDF to load on top: a small file is an update, a large one is built anew by forked processes."""
        path = self._directory / f"more{count}.nt"
        path.write_text(_lines(700, count))
        return path

    def expect(self, name: str, file: Path, kill: Callable[[Path], int]) -> bool:
        """Check one case; `kill` starts a load into a store and gives its process id. True: the load was done."""
        copy = self._directory / "copy"
        shutil.copytree(self._base, copy)
        child = kill(copy)
        _, status = os.waitpid(child, 0)
        with SqliteStore(copy, read_only=True) as store:
            found = store.head()
            problems = check_store(store).problems
        with SqliteStore(copy) as store:
            again = load_files([file], store)
            after = check_store(store).problems
        which = "old" if found == self._old else "new" if found == again.root else "neither"
        sys.stdout.write(f"{name} {which} {problems + after} {os.WIFSIGNALED(status)}\n")
        shutil.rmtree(copy)
        return not os.WIFSIGNALED(status)

    def at_statements(self, count: int) -> None:
        """Kill before the n-th statement that the database runs, for each n of a few at first, then for some."""
        for size in (_SMALL, _LARGE):
            file = self.file(size)
            step = 1
            for _ in range(count):
                if self.expect(f"statement {step}", file, lambda path, n=step, f=file: self._kill_at(path, f, n)):  # type: ignore[misc]
                    break
                step += 1 + step

    def _kill_at(self, path: Path, file: Path, statement: int) -> int:
        def work() -> None:
            store = SqliteStore(path)
            left = statement

            def count(_sql: str) -> None:
                nonlocal left
                left -= 1
                if not left:
                    _die()

            store._db.set_trace_callback(count)
            load_files([file], store)

        return _in_child(work)

    def at_steps(self, count: int) -> None:
        """Kill when the load tells of its n-th step."""
        file = self.file(_LARGE)
        for step in range(1, count + 1):
            self.expect(f"step {step}", file, lambda path, n=step: self._kill_at_step(path, file, n))  # type: ignore[misc]

    def _kill_at_step(self, path: Path, file: Path, step: int) -> int:
        def work() -> None:
            left = step

            def count(_progress: object) -> None:
                nonlocal left
                left -= 1
                if not left:
                    _die()

            load_files([file], SqliteStore(path), progress=count)

        return _in_child(work)

    def at_times(self, count: int) -> None:
        """Kill after a while, anywhere between the start and a little after the end."""
        chance = random.Random(count)
        for size in (_SMALL, _LARGE):
            file = self.file(size)
            start = time.monotonic()
            os.waitpid(self._load(self._directory / "whole", file), 0)
            seconds = time.monotonic() - start
            shutil.rmtree(self._directory / "whole")
            for _ in range(count // 2):
                delay = chance.random() * seconds * 1.1
                self.expect(f"after {delay:.3f} s", file, lambda path, f=file, d=delay: self._kill_after(path, f, d))  # type: ignore[misc]

    def _load(self, path: Path, file: Path) -> int:
        def work() -> None:
            with SqliteStore(path) as store:
                load_files([file], store)

        return _in_child(work)

    def _kill_after(self, path: Path, file: Path, delay: float) -> int:
        child = self._load(path, file)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        return child


def main() -> None:
    """See the module's docstring."""
    mode, directory, count = sys.argv[1:]
    getattr(_Cases(Path(directory)), f"at_{mode}")(int(count))


if __name__ == "__main__":
    main()
