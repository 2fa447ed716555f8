"""What anchoring costs: gas, from a publish to an answer that a client can verify, commits per second, cold clients.

`scripts/bench chain`. Chains run in processes of their own: our own development chain, and anvil where it is here. Each
mines a transaction as it comes, so what is measured is our part and the chain's work, not waiting for blocks.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final

import dkg
from bench.data import ROOT
from bench.processes import watched
from bench.report import Row
from dkg.chain.ual import Publisher as Identity
from dkg.chain.ual import Ual
from dkg.client.rpc import Waiting
from dkg.client.settings import ChainSettings
from dkg.client.store import SqliteStore
from node.assets.edits import Details, put
from node.devnet.accounts import dev_accounts
from node.home import Home
from node.publish.fees import FeePolicy
from node.publish.keychange import deploy
from node.publish.published import Request
from node.publish.publisher import connected, open_publisher
from node.publish.sender import Tools
from node.publish.waits import Waits
from node.publish.wallet import Wallet, Wallets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.report import Json

PUBLISHES: Final = 50
"""Publishes of one publisher, one after the other."""
PUBLISHERS: Final = 4
"""Publishers at once, for commits per second."""
COLD_RUNS: Final = 9
PEER_GAS: Final = 530_457
"""What a peer system pays for one publish (../shared/PEERS.md)."""
GAS_TARGET: Final = 75_000
QUERY: Final = "SELECT ?o { <urn:s0> <urn:p> ?o }"

MB: Final = 1e6


def gas() -> list[Row]:
    """Gas of a commit, from the committed snapshot, which a test compares with real transactions."""
    found = json.loads((ROOT / "contracts" / "gas.json").read_text(encoding="utf-8"))
    rows = []
    for which in ("first", "later"):
        for assets in (1, 100, 10_000):
            used = float(found[f"commit, {which}, direct, {assets} assets"])
            what = f"gas of a publisher's {which} commit, {assets:,} assets"
            rows.append(Row(f"gas {which} {assets}", what, used, "gas", PEER_GAS, used / PEER_GAS, float(GAS_TARGET)))
    return rows


@contextmanager
def running(engine: str) -> Iterator[str]:
    """A chain in a process of its own; gives its URL."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "port"
        command = [sys.executable, "-m", "dkg.client.cli", "devnet", "chain", "--engine", engine, "--port", "0"]
        with subprocess.Popen(  # noqa: S603 - our own interpreter and our own modules
            [*command, "--port-file", str(file)], cwd=ROOT, stdout=subprocess.DEVNULL
        ) as process:
            try:
                while not file.exists():
                    if process.poll() is not None:
                        raise RuntimeError(f"the chain {engine} did not start")
                    time.sleep(0.02)
                yield f"http://127.0.0.1:{file.read_text().strip()}"
            finally:
                process.terminate()


def settings_on(url: str) -> ChainSettings:
    """A new registry on a chain."""
    with connected([url], 1) as (reader, writer):
        tools = Tools(writer, Waiting(), time.time, FeePolicy(), Waits())
        made = deploy(Wallet(dev_accounts(10)[9].key), reader, tools)
    return ChainSettings(made.chain_id, "0x" + made.address.hex(), [url], 1, made.block, 2)


def published(folder: Path, settings: ChainSettings, account: int, count: int) -> list[float]:
    """Publish so many new assets of 20 quads one after the other; seconds each, until the client has proved it."""
    wallets = Wallets.of(dev_accounts(10)[account].key)
    identity = Identity(settings.chain_id, settings.domain.registry, wallets.publisher)
    seconds = []
    with open_publisher(Home(folder), wallets, settings=settings) as publisher:
        for number in range(count):
            ual = Ual(identity, f"asset-{number}")
            rows = frozenset((b"<urn:s%d>" % i, b"<urn:p>", b'"%d"' % number, ual.graph) for i in range(20))
            request = Request(f"{account}-{number}", ual.name, put(ual, rows, Details(), int(time.time())))
            start = time.perf_counter()
            publisher.publish(request)
            seconds.append(time.perf_counter() - start)
    return seconds


def anchoring(engine: str, say: Callable[[str], None]) -> tuple[list[Row], Json]:
    """Latency and rate on one chain, and cold clients of it."""
    with running(engine) as url, tempfile.TemporaryDirectory() as scratch:
        say(f"{engine}: publish")
        settings = settings_on(url)
        folder = Path(scratch) / "one"
        alone = published(folder, settings, 0, PUBLISHES)
        say(f"{engine}: {PUBLISHERS} publishers at once")
        start = time.perf_counter()
        with ThreadPoolExecutor(PUBLISHERS) as pool:
            jobs = [
                pool.submit(published, Path(scratch) / str(n), settings, n, PUBLISHES // 2)
                for n in range(1, PUBLISHERS + 1)
            ]
            together = sum(len(job.result()) for job in jobs) / (time.perf_counter() - start)
        say(f"{engine}: cold clients")
        clients = cold(folder, settings, Path(scratch))
    cut = quantiles(alone, n=20)
    rows = [
        Row(f"publish {engine}", f"publish to client-verifiable, {engine}, p50", median(alone) * 1e3, "ms"),
        Row(f"publish p95 {engine}", f"publish to client-verifiable, {engine}, p95", cut[-1] * 1e3, "ms"),
        Row(f"rate {engine}", f"commits per second, {engine}, one publisher", len(alone) / sum(alone), "/s"),
        Row(f"rate of many {engine}", f"commits per second, {engine}, {PUBLISHERS} publishers", together, "/s"),
    ]
    for name, what, scale, unit in (
        ("seconds", "cold client: start, learn the head, verify a point", 1.0, "s"),
        ("rss", "its memory (RSS)", MB, "MB"),
        ("bytes_read", "bytes that it reads from the endpoint", 1e3, "kB"),
        ("requests", "requests that it makes", 1.0, ""),
        ("warm_seconds", "the same again, warm", 1e-3, "ms"),
    ):
        rows.append(Row(f"cold {name} {engine}", f"{what}, {engine}", median([c[name] for c in clients]) / scale, unit))
    return rows, {"publish_seconds": alone, "clients": clients}


def cold(home: Path, settings: ChainSettings, scratch: Path) -> list[dict[str, Any]]:
    """Clients in fresh processes: each imports, learns the publisher's head and verifies one proof."""
    with SqliteStore(Home(home).store, read_only=True) as store:
        head = store.head()
        if head is None:
            raise RuntimeError("nothing was published")
        (scratch / "proof.car").write_bytes(dkg.prove(store, head, QUERY).car)
    who = Wallets.of(dev_accounts(10)[0].key).publisher
    ask = {
        "url": settings.endpoints[0],
        "registry": settings.registry,
        "chain_id": settings.chain_id,
        "publisher": "0x" + who.hex(),
        "proof": str(scratch / "proof.car"),
        "query": QUERY,
    }
    command = [sys.executable, "-m", "bench.coldclient", json.dumps(ask)]
    return [watched(command).said for _ in range(COLD_RUNS)]


def measured(say: Callable[[str], None]) -> tuple[list[Row], Json]:
    """All of it. Without anvil, only our own chain."""
    rows, details = gas(), {}
    for engine in ("builtin", "anvil"):
        try:
            found, details[engine] = anchoring(engine, say)
        except RuntimeError as error:
            say(f"{engine} is left out: {error}")
            continue
        rows += found
    return rows, details
