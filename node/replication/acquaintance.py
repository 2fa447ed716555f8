"""What a node remembers of its peers: who has which dataset, who has not, who is slow, and who speaks another network.

All of it is hearsay and fades. It decides whom to ask first, never what is believed.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

    from node.replication.messages import Anchored, Hello

PEERS_MAX: Final = 1_024
"""Most peers that are remembered."""

ROOTS_MAX: Final = 256
"""Most datasets of which it is remembered, for one peer, whether it has them."""

HEADS_MAX: Final = 64
"""Most publishers of whom it is remembered which commit one peer has."""

LACKS_S: Final = 30.0
"""How long a peer that did not have something is not asked for it, in seconds."""

STALLED_S: Final = 15.0
"""How long a peer that did not answer is not asked for pages, in seconds."""

STRANGER_S: Final = 600.0
"""How long a peer of another network, or one that cannot be understood, is left alone, in seconds."""


@dataclass(slots=True)
class _Peer:
    hello: Hello | None = None
    agent: str | None = None
    heads: OrderedDict[bytes, Anchored] = field(default_factory=OrderedDict)
    has: OrderedDict[bytes, bool] = field(default_factory=OrderedDict)
    lacks: OrderedDict[bytes, float] = field(default_factory=OrderedDict)  # until when
    away_until: float = 0.0


class Acquaintances:
    """See the module. Times are seconds of a clock that never goes back."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._peers: OrderedDict[str, _Peer] = OrderedDict()

    def _peer(self, name: str) -> _Peer:
        peer = self._peers.get(name)
        if peer is None:
            peer = self._peers[name] = _Peer()
            if len(self._peers) > PEERS_MAX:
                self._peers.popitem(last=False)
        self._peers.move_to_end(name)
        return peer

    def greeted(self, name: str, hello: Hello) -> None:
        """A peer said who it is."""
        peer = self._peer(name)
        peer.hello, peer.agent = hello, hello.agent

    def hello(self, name: str) -> Hello | None:
        """What a peer said of itself; None if it has not."""
        peer = self._peers.get(name)
        return peer.hello if peer else None

    def agent(self, name: str) -> str | None:
        """What a peer last called itself."""
        peer = self._peers.get(name)
        return peer.agent if peer else None

    def heads(self, name: str) -> tuple[Anchored, ...]:
        """Commits of the log that a peer said it has, by publisher."""
        peer = self._peers.get(name)
        return tuple(peer.heads[publisher] for publisher in sorted(peer.heads)) if peer else ()

    def holds(self, name: str, head: Anchored) -> None:
        """A peer says that it has the dataset of a commit, and the log has that commit."""
        self.has(name, head.root)
        heads = self._peer(name).heads
        heads[head.publisher] = head
        heads.move_to_end(head.publisher)
        if len(heads) > HEADS_MAX:
            heads.popitem(last=False)

    def has(self, name: str, root: bytes) -> None:
        """A peer says that it has a dataset."""
        peer = self._peer(name)
        peer.lacks.pop(root, None)
        peer.has[root] = True
        peer.has.move_to_end(root)
        if len(peer.has) > ROOTS_MAX:
            peer.has.popitem(last=False)

    def lacks(self, name: str, root: bytes, now: float) -> None:
        """A peer did not have a page of a dataset."""
        peer = self._peer(name)
        peer.has.pop(root, None)
        peer.lacks[root] = now + LACKS_S
        if len(peer.lacks) > ROOTS_MAX:
            peer.lacks.popitem(last=False)

    def away(self, name: str, until: float) -> None:
        """A peer is not to be asked for anything until then."""
        peer = self._peer(name)
        peer.away_until = max(peer.away_until, until)

    def gone(self, name: str) -> None:
        """A peer is gone: whoever comes back under its name has to greet again."""
        peer = self._peers.get(name)
        if peer is not None:
            peer.hello = None

    def providers(self, root: bytes, names: list[str]) -> list[str]:
        """Those of some peers who say that they have a dataset."""
        return [name for name in names if (peer := self._peers.get(name)) is not None and root in peer.has]

    def order(self, root: bytes, names: list[str], now: float) -> list[str]:
        """Whom of some peers to ask for a dataset, in this order: those who have it, then others, each shuffled."""
        can = [name for name in names if self._may(name, root, now)]
        self._random.shuffle(can)
        have = set(self.providers(root, can))
        return sorted(can, key=lambda name: name not in have)

    def _may(self, name: str, root: bytes, now: float) -> bool:
        peer = self._peers.get(name)
        return peer is None or (peer.away_until <= now and peer.lacks.get(root, 0.0) <= now)
