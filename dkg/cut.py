"""Where a sorted sequence is cut into pages (docs/formats.md, section 4).

Every entry has a hash. An entry starts a page if and only if it has the smallest hash, leftmost among equals,
of some window of `w` consecutive entries of its level. These are the *minimizers* of winnowing (Schleimer,
Wilkerson, Aiken: "Winnowing", SIGMOD 2003). What follows from the definition alone, whoever picks the keys:

- a set has one cut, whatever the order of insertion;
- a page holds 1 to `w` entries, (w + 1) / 2 on average;
- adding or removing an entry changes the cut only within w - 1 entries of it, so that one update rewrites at
  most 2 w pages of a level, plus what the level below changed: not even an adversary can force more.

Leaves hash with CRC-32, which C computes fast: an adversary gains nothing by steering it, as the bounds above do
not depend on it. Inner levels hash with SHA-256 of level and separator, so that steering one level at great
cost does nothing for the next, and trees stay shallow (`docs/adr/0002-cuts.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Shape:
    """Window sizes, in entries. `leaf_window` for keys, `inner_window` for children."""

    leaf_window: int = 40
    inner_window: int = 8

    def window(self, level: int) -> int:
        """The window of a level; leaves are level 0."""
        return self.inner_window if level else self.leaf_window


FORMAT_1: Final = Shape()
"""The shape of format 1. Others exist to measure the page-size curve (`scripts/bench`)."""

LEVELS_MAX: Final = 32
"""Most levels of a tree. 10^15 keys need about 22; more means an adversary, at a cost that grows with each level."""


def entry_hashes(level: int, keys: Sequence[bytes]) -> list[int]:
    """The hash of each entry of a level: of its key at level 0, of its separator above."""
    if level == 0:
        return list(map(crc32, keys))
    salt = bytes([level])
    return [int.from_bytes(sha256(salt + key).digest()[:8], "big") for key in keys]


class Cutter:
    """Finds the cuts of a level from left to right, in bounded memory.

    `feed` takes hashes as they come; `cuts` holds the positions, from 0 at the first entry fed, that start a
    page and are final. Position 0 starts a page in any case and is listed only when it is a minimizer.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self.cuts: list[int] = []
        self._hashes: list[int] = []  # from position self._base on
        self._base = 0
        self._least = -1  # position in self._hashes of the current window's minimum, -1 before the first window
        self._end = 0  # where the current window ends in self._hashes, exclusive

    def feed(self, hashes: list[int], *, last: bool = False) -> None:
        """Take the hashes of the next entries; `last` says that no more follow."""
        own = self._hashes
        own.extend(hashes)
        size, window = len(own), self.window
        if self._least < 0:
            if size < window:
                return
            self._choose(own.index(min(own[:window])), window)
        least, end = self._least, self._end
        while True:
            limit = least + window
            if limit >= size and not last:
                break
            rest = own[end:limit]
            bound = own[least]
            if rest and min(rest) < bound:
                least = next(i for i, value in enumerate(rest, end) if value < bound)
                end = least + 1
            elif limit >= size:
                break
            else:
                end = limit + 1
                least = own.index(min(own[least + 1 : end]), least + 1)
            self.cuts.append(self._base + least)
        self._forget(least, end)

    def _choose(self, least: int, end: int) -> None:
        self._least, self._end = least, end
        self.cuts.append(self._base + least)

    def _forget(self, least: int, end: int) -> None:
        del self._hashes[:least]
        self._base += least
        self._least, self._end = 0, end - least


def find_cuts(hashes: list[int], window: int) -> list[int]:
    """All positions after the first that start a page, for a whole level at once."""
    cutter = Cutter(window)
    cutter.feed(hashes, last=True)
    return [cut for cut in cutter.cuts if cut]


def separator(left: bytes, right: bytes) -> bytes:
    """The shortest byte string s with left < s <= right, which is a prefix of `right`."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return right[: low + 1]
