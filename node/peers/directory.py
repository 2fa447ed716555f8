"""The directory of who has which dataset: provider records in a Kademlia table of this project's nodes.

What it gives are hints from strangers. A record that leads nowhere costs a connection that fails.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from contextlib import contextmanager
from secrets import token_bytes
from typing import TYPE_CHECKING, Final

import trio
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.peer.peerinfo import PeerInfo
from libp2p.tools.anyio_service import background_trio_service

from dkg.page import cid_text
from node.peers.addresses import usable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from libp2p.abc import IHost
    from libp2p.peer.id import ID

    from node.peers.addresses import PeerAddress

PROVIDERS_MAX: Final = 8
"""Most providers that are asked for."""

TIMEOUT_S: Final = 10.0
"""How long the table may take to tell or to find, in seconds."""

TABLE_GROUP_MAX: Final = 8
"""Most peers of one network in the routing table."""

PROVIDED_MAX: Final = 1_024
"""Most datasets that are told of again from time to time; those told of longest ago are left out."""

RECORDS_MAX: Final = 10_000
"""Most datasets of which it is remembered who has them; libp2p has no limit of its own."""

STRANGERS_MAX: Final = 2_000
"""Most peers whose addresses libp2p remembers; it has no limit of its own."""

RESTART_S: Final = 5.0

_MULTIHASH_AT: Final = 2  # in a CID: after version and codec

log = logging.getLogger(__name__)


class KademliaDirectory:
    """Tells and finds who has a dataset."""

    def __init__(self, host: IHost) -> None:
        self._host = host
        self._table: KadDHT | None = None
        self._provided: OrderedDict[bytes, None] = OrderedDict()

    async def run(self) -> None:
        """Keep the table for ever, whatever goes wrong in it."""
        while True:
            try:
                table = KadDHT(
                    self._host, DHTMode.SERVER, enable_values=False, max_peers_per_subnet_table=TABLE_GROUP_MAX
                )
                async with background_trio_service(table):
                    self._table = table
                    await trio.sleep_forever()
            except Exception:  # a fault of the library, which a peer may have provoked
                log.exception("the directory broke; it is started again in %s s", RESTART_S)
            finally:
                self._table = None
            await trio.sleep(RESTART_S)

    def size(self) -> int:
        """How many peers are in the table."""
        return self._table.get_routing_table_size() if self._table is not None else 0

    async def met(self, peer: ID) -> None:
        """A peer is connected: if it keeps the table too, it belongs in ours."""
        if self._table is not None:
            await self._table.add_peer(peer)

    async def provide(self, root: bytes) -> None:
        """Tell that this node has a dataset. Nothing is lost if it cannot be told."""
        if self._table is None:
            return
        self._provided[root] = None
        self._provided.move_to_end(root)
        if len(self._provided) > PROVIDED_MAX:
            old, _ = self._provided.popitem(last=False)
            self._table.provider_store.providing_keys.discard(old[_MULTIHASH_AT:])
        with self._forgiving("tell who has a dataset"):
            await self._table.provide(cid_text(root))

    async def find(self, root: bytes) -> list[PeerAddress]:
        """Peers that are said to have a dataset."""
        found: list[PeerAddress] = []
        if self._table is not None:
            with self._forgiving("find who has a dataset"):
                for info in await self._table.find_providers(cid_text(root), PROVIDERS_MAX):
                    found += usable(info)[:1]
        others = {address.peer: address for address in found if address.peer != str(self._host.get_id())}
        return list(others.values())

    async def explore(self) -> list[PeerAddress]:
        """Some peers that others know, and how to reach them."""
        found: list[PeerAddress] = []
        if self._table is not None:
            store = self._host.get_peerstore()
            with self._forgiving("find other peers"):
                for peer in await self._table.peer_routing.find_closest_peers_network(token_bytes(32)):
                    if peer != self._host.get_id() and store.has_peer(peer):
                        found += usable(PeerInfo(peer, store.addrs(peer)))[:1]
        return found

    @contextmanager
    def _forgiving(self, what: str) -> Iterator[None]:
        """Neither time nor faults of the library are worth more than a line in the log: all of this is hints."""
        try:
            with trio.move_on_after(TIMEOUT_S):
                yield
        except Exception as error:  # noqa: BLE001 - a fault of the library, which a peer may have provoked
            log.info("the directory could not %s: %s: %s", what, type(error).__name__, error)

    def trim(self, connected: set[ID]) -> None:
        """Forget what is too much."""
        store = self._host.get_peerstore()
        strangers = [peer for peer in store.peer_ids() if peer not in connected and peer != self._host.get_id()]
        for peer in strangers[: max(0, len(strangers) - STRANGERS_MAX)]:
            store.clear_peerdata(peer)
        if self._table is not None:
            records = self._table.provider_store.providers
            for key in list(records)[: max(0, len(records) - RECORDS_MAX)]:
                del records[key]
            same: dict[PeerInfo, PeerInfo] = {}  # one peer's addresses once, not once for each of its datasets
            for each in records.values():
                for record in each.values():
                    record.provider_info = same.setdefault(record.provider_info, record.provider_info)
