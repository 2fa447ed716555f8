"""Peers that are there to waste a watcher's time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from dkg.chain.checkpoints import Status
from dkg.page import Leaf, cid_of
from node.checkpoints import calls
from node.checkpoints.source import Source
from node.core.nobody import Nobody
from node.replication.ask import Asker
from node.replication.errors import UnreachableError
from node.replication.messages import GetPages, Hello, PageAnswer, decode
from node.replication.squeeze import squeezed
from tests.node.checkpoints.test_watcher import Site, built, run, site

if TYPE_CHECKING:
    from node.checkpoints.walk import Asking

__all__ = ["built", "site"]

HONEST = "honest"
SLOW = [f"slow {at}" for at in range(20)]


class Peers(Nobody):
    """One gives pages; the others never answer, which is found out after a minute."""

    def __init__(self, pages: dict[bytes, bytes]) -> None:
        self.pages = pages
        self.asked: Counter[str] = Counter()

    def peers(self) -> list[str]:
        return [*SLOW, HONEST]

    async def request(self, peer: str, message: bytes, *, timeout_s: float, bytes_max: int) -> bytes:
        del timeout_s, bytes_max
        self.asked[peer] += 1
        if peer != HONEST:
            raise UnreachableError(f"{peer} does not answer")
        given = [self.pages.get(cid, b"") for cid in decode(message, GetPages).cids]
        return PageAnswer(tuple(map(len, given)), squeezed(b"".join(given))).encode()


class Dripping(Nobody):
    """A peer that gives a page of what is asked for, after as long as it may take, and then the next."""

    def peers(self) -> list[str]:
        return ["dripping"]

    async def request(self, peer: str, message: bytes, *, timeout_s: float, bytes_max: int) -> bytes:
        del peer, message, timeout_s, bytes_max
        await trio.sleep_forever()
        raise AssertionError


def test_pages_that_come_slowly_save_no_other_checkpoint_and_keep_no_demand_from_being_answered(site: Site) -> None:
    async def main() -> None:
        site.transport = Dripping()
        site.commit(0, site.keys(0, 30))
        registry, contract = site.there.registry, site.contract
        site.kept.append(registry.commit(registry.accounts[1], b"\x55" * 32))  # a commit whose pages come slowly
        site.whole -= {1}
        contract.propose(2, root=b"\x66" * 32)  # and a checkpoint
        contract.propose(1, root=site.union(min(site.keys(0, 1))))
        contract.propose(1, root=site.union())
        contract.send(calls.demand_checkpoint(contract.address, 3, b"", contract.terms.demand_bond))
        site.have()
        async with site.node() as core:
            await site.status(core, 2, Status.REFUTED)
            assert [step["what"] for step in (await site.done(core, "demand-1"))["steps"]] == ["answer"]
            assert core.watcher.status()["pending"][1] == {"state": "waits", "why": "it is being looked at"}
            assert await site.judged(core, 3) == "right"

    run(main)


def test_peers_that_do_not_answer_are_waited_for_once_a_look_and_after_those_that_do(site: Site) -> None:
    async def main() -> None:
        raws = [Leaf([b"%d" % at]).encode() for at in range(60)]
        peers = Peers({cid_of(raw): raw for raw in raws})
        domain = site.there.registry.domain
        hello = Hello(domain.chain_id, domain.registry, "test", ())

        def asking(some: list[bytes]) -> Asking[int]:
            found = 0
            for raw in some:
                found += len((yield [cid_of(raw)]))
            return found

        async with site.node() as core:
            parts = replace(core.parts, transport=peers)
            source = Source(parts, Asker(peers, hello), core.watcher._keeper)
            unknown = [Leaf([b"unknown %d" % at]).encode() for at in range(9)]
            assert await source.found(asking(raws[:30] + unknown)) == 30
            assert peers.asked == {HONEST: 39, **dict.fromkeys(SLOW, 1)}
            assert await source.found(asking(raws[30:])) == 30
            assert peers.asked == {HONEST: 69, **dict.fromkeys(SLOW, 1)}

    run(main)
