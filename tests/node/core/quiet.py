"""A few whole nodes in virtual time where nothing goes wrong, for tests that look at one thing."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from node.serving import Ticket
from tests.sim.actors import Actor
from tests.sim.cores import EPOCH, SETTINGS, CoreNet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from dkg.chain.commit import SignedCommit
    from node.storage import Operation
    from tests.sim.cores import CoreNode


class Quiet:
    """Nodes, a chain that is mined by hand, and publishers."""

    def __init__(self, folder: Path, nodes: int = 1, publishers: int = 2, **settings: Any) -> None:  # noqa: ANN401
        self.net = CoreNet(1, folder)
        self.ledger = self.net.ledger
        self.rng = self.net.rng
        self.nodes = [self.net.node(f"n{at}", settings=replace(SETTINGS, **settings)) for at in range(nodes)]
        self.actors = [Actor(at + 1) for at in range(publishers)]

    @property
    def node(self) -> CoreNode:
        return self.nodes[0]

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run a test with all nodes up, and the chain read."""

        async def started() -> None:
            for node in self.nodes:
                node.start()
            await self.wait(3)
            await main()

        self.net.run(started)

    async def wait(self, seconds: float = 3.0) -> None:
        """Let time pass: nodes look at the chain every two seconds."""
        await self.net.runtime.sleep(seconds)

    async def mine(self, blocks: int = 1) -> None:
        """Mine, and let everybody see it."""
        for _ in range(blocks):
            self.ledger.mine(int(EPOCH + self.net.loop.time))
            await self.wait(0.1)
        await self.wait()

    def next(self, actor: Actor, *, quads: int | None = None) -> tuple[SignedCommit, bytes]:
        """An actor's next commit after the chain's, and its CAR."""
        del quads
        state = self.ledger.head.state
        key = actor.keys()[state.signer(actor.address) or b""]
        return actor.next(self.rng, state.latest.get(actor.address), int(EPOCH + self.net.loop.time), key)

    async def upload(
        self, signed: SignedCommit, car: bytes, *, relay: bool = True, node: CoreNode | None = None, name: str = ""
    ) -> Operation:
        """Hand a commit in."""
        ticket = Ticket(name or f"op-{signed.commit.struct_hash().hex()[:16]}", sha256(signed.encode()).hexdigest())
        node = node or self.node
        return await node.call(lambda: node.core.publish_signed(ticket, signed, car, relay=relay))

    async def publish(self, actor: Actor, node: CoreNode | None = None) -> tuple[SignedCommit, Operation]:
        """A commit of an actor, in a block."""
        signed, car = self.next(actor)
        operation = await self.upload(signed, car, node=node)
        await self.wait(1)
        await self.mine()
        return signed, operation

    def logged(self, event: str, node: CoreNode | None = None) -> list[dict[str, Any]]:
        """What a node has told of an event."""
        return [facts for name, facts in (node or self.node).events if name == event]
