"""`serve`: an application on a port, by uvicorn.

    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(serve(app, settings))

`Server` is the same for a program that has a life of its own: it takes no signals.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import uvicorn

from dkg.errors import InputError
from node.http.app import context_of
from node.http.connection import Connection, Guard

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from fastapi import FastAPI

    from node.http.context import Log
    from node.http.settings import HttpSettings

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_BACKLOG: Final = 1024
_TICKS_A_SWEEP: Final = 10  # of a tenth of a second


class Server:
    """An application on a port. An async context manager; stopping lets requests end for `stop_seconds`."""

    def __init__(self, app: FastAPI, settings: HttpSettings) -> None:
        self._context = context_of(app)
        self._settings = settings
        self._guard = Guard(self._context)
        config = uvicorn.Config(
            self._context.entrance or app,
            http=partial(Connection, self._guard),  # type: ignore[arg-type]  # it makes one
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=settings.keep_alive_seconds,
            timeout_graceful_shutdown=settings.stop_seconds,
        )
        self._server = _Uvicorn(config)
        self._bridge = _Bridge(self._context.log)
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        self.port = 0
        """Where it listens, once it has started."""

    @property
    def url(self) -> str:
        """How it is reached from this machine."""
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises `InputError` if that cannot be done there."""
        self._socket = _listening(self._settings)
        self.port = self._socket.getsockname()[1]
        self._bridge.attach()
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[self._socket])
        self._task = asyncio.create_task(self._server.main_loop())

    async def stop(self) -> None:
        """Take no more requests, let those under way end, and close."""
        self._context.stopping = True
        self._server.should_exit = True
        if self._task is not None:
            await self._task
            await self._server.shutdown(sockets=[self._socket] if self._socket else None)
        self._bridge.detach()

    def hurry(self) -> None:
        """Do not let requests end, if this is stopping."""
        self._server.force_exit = True

    async def wait(self) -> None:
        """Until somebody stops it."""
        if self._task is not None:
            await asyncio.shield(self._task)

    def request_stop(self) -> None:
        """Have `wait` end. A second time: see `hurry`."""
        if self._server.should_exit:
            self.hurry()
        self._server.should_exit = True

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


async def serve(app: FastAPI, settings: HttpSettings, *, started: Callable[[str], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM comes; a second one ends requests that are under way. For the main thread.

    `started`: told the URL. Raises `InputError` if the address cannot be listened at.
    """
    loop, server = asyncio.get_running_loop(), Server(app, settings)
    await server.start()
    for number in SIGNALS:
        loop.add_signal_handler(number, server.request_stop)
    try:
        if started is not None:
            started(server.url)
        await server.wait()
    finally:
        await server.stop()
        for number in SIGNALS:
            loop.remove_signal_handler(number)


class _Uvicorn(uvicorn.Server):
    """uvicorn, with connections that are swept."""

    async def on_tick(self, counter: int) -> bool:
        """Every tenth of a second."""
        if counter % _TICKS_A_SWEEP == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.sweep(now)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests end, then end connections."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class _Bridge(logging.Handler):
    """Takes what uvicorn says to the node's log, and from nowhere else."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._logger = logging.getLogger("uvicorn.error")
        self._before: tuple[bool, int] = (True, logging.NOTSET)

    def attach(self) -> None:
        """Begin."""
        self._before = self._logger.propagate, self._logger.level
        self._logger.addHandler(self)
        self._logger.propagate = False

    def detach(self) -> None:
        """End."""
        self._logger.removeHandler(self)
        self._logger.propagate = self._before[0]

    def emit(self, record: logging.LogRecord) -> None:
        """Pass something on."""
        self._log("http.server", level=record.levelname.lower(), text=record.getMessage())


def _listening(settings: HttpSettings) -> socket.socket:
    """A socket that is bound. Raises `InputError`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((settings.host, settings.port))
        made.setblocking(False)  # noqa: FBT003 - its only parameter
    except OSError as error:
        made.close()
        raise InputError(
            f"the node cannot listen at {settings.host}:{settings.port}: {error.strerror or error}"
        ) from error
    return made
