"""A simulated node: the real replication over a simulated network, with a chain and a store in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg.build import build_tree
from dkg.dataset import update_dataset
from dkg.errors import DkgError
from dkg.page import DatasetRoot
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from dkg.scan import scan
from node.replication.messages import Anchored, Hello
from node.replication.replicator import Hooks, Network, Replicator, Settings
from node.replication.serve import Quotas, Server
from tests.sim.loop import Loop, SimRuntime
from tests.sim.transport import SimNet, SimTransport

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg.pages import PageStore
    from dkg.terms import Quad
    from node.replication.replicate import Report
    from node.replication.transport import Directory

CHAIN_ID = 31337
REGISTRY = bytes.fromhex("5fbdb2315678afecb367f032d93f642f64180aa3")
HELLO = Hello(CHAIN_ID, REGISTRY, "sim", ("change",))
SETTINGS = Settings(look_s=5.0, entropy_s=20.0, entropy_missing_s=2.0, retry_s=1.0, retry_max_s=20.0)


class HeadMovedBackError(AssertionError):
    """I5 is broken."""


class UnanchoredHeadError(AssertionError):
    """I3 is broken: a head that the chain does not have."""


class IncompleteHeadError(AssertionError):
    """I2 is broken: a head of which pages are missing or wrong."""


def require_whole(store: PageStore, head: Anchored) -> None:
    """Read every page of a dataset, all four trees, and count."""
    pages = StoredPages(store)
    try:
        root = pages.root(head.root)
        counts = {sum(map(len, scan(pages, tree))) for tree in root.trees}
    except DkgError as error:
        raise IncompleteHeadError(f"{head}: {error}") from error
    if counts != {head.count}:
        raise IncompleteHeadError(f"{head} has trees of {counts} quads")


class Publisher:
    """A publisher's datasets, one commit after the other, with all pages in a store of its own."""

    def __init__(self, number: int) -> None:
        self.address = number.to_bytes(20)
        self.store = MemoryPageStore()
        self.commits: list[Anchored] = []
        sink = PageSink(self.store)
        trees = [build_tree([], sink)[0] for _ in range(4)]
        self.root = sink.add(DatasetRoot(trees, 0))
        sink.flush()

    def commit(self, add: Iterable[Quad], remove: Iterable[Quad], position: int) -> Anchored:
        """The next commit, as it is at a position of the log."""
        pages = StoredPages(self.store)
        self.root = update_dataset(pages, self.root, add, remove, self.store)
        count = pages.root(self.root).count
        self.commits.append(Anchored(self.address, len(self.commits) + 1, self.root, count, position))
        return self.commits[-1]


class SimChain:
    """The registry's log, as one node sees it: up to some position."""

    def __init__(self, log: list[Anchored]) -> None:
        self.log = log
        self.seen = 0

    def wanted(self) -> list[Anchored]:
        latest = {head.publisher: head for head in self.log[: self.seen]}
        return [latest[publisher] for publisher in sorted(latest)]

    def confirms(self, head: Anchored) -> bool:
        return head.position < min(self.seen, len(self.log)) and self.log[head.position] == head

    def reorganise(self, log: list[Anchored]) -> None:
        """The chain has another log from now on, for this node, and all of it."""
        self.log, self.seen = log, len(log)


@dataclass
class SimHeads:
    """Heads in memory; each move is checked against the invariants as it is made."""

    chain: SimChain
    store: PageStore
    heads: dict[bytes, Anchored] = field(default_factory=dict)
    malformed: dict[bytes, str] = field(default_factory=dict)
    history: list[Anchored] = field(default_factory=list)

    def held(self, publisher: bytes) -> Anchored | None:
        return self.heads.get(publisher)

    def accept(self, head: Anchored) -> None:
        before = self.heads.get(head.publisher)
        if before is not None and before.position > head.position and self.chain.confirms(before):
            raise HeadMovedBackError(f"{before} -> {head}")  # I5
        if not self.chain.confirms(head):
            raise UnanchoredHeadError(f"{head}")  # I3
        require_whole(self.store, head)  # I2 and I3
        self.heads[head.publisher] = head
        self.history.append(head)

    def refuse(self, head: Anchored, why: str) -> None:
        self.malformed[head.root] = why

    def refused(self, head: Anchored) -> bool:
        return head.root in self.malformed

    def after(self, publisher: bytes, most: int) -> list[Anchored]:
        return [self.heads[key] for key in sorted(self.heads) if key > publisher][:most]


class SimNode:
    """One node."""

    def __init__(
        self,
        net: SimNet,
        name: str,
        log: list[Anchored],
        *,
        links: list[str] | None = None,
        settings: Settings = SETTINGS,
        quotas: Quotas | None = None,
        directory: Directory | None = None,
    ) -> None:
        self.name = name
        self.runtime = SimRuntime(net.loop, name)
        self.transport = SimTransport(net, name, self.runtime, links)
        self.store = MemoryPageStore()
        self.chain = SimChain(log)
        self.heads = SimHeads(self.chain, self.store)
        self.reports: list[Report] = []
        self.server = Server(self.runtime, HELLO, self.store, self.heads, quotas=quotas or Quotas())
        self.transport.on_request(self.server.handle)
        self.replicator = Replicator(
            self.runtime,
            Network(self.transport, HELLO, directory),
            self.chain,
            self.heads,
            self.store,
            settings=settings,
            hooks=Hooks(accepted=self.reports.append),
        )

    def see(self, position: int) -> None:
        """The chain has so many entries now, for this node."""
        self.chain.seen = max(self.chain.seen, position)
        self.replicator.wake()

    def publish(self, publisher: Publisher, head: Anchored) -> None:
        """This node is where a publisher puts its data, once its commit is on the chain."""
        self.store.put_many(publisher.store.pages.items())
        self.see(head.position + 1)
        self.heads.accept(head)
        self.replicator.tell(head)

    def up_to_date(self) -> bool:
        return all(self.heads.held(head.publisher) == head for head in self.chain.wanted())

    def reorganise(self, log: list[Anchored]) -> None:
        """See `SimChain.reorganise`."""
        self.chain.reorganise(log)
        self.replicator.wake()


def network(seed: int) -> tuple[Loop, SimNet]:
    loop = Loop(seed)
    return loop, SimNet(loop)
