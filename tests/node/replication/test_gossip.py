"""Announcements: told in batches and seldom, heard within a budget, and never believed."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from node.replication import gossip
from node.replication.acquaintance import Acquaintances
from node.replication.gossip import ALL_HEARD_BURST, HEARD_BURST, INTERVAL_S, NEWS_S, Gossip
from node.replication.ledger import BROKEN, NOISE
from node.replication.limits import ANNOUNCED_MAX
from node.replication.messages import Anchored, Announcement, decode
from tests.node.replication.examples import REGISTRY, head
from tests.sim.loop import Loop, SimRuntime
from tests.sim.node import HELLO, SimChain
from tests.sim.transport import SimNet, SimTransport

if TYPE_CHECKING:
    import pytest


class Listener:
    """One node, and all that it makes of what it hears."""

    def __init__(self, log: list[Anchored] | None = None) -> None:
        self.loop = Loop(1)
        net = SimNet(self.loop)
        self.runtime = SimRuntime(self.loop)
        self.transport = SimTransport(net, "listener", self.runtime)
        self.sent: list[tuple[float, Announcement]] = []
        self.transport.announce = self._announced  # type: ignore[method-assign]
        self.acquaintances = Acquaintances(self.runtime.random)
        self.chain = SimChain(log or [])
        self.chain.seen = len(self.chain.log)
        self.heard: list[Anchored] = []
        self.news: list[float] = []
        self.gossip = Gossip(
            self.runtime, self.transport, HELLO, self.chain, self.acquaintances,
            heard=self.heard.append, unknown=lambda: self.news.append(self.runtime.now()),
        )  # fmt: skip

    def _announced(self, message: bytes) -> None:
        self.sent.append((self.runtime.now(), decode(message, Announcement)))

    def wait(self, seconds: float) -> None:
        self.loop.run(self.runtime.sleep, seconds)

    @property
    def penalties(self) -> list[int]:
        return [points for _, points, _ in self.transport.counted.penalties]


def told(*heads: Anchored) -> bytes:
    return Announcement(HELLO.chain, HELLO.registry, heads).encode()


def test_a_head_that_is_on_the_chain_says_where_it_is_and_any_other_only_that_there_may_be_news() -> None:
    first, second = head(0), head(1)
    listener = Listener([first])
    listener.gossip.hear("a", told(first, second))
    assert listener.heard == [first]
    assert listener.news == [0.0]
    assert listener.acquaintances.providers(first.root, ["a", "b"]) == ["a"]
    assert listener.acquaintances.providers(second.root, ["a"]) == ["a"]  # whom to ask first, once the chain has it
    assert not listener.penalties


def test_announcements_of_another_network_and_junk_are_penalised() -> None:
    listener = Listener()
    listener.gossip.hear("a", Announcement(HELLO.chain + 1, HELLO.registry, (head(0),)).encode())
    listener.gossip.hear("a", Announcement(HELLO.chain, REGISTRY, (head(0),)).encode())
    listener.gossip.hear("a", b"junk")
    listener.gossip.hear("a", HELLO.encode())
    assert listener.penalties == [NOISE, NOISE, BROKEN, BROKEN]
    assert listener.heard == []
    assert listener.news == []


def test_one_who_announces_without_end_is_not_listened_to_and_others_are() -> None:
    listener = Listener([head(0)])
    for _ in range(100):
        listener.gossip.hear("loud", told(head(0)))
    assert len(listener.heard) == HEARD_BURST
    assert not listener.penalties  # it may be another who repeats what it said
    listener.gossip.hear("quiet", told(head(0)))
    assert len(listener.heard) == HEARD_BURST + 1
    listener.wait(1.5)
    listener.gossip.hear("loud", told(head(0)))
    assert len(listener.heard) == HEARD_BURST + 2


def test_a_thousand_names_are_listened_to_no_more_than_all_may_be() -> None:
    log = [head(0)]
    listener = Listener(log)
    for number in range(1000):
        listener.gossip.hear(f"sybil{number}", told(log[0]))
    assert len(listener.heard) == ALL_HEARD_BURST
    assert not listener.penalties


def test_the_chain_is_looked_at_no_oftener_than_once_a_second_for_what_peers_say() -> None:
    listener = Listener()
    for number in range(50):
        listener.gossip.hear(f"p{number}", told(head(number)))
        listener.wait(0.1)
    assert 4 <= len(listener.news) <= 6
    assert all(after - before >= NEWS_S for before, after in pairwise(listener.news))


def test_budgets_of_more_peers_than_are_remembered_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gossip, "PEERS_MAX", 10)
    listener = Listener()
    for number in range(100):
        listener.gossip.hear(f"p{number}", told(head(0)))
    assert len(listener.gossip._budgets) == 10


def test_heads_are_told_together_and_the_latest_of_a_publisher_alone() -> None:
    listener = Listener()
    heads = [head(number) for number in range(ANNOUNCED_MAX + 10)]
    for one in heads:
        listener.gossip.tell(Anchored(one.publisher, 1, head(999).root, 0, 0))
        listener.gossip.tell(one)

    async def main() -> None:
        async with listener.runtime.nursery() as nursery:
            nursery.start_soon(listener.gossip.run)
            await listener.runtime.sleep(60)
            listener.gossip.tell(head(5))
            await listener.runtime.sleep(60)
            nursery.cancel()

    listener.loop.run(main)
    assert [len(message.heads) for _, message in listener.sent] == [ANNOUNCED_MAX, 10, 1]
    assert [one for _, message in listener.sent for one in message.heads] == [*heads, head(5)]
    times = [at for at, _ in listener.sent]
    assert all(after - before >= INTERVAL_S for before, after in pairwise(times))
