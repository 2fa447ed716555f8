"""Bodies of requests, read within limits while they arrive: of bytes, of time, and of what all of them hold."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect

from node.http.context import exchange_of
from node.http.problems import Code, Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from node.http.room import Room, Share
    from node.http.settings import HttpSettings

FIELDS_MAX: Final = 2_000
"""Most fields of a query string or of a form."""

FORM: Final = "application/x-www-form-urlencoded"

_LENGTH: Final = re.compile(r"[0-9]{1,18}")


@asynccontextmanager
async def body_of(request: Request, room: Room, settings: HttpSettings, most: int) -> AsyncIterator[bytes]:
    """The body of a request, which takes its room while the block runs. Raises `Problem` for over `most` bytes."""
    _check_head(request, most)
    with room.share(exchange_of(request).client) as share:
        yield await _read(request, share, settings, most)


async def _read(request: Request, share: Share, settings: HttpSettings, most: int) -> bytes:
    parts: list[bytes] = []
    size, start = 0, asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(start + settings.body_seconds) as patience:
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise _too_large(most)
                share.take(len(part))
                parts.append(part)
                patience.reschedule(start + settings.body_seconds + size / settings.body_bytes_per_s)
    except Problem as problem:
        problem.headers.update(CLOSE)
        raise
    except TimeoutError:
        raise Problem(Code.REQUEST_TIMEOUT, "the body did not arrive in time", headers=CLOSE) from None
    except ClientDisconnect:
        raise Problem(Code.REQUEST_TIMEOUT, "the body ended early", headers=CLOSE) from None
    return b"".join(parts)


CLOSE: Final = {"Connection": "close"}
"""What is still to come of the body is not read."""


def _too_large(most: int) -> Problem:
    return Problem(Code.BODY_TOO_LARGE, f"the body has more than the {most} bytes that are allowed", headers=CLOSE)


def _check_head(request: Request, most: int) -> None:
    """Refuse a body by what is said of it."""
    length = request.headers.get("content-length", "0")
    if not _LENGTH.fullmatch(length) or int(length) > most:
        raise _too_large(most)
    if request.headers.get("content-encoding", "identity").lower() not in {"identity", ""}:
        raise Problem(Code.MEDIA_TYPE_UNSUPPORTED, "the body is compressed: send it as it is", headers=CLOSE)


def media_type_of(request: Request) -> str:
    """The type of a request's body, in lower case; empty if it says none. Raises `Problem` for a charset not UTF-8."""
    header = request.headers.get("content-type", "")
    media_type, _, rest = header.partition(";")
    for parameter in rest.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in {"utf-8", "utf8"}:
            raise Problem(Code.MEDIA_TYPE_UNSUPPORTED, f"the charset {value.strip()[:32]!r} is not read: send UTF-8")
    return media_type.strip().lower()


def parse_fields(data: bytes, what: str) -> list[tuple[str, str]]:
    """The fields of a query string or of a form, in order. Raises `Problem`."""
    if data.count(b"&") >= FIELDS_MAX:
        raise Problem(Code.PARAMETER_INVALID, f"the {what} has more than {FIELDS_MAX} fields")
    try:
        return [(_text(name), _text(value)) for name, _, value in (part.partition(b"=") for part in _parts(data))]
    except UnicodeDecodeError as error:
        raise Problem(Code.PARAMETER_INVALID, f"the {what} is not UTF-8: {error.reason}") from error


def _parts(data: bytes) -> list[bytes]:
    """What is between ampersands (WHATWG URL, 5.1)."""
    return [part for part in data.split(b"&") if part]


def _text(part: bytes) -> str:
    """A name or a value. The standard library's `parse_qsl` does the same in three times the time."""
    part = part.replace(b"+", b" ")
    return (unquote_to_bytes(part) if b"%" in part else part).decode()


def text_of(data: bytes, what: str) -> str:
    """A body as text. Raises `Problem` for what is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Problem(
            Code.PARAMETER_INVALID, f"the {what} is not UTF-8: {error.reason} at byte {error.start}"
        ) from error
