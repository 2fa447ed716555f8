"""What was committed that nodes do not keep: the pages of spog of such commits, for as long as they may count.

A dataset that is refused (its indexes disagree, it holds what is no quad, it is cut otherwise), or one of long ago, is
none of the datasets that a node keeps. But checkpoints are about what its spog says. So the pages of its spog are kept
in a file of their own, a CAR, from the moment on when all of them have been looked at and none is wrong.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from dkg.car import car_blocks, car_header
from dkg.client.carstore import CarStore
from dkg.client.database import make_directory, sync_directory
from dkg.errors import StoreError
from dkg.page import cid_bytes, cid_of, cid_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

ODD: Final = "odd"
"""The directory, below that of checkpoints."""

FILES_MAX: Final = 32
"""Most files that are open: anybody can commit what nodes do not keep, and a process may open so many only."""

_END: Final = ".car"
_PART: Final = ".part"


class OddCommits:
    """The files of one directory, by the CID of the dataset. For one thread at a time."""

    def __init__(self, directory: Path) -> None:
        """`directory`: made when there is something to keep. What an earlier run left half done is thrown away."""
        self.directory = directory / ODD
        self._open: dict[bytes, CarStore] = {}
        self._cids: dict[bytes, Collection[bytes]] = {}
        for path in self.directory.glob(f"*{_PART}"):
            path.unlink(missing_ok=True)
        self.roots: set[bytes] = set()
        """The datasets of which the pages are here."""
        for path in self.directory.glob(f"*{_END}"):
            with suppress(ValueError):  # a file of somebody else's
                self.roots.add(cid_bytes(path.stem))

    def close(self) -> None:
        """Close the files that are open."""
        for store in self._open.values():
            store.close()
        self._open.clear()

    def has(self, root: bytes) -> bool:
        """Whether the pages of a dataset's spog are here, all that it has."""
        return root in self.roots

    def get(self, root: bytes, cid: bytes) -> bytes | None:
        """A page of a dataset's spog, that hashes to its CID. Raises `StoreError`; a damaged file is thrown away."""
        if not self.has(root):
            return None
        try:
            raw = self._opened(root).get(cid) if cid in self._listed(root) else None
        except StoreError as error:
            if not isinstance(error.__cause__, OSError):  # else it may be read the next time
                self._drop(root)
            raise
        if raw is not None and cid_of(raw) != cid:
            self._drop(root)  # its pages are fetched again
            raise StoreError(f"page {cid_text(cid)} in {self._path(root)} is damaged")
        return raw

    def page(self, cid: bytes) -> bytes | None:
        """A page, of whichever dataset."""
        for root in list(self.roots):
            with suppress(StoreError):  # the others are none the worse for one that is damaged
                raw = self.get(root, cid)
                if raw is not None:
                    return raw
        return None

    def keep(self, root: bytes, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep the pages of a dataset's spog, by CID, and its root page; durable when this returns.

        Raises `StoreError`. The root page is written last: it is what lacks in a file that was cut off at the end of a
        page. Of other pages nobody knows that they were there: long ones need not be.
        """
        make_directory(self.directory, "node's")
        path = self._path(root)
        part = path.with_suffix(_PART)
        try:
            with part.open("wb") as file:
                file.write(car_header(root))
                file.writelines(car_blocks(_root_last(root, pages)))
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
            sync_directory(self.directory)
            self.roots.add(root)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error

    def drop_all_but(self, wanted: Iterable[bytes]) -> None:
        """Forget the datasets that cannot count any more."""
        for root in self.roots - {*wanted}:
            self._drop(root)

    def _drop(self, root: bytes) -> None:
        store = self._open.pop(root, None)
        if store is not None:
            store.close()
        with suppress(OSError):  # it is found again when the node starts next
            self._path(root).unlink(missing_ok=True)
        self._cids.pop(root, None)
        self.roots.discard(root)

    def _listed(self, root: bytes) -> Collection[bytes]:
        """Which pages a dataset's file has; it need not be open."""
        if root not in self._cids:
            found = self._opened(root).cids
            if root not in found:
                raise StoreError(f"{self._path(root)} is cut off")
            self._cids[root] = found
        return self._cids[root]

    def _path(self, root: bytes) -> Path:
        return self.directory / f"{cid_text(root)}{_END}"

    def _opened(self, root: bytes) -> CarStore:
        store = self._open.get(root)
        if store is None:
            while len(self._open) >= FILES_MAX:
                self._open.pop(next(iter(self._open))).close()
            store = self._open[root] = CarStore(self._path(root))
        return store


def _root_last(root: bytes, pages: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    last = []
    for cid, raw in pages:
        if cid == root:
            last.append((cid, raw))
        else:
            yield cid, raw
    yield from last
