"""One piece of work at a time in a thread, and whoever waits takes turns: many requests of one are no more than one."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Turns:
    """See the module. Used on one event loop."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore()
        self._own: WeakValueDictionary[bytes, asyncio.Semaphore] = WeakValueDictionary()
        """Of those who wait or work."""

    async def run(self, name: bytes, work: Callable[[], T]) -> T:
        """What a function gives, in a thread of its own. `name`: whose work it is.

        Work that has begun goes on when nobody waits for it any more, and the next one waits for its end.
        """
        own = self._own.setdefault(name, asyncio.Semaphore())
        await own.acquire()
        try:
            await self._all.acquire()
        except BaseException:
            own.release()
            raise
        running = asyncio.ensure_future(asyncio.to_thread(work))
        running.add_done_callback(partial(self._done, own))
        return await asyncio.shield(running)

    def _done(self, own: asyncio.Semaphore, running: asyncio.Future[Any]) -> None:
        self._all.release()
        own.release()
        if not running.cancelled():
            running.exception()  # told to whoever waits, if anybody does
