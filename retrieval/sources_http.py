"""Pages of a node, one at a time: `GET /ipfs/{cid}` of a trustless gateway, for devices that keep no copy.

The node is not trusted: `StoredPages` checks each page against its CID, and this module bounds what an exchange may
take. A node that does not answer is left alone for a moment, so that a question that needs many pages fails soon.
"""

from __future__ import annotations

import http.client
import threading
import time
from typing import TYPE_CHECKING, Final, NoReturn, Self

from dkg.client.nodes import parts_of
from dkg.client.wire import TooLongError, Wire
from dkg.errors import StoreError
from dkg.page import PAGE_BYTES_MAX, cid_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dkg.client.wire import Reply

TIMEOUT_S: Final = 5.0
"""Time for one page, in seconds, connecting included."""

DOWN_S: Final = 5.0
"""How long a node that does not answer, or is too busy, is not asked again, in seconds."""

_OK: Final = 200
_UNKNOWN: Final = frozenset({404, 410})
_BUSY: Final = frozenset({429, 502, 503, 504})
_HEADERS: Final = {"Accept": "application/vnd.ipld.raw", "Accept-Encoding": "identity", "User-Agent": "dkg"}


class NodePages:
    """A `PageStore` that asks a node. Keeps one connection; threads take turns. Close it after use."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S, clock: Callable[[], float] = time.monotonic) -> None:
        """`url`: of the node, without the path of the gateway. Raises `InputError` if it is none."""
        self.name, self._path, host, port = parts_of(url)
        self._timeout, self._clock = timeout_s, clock
        self._lock = threading.Lock()
        self._wire = Wire(host, port, secure=self.name.startswith("https:"), clock=clock, ended=threading.Event())
        self._down: tuple[float, str] | None = None
        self.asked = 0
        """Pages asked for so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next page opens another."""
        with self._lock:
            self._wire.close()

    def get(self, cid: bytes) -> bytes | None:
        """See `PageStore.get`. Not checked here. Raises `StoreError` when the node fails."""
        with self._lock:
            if self._down is not None and self._clock() < self._down[0]:
                raise StoreError(self._down[1])
            self._down = None
            reply = self._asked(cid)
            if reply.status in _BUSY:
                raise self._left_alone(f"{self.name} is too busy (HTTP {reply.status})")
        if reply.status in _UNKNOWN:
            return None
        if reply.status != _OK:
            raise StoreError(f"{self.name} answers HTTP {reply.status} where page {cid_text(cid)} was asked for")
        return reply.body

    def put_many(self, pages: Iterable[tuple[bytes, bytes]]) -> NoReturn:
        """Nothing can be put into a node this way. Raises `StoreError`."""
        del pages
        raise StoreError(f"pages are only read from {self.name}: give a store to write to")

    def _asked(self, cid: bytes) -> Reply:
        target = f"{self._path}/ipfs/{cid_text(cid)}?format=raw"
        deadline = self._clock() + self._timeout
        self.asked += 1
        kept = self._wire.is_open
        try:
            try:
                return self._wire.get(target, _HEADERS, bytes_max=PAGE_BYTES_MAX, deadline=deadline)
            except (ConnectionError, http.client.HTTPException):
                if not kept:
                    raise
            return self._wire.get(target, _HEADERS, bytes_max=PAGE_BYTES_MAX, deadline=deadline)  # it had been closed
        except TooLongError:
            raise StoreError(f"{self.name} sends more than a page where {cid_text(cid)} was asked for") from None
        except (OSError, http.client.HTTPException) as error:
            reason = "it takes too long" if isinstance(error, TimeoutError) else type(error).__name__
            raise self._left_alone(f"{self.name} does not answer: {reason}") from error

    def _left_alone(self, why: str) -> StoreError:
        """The error of a node that is not asked again for a moment."""
        self._down = self._clock() + DOWN_S, why
        return StoreError(why)
