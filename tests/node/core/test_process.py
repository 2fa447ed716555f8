"""The node as a process: starting, stopping, signals, and `kill -9` under load (row A2)."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from dkg.chain.commit import ZERO_HASH
from dkg.chain.secp import address_of
from node.core.statusfile import STATUS_FILE
from tests.node.core.processes import GoneError, NodeProcess
from tests.node.publish.conftest import development, here
from tests.node.publish.world import KEY, KEYS, World
from tests.sim.actors import Actor, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.chain.registry import Committed

__all__ = ["development", "here"]

KILLS = 100 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 20
PAYER = KEYS[5]


@pytest.fixture
def node(folder: Path, here: World) -> Iterator[NodeProcess]:
    """A node that is not started yet."""
    made = NodeProcess(folder / "node", here)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


class Uploader(threading.Thread):
    """A publisher that hands commits in, one after the other, and asks whoever does not answer again."""

    def __init__(self, node: NodeProcess, number: int) -> None:
        super().__init__()
        self.node = node
        self.actor = Actor(number)
        self.rng = random.Random(number)
        self.acknowledged: dict[str, tuple[int, bytes]] = {}
        self.locations: list[str] = []
        self.ended = threading.Event()
        self.errors: list[str] = []
        self.latest: Committed | None = None

    def run(self) -> None:
        while not self.ended.is_set():
            seq = self.latest.commit.seq + 1 if self.latest else 1
            signed, car = self.actor.next(self.rng, self.latest, 7, key_of(self.actor.number), self.node.world.domain)
            if not self._handed_in(signed, car, f"{self.actor.number}-{seq}"):
                return
            while not self.ended.is_set():
                found = self.node.world.events(self.actor.address)
                if found and found[-1].commit.seq == seq:
                    self.latest = found[-1]
                    break
                time.sleep(0.05)

    def _handed_in(self, signed: object, car: bytes, key: str) -> bool:
        while not self.ended.is_set():
            try:
                answer = self.node.hand_in(signed, car, key)  # type: ignore[arg-type]  # a signed commit
            except GoneError:
                time.sleep(0.05)
                continue
            if answer.status in {200, 202}:
                self.acknowledged[key] = signed.commit.seq, signed.commit.root  # type: ignore[attr-defined]
                self.locations.append(answer.headers["location"])
                return True
            if answer.status not in {429, 503}:
                self.errors.append(answer.body.decode())
                return False
            time.sleep(0.05)
        return False


class Asker(threading.Thread):
    """Somebody who asks all the time."""

    def __init__(self, node: NodeProcess) -> None:
        super().__init__()
        self.node = node
        self.answers = 0
        self.ended = threading.Event()
        self.errors: list[str] = []

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                self.node.count()
                self.answers += 1
            except GoneError:
                time.sleep(0.02)
            except AssertionError as error:
                if "not-ready" not in str(error) and "moment" not in str(error):
                    self.errors.append(str(error))


@pytest.mark.slow
def test_a_node_that_is_killed_again_and_again_under_load_loses_nothing_it_acknowledged(
    node: NodeProcess, here: World
) -> None:
    rng = random.Random(1)
    node.with_key(PAYER, own=False)
    node.start()
    uploaders = [Uploader(node, 1), Uploader(node, 2)]
    asker = Asker(node)
    threads: list[Uploader | Asker] = [*uploaders, asker]
    for thread in threads:
        thread.start()
    slowest = 0.0
    try:
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.1, 1.0))
            node.kill()
            node.check()
            since = time.monotonic()
            node.start(wait=False)
            if rng.random() < 0.2:
                time.sleep(rng.uniform(0.2, 1.5))  # while it starts
                node.kill()
                node.check()
                node.start(wait=False)
                since = time.monotonic()
            node.wait_until_up()
            slowest = max(slowest, time.monotonic() - since)
    finally:
        for thread in threads:
            thread.ended.set()
        for thread in threads:
            thread.join()
    assert [thread.errors for thread in threads] == [[]] * len(threads)
    check_everything_is_there(node, here, uploaders)
    assert asker.answers > 0
    assert node.stop() == 0
    node.check()


def check_everything_is_there(node: NodeProcess, world: World, uploaders: list[Uploader]) -> None:
    """Every commit that was acknowledged is final, once, and can be asked."""
    assert sum(len(one.acknowledged) for one in uploaders) > KILLS / 2
    for uploader in uploaders:
        for location in uploader.locations:
            while True:
                answer = node.ask("GET", location)
                assert answer.status == 200, answer.body
                if answer.json["state"] == "final":
                    break
                assert answer.json["state"] != "failed", answer.json
                world.mine()
                time.sleep(0.1)
        events = world.events(uploader.actor.address)
        assert {(one.commit.seq, one.commit.root) for one in events} == {*uploader.acknowledged.values()}
        assert node.count(uploader.actor.address) == events[-1].commit.count


# --- starting and stopping -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_node_starts_answers_and_stops_in_order(node: NodeProcess, here: World) -> None:
    node.start()
    assert node.facts["pid"] == node.process.pid  # type: ignore[union-attr]  # it was started
    assert node.facts["peers"][0].startswith("/ip4/127.0.0.1/tcp/")
    answer = node.ask("GET", "/v1/status")
    assert answer.json["chain"]["block"] >= 0
    assert answer.json["network"]["id"] in node.facts["peers"][0]
    assert answer.json["workers"]["all"] == 1
    assert node.stop() == 0
    assert not (node.directory / STATUS_FILE).exists()
    assert [one["event"] for one in node.events("stopped")] == ["stopped"]
    assert node.events("died") == []
    node.start()
    assert node.stop(signal.SIGINT) == 0
    assert here.url


@pytest.mark.slow
def test_what_keeps_a_node_from_starting_is_one_sentence_and_leaves_nothing_behind(
    node: NodeProcess, here: World
) -> None:
    node.start()
    second = NodeProcess(node.directory, here)
    with pytest.raises(GoneError, match="open to be written by another process"):
        second.start()
    node.stop()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        node.settings["http.port"] = taken.getsockname()[1]
        with pytest.raises(GoneError, match="cannot listen at"):
            node.start()
        assert node.process is not None
        assert node.process.returncode == 2
    assert node.status_file() == {}
    node.settings |= {"http.port": 0, "peers.listen": "/ip4/127.0.0.1/udp/1"}
    with pytest.raises(GoneError, match=r"\[peers\] of"):
        node.start()
    node.settings |= {"peers.listen": "/ip4/127.0.0.1/tcp/0", "publish.home": str(node.directory)}
    with pytest.raises(GoneError, match=r"publish\.password_file is not"):
        node.start()
    node.settings |= {"publish.home": "", "peers.enabled": False}
    node.start()
    assert node.facts["peers"] == []
    assert node.stop() == 0


@pytest.mark.slow
def test_a_node_whose_endpoint_is_down_starts_and_answers_from_what_it_has(node: NodeProcess, here: World) -> None:
    node.with_key(PAYER, own=False)
    node.start()
    actor = Actor(1)
    signed, car = actor.next(random.Random(1), None, 7, key_of(1), here.domain)
    assert node.hand_in(signed, car, "it").status == 202
    while not here.events(actor.address):
        time.sleep(0.05)
    here.mine(4)
    while node.ask("GET", "/v1/operations?limit=1").json["items"][0]["state"] != "final":
        time.sleep(0.05)
    node.kill()
    node.settings["chain.endpoints"] = ["http://127.0.0.1:9"]
    node.start()
    assert node.count(actor.address) == signed.commit.count
    status = node.ask("GET", "/v1/status").json
    assert status["chain"]["condition"] in {"starting", "down"}
    assert node.stop() == 0


@pytest.mark.slow
def test_a_document_is_published_by_the_process_with_its_own_key(node: NodeProcess, here: World) -> None:
    node.with_key(KEY, relay=False)
    node.start()
    answer = node.ask(
        "POST",
        "/v1/assets?name=cities",
        b"<https://e/a> <https://e/b> <https://e/c> .",
        {"Content-Type": "text/turtle"},
    )
    assert answer.status == 202, answer.body
    while node.ask("GET", answer.headers["location"]).json["state"] not in {"mined", "final"}:
        time.sleep(0.05)
    assert node.count(address_of(KEY)) > 1
    assert node.stop() == 0
    text = node.log.read_text() + json.dumps(node.facts)
    assert KEY.hex() not in text
    assert "correct horse" not in text
    assert here.events()[0].commit.previous == ZERO_HASH
