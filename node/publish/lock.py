"""One publisher at a time in a home: a lock on a file, which the system takes away when its process ends."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dkg.errors import StoreError
from node.publish.errors import HomeBusyError
from node.publish.waits import Pace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.client.rpc import Waiting
    from node.publish.waits import Progress, Waits

LOCK_FILE = "publish.lock"


@contextmanager
def home_lock(home: Path, waits: Waits, waiting: Waiting, progress: Progress) -> Iterator[None]:
    """Be the only publisher of a home for as long as the block runs.

    Waits `waits.lock_s` for another one, then raises `HomeBusyError`; `StoreError` if the file cannot be made.
    """
    path = home / LOCK_FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(f"{path} cannot be made: {error.strerror or error}") from error
    try:
        _take(handle, path, Pace(waits, waiting), progress)
        yield
    finally:
        os.close(handle)


def _take(handle: int, path: Path, pace: Pace, progress: Progress) -> None:
    start = pace.now()
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if pace.now() - start >= pace.waits.lock_s:
                raise HomeBusyError(
                    f"another process publishes from {path.parent}: publish again when it is done"
                ) from error
            progress(f"another process publishes from {path.parent}", 0, 0)
            pace.pause()
        except OSError as error:
            raise StoreError(f"{path} cannot be locked: {error.strerror or error}") from error
        else:
            return
