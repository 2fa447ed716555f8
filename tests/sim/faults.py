"""What went wrong in histories, counted, and the least of it that CI must have seen: rows of the fault matrix.

A fault is counted when it took effect: an endpoint that was down counts when it was asked, a message that was lost when
somebody had sent it. `LEAST` is for `SEEDS` seeds; `require` asks for its share of as many as there were.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SEEDS = 200

LEAST = {
    "A2 crashes while waiting": 100,
    "A2 crashes while writing": 100,
    "A3 writes refused": 100,
    "B1 reorganisations": 64,
    "B2 commits dropped": 32,
    "B4 endpoint down": 60,
    "B4 endpoint lags": 60,
    "B5 endpoint lies": 60,
    "C1 altered": 100,
    "C2 omitted": 40,
    "C2 withheld": 20,
    "C3 stale heads": 200,
    "C7 equivocations": 100,
    "C9 stalls": 10,
    "C9 floods": 10,
    "G1 skewed clocks": 40,
    "G3 partitions": 200,
    "G3 cut one way": 200,
    "G3 lost": 2_000,
    "G3 doubled": 2_000,
    "G3 late": 2_000,
}
"""How often, by row and kind. Other tests do C1 and C2 2,000 times each (tests/node/replication/test_replicate.py)."""


class Faults(Counter[str]):
    """How often what went wrong."""

    def add(self, name: str, times: int = 1) -> None:
        """It went wrong."""
        assert name in LEAST, name
        self[name] += times

    def require(self, seeds: int) -> None:
        """Raise `AssertionError` if there was less than the share of so many seeds."""
        few = {name: (self[name], least * seeds / SEEDS) for name, least in LEAST.items()}
        too_few = {name: both for name, both in few.items() if both[0] < both[1]}
        assert not too_few, f"too few faults in {seeds} seeds, had and wanted: {too_few}"

    @classmethod
    def sum(cls, many: Iterable[Faults]) -> Faults:
        """All together."""
        made = cls()
        for one in many:
            made.update(one)
        return made
