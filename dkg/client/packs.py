"""Packs: a few neighbouring pages compressed as one, which is how the store on disk keeps them.

Pages of one tree repeat each other's components, and in a leaf most components stand in the key before too. So a
leaf of quads goes into a pack without what it repeats, and up to `PAGES_MAX` pages are one zstd frame, with a
dictionary that the store trains on pages of its own. This is only how pages are kept: hashes are over the pages,
and every page is checked against its CID when it is read.

A pack before compression: one byte, how many pages; for each a 32-bit number, little-endian, twice the bytes of
its section, plus one if the section is a leaf of quads; then the sections. Such a section is the leaf's keys joined
by newlines, and, of what 0x00 separates in that, whatever equals the fourth before it left out. Any other section is
the page as it is.
"""

from __future__ import annotations

import struct
import sys
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import libipld

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

PAGES_MAX: Final = 16
"""Most pages of a pack: more compress better, fewer are read faster."""

PACK_BYTES_MAX: Final = 128 * 1024
"""Bytes of sections from which on no page joins a pack."""

DICTIONARY_BYTES: Final = 32 * 1024

DICTIONARY_SAMPLES: Final = 256
"""Fewest pages that a dictionary is trained with: fewer say too little about what follows."""

_LEVEL: Final = 1
_WIDTH: Final = 4
_UNPACKED_BYTES_MAX: Final = PACK_BYTES_MAX + PAGE_BYTES_MAX + 1 + 4 * PAGES_MAX
_LENGTHS: Final = [struct.Struct(f"<B{count}I") for count in range(PAGES_MAX + 1)]
_LEAF: Final = b"\xa1\x61k"  # DAG-CBOR of a map of one field, "k"


def section_of(raw: bytes) -> bytes:
    """What a pack keeps of a page, after one byte: 1 for a leaf without its repetitions, 0 for the page as it is."""
    if raw.startswith(_LEAF):
        try:
            keys = libipld.decode_dag_cbor(raw)["k"]
            text = b"\n".join(keys)
            # A leaf of quads passes: no key has a newline, no component is empty. Whatever passes can be undone.
            if text.count(b"\n") == len(keys) - 1 and libipld.encode_dag_cbor({"k": keys}) == raw:
                parts = text.split(b"\0")
                if len(parts) > _WIDTH and b"" not in parts[:-1]:
                    rest = [b"" if a == b else a for a, b in zip(parts[_WIDTH:], parts, strict=False)]
                    return b"\x01" + b"\0".join(parts[:_WIDTH] + rest)
        except (ValueError, TypeError, OverflowError, RecursionError):
            pass  # bytes that are no leaf are kept as they are
    return b"\0" + raw


def page_of_section(section: bytes, *, leaf: bool) -> bytes:
    """The page that a section keeps."""
    if not leaf:
        return section
    parts = section.split(b"\0")
    if len(section) * len(parts) > PAGE_BYTES_MAX and _size(parts) > PAGE_BYTES_MAX:
        raise StoreError("a pack holds a leaf that no release of dkg writes; `dkg fsck` tells what is damaged")
    last = len(parts) - 1
    for at, part in enumerate(parts):
        if not part and at != last:
            parts[at] = parts[at - _WIDTH]
    page: bytes = libipld.encode_dag_cbor({"k": b"\0".join(parts).split(b"\n")})
    return page


def _size(parts: list[bytes]) -> int:
    """Bytes of all components, written out."""
    lengths = [0] * _WIDTH
    total = 0
    for at, part in enumerate(parts):
        lengths[at % _WIDTH] = len(part) or lengths[at % _WIDTH]
        total += lengths[at % _WIDTH]
    return total


class Packer:
    """Compresses packs with one dictionary (none when it is empty)."""

    def __init__(self, dictionary: bytes) -> None:
        self._compressor = ZstdCompressor(
            options={CompressionParameter.compression_level: _LEVEL, CompressionParameter.dict_id_flag: 0},
            zstd_dict=ZstdDict(dictionary) if dictionary else None,
        )

    def pack(self, sections: list[bytes]) -> bytes:
        """One pack of what `section_of` gave for up to `PAGES_MAX` pages."""
        lengths = [2 * len(section) - 2 + section[0] for section in sections]
        content = _LENGTHS[len(sections)].pack(len(sections), *lengths) + b"".join([s[1:] for s in sections])
        return self._compressor.compress(content, ZstdCompressor.FLUSH_FRAME)


class Pack:
    """The sections of a pack, from its bytes on disk. Raises `StoreError` when they are damaged."""

    __slots__ = ("_content", "_lengths", "_starts")

    def __init__(self, data: bytes, dictionary: ZstdDict | None) -> None:
        decompressor = ZstdDecompressor(zstd_dict=dictionary)
        try:
            content = decompressor.decompress(data, max_length=_UNPACKED_BYTES_MAX)
            if not decompressor.eof or decompressor.unused_data:
                raise StoreError("a pack in the store is not one frame, or a frame that is too long")
            lengths = _LENGTHS[content[0]].unpack_from(content)[1:]
        except (ZstdError, IndexError, struct.error) as error:
            raise StoreError(f"a pack in the store is damaged ({error}); `dkg fsck` tells what hangs on it") from error
        self._content = content
        self._lengths = lengths
        self._starts = list(accumulate((length >> 1 for length in lengths), initial=1 + 4 * len(lengths)))

    @property
    def count(self) -> int:
        """How many pages there are in it."""
        return len(self._lengths)

    def page(self, slot: int) -> bytes:
        """The page in a slot, from 0. Raises `StoreError` when there is none."""
        if slot >= len(self._lengths):
            raise StoreError("the index of the store points past a pack; `dkg fsck` tells what hangs on it")
        section = self._content[self._starts[slot] : self._starts[slot + 1]]
        return page_of_section(section, leaf=bool(self._lengths[slot] & 1))

    def holds(self, slot: int, section: bytes) -> bool:
        """Whether a slot keeps the page of which `section_of` gave this."""
        if slot >= len(self._lengths) or self._lengths[slot] & 1 != section[0]:
            return False
        return self._content[self._starts[slot] : self._starts[slot + 1]] == section[1:]


def train(pages: Iterable[bytes]) -> bytes:
    """A dictionary for packs of pages like these; empty when they are too few, or too much alike, to train one."""
    samples = [section_of(page) for page in pages if len(page) <= PACK_BYTES_MAX]
    if len(samples) < DICTIONARY_SAMPLES:
        return b""
    try:
        return train_dict(samples, DICTIONARY_BYTES).dict_content
    except ZstdError:
        return b""
