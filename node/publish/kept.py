"""What goals share whose transactions are kept somewhere, so that they are resumed after a crash."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from node.publish.jobs import Attempt

ATTEMPTS_KEPT: Final = 16
"""Most transactions that are remembered for one goal."""


class Keeps(Protocol):
    """Where the transactions for one goal are kept."""

    def save(self, attempts: list[Attempt]) -> None:
        """Keep these, and no others."""


@dataclass(slots=True)
class KeptGoal:
    """All of `node.publish.sender.Goal` but `look`. `made`: the transactions so far, the oldest first."""

    kept: Keeps
    made: list[Attempt]

    def attempts(self) -> list[Attempt]:
        """See `Goal`."""
        return self.made

    def keep(self, attempt: Attempt) -> None:
        """See `Goal`."""
        self._save([*(one for one in self.made if one.hash != attempt.hash), attempt][-ATTEMPTS_KEPT:])

    def refuse(self, attempt: Attempt) -> None:
        """See `Goal`."""
        self._save([replace(one, refused=True) if one.hash == attempt.hash else one for one in self.made])

    def _save(self, attempts: list[Attempt]) -> None:
        self.kept.save(attempts)
        self.made = attempts

    def sent(self, attempt: Attempt) -> None:
        """See `Goal`."""

    def dropped(self, reason: str) -> None:
        """See `Goal`."""
