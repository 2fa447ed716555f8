"""Nodes as processes that find each other over libp2p: what is published at one is answered by all."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.node.core.processes import NodeProcess, two_nodes
from tests.node.publish.conftest import development, here
from tests.node.publish.world import KEYS, World
from tests.sim.actors import Actor, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.chain.registry import Committed

__all__ = ["development", "here"]


@pytest.fixture
def network(folder: Path, here: World) -> Iterator[list[NodeProcess]]:
    """Two nodes, of which the second knows where the first is."""
    with two_nodes(folder, here, KEYS[5], own=False) as both:
        yield both


def held(node: NodeProcess, actor: Actor) -> int:
    """The number of a publisher's newest commit whose dataset is at a node."""
    answer = node.ask("GET", f"/v1/publishers/0x{actor.address.hex()}")
    if answer.status != 200 or answer.json["held"] is None:
        return 0
    return int(answer.json["held"]["seq"])


def publish(node: NodeProcess, actor: Actor, latest: Committed | None, rng: random.Random) -> Committed:
    """Hand a commit in; gives it when it is on the chain."""
    signed, car = actor.next(rng, latest, 7, key_of(actor.number), node.world.domain)
    assert node.hand_in(signed, car, f"{actor.number}-{signed.commit.seq}").status == 202
    while len(found := node.world.events(actor.address)) < signed.commit.seq:
        time.sleep(0.01)
    return found[-1]


@pytest.mark.slow
def test_what_is_published_at_one_node_is_answered_by_the_other_which_goes_on_alone(
    network: list[NodeProcess], here: World
) -> None:
    first, second = network
    actor, rng = Actor(1), random.Random(1)
    latest = None
    for seq in range(1, 4):
        latest = publish(first, actor, latest, rng)
        while held(second, actor) < seq:
            time.sleep(0.02)
        assert second.count(actor.address) == latest.commit.count
    assert latest is not None
    roots = {node.ask("GET", "/v1/dataset").json["root"] for node in network}
    assert len(roots) == 1
    while len(accepted := second.events("accepted")) < 3:  # a log is written when there is time for it
        time.sleep(0.02)
    assert [one["seq"] for one in accepted] == [1, 2, 3]
    assert accepted[-1]["by_change"]  # not page by page
    while [len(node.ask("GET", "/v1/peers").json["items"]) for node in network] != [1, 1]:
        time.sleep(0.1)
    first.kill()
    assert second.count(actor.address) == latest.commit.count
    third = NodeProcess(second.directory.with_name("third"), here)
    third.settings["peers.bootstrap"] = second.facts["peers"]
    third.start()
    while held(third, actor) < 3:
        time.sleep(0.02)
    assert third.count(actor.address) == latest.commit.count
    assert [third.stop(), second.stop()] == [0, 0]
    for node in (second, third):
        node.check()
