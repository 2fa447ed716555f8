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
from dkg.page import cid_bytes, cid_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ODD: Final = "odd"
"""The directory, below that of checkpoints."""

_END: Final = ".car"
_PART: Final = ".part"


class OddCommits:
    """The files of one directory, by the CID of the dataset. For one thread at a time."""

    def __init__(self, directory: Path) -> None:
        """`directory`: made when there is something to keep. What an earlier run left half done is thrown away."""
        self.directory = directory / ODD
        self._open: dict[bytes, CarStore] = {}
        for path in self.directory.glob(f"*{_PART}"):
            path.unlink(missing_ok=True)
        self.roots = {cid_bytes(path.stem) for path in self.directory.glob(f"*{_END}")}
        """The datasets of which the pages are here."""

    def close(self) -> None:
        """Close the files that are open."""
        for store in self._open.values():
            store.close()
        self._open.clear()

    def has(self, root: bytes) -> bool:
        """Whether the pages of a dataset's spog are here, all that it has."""
        return root in self.roots

    def get(self, root: bytes, cid: bytes) -> bytes | None:
        """A page of a dataset's spog. Raises `StoreError`."""
        return self._opened(root).get(cid) if self.has(root) else None

    def page(self, cid: bytes) -> bytes | None:
        """A page, of whichever dataset. Raises `StoreError`."""
        for root in self.roots:
            raw = self._opened(root).get(cid)
            if raw is not None:
                return raw
        return None

    def keep(self, root: bytes, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep the pages of a dataset's spog, by CID; durable when this returns. Raises `StoreError`."""
        make_directory(self.directory, "node's")
        path = self._path(root)
        part = path.with_suffix(_PART)
        try:
            with part.open("wb") as file:
                file.write(car_header(root))
                file.writelines(car_blocks(pages))
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
            store = self._open.pop(root, None)
            if store is not None:
                store.close()
            with suppress(OSError):  # it is found again when the node starts next
                self._path(root).unlink(missing_ok=True)
            self.roots.discard(root)

    def _path(self, root: bytes) -> Path:
        return self.directory / f"{cid_text(root)}{_END}"

    def _opened(self, root: bytes) -> CarStore:
        store = self._open.get(root)
        if store is None:
            store = self._open[root] = CarStore(self._path(root))
        return store
