"""What replication needs to know of the chain and of what is kept here: small protocols, for others to fulfil."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from node.replication.serve import HeldHeads

if TYPE_CHECKING:
    from node.replication.messages import Anchored


class Chain(Protocol):
    """What the registry's log says. Reads memory only: it is called between any two steps."""

    def wanted(self) -> list[Anchored]:
        """The commit that each followed publisher's dataset should be at now."""

    def confirms(self, head: Anchored) -> bool:
        """Whether the log has exactly this commit."""


class Heads(HeldHeads, Protocol):
    """The heads that are held here, on disk."""

    def held(self, publisher: bytes) -> Anchored | None:
        """The commit whose dataset is here as a whole; None if there is none."""

    def accept(self, head: Anchored) -> None:
        """Make this the publisher's head: all its pages are stored. Durable when it returns."""

    def refuse(self, head: Anchored, why: str) -> None:
        """Remember, and report, that a commit's dataset is malformed: it is not to be fetched again."""

    def refused(self, head: Anchored) -> bool:
        """Whether it was refused before."""
