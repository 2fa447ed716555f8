"""The traps of py-libp2p 0.8.1 (STACK, section 1.1), each with what this project does about it.

Where a trap can be shown, it is shown: the library as it comes falls in, and ours does not.
"""

from __future__ import annotations

import importlib.util
import logging
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.network.config import ConnectionConfig
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo, info_from_p2p_addr
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import SUBSCRIPTION_CHANNEL_SIZE
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from libp2p.security.tls.transport import PROTOCOL_ID as TLS
from libp2p.security.tls.transport import TLSTransport
from libp2p.stream_muxer.mplex.mplex import MPLEX_PROTOCOL_ID, Mplex
from libp2p.stream_muxer.yamux.yamux import TYPE_DATA, YAMUX_HEADER_FORMAT
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from dkg.errors import StoreError
from node.peers import directory as directory_module
from node.peers import gossip, guards
from node.peers.frames import header
from node.peers.session import PROTOCOL
from node.peers.slots import SlotLimits
from node.peers.transport import Libp2pTransport
from node.replication.limits import ANNOUNCEMENT_BYTES_MAX
from tests.node.peers.running import running, settings, stranger, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from libp2p.abc import IHost


BROKEN = TProtocol("/broken")


async def connects(host: IHost, address: str) -> bool:
    """Whether a host can connect to an address."""
    try:
        with trio.fail_after(10):
            await host.connect(info_from_p2p_addr(Multiaddr(address)))
    except (BaseLibp2pError, trio.TooSlowError):
        return False
    return True


# 1. The default host takes plaintext.


def test_a_plaintext_client_connects_to_a_default_host_and_is_refused_by_ours() -> None:
    async def main() -> tuple[bool, bool]:
        ours = Libp2pTransport(settings())
        key = create_new_key_pair()
        client: Any = new_host(key_pair=key, sec_opt={PLAINTEXT_PROTOCOL_ID: InsecureTransport(key)})
        default: Any = new_host()
        here = [Multiaddr("/ip4/127.0.0.1/tcp/0")]
        async with running(ours), client.run(here), default.run(here):
            found = await connects(client, str(default.get_addrs()[0])), await connects(client, ours.addresses[0])
            assert ours.peers() == []
            await client.close()
            await default.close()
        return found

    assert trio.run(main) == (True, False)


@pytest.mark.parametrize(
    "options",
    [
        lambda key: {"sec_opt": {TLS: TLSTransport(key)}},
        lambda _key: {"muxer_opt": {MPLEX_PROTOCOL_ID: Mplex}},
    ],
    ids=["TLS", "mplex"],
)
def test_a_client_without_noise_or_without_yamux_is_refused(options: Callable[[Any], dict[str, Any]]) -> None:
    async def main() -> bool:
        ours = Libp2pTransport(settings())
        async with running(ours), stranger(**options(create_new_key_pair())) as client:
            return await connects(client, ours.addresses[0])

    assert not trio.run(main)


def test_its_twin_with_noise_and_yamux_is_let_in() -> None:
    async def main() -> bool:
        ours = Libp2pTransport(settings())
        async with running(ours), stranger() as client:
            connected = await connects(client, ours.addresses[0])
            await until(lambda: ours.peers() == [str(client.get_id())], "the client among the peers")
            return connected

    assert trio.run(main)


# 2. and 3. Gossip: wrong defaults, and a channel of 32 that overflows in silence.


def test_gossip_has_a_heartbeat_of_a_second_and_neither_spam_nor_eclipse_protection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[GossipSub] = []

    class Seen(GossipSub):
        def __init__(self, **more: Any) -> None:  # noqa: ANN401 - of the library
            super().__init__(**more)
            made.append(self)

    monkeypatch.setattr(gossip, "GossipSub", Seen)

    async def main() -> None:
        async with running(Libp2pTransport(settings())):
            await until(lambda: made, "the router")

    trio.run(main)
    assert made[0].heartbeat_interval == gossip.HEARTBEAT_S == 1
    assert not made[0].spam_protection_enabled
    assert not made[0].eclipse_protection_enabled


def meshed(*transports: Libp2pTransport) -> bool:
    """Whether all know of each other's subscription."""
    want = len(transports) - 1
    for transport in transports:
        service = transport._session.gossip if transport._session else None
        if service is None or service.pubsub is None:
            return False
        if len(service.pubsub.peer_topics.get(service.topic, ())) < want:
            return False
    return True


def test_an_announcement_arrives_and_one_that_is_too_long_does_not() -> None:
    async def main() -> list[tuple[str, bytes]]:
        heard: list[tuple[str, bytes]] = []
        a = Libp2pTransport(settings())
        async with running(a):
            b = Libp2pTransport(settings(bootstrap=(a.addresses[0],)))
            a.on_announce(lambda peer, message: heard.append((peer, message)))
            async with running(b):
                await until(lambda: meshed(a, b), "the mesh")
                b.announce(bytes(ANNOUNCEMENT_BYTES_MAX + 1))
                b.announce(bytes(ANNOUNCEMENT_BYTES_MAX))
                await until(lambda: heard, "an announcement")
                await trio.sleep(0.3)
                assert {peer for peer, _ in heard} == {b.id}
        return heard

    assert [len(message) for _, message in trio.run(main)] == [ANNOUNCEMENT_BYTES_MAX]


def test_a_burst_loses_announcements_which_is_why_nothing_relies_on_them() -> None:
    burst = 10 * SUBSCRIPTION_CHANNEL_SIZE

    async def main() -> int:
        heard: list[bytes] = []
        a = Libp2pTransport(settings())
        async with running(a):
            b = Libp2pTransport(settings(bootstrap=(a.addresses[0],)))
            a.on_announce(lambda _peer, message: heard.append(message))
            async with running(b):
                await until(lambda: meshed(a, b), "the mesh")
                assert b._session is not None
                assert b._session.gossip is not None
                pubsub = b._session.gossip.pubsub
                assert pubsub is not None
                for number in range(burst):  # past the queue of our own, which holds fewer
                    await pubsub.publish(b._session.gossip.topic, number.to_bytes(4))
                await trio.sleep(0.5)
                lost = burst - len(heard)
                b.announce(b"after the burst")
                await until(lambda: b"after the burst" in heard, "one more")
        return lost

    assert 0 < trio.run(main) < burst  # what is lost, anti-entropy finds: test_simulated_network.py, test_peers.py


def test_what_waits_to_be_announced_is_bounded() -> None:
    async def main() -> int:
        service = gossip.GossipService(None, "topic", lambda _peer, _message: None)  # type: ignore[arg-type]  # not run
        for number in range(1000):
            service.announce(b"%d" % number)
        waiting: list[bytes] = []
        while service._waiting.statistics().current_buffer_used:
            waiting.append(service._waiting.receive_nowait())
        assert waiting[-1] == b"999"
        return len(waiting)

    assert trio.run(main) == gossip.WAITING_MAX


# 4. to 6. Names in site-packages, logs, groups of errors.


def test_no_package_of_ours_has_the_name_of_one_that_the_wheel_brings_along() -> None:
    for name in ("examples", "interop"):
        spec = importlib.util.find_spec(name)
        assert spec is None or "work/main/" + name not in str(spec.origin)


def test_libp2p_s_log_is_silent_unless_it_is_asked_for() -> None:
    assert logging.getLogger("libp2p").level == logging.CRITICAL


# Windows that nobody enforces, streams that nobody reads, errors that end the host, ports that are shared.


async def flood(client: Any, server: ID) -> int:  # noqa: ANN401 - a host of libp2p
    """Send 8 MiB on a stream that the other side has done with; how much could be sent."""
    stream = await client.new_stream(server, [TProtocol("/ipfs/id/1.0.0")])
    muxed = stream.muxed_stream
    frame = bytes(64 * 1024 - 12)
    packed = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_DATA, 0, muxed.stream_id, len(frame)) + frame
    sent = 0
    try:
        while sent < 8 * 1024 * 1024:
            await muxed.conn._write_frame(packed)
            sent += len(frame)
        await trio.sleep(0.5)
    except (BaseLibp2pError, trio.BrokenResourceError, OSError):
        pass
    return sent


def test_a_peer_fills_the_memory_of_a_host_of_libp2p_and_is_cut_off_by_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 2 * 1024 * 1024
    monkeypatch.setattr(guards, "CONNECTION_BYTES_MAX", limit)

    async def library() -> int:
        async with stranger() as server, stranger() as client:
            assert await connects(client, str(server.get_addrs()[0]))
            await flood(client, server.get_id())
            (connection,) = server.get_network().get_connections(client.get_id())
            buffers: dict[int, bytearray] = vars(connection.muxed_conn)["stream_buffers"]
            return sum(map(len, buffers.values()))

    async def ours() -> None:
        transport = Libp2pTransport(settings())
        async with running(transport), stranger() as client:
            assert await connects(client, transport.addresses[0])
            await until(transport.peers, "the client")
            await flood(client, await peer_of(transport))
            await until(lambda: transport.peers() == [], "the end of the connection")

    assert trio.run(library) > 3 * limit
    trio.run(ours)


async def peer_of(transport: Libp2pTransport) -> Any:  # noqa: ANN401 - of libp2p
    return ID.from_string(transport.id)


@pytest.mark.parametrize(
    "protocol", ["/meshsub/1.1.0", "/ipfs/kad/1.0.0", "/ipfs/id/1.0.0", "/ipfs/ping/1.0.0", PROTOCOL]
)
def test_junk_on_any_protocol_ends_its_stream_and_nothing_else(protocol: str) -> None:
    junk = [b"\x05\xff\xff\xff\xff\xff", b"\xff" * 100, bytes(2000), b"\x0a" + b"\x12" * 300, b"\x03\x0a\x01\x08" * 50]

    async def main() -> None:
        ours = Libp2pTransport(settings())
        ours.on_request(answer_at_once)
        async with running(ours):
            friend = Libp2pTransport(settings(bootstrap=(ours.addresses[0],)))
            async with running(friend), stranger() as client:
                assert await connects(client, ours.addresses[0])
                await until(lambda: len(ours.peers()) == 2 and friend.peers(), "both")
                for data in junk:
                    try:
                        stream = await client.new_stream(await peer_of(ours), [TProtocol(protocol)])
                        await stream.write(data)
                        await trio.sleep(0.02)
                        await stream.reset()
                    except BaseLibp2pError:
                        continue
                await trio.sleep(0.2)
                assert ours.restarts == 0
                assert await friend.request(ours.id, b"still there", timeout_s=5, bytes_max=100) == b"still there"

    trio.run(main)


async def answer_at_once(_peer: str, message: bytes) -> bytes:
    return message


def test_a_handler_that_fails_ends_a_host_of_libp2p_and_not_ours() -> None:
    async def broken(_stream: Any) -> None:  # noqa: ANN401 - a stream of libp2p
        raise ZeroDivisionError

    async def library() -> None:
        async with stranger() as server, stranger() as client:
            server.set_stream_handler(BROKEN, broken)
            assert await connects(client, str(server.get_addrs()[0]))
            with suppress(BaseLibp2pError):
                await client.new_stream(server.get_id(), [BROKEN])
            await trio.sleep(1)

    async def ours() -> None:
        transport = Libp2pTransport(settings())
        async with running(transport), stranger() as client:
            assert transport._session is not None
            transport._session.host.set_stream_handler(BROKEN, broken)
            assert await connects(client, transport.addresses[0])
            with suppress(BaseLibp2pError):  # the stream may be gone before its protocol is agreed on
                await client.new_stream(await peer_of(transport), [BROKEN])
            await trio.sleep(0.3)
            assert transport.restarts == 0
            assert transport.peers() == [str(client.get_id())]

    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(library)
    assert caught.group_contains(ZeroDivisionError)
    trio.run(ours)


async def come_and_go(address: str, times: int) -> list[bool]:
    """Connect with one client after the other."""
    came: list[bool] = []
    for _ in range(times):
        async with stranger() as client:
            came.append(await connects(client, address))
            await trio.sleep(0.05)
    return came


def test_a_host_of_libp2p_takes_so_many_connections_in_its_life_and_ours_so_many_at_a_time() -> None:
    async def library() -> list[bool]:
        few = ConnectionConfig(min_connections=0, low_watermark=0, high_watermark=3, max_connections=3)
        async with stranger(connection_config=few) as server:
            return await come_and_go(str(server.get_addrs()[0]), 4)

    async def ours() -> list[bool]:
        transport = Libp2pTransport(settings(slots=SlotLimits(inbound_max=3, shaking_hands_max=3)))
        async with running(transport):
            came = await come_and_go(transport.addresses[0], 8)
            await until(lambda: not transport._slots._raw, "all places free again")
            return came

    assert trio.run(library) == [True, True, True, False]
    assert trio.run(ours) == [True] * 8


def test_connections_over_the_limit_are_closed_and_those_that_are_there_stay() -> None:
    async def main() -> None:
        ours = Libp2pTransport(settings(slots=SlotLimits(inbound_max=2)))
        async with running(ours), stranger() as a, stranger() as b, stranger() as c:
            for client in (a, b, c):
                await connects(client, ours.addresses[0])
                await trio.sleep(0.1)
            await until(lambda: len(ours.peers()) == 2, "two of three")
            assert ours.peers() == [str(a.get_id()), str(b.get_id())]
            await until(lambda: not c.get_connected_peers(), "the end of the third")

    trio.run(main)


def test_connections_that_never_shake_hands_are_few_and_leave_room_for_others() -> None:
    async def main() -> None:
        ours = Libp2pTransport(settings(slots=SlotLimits(shaking_hands_max=4)))
        async with running(ours):
            host, port = ours.addresses[0].split("/")[2], int(ours.addresses[0].split("/")[4])
            idle = [socket.create_connection((host, port)) for _ in range(20)]
            try:
                await until(lambda: len(ours._slots._raw) == 4, "the first four")
                await trio.sleep(0.2)
                assert len(ours._slots._raw) == 4
            finally:
                for connection in idle:
                    connection.close()
            await until(lambda: not ours._slots._raw, "room")
            async with stranger() as client:
                assert await connects(client, ours.addresses[0])

    trio.run(main)


def test_a_port_that_another_node_listens_on_is_not_shared_with_it() -> None:
    async def main() -> None:
        ours = Libp2pTransport(settings())
        async with running(ours):
            taken = ours.addresses[0].partition("/p2p/")[0]
            async with stranger(listen_addrs=[]) as library:
                await library.get_network().listen(Multiaddr(taken))  # the library shares it, without a word
            with pytest.raises(BaseExceptionGroup) as caught:
                async with running(Libp2pTransport(settings(listen=taken))):
                    raise AssertionError
            assert caught.group_contains(StoreError, match="cannot listen for peers")

    trio.run(main)


@pytest.mark.slow
def test_a_never_reading_peer_costs_its_own_stream_and_nothing_else() -> None:
    async def main() -> None:
        ours = Libp2pTransport(settings())

        async def large(_peer: str, message: bytes) -> bytes:
            return bytes(4 * 1024 * 1024) if message == b"large" else message

        ours.on_request(large)
        async with running(ours):
            friend = Libp2pTransport(settings(bootstrap=(ours.addresses[0],)))
            async with running(friend), stranger() as client:
                assert await connects(client, ours.addresses[0])
                stream = await client.new_stream(await peer_of(ours), [PROTOCOL])
                for number in range(6):  # 24 MiB of answers that nobody reads
                    await stream.write(header(number, 5) + b"large")
                await until(friend.peers, "the friend")
                with trio.fail_after(20):
                    for number in range(200):
                        message = b"%d" % number
                        assert await friend.request(ours.id, message, timeout_s=5, bytes_max=100) == message
                        await trio.sleep(0.04)
                assert ours.restarts == 0

    trio.run(main)


def test_who_has_what_is_remembered_of_so_many_datasets_and_a_peer_is_held_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(directory_module, "RECORDS_MAX", 5)
    host = new_host(key_pair=create_new_key_pair())
    table = KadDHT(host, DHTMode.SERVER, enable_values=False)
    peer, address = ID.from_pubkey(create_new_key_pair().public_key), "/ip4/192.0.2.1/tcp/1"
    for number in range(6):
        table.provider_store.add_provider(b"%d" % number, PeerInfo(peer, [Multiaddr(address)]))
        if number == 4:
            _trimmed(host, table)
            assert len(table.provider_store.providers) == 5  # at the limit
    _trimmed(host, table)
    kept = table.provider_store.providers
    assert list(kept) == [b"1", b"2", b"3", b"4", b"5"]
    assert len({id(record.provider_info) for each in kept.values() for record in each.values()}) == 1
    assert table.provider_store.get_providers(b"5") == [PeerInfo(peer, [Multiaddr(address)])]


def _trimmed(host: IHost, table: KadDHT) -> None:
    directory = directory_module.KademliaDirectory(host)
    directory._table = table
    directory.trim(set())
