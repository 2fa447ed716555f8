"""A peer for the fourth part of the demo: it has every dataset, says so, and alters each page that it sends.

    python scripts/_demo_liar.py FILE

`FILE` is JSON: the chain's id, the registry, stores to read pages from, the commits that the chain has, and whether the
pages are altered: the pages of a wrong checkpoint are what they are. The program
speaks libp2p with the node's own transport and server, prints its address, and goes on until its input ends.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import trio

from dkg.client.store import SqliteStore
from dkg.errors import StoreError
from dkg.proof import root_bytes
from node.peers.runtime import TrioRuntime
from node.peers.settings import PeerSettings
from node.peers.transport import Libp2pTransport
from node.replication.errors import PeerError
from node.replication.messages import Anchored, Hello, PageAnswer, decode
from node.replication.serve import Server
from node.replication.squeeze import squeezed, unsqueezed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Stores:
    """The pages of several stores."""

    def __init__(self, names: Sequence[str]) -> None:
        self._stores = [SqliteStore(name, read_only=True) for name in names]

    def get(self, cid: bytes) -> bytes | None:
        """A page; None if no store has it."""
        return next((page for store in self._stores if (page := store.get(cid)) is not None), None)

    def put_many(self, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """It takes nothing from anybody."""
        raise StoreError(f"a peer that lies keeps no pages, and was given {len(list(pages))}")


class Held:
    """The commits that it says it has."""

    def __init__(self, commits: Sequence[dict[str, Any]]) -> None:
        made = [
            Anchored(
                publisher=bytes.fromhex(one["publisher"][2:]),
                seq=one["seq"],
                root=root_bytes(one["root"]),
                count=one["count"],
                position=one["position"],
            )
            for one in commits
        ]
        latest = {head.publisher: head for head in sorted(made, key=lambda head: head.seq)}
        self._heads = [latest[publisher] for publisher in sorted(latest)]

    def after(self, publisher: bytes, most: int) -> list[Anchored]:
        """See `HeldHeads.after`."""
        return [head for head in self._heads if head.publisher > publisher][:most]


def altered(answer: bytes) -> bytes:
    """An answer with pages: the last bit of what it carries is another."""
    try:
        found = decode(answer, PageAnswer)
    except PeerError:
        return answer
    if not found.body:
        return answer
    pages = bytearray(unsqueezed(found.body, sum(size for size in found.sizes if size > 0)))
    pages[-1] ^= 1
    return replace(found, body=squeezed(bytes(pages))).encode()


async def lie(told: dict[str, Any]) -> None:
    """Take part among peers until the input ends."""
    registry = bytes.fromhex(told["registry"][2:])
    transport = Libp2pTransport(PeerSettings(told["chain_id"], registry, gossip=False))
    hello = Hello(told["chain_id"], registry, "honest", ())
    server = Server(TrioRuntime(), hello, Stores(told["stores"]), Held(told["commits"]))

    async def answer(peer: str, message: bytes) -> bytes:
        sent = await server.handle(peer, message)
        return altered(sent) if told["alters"] else sent

    transport.on_request(answer)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda *, task_status: transport.run(task_status=task_status))
        print(transport.addresses[0], flush=True)
        await trio.lowlevel.wait_readable(sys.stdin.fileno())
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(lie, json.loads(Path(sys.argv[1]).read_text()))
