"""Views: for a root, an Oxigraph store on disk that plain queries run on. Never the truth, and made again at will.

`views/<CID of the root>/` holds `store/`, the engine's files; `view.json`, written last, which says of which root and
which release it is, and how long the files are; and `lock`. A view is made in `views/.building/`, written through to
the disk, and then renamed, so one that is there is whole; and it never changes after that, so any number of processes
may read it. A view of a new root starts as a copy of another's files (hard links) with the difference applied.

What cannot be used (a file that is missing or damaged, another release's) is put away and made again: `Views.discard`.
Whoever reads holds `lock`, and a view that is held is not deleted.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import pyoxigraph as ox

from dkg.client.database import make_directory, sync_directory
from dkg.errors import StoreError
from dkg.page import FORMAT_VERSION, cid_bytes, cid_text
from dkg.pages import StoredPages
from node.storage.lock import FileLock
from node.storage.viewdata import ViewError, copy_and_change, difference, fill
from node.viewfiles import ENGINE_ERRORS, FILES, MARKER, files_of, marker_of, require_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from dkg.pages import Pages, PageStore

VIEW_VERSION: Final = 3
"""Of what a view holds; views of another version are made again."""

BYTES_PER_QUAD: Final = 500
"""What a view takes of the disk, about, for each quad."""

CHANGED_MAX: Final = 50_000
"""Most quads in which a root may differ from the one whose view is copied; beyond, building anew is as fast."""

_BUILDING: Final = ".building"
_GONE: Final = ".gone-"
_STORE: Final = "store"
_LOCK: Final = "lock"


class Views:
    """The views in a directory. Only one process at a time makes views there."""

    def __init__(self, directory: Path, store: PageStore, *, admit: Callable[[int], None] | None = None) -> None:
        """`store`: the pages. `admit`: asked before so many bytes are written; raises `FullError` to refuse."""
        self.directory = directory
        self._store = store
        self._admit = admit

    # What there is

    def path(self, root: bytes) -> Path | None:
        """The engine's directory of the view of a root; None if there is none that can be used. See `reading`."""
        home = self.directory / cid_text(root)
        return home / _STORE if _is_of(home, root) else None

    def roots(self) -> list[bytes]:
        """The roots that have a view, the one made last first."""
        found: list[tuple[float, bytes]] = []
        for name in self._names():
            with suppress(ValueError, FileNotFoundError):  # the name of something else, or it went just now
                root = cid_bytes(name)
                if self.path(root) is not None:
                    found.append(((self.directory / name).stat().st_mtime, root))
        return [root for _, root in sorted(found, reverse=True)]

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self.directory))  # noqa: PTH208 - names are all that is wanted
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{self.directory} cannot be read: {error.strerror}") from error

    # Making

    def ensure(self, root: bytes) -> Path:
        """The view of a root, made if it is not there; gives the engine's directory.

        It takes half a minute for a million quads, so not in the process that answers; and not in one that was forked
        from it, where the engine's threads are missing and it waits for ever. Raises `ViewError` when another process
        makes one just now, `FullError` when there is no room, and `StoreError`.
        """
        path = self.path(root)
        if path is not None:
            return path
        pages = StoredPages(self._store)
        pages.root(root)  # or there is nothing to make it of
        make_directory(self.directory, "views")
        with FileLock(self.directory / _LOCK).held() as alone:
            if not alone:
                raise ViewError(f"another process makes a view in {self.directory}: try again when it is done")
            self._tidy()
            building = self.directory / _BUILDING
            try:
                building.mkdir()
                self._make(building / _STORE, pages, root)
                return self._finish(building, root)
            except OSError as error:
                raise ViewError(f"a view cannot be made in {self.directory}: {error.strerror or error}") from error
            finally:
                shutil.rmtree(building, ignore_errors=True)

    def _make(self, path: Path, pages: Pages, root: bytes) -> None:
        """From the view made last, if it is near; else from nothing."""
        for old in self.roots()[:1]:
            try:
                change = difference(pages, old, root, CHANGED_MAX)
            except StoreError:  # they have little in common, or the pages of the older one are gone
                break
            self._require_room(len(change.gone) + len(change.come))
            try:
                copy_and_change(self.directory / cid_text(old) / _STORE, path, change)
            except ViewError:  # the older one is damaged
                shutil.rmtree(path, ignore_errors=True)
                self.discard(old)
                break
            return
        self._require_room(pages.root(root).count)
        fill(path, pages, root)

    def _require_room(self, quads: int) -> None:
        if self._admit is not None:
            self._admit(quads * BYTES_PER_QUAD)

    def _finish(self, building: Path, root: bytes) -> Path:
        (building / _LOCK).touch()
        marker = _wanted(root) | {FILES: files_of(building / _STORE)}
        (building / MARKER).write_text(json.dumps(marker), encoding="ascii")
        for folder, _, names in os.walk(building):
            for name in names:
                _sync(os.path.join(folder, name))  # noqa: PTH118 - as os.walk gives them
            sync_directory(building.__class__(folder))
        home = self.directory / cid_text(root)
        self.discard(root)  # one that could not be used
        building.rename(home)
        sync_directory(self.directory)
        return home / _STORE

    # Taking away

    def discard(self, root: bytes) -> None:
        """Put a view away that cannot be used. Whoever reads it can go on to the end."""
        self._put_away(self.directory / cid_text(root))

    def prune(self, wanted: Iterable[bytes]) -> list[bytes]:
        """Delete all views but those of some roots, and but those that somebody reads; gives what was deleted."""
        kept = set(wanted)
        gone: list[bytes] = []
        for name in self._names():
            try:
                root = cid_bytes(name)
            except ValueError:
                continue  # no view
            path = self.directory / name
            if root in kept and self.path(root) is not None:
                continue
            with FileLock(path / _LOCK).held() as alone:
                if alone:
                    self._put_away(path)
                    gone.append(root)
        return gone

    def _put_away(self, path: Path) -> None:
        aside = path.with_name(_GONE + path.name)
        shutil.rmtree(aside, ignore_errors=True)
        try:
            path.rename(aside)
        except FileNotFoundError:
            return
        except OSError as error:
            raise ViewError(f"the view in {path} cannot be put away: {error.strerror}") from error
        shutil.rmtree(aside, ignore_errors=True)

    def _tidy(self) -> None:
        """Delete what processes left that ended early. Nobody makes a view meanwhile."""
        for name in self._names():
            if name == _BUILDING or name.startswith(_GONE):
                shutil.rmtree(self.directory / name, ignore_errors=True)


@contextmanager
def reading(directory: Path, root: bytes) -> Iterator[Path]:
    """The engine's directory of the view of a root, which is not deleted while the block runs. In any process.

    `directory`: the one of `Views`. Raises `ViewError` when there is no view of it that can be used.
    """
    home = directory / cid_text(root)
    lock = FileLock(home / _LOCK)
    if not lock.path.exists() or not lock.take(shared=True):
        raise ViewError(f"there is no view of {cid_text(root)} in {directory}")
    try:
        if not _is_of(home, root):  # also when it was put away while the lock was taken
            raise ViewError(f"there is no view of {cid_text(root)} in {directory} that this release can use")
        yield home / _STORE
    finally:
        lock.release()


@contextmanager
def open_view(directory: Path, root: bytes) -> Iterator[ox.Store]:
    """The view of a root, open to be read while the block runs.

    Raises what `reading` does, and `ViewError` when it is damaged. Damage may show only in a query, which then raises
    one of `ENGINE_ERRORS`.
    """
    with reading(directory, root) as path:
        try:
            require_whole(path)
            store = ox.Store.read_only(str(path))
        except (*ENGINE_ERRORS, StoreError) as error:
            raise ViewError(f"the view of {cid_text(root)} in {directory} is damaged: {error}") from error
        yield store


def _wanted(root: bytes) -> dict[str, Any]:
    """What the marker of a view of this root and this release says."""
    return {"v": VIEW_VERSION, "root": cid_text(root), "format": FORMAT_VERSION, "engine": ox.__version__}


def _is_of(home: Path, root: bytes) -> bool:
    """Whether a view is there, of this root and this release."""
    marker = marker_of(home)
    marker.pop(FILES, None)
    return marker == _wanted(root)


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
