"""A real server on a port of loopback, on an event loop of its own thread; and sockets that misbehave."""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import uvloop

from node.http import HttpSettings, Server, make_app
from node.workers.inprocess import InProcess
from tests.node.http.conftest import all_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from node.serving import Service

PATIENCE_S = 60.0
"""What a socket waits for before a test gives up on a server that hangs, in seconds."""


class Served:
    """A server in a thread. `workers`: made on its loop; None answers in that thread."""

    def __init__(
        self,
        service: Service,
        *,
        workers: Callable[[], Any] | None = None,
        **settings: Any,  # noqa: ANN401
    ) -> None:
        self.settings = HttpSettings(**{"port": 0, "tokens": all_tokens(), "requests_burst": 1_000_000, **settings})
        self.log: list[tuple[str, dict[str, object]]] = []
        self.port = 0
        self._service, self._make_workers = service, workers
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        self.do(self._start())
        self.port = self.server.port
        return self

    async def _start(self) -> None:
        def keep(event: str, /, **fields: object) -> None:
            self.log.append((event, fields))

        self.workers = self._make_workers() if self._make_workers else None
        if self.workers is not None:
            await self.workers.start()
        runner = self.workers or InProcess(self._service.store.pages)  # type: ignore[attr-defined]
        self.app = make_app(self._service, runner, self.settings, log=keep)
        self.server = Server(self.app, self.settings)
        await self.server.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.do(self._stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _stop(self) -> None:
        await self.server.stop()
        if self.workers is not None:
            await self.workers.close()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @property
    def url(self) -> str:
        return self.server.url

    def idle_workers(self) -> int:
        found: int = self.workers.state().idle if self.workers else 0
        return found

    def connections(self) -> int:
        return len(self.server._server.server_state.connections)

    def refusals(self) -> dict[str, float]:
        """Connections that were refused or cut, by why."""
        counter = self.app.state.dkg.metrics.refused
        return {
            sample.labels["why"]: sample.value
            for family in counter.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }

    def connect(self) -> Raw:
        return Raw(socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S))


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Raw:
    """A connection whose bytes the test writes."""

    def __init__(self, made: socket.socket) -> None:
        self.socket = made
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> Answer:
        """The next answer, which says its length."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, rest = self._rest.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        while len(rest) < length:
            part = self.socket.recv(65536)
            if not part:
                break
            rest += part
        self._rest = rest[length:]
        return Answer(int(lines[0].split()[1]), headers, rest[:length])

    def _more(self) -> None:
        part = self.socket.recv(65536)
        if not part:
            raise EOFError(f"the server closed after {self._rest!r}")
        self._rest += part

    def ended(self) -> bool:
        """Whether the server has closed the connection; waits for that, or for more bytes."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def get(path: str, *, close: bool = False) -> bytes:
    """A request."""
    end = "Connection: close\r\n" if close else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{end}\r\n".encode()
