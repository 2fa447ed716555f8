"""Asking one peer, and answering one: many requests over one stream that lives as long as the connection.

Whoever opens a stream asks on it, and the other side answers; the two directions between two peers are two streams. A
new stream for each request would cost four times as much.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from node.peers.frames import NUMBER_MAX, FrameReader, header
from node.replication.errors import PeerError, UnreachableError
from node.replication.limits import REQUEST_BYTES_MAX, REQUESTS_AT_ONCE_MAX

if TYPE_CHECKING:
    from node.peers.wire import Wire
    from node.replication.transport import RequestHandler

GIVEN_UP_MAX: Final = 256
"""Most requests that were given up and whose answers may still come."""

UNANSWERED_MAX: Final = 2 * REQUESTS_AT_ONCE_MAX
"""Requests of one peer that are taken before any is answered; more break the protocol."""

ANSWERS_AT_ONCE_MAX: Final = 4
"""Answers on one link that are made and not sent; other requests wait."""

UNSENT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Most bytes of answers, on all links, that are made and not sent. Over it, links with more than their share end."""


@dataclass(slots=True)
class _Waiting:
    bytes_max: int
    came: trio.Event
    answer: bytes | None = None
    failure: Exception | None = None


class Link:
    """Asks one peer."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting: dict[int, _Waiting] = {}
        self._given_up: OrderedDict[int, int] = OrderedDict()
        self._places = trio.Semaphore(REQUESTS_AT_ONCE_MAX)
        self._number = 0
        self._failure: Exception | None = None
        self.sent = 0
        self.received = 0

    @property
    def broken(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._failure is not None

    async def run(self) -> None:
        """Take answers until the stream ends; never raises for what the peer does."""
        reader = FrameReader(self._wire)
        failure: Exception = UnreachableError(f"the peer {self._wire.peer} closed its stream")
        try:
            while (frame := await reader.next(self._limit)) is not None:
                self._take(*frame)
        except (PeerError, UnreachableError) as error:
            failure = error
        finally:
            self._fail(failure)
            await self._wire.reset()

    def _limit(self, number: int) -> int:
        waiting = self._waiting.get(number)
        if waiting is not None:
            return waiting.bytes_max
        if number in self._given_up:
            return self._given_up[number]
        raise PeerError(f"the peer {self._wire.peer} answers what it was not asked")

    def _take(self, number: int, answer: bytes) -> None:
        self.received += len(answer)
        self._given_up.pop(number, None)
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            waiting.answer = answer
            waiting.came.set()

    def _fail(self, failure: Exception) -> None:
        self._failure = self._failure or failure
        for waiting in self._waiting.values():
            waiting.failure = failure
            waiting.came.set()
        self._waiting.clear()

    async def ask(self, message: bytes, *, timeout_s: float, bytes_max: int) -> bytes:
        """The answer to a request; see `Transport.request`."""
        with trio.move_on_after(timeout_s):
            async with self._places:
                return await self._asked(message, bytes_max)
        raise UnreachableError(f"the peer {self._wire.peer} did not answer within {timeout_s:.1f} s")

    async def _asked(self, message: bytes, bytes_max: int) -> bytes:
        if self._failure is not None:
            raise UnreachableError(str(self._failure))
        number = self._number = (self._number + 1) % NUMBER_MAX
        waiting = self._waiting[number] = _Waiting(bytes_max, trio.Event())
        try:
            self.sent += len(message)
            await self._wire.write(header(number, len(message)) + message)
            await waiting.came.wait()
        finally:
            if self._waiting.pop(number, None) is not None:
                self._given_up[number] = bytes_max
                if len(self._given_up) > GIVEN_UP_MAX:
                    self._given_up.popitem(last=False)
        if waiting.failure is not None:
            raise type(waiting.failure)(str(waiting.failure))
        assert waiting.answer is not None  # noqa: S101 - set with `came`
        return waiting.answer


class Backlog:
    """Answers of all links that are made and not sent, in bytes."""

    def __init__(self) -> None:
        self._total = 0
        self._links = 0

    def opened(self, links: int) -> None:
        """There are so many links more, or fewer."""
        self._links += links

    def add(self, size: int, unsent: int) -> bool:
        """Count an answer in; False if it is too much: `unsent` bytes of the same link are waiting already."""
        if self._total + size > UNSENT_BYTES_MAX and unsent + size > UNSENT_BYTES_MAX // max(1, self._links):
            return False
        self._total += size
        return True

    def sent(self, size: int) -> None:
        """An answer is sent, or given up."""
        self._total -= size


class Answering:
    """Answers one peer, on the stream that it opened."""

    def __init__(self, wire: Wire, handler: RequestHandler, backlog: Backlog) -> None:
        self._wire = wire
        self._handler = handler
        self._backlog = backlog
        self._places = trio.Semaphore(ANSWERS_AT_ONCE_MAX)
        self._unanswered = 0
        self._unsent = 0

    async def run(self) -> None:
        """Answer until the stream ends. Raises `PeerError` for a peer that breaks the protocol."""
        reader = FrameReader(self._wire)
        self._backlog.opened(1)
        try:
            async with trio.open_nursery() as nursery:
                try:
                    while (frame := await reader.next(lambda _number: REQUEST_BYTES_MAX)) is not None:
                        self._unanswered += 1
                        if self._unanswered > UNANSWERED_MAX:
                            raise PeerError(f"the peer {self._wire.peer} asks too many things at once")
                        nursery.start_soon(self._answer, nursery.cancel_scope, *frame)
                except UnreachableError:
                    nursery.cancel_scope.cancel()
        finally:
            self._backlog.opened(-1)

    async def _answer(self, scope: trio.CancelScope, number: int, message: bytes) -> None:
        try:
            async with self._places:
                made = await self._handler(self._wire.peer, message)
                if self._backlog.add(len(made), self._unsent):
                    await self._send(number, made)
                else:
                    scope.cancel()  # it does not read its answers
        except UnreachableError:
            scope.cancel()
        finally:
            self._unanswered -= 1

    async def _send(self, number: int, made: bytes) -> None:
        self._unsent += len(made)
        try:
            await self._wire.write(header(number, len(made)) + made)
        finally:
            self._unsent -= len(made)
            self._backlog.sent(len(made))
