"""Little at a time, and whoever waits takes turns: many requests of one are no more than one."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Turns:
    """See the module. Used on one event loop."""

    def __init__(self, at_once: int) -> None:
        """`at_once`: of how many something is done at a time; of one it is one thing."""
        self._all = asyncio.Semaphore(at_once)
        self._own: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """Of those who wait, or for whom something is done."""

    async def run(self, name: str, begin: Callable[[], Awaitable[T]]) -> T:
        """What comes of something that is begun when it is its turn. `name`: for whom it is.

        What has begun goes on when nobody waits for it any more, and the next one waits for its end.
        """
        own = self._own.setdefault(name, asyncio.Semaphore())
        await own.acquire()
        try:
            await self._all.acquire()
        except BaseException:
            own.release()
            raise
        running = asyncio.ensure_future(begin())
        running.add_done_callback(partial(self._done, own))
        return await asyncio.shield(running)

    def _done(self, own: asyncio.Semaphore, running: asyncio.Future[Any]) -> None:
        self._all.release()
        own.release()
        if not running.cancelled():
            running.exception()  # told to whoever waits, if anybody does
