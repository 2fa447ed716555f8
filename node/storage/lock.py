"""Locks on files, which the system takes away when their process ends."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from dkg.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITER_FILE: Final = "node.lock"
"""Held by the process that writes to a node's directory; says its number."""

COPY_FILE: Final = "copy.lock"
"""Held, by any number of processes, while the databases are copied; and by a sweep, alone."""


class FileLock:
    """A lock on a file, for this object alone or shared with others of the same file. Never waits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def take(self, *, shared: bool = False) -> bool:
        """Take it. False: somebody has it. Raises `StoreError` when the file cannot be made."""
        if self._handle is not None:
            raise RuntimeError(f"{self.path} is locked already by this object")
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be made: {error.strerror or error}") from error
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError as error:
            os.close(handle)
            raise StoreError(f"{self.path} cannot be locked: {error.strerror or error}") from error
        self._handle = handle
        return True

    def release(self) -> None:
        """Let it go, if it is held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    @contextmanager
    def held(self, *, shared: bool = False) -> Iterator[bool]:
        """Hold it for as long as the block runs; gives whether it is held."""
        taken = self.take(shared=shared)
        try:
            yield taken
        finally:
            self.release()

    def sign(self) -> None:
        """Write this process's number into the file, for people to read. It proves nothing, and may fail."""
        if self._handle is not None:
            with suppress(OSError):
                os.ftruncate(self._handle, 0)
                os.pwrite(self._handle, b"%d\n" % os.getpid(), 0)


def writer_lock(directory: Path) -> FileLock:
    """The lock of the one process that writes to a node's directory, taken. Raises `StoreError` if another has it."""
    lock = FileLock(directory / WRITER_FILE)
    if not lock.take():
        raise StoreError(
            f"the node in {directory} is open to be written by another process{_who(lock.path)}: stop that one first, "
            "or give this one a directory of its own"
        )
    lock.sign()
    return lock


def _who(path: Path) -> str:
    try:
        number = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return f" (number {number})" if number.isdecimal() else ""
