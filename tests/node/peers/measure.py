"""Replication between two processes over libp2p on the loopback interface, with stores on disk.

    python -m tests.node.peers.measure 100000

prints a cold replication of so many quads, a warm one of 500 replaced quads, and what an idle node takes.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import node.peers  # noqa: F401 - before libp2p
from dkg.client.spill import FileSpill
from dkg.client.store import SqliteStore
from dkg.dataset import build_dataset, update_dataset
from dkg.pages import StoredPages
from node.peers.runtime import TrioRuntime
from node.peers.settings import PeerSettings
from node.peers.thread import PeerThread
from node.peers.transport import Libp2pTransport
from node.replication.complete import Builder
from node.replication.messages import Anchored, Hello
from node.replication.replicator import Hooks, Network, Replicator, Settings
from node.replication.serve import Server
from node.replication.squeeze import squeezed
from tests.datasets import university
from tests.sim.node import SimChain, SimHeads

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from node.replication.replicate import Report

CHAIN_ID, REGISTRY, PUBLISHER = 31337, bytes(20), bytes(20)
HELLO = Hello(CHAIN_ID, REGISTRY, "measure", ())
CHANGED = 500


class Heads(SimHeads):
    """Heads that are not checked by reading every page: that would be measured too."""

    def accept(self, head: Anchored) -> None:
        self.heads[head.publisher] = head


def memory_mb() -> dict[str, float]:
    """Resident memory now, and the most there was, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return {"now": pages * 4096 / 1e6, "most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


def serve(folder: Path, quads: int, pipe: Connection) -> None:
    """The process that has the data."""
    rows = university(quads // 6)
    with SqliteStore(folder) as store:
        old = build_dataset([rows], store, normal=True)
        gone = random.Random(1).sample(rows, CHANGED)
        come = [(s, p, b'"changed %d"' % at, g) for at, (s, p, _, g) in enumerate(gone)]
        pages = StoredPages(store)
        new = update_dataset(pages, old, come, gone, store)
        roots = [(root, pages.root(root).count) for root in (old, new)]
    text = squeezed(b"".join(b"%b %b %b %b .\n" % quad for quad in (*sorted(gone), *sorted(come))))
    del rows
    transport, runtime = Libp2pTransport(PeerSettings(CHAIN_ID, REGISTRY)), TrioRuntime()
    with SqliteStore(folder, read_only=True) as store, PeerThread() as peers:
        heads = Heads(SimChain([]), store)
        transport.on_request(Server(runtime, HELLO, store, heads).handle)
        peers.start(transport.run)
        pipe.send((transport.addresses, roots, len(text), memory_mb()))
        worked = time.process_time()
        pipe.recv()
        pipe.send((transport.traffic.served, memory_mb(), round(time.process_time() - worked, 2)))


def bring(quads: int) -> dict[str, Any]:
    """The process that wants it."""
    with tempfile.TemporaryDirectory() as folder:
        pipe, other = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(Path(folder) / "a", quads, other))
        server.start()
        addresses, roots, text_bytes, server_idle = pipe.recv()
        log = [Anchored(PUBLISHER, at + 1, root, count, at) for at, (root, count) in enumerate(roots)]
        transport, runtime = (
            Libp2pTransport(PeerSettings(CHAIN_ID, REGISTRY, bootstrap=tuple(addresses))),
            TrioRuntime(),
        )
        reports: list[Report] = []
        found: dict[str, Any] = {"quads": log[0].count, "server_idle_mb": server_idle}
        with SqliteStore(Path(folder) / "b") as store, PeerThread() as peers:
            chain = SimChain(log)
            replicator = Replicator(
                runtime, Network(transport, HELLO, transport), chain, Heads(chain, store), store,
                settings=Settings(builder=Builder(spill=lambda: FileSpill(Path(folder) / "b"))),
                hooks=Hooks(accepted=reports.append),
            )  # fmt: skip
            peers.start(transport.run)
            peers.spawn(replicator.run)
            _until(transport.peers, peers)
            time.sleep(2)
            found["idle_mb"] = memory_mb()
            for step in ("cold", "warm"):
                before, since = transport.traffic.received + transport.traffic.sent, time.monotonic()
                worked = time.process_time()
                chain.seen += 1
                peers.call(_wake, replicator)
                _until(lambda: len(reports) == chain.seen, peers)
                report = reports[-1]
                found[step] = {
                    "seconds": round(time.monotonic() - since, 2),
                    "cpu_seconds": round(time.process_time() - worked, 2),
                    "bytes": transport.traffic.received + transport.traffic.sent - before,
                    "pages": report.pages,
                    "by_change": report.by_change,
                    "memory_mb": memory_mb(),
                }
            found["warm"]["ratio"] = round(found["warm"]["bytes"] / text_bytes, 2)
            found["change_compressed_bytes"] = text_bytes
        pipe.send("done")
        found["served"], found["server_mb"], found["server_cpu_seconds"] = pipe.recv()
        server.join()
    return found


async def _wake(replicator: Replicator) -> None:
    replicator.wake()


def _until(condition: Any, peers: PeerThread) -> None:  # noqa: ANN401 - a function
    async def ask() -> object:
        return condition()

    while not peers.call(ask):
        time.sleep(0.01)


if __name__ == "__main__":
    print(json.dumps(bring(int(sys.argv[1])), indent=1))  # noqa: T201 - this is what it is run for
