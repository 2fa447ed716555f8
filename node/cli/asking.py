"""Asking a node over HTTP, as commands do: one request, one JSON object, errors as sentences."""

from __future__ import annotations

import json
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from dkg.errors import InputError, StoreError
from node.core.statusfile import read_status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.config import Config

ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
"""Longest answer of a node that is read, in bytes."""

TIMEOUT_S: Final = 60.0
"""How long a node may be silent, in seconds."""


TIMED_OUT: Final = "timeout"
"""The code of a node that gave a request up, and goes on with what it was asked for (`node.http.problems`)."""


class NodeSilentError(StoreError):
    """A node did not answer in time, or said that it could not. What it was asked for may be done all the same."""


def call(
    url: str,
    token: str | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
) -> dict[str, Any]:
    """What a node answers. `timeout_s`: how long it may be silent.

    Raises `InputError` for what it refuses, `NodeSilentError`, and `StoreError` if it cannot be reached.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise InputError("the address of a node is a URL like http://127.0.0.1:8900")
    fields = {"Accept": "application/json", "User-Agent": "dkg", **(headers or {})}
    request = Request(url, body, fields)  # noqa: S310 - checked
    if token is not None:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urlopen(request, timeout=timeout_s) as answer:  # noqa: S310 - as above
            found = json.loads(answer.read(ANSWER_BYTES_MAX))
    except HTTPError as error:
        with error:
            raise _refused(parts.netloc, error.code, error.read(ANSWER_BYTES_MAX)) from error
    except OSError as error:
        if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
            raise NodeSilentError(f"{parts.netloc} did not answer in {timeout_s:.0f} s") from error
        raise StoreError(f"{parts.netloc} cannot be reached: {error}") from error
    except HTTPException as error:
        raise StoreError(f"{parts.netloc} broke its answer off: {error!r}") from error
    except ValueError as error:
        raise StoreError(f"{parts.netloc} did not answer in JSON: is it a node?") from error
    if not isinstance(found, dict):
        raise StoreError(f"{parts.netloc} answered something else than a node does")
    return found


def _refused(where: str, status: int, body: bytes) -> InputError | NodeSilentError:
    try:
        problem = json.loads(body)
        detail, code = str(problem["detail"])[:500], problem.get("code")
    except (ValueError, KeyError, TypeError, AttributeError):
        detail, code = f"HTTP {status}", None
    if code == TIMED_OUT:
        return NodeSilentError(f"{where} did not answer in time: {detail}")
    return InputError(f"{where} refused it: {detail}")


def token_in(name: str) -> str:
    """The token in a file. Raises `InputError`."""
    try:
        text = Path(name).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise InputError(f"the token file {name} cannot be read: {error}") from error
    if not text or len(text.split()) != 1:
        raise InputError(f"the token file {name} does not hold one token")
    return text


def running(config: Config) -> dict[str, Any]:
    """What runs in a node's directory: see `node.core.statusfile`. Raises `StoreError` if nothing does."""
    found = read_status(config.directory)
    if found is None:
        raise StoreError(f"no node runs in {config.directory}: `dkg start` starts it")
    return found


def url_of(config: Config) -> str:
    """Where the node of a configuration answers. Raises `StoreError` if it does not run, or not over HTTP."""
    found = running(config)
    if not found.get("http"):
        why = "it is only starting" if found.get("state") == "starting" else "`http.enabled` is false"
        raise StoreError(f"the node in {config.directory} does not answer over HTTP: {why}")
    return str(found["http"])
