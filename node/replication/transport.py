"""How a node reaches others: what `node/peers` does over libp2p, and `tests/sim` in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    RequestHandler = Callable[[str, bytes], Awaitable[bytes]]
    """Answers a peer's request: peer, message, and the message to send back."""

    AnnouncementHandler = Callable[[str, bytes], None]
    """Told of an announcement: the peer that made it, and the message."""


class Transport(Protocol):
    """Peers, by identifiers that mean nothing but that two of them differ."""

    def peers(self) -> list[str]:
        """Those who can be asked now; not those who are shut out for what they did."""

    async def request(self, peer: str, message: bytes, *, timeout_s: float, bytes_max: int) -> bytes:
        """A peer's answer of at most `bytes_max` bytes.

        Raises `UnreachableError` when it does not come within `timeout_s`, `PeerError` when it is longer.
        """

    def announce(self, message: bytes) -> None:
        """Tell all who listen. It may never arrive, and nobody may rely on it."""

    def on_request(self, handler: RequestHandler) -> None:
        """Who answers requests."""

    def on_announce(self, handler: AnnouncementHandler) -> None:
        """Who is told of announcements."""

    def penalise(self, peer: str, points: int, why: str) -> None:
        """Remember that a peer misbehaved (`node.replication.ledger`): with enough points it is shut out."""


class Directory(Protocol):
    """Where it is written who has a dataset: Kademlia's provider records. Hints, like everything peers say."""

    async def provide(self, root: bytes) -> None:
        """Tell that this node has a dataset."""

    async def find(self, root: bytes) -> list[str]:
        """Peers that say that they have it, connected as far as that was possible."""
