"""Room for the bytes that are held for clients: bodies that arrive, and long answers on their way out.

One client has half of it at most, so that nobody can take all.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from node.http.problems import Code, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_RETRY_SECONDS: Final = 5


class Room:
    """Room for so many bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._of: dict[str, int] = {}

    @property
    def held(self) -> int:
        """Bytes that are held."""
        return self._held

    @contextmanager
    def share(self, client: str) -> Iterator[Share]:
        """What a client holds while the block runs."""
        share = Share(self, client)
        try:
            yield share
        finally:
            share.release()

    def _take(self, client: str, size: int) -> None:
        own = self._of.get(client, 0) + size
        if own > self._most // 2 or self._held + size > self._most:
            raise Problem(
                Code.OVERLOADED, "too many bytes are held already: try again soon", retry_after_s=_RETRY_SECONDS
            )
        self._of[client] = own
        self._held += size

    def _give(self, client: str, size: int) -> None:
        self._held -= size
        left = self._of.get(client, 0) - size
        if left:
            self._of[client] = left
        else:
            self._of.pop(client, None)


class Share:
    """What one request holds."""

    def __init__(self, room: Room, client: str) -> None:
        self._room = room
        self._client = client
        self._size = 0

    def take(self, size: int) -> None:
        """Hold so many more bytes. Raises `Problem` if there is no room."""
        self._room._take(self._client, size)  # noqa: SLF001 - they are one
        self._size += size

    def release(self) -> None:
        """Hold none any more."""
        self._room._give(self._client, self._size)  # noqa: SLF001 - they are one
        self._size = 0
