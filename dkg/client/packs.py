"""Packs: a few neighbouring pages compressed as one, which is how the store on disk keeps them.

Pages of one tree repeat each other's components, so up to `PAGES_MAX` of them are one zstd frame, with a dictionary
that the store trains on pages of its own. This is only how pages are kept: hashes are over the pages, and every page
is checked against its CID when it is read.

A pack before compression: one byte, how many pages; for each the number of its bytes, 32 bits, little-endian; then
the pages.
"""

from __future__ import annotations

import struct
import sys
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from dkg.errors import StoreError
from dkg.page import PAGE_BYTES_MAX

if sys.version_info >= (3, 14):
    from compression.zstd import (
        CompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdDict,
        ZstdError,
        train_dict,
    )
else:
    from backports.zstd import (
        CompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdDict,
        ZstdError,
        train_dict,
    )

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGES_MAX: Final = 8
"""Most pages of a pack: more compress better, fewer are read faster."""

PACK_BYTES_MAX: Final = 128 * 1024
"""Bytes of pages from which on no page joins a pack."""

DICTIONARY_BYTES: Final = 32 * 1024

DICTIONARY_SAMPLES: Final = 256
"""Fewest pages that a dictionary is trained with: fewer say too little about what follows."""

_LEVEL: Final = 1
_UNPACKED_BYTES_MAX: Final = PACK_BYTES_MAX + PAGE_BYTES_MAX + 1 + 4 * PAGES_MAX
_LENGTHS: Final = [struct.Struct(f"<B{count}I") for count in range(PAGES_MAX + 1)]


def dictionary_of(data: bytes) -> ZstdDict:
    """A dictionary that `train` made. Raises `StoreError` when it is damaged."""
    try:
        return ZstdDict(data)
    except (ValueError, ZstdError) as error:
        raise StoreError(f"a dictionary in the store is damaged ({error}); no pack of it can be read") from error


class Packer:
    """Compresses packs with one dictionary (none when it is empty)."""

    def __init__(self, dictionary: bytes) -> None:
        self._compressor = ZstdCompressor(
            options={CompressionParameter.compression_level: _LEVEL, CompressionParameter.dict_id_flag: 0},
            zstd_dict=dictionary_of(dictionary) if dictionary else None,
        )

    def pack(self, pages: list[bytes]) -> bytes:
        """One pack of up to `PAGES_MAX` pages."""
        content = _LENGTHS[len(pages)].pack(len(pages), *map(len, pages)) + b"".join(pages)
        return self._compressor.compress(content, ZstdCompressor.FLUSH_FRAME)


class Pack:
    """The pages of a pack, from its bytes on disk. Raises `StoreError` when they are damaged."""

    __slots__ = ("_content", "_starts")

    def __init__(self, data: bytes, dictionary: ZstdDict | None) -> None:
        decompressor = ZstdDecompressor(zstd_dict=dictionary)
        try:
            content = decompressor.decompress(data, max_length=_UNPACKED_BYTES_MAX)
            if not decompressor.eof or decompressor.unused_data:
                raise StoreError("a pack in the store is not one frame, or a frame that is too long")
            count, *lengths = _LENGTHS[content[0]].unpack_from(content)
        except (ZstdError, IndexError, struct.error) as error:
            raise StoreError(f"a pack in the store is damaged ({error}); `dkg fsck` tells what hangs on it") from error
        self._content = content
        self._starts = list(accumulate(lengths, initial=1 + 4 * count))

    @property
    def count(self) -> int:
        """How many pages there are in it."""
        return len(self._starts) - 1

    def page(self, slot: int) -> bytes:
        """The page in a slot, from 0. Raises `StoreError` when there is none."""
        if slot >= self.count:
            raise StoreError("the index of the store points past a pack; `dkg fsck` tells what hangs on it")
        return self._content[self._starts[slot] : self._starts[slot + 1]]


def train(pages: Iterable[bytes]) -> bytes:
    """A dictionary for packs of pages like these; empty when they are too few, or too much alike, to train one."""
    samples = [page for page in pages if len(page) <= PACK_BYTES_MAX]
    if len(samples) < DICTIONARY_SAMPLES:
        return b""
    try:
        return train_dict(samples, DICTIONARY_BYTES).dict_content
    except ZstdError:
        return b""
