"""What a node's directory takes of the disk, and the quota on it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg.client.database import FullError
from dkg.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path


class QuotaError(FullError):
    """The node's directory is as large as it may get; nothing was changed. Reading goes on."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes. `used` is what counts against the quota: all that is in the directory, less what is free inside it."""

    pages: int
    """Of the database of pages: what holds something."""
    state: int
    """The same of `state.db`."""
    logs: int
    """Of the write-ahead logs of both."""
    other: int
    """Of all other files: views, and what is being built."""
    free_inside: int
    """Of the databases: free, and used again before a file grows."""
    free_on_disk: int
    """What the disk has left for this process."""
    quota: int | None

    @property
    def used(self) -> int:
        """Bytes that count against the quota."""
        return self.pages + self.state + self.logs + self.other


def bytes_below(directory: Path, leave_out: frozenset[Path] = frozenset()) -> int:
    """What the files below a directory take of the disk; a file with several names counts once.

    `leave_out`: files, and directories with all that is in them.
    """
    seen: set[tuple[int, int]] = set()
    total = 0
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if directory / folder / name not in leave_out]
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - a Path for each file of a view takes as long as its stat
            try:
                found = os.lstat(path)
            except FileNotFoundError:
                continue  # it went while we looked
            if not stat.S_ISREG(found.st_mode) or (found.st_dev, found.st_ino) in seen:
                continue
            if leave_out and directory / path in leave_out:
                continue
            seen.add((found.st_dev, found.st_ino))
            total += found.st_blocks * 512  # POSIX: of 512 bytes, whatever the file system's blocks are
    return total


def disk_free(directory: Path) -> int:
    """Bytes that the disk of a directory has left. Raises `StoreError`."""
    try:
        found = os.statvfs(directory)
    except OSError as error:
        raise StoreError(f"the disk of {directory} does not tell how much it has left: {error.strerror}") from error
    return found.f_bavail * found.f_frsize
