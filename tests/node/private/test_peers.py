"""Peers: whatever one asks a node that has private parts, no message of its holds a byte of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.car import read_car
from dkg.client.files import decompress
from dkg.page import cid_of
from dkg.pages import StoredPages
from dkg.private import private_graph
from node.core.view import anchored
from node.private.audience import Audiences
from node.replication import limits
from node.replication.messages import (
    Announcement,
    Change,
    Code,
    GetChange,
    GetHeads,
    GetPages,
    GetProof,
    Heads,
    Hello,
    PageAnswer,
    ProofAnswer,
    Refusal,
    decode,
)
from node.replication.serve import Server
from node.workers.jobs import Prove
from tests.node.http.world import DOMAIN, address, ual
from tests.node.private.site import CANARY, OTHERS, PrivateSite
from tests.sim.loop import Loop, SimRuntime
from tests.sim.node import SimChain, SimHeads

if TYPE_CHECKING:
    from node.replication.messages import Message


class Peer:
    """Asks the serving side of a node, whose proofs are made as they are over HTTP."""

    def __init__(self, site: PrivateSite) -> None:
        self.site = site
        store, loop = site.node.store.pages, Loop(1)
        heads = SimHeads(SimChain([]), store)
        latest = {one.publisher: anchored(one) for one in site.node.log.entries}
        heads.heads = latest
        self.heads = tuple(latest.values())
        hello = Hello(DOMAIN.chain_id, DOMAIN.registry, "x", ("change", "proof"))
        self.server = Server(SimRuntime(loop), hello, store, heads, prover=self.prove)
        self.loop = loop
        self.said = b""

    async def prove(self, peer: str, asked: GetProof) -> bytes:
        job = Prove(root=asked.root, text=asked.query)
        return (await self.site.runner.run(job, client=peer)).body

    def ask(self, message: Message) -> Message:
        async def main() -> bytes:
            return await self.server.handle("guest", message.encode())

        raw = self.loop.run(main)
        self.said += raw
        return decode(raw, Hello, Heads, PageAnswer, Change, ProofAnswer, Refusal)


@pytest.fixture
def peer(shared: PrivateSite) -> Peer:
    return Peer(shared)


def private_roots(site: PrivateSite) -> list[bytes]:
    """Of private parts, and of what readers are answered from."""
    root = site.node.standing(None).root
    parts = [site.vault.load(site.version(name)) for name in ("air", "diary")]
    audience = Audiences().made(StoredPages(site.node.store.pages), root, parts)
    return [*(part.root for part in parts), audience.root]


def test_no_private_page_is_given_to_a_peer(shared: PrivateSite, peer: Peer) -> None:
    cids: list[bytes] = []
    for name in ("air", "diary"):
        part = shared.vault.load(shared.version(name))
        cids += read_car(part.car, part.root, 1_000)
    public = shared.node.standing(None).root
    answer = peer.ask(GetPages((*cids, public), limits.PAGES_BYTES_MAX))
    assert isinstance(answer, PageAnswer)
    assert [size == 0 for size in answer.sizes] == [True] * len(cids) + [False]
    assert cid_of(decompress(answer.body, 10**6)) == public


def test_no_proof_over_a_private_root_is_made_for_a_peer(shared: PrivateSite, peer: Peer) -> None:
    public = shared.node.standing(None).root
    for root in private_roots(shared):
        assert isinstance(peer.ask(GetProof(root, "SELECT * { ?s ?p ?o }")), Refusal)
        assert isinstance(peer.ask(GetChange(public, root)), Refusal)
        assert isinstance(peer.ask(GetChange(root, public)), Refusal)
    graph = private_graph(ual(0, "air")).decode()
    answer = peer.ask(GetProof(public, f"SELECT * {{ GRAPH {graph} {{ ?s ?p ?o }} }}"))
    assert isinstance(answer, ProofAnswer)
    assert CANARY.encode() not in decompress(answer.body, answer.size)


def test_no_message_to_peers_has_a_private_byte(shared: PrivateSite, peer: Peer) -> None:
    assert isinstance(peer.ask(Hello(DOMAIN.chain_id, DOMAIN.registry, "x", ())), Hello)
    assert isinstance(peer.ask(GetHeads(b"")), Heads)
    commits = [one for one in shared.node.log.entries if one.publisher == address(0)]
    change = peer.ask(GetChange(anchored(commits[0]).root, anchored(commits[-1]).root))
    assert isinstance(change, Change)
    peer.said += decompress(change.body, change.size)
    proof = peer.ask(GetProof(shared.node.standing(None).root, "SELECT * { ?s ?p ?o }"))
    assert isinstance(proof, ProofAnswer)
    peer.said += decompress(proof.body, proof.size)
    gossip = Announcement(DOMAIN.chain_id, DOMAIN.registry, peer.heads).encode()
    secrets = [*shared.secrets(), CANARY.encode(), OTHERS.encode()]
    assert b"privateCommitment" in peer.said
    assert not [one for one in secrets if one in peer.said + gossip]


def test_what_is_refused_is_refused_as_what_was_never_there(shared: PrivateSite, peer: Peer) -> None:
    nowhere = bytes.fromhex("01711220") + bytes(32)
    for root in private_roots(shared):
        there, never = (peer.ask(GetProof(one, "ASK {}")) for one in (root, nowhere))
        assert isinstance(there, Refusal)
        assert isinstance(never, Refusal)
        assert there.code == never.code != Code.OTHER_NETWORK
