"""A short form of each vector, so that a search among many computes little for most of them.

The short form is the vector's part along the `WIDTH` directions in which the vectors are longest (principal
components), one byte each. A search takes those with the best short forms and compares them whole. For 100,000 vectors
it is made in a fraction of a second, and adding or removing one touches no other. A graph of neighbours (usearch) finds
faster and was not taken: it keeps a second copy of each vector, and takes seconds to minutes to build (docs/adr/0010).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Bytes = NDArray[np.int8]
    Floats = NDArray[np.float32]
    Places = NDArray[np.int64]

WIDTH: Final = 96
"""Bytes of a short form; all dimensions where there are fewer."""
WHOLE_MIN: Final = 1000
"""Vectors that a search compares whole, at least."""
WHOLE_SHARE: Final = 200
"""One vector of this many is compared whole."""
BLOCK_ROWS: Final = 2048
"""Rows that are floats at one time: they stay in the processor's cache."""

_LEVELS: Final = 127
_SAMPLE_ROWS: Final = 20_000
_GROWTH: Final = 2
"""The directions are out of date when there are this many times more vectors than when they were found, or fewer."""


class Sketch:
    """Short forms of rows, and the directions that they are along."""

    def __init__(self, directions: Floats, steps: Floats, rows: Bytes, made_of: int) -> None:
        self.directions = directions
        """Of shape (dimension, width)."""
        self.steps = steps
        """What one level of a byte is worth, by direction."""
        self.rows = rows
        """A short form for each row; there may be room for more."""
        self.made_of = made_of
        """How many rows there were when the directions were found."""

    @classmethod
    def of(cls, count: int, floats: Callable[[slice | Places], Floats]) -> Sketch:
        """Short forms of `count` rows that `floats` gives; the directions are those of evenly spaced ones."""
        sample = floats(np.linspace(0, count - 1, min(count, _SAMPLE_ROWS)).astype(np.int64))
        _, vectors = np.linalg.eigh(sample.T @ sample)  # ordered by weight, the least first
        directions = np.ascontiguousarray(vectors[:, ::-1][:, :WIDTH], dtype=np.float32)
        most = np.abs(sample @ directions).max(axis=0)
        steps = np.where(most > 0, most, 1).astype(np.float32) / np.float32(_LEVELS)
        made = cls(directions, steps, np.empty((count, len(steps)), dtype=np.int8), count)
        for start in range(0, count, BLOCK_ROWS):
            made.put(start, floats(slice(start, min(start + BLOCK_ROWS, count))))
        return made

    def out_of_date(self, count: int) -> bool:
        """Whether there are so many or so few rows now that the directions should be found again."""
        return not self.made_of / _GROWTH <= count <= self.made_of * _GROWTH

    def put(self, place: int, rows: Floats) -> None:
        """Keep the short forms of rows that stand from `place` on."""
        end = place + len(rows)
        if end > len(self.rows):
            grown = np.empty((max(end, len(self.rows) * 3 // 2), self.rows.shape[1]), dtype=np.int8)
            grown[:place] = self.rows[:place]
            self.rows = grown
        levels = np.rint(rows @ self.directions / self.steps)
        self.rows[place:end] = np.clip(levels, -_LEVELS, _LEVELS)

    def near(self, row: Floats, count: int, k: int, permitted: Places | None) -> Places:
        """Which of the first `count` rows to compare whole, to find the `k` that are most like `row`."""
        scores = products(self.rows[:count], (row @ self.directions) * self.steps, permitted)
        most = max(WHOLE_MIN, k, len(scores) // WHOLE_SHARE)
        if len(scores) > most:
            best = np.argpartition(-scores, most - 1)[:most]
            return best if permitted is None else permitted[best]
        return np.arange(count) if permitted is None else permitted


def products(rows: Bytes, row: Floats, places: Places | None) -> Floats:
    """The product of `row` with each of `rows`, or with those at `places`, in float32."""
    count = len(rows) if places is None else len(places)
    found = np.empty(count, dtype=np.float32)
    block = np.empty((min(count, BLOCK_ROWS), rows.shape[1]), dtype=np.float32)
    for start in range(0, count, BLOCK_ROWS):
        part = slice(start, min(start + BLOCK_ROWS, count))
        floats = block[: part.stop - start]
        np.copyto(floats, rows[part] if places is None else rows[places[part]])
        np.dot(floats, row, out=found[part])
    return found
