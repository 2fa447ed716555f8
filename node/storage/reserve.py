"""A file that holds nothing, so that there is room to collect garbage when the disk is full.

Removing pages writes first: what goes is recorded in the log of the database. On a disk without a free byte nothing
could be removed. The reserve is given up when a collection begins, and taken again when it is done.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from dkg.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

RESERVE_BYTES: Final = 16 * 1024 * 1024
"""What is set aside, in bytes: the log of some slices of a collection."""

_FILE: Final = "reserve"


class Reserve:
    """The reserve of one directory."""

    def __init__(self, directory: Path, size: int) -> None:
        """`size`: in bytes; 0 for none."""
        self._path = directory / _FILE
        self._size = size

    def take(self) -> bool:
        """Set the bytes aside, if they are not yet. False: there is no room for them now."""
        try:
            if self._size and not (self._path.exists() and self._path.stat().st_size == self._size):
                self._allocate()
        except OSError:
            return False
        return True

    def _allocate(self) -> None:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(handle, 0)
            os.posix_fallocate(handle, 0, self._size)
        except OSError:
            self._path.unlink()
            raise
        finally:
            os.close(handle)

    def give_up(self) -> None:
        """Let the disk have the bytes. Raises `StoreError`."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be removed: {error.strerror or error}") from error
