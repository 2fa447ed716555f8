"""Announcements: who has come to hold what. Told now and then, many heads in one, and believed by nobody.

A node that hears of a commit looks at the chain, sooner than it would have; a node that hears who has a dataset asks
there first. All that is lost of them, anti-entropy finds.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Final

from node.replication.bucket import Bucket
from node.replication.errors import PeerError
from node.replication.ledger import BROKEN, NOISE
from node.replication.limits import ANNOUNCED_MAX
from node.replication.messages import Announcement, decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.replication.acquaintance import Acquaintances
    from node.replication.messages import Anchored, Hello
    from node.replication.runtime import Event, Runtime
    from node.replication.state import Chain
    from node.replication.transport import Transport

INTERVAL_S: Final = 2.0
"""Time between two announcements of this node at least, in seconds."""

BATCH_S: Final = 0.1
"""Longest wait of what there is to tell for more of it, in seconds."""

HEARD_PER_S: Final = 1.0
"""Announcements of one peer that are looked at, a second; a few more at a time."""

HEARD_BURST: Final = 10.0

PEERS_MAX: Final = 1_024
"""Peers whose announcements are counted."""

ALL_HEARD_PER_S: Final = 20.0
"""Announcements of all peers together that are looked at, a second: names cost an attacker nothing."""

ALL_HEARD_BURST: Final = 200.0

NEWS_S: Final = 1.0
"""Time between two looks at the chain that announcements may cause, in seconds."""


class Gossip:
    """Tells of this node's heads, and hears of others'."""

    def __init__(
        self,
        runtime: Runtime,
        transport: Transport,
        hello: Hello,
        chain: Chain,
        acquaintances: Acquaintances,
        *,
        heard: Callable[[Anchored], None],
        unknown: Callable[[], None],
    ) -> None:
        """`heard`: told of a head that is on the chain. `unknown`: told that there may be news on the chain."""
        self._runtime = runtime
        self._transport = transport
        self._hello = hello
        self._chain = chain
        self._acquaintances = acquaintances
        self._heard = heard
        self._unknown = unknown
        self._pending: dict[bytes, Anchored] = {}
        self._news: Event = runtime.event()
        self._budgets: OrderedDict[str, Bucket] = OrderedDict()
        self._all = Bucket(ALL_HEARD_PER_S, ALL_HEARD_BURST, runtime.now())
        self._told_at = runtime.now() - NEWS_S

    def tell(self, head: Anchored) -> None:
        """Announce a head with the next announcement."""
        self._pending[head.publisher] = head
        self._news.set()

    async def run(self) -> None:
        """Announce what there is to tell, for ever."""
        while True:
            await self._news.wait()
            await self._runtime.sleep(BATCH_S * self._runtime.random.random())  # so that a batch comes together
            self._news = self._runtime.event()
            while self._pending:
                heads = tuple(islice(self._pending.values(), ANNOUNCED_MAX))
                for head in heads:
                    del self._pending[head.publisher]
                message = Announcement(self._hello.chain, self._hello.registry, heads)
                self._transport.announce(message.encode())
                await self._runtime.sleep(INTERVAL_S)

    def hear(self, peer: str, raw: bytes) -> None:
        """Take an announcement of a peer."""
        now = self._runtime.now()
        budget = self._budget(peer, now)
        if budget.wait_s(now) or self._all.wait_s(now):
            return  # and no penalty: anybody can repeat what another has announced
        budget.take(1, now)
        self._all.take(1, now)
        try:
            message = decode(raw, Announcement)
        except PeerError as error:
            self._transport.penalise(peer, BROKEN, str(error))
            return
        if (message.chain, message.registry) != (self._hello.chain, self._hello.registry):
            self._transport.penalise(peer, NOISE, "it announces datasets of another network")
            return
        unknown = False
        for head in message.heads:
            if self._chain.confirms(head):
                self._acquaintances.holds(peer, head)
                self._heard(head)
            else:
                self._acquaintances.has(peer, head.root)
                unknown = True
        if unknown and now - self._told_at >= NEWS_S:
            self._told_at = now
            self._unknown()

    def _budget(self, peer: str, now: float) -> Bucket:
        budget = self._budgets.get(peer)
        if budget is None:
            budget = self._budgets[peer] = Bucket(HEARD_PER_S, HEARD_BURST, now)
            if len(self._budgets) > PEERS_MAX:
                self._budgets.popitem(last=False)
        return budget
