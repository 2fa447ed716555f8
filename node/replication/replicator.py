"""Keeping a node's datasets at what the chain says, for as long as it runs.

Three things go on: datasets that are behind the chain are brought over; what came is announced; and now and then a
random peer is asked what it holds (anti-entropy), which finds everything that announcements failed to tell. Only the
chain decides what is wanted. No peer can make a head move.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dkg.errors import StoreError
from node.replication.acquaintance import ROOTS_MAX, STALLED_S, STRANGER_S, Acquaintances
from node.replication.ask import Asker
from node.replication.complete import Builder, MalformedError
from node.replication.errors import BusyError, NotHeldError, PeerError, SupersededError, UnreachableError
from node.replication.fetch import LANE
from node.replication.gossip import Gossip
from node.replication.ledger import BROKEN, STALL
from node.replication.replicate import Replication

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.pages import PageStore
    from node.replication.fetch import Fetched
    from node.replication.messages import Anchored, Hello
    from node.replication.replicate import Report
    from node.replication.runtime import Event, Nursery, Runtime
    from node.replication.state import Chain, Heads
    from node.replication.transport import Directory, Transport


LOOK_UP_AFTER_S: Final = 1.0
"""How long a peer at hand may take to be known to have a dataset before the directory is asked, in seconds."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How eager a node is."""

    at_once: int = 2
    """Datasets that are brought over at the same time."""
    look_s: float = 5.0
    """Time after which the chain is compared with what is held, if nothing happens before, in seconds."""
    entropy_s: float = 30.0
    """Time between two questions to random peers, in seconds, give or take a half."""
    entropy_missing_s: float = 3.0
    """The same while something is wanted that nobody is known to have."""
    retry_s: float = 2.0
    """Wait after a dataset could not be brought over, in seconds; it doubles each time."""
    retry_max_s: float = 60.0
    quads_max: int = 100_000_000
    """Largest dataset that is brought over, in quads."""

    builder: Builder = field(default_factory=Builder)
    """How trees are built."""


DEFAULT_SETTINGS: Final = Settings()


def _nothing(*_args: object) -> None:
    """What happens where nobody asks to be told."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who is told of what, in the replicator's thread; `inspect` in its lane."""

    inspect: Callable[[bytes | None, Anchored], None] = _nothing
    """Looks at a dataset that is whole, before it becomes the head, given the old root and the new head.

    It raises `MalformedError` to refuse it.
    """
    accepted: Callable[[Report], None] = _nothing
    """A new head."""
    chain_news: Callable[[], None] = _nothing
    """A peer says something that is not on the chain, or not yet: look there."""
    progress: Callable[[Anchored, Fetched], None] = _nothing


NO_HOOKS: Final = Hooks()


@dataclass(frozen=True, slots=True)
class Network:
    """Others: how they are reached, what this node says of itself, and where it is written who has what."""

    transport: Transport
    hello: Hello
    directory: Directory | None = None


@dataclass(slots=True)
class _Trouble:
    """A head that could not be brought over."""

    head: Anchored
    failures: int
    next_at: float
    why: str


class Replicator:
    """See the module. `run` does it all; the rest may be called at any time from the same thread."""

    def __init__(
        self,
        runtime: Runtime,
        network: Network,
        chain: Chain,
        heads: Heads,
        store: PageStore,
        *,
        settings: Settings = DEFAULT_SETTINGS,
        hooks: Hooks = NO_HOOKS,
    ) -> None:
        """`heads` and `store` are used in the lane `node.replication.fetch.LANE` alone."""
        transport, hello = network.transport, network.hello
        self._runtime = runtime
        self._transport = transport
        self._chain = chain
        self._heads = heads
        self._directory = network.directory
        self._settings = settings
        self._hooks = hooks
        self._acquaintances = Acquaintances(runtime.random)
        self._asker = Asker(transport, hello)
        self._replication = Replication(
            runtime, transport, self._asker, self._acquaintances, store,
            builder=settings.builder, progress=hooks.progress, wanted=lambda head: head in self._chain.wanted(),
        )  # fmt: skip
        self._gossip = Gossip(
            runtime, transport, hello, chain, self._acquaintances, heard=self._heard, unknown=hooks.chain_news
        )
        self._running: dict[bytes, Anchored] = {}
        self._trouble: dict[bytes, _Trouble] = {}
        self._looking_up: set[bytes] = set()
        self._missing = False
        self._changed: Event = runtime.event()
        transport.on_announce(self._gossip.hear)

    async def run(self) -> None:
        """Replicate, for ever. Raises `StoreError` when this node's disk fails."""
        async with self._runtime.nursery() as nursery:
            nursery.start_soon(self._gossip.run)
            nursery.start_soon(self._entropy)
            await self._follow(nursery)

    def wake(self) -> None:
        """The chain has news, or there are new peers: look at once."""
        self._changed.set()
        self._changed = self._runtime.event()

    def tell(self, head: Anchored) -> None:
        """Announce a head that came here in another way: this node's own publisher's, say."""
        self._gossip.tell(head)

    @property
    def running(self) -> list[Anchored]:
        """What is being brought over now."""
        return list(self._running.values())

    @property
    def trouble(self) -> dict[bytes, str]:
        """By publisher, why a dataset that is wanted is not here yet."""
        return {publisher: trouble.why for publisher, trouble in self._trouble.items()}

    def known(self, peer: str) -> tuple[str | None, tuple[Anchored, ...]]:
        """What a peer calls itself, and commits of the log that it said it has."""
        return self._acquaintances.agent(peer), self._acquaintances.heads(peer)

    def _heard(self, head: Anchored) -> None:
        """Somebody has a dataset: if it is wanted, now is the time."""
        trouble = self._trouble.get(head.publisher)
        if trouble is not None and trouble.head == head:
            trouble.next_at = self._runtime.now()
        self.wake()

    # --- bringing datasets over --------------------------------------------------------------------------------------

    async def _follow(self, nursery: Nursery) -> None:
        while True:
            behind = await self._runtime.blocking(LANE, self._behind)
            now = self._runtime.now()
            self._missing = bool(behind)
            for head, old in behind:
                if head.count > self._settings.quads_max:
                    why = f"it has {head.count} quads, and this node takes {self._settings.quads_max} at most"
                    self._trouble[head.publisher] = _Trouble(head, 0, now + self._settings.retry_max_s, why)
                trouble = self._trouble.get(head.publisher)
                if trouble is not None and trouble.head == head and trouble.next_at > now:
                    continue
                if head.publisher not in self._running and len(self._running) < self._settings.at_once:
                    self._running[head.publisher] = head
                    nursery.start_soon(self._bring, nursery, head, old)
            await self._runtime.wait(self._changed, self._settings.look_s)

    def _behind(self) -> list[tuple[Anchored, bytes | None]]:
        """What is wanted and not held, each with the root that is held of the same publisher."""
        found: list[tuple[Anchored, bytes | None]] = []
        for head in self._chain.wanted():
            held = self._heads.held(head.publisher)
            if held == head or self._is_past(head):
                continue
            if self._heads.refused(head):
                continue
            found.append((head, held.root if held is not None else None))
        return found

    async def _bring(self, nursery: Nursery, head: Anchored, old: bytes | None) -> None:
        nursery.start_soon(self._look_up, head)
        try:
            report = await self._replication.run(head, old)
            await self._runtime.blocking(LANE, lambda: self._hooks.inspect(old, head))
            if not await self._runtime.blocking(LANE, lambda: self._accept(head)):
                return
        except MalformedError as error:
            why = str(error)
            await self._runtime.blocking(LANE, lambda: self._heads.refuse(head, why))
            self._trouble.pop(head.publisher, None)
        except SupersededError:
            pass  # another one is wanted
        except StoreError as error:
            self._failed(head, error)
        else:
            self._trouble.pop(head.publisher, None)
            self._hooks.accepted(report)
            self._gossip.tell(head)
            if self._directory is not None:
                nursery.start_soon(self._directory.provide, head.root)
        finally:
            self._running.pop(head.publisher, None)
            self.wake()

    def _accept(self, head: Anchored) -> bool:
        """Make it the head, unless the chain or this node has moved on meanwhile; whether it was made."""
        if not self._chain.confirms(head) or self._is_past(head):
            return False
        self._heads.accept(head)
        return True

    def _is_past(self, head: Anchored) -> bool:
        """Whether a later head is held. A head goes back only when the chain took its commit away."""
        held = self._heads.held(head.publisher)
        return held is not None and held.position > head.position and self._chain.confirms(held)

    def _failed(self, head: Anchored, error: StoreError) -> None:
        before = self._trouble.get(head.publisher)
        failures = before.failures + 1 if before is not None and before.head == head else 1
        wait_s = min(self._settings.retry_max_s, self._settings.retry_s * 2 ** min(failures - 1, 16))
        next_at = self._runtime.now() + wait_s * (0.5 + self._runtime.random.random())
        self._trouble[head.publisher] = _Trouble(head, failures, next_at, str(error))

    async def _look_up(self, head: Anchored) -> None:
        """Ask the directory if none of the peers at hand comes to have a dataset that is being brought over.

        It may take long, and nobody waits for it: what it finds is asked when it is there.
        """
        if self._directory is None or head.publisher in self._looking_up:
            return
        self._looking_up.add(head.publisher)
        try:
            await self._runtime.sleep(LOOK_UP_AFTER_S)
            known = self._acquaintances.providers(head.root, self._transport.peers())
            if self._running.get(head.publisher) == head and not known:
                for peer in await self._directory.find(head.root):
                    self._acquaintances.has(peer, head.root)
        finally:
            self._looking_up.discard(head.publisher)

    # --- anti-entropy ------------------------------------------------------------------------------------------------

    async def _entropy(self) -> None:
        while True:
            soon = self._missing or bool(self._strangers())
            wait_s = self._settings.entropy_missing_s if soon else self._settings.entropy_s
            await self._runtime.sleep(wait_s * (0.5 + self._runtime.random.random()))
            peers = self._strangers() or self._acquaintances.order(b"", self._transport.peers(), self._runtime.now())
            if peers:
                await self._compare(peers[0])

    def _strangers(self) -> list[str]:
        """Peers that have not been asked anything yet."""
        peers = self._acquaintances.order(b"", self._transport.peers(), self._runtime.now())
        return [peer for peer in peers if self._acquaintances.hello(peer) is None]

    async def _compare(self, peer: str) -> None:
        """Ask a peer what it holds. What the chain has too tells where to fetch it; the rest says nothing."""
        now = self._runtime.now()
        try:
            if self._acquaintances.hello(peer) is None:
                self._acquaintances.greeted(peer, await self._asker.hello(peer))
            heads = await self._asker.heads(peer)
        except PeerError as error:
            self._transport.penalise(peer, BROKEN, str(error))
        except UnreachableError as error:
            self._transport.penalise(peer, STALL, str(error))
            self._acquaintances.away(peer, now + STALLED_S)
            self._acquaintances.gone(peer)
        except BusyError as error:
            self._acquaintances.away(peer, now + error.retry_after_s)
        except NotHeldError:
            self._acquaintances.away(peer, now + STRANGER_S)
        else:
            for head in heads[-ROOTS_MAX:]:
                self._acquaintances.has(peer, head.root)
            for head in heads:
                if self._chain.confirms(head):
                    self._acquaintances.holds(peer, head)
                    self._heard(head)
