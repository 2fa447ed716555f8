"""What is remembered of a peer for as long as it is connected: for people who look at who is there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Contact:
    """A connected peer. Times in Unix seconds, bytes of messages."""

    inbound: bool
    """Whether the peer made the connection."""
    remote: tuple[str, int]
    since: float
    last_seen: float
    sent: int = 0
    received: int = 0

    def came(self, size: int, at: float) -> None:
        """Something came from it."""
        self.received += size
        self.last_seen = at
