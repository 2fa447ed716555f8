"""Whether something grows: a line through samples of a process, with the error of its slope, and what it means.

Samples follow each other, and each is much like the one before; a line through all of them would look surer than it is.
So they are first averaged over a minute each. A run may be in slices, each with processes of its own: the slope is
common to all, the level is each slice's own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WARM_UP_S: Final = 300.0
"""Samples of each slice's first seconds do not count: caches fill, and processes are started."""

BLOCK_S: Final = 60.0
"""What is averaged, in seconds."""

ERRORS: Final = 2.0
"""Standard errors on both sides that make the interval, of about 95 %."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one process. `at_s`: seconds since its slice began."""

    slice: int
    at_s: float
    value: float


@dataclass(frozen=True, slots=True)
class Line:
    """What was found. Slopes are per hour; `error`: the standard error of `slope`, infinite for two blocks."""

    slope: float
    error: float
    first: float
    last: float
    highest: float
    blocks: int

    def verdict(self, bound: float) -> str:
        """`flat`: surely at most the bound; `grows`: surely more; else the run was too short to tell."""
        if self.slope + ERRORS * self.error <= bound:
            return "flat"
        return "grows" if self.slope - ERRORS * self.error > bound else "within error"


def fit(samples: Iterable[Sample], warm_up_s: float = WARM_UP_S) -> Line | None:
    """The line through samples, or None where none are left after warming up."""
    blocks: defaultdict[tuple[int, int], list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.at_s >= warm_up_s:
            blocks[sample.slice, int(sample.at_s // BLOCK_S)].append(sample)
    if not blocks:
        return None
    points = [
        (number, fmean(one.at_s for one in held) / 3600, fmean(one.value for one in held))
        for (number, _), held in sorted(blocks.items())
    ]
    values = [value for _, _, value in points]
    slope, error = _slope(points)
    highest = max(one.value for held in blocks.values() for one in held)
    return Line(slope, error, values[0], values[-1], highest, len(points))


def _slope(points: Sequence[tuple[int, float, float]]) -> tuple[float, float]:
    """Least squares with a level for each slice, and the standard error."""
    levels = {
        number: (fmean(x for n, x, _ in points if n == number), fmean(y for n, _, y in points if n == number))
        for number in {number for number, _, _ in points}
    }
    centred = [(x - levels[n][0], y - levels[n][1]) for n, x, y in points]
    spread = sum(x * x for x, _ in centred)
    free = len(points) - len(levels) - 1
    if not spread or free < 1:
        return 0.0, math.inf
    slope = sum(x * y for x, y in centred) / spread
    rest = sum((y - slope * x) ** 2 for x, y in centred)
    return slope, math.sqrt(rest / free / spread)
