"""Sorted runs on disk, for datasets that do not fit in memory while they are sorted.

A run is a file that has no name any more: whatever ends this process, the space is free again. A batch of keys is
one zstd frame. Runs are read at positions of their own, so that forked processes can read one at the same time.
"""

from __future__ import annotations

import os
import sys
import tempfile
from typing import TYPE_CHECKING, Final, Self

from dkg.errors import StoreError

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, decompress
else:
    from backports.zstd import ZstdCompressor, decompress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import BinaryIO

_LEVEL: Final = 1


class FileSpill:
    """The `Spill` of the shell; runs can be read until it is closed.

    Its files lie in `directory`: the store's, or (None) the system's for such files.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory or tempfile.gettempdir()
        self._files: list[BinaryIO] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            file.close()

    def write(self, batches: Iterable[list[bytes]]) -> Iterable[list[bytes]]:
        """See `Spill.write`."""
        compressor = ZstdCompressor(level=_LEVEL)
        lengths: list[int] = []
        try:
            # Not buffered: `close` after a full disk has nothing left to write.
            file: BinaryIO = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115 - see `__exit__`
            self._files.append(file)
            for keys in batches:
                # Keys have no newlines: N-Triples escapes them, and order bytes are above 0x7F.
                block = compressor.compress(b"\n".join(keys), ZstdCompressor.FLUSH_FRAME)
                _write(file, block)
                lengths.append(len(block))
        except OSError as error:
            raise StoreError(
                f"cannot sort: {error.strerror} while writing to {self._directory}. Nothing was changed; "
                "free space and try again"
            ) from error
        return _FileRun(file, lengths)


def _write(file: BinaryIO, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]


class _FileRun:
    def __init__(self, file: BinaryIO, lengths: list[int]) -> None:
        self._file = file
        self._lengths = lengths

    def __iter__(self) -> Iterator[list[bytes]]:
        at = 0
        for length in self._lengths:
            block = os.pread(self._file.fileno(), length, at)
            yield decompress(block).split(b"\n")
            at += length
