"""What goes on beside the watcher's looks: what changes while one waits, or while something is looked at for long."""

from __future__ import annotations

import threading
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import trio

from dkg.chain.checkpoints import Status
from dkg.errors import InputError
from dkg.page import CID_PREFIX, cid_of, cid_text
from dkg.pages import MemoryPageStore
from node.checkpoints import calls
from node.core.nobody import Nobody
from node.replication.fetch import LANE
from tests.chain.checkpoints import MALFORMED
from tests.node.checkpoints.test_slow_peers import HONEST, Peers
from tests.node.checkpoints.test_watcher import DEPTH, Site, built, run, site
from tests.node.checkpoints.world import dataset, tree, whole

if TYPE_CHECKING:
    from node.checkpoints.watcher import Verdict, Watcher
    from node.core.core import NodeCore

__all__ = ["built", "site"]


class Dripping(Nobody):
    """A peer that takes as long as it may for a page. `is_there`: whether there is one. `asked`: how often."""

    is_there = True
    asked = 0

    def peers(self) -> list[str]:
        return ["dripping"] if self.is_there else []

    async def request(self, peer: str, message: bytes, *, timeout_s: float, bytes_max: int) -> bytes:
        del peer, message, timeout_s, bytes_max
        self.asked += 1
        await trio.sleep_forever()
        raise AssertionError


def under_way(core: NodeCore) -> set[str]:
    return {due.split("-")[0] for due in core.watcher._under_way}


def test_a_page_of_one_commit_that_comes_while_another_is_marked_stops_no_node(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 10))
        site.whole -= {1}
        accounts, odd = site.there.registry.accounts, MemoryPageStore()
        spog = tree(odd, site.keys(1, 10))
        withheld = dataset(odd, [spog, *[cid_of(b"nothing")] * 3], 10)
        async with site.node() as core:
            watcher, store = core.watcher, core.shelf.store
            hand, watcher.hand = watcher.hand, None

            def put(pages: dict[bytes, bytes]) -> None:
                store.pages.put_many(pages.items())

            await core.parts.runtime.blocking(LANE, lambda: put({cid_of(MALFORMED): MALFORMED}))
            for position, digest in ((1, sha256(MALFORMED).digest()), (2, withheld.removeprefix(CID_PREFIX))):
                site.kept.append(site.there.registry.commit(accounts[position], digest))
                await site.until(lambda at=position: at in watcher._bad)  # type: ignore[misc]

            async def given() -> None:
                """The publisher gives its pages, and this node's owner asks for something."""
                await core.parts.runtime.blocking(LANE, lambda: put(odd.pages))
                while 2 in watcher._bad:
                    with pytest.raises(InputError):
                        await core.requests.propose(None)
                    await trio.sleep(0.01)

            site.there.mine(DEPTH + 1)  # so that all of it could be proposed
            await site.until(lambda: core.chain.view.final_position == 3)
            await site.until(lambda: not watcher._retries.is_due("commit-1"))
            site.meanwhile.append(lambda: trio.from_thread.run(given))
            watcher.hand = hand
            watcher._retries._next.clear()
            assert (await site.ended(core, "commit-1"))["ended"] == "marked malformed"
            assert not site.meanwhile
            await watcher.look()
            assert watcher._bad == {}

    run(main)


@pytest.mark.parametrize("is_shown", [True, False])
def test_a_page_that_came_meanwhile_is_not_demanded_while_a_look_takes_long(site: Site, *, is_shown: bool) -> None:
    async def main() -> None:
        peer = site.transport = Dripping()
        peer.is_there = False
        site.commit(0, site.keys(0, 10))
        registry, contract, theirs = site.there.registry, site.contract, MemoryPageStore()
        roots = [whole(theirs, site.keys(who, 5)).removeprefix(CID_PREFIX) for who in (1, 0)]
        site.kept.append(registry.commit(registry.accounts[1], roots[0]))
        site.whole -= {1}
        contract.propose(2, root=roots[1])
        async with site.node() as core:
            watcher = core.watcher
            hand = watcher.hand
            watcher.hand = hand if is_shown else None

            def log() -> Any:  # noqa: ANN401 - as it is read
                seen = core.chain.view.checkpoints
                assert seen is not None
                return seen.log

            await site.until(lambda: {*watcher.cases.names()} == {"checkpoint-1", "commit-1"})
            await site.until(lambda: not is_shown or len(log().demands) == 2)
            peer.is_there = True
            await site.until(lambda: peer.asked >= 2 and under_way(core) == {"judge", "bring"})
            for number, demand in log().demands.items():  # whoever withheld them has the bonds
                contract.send(calls.answer(contract.address, number, theirs.pages[CID_PREFIX + demand.digest]))
            await site.until(lambda: not log().demands)
            if not is_shown:  # somebody gives them
                put = core.shelf.store.pages.put_many
                await core.parts.runtime.blocking(LANE, lambda: put(theirs.pages.items()))
            watcher.hand = hand
            for _ in range(3):
                watcher._retries._next.clear()  # some minutes go by
                await watcher.look()
            done = [step["what"] for case in site.cases(core).values() for step in case.get("steps", [])]
            assert done == ["demand"] * 2 * is_shown

    run(main)


def test_nothing_is_sent_any_more_when_the_chain_cannot_be_followed_while_a_look_is_under_way(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 30))
        async with site.node() as core:
            watcher = core.watcher
            hand, watcher.hand = watcher.hand, None
            for key in sorted(site.keys(0, 30))[:2]:
                site.contract.propose(1, root=site.union(key))
            await site.bring(core)
            for number in (1, 2):
                assert await site.judged(core, number) == "wrong"
                await site.until(lambda due=f"checkpoint-{number}": not watcher._retries.is_due(due))  # type: ignore[misc]
            trouble = watcher._trouble

            def lost() -> None:
                watcher._trouble = lambda: "the endpoints are gone"

            site.meanwhile.append(lost)
            watcher._retries._next.clear()
            watcher.hand = hand
            watcher.wake()
            await site.until(lambda: [event for event, _ in site.events].count("checkpoint_done") > 0)
            await site.until(lambda: bool(watcher.waits))
            assert [event for event, _ in site.events].count("checkpoint_done") == 1
            watcher._trouble = trouble
            for number in (1, 2):
                await site.status(core, number, Status.REFUTED)

    run(main)


def test_what_an_owner_asked_for_is_not_sent_when_the_chain_went_while_it_was_looked_at(site: Site) -> None:
    class Proposer(Peers):
        """Gives pages, when the endpoints go."""

        watcher: Watcher | None = None

        def peers(self) -> list[str]:
            return [] if self.watcher is None else [HONEST]

        async def request(self, peer: str, message: bytes, *, timeout_s: float, bytes_max: int) -> bytes:
            assert self.watcher is not None
            self.watcher._trouble = lambda: "the endpoints are gone"
            return await super().request(peer, message, timeout_s=timeout_s, bytes_max=bytes_max)

    async def main() -> None:
        site.commit(0, site.keys(0, 30))
        mine, site.pages = site.pages, MemoryPageStore()
        lacking = site.union(min(site.keys(0, 30)))
        peer = site.transport = Proposer(site.pages.pages)
        site.pages = mine
        async with site.node() as core:
            hand, core.watcher.hand = core.watcher.hand, None
            site.contract.propose(1, root=lacking)
            assert await site.judged(core, 1) == "withheld"
            core.watcher.hand, peer.watcher = hand, core.watcher
            with pytest.raises(InputError, match="the endpoints are gone"):
                await core.requests.challenge(1, dry_run=False)

    run(main)


def test_a_right_checkpoint_that_went_with_a_reorganisation_between_two_looks_is_kept_again(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 30))
        async with site.node() as core:
            site.contract.propose(1, root=site.union())
            assert await site.judged(core, 1) == "right"
            await core.parts.runtime.blocking(LANE, lambda: core.shelf.roll_back(0, at=0))
            await site.bring(core)  # the chain is the same as before again
            await site.until(lambda: bool(core.shelf.rows("checkpoint:1")))
            assert core.shelf.rows("checkpoint:1")[0].root == CID_PREFIX + site.union()

    run(main)


def test_what_is_judged_is_kept_and_forgotten_by_one_thread(site: Site) -> None:
    threads = set[threading.Thread]()

    class Watched(dict[int, "Verdict"]):
        def items(self) -> Any:  # noqa: ANN401 - as dict has it
            threads.add(threading.current_thread())
            return super().items()

        def __delitem__(self, key: int) -> None:
            threads.add(threading.current_thread())
            super().__delitem__(key)

    async def main() -> None:
        site.commit(0, site.keys(0, 30))
        async with site.node() as core:
            kept = core.watcher._verdicts = Watched()
            site.contract.propose(1, root=site.union(min(site.keys(0, 30))))
            await site.bring(core)
            await site.status(core, 1, Status.REFUTED)
            await site.until(lambda: not core.watcher.status()["pending"])
            assert core.watcher._verdicts is kept
            assert threads == {threading.main_thread()}

    run(main)


def test_what_takes_long_and_is_not_on_the_chain_any_more_keeps_nothing_from_being_looked_at(site: Site) -> None:
    async def main() -> None:
        site.transport = Dripping()
        site.commit(0, site.keys(0, 30))
        registry, contract, rpc = site.there.registry, site.contract, site.there.rpc
        site.whole -= {1}
        keys = site.keys(2, 10)
        odd = dataset(site.pages, [tree(site.pages, keys), *[cid_of(b"nothing")] * 3], 10)
        lacking = site.union(min(site.keys(0, 30)))
        site.have()
        before = rpc("evm_snapshot")
        registry.commit(registry.accounts[1], b"\x55" * 32)
        contract.propose(1, root=b"\x66" * 32)
        site.kept.append(site.kept[0])  # so many are awaited
        async with site.node() as core:
            await site.until(lambda: under_way(core) == {"judge", "bring"})
            rpc("evm_revert", before)
            made = registry.commit(registry.accounts[2], odd.removeprefix(CID_PREFIX))
            contract.propose(1, root=lacking)
            site.there.mine(1)
            await site.status(core, 1, Status.REFUTED)
            await site.until(lambda: core.watcher._keeper.has(made))
            assert core.watcher.cases.read("checkpoint-1")["root"] == cid_text(CID_PREFIX + lacking)

    run(main)
