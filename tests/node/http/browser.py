"""A browser, and pages for it: headless Chromium that opens a page, which tells what it found out.

`apt-get install chromium` has it in Debian; a test that wants it is skipped where it is not.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from node.devnet.server import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--disable-extensions", "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
"""No window, and nobody is asked but this machine."""


@dataclass
class Pages:
    """A site with one page, `script`, which posts what it found to where it came from."""

    script: str = ""
    told: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="pages")

    @property
    def origin(self) -> str:
        return self._server.url

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=0)
        self._thread.join()

    def page(self) -> bytes:
        return (
            "<!doctype html><meta charset=utf-8><link rel=icon href=data:,><script>(async () => {"
            "let found; try { found = await ("
            + self.script
            + ")() } catch (error) { found = {failed: String(error)} };"
            "await fetch('/told', {method: 'POST', body: JSON.stringify(found)}) })()</script>"
        ).encode()


class _Server(LoopbackServer):
    def __init__(self, owner: Pages) -> None:
        self.owner = owner
        super().__init__(0, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._send(self.server.owner.page())

    def do_POST(self) -> None:
        self.server.owner.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._send(b"")

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Requests are not logged."""


@contextmanager
def browser(url: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Chromium with a page open, and a profile of its own; all its processes end with the block."""
    assert PROGRAM is not None
    home = {"PATH": os.environ["PATH"], "HOME": str(folder)}  # no proxy of the environment
    command = [PROGRAM, *OPTIONS, f"--user-data-dir={folder / 'profile'}", url]
    process = subprocess.Popen(
        command, env=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_page(pages: Pages, script: str, folder: Path) -> dict[str, Any]:
    """What a script, an async function without parameters, finds out in a page of a site."""
    pages.script = script
    with browser(f"{pages.origin}/?{quote('page')}", folder) as process:
        while True:
            try:
                return pages.told.get(timeout=0.5)
            except queue.Empty:
                assert process.poll() is None, "the browser has ended"
