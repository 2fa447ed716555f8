"""The watcher in a node, on the development chain with the real contract: from a proposal to what comes of it."""

from __future__ import annotations

import time
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import trio

from dkg.chain.checkpoints import Reason, Status
from dkg.chain.secp import checksum
from dkg.checkpoints.owners import prefix_of
from dkg.client.endpoints import reader_of
from dkg.page import CID_PREFIX, DatasetRoot, cid_of, decode
from dkg.pages import MemoryPageStore
from node.checkpoints import calls, watcher
from node.checkpoints.hand import Hand
from node.checkpoints.sending import CheckpointSender
from node.core.core import NodeCore
from node.core.nobody import Nobody
from node.core.parts import Parts
from node.core.settings import CoreSettings
from node.devnet.chain import devnet
from node.home import Home
from node.peers.runtime import TrioRuntime
from node.publish.fees import FeePolicy
from node.publish.publisher import connected
from node.publish.sender import Tools
from node.publish.wallet import Wallet
from node.replication.fetch import LANE
from node.storage import NodeStore, Retention
from node.union_keeper import publisher_name
from node.workers.inprocess import InProcess
from tests.chain.checkpoints import MALFORMED, Checkpoints
from tests.chain.world import World, world
from tests.node.checkpoints.world import SHAPES, dataset, tree, whole
from tests.node.publish.world import KEYS, QUICK, hasty

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from dkg.chain.checkpoints import Checkpoint
    from dkg.chain.registry import Committed
    from node.checkpoints.find import Wrong
    from node.checkpoints.hand import Step

DEPTH = 2


@dataclass
class Site:
    """A chain with both contracts, and a node beside it."""

    there: World
    contract: Checkpoints
    folder: Path
    pages: MemoryPageStore = field(default_factory=MemoryPageStore)
    said: dict[int, set[bytes]] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    kept: list[Committed] = field(default_factory=list)
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    """What happens before a challenge is sent."""
    whole: set[int] = field(default_factory=lambda: {0, 1})
    """Whose datasets replication brings over."""
    transport: Nobody = field(default_factory=Nobody)

    def keys(self, who: int, count: int, seed: int = 0) -> set[bytes]:
        """Keys of a publisher."""
        graph = prefix_of(self.there.registry.domain, self.there.registry.accounts[who]) + b"a>"
        return {b"<http://e/%d>\0<http://p>\0<http://o/%d>\0%b\0" % (at, seed, graph) for at in range(count)}

    def commit(self, who: int, keys: set[bytes]) -> Committed:
        """A publisher commits a dataset."""
        self.said[who] = keys
        root = whole(self.pages, keys).removeprefix(CID_PREFIX)
        made = self.there.registry.commit(self.there.registry.accounts[who], root)
        self.kept.append(made)
        return made

    def union(self, *but: bytes) -> bytes:
        """The digest of the union of what was said, without some keys."""
        return whole(self.pages, set[bytes]().union(*self.said.values()) - {*but}).removeprefix(CID_PREFIX)

    def have(self) -> None:
        """The node will have all pages when it starts."""
        with NodeStore(self.folder / "node", reserve_bytes=0) as store:
            store.pages.put_many(self.pages.pages.items())

    @asynccontextmanager
    async def node(self, *, propose_s: float = 0.0) -> AsyncIterator[NodeCore]:
        """A node that has what was committed so far, with a key."""
        with ExitStack() as stack:
            store = stack.enter_context(NodeStore(self.folder / "node", reserve_bytes=0))
            reader = reader_of([self.there.proxy.url], 1)
            stack.callback(reader.close)
            mine, writer = stack.enter_context(connected([self.there.proxy.url], 1))
            domain, address = self.there.registry.domain, self.contract.address
            tools = Tools(writer, hasty(), time.time, FeePolicy(), QUICK)
            sender = CheckpointSender(Home(self.folder / "home"), Wallet(KEYS[5]), domain, mine, tools)
            hand = Hand(sender, mine, writer, address, domain)
            self._late(hand)
            core = NodeCore(
                Parts(
                    runtime=TrioRuntime(),
                    clock=time.time,
                    monotonic=time.monotonic,
                    domain=domain,
                    store=store,
                    served=store.pages,
                    browsed=store.pages,
                    public=store.pages,
                    reader=reader,
                    transport=self.transport,
                    runner=InProcess(store.pages),
                    log=lambda event, /, **facts: self.events.append((event, facts)),
                    settings=CoreSettings(
                        finality_depth=DEPTH,
                        checkpoints=address,
                        propose_s=propose_s,
                        poll_s=0.05,
                        news_s=0.02,
                        retry_s=0.1,
                    ),
                    hand=hand,
                )
            )
            stack.callback(core.close)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(core.run)
                await self.until(lambda: core.chain.view.length == len(self.kept))
                await self.bring(core)
                try:
                    yield core
                finally:
                    await core.stop()
                    nursery.cancel_scope.cancel()

    def _late(self, hand: Hand) -> None:
        """Have something happen between what a node finds and what it sends."""
        refute, meanwhile = hand.refute, self.meanwhile

        def late(wrong: Wrong, note: Callable[[Step], None]) -> None:
            while meanwhile:
                meanwhile.pop()()
            refute(wrong, note)

        hand.refute = late  # type: ignore[method-assign]

    async def bring(self, core: NodeCore) -> None:
        """What replication does: datasets come into the store, and are kept."""

        def keep() -> None:
            core.shelf.store.pages.put_many(self.pages.pages.items())
            for one in self.kept:
                name = publisher_name(one.publisher)
                mine = [self.there.registry.accounts[who] for who in self.whole]
                if one.publisher in mine and core.shelf.store.pages.get(CID_PREFIX + one.commit.root):
                    root = CID_PREFIX + one.commit.root
                    core.shelf.store.keep(name, root, position=one.position + 1, at=one.time)
                    core.shelf.reread(name)

        await core.parts.runtime.blocking(LANE, keep)
        core.watcher.wake()

    async def until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():  # noqa: ASYNC110 - what is waited for is no event
            await trio.sleep(0.02)

    def checkpoint(self, core: NodeCore, number: int) -> Checkpoint | None:
        seen = core.chain.view.checkpoints
        return None if seen is None else seen.log.checkpoints.get(number)

    async def status(self, core: NodeCore, number: int, status: Status) -> None:
        """Until the chain says so of a checkpoint."""
        await self.until(lambda: (one := self.checkpoint(core, number)) is not None and one.status is status)

    async def judged(self, core: NodeCore, number: int) -> str:
        await self.until(lambda: core.watcher.status()["pending"].get(number, {"state": "waits"})["state"] != "waits")
        found: str = core.watcher.status()["pending"][number]["state"]
        return found

    async def done(self, core: NodeCore, name: str) -> dict[str, Any]:
        """A case, when all is done that it calls for."""
        await self.until(lambda: core.watcher.cases.read(name).get("outcome") == "done")
        return core.watcher.cases.read(name)

    async def ended(self, core: NodeCore, name: str) -> dict[str, Any]:
        """A case, when it is written down how it ended."""
        await self.until(lambda: "ended" in core.watcher.cases.read(name))
        return core.watcher.cases.read(name)

    def cases(self, core: NodeCore) -> dict[str, dict[str, Any]]:
        return {name: core.watcher.cases.read(name) for name in core.watcher.cases.names()}


@pytest.fixture(scope="module")
def built() -> Iterator[tuple[World, Checkpoints]]:
    with devnet() as chain, world(chain.url) as made:
        yield made, Checkpoints(made.registry)


@pytest.fixture
def site(built: tuple[World, Checkpoints], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(watcher, "BRING_S", 0.0)  # there is nobody from whom replication could have anything
    monkeypatch.setattr(watcher, "LOOK_S", 0.1)
    monkeypatch.setattr(watcher, "DEMAND_S", 0.1)
    with built[0].undone():
        yield Site(*built, tmp_path)


def run(main: Callable[[], Awaitable[None]]) -> None:
    trio.run(main)


def test_a_checkpoint_that_lacks_a_quad_is_refuted_and_a_right_one_is_not(site: Site) -> None:
    async def main() -> None:
        for who in (0, 1):
            site.commit(who, site.keys(who, 120))
        lacking = min(site.keys(1, 120))
        async with site.node() as core:
            site.contract.propose(2, root=site.union(lacking))
            await site.bring(core)
            await site.status(core, 1, Status.REFUTED)
            case = await site.done(core, "checkpoint-1")
            assert case["evidence"]["kind"] == "Missing"
            assert case["evidence"]["key"] == "0x" + lacking.hex()
            assert [step["what"] for step in case["steps"]] == ["challenge"]
            assert case["steps"][0]["gas_used"] < 1_500_000
            site.contract.propose(2, root=site.union())
            assert await site.judged(core, 2) == "right"
            assert core.shelf.rows("checkpoint:2")[0].root == CID_PREFIX + site.union()
            assert core.watcher.status()["coverage"][_name(site, 1)] == {"covered": 120, "others": 1001 - 120}
        async with site.node() as core:  # which begins anew, and does nothing twice
            assert await site.judged(core, 2) == "right"
            case = await site.ended(core, "checkpoint-1")
            assert (case["ended"], len(case["steps"])) == ("refuted", 1)

    run(main)


def _name(site: Site, who: int) -> str:
    return checksum(site.there.registry.accounts[who])


def test_a_checkpoint_that_nobody_gives_is_demanded_and_refuted_when_its_time_is_over(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 10))
        async with site.node() as core:
            site.contract.propose(1, root=b"\x66" * 32)
            site.contract.wait(site.contract.terms.window - 1)  # little is left of the window
            await site.until(lambda: (one := site.checkpoint(core, 1)) is not None and one.open_demands == 1)
            assert core.watcher.status()["pending"][1]["state"] == "withheld"
            site.contract.wait(site.contract.terms.demand_window + 1)
            await site.status(core, 1, Status.REFUTED)
            assert "withheld" in site.cases(core)["checkpoint-1"]

    run(main)


def test_a_malformed_commit_is_marked_and_checkpoints_go_on_without_it(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 30))
        bad = site.there.registry.commit(site.there.registry.accounts[1], sha256(MALFORMED).digest())
        site.kept.append(bad)
        site.there.mine(DEPTH + 1)  # so that nothing can be proposed before the mark
        async with site.node(propose_s=1.0) as core:
            put = core.shelf.store.pages.put_many
            await core.parts.runtime.blocking(LANE, lambda: put([(cid_of(MALFORMED), MALFORMED)]))
            await site.until(lambda: _marks(core) == {1: Reason.MALFORMED})
            site.there.mine(DEPTH + 1)
            await site.until(lambda: site.checkpoint(core, 1) is not None)
            proposed = site.checkpoint(core, 1)
            assert proposed is not None
            assert (proposed.position, proposed.marks, proposed.root) == (2, 1, site.union())
            site.contract.wait(site.contract.terms.window + 1)
            await site.status(core, 1, Status.FINAL)
            case = await site.ended(core, "commit-1")
            assert (case["ended"], case["evidence"]["kind"]) == ("marked malformed", "Invalid")
            assert (await site.ended(core, "checkpoint-1"))["ended"] == "final"

    run(main)


def _marks(core: NodeCore) -> dict[int, Reason]:
    seen = core.chain.view.checkpoints
    return {} if seen is None else {position: mark.reason for position, mark in seen.log.marked.items()}


def test_a_commit_that_comes_before_the_challenge_does_not_save_a_wrong_checkpoint(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 60))
        lacking = site.union(min(site.keys(0, 60)))
        # The evidence says that this publisher's commit is its latest, which is then not so.
        site.meanwhile.append(lambda: site.commit(0, site.keys(0, 60, 1)))
        async with site.node() as core:
            site.contract.propose(1, root=lacking)
            await site.status(core, 1, Status.REFUTED)
            assert len(site.kept) == 2
            assert not site.meanwhile
            assert len((await site.ended(core, "checkpoint-1"))["evidence"]["records"]) == 2

    run(main)


def test_what_nodes_refuse_is_in_the_union_by_its_spog_and_survives_a_restart(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 40))
        odd = {key.replace(b"<http://p>", b"<http://p>\n\xff") for key in site.keys(1, 50)}  # no quads in normal form
        site.said[1] = odd
        spog = tree(site.pages, odd, SHAPES[1])
        root = dataset(site.pages, [spog, *[cid_of(b"nothing")] * 3], len(odd))
        site.kept.append(site.there.registry.commit(site.there.registry.accounts[1], root.removeprefix(CID_PREFIX)))
        site.whole -= {1}
        right, lacking, other = site.union(), site.union(min(odd)), site.union(max(odd))
        async with site.node() as core:
            site.contract.propose(2, root=right)
            assert await site.judged(core, 1) == "right"
            site.contract.propose(2, root=lacking)
            await site.status(core, 2, Status.REFUTED)
            assert (await site.ended(core, "checkpoint-2"))["evidence"]["kind"] == "Missing"
            await core.parts.runtime.blocking(LANE, lambda: core.shelf.store.collect(Retention(), now=2_000_000_000))
        async with site.node() as core:
            site.contract.propose(2, root=other)
            await site.status(core, 3, Status.REFUTED)

    run(main)


def test_a_page_that_is_demanded_and_here_is_shown_and_one_that_was_shown_is_judged(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 90))
        right, lacking = site.union(), site.union(min(site.keys(0, 90)))
        page = site.pages.pages[CID_PREFIX + lacking]
        hidden = {CID_PREFIX + lacking, *_trees(page)}
        shown = {cid: site.pages.pages.pop(cid) for cid in hidden}  # which a proposer keeps to itself
        async with site.node() as core:
            contract = site.contract
            contract.propose(1, root=lacking)
            contract.wait(contract.terms.window - 1)
            for at in (1, 2):  # the root, then a tree: each is asked for when the one before is there
                await site.until(lambda at=at: at in _demands(core))  # type: ignore[misc]
                digest = _demands(core)[at]
                contract.send(calls.answer(contract.address, at, shown[CID_PREFIX + digest]))
            await site.status(core, 1, Status.REFUTED)
            assert (await site.ended(core, "checkpoint-1"))["evidence"]["kind"] in {"Missing", "Fault"}
            # And the other way round: somebody asks for a page that this node has.
            contract.propose(1, root=right)
            contract.send(calls.demand_checkpoint(contract.address, 2, b"", contract.terms.demand_bond))
            await site.ended(core, "checkpoint-1")
            await site.until(lambda: "demand-3" in core.watcher.cases.names() and 3 not in _demands(core))
            assert [step["what"] for step in (await site.done(core, "demand-3"))["steps"]] == ["answer"]

    run(main)


def _trees(raw: bytes) -> list[bytes]:
    page = decode(cid_of(raw), raw)
    assert isinstance(page, DatasetRoot)
    return page.trees


def _demands(core: NodeCore) -> dict[int, bytes]:
    seen = core.chain.view.checkpoints
    return {} if seen is None else {number: demand.digest for number, demand in seen.log.demands.items()}
