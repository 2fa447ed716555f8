"""What costs a watcher its coins or its time, so that it does not come to what it is there for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.chain.checkpoints import Status
from dkg.checkpoints.records import Record
from dkg.page import CID_PREFIX
from node.checkpoints import calls, watcher
from tests.node.checkpoints.test_watcher import Site, built, run, site

if TYPE_CHECKING:
    import pytest

__all__ = ["built", "site"]


def test_a_page_that_was_demanded_and_shown_before_a_node_looked_is_not_demanded_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "DEMAND_S", 30.0)  # the other pages come when the node runs

    async def main() -> None:
        site.commit(0, site.keys(0, 30))
        lacking, contract = site.union(min(site.keys(0, 30))), site.contract
        page = site.pages.pages.pop(CID_PREFIX + lacking)
        contract.propose(1, root=lacking)
        contract.send(calls.demand_checkpoint(contract.address, 1, b"", contract.terms.demand_bond))
        contract.send(calls.answer(contract.address, 1, page))  # whoever proposed it pays itself
        for _ in range(2):  # the second time what was read is read from the disk
            async with site.node() as core:
                await site.status(core, 1, Status.REFUTED)
                seen = core.chain.view.checkpoints
                assert seen is not None
                assert seen.log.state.demands == 1

    run(main)


def test_demands_that_ran_out_are_ended_where_that_changes_anything_and_after_all_answers(site: Site) -> None:
    async def main() -> None:
        one, contract = site.commit(0, site.keys(0, 30)), site.contract
        bond = contract.terms.demand_bond
        contract.propose(1, root=b"\x66" * 32)
        for _ in range(12):  # whoever demands gets all of the bonds back
            contract.send(calls.demand_checkpoint(contract.address, 1, b"", bond))
        contract.wait(contract.terms.demand_window + 1)
        contract.send(calls.demand_commit(contract.address, one.publisher, Record.of(one), b"", bond))
        site.have()
        async with site.node() as core:
            await site.status(core, 1, Status.REFUTED)
            await site.until(lambda: core.watcher.cases.read("demand-13").get("outcome") == "done")
            await core.watcher.ask(core.watcher.look)
            done = {name: case["steps"][0] for name, case in site.cases(core).items() if name.startswith("demand-")}
            assert {name: step["what"] for name, step in done.items()} == {"demand-1": "expire", "demand-13": "answer"}
            assert done["demand-13"]["block"] < done["demand-1"]["block"]

    run(main)


def test_what_is_demanded_of_ones_own_commits_is_answered_before_what_is_of_others(site: Site) -> None:
    async def main() -> None:
        contract, own = site.contract, 5
        theirs, mine = site.commit(0, site.keys(0, 30)), site.commit(own, site.keys(own, 30))
        for one in [*[theirs] * 12, mine]:  # in time they would not come to the last one, and it would be marked
            call = calls.demand_commit(contract.address, one.publisher, Record.of(one), b"", contract.terms.demand_bond)
            contract.send(call)
        site.have()
        async with site.node() as core:
            assert core.watcher.hand is not None
            assert core.watcher.hand.address == mine.publisher
            done = [await site.done(core, f"demand-{number}") for number in (13, 1)]
            assert done[0]["steps"][0]["block"] < done[1]["steps"][0]["block"]

    run(main)


def test_a_node_does_not_end_what_was_demanded_of_its_own_account(site: Site) -> None:
    async def main() -> None:
        contract, own = site.contract, 5
        mine, theirs = site.commit(own, site.keys(own, 30)), site.commit(0, site.keys(0, 30))
        for one in (mine, theirs):
            call = calls.demand_commit(contract.address, one.publisher, Record.of(one), b"", contract.terms.demand_bond)
            contract.send(call)
        contract.wait(contract.terms.demand_window + 1)
        async with site.node() as core:
            assert core.watcher.hand is not None
            assert core.watcher.hand.address == mine.publisher
            await site.done(core, "demand-2")
            await site.until(lambda: (seen := core.chain.view.checkpoints) is not None and bool(seen.log.marked))
            await core.watcher.ask(core.watcher.look)
            assert "demand-1" not in site.cases(core)
            seen = core.chain.view.checkpoints
            assert seen is not None
            assert set(seen.log.marked) == {theirs.position}

    run(main)
