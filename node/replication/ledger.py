"""Penalties: points for what a peer did, which fade. Who has too many is shut out until they have faded."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final, NamedTuple

REASONS_MAX: Final = 5
"""Penalties of a peer of which the reasons are remembered: the newest."""

WHY_CHARACTERS_MAX: Final = 200
"""Longest reason that is remembered; the rest is cut off: peers have a say in it."""

SHUT_OUT_AT: Final = 100.0
"""Points from which on a peer is shut out."""

LET_IN_AT: Final = 50.0
"""Points below which it is let in again."""

HALF_LIFE_S: Final = 600.0
"""Time in which points fade to half, in seconds."""

REMEMBERED_MAX: Final = 4_096
"""Most peers whose points are remembered; those that were penalised longest ago are forgotten first."""

LIE: Final = 60
"""Points for bytes that are not what was asked for."""

BROKEN: Final = 40
"""Points for a message that breaks the protocol."""

NOISE: Final = 5
"""Points for announcements of another network."""

STALL: Final = 1
"""Points for an answer that did not come: so few that one who is merely out of reach is never shut out."""


class Penalised(NamedTuple):
    """A penalty: when, how many points, what for."""

    at: float
    points: int
    why: str


class Ledger:
    """The points of all peers. Times are seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._points: OrderedDict[str, tuple[float, float]] = OrderedDict()  # points, and when they were counted
        self._reasons: dict[str, deque[Penalised]] = {}
        self._out: set[str] = set()

    def points(self, peer: str, now: float) -> float:
        """The points that a peer has now."""
        points, since = self._points.get(peer, (0.0, now))
        return float(points * 0.5 ** (max(0.0, now - since) / HALF_LIFE_S))

    def reasons(self, peer: str) -> list[Penalised]:
        """The newest penalties of a peer, the oldest of them first."""
        return list(self._reasons.get(peer, ()))

    def penalise(self, peer: str, points: int, now: float, why: str = "") -> bool:
        """Count points against a peer; whether it is shut out by these."""
        total = self.points(peer, now) + points
        self._points[peer] = total, now
        self._points.move_to_end(peer)
        if len(self._points) > REMEMBERED_MAX:
            gone, _ = self._points.popitem(last=False)
            self._reasons.pop(gone, None)
            self._out.discard(gone)
        reasons = self._reasons.setdefault(peer, deque(maxlen=REASONS_MAX))
        reasons.append(Penalised(now, points, why[:WHY_CHARACTERS_MAX]))
        if total < SHUT_OUT_AT or peer in self._out:
            return False
        self._out.add(peer)
        return True

    def is_out(self, peer: str, now: float) -> bool:
        """Whether a peer is shut out."""
        if peer in self._out and self.points(peer, now) < LET_IN_AT:
            self._out.discard(peer)
        return peer in self._out
