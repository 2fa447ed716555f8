"""Publishers that hand commits in over HTTP, one after the other, and remember what was acknowledged."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg.chain.commit import ZERO_HASH, Commit, SignedCommit
from dkg.chain.registry import COMMITTED, Committed, decode_event
from dkg.chain.ual import Publisher
from dkg.page import CID_PREFIX
from tests.node.core.processes import GoneError, NodeProcess
from tests.sim.actors import Actor, key_of

if TYPE_CHECKING:
    from dkg.chain.commit import Domain
    from dkg.terms import Quad
    from tests.node.publish.world import World

BUSY = frozenset({429, 503})
PAUSE_S = 0.05


@dataclass
class Steady(Actor):
    """A publisher whose dataset is always as large: each commit changes a few quads."""

    size: int = 2_000
    change: int = 30

    def grown(self, rng: random.Random, held: frozenset[Quad], domain: Domain) -> frozenset[Quad]:
        """Quads, and so many more in graphs of its own that there are as many as always."""
        prefix = Publisher(domain.chain_id, domain.registry, self.address).prefix
        found = set(held)
        while len(found) < self.size:
            number, predicate = rng.randrange(400), rng.randrange(4)
            value = b'"%d"^^<http://www.w3.org/2001/XMLSchema#integer>' % rng.randrange(1_000)
            graph = f"<{prefix}asset{rng.randrange(8)}>".encode()
            found.add((b"<https://e.org/s%d>" % number, b"<https://e.org/p%d>" % predicate, value, graph))
        return frozenset(found)

    def following(self, rng: random.Random, latest: Committed | None, node: NodeProcess) -> tuple[SignedCommit, bytes]:
        """The next commit after the chain's latest, and its CAR. What came before that is forgotten."""
        old = CID_PREFIX + latest.commit.root if latest else None
        before: frozenset[Quad] = self.quads[old] if old else frozenset()
        kept = before - frozenset(rng.sample(sorted(before), min(len(before), self.change)))
        after = self.grown(rng, kept, node.world.domain)
        root = self.dataset(old, after - before, before - after, after)
        self.quads = {one: quads for one, quads in self.quads.items() if one in {old, root}}
        seq = latest.commit.seq + 1 if latest else 1
        previous = latest.commit.root if latest else ZERO_HASH
        commit = Commit(self.address, seq, root.removeprefix(CID_PREFIX), len(after), previous, 7)
        return SignedCommit.make(node.world.domain, commit, key_of(self.number)), self.car(root)


@dataclass
class Uploader(threading.Thread):
    """One publisher at work. `acknowledged`: by number, the roots that the node said it has; `locations`: where it
    tells how they go. `every_s`: seconds between two commits."""

    node: NodeProcess
    actor: Steady
    every_s: float = 0.0
    acknowledged: dict[int, bytes] = field(default_factory=dict)
    locations: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    latest: Committed | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(name=f"publisher {self.actor.number}")

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        """Publish until told to end."""
        rng = random.Random(self.actor.number)
        while not self.ended.is_set():
            signed, car = self.actor.following(rng, self.latest, self.node)
            if not self._handed_in(signed, car):
                return
            self._await(signed.commit.seq)
            self.ended.wait(self.every_s)

    def _handed_in(self, signed: SignedCommit, car: bytes) -> bool:
        while not self.ended.is_set():
            try:
                answer = self.node.hand_in(signed, car, f"{self.actor.number}-{signed.commit.seq}")
            except GoneError:
                time.sleep(PAUSE_S)
                continue
            if answer.status in {200, 202}:
                self.acknowledged[signed.commit.seq] = signed.commit.root
                self.locations.append(answer.headers["location"])
                return True
            if answer.status not in BUSY:
                self.errors.append(f"publishing: {answer.status} {answer.body.decode()}")
                return False
            time.sleep(PAUSE_S)
        return False

    def _await(self, seq: int) -> None:
        while not self.ended.is_set():
            found = newest(self.node.world, self.actor.address, self.latest)
            if found is not None and found.commit.seq == seq:
                self.latest = found
                return
            time.sleep(PAUSE_S)


def newest(world: World, address: bytes, after: Committed | None) -> Committed | None:
    """A publisher's newest commit on the chain; what is older than one that is known is not asked for again."""
    topics = ["0x" + COMMITTED.hex(), "0x" + address.rjust(32, b"\0").hex()]
    asked = {
        "address": "0x" + world.domain.registry.hex(),
        "fromBlock": hex(after.block if after else 0),
        "topics": topics,
    }
    found = world.rpc("eth_getLogs", asked)
    if not found:
        return None
    block = world.rpc("eth_getBlockByHash", found[-1]["blockHash"], False)  # noqa: FBT003 - JSON-RPC
    kinds = [bytes.fromhex(topic[2:]) for topic in found[-1]["topics"]]
    data = bytes.fromhex(found[-1]["data"][2:])
    event = decode_event(kinds, data, int(block["number"], 16), int(block["timestamp"], 16))
    assert isinstance(event, Committed)
    return event


def held(node: NodeProcess, address: bytes) -> int:
    """The number of a publisher's newest commit whose dataset a node has; 0: none."""
    answer = node.ask("GET", f"/v1/publishers/0x{address.hex()}")
    if answer.status != 200 or answer.json["held"] is None:
        return 0
    return int(answer.json["held"]["seq"])
