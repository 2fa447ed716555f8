"""What every part of the demo has: a voice, and `dkg` in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dkg.client.cli.console import paint, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
CELL_MAX: Final = 60
REFUSED: Final = 2
"""The exit code of `dkg verify` for a proof that does not prove."""


PREFIXES: Final = {
    "hp": "http://purl.obolibrary.org/obo/HP_",
    "hpoa": "https://example.org/hpoa#",
    "omim": "https://omim.org/entry/",
    "orpha": "http://www.orpha.net/ORDO/Orphanet_",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
}


@dataclass(frozen=True, slots=True)
class Attack:
    """A lie, and what `dkg` said to it."""

    name: str
    exit: int
    said: str


class Answering(BaseHTTPRequestHandler):
    """Answers with bytes, and logs nothing."""

    def answer(self, body: bytes, kind: str) -> None:
        """Send a whole answer. `kind`: its media type."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def serving(handler: type[Answering]) -> Iterator[str]:
    """An HTTP server on loopback; gives its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class Stage:
    """Tells about the steps, runs `dkg`, keeps the figures. `work`: a directory for all files."""

    def __init__(self, work: Path, *, quiet: bool) -> None:
        self.work, self.quiet = work, quiet
        self.figures: dict[str, Any] = {}

    def say(self, text: str = "", style: str = "") -> None:
        """One line for whoever watches."""
        if not self.quiet:
            print(paint(text, style, sys.stdout) if style else text, flush=True)

    def head(self, text: str) -> None:
        """The title of a step."""
        self.say(f"\n{text}", "bold")

    def dkg(self, *argv: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`dkg` in a process of its own, with nothing in its environment that could help it."""
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        script = Path(sys.executable).with_name("dkg")
        command = [str(script)] if script.exists() else [sys.executable, "-m", "dkg.client.cli"]
        if not script.exists():
            env["PYTHONPATH"] = str(ROOT)
        watched = argv[0] == "load" and sys.stderr.isatty() and not self.quiet  # then its progress bar is seen
        return subprocess.run(  # noqa: PLW1510 - the exit code is what the demo is about
            [*command, *argv],
            cwd=cwd or self.work,
            env=env,
            stdout=subprocess.PIPE,
            stderr=None if watched else subprocess.PIPE,
            text=True,
        )

    def done(self, *argv: str) -> dict[str, Any]:
        """The JSON that a command gave, which must have worked."""
        done = self.dkg(*argv, "--json")
        if done.returncode:
            raise SystemExit(f"demo: `dkg {argv[0]}` failed with {done.returncode}: {(done.stderr or '').strip()}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def refused(self, attack: Attack, exits: int = REFUSED) -> None:
        """Tell about a lie, which must have been refused."""
        self.say(f"   {attack.name}: refused with exit code {attack.exit}")
        self.say(f"     {attack.said}", "dim")
        if attack.exit != exits:
            raise SystemExit(f"demo: {attack.name} was not refused: exit code {attack.exit}")


def cell(value: dict[str, str] | None) -> str:
    """A value of a row, in few characters."""
    if value is None:
        return ""
    text = value["value"]
    if value["type"] == "uri":
        text = next((f"{name}:{text[len(iri) :]}" for name, iri in PREFIXES.items() if text.startswith(iri)), text)
    text = plain(text)
    return text if len(text) <= CELL_MAX else f"{text[: CELL_MAX - 1]}…"
