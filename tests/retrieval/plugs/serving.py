"""ASGI applications behind real sockets on loopback, for as long as a block runs."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """The application's URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = threading.Event()
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=1))

        def run() -> None:
            server.run(sockets=[listener])

        thread = threading.Thread(target=run)
        thread.start()
        while thread.is_alive() and not server.started:
            started.wait(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
