"""The transport of a node that has no peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.replication.errors import UnreachableError

if TYPE_CHECKING:
    from node.replication.transport import AnnouncementHandler, RequestHandler


class Nobody:
    """See `node.replication.transport.Transport`."""

    def peers(self) -> list[str]:
        """Nobody."""
        return []

    async def request(self, peer: str, message: bytes, *, timeout_s: float, bytes_max: int) -> bytes:
        """Raises `UnreachableError`."""
        del message, timeout_s, bytes_max
        raise UnreachableError(f"this node takes no part among peers, so {peer} is not reached")

    def announce(self, message: bytes) -> None:
        """Nobody hears it."""

    def on_request(self, handler: RequestHandler) -> None:
        """Nobody asks."""

    def on_announce(self, handler: AnnouncementHandler) -> None:
        """Nobody announces."""

    def penalise(self, peer: str, points: int, why: str) -> None:
        """Nobody misbehaves."""
