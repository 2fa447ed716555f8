"""A chain with a registry, proxies before it, and the clients and followers that ask them; all closed at the end."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dkg.client.anchored import Client
from dkg.client.chainread import RpcReader
from dkg.client.follower import Follower
from dkg.client.quorum import Quorum
from dkg.client.rpc import HttpRpc, Waiting
from tests.chain.lies import honest
from tests.chain.proxy import Proxy, proxy
from tests.chain.registry import Registry
from tests.chain.rpc import Rpc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.client.chainread import ChainReader
    from dkg.client.trusted import TrustedHeads

DEPTH = 3
"""The finality depth of clients and followers that are not told another one."""

NO_WAIT = Waiting(sleep=lambda _seconds: None)


@dataclass
class World:
    """See above. `now`: what the clients' clocks say; the true time if that is None."""

    rpc: Rpc
    registry: Registry
    proxies: list[Proxy]
    now: float | None = None
    opened: list[ChainReader] = field(default_factory=list)

    @property
    def proxy(self) -> Proxy:
        """The proxy that is asked where one endpoint is."""
        return self.proxies[0]

    @property
    def publisher(self) -> bytes:
        """The publisher that clients follow."""
        return self.registry.accounts[0]

    def clock(self) -> float:
        """The clients' clock, in Unix seconds."""
        return time.time() if self.now is None else self.now

    def reader(self, **options: Any) -> RpcReader:  # noqa: ANN401 - those of HttpRpc
        """A reader that asks the first proxy alone."""
        made = RpcReader(HttpRpc(self.proxy.url, **{"waiting": NO_WAIT} | options))
        self.opened.append(made)
        return made

    def quorum(self, need: int, *, grace_s: float = 600.0) -> Quorum:
        """A reader that asks all proxies. The grace is so long that a slow machine makes no difference."""
        readers = [RpcReader(HttpRpc(one.url, waiting=NO_WAIT)) for one in self.proxies]
        made = Quorum([(reader.name, reader) for reader in readers], need, grace_s=grace_s)
        self.opened.append(made)
        return made

    def client(
        self,
        trusted: TrustedHeads | None = None,
        *,
        reader: ChainReader | None = None,
        depth: int = DEPTH,
        allow_unproved: bool = False,
    ) -> Client:
        """A client of the publisher."""
        return Client(
            reader or self.reader(),
            self.registry.domain,
            self.publisher,
            trusted=trusted,
            clock=self.clock,
            finality_depth=depth,
            allow_unproved=allow_unproved,
        )

    def follower(self, *, reader: ChainReader | None = None, depth: int = DEPTH) -> Follower:
        """A follower of the whole registry that has seen nothing yet."""
        return Follower(
            reader or self.reader(),
            self.registry.domain,
            first_block=self.registry.first_block,
            finality_depth=depth,
        )

    def mine(self, blocks: int) -> None:
        """Mine empty blocks."""
        if blocks:
            self.rpc("anvil_mine", hex(blocks))

    def height(self) -> int:
        """The number of the newest block."""
        return int(self.rpc("eth_blockNumber"), 16)

    @contextmanager
    def undone(self) -> Iterator[World]:
        """What is done to the world inside is undone, and what was opened is closed."""
        snapshot, latest = self.rpc("evm_snapshot"), self.registry.latest.copy()
        try:
            yield self
        finally:
            for reader in self.opened:
                reader.close()
            self.opened.clear()
            self.now = None
            self.registry.latest = latest
            for one in self.proxies:
                one.rule = honest
                one.calls.clear()
        assert self.rpc("evm_revert", snapshot)


@contextmanager
def world(url: str, proxies: int = 1) -> Iterator[World]:
    """A world on a development chain, with a new registry."""
    with ExitStack() as stack:
        rpc = Rpc(url)
        before = [stack.enter_context(proxy(url, honest)) for _ in range(proxies)]
        yield World(rpc, Registry(rpc), before)
