"""Nodes as processes, on the development chain with a registry: started, asked over HTTP, killed."""

from __future__ import annotations

import base64
import http.client
import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from node.config import example
from node.core.statusfile import STATUS_FILE
from node.home import Home
from node.http.tokens import Scope, new_token, write_tokens
from node.keys import create
from node.storage import NodeStore, check_node

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dkg.chain.commit import SignedCommit
    from tests.node.publish.world import World

ROOT = Path(__file__).resolve().parents[3]
TOKEN, KEPT = new_token("tests", list(Scope), bytes(range(32)))
PASSWORD = "correct horse battery"
CAR = "application/vnd.ipld.car"


class GoneError(Exception):
    """The node does not answer."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.body)


@dataclass
class NodeProcess:
    """One node."""

    directory: Path
    world: World
    settings: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    url: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.directory.with_suffix(".toml")

    @property
    def log(self) -> Path:
        return self.directory.with_suffix(".log")

    def configure(self) -> None:
        world, directory = self.world, self.directory
        directory.mkdir(parents=True, exist_ok=True)
        write_tokens(directory / "tokens.json", (KEPT,))
        given = {
            "node.directory": str(directory),
            "node.log_file": str(self.log),
            "chain.id": world.domain.chain_id,
            "chain.registry": "0x" + world.domain.registry.hex(),
            "chain.endpoints": [world.url],
            "chain.first_block": world.registry.first_block,
            "chain.finality_depth": 2,
            "chain.poll_s": 0.2,
            "http.port": 0,
            "workers.workers": 1,
            "publish.max_fee_gwei": 1_000.0,
        }
        self.file.write_text(example(given | self.settings), encoding="utf-8")

    def with_key(self, key: bytes, *, relay: bool = True, own: bool = True) -> None:
        """A home whose key opens fast."""
        home = Home(self.directory.with_suffix(".home"))
        create(home.key_file, PASSWORD, key, work=2)
        password = self.directory.with_suffix(".password")
        password.write_text(PASSWORD + "\n")
        self.settings |= {
            "publish.home": str(home.path),
            "publish.password_file": str(password),
            "publish.relay": relay,
            "publish.own": own,
        }

    def start(self, *, wait: bool = True) -> None:
        self.configure()
        (self.directory / STATUS_FILE).unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.node.core.program", str(self.file)]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
        if wait:
            self.wait_until_up()

    def wait_until_up(self) -> None:
        process = self.process
        assert process is not None
        while True:
            facts = self.status_file()
            if facts.get("state") == "running":
                self.facts, self.url = facts, str(facts["http"])
                return
            if process.poll() is not None:
                raise GoneError(self.said())
            time.sleep(0.02)

    def status_file(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.directory / STATUS_FILE).read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found

    def said(self) -> str:
        """What it wrote to standard error; after it has ended."""
        assert self.process is not None
        return self.process.communicate()[1].decode()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell it to end; its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.communicate()
        return self.process.returncode

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines(keepends=True) if self.log.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        return [one for one in found if one["event"] == name]

    # --- asking ----------------------------------------------------------------------------------------------------

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request. Raises `GoneError` when nobody answers."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}", **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise GoneError(str(error)) from error
        finally:
            connection.close()

    def hand_in(self, signed: SignedCommit, car: bytes, key: str, *, relay: bool = True) -> Answer:
        headers = {
            "DKG-Commit": base64.urlsafe_b64encode(signed.encode()).decode().rstrip("="),
            "Content-Type": CAR,
            "Idempotency-Key": key,
        }
        return self.ask("POST", f"/v1/commits?relay={str(relay).lower()}", car, headers)

    def count(self, publisher: bytes | None = None) -> int:
        """How many triples a query counts."""
        query = "SELECT (COUNT(*) AS ?n) WHERE { GRAPH ?g { ?s ?p ?o } }"
        whose = f"&publisher=0x{publisher.hex()}" if publisher else ""
        answer = self.ask(
            "GET", f"/sparql?query={quote(query)}{whose}", headers={"Accept": "application/sparql-results+json"}
        )
        assert answer.status == 200, answer.body
        return int(answer.json["results"]["bindings"][0]["n"]["value"])

    def check(self) -> None:
        """That its directory is whole, while it does not run."""
        with NodeStore(self.directory, read_only=True) as store:
            assert check_node(store, derive="newest").problems == []


@contextmanager
def two_nodes(folder: Path, here: World, key: bytes, **own: bool) -> Iterator[list[NodeProcess]]:
    """Two nodes, of which the second knows where the first is, and the first has a key (`NodeProcess.with_key`)."""
    first, second = (NodeProcess(folder / name, here) for name in ("first", "second"))
    first.with_key(key, **own)
    first.start()
    second.settings["peers.bootstrap"] = first.facts["peers"]
    second.start()
    try:
        yield [first, second]
    finally:
        for node in (first, second):
            if node.process is not None and node.process.poll() is None:
                node.kill()
