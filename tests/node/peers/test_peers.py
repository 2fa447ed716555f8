"""Real peers on the loopback interface: asking, finding, losing and finding each other again, and stopping clean."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest
import trio
from libp2p.discovery.events.peerDiscovery import peerDiscovery
from libp2p.exceptions import BaseLibp2pError
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from dkg.errors import InputError, StoreError
from dkg.page import cid_of
from dkg.pages import MemoryPageStore
from node.peers import session as session_module
from node.peers import transport as transport_module
from node.peers.addresses import PeerAddress
from node.peers.frames import header
from node.peers.runtime import TrioRuntime
from node.peers.slots import SlotLimits
from node.peers.thread import PeerThread
from node.peers.transport import Libp2pTransport
from node.replication.errors import PeerError, UnreachableError
from node.replication.messages import Hello
from node.replication.replicator import Hooks, Network, Replicator, Settings
from node.replication.serve import Server
from tests.node.peers.names import peer_name
from tests.node.peers.running import CHAIN_ID, REGISTRY, running, settings, stranger, until
from tests.node.replication.datasets import changed, dataset
from tests.sim.node import SimChain, SimHeads

if TYPE_CHECKING:
    from pathlib import Path

    from node.replication.messages import Anchored
    from node.replication.replicate import Report


async def echo(peer: str, message: bytes) -> bytes:
    return peer.encode() + b" says " + message


def test_two_peers_ask_each_other_over_one_connection() -> None:
    async def main() -> None:
        a = Libp2pTransport(settings())
        a.on_request(echo)
        async with running(a):
            b = Libp2pTransport(settings(bootstrap=(a.addresses[0],)))
            b.on_request(echo)
            async with running(b):
                await until(lambda: a.peers() == [b.id] and b.peers() == [a.id], "each other")
                assert await b.request(a.id, b"hello", timeout_s=5, bytes_max=100) == b.id.encode() + b" says hello"
                assert await a.request(b.id, b"hello", timeout_s=5, bytes_max=100) == a.id.encode() + b" says hello"
                with pytest.raises(PeerError, match="10 bytes are the most"):
                    await b.request(a.id, b"hello", timeout_s=5, bytes_max=10)
                assert await b.request(a.id, b"again", timeout_s=5, bytes_max=100)
                assert (b.traffic.sent, b.traffic.received, a.traffic.served) == (10, 2 * 63, 3 * 63)

    trio.run(main)


def test_what_is_told_of_who_is_connected() -> None:
    async def main() -> None:
        a = Libp2pTransport(settings(), clock=lambda: 1_000.0)
        assert a.about() == []
        a.on_request(echo)
        async with running(a):
            b = Libp2pTransport(settings(bootstrap=(a.addresses[0],)), clock=lambda: 2_000.0)
            b.on_request(echo)
            async with running(b):
                await until(lambda: a.peers() == [b.id] and b.peers() == [a.id], "each other")
                assert await b.request(a.id, b"hello", timeout_s=5, bytes_max=100)
                await until(lambda: a.about()[0].addresses and b.about()[0].addresses, "where they listen")
                a.penalise(b.id, 60, "it lied")
                ours, theirs = a.about()[0], b.about()[0]
                assert (ours.id, ours.inbound, ours.pinned) == (b.id, True, False)
                assert ours.since == ours.last_seen == 1_000
                assert (theirs.id, theirs.inbound, theirs.pinned, theirs.since) == (a.id, False, True, 2000)
                assert (ours.received_bytes, ours.sent_bytes) == (5, 63) == (theirs.sent_bytes, theirs.received_bytes)
                assert ours.addresses == (b.addresses[0],)
                assert theirs.addresses == (a.addresses[0],)
                assert theirs.remote is not None
                assert theirs.remote.startswith("127.0.0.1:")
                assert [(one.points, one.why) for one in ours.penalties] == [(60, "it lied")]
                assert 990 < ours.penalties[0].at <= 1_000
                assert 59 < ours.score <= 60
                assert not ours.shut_out
                b.penalise(a.id, 200, "a lie")  # pinned: it stays connected, and is asked nothing
                assert b.peers() == []
                assert [(one.id, one.shut_out) for one in b.about()] == [(a.id, True)]

    trio.run(main)


def test_hundreds_of_requests_at_once_are_all_answered() -> None:
    async def main() -> None:
        a = Libp2pTransport(settings())
        a.on_request(echo)
        async with running(a):
            b = Libp2pTransport(settings(bootstrap=(a.addresses[0],)))
            async with running(b):
                await until(b.peers, "the peer")
                found: list[bytes] = []

                async def ask(number: int) -> None:
                    found.append(await b.request(a.id, bytes(number), timeout_s=30, bytes_max=100_000))

                async with trio.open_nursery() as nursery:
                    for number in range(300):
                        nursery.start_soon(ask, 100 * number)
        assert len(set(found)) == 300

    trio.run(main)


def test_a_peer_that_nobody_knows_and_one_that_does_not_answer_are_unreachable() -> None:
    async def main() -> None:
        a = Libp2pTransport(settings())
        with pytest.raises(UnreachableError, match="not among peers"):
            await a.request("nobody", b"x", timeout_s=1, bytes_max=10)
        assert a.peers() == a.addresses == []

        async def never(_peer: str, _message: bytes) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

        a.on_request(never)
        async with running(a):
            b = Libp2pTransport(settings(bootstrap=(a.addresses[0],)))
            async with running(b):
                await until(b.peers, "the peer")
                with pytest.raises(UnreachableError, match="not connected"):
                    await b.request("nobody", b"x", timeout_s=1, bytes_max=10)
                for _ in range(session_module.FAILURES_MAX):
                    with pytest.raises(UnreachableError, match="did not answer"):
                        await b.request(a.id, b"x", timeout_s=0.1, bytes_max=10)
                assert b.peers() == []  # whoever does not answer again and again may be dead
                await until(b.peers, "the peer again: it is pinned")

    trio.run(main)


def test_nobody_who_is_unreachable_waits_longer_than_it_was_told() -> None:
    async def main() -> float:
        a = Libp2pTransport(settings())
        async with running(a):
            b = Libp2pTransport(settings(bootstrap=(a.addresses[0],)))
            async with running(b):
                await until(b.peers, "the peer")
                since = trio.current_time()
                with pytest.raises(UnreachableError):
                    await b.request(a.id, b"nobody answers there yet", timeout_s=0.5, bytes_max=10)
                return trio.current_time() - since

    assert trio.run(main) < 5


def test_the_host_key_is_kept_and_the_identifier_with_it(tmp_path: Path) -> None:
    first = Libp2pTransport(settings(directory=tmp_path))
    again = Libp2pTransport(settings(directory=tmp_path))
    other = Libp2pTransport(settings())
    assert first.id == again.id != other.id
    (tmp_path / "host.key").chmod(0o644)
    with pytest.raises(InputError, match="others than its owner"):
        Libp2pTransport(settings(directory=tmp_path))


def test_nothing_listens_beyond_this_machine_and_nothing_on_udp() -> None:
    def sockets() -> list[tuple[str, str]]:
        process = psutil.Process()
        return [(c.type.name, c.laddr.ip) for c in process.net_connections("inet") if c.status in {"LISTEN", "NONE"}]

    async def main() -> None:
        before = sockets()
        async with running(Libp2pTransport(settings())):
            await trio.sleep(0.1)
            found = sockets()
            for one in before:
                found.remove(one)
            assert found == [("SOCK_STREAM", "127.0.0.1")]

    trio.run(main)


def test_twenty_starts_and_stops_leave_no_thread_no_file_and_no_connection_behind() -> None:
    def left() -> tuple[int, int]:
        threads = [thread for thread in threading.enumerate() if not thread.name.startswith("Trio thread")]
        return len(threads), len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - of this process

    def once() -> None:
        a = Libp2pTransport(settings())
        with PeerThread() as first:
            first.start(a.run)
            b = Libp2pTransport(settings(bootstrap=(a.addresses[0],)))
            with PeerThread() as second:
                second.start(b.run)
                second.call(until, b.peers, "the peer")

    once()
    threads, files = left()
    for _ in range(20):
        once()
    assert left()[0] == threads
    assert left()[1] <= files + 2


def test_a_pinned_peer_that_goes_away_is_found_again_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "BACKOFF_S", 0.05)

    async def main() -> None:
        a = Libp2pTransport(settings(directory=tmp_path))
        async with running(a):
            address = a.addresses[0]
            b = Libp2pTransport(settings(bootstrap=(address,)))
        async with running(b):
            await trio.sleep(0.3)
            assert b.peers() == []
            for _ in range(2):
                a = Libp2pTransport(settings(directory=tmp_path, listen=address.partition("/p2p/")[0]))
                a.on_request(echo)
                async with running(a):
                    await until(b.peers, "the peer")
                    assert await b.request(a.id, b"x", timeout_s=5, bytes_max=100)
                await until(lambda: not b.peers(), "its end")

    trio.run(main)


def test_penalties_shut_a_peer_out_and_not_one_that_is_pinned() -> None:
    async def main() -> None:
        a = Libp2pTransport(settings())
        a.on_request(echo)
        async with running(a):
            b = Libp2pTransport(settings(bootstrap=(a.addresses[0],)))
            b.on_request(echo)
            async with running(b):
                await until(lambda: a.peers() and b.peers(), "each other")
                b.penalise(a.id, 200, "a lie")  # pinned there
                assert b.peers() == []
                await trio.sleep(0.2)
                assert a.peers() == [b.id]
                a.penalise(b.id, 200, "a lie")  # not pinned here
                await until(lambda: b._session is not None and not b._session.connected, "the end")
                await trio.sleep(1.0)
                assert a.peers() == []  # it comes again, and is not let in

    trio.run(main)


def test_a_host_that_breaks_is_started_again_at_the_same_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "RESTART_S", 0.1)
    monkeypatch.setattr(transport_module, "BACKOFF_S", 0.05)

    async def breaks() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        a = Libp2pTransport(settings())
        a.on_request(echo)
        async with running(a):
            address = a.addresses
            b = Libp2pTransport(settings(bootstrap=(a.addresses[0],)))
            async with running(b):
                await until(lambda: a.peers() and b.peers(), "each other")
                assert a._session is not None
                a._session.nursery.start_soon(breaks)
                await until(lambda: a.restarts == 1 and a.addresses == address, "the host again")
                await until(lambda: a.peers() and b.peers(), "each other again")
                assert await b.request(a.id, b"x", timeout_s=5, bytes_max=100)

    trio.run(main)


def test_a_port_that_cannot_be_had_is_said_at_once() -> None:
    with PeerThread() as peers:
        a = Libp2pTransport(settings())
        peers.start(a.run)
        taken = a.addresses[0].partition("/p2p/")[0]
        with pytest.raises(StoreError, match="cannot listen for peers"):
            peers.start(Libp2pTransport(settings(listen=taken)).run)


def test_a_dataset_that_was_told_of_is_found_through_the_directory() -> None:
    root = cid_of(b"a dataset")

    async def main() -> None:
        hub = Libp2pTransport(settings())
        async with running(hub):
            holder, seeker = (Libp2pTransport(settings(bootstrap=(hub.addresses[0],))) for _ in range(2))
            async with running(holder, seeker):
                await until(lambda: len(hub.peers()) == 2 and holder.peers() and seeker.peers(), "the hub")
                await until(lambda: tables(hub, 2) and tables(holder, 1) and tables(seeker, 1), "the tables")
                assert await seeker.find(root) == []
                await holder.provide(root)
                assert await seeker.find(root) == [holder.id]
                assert holder.id in seeker.peers()

    trio.run(main)


def tables(transport: Libp2pTransport, most: int) -> bool:
    """Whether a peer has so many others in its table."""
    directory = transport._session.directory if transport._session else None
    return directory is not None and directory.size() >= most


def test_peers_find_each_other_through_one_that_both_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "TOP_UP_S", 0.3)

    async def main() -> None:
        hub = Libp2pTransport(settings())
        async with running(hub):
            others = [Libp2pTransport(settings(bootstrap=(hub.addresses[0],))) for _ in range(3)]
            async with running(*others):
                await until(lambda: all(len(peer.peers()) == 3 for peer in (hub, *others)), "all of each other")
                assert set(hub.peers()) == {peer.id for peer in others}

    trio.run(main)


def test_a_peer_is_found_again_from_the_book_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "TOP_UP_S", 0.2)

    async def main() -> None:
        a = Libp2pTransport(settings())
        async with running(a):
            b = Libp2pTransport(settings(directory=tmp_path))
            async with running(b):
                assert await b.connect(a.addresses[0])
                await until((tmp_path / "peers.json").exists, "the book")
            again = Libp2pTransport(settings(directory=tmp_path))
            async with running(again):
                await until(lambda: again.peers() == [a.id], "the peer of before")

    trio.run(main)


def test_a_node_connects_to_no_more_than_it_may() -> None:
    async def main() -> None:
        a = Libp2pTransport(settings(slots=SlotLimits(dialled_max=2)))
        others = [Libp2pTransport(settings()) for _ in range(4)]
        async with running(a, *others):
            connected = [await a.connect(other.addresses[0]) for other in others]
            assert connected == [True, True, False, False]
            assert not await a.connect(a.addresses[0])
            with pytest.raises(InputError, match="no address of a peer"):
                await a.connect("junk")

    trio.run(main)


def test_peers_in_the_local_network_are_put_into_the_book_where_that_is_wanted_and_else_not() -> None:
    info = PeerAddress(peer_name(1), "/ip4/192.0.2.7/tcp/4001").info()

    async def book_of(wanted: Libp2pTransport) -> int:
        async with wanted._hears_of_nearby():
            await trio.to_thread.run_sync(peerDiscovery.emit_peer_discovered, info)
            await trio.sleep(0.05)
        peerDiscovery.emit_peer_discovered(info)
        return len(wanted._book)

    assert trio.run(book_of, Libp2pTransport(settings(mdns=True))) == 1
    assert trio.run(book_of, Libp2pTransport(settings())) == 0


def test_a_peer_that_says_nothing_of_where_it_listens_is_no_fault() -> None:
    async def main() -> None:
        a = Libp2pTransport(settings())
        async with running(a), stranger() as client:
            await client.connect(info_from_p2p_addr(Multiaddr(a.addresses[0])))
            await until(a.peers, "the client")
            assert a._session is not None
            await until(a._session.listening, "where it listens")
            assert [found.peer for found in a._session.listening()] == [str(client.get_id())]
            a._session.host.get_peerstore().clear_peerdata(client.get_id())
            assert a._session.listening() == []

    trio.run(main)


def test_a_peer_that_opens_a_third_stream_to_ask_on_is_penalised() -> None:
    async def main() -> None:
        a = Libp2pTransport(settings())
        a.on_request(echo)
        async with running(a), stranger() as client:
            await client.connect(info_from_p2p_addr(Multiaddr(a.addresses[0])))
            for _ in range(2):
                stream = await client.new_stream(ID.from_string(a.id), [session_module.PROTOCOL])
                await stream.write(header(1, 1) + b"x")
                await until(lambda: a._serving, "the stream")
            assert a._ledger.points(str(client.get_id()), trio.current_time()) == 0
            with suppress(BaseLibp2pError):  # it may be gone before its protocol is agreed on
                await client.new_stream(ID.from_string(a.id), [session_module.PROTOCOL])
            await until(lambda: a._ledger.points(str(client.get_id()), trio.current_time()) > 0, "the penalty")

    trio.run(main)


# --- replication over it all -----------------------------------------------------------------------------------------


class Node:
    """A node with everything but a disk and a chain."""

    def __init__(self, log: list[Anchored], **more: object) -> None:
        hello = Hello(CHAIN_ID, REGISTRY, "test", ())
        runtime = TrioRuntime()
        self.transport = Libp2pTransport(settings(**more))
        self.store = MemoryPageStore()
        self.chain = SimChain(log)
        self.heads = SimHeads(self.chain, self.store)
        self.reports: list[Report] = []
        self.transport.on_request(Server(runtime, hello, self.store, self.heads).handle)
        self.replicator = Replicator(
            runtime,
            Network(self.transport, hello, self.transport),
            self.chain,
            self.heads,
            self.store,
            settings=Settings(entropy_s=0.5, entropy_missing_s=0.2, look_s=0.5),
            hooks=Hooks(accepted=self.reports.append),
        )

    def see(self) -> None:
        self.chain.seen = len(self.chain.log)
        self.replicator.wake()

    def has(self, head: Anchored) -> bool:
        return self.heads.held(head.publisher) == head


@pytest.mark.parametrize("gossip", [True, False], ids=["with gossip", "without"])
def test_datasets_come_over_cold_and_then_as_changes(gossip: bool) -> None:  # noqa: FBT001 - a parameter of the test
    _, old = dataset(500)
    source, new = changed(500, 50)

    async def main() -> None:
        log: list[Anchored] = [old]
        a = Node(log, gossip=gossip)
        a.store.pages.update(source.pages)
        async with running(a.transport):
            others = [Node(log, gossip=gossip, bootstrap=(a.transport.addresses[0],)) for _ in range(2)]
            async with running(*(node.transport for node in others)), trio.open_nursery() as nursery:
                for node in (a, *others):
                    nursery.start_soon(node.replicator.run)
                for head in (old, new):
                    if head is new:
                        log.append(new)
                    a.see()
                    a.heads.accept(head)
                    a.replicator.tell(head)
                    for node in others:
                        node.see()
                    await until(lambda: all(node.has(head) for node in others), "the dataset")  # noqa: B023 - at once
                nursery.cancel_scope.cancel()
        for node in others:
            assert [report.by_change for report in node.reports] == [False, True]
            assert node.store.pages == source.pages

    trio.run(main)
