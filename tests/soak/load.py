"""Everybody who uses a node at once: those who ask, those who read slowly or break off, peers that come and go."""

from __future__ import annotations

import random
import shutil
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dkg.errors import DkgError
from tests.node.core.processes import GoneError, NodeProcess
from tests.soak.network import SETTINGS, end, failing, free_port, honest
from tests.soak.publishers import held
from tests.soak.questions import BUSY, QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.soak.network import Network
    from tests.soak.publishers import Uploader

ERRORS_MAX = 20


class Tally:
    """What happened, counted, and what should not have."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def wrong(self, what: str) -> None:
        """Something that must not happen; the first few are kept."""
        with self._lock:
            self.counts["wrong"] += 1
            if len(self.errors) < ERRORS_MAX:
                self.errors.append(what)


class Player(threading.Thread):
    """Does one thing again and again, with pauses, until told to end. Whatever it raises is told, and ends it."""

    def __init__(self, name: str, tally: Tally, turn: Callable[[], None], pause_s: float) -> None:
        super().__init__(name=name)
        self.tally, self.turn, self.pause_s = tally, turn, pause_s
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(self.pause_s):
            try:
                self.turn()
            except GoneError as error:
                self.tally.wrong(f"{self.name}: no answer: {error}")
            except (AssertionError, DkgError, OSError, ValueError, KeyError) as error:
                self.tally.wrong(f"{self.name}: {error!r}")


def asker(nodes: Sequence[NodeProcess], seed: int, tally: Tally, pause_s: float) -> Player:
    """Somebody who asks all kinds of things."""
    rng = random.Random(seed)
    weights = [one.weight for one in QUESTIONS]

    def turn() -> None:
        (question,) = rng.choices(QUESTIONS, weights)
        answer = question.ask(rng.choice(nodes), rng)
        tally.count(f"{question.name} {answer.status}")
        if answer.status not in question.right | BUSY:
            tally.wrong(f"{question.name}: {answer.status} {answer.body[:300]!r}")

    return Player(f"asker {seed}", tally, turn, pause_s)


# --- connections -----------------------------------------------------------------------------------------------------


def connect(node: NodeProcess) -> socket.socket:
    host, _, port = urlsplit(node.url).netloc.partition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def slow(nodes: Sequence[NodeProcess], seed: int, tally: Tally) -> Player:
    """Somebody who sends or reads a byte at a time, or nothing, until the node has enough of it or there is no more."""
    rng = random.Random(seed)
    everything = b"GET /sparql?query=SELECT%20*%20%7B%20?s%20?p%20?o%20%7D HTTP/1.1\r\nHost: localhost\r\n\r\n"
    length = b"Content-Type: application/sparql-query\r\nContent-Length: 999\r\n\r\n"
    post = b"POST /sparql HTTP/1.1\r\nHost: localhost\r\n" + length

    def turn() -> None:
        kind = rng.choice(("header", "body", "reader", "silent"))
        with connect(rng.choice(nodes)) as made, suppress(ConnectionError, TimeoutError):
            if kind == "reader":
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                made.sendall(everything)
                for _ in range(100):
                    if not made.recv(512):
                        break
                    time.sleep(0.05)
            else:
                made.sendall({"header": everything[:30], "body": post, "silent": b""}[kind])
                for _ in range(rng.randrange(30)):
                    made.sendall(b"" if kind == "silent" else b"x")
                    time.sleep(0.2)
        tally.count(f"slow {kind}")

    return Player(f"slow {seed}", tally, turn, 0.1)


def churn(nodes: Sequence[NodeProcess], seed: int, tally: Tally, pause_s: float) -> Player:
    """Connections that are made and go at once, some in the middle of a request, some with a reset; to peers too."""
    rng = random.Random(seed)

    def turn() -> None:
        node = rng.choice(nodes)
        if rng.random() < 0.05:
            _junk_to_peer(node, rng)
            tally.count("churn peer")
            return
        with connect(node) as made:
            if rng.random() < 0.5:
                made.sendall(b"GET /sparql?query=ASK%20%7B%7D HTTP/1.1\r\nHost: localhost\r\n"[: rng.randrange(70)])
            if rng.random() < 0.5:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        tally.count("churn http")

    return Player(f"churn {seed}", tally, turn, pause_s)


def _junk_to_peer(node: NodeProcess, rng: random.Random) -> None:
    port = int(str(node.facts["peers"][0]).split("/")[4])
    with suppress(ConnectionError, TimeoutError), socket.create_connection(("127.0.0.1", port), timeout=5) as made:
        made.sendall(rng.choice((b"", rng.randbytes(200), b"\x13/multistream/1.0.0\n" + rng.randbytes(50))))


# --- peers and the chain ---------------------------------------------------------------------------------------------


def guest(network: Network, uploaders: Sequence[Uploader], tally: Tally, pause_s: float) -> Player:
    """A third node that joins, brings everything over, and is killed; now and then it begins with nothing."""
    rng = random.Random(3)
    node = NodeProcess(network.first.directory.with_name("guest"), network.first.world)
    bootstrap = [*network.first.facts["peers"], *network.second.facts["peers"]]
    node.settings |= SETTINGS | {
        "workers.workers": 1,
        "peers.listen": f"/ip4/127.0.0.1/tcp/{free_port()}",
        "peers.bootstrap": bootstrap,
    }

    def turn() -> None:
        if rng.random() < 0.3 and node.directory.exists():
            shutil.rmtree(node.directory)
        goals = [(one.actor.address, max(one.acknowledged, default=1) - 1) for one in uploaders]
        node.start()
        try:
            while any(held(node, address) < seq for address, seq in goals):
                if player.ended.wait(0.5):
                    return
            tally.count("guest has everything")
        finally:
            end(node)

    player = Player("guest", tally, turn, pause_s)
    return player


def weather(network: Network, tally: Tally, pause_s: float) -> Player:
    """A chain endpoint that is down, busy or breaks off for some seconds now and then."""
    rng = random.Random(4)

    def turn() -> None:
        kind = rng.randrange(3)
        network.endpoint.rule = failing(kind)
        player.ended.wait(rng.uniform(1.0, 4.0))
        network.endpoint.rule = honest
        network.endpoint.calls.clear()
        tally.count(f"endpoint fault {kind}")

    player = Player("weather", tally, turn, pause_s)
    return player
