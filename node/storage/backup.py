"""Copies of a node's directory, made while it is written to, and put back.

A backup is a directory with `pages.db` and `state.db`, each as of one moment. The state is copied first, so that every
root in it has its pages in the copy; no garbage is collected meanwhile (`COPY_FILE`). A copy is checked before it has
its name: every page against its CID, and every root that is kept for all its pages. Views are not copied.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.client.database import PAGES, Database, make_directory, sync_directory
from dkg.errors import StoreError
from node.storage.check import check_node
from node.storage.lock import COPY_FILE, FileLock
from node.storage.state import STATE
from node.storage.store import NodeStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from dkg.client.database import Kind
    from node.storage.check import NodeChecked

    Progress = Callable[[str, int, int], None]

_STEP_PAGES: Final = 256  # of the database, copied between two calls of `progress`


class Copied(NamedTuple):
    """What was copied, and found in the copy."""

    bytes: int
    roots: int
    pages: int


def backup(directory: Path, to: Path, *, progress: Progress | None = None) -> Copied:
    """Copy a node's directory to a new one, `to`. In any process, beside the one that writes.

    `progress` is told what is done, how much of it was, and of how much. Raises `StoreError`: `to` is there already,
    garbage is being removed just now, or the copy is not as it should be; nothing is left at `to` then.
    """
    return _copy(directory, to, _still(directory), progress or _silent)


def restore(source: Path, to: Path, *, progress: Progress | None = None) -> Copied:
    """Make a node's directory from a backup. `to` must not be there, or be empty. Raises `StoreError`."""
    return _copy(source, to, nullcontext(), progress or _silent)


@contextmanager
def _still(directory: Path) -> Iterator[None]:
    """No garbage is removed from a node's directory while the block runs."""
    with FileLock(directory / COPY_FILE).held(shared=True) as still:
        if not still:
            raise StoreError(f"garbage is being collected in {directory}: try again in a moment")
        yield


def _silent(_what: str, _done: int, _total: int) -> None:
    pass


def _copy(source: Path, to: Path, still: AbstractContextManager[None], progress: Progress) -> Copied:
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise StoreError(f"{to} is there already, and nothing is ever written over: name a directory that is new")
    beside = to.with_name(f".{to.name}.{os.getpid()}.partial")
    make_directory(to.parent, "backup")
    try:
        make_directory(beside, "backup")
        with still:
            for kind in (STATE, PAGES):
                _copy_database(source, beside, kind, progress)
        checked = _require_whole(beside, progress)
        size = sum(path.stat().st_size for path in beside.iterdir())
        sync_directory(beside)
        if to.exists():
            to.rmdir()
        beside.rename(to)
        sync_directory(to.parent)
    except OSError as error:
        raise StoreError(f"cannot copy {source} to {to}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Copied(size, checked.roots, checked.pages)


def _copy_database(source: Path, beside: Path, kind: Kind, progress: Progress) -> None:
    original = Database(source, read_only=True, kind=kind)
    with closing(original):
        try:
            with closing(sqlite3.connect(beside / kind.file, isolation_level=None)) as copy:
                # One moment, for as long as it takes: a writer goes on beside it, and it never begins anew.
                original.connection.execute("BEGIN")
                original.pragma("user_version")
                original.connection.backup(
                    copy,
                    pages=_STEP_PAGES,
                    progress=lambda _status, left, total: progress(f"copying {kind.file}", total - left, total),
                )
                original.connection.execute("COMMIT")
                copy.execute("PRAGMA journal_mode=DELETE")  # the copy is one file
        except sqlite3.Error as error:
            raise StoreError(f"cannot copy {original.file} to {beside}: {error}") from error


def _require_whole(beside: Path, progress: Progress) -> NodeChecked:
    with NodeStore(beside, read_only=True) as store:
        checked = check_node(store, derive="none", progress=progress)
    if checked.problems:
        raise StoreError(f"the copy is not whole, and was not kept: {checked.problems[0]}")
    return checked
