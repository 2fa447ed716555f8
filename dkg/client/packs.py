"""Packs: a few neighbouring pages compressed as one, which is how the store on disk keeps them.

Pages of one tree repeat each other's components, and inside a leaf most components stand in the key before too.
So a leaf of quads goes into a pack without what it repeats, and up to `PAGES_MAX` pages are one zstd frame, with
a dictionary that the store trains on its own first pages. Hashes are over the pages: a pack is how they are kept,
and says nothing that is not checked again when a page is read.

A pack is, before compression: one byte, how many pages; for each page a 32-bit number, little-endian, of the bytes
of its section, twice, plus one if the section is a leaf of quads; then the sections. Such a leaf's section is its
components in order, joined by 0x00, each that is equal to the one four before it left empty. Any other section is
the page as it is.
"""

from __future__ import annotations

import struct
import sys
from itertools import accumulate, pairwise, repeat
from typing import TYPE_CHECKING, Final

import libipld

from dkg.errors import StoreError
from dkg.page import PAGE_BYTES_MAX, Leaf, Page

if sys.version_info >= (3, 14):
    from compression.zstd import CompressionParameter, ZstdCompressor, ZstdDict, ZstdError
    from compression.zstd import decompress, get_frame_info, train_dict
else:
    from backports.zstd import CompressionParameter, ZstdCompressor, ZstdDict, ZstdError
    from backports.zstd import decompress, get_frame_info, train_dict

PAGES_MAX: Final = 8
"""Most pages of a pack: more compress better, fewer are read faster."""

PACK_BYTES_MAX: Final = 256 * 1024
"""Bytes of sections after which no page joins a pack."""

LEVEL: Final = 6
DICTIONARY_BYTES: Final = 112 * 1024

_LENGTHS: Final = [struct.Struct(f"<B{count}I") for count in range(PAGES_MAX + 1)]


def section_of(page: Page, raw: bytes) -> tuple[bytes, bool]:
    """What a pack keeps of a page, and whether that is a leaf of quads without its repetitions."""
    if type(page) is not Leaf or not page.keys:
        return raw, False
    keys = page.keys
    if list(map(bytes.count, keys, repeat(b"\0"))) != [4] * len(keys) or not all(
        map(bytes.endswith, keys, repeat(b"\0"))
    ):
        return raw, False
    parts = b"".join(keys).split(b"\0")
    parts.pop()
    if b"" in parts:
        return raw, False
    return b"\0".join(parts[:4] + ["" if a == b else a for a, b in zip(parts[4:], parts)]), True
