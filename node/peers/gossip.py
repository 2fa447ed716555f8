"""Gossip: one topic for each network, for announcements only.

The settings are those that were measured (STACK, section 1): a heartbeat each second instead of each two minutes, no
limit of ten messages a second, no demand for three networks in the mesh. It loses messages in bursts (32 wait at most
for whoever listens), so that nothing may rely on it. A fault in it ends it alone: it is started again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import trio
from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service

from node.replication.limits import ANNOUNCEMENT_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from libp2p.abc import IHost, ISubscriptionAPI
    from libp2p.pubsub.pb import rpc_pb2

    Hear = Callable[[str, bytes], None]

HEARTBEAT_S: Final = 1
WAITING_MAX: Final = 16
"""Most announcements that wait to be sent; the oldest are dropped first."""

RESTART_S: Final = 5.0
"""Wait before it is started again after a fault, in seconds."""

RPC_BYTES_MAX: Final = 16 * ANNOUNCEMENT_BYTES_MAX

log = logging.getLogger(__name__)


class GossipService:
    """Announces on one topic, and hears what others announce."""

    def __init__(self, host: IHost, topic: str, hear: Hear) -> None:
        self._host = host
        self.topic = topic
        self.pubsub: Pubsub | None = None
        self._hear = hear
        self._out, self._waiting = trio.open_memory_channel[bytes](WAITING_MAX)
        self.restarts = 0

    def announce(self, message: bytes) -> None:
        """Announce something, soon, or never."""
        try:
            self._out.send_nowait(message)
        except trio.WouldBlock:
            self._waiting.receive_nowait()
            self._out.send_nowait(message)

    async def run(self) -> None:
        """Gossip for ever, whatever goes wrong in it."""
        while True:
            try:
                await self._gossip()
            except Exception:  # a fault of the library, which a peer may have provoked
                self.restarts += 1
                log.exception("gossip broke; it is started again in %s s", RESTART_S)
            await trio.sleep(RESTART_S)

    async def _gossip(self) -> None:
        router = GossipSub(
            protocols=[PROTOCOL_ID_V11],
            degree=6,
            degree_low=4,
            degree_high=12,
            heartbeat_interval=HEARTBEAT_S,
            spam_protection_enabled=False,
            eclipse_protection_enabled=False,
        )
        pubsub = Pubsub(self._host, router, max_inbound_rpc_size=RPC_BYTES_MAX, allowed_topics={self.topic})
        pubsub.set_topic_validator(self.topic, _is_announcement, is_async_validator=False)
        try:
            async with background_trio_service(pubsub), background_trio_service(router):
                await pubsub.wait_until_ready()
                self.pubsub = pubsub
                subscription = await pubsub.subscribe(self.topic)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._listen, subscription)
                    while True:
                        await pubsub.publish(self.topic, await self._waiting.receive())
        finally:
            self.pubsub = None
            pubsub.seen_messages.stop()  # its thread would stay for ever

    async def _listen(self, subscription: ISubscriptionAPI) -> None:
        while True:
            message = await subscription.get()
            if message.from_id != self._host.get_id().to_bytes():
                self._hear(str(ID(message.from_id)), message.data)


def _is_announcement(_forwarder: ID, message: rpc_pb2.Message) -> bool:
    """Whether a message may be passed on at all."""
    return len(message.data) <= ANNOUNCEMENT_BYTES_MAX
