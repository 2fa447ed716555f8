"""Answers that are there as a whole, with header fields that are bytes already: nothing is encoded for each request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import Receive, Scope, Send

    from node.http.room import Room

    Fields = list[tuple[bytes, bytes]]
    """Names in lower case, and values."""

_NO_BODY = frozenset({204, 304})


class Whole(Response):
    """An answer. `fields`: all header fields but the length of the body."""

    def __init__(self, body: bytes, fields: Fields, status: int = 200) -> None:
        # `Response.__init__` would go through all fields once more.
        self.body = body
        self.status_code = status
        self.background = None
        self.raw_headers = fields if status in _NO_BODY else [*fields, (b"content-length", b"%d" % len(body))]


class Held(Whole):
    """A long answer, which takes its room until it is sent."""

    def __init__(self, body: bytes, fields: Fields, room: Room, client: str) -> None:
        super().__init__(body, fields)
        self._room = room
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises `Problem` if there is no room."""
        with self._room.share(self._client) as share:
            share.take(len(self.body))
            await super().__call__(scope, receive, send)


def encoded(headers: Mapping[str, str]) -> Fields:
    """Header fields as bytes."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def first_of(fields: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Header fields of a request by name, in lower case; the first of those that are there twice."""
    return dict(reversed(list(fields)))
