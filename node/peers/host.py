"""A libp2p host with nothing switched on by accident: Noise alone, yamux alone, TCP alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from libp2p import new_host
from libp2p.crypto.x25519 import create_new_key_pair as new_noise_key
from libp2p.custom_types import TProtocol
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.rcmgr.manager import ResourceManager
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from node.peers.guards import BoundedMuxers, BoundedYamux, NoAutoConnector, guarded_streams

if TYPE_CHECKING:
    from libp2p.crypto.keys import KeyPair
    from libp2p.custom_types import TMuxerOptions
    from libp2p.host.basic_host import BasicHost
    from libp2p.network.swarm import Swarm

    from node.peers.guards import GuardedTcp
    from node.peers.settings import PeerSettings

CONNECTIONS_MAX: Final = 1_000_000
"""For libp2p no limit: `node.peers.slots` has them, and libp2p counts wrongly (`node.peers.guards`)."""

HANDSHAKE_S: Final = 10.0
DIAL_S: Final = 10.0


def make_host(key: KeyPair, settings: PeerSettings, tcp: GuardedTcp, listen: str) -> BasicHost:
    """A host that is not running yet."""
    muxers: TMuxerOptions = {TProtocol(YAMUX): BoundedYamux}
    host = cast(
        "BasicHost",
        new_host(
            key_pair=key,
            sec_opt={NOISE: NoiseTransport(key, noise_privkey=new_noise_key().private_key)},
            muxer_opt=muxers,
            transports=[tcp],
            listen_addrs=[Multiaddr(listen)],
            announce_addrs=[Multiaddr(address) for address in settings.announce] or None,
            disable_identify_address_discovery=True,
            enable_mDNS=settings.mdns,
            resource_manager=ResourceManager(enable_rate_limiting=False, enable_circuit_breaker=False),
            connection_config=ConnectionConfig(
                min_connections=0,
                low_watermark=0,
                high_watermark=CONNECTIONS_MAX,
                max_connections=CONNECTIONS_MAX,
                max_connections_per_peer=2,  # when both connect at once
                dial_timeout=DIAL_S,
                inbound_upgrade_timeout=HANDSHAKE_S,
                outbound_upgrade_timeout=HANDSHAKE_S,
            ),
        ),
    )
    network = cast("Swarm", host.get_network())
    network.retry_config = RetryConfig(max_retries=0)
    network.upgrader.muxer_multistream = BoundedMuxers(muxers)
    network.auto_connector = NoAutoConnector(network)
    network.set_stream_handler(guarded_streams(host._swarm_stream_handler))  # noqa: SLF001 - the host's own
    return host
