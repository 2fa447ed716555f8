"""Running peers for tests: real libp2p hosts on the loopback interface, in the trio loop of the test."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as new_noise_key
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from node.peers.guards import TrackedTcp
from node.peers.settings import PeerSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    from libp2p.host.basic_host import BasicHost

    from node.peers.transport import Libp2pTransport

CHAIN_ID = 31337
REGISTRY = bytes(range(20))


def settings(**more: Any) -> PeerSettings:  # noqa: ANN401 - the fields of the settings
    return PeerSettings(CHAIN_ID, REGISTRY, **more)


@asynccontextmanager
async def running(*transports: Libp2pTransport) -> AsyncIterator[None]:
    """Transports that are among peers for as long as the block lasts."""
    async with trio.open_nursery() as nursery:
        for transport in transports:
            await nursery.start(lambda *, task_status, t=transport: t.run(task_status=task_status))
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def stranger(**options: Any) -> AsyncIterator[BasicHost]:  # noqa: ANN401 - of `new_host`
    """A host of libp2p that is none of ours: Noise, unless told otherwise."""
    key = create_new_key_pair()
    options.setdefault("sec_opt", {NOISE: NoiseTransport(key, noise_privkey=new_noise_key().private_key)})
    tcp = TrackedTcp()
    host: Any = new_host(key_pair=key, transports=[tcp], **options)
    try:
        async with host.run([Multiaddr("/ip4/127.0.0.1/tcp/0")]):
            try:
                yield host
            finally:
                with trio.move_on_after(5) as scope:
                    scope.shield = True
                    await host.close()
    finally:
        with trio.CancelScope() as scope:
            scope.shield = True
            await tcp.close_rest()


async def until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Wait for something that comes in its own time."""
    with trio.move_on_after(seconds):
        while not condition():  # noqa: ASYNC110 - of things that have no event
            await trio.sleep(0.01)
        return
    raise AssertionError(f"it never came: {what}")
