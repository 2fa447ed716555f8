"""A network in memory, in virtual time: what `node/peers` does over libp2p, with every fault that a network has.

`SimNet` is the network, `SimTransport` one node's end of it. Messages are delayed, lost, doubled and overtaken as
`Weather` says, links are cut in one direction or both, and a node's answers can be bent by a liar. What it counts is
what the invariants are about: requests under way, bytes, and who was penalised for what.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from node.replication.errors import PeerError, UnreachableError
from node.replication.ledger import Ledger
from tests.sim.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from node.replication.transport import AnnouncementHandler, RequestHandler
    from tests.sim.loop import Loop, SimRuntime

    Liar = Callable[[str, bytes, bytes], Awaitable[bytes]]
    """Bends an answer: the peer that asks, its message, and the honest answer."""


ANNOUNCED_MAX = 4


@dataclass(slots=True)
class Weather:
    """What messages meet. Probabilities from 0 to 1, times in seconds."""

    delay_min_s: float = 0.005
    delay_max_s: float = 0.05
    loss: float = 0.0
    twice: float = 0.0


@dataclass(slots=True)
class Counted:
    """What a node did to the network."""

    requests: int = 0
    request_bytes: int = 0
    answer_bytes: int = 0
    under_way: int = 0
    under_way_most: int = 0
    penalties: list[tuple[str, int, str]] = field(default_factory=list)


class SimNet:
    """All nodes, and what lies between them."""

    def __init__(self, loop: Loop, weather: Weather | None = None) -> None:
        self.loop = loop
        self.weather = weather or Weather()
        self.nodes: dict[str, SimTransport] = {}
        self.cut: set[tuple[str, str]] = set()
        """Links that carry nothing, in one direction."""
        self.liars: dict[str, Liar] = {}
        self.faults = Faults()
        self.traffic: Counter[str] = Counter()
        """Bytes by whoever sent them, announcements included, and how many messages: `messages NAME`."""
        self.announced: list[bytes] = []
        """The first announcements that anybody made."""

    def partition(self, *groups: list[str]) -> None:
        """Cut all links between the groups."""
        self.faults.add("G3 partitions")
        for group in groups:
            for other in groups:
                if other is not group:
                    self.cut |= {(a, b) for a in group for b in other}

    def heal(self) -> None:
        self.cut.clear()

    def arrivals(self, source: str, target: str) -> list[float]:
        """The delays after which a message comes: none, one, or two of them."""
        weather, rng = self.weather, self.loop.rng
        if (source, target) in self.cut or rng.random() < weather.loss:
            self.faults.add("G3 lost")
            return []
        copies = 1
        if rng.random() < weather.twice:
            copies = 2
            self.faults.add("G3 doubled")
        delays = [rng.uniform(weather.delay_min_s, weather.delay_max_s) for _ in range(copies)]
        self.faults.add("G3 late", sum(delay > 1.0 for delay in delays))
        return delays

    def sent(self, source: str, message: bytes) -> None:
        """Count a message."""
        self.traffic[source] += len(message)
        self.traffic[f"messages {source}"] += 1


class SimTransport:
    """See `node.replication.transport.Transport`."""

    def __init__(self, net: SimNet, name: str, runtime: SimRuntime, links: list[str] | None = None) -> None:
        """`links`: who can be reached; None: everybody."""
        self._net = net
        self._runtime = runtime
        self._links = links
        self._ledger = Ledger()
        self._request: RequestHandler | None = None
        self._announcement: AnnouncementHandler | None = None
        self.name = name
        self.up = True
        self.counted = Counted()
        net.nodes[name] = self

    def peers(self) -> list[str]:
        names = self._links if self._links is not None else list(self._net.nodes)
        now = self._runtime.now()
        return [name for name in names if name != self.name and not self._ledger.is_out(name, now)]

    async def request(self, peer: str, message: bytes, *, timeout_s: float, bytes_max: int) -> bytes:
        counted = self.counted
        counted.requests += 1
        counted.request_bytes += len(message)
        counted.under_way += 1
        counted.under_way_most = max(counted.under_way_most, counted.under_way)
        self._net.sent(self.name, message)
        answers: list[bytes] = []
        came = self._runtime.event()

        def answered(answer: bytes) -> None:
            answers.append(answer)
            came.set()

        try:
            for delay in self._net.arrivals(self.name, peer):
                self._net.loop.call_later(delay, lambda: self._deliver(peer, message, answered))
            await self._runtime.wait(came, timeout_s)
        finally:
            counted.under_way -= 1
        if not answers:
            raise UnreachableError(f"{peer} did not answer {self.name} within {timeout_s} s")
        counted.answer_bytes += len(answers[0])
        if len(answers[0]) > bytes_max:
            raise PeerError(f"{peer} answers with more than {bytes_max} bytes")
        return answers[0]

    def _deliver(self, peer: str, message: bytes, answered: Callable[[bytes], None]) -> None:
        node = self._net.nodes.get(peer)
        if node is not None and node.up and self.up:
            self._net.loop.start(node.answer(self.name, message, answered))

    async def answer(self, peer: str, message: bytes, answered: Callable[[bytes], None]) -> None:
        """Answer a message, as the handler does or as the liar would."""
        if self._request is None or self._ledger.is_out(peer, self._runtime.now()):
            return
        answer = await self._request(peer, message)
        if self.name in self._net.liars:
            answer = await self._net.liars[self.name](peer, message, answer)
        self._net.sent(self.name, answer)
        for delay in self._net.arrivals(self.name, peer):
            self._net.loop.call_later(delay, lambda: answered(answer))

    def announce(self, message: bytes) -> None:
        if len(self._net.announced) < ANNOUNCED_MAX and message not in self._net.announced:
            self._net.announced.append(message)
        for name, node in list(self._net.nodes.items()):
            if name != self.name and self.up:
                self._net.sent(self.name, message)
                for delay in self._net.arrivals(self.name, name):
                    self._net.loop.call_later(delay, lambda node=node: node.hear(self.name, message))  # type: ignore[misc]

    def hear(self, peer: str, message: bytes) -> None:
        if self.up and self._announcement is not None and not self._ledger.is_out(peer, self._runtime.now()):
            self._announcement(peer, message)

    def on_request(self, handler: RequestHandler) -> None:
        self._request = handler

    def on_announce(self, handler: AnnouncementHandler) -> None:
        self._announcement = handler

    def penalise(self, peer: str, points: int, why: str) -> None:
        self.counted.penalties.append((peer, points, why))
        self._ledger.penalise(peer, points, self._runtime.now(), why)
