"""How long to wait, for what, and what is said meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from dkg.client.anchored import PendingError, RollbackError, StaleError
from dkg.client.chainread import FinalityError, UnprovableError
from dkg.client.rpc import ChainError, RpcRefusedError
from dkg.errors import ProofError
from node.publish.errors import RevertedError

if TYPE_CHECKING:
    from dkg.client.rpc import Waiting

T = TypeVar("T")

Progress = Callable[[str, int, int], None]
"""Told what is waited for, and so many blocks of so many."""

FAULTS_MAX: Final = 12
"""Answers in a row that are wrong or refused before that is the error, some seconds after the first: a reorganisation
under way makes a few, and so does an endpoint that lags behind another."""

_GROWTH: Final = 1.6
_ALARMS: Final = (RollbackError, StaleError, FinalityError, PendingError, UnprovableError)


@dataclass(frozen=True, slots=True)
class Waits:
    """Limits of waiting, all in seconds."""

    poll_min_s: float = 0.02
    """The first wait between two looks; each is longer than the one before."""
    poll_max_s: float = 1.0
    """The longest."""
    look_s: float = 5.0
    """After so long the chain is read whatever the hints are: an endpoint may hide receipts and blocks."""
    patience_s: float = 600.0
    """How long without a new block before it is an error."""
    outage_s: float = 60.0
    """How long the endpoints may be down before it is an error."""
    lock_s: float = 10.0
    """How long to wait for another process that publishes from the same home."""


def silent(_text: str, _done: int, _wanted: int) -> None:
    """The `Progress` that tells nobody."""


class Pace:
    """Waits between looks: short at first, then longer, with jitter, so that many publishers do not ask in step."""

    def __init__(self, waits: Waits, waiting: Waiting) -> None:
        self.waits = waits
        self._waiting = waiting
        self._sleep = waiting.sleep or time.sleep
        self._next = waits.poll_min_s

    def now(self) -> float:
        """Seconds of a clock that only goes forward."""
        return self._waiting.clock()

    def reset(self) -> None:
        """Something happened: look often again."""
        self._next = self.waits.poll_min_s

    def pause(self) -> None:
        """Wait, each time a little longer."""
        self._sleep(self._next * (1 - self._waiting.random() / 4))
        self._next = min(self._next * _GROWTH, self.waits.poll_max_s)


class Patience:
    """Does again what the endpoints fail at: an outage is waited out, wrong answers are borne a few times.

    Alarms (a head that went back, a chain reorganised too deep) are raised at once.
    """

    def __init__(self, pace: Pace, progress: Progress) -> None:
        self._pace = pace
        self._progress = progress

    def __call__(self, work: Callable[[], T]) -> T:
        """What `work` gives. Raises what it raises in the end."""
        faults = 0
        down_since: float | None = None
        while True:
            try:
                return work()
            except _ALARMS:
                raise
            except (ProofError, RpcRefusedError, RevertedError) as error:
                faults += 1
                if faults >= FAULTS_MAX:
                    raise
                self._progress(f"{error}; trying again", 0, 0)
            except ChainError as error:
                now = self._pace.now()
                down_since = now if down_since is None else down_since
                if now - down_since >= self._pace.waits.outage_s:
                    raise
                self._progress(f"{error}; trying again", 0, 0)
            self._pace.pause()
