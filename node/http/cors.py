"""CORS (the Fetch standard): which pages of the web may have a browser ask this node. By default none.

Nothing is ever allowed with credentials of the browser's own, such as cookies: there are none here. With `*` no token
can be sent either; a page that is to send one is named by its origin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from node.http.moments import STATE_FIELDS
from node.http.settings import ANY

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Scope

    from node.http.settings import HttpSettings

SHOWN: Final = (
    *STATE_FIELDS, "DKG-Base", "DKG-Query", "DKG-Private", "DKG-Private-Count", "DKG-Opening", "DKG-Commitment",
    "ETag", "Location", "Link", "Retry-After", "X-Request-Id",
)  # fmt: skip
"""Header fields of answers that a page may read."""

_METHODS: Final = "GET, HEAD, POST, PUT, DELETE"
_FIELDS: Final = "Accept, Content-Type, If-None-Match, Cache-Control, X-Request-Id"
_OWN_FIELDS: Final = f"{_FIELDS}, Authorization, Idempotency-Key, DKG-Commit"
_REMEMBERED_SECONDS: Final = 600


class Cors:
    """What is allowed to whom."""

    def __init__(self, settings: HttpSettings) -> None:
        self._any = ANY in settings.origins
        self._origins = frozenset(settings.origins) - {ANY}
        self._shared = [(b"cross-origin-resource-policy", b"cross-origin" if settings.origins else b"same-origin")]

    def headers(self, origin: str | None) -> list[tuple[bytes, bytes]]:
        """Header fields of the answer to a request. `origin`: its Origin."""
        fields = list(self._shared)
        if self._origins:
            fields.append((b"vary", b"Origin"))
        if origin is None or not (self._any or origin in self._origins):
            return fields
        shown = origin if origin in self._origins else ANY
        return [
            *fields,
            (b"access-control-allow-origin", shown.encode("latin-1")),
            (b"access-control-expose-headers", ", ".join(SHOWN).encode()),
        ]

    def preflight(self, scope: Scope) -> ASGIApp | None:
        """The answer to a browser that asks whether it may ask; None for every other request."""
        if scope["method"] != "OPTIONS":
            return None
        found = dict(scope["headers"])
        origin = found.get(b"origin", b"").decode("latin-1")
        if b"access-control-request-method" not in found or not (self._any or origin in self._origins):
            return None
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": _METHODS,
                "Access-Control-Allow-Headers": _OWN_FIELDS if origin in self._origins else _FIELDS,
                "Access-Control-Max-Age": str(_REMEMBERED_SECONDS),
            },
        )
