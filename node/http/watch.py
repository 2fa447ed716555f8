"""Seeing that a client has gone while its query still runs, so that nobody works for nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from node.http.context import exchange_of

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.requests import Request

AFTER_SECONDS: Final = 0.1
"""When one begins to look, in seconds: most queries are answered before."""


class Watched:
    """While the block runs, it is cancelled when the client goes. The body has been read before."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._task = asyncio.current_task()
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(AFTER_SECONDS, self._begin)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()

    def _begin(self) -> None:
        self._watch = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        exchange_of(self._request).abandoned = True
        if self._task is not None:
            self._task.cancel()
