"""`kill -9` of a whole node under load, again and again; after each, what was acknowledged is there (row A2)."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.node.core.processes import GoneError, NodeProcess
from tests.soak.network import network, settle
from tests.soak.publishers import Steady, Uploader, held

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.soak.network import Network

RECENT = 10
"""How many of the newest acknowledged operations are asked for after each kill."""

NOT_YET = frozenset({404, 412, 429, 503})
"""What somebody who asks a node that has just started, and may have nothing yet, may be told."""


@dataclass
class Killed:
    """What happened. `restarts`: seconds from a start to the first answer, of each kill."""

    kills: int = 0
    while_starting: int = 0
    of: dict[str, int] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)
    acknowledged: int = 0
    answers: int = 0
    errors: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """For the record."""
        ordered = sorted(self.restarts)
        return {
            "commit": settle(),
            "kills": self.kills,
            "of": self.of,
            "while_starting": self.while_starting,
            "acknowledged": self.acknowledged,
            "answers": self.answers,
            "restart_s": {
                "median": round(ordered[len(ordered) // 2], 2),
                "p95": round(ordered[int(len(ordered) * 0.95)], 2),
                "most": round(ordered[-1], 2),
            },
            "errors": self.errors,
        }


class Asker(threading.Thread):
    """Somebody who counts what a node has, all the time."""

    def __init__(self, node: NodeProcess) -> None:
        super().__init__(name="asker")
        self.node, self.answers, self.errors = node, 0, list[str]()
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                answer = self.node.ask("GET", "/sparql?query=SELECT%20(COUNT(*)%20AS%20?n)%20%7B%20?s%20?p%20?o%20%7D")
            except GoneError:
                time.sleep(0.02)
                continue
            if answer.status == 200:
                self.answers += 1
            elif answer.status not in NOT_YET:
                self.errors.append(f"asking: {answer.status} {answer.body.decode()}")
            time.sleep(0.01)


def kill(folder: Path, times: int, seed: int, say: Callable[[str], None]) -> Killed:
    """Kill one of two nodes at a time, that which publishers use twice as often. Gives what happened."""
    rng, found = random.Random(seed), Killed()
    with network(folder) as made:
        uploaders = [Uploader(made.first, Steady(at, size=600)) for at in (1, 2)]
        askers = [Asker(node) for node in made.nodes.values()]
        threads: list[Uploader | Asker] = [*uploaders, *askers]
        for thread in threads:
            thread.start()
        try:
            while found.kills < times and not found.errors:
                time.sleep(rng.uniform(0.2, 1.5))
                _once(made, uploaders, rng, found)
                found.errors += [error for thread in threads for error in thread.errors]
                say(f"{found.kills} kills, {sum(len(one.acknowledged) for one in uploaders)} commits acknowledged")
        finally:
            for thread in threads:
                thread.ended.set()
            for thread in threads:
                thread.join()
        found.answers = sum(one.answers for one in askers)
        found.acknowledged = sum(len(one.acknowledged) for one in uploaders)
        if not found.errors:
            found.errors += _all_is_there(made, uploaders)
    return found


def _once(made: Network, uploaders: list[Uploader], rng: random.Random, found: Killed) -> None:
    name = rng.choice(("first", "first", "second"))
    node = made.nodes[name]
    acknowledged = [(one, list(one.locations)) for one in uploaders]
    seen = {one.actor.address: held(node, one.actor.address) for one in uploaders}
    node.kill()
    node.check()
    if rng.random() < 0.2:
        node.start(wait=False)
        time.sleep(rng.uniform(0.1, 1.5))
        node.kill()
        node.check()
        found.while_starting += 1
        found.kills += 1
    since = time.monotonic()
    node.start()
    found.restarts.append(time.monotonic() - since)
    found.kills += 1
    found.of[name] = found.of.get(name, 0) + 1
    if name == "first":
        for _, locations in acknowledged:
            found.errors += [error for location in locations[-RECENT:] for error in _lost(node, location)]
    for address, seq in seen.items():
        if (now := held(node, address)) < seq:
            found.errors.append(f"{name} had commit {seq} of {address.hex()}, and has {now} after it was killed")


def _lost(node: NodeProcess, location: str) -> list[str]:
    answer = node.ask("GET", location)
    if answer.status != 200:
        return [f"{location} was acknowledged, and is gone: {answer.status} {answer.body.decode()}"]
    return [f"{location} failed: {answer.json['error']}"] if answer.json["state"] == "failed" else []


def _all_is_there(made: Network, uploaders: list[Uploader]) -> list[str]:
    """Every commit that was acknowledged is final at the first node, once; both nodes have the same; both are whole."""
    errors = [error for one in uploaders for error in _all_final(made, one)]
    for node in made.nodes.values():
        if node.stop() != 0:
            errors.append(f"{node.directory.name} did not stop in order")
        node.check()
    return errors


def _all_final(made: Network, uploader: Uploader) -> list[str]:
    errors = []
    for location in uploader.locations:
        while not (lost := _lost(made.first, location)):
            if made.first.ask("GET", location).json["state"] == "final":
                break
            made.world.mine()
            time.sleep(0.1)
        errors += lost
    address = uploader.actor.address
    events = made.world.events(address)
    if [(event.commit.seq, event.commit.root) for event in events] != sorted(uploader.acknowledged.items()):
        errors.append(f"the chain has {len(events)} commits, and {len(uploader.acknowledged)} were acknowledged")
    for node in made.nodes.values():
        while held(node, address) < events[-1].commit.seq:
            time.sleep(0.1)
        if node.count(address) != events[-1].commit.count:
            errors.append(f"{node.directory.name} has not all quads of publisher {uploader.actor.number}")
    return errors
