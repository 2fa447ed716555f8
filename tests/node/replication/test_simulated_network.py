"""Networks of many nodes, in virtual time, with every fault at once and then none (rows C1-C3, C5, C9, G3).

Each seed is a history of its own. While it lasts, every head that any node accepts is checked as it is accepted: it is
on the chain (I3), its dataset is whole (I2), and it is no step back (I5). Requests under way are bounded (I8). When
faults stop, all honest nodes come to what the chain says (I9); liars go on lying.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from node.replication import fetch
from node.replication.replicate import Replication, Report
from node.replication.replicator import Settings
from node.replication.serve import Quotas
from tests.datasets import university
from tests.sim.liars import KINDS, liar
from tests.sim.loop import SimEvent, SimRuntime, StuckError
from tests.sim.node import (
    HeadMovedBackError,
    IncompleteHeadError,
    Publisher,
    SimNode,
    UnanchoredHeadError,
    network,
)
from tests.sim.transport import Weather

if TYPE_CHECKING:
    from node.replication.messages import Anchored
    from tests.sim.loop import Loop

FAULTS_S = 60.0
"""How long faults last, in seconds."""

CONVERGED_S = 240.0
"""How long nodes may take to come to what the chain says when faults have stopped, in seconds."""

UNDER_WAY_MAX = 2 * fetch.PEERS_WAITED_MAX * fetch.REQUESTS_MAX + 8
"""Requests of one node under way at a time: of two datasets, of anti-entropy, of greetings."""

QUADS = university(120)


class History:
    """One run."""

    def __init__(self, seed: int, nodes: int, liars: int = 0, publishers: int = 2, commits: int = 3) -> None:
        self.loop, self.net = network(seed)
        self.rng = self.loop.rng
        self.log: list[Anchored] = []
        self.nodes = [SimNode(self.net, f"n{number}", self.log) for number in range(nodes)]
        self.liars = [SimNode(self.net, f"liar{number}", self.log) for number in range(liars)]
        for number, node in enumerate(self.liars):
            self.net.liars[node.name] = liar(KINDS[(seed + number) % len(KINDS)], node.runtime)
        self.publishers = [Publisher(number + 1) for number in range(publishers)]
        self.commits = commits
        self.converged_s = 0.0

    @property
    def everybody(self) -> list[SimNode]:
        return [*self.nodes, *self.liars]

    def run(self, *, faults: bool = True) -> None:
        self.loop.run(self._main, faults)

    async def _main(self, faults: bool) -> None:  # noqa: FBT001 - of `run`
        runtime = self.nodes[0].runtime
        async with runtime.nursery() as nursery:
            for node in self.everybody:
                nursery.start_soon(node.replicator.run)
            nursery.start_soon(self._publish)
            if faults:
                await self._trouble()
            await runtime.sleep(max(0.0, FAULTS_S - runtime.now()))
            for node in self.everybody:
                node.transport.up = True
                node.see(len(self.log))
            since = runtime.now()
            while not all(node.up_to_date() for node in self.nodes):
                await runtime.sleep(0.5)
                assert runtime.now() - since < CONVERGED_S, self.behind()
            self.converged_s = runtime.now() - since
            nursery.cancel()

    def behind(self) -> str:
        """Who is not there yet, and why."""
        late = [node for node in self.nodes if not node.up_to_date()]
        return "; ".join(f"{node.name}: {list(node.replicator.trouble.values())}" for node in late)

    async def _publish(self) -> None:
        """Commits at random times, each put on a random node, seen by the others after a while."""
        runtime = self.nodes[0].runtime
        for number in range(self.commits * len(self.publishers)):
            await runtime.sleep(self.rng.uniform(0, FAULTS_S / (self.commits * len(self.publishers)) - 1))
            publisher = self.rng.choice(self.publishers)
            start = self.rng.randrange(len(QUADS) - 200)
            some = QUADS[start : start + self.rng.randrange(1, 200)]
            head = publisher.commit(some, QUADS[start + 3 : start + 6] if number % 2 else [], len(self.log))
            self.log.append(head)
            homes = self.rng.sample(self.nodes, 1)
            homes[0].publish(publisher, head)
            for node in self.everybody:
                if node not in homes:
                    self.loop.call_later(self.rng.uniform(0, 20), partial(node.see, len(self.log)))

    async def _trouble(self) -> None:
        """Bad weather, cut links in one direction or both, nodes that are down, and all of it changing."""
        runtime = self.nodes[0].runtime
        names = [node.name for node in self.everybody]
        while runtime.now() < FAULTS_S:
            self.net.weather = Weather(0.001, self.rng.choice([0.05, 3.0]), self.rng.choice([0, 0.1, 0.4]), 0.1)
            self.net.heal()
            self.rng.shuffle(names)
            half = self.rng.randrange(len(names))
            kind = self.rng.randrange(4)
            if kind == 1:
                self.net.partition(names[:half], names[half:])
            elif kind == 2:
                self.net.cut = {(a, b) for a in names for b in names if self.rng.random() < 0.3}  # one way
            for node in self.everybody:
                node.transport.up = kind != 3 or self.rng.random() < 0.6
            await runtime.sleep(self.rng.uniform(1, 20))
        self.net.weather = Weather()
        self.net.heal()

    def check(self) -> None:
        for node in self.nodes:
            assert node.up_to_date()
            assert node.transport.counted.under_way_most <= UNDER_WAY_MAX
            assert not node.heads.malformed
            for peer, _, why in node.transport.counted.penalties:
                assert peer.startswith("liar") or "did not answer" in why, (node.name, peer, why)


@pytest.mark.parametrize("seed", range(24))
def test_three_to_six_nodes_and_a_liar_converge_after_every_fault(seed: int) -> None:
    history = History(seed, nodes=3 + seed % 4, liars=1)
    history.run()
    history.check()


def test_ten_nodes_with_liars_of_every_kind_converge_after_every_fault() -> None:
    history = History(1000, nodes=10, liars=len(KINDS), commits=2)
    history.run()
    history.check()


@pytest.mark.slow
def test_thirty_nodes_converge_after_every_fault() -> None:
    history = History(2000, nodes=30, liars=3, commits=1)
    history.run()
    history.check()


@pytest.mark.parametrize("kind", KINDS)
def test_a_majority_of_liars_of_one_kind_stops_nobody(kind: str) -> None:
    history = History(3000, nodes=3, liars=6)
    for node in history.liars:
        history.net.liars[node.name] = liar(kind, node.runtime)
    history.run(faults=False)
    history.check()


def lose(message: bytes) -> None:
    del message


@pytest.mark.parametrize("seed", range(4))
def test_where_all_announcements_are_lost_anti_entropy_finds_everything(seed: int) -> None:
    history = History(4000 + seed, nodes=5)
    for node in history.nodes:
        node.transport.announce = lose  # type: ignore[method-assign]
    history.run(faults=False)
    history.check()


def test_one_seed_is_one_history_and_another_seed_another() -> None:
    histories = [History(seed, nodes=5, liars=1) for seed in (7, 7, 8)]
    for history in histories:
        history.run()
    first, again, other = (
        (h.loop.steps, h.loop.time, [n.transport.counted for n in h.everybody], [n.heads.history for n in h.nodes])
        for h in histories
    )
    assert first == again
    assert first != other


# --- the chain goes back ---------------------------------------------------------------------------------------------


def settle(loop: Loop, nodes: list[SimNode], seconds: float = 60.0) -> None:
    async def main() -> None:
        runtime = nodes[0].runtime
        async with runtime.nursery() as nursery:
            for node in nodes:
                nursery.start_soon(node.replicator.run)
            await runtime.sleep(seconds)
            nursery.cancel()

    loop.run(main)


def test_after_a_reorganisation_heads_follow_the_chain_and_only_then_go_back() -> None:
    loop, net = network(1)
    log: list[Anchored] = []
    nodes = [SimNode(net, f"n{number}", log) for number in range(4)]
    publisher, other = Publisher(1), Publisher(1)
    first = publisher.commit(QUADS[:50], [], 0)
    other.commit(QUADS[:50], [], 0)
    gone = publisher.commit(QUADS[50:90], [], 1)
    instead = other.commit(QUADS[60:120], [], 1)
    log += [first, gone]
    nodes[0].publish(publisher, first)
    nodes[0].publish(publisher, gone)
    for node in nodes:
        node.see(2)
    settle(loop, nodes)
    assert [node.heads.held(publisher.address) for node in nodes] == [gone] * 4
    for node in nodes:
        node.reorganise([first])
    settle(loop, nodes)
    assert [node.heads.held(publisher.address) for node in nodes] == [first] * 4
    for node in nodes:
        node.reorganise([first, instead])
    nodes[3].publish(other, instead)
    settle(loop, nodes)
    assert [node.heads.held(publisher.address) for node in nodes] == [instead] * 4


def test_a_node_that_sees_the_chain_late_never_takes_a_newer_head_back() -> None:
    loop, net = network(1)
    log: list[Anchored] = []
    nodes = [SimNode(net, f"n{number}", log) for number in range(2)]
    publisher = Publisher(1)
    log += [publisher.commit(QUADS[:50], [], 0), publisher.commit(QUADS[50:90], [], 1)]
    for head in log:
        nodes[0].publish(publisher, head)
    nodes[1].see(2)
    settle(loop, nodes)
    assert nodes[1].heads.held(publisher.address) == log[1]
    nodes[1].chain.wanted = lambda: [log[0]]  # type: ignore[method-assign]  # a view that lags behind
    settle(loop, nodes)
    assert nodes[1].heads.held(publisher.address) == log[1]


def test_a_malformed_commit_is_refused_once_and_not_fetched_again() -> None:
    loop, net = network(1)
    log: list[Anchored] = []
    nodes = [SimNode(net, f"n{number}", log) for number in range(2)]
    publisher = Publisher(1)
    head = publisher.commit(QUADS[:50], [], 0)
    wrong = type(head)(head.publisher, 1, head.root, head.count + 1, 0)
    log.append(wrong)
    nodes[0].store.put_many(publisher.store.pages.items())
    for node in nodes:
        node.see(1)
    settle(loop, nodes, 300)
    assert (
        "the commit says" in nodes[1].heads.malformed[head.root] or "not one of" in nodes[1].heads.malformed[head.root]
    )
    assert nodes[1].heads.held(publisher.address) is None
    assert nodes[1].transport.counted.requests < 60  # greetings and anti-entropy; the pages once
    assert not nodes[1].transport.counted.penalties


def test_a_dataset_that_is_too_large_for_this_node_is_not_fetched_and_says_so() -> None:
    loop, net = network(1)
    log: list[Anchored] = []
    publisher = Publisher(1)
    log.append(publisher.commit(QUADS[:50], [], 0))
    most = log[0].count
    nodes = [SimNode(net, f"n{less}", log, settings=Settings(quads_max=most - less)) for less in range(2)]
    home = SimNode(net, "home", log)
    home.publish(publisher, log[0])
    for node in nodes:
        node.see(1)
    settle(loop, [home, *nodes])
    assert nodes[0].heads.held(publisher.address) == log[0]
    assert nodes[1].heads.held(publisher.address) is None
    assert f"this node takes {most - 1} at most" in nodes[1].replicator.trouble[publisher.address]


class SlowDirectory:
    """A directory that takes as long as Kademlia may, and connects a node with whom it finds."""

    def __init__(self, loop: Loop, found: list[str], links: list[str]) -> None:
        self.runtime = SimRuntime(loop, "directory")
        self.found = found
        self.links = links
        self.asked: list[bytes] = []

    async def provide(self, root: bytes) -> None:
        """Told."""

    async def find(self, root: bytes) -> list[str]:
        self.asked.append(root)
        await self.runtime.sleep(25.0)
        self.links += self.found
        return self.found


def test_nobody_waits_for_the_directory_when_a_peer_at_hand_has_the_dataset() -> None:
    loop, net = network(1)
    log: list[Anchored] = []
    directory = SlowDirectory(loop, [], [])
    home, node = SimNode(net, "home", log), SimNode(net, "node", log, directory=directory)
    publisher = Publisher(1)
    log.append(publisher.commit(QUADS[:50], [], 0))
    node.see(1)  # before anybody has it
    loop.call_later(0.5, lambda: home.publish(publisher, log[0]))
    settle(loop, [home, node], 5.0)
    assert node.up_to_date()
    assert directory.asked == []


def test_a_dataset_that_only_the_directory_knows_of_is_found_through_it() -> None:
    loop, net = network(1)
    log: list[Anchored] = []
    links = ["crowd"]
    directory = SlowDirectory(loop, ["home"], links)
    home, crowd = SimNode(net, "home", log), SimNode(net, "crowd", log)
    node = SimNode(net, "node", log, links=links, directory=directory)
    publisher = Publisher(1)
    log.append(publisher.commit(QUADS[:50], [], 0))
    home.store.put_many(publisher.store.pages.items())
    home.see(1)
    home.heads.accept(log[0])
    node.see(1)
    settle(loop, [home, crowd, node], 60.0)
    assert node.up_to_date()
    assert directory.asked[0] == log[0].root


# --- floods ----------------------------------------------------------------------------------------------------------


def latencies(net_seed: int, flooders: int) -> list[float]:
    """How long an honest peer's requests take, in seconds, while others ask as much as they can."""
    loop, net = network(net_seed)
    log: list[Anchored] = []
    server = SimNode(net, "server", log, quotas=Quotas())
    server.runtime._disk_s = 0.001
    publisher = Publisher(1)
    head = publisher.commit(QUADS[:200], [], 0)
    log.append(head)
    server.publish(publisher, head)
    honest = SimNode(net, "honest", log)
    rude = [SimNode(net, f"rude{number}", log) for number in range(flooders)]
    taken: list[float] = []

    async def flood(node: SimNode) -> None:
        while True:
            message = node.replicator._asker._hello.encode()
            await node.transport.request("server", message, timeout_s=100, bytes_max=4096)

    async def main() -> None:
        async with honest.runtime.nursery() as nursery:
            for node in rude:
                for _ in range(20):
                    nursery.start_soon(flood, node)
            cids = list(publisher.store.pages)[:20]
            for _ in range(50):
                since = honest.runtime.now()
                await honest.replicator._asker.pages("server", cids)
                taken.append(honest.runtime.now() - since)
            nursery.cancel()

    loop.run(main)
    return sorted(taken)


@pytest.mark.parametrize("seed", range(10))
def test_an_honest_peer_is_served_as_fast_while_others_flood(seed: int) -> None:
    alone, flooded = latencies(seed, 0), latencies(seed, 3)
    p99 = int(len(alone) * 0.99)
    assert flooded[p99] <= 2 * alone[p99]


# --- canaries: each checker sees what it is there for -----------------------------------------------------------------


async def accept_without_fetching(self: Replication, head: Anchored, old: bytes | None) -> Report:
    del self, old
    return Report(head, by_change=False, pages=0, page_bytes=0, seconds=0.0)


def test_canary_a_node_that_accepts_what_it_has_not_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replication, "run", accept_without_fetching)
    with pytest.raises(BaseExceptionGroup) as caught:
        History(1, nodes=3).run(faults=False)
    assert caught.group_contains(IncompleteHeadError)


def test_canary_a_node_that_leaves_out_three_trees_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.replication.replicate.complete_dataset", lambda *_args, **_more: None)
    with pytest.raises(BaseExceptionGroup) as caught:
        History(1, nodes=3).run(faults=False)
    assert caught.group_contains(IncompleteHeadError)


def test_canary_a_head_that_is_on_no_chain_and_one_that_goes_back_are_caught() -> None:
    loop, net = network(1)
    log: list[Anchored] = []
    node = SimNode(net, "n", log)
    publisher = Publisher(1)
    heads = [publisher.commit(QUADS[:50], [], 0), publisher.commit(QUADS[50:90], [], 1)]
    with pytest.raises(UnanchoredHeadError):
        node.heads.accept(heads[0])
    log += heads
    for head in heads:
        node.publish(publisher, head)
    with pytest.raises(HeadMovedBackError):
        node.heads.accept(heads[0])
    assert loop.time == 0


def test_canary_a_network_that_cannot_converge_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(1, nodes=3)
    monkeypatch.setattr(type(history.nodes[0].transport), "peers", lambda _self: [])
    with pytest.raises(BaseExceptionGroup) as caught:
        history.run(faults=False)
    assert caught.group_contains(AssertionError, match="n1|n2")


def test_canary_a_simulation_that_hangs_is_seen() -> None:
    loop, _net = network(1)
    never = SimEvent()

    async def main() -> None:
        await never.wait()

    with pytest.raises(StuckError, match="nothing can go on"):
        loop.run(main)
