"""How long simulated peers take from a block to one union, and what that costs: `python -m tests.sim.converge`.

Whole nodes with the settings that nodes have by default, in virtual time: what computing costs takes none of it, so
what shows is waiting. One publisher hands its commits to one node, which relays them. Each peer is connected with
`CONNECTED` others, or with all where there are fewer; messages take 10 to 50 ms, and announcements reach everybody.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from node.core.settings import CoreSettings
from node.serving import Ticket
from node.union_keeper import UNION
from tests.sim.actors import Actor
from tests.sim.cores import EPOCH, CoreNet
from tests.sim.transport import Weather

if TYPE_CHECKING:
    from dkg.chain.commit import SignedCommit
    from tests.sim.cores import CoreNode

CONNECTED = 8
"""Peers that each is connected with: as many as a node of `node.peers` looks for."""

COMMITS = 6
QUADS = 1_000
"""Of the first commit; each further one changes some tens."""

BLOCK_S = 4.0
"""Between two blocks, in seconds."""

LONGEST_S = 120.0


@dataclass
class Measured:
    """Of a network: seconds from the block to the last peer's union, and per peer messages and bytes of a commit."""

    seconds: list[float] = field(default_factory=list)
    messages: list[float] = field(default_factory=list)
    bytes: list[float] = field(default_factory=list)


class Converging:
    """One run."""

    def __init__(self, peers: int, seed: int, folder: Path) -> None:
        self.net = CoreNet(seed, folder)
        self.net.net.weather = Weather(0.010, 0.050)
        self.nodes = [self.net.node(f"n{number}", settings=CoreSettings(finality_depth=4)) for number in range(peers)]
        names = [node.name for node in self.nodes]
        links: dict[str, set[str]] = {name: set() for name in names}
        for at, name in enumerate(names):  # a ring, so that it hangs together, and others by chance
            others = [one for one in names if one != name]
            drawn = self.net.rng.sample(others, min(len(others), CONNECTED // 2 - 1))
            for other in {names[(at + 1) % peers], *drawn} - {name}:
                links[name].add(other)
                links[other].add(name)
        for node in self.nodes:
            node.links = sorted(links[node.name])
        self.actor = Actor(1)
        self.measured = Measured()

    def run(self) -> Measured:
        """Publish, and measure."""
        self.net.run(self._main)
        return self.measured

    async def _main(self) -> None:
        for node in self.nodes:
            node.start()
        await self.net.runtime.sleep(60.0)  # they have looked at the chain, and greeted each other
        for number in range(COMMITS):
            await self._one(number)

    async def _one(self, number: int) -> None:
        net, ledger = self.net, self.net.ledger
        latest, key = ledger.head.state.latest.get(self.actor.address), self.actor.keys()[self.actor.address]
        signed, car = self.actor.next(net.rng, latest, int(EPOCH + net.loop.time), key)
        ticket = Ticket(f"op{number}", sha256(signed.encode()).hexdigest())
        core = self.nodes[0].core
        await self.nodes[0].call(partial(core.publish_signed, ticket, signed, car, relay=True))
        await net.runtime.sleep(1.0 + BLOCK_S * net.rng.random())  # it is in the pool
        traffic = dict(net.net.traffic)
        ledger.mine(int(EPOCH + net.loop.time))
        since, mined = net.loop.time, net.loop.time
        while not all(self._has(node, signed) for node in self.nodes):
            await net.runtime.sleep(0.01)
            if net.loop.time - mined > BLOCK_S:
                mined = net.loop.time
                ledger.mine(int(EPOCH + mined))
            assert net.loop.time - since < LONGEST_S, "they did not converge"
        names = [node.name for node in self.nodes]
        sent = [net.net.traffic[name] - traffic.get(name, 0) for name in names]
        messages = [net.net.traffic[f"messages {name}"] - traffic.get(f"messages {name}", 0) for name in names]
        self.measured.seconds.append(net.loop.time - since)
        self.measured.messages.append(statistics.mean(messages))
        self.measured.bytes.append(statistics.mean(sent))
        await net.runtime.sleep(net.rng.uniform(5, 10))

    def _has(self, node: CoreNode, signed: SignedCommit) -> bool:
        """Whether a node's union is made of the commit's dataset."""
        rows = node.core.shelf.rows(UNION)
        return bool(rows) and any(root.endswith(signed.commit.root) for root in rows[0].inputs.values())


def measure(peers: int, seeds: range, folder: Path) -> Measured:
    """Several runs together."""
    total = Measured()
    for seed in seeds:
        made = Converging(peers, seed, folder).run()
        total.seconds += made.seconds
        total.messages += made.messages
        total.bytes += made.bytes
    return total


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.converge", description=__doc__)
    parser.add_argument("--peers", type=int, nargs="+", default=[3, 10, 30])
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args(arguments)
    memory = Path("/dev/shm")
    sys.stdout.write("| peers | commits | median s | p95 s | most s | messages per peer | bytes per peer |\n")
    sys.stdout.write("|--:|--:|--:|--:|--:|--:|--:|\n")
    for peers in given.peers:
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
            since = time.process_time()
            found = measure(peers, range(given.seeds), Path(folder))
        times = sorted(found.seconds)
        sys.stdout.write(
            f"| {peers} | {len(times)} | {statistics.median(times):.2f} | {times[int(0.95 * len(times))]:.2f} | "
            f"{times[-1]:.2f} | {statistics.mean(found.messages):.1f} | {statistics.mean(found.bytes):,.0f} |\n"
        )
        sys.stderr.write(f"{peers} peers: {time.process_time() - since:.1f} s of processor time\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
