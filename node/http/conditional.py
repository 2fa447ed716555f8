"""Conditional requests (RFC 9110, section 13) and how long answers may be kept (RFC 9111)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from node.http.context import exchange_of
from node.http.whole import encoded

if TYPE_CHECKING:
    from starlette.requests import Request

IMMUTABLE: Final = "public, max-age=29030400, immutable"
"""What has a name that never means anything else (the trustless gateway's figure: 48 weeks)."""

REVALIDATE: Final = "public, no-cache"
"""What may be kept, and is asked for again each time: a new root or another state may be there."""

_TAG: Final = re.compile(r'(?:W/)?"[^"]*"')


def keeping(*, pinned: bool) -> dict[str, str]:
    """How long an answer may be kept that depends on the Accept header. `pinned`: whether it is the same for ever."""
    return {"Cache-Control": IMMUTABLE if pinned else REVALIDATE, "Vary": "Accept"}


def keeping_fields(*, pinned: bool) -> list[tuple[bytes, bytes]]:
    """The same, ready to be sent."""
    return _PINNED if pinned else _MOVING


_PINNED: Final = encoded(keeping(pinned=True))
_MOVING: Final = encoded(keeping(pinned=False))


def not_modified(request: Request, validator: str, *, exists: bool = True) -> bool:
    """Whether the client has what a validator stands for (weak comparison). `exists`: whether there is such a thing."""
    found = exchange_of(request).fields.get(b"if-none-match")
    if found is None:
        return False
    header = found.decode("latin-1")
    if header.strip() == "*":
        return exists
    opaque = validator.removeprefix("W/")
    return any(tag.removeprefix("W/") == opaque for tag in _TAG.findall(header))
