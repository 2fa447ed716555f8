"""A chain, nodes and a publisher with a large dataset, all as processes: what `bench.node` measures."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from bench.data import ROOT
from dkg.car import car_blocks, car_header
from dkg.chain.commit import ZERO_HASH, Commit, SignedCommit
from dkg.chain.secp import address_of
from dkg.chain.ual import Publisher
from dkg.client.load import load_files
from dkg.client.store import SqliteStore
from dkg.dataset import update_dataset
from dkg.page import CID_PREFIX, Inner
from dkg.pages import StoredPages
from node.config import example
from node.devnet.accounts import dev_accounts
from node.home import Home
from node.http.tokens import Scope, new_token, write_tokens
from node.keys import create

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.client.settings import ChainSettings
    from dkg.pages import Pages
    from dkg.terms import Quad

LOOK_S: Final = 0.01
"""Between two looks at a node, in seconds."""

SECONDS_MAX: Final = 900.0
"""Longest wait for anything, in seconds."""

POLL_S: Final = 0.2
"""How often nodes look at the chain, in seconds."""

_PASSWORD: Final = "only for the bench"  # noqa: S105 - of a key of the development chain, which everybody knows
_TOKEN, _KEPT = new_token("bench", list(Scope), bytes(range(32)))
_UNLIMITED: Final[dict[str, Any]] = {
    "http.requests_per_s": 1e9,
    "http.requests_burst": 10**9,
    "http.client_requests_at_once": 128,
    "http.request_seconds": SECONDS_MAX,
    "http.body_seconds": SECONDS_MAX,
    "http.pages_bytes": 2**30,
    "http.uploads_bytes": 2**32,
    "workers.waiting_per_client": 128,
    "workers.client_bytes": 2**50,
    "http.remembered_bytes": 0,
    "publish.max_fee_gwei": 1_000.0,
}
"""What one client may use by default is less than one machine can give: here one client asks for all of it. And no
answer is remembered, as else that is what would be measured."""


class BenchError(Exception):
    """Something did not come about."""


@dataclass
class Node:
    """A node as a process of its own. `settings`: what is not as it is by default, and not of the chain."""

    directory: Path
    chain: ChainSettings
    settings: dict[str, Any] = field(default_factory=_UNLIMITED.copy)
    process: subprocess.Popen[str] | None = None
    url: str = ""
    peers: list[str] = field(default_factory=list)

    def start(self) -> float:
        """Start it; the seconds until it answers."""
        self._configure()
        start = time.perf_counter()
        command = [sys.executable, "-m", "dkg.client.cli", "start", "--json", "-q", "--config", str(self._file)]
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own modules
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None  # noqa: S101 - it is a pipe
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(f"the node in {self.directory} did not start")
        facts = json.loads(line)
        self.url, self.peers = facts["http"], facts["peers"]
        return time.perf_counter() - start

    @property
    def log(self) -> Path:
        """Where it writes its log."""
        return self.directory.with_suffix(".log")

    @property
    def _file(self) -> Path:
        return self.directory.with_suffix(".toml")

    @property
    def pid(self) -> int:
        """Its number."""
        assert self.process is not None  # noqa: S101 - it was started
        return self.process.pid

    def _configure(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        write_tokens(self.directory / "tokens.json", (_KEPT,))
        given = {
            "node.directory": str(self.directory),
            "node.log_file": str(self.log),
            "chain.id": self.chain.chain_id,
            "chain.registry": self.chain.registry,
            "chain.endpoints": list(self.chain.endpoints),
            "chain.first_block": self.chain.first_block,
            "chain.finality_depth": self.chain.finality_depth,
            "chain.poll_s": POLL_S,
            "http.port": 0,
        }
        self._file.write_text(example(given | self.settings), encoding="utf-8")

    def pay(self, key: bytes) -> None:
        """Have it bring commits to the chain that others signed."""
        home = Home(self.directory.with_suffix(".home"))
        create(home.key_file, _PASSWORD, key, work=2)
        password = self.directory.with_suffix(".password")
        password.write_text(_PASSWORD + "\n", encoding="ascii")
        self.settings |= {
            "publish.home": str(home.path),
            "publish.password_file": str(password),
            "publish.own": False,
            "publish.relay": True,
        }

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.communicate()
            self.process = None

    # --- asking ----------------------------------------------------------------------------------------------------

    def call(self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401
        """The JSON of an answer. Raises `BenchError`."""
        given = {"Authorization": f"Bearer {_TOKEN}", "Accept": "application/json"} | (headers or {})
        try:
            with urlopen(Request(self.url + path, body, given), timeout=SECONDS_MAX) as answer:  # noqa: S310
                return json.loads(answer.read())
        except HTTPError as error:
            raise BenchError(f"{path}: {error.read().decode(errors='replace')}") from error
        except (URLError, OSError, ValueError) as error:
            raise BenchError(f"{path}: {error}") from error

    def ask(self, query: str, accept: str = "application/sparql-results+json") -> bytes:
        """The answer to a query, as it comes. Raises `OSError`."""
        url = f"{self.url}/sparql?{urlencode({'query': query})}"
        with urlopen(Request(url, headers={"Accept": accept}), timeout=SECONDS_MAX) as answer:  # noqa: S310
            found: bytes = answer.read()
        return found

    def root(self) -> str | None:
        """The CID of what it answers from; None if there is nothing yet."""
        try:
            return str(self.call("/v1/dataset")["root"])
        except BenchError:
            return None

    def quads(self) -> int:
        """How many quads that has."""
        try:
            return int(self.call("/v1/dataset")["quads"])
        except BenchError:
            return 0

    def held(self, publisher: bytes) -> int:
        """The number of the publisher's newest commit whose dataset is there."""
        try:
            found = self.call(f"/v1/publishers/0x{publisher.hex()}")["held"]
        except BenchError:
            return 0
        return int(found["seq"]) if found else 0

    def traffic(self) -> tuple[int, int]:
        """Bytes that it has sent to peers and received from them, as it counts them."""
        network = self.call("/v1/status")["network"]
        return int(network["sent_bytes"]), int(network["received_bytes"])

    def rss(self) -> int:
        """Bytes of the process that are in memory, without those of its workers."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:  # noqa: PTH123 - no file of ours
            return int(file.read().split()[1]) * 4096


def wait_for(what: str, is_so: Any, look_s: float = LOOK_S) -> float:  # noqa: ANN401 - a function without arguments
    """Wait until something is so; the seconds it took. Raises `BenchError`."""
    start = time.perf_counter()
    while not is_so():
        if time.perf_counter() - start > SECONDS_MAX:
            raise BenchError(f"after {SECONDS_MAX:.0f} s still not: {what}")
        time.sleep(look_s)
    return time.perf_counter() - start


class Source:
    """A publisher: a store of pages, and commits over what is in it."""

    def __init__(self, folder: Path, chain: ChainSettings) -> None:
        self._domain = chain.domain
        self._key = dev_accounts(10)[1].key
        self.address = address_of(self._key)
        self.prefix = Publisher(chain.chain_id, chain.domain.registry, self.address).prefix
        self.store = SqliteStore(folder)
        self._last: Commit | None = None

    @property
    def root(self) -> bytes:
        """CID of the newest dataset."""
        assert self._last is not None  # noqa: S101 - asked after a commit
        return CID_PREFIX + self._last.root

    @property
    def count(self) -> int:
        """Quads of it."""
        assert self._last is not None  # noqa: S101 - asked after a commit
        return self._last.count

    def load(self, file: Path) -> None:
        """Make the first dataset of a file of N-Quads in graphs of this publisher's own."""
        report = load_files([file], self.store)
        self._commit(report.root, report.total)

    def change(self, come: list[Quad], gone: list[Quad]) -> None:
        """Make the next dataset."""
        assert self._last is not None  # noqa: S101 - there is one
        root = update_dataset(StoredPages(self.store), self.root, come, gone, self.store)
        self._commit(root, self._last.count + len(come) - len(gone))

    def _commit(self, root: bytes, count: int) -> None:
        last = self._last
        self._before = None if last is None else CID_PREFIX + last.root
        seq, prior = (1, ZERO_HASH) if last is None else (last.seq + 1, last.root)
        self._last = Commit(self.address, seq, root.removeprefix(CID_PREFIX), count, prior, int(time.time()))

    def hand_in(self, node: Node) -> int:
        """Give the newest commit with its new pages to a node that brings it to the chain; the bytes of the pages."""
        assert self._last is not None  # noqa: S101 - there is one
        signed = SignedCommit.make(self._domain, self._last, self._key)
        car = self._car()
        headers = {
            "DKG-Commit": urlsafe_b64encode(signed.encode()).decode().rstrip("="),
            "Content-Type": "application/vnd.ipld.car",
        }
        operation = node.call("/v1/commits?relay=true", car, headers)["id"]

        def mined() -> bool:
            found = node.call(f"/v1/operations/{operation}")
            if found["state"] == "failed":
                raise BenchError(f"the commit failed: {found['error']}")
            return found["state"] in {"mined", "final"}

        wait_for("the commit is on the chain", mined)
        return len(car)

    def _car(self) -> bytes:
        """The dataset's root and what is new in its tree of spog, from which the node makes the other trees."""
        pages = StoredPages(self.store)
        before = set() if self._before is None else set(_below(pages, pages.root(self._before).trees[0], set()))
        cids = [self.root, *_below(pages, pages.root(self.root).trees[0], before)]
        return b"".join([car_header(self.root), *car_blocks((cid, pages.page(cid).encode()) for cid in cids)])


def _below(pages: Pages, top: bytes, known: set[bytes]) -> Iterator[bytes]:
    """The pages of a tree, parents first, but for those that are known and what is below them."""
    waiting = [top]
    while waiting:
        cid = waiting.pop()
        if cid not in known:
            yield cid
            page = pages.node(cid)
            waiting += page.children[::-1] if isinstance(page, Inner) else ()


@contextmanager
def stopped(*nodes: Node) -> Iterator[None]:
    """End nodes in the end, whatever happens."""
    try:
        yield
    finally:
        for node in nodes:
            node.stop()
