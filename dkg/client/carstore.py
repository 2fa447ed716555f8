"""A CAR file as a page store: what `dkg export OUT.car` wrote, or a proof, read page by page.

Nothing is hashed here: whoever reads pages checks them against their CIDs (`dkg.pages`). Nothing can be written.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NoReturn, Self

from dkg.car import VARINT_BYTES_MAX, block_length, car_header
from dkg.errors import ProofError, StoreError
from dkg.page import CID_LENGTH, CID_PREFIX, PAGE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, KeysView
    from pathlib import Path
    from types import TracebackType

_ANY: Final = CID_PREFIX + bytes(32)
_HEADER: Final = car_header(_ANY)
_ROOT_AT: Final = _HEADER.index(_ANY)


class CarStore:
    """A `PageStore` that is read from a CAR file with one root. It remembers where pages are, not what is in them."""

    def __init__(self, path: Path | str) -> None:
        """Open a CAR file and find its blocks. Raises `StoreError` when it cannot be read or is none."""
        self._path = path
        try:
            self._file = open(path, "rb")  # noqa: PTH123, SIM115 - open as long as this lives
            try:
                self._size = os.fstat(self._file.fileno()).st_size
                self.root = self._read_root()
                """Binary CID of the dataset."""
                self._places = dict(self._blocks())
            except BaseException:
                self._file.close()
                raise
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
        except ProofError as error:
            raise StoreError(f"{path} is not a CAR file of pages: {error}") from error

    def get(self, cid: bytes) -> bytes | None:
        """See `PageStore.get`. Raises `StoreError` when the file can be read no more."""
        place = self._places.get(cid)
        if place is None:
            return None
        at, size = place
        try:
            return self._at(at, size)
        except OSError as error:
            raise StoreError(f"cannot read {self._path}: {error.strerror or error}") from error

    @property
    def cids(self) -> KeysView[bytes]:
        """Of the pages; good when the file is closed, too."""
        return self._places.keys()

    def put_many(self, pages: Iterable[tuple[bytes, bytes]]) -> NoReturn:
        """Raises `StoreError`: a CAR file is written whole (`dkg export`), and never added to."""
        del pages
        raise StoreError(f"{self._path} is a CAR file, which is only read; load it into a store, or export another")

    def __len__(self) -> int:
        return len(self._places)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _at(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        return self._file.read(size)

    def _read_root(self) -> bytes:
        start = self._at(0, len(_HEADER))
        root = start[_ROOT_AT : _ROOT_AT + CID_LENGTH]
        if not root.startswith(CID_PREFIX) or len(root) != CID_LENGTH or start != car_header(root):
            raise ProofError("it does not begin as one of version 1 with one root does")
        return root

    def _blocks(self) -> Iterable[tuple[bytes, tuple[int, int]]]:
        at = len(_HEADER)
        while at < self._size:
            begin = self._at(at, VARINT_BYTES_MAX + CID_LENGTH)
            size, skipped = block_length(begin, 0)
            cid = begin[skipped : skipped + CID_LENGTH]
            if not CID_LENGTH < size <= CID_LENGTH + PAGE_BYTES_MAX or at + skipped + size > self._size:
                raise ProofError(f"the block at byte {at} has an impossible length of {size} bytes")
            if not cid.startswith(CID_PREFIX):
                raise ProofError(f"the block at byte {at} is not named by the CID of a page")
            yield cid, (at + skipped + CID_LENGTH, size - CID_LENGTH)
            at += skipped + size
