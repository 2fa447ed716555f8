"""What would keep a watcher from refuting a wrong checkpoint: demands of something else, other marks, its own files."""

from __future__ import annotations

from dkg.chain.checkpoints import OPEN_MAX, Status
from dkg.checkpoints.records import Record
from dkg.cut import Shape
from dkg.page import CID_PREFIX
from node.checkpoints import calls
from node.checkpoints.cases import CASES
from node.checkpoints.keeper import DIRECTORY
from node.replication.fetch import LANE
from tests.node.checkpoints.test_watcher import Site, built, run, site
from tests.node.checkpoints.world import whole

__all__ = ["built", "site"]

WITHHELD = b"\x66" * 32


def test_a_demand_of_a_commit_that_has_the_page_too_does_not_save_a_checkpoint_that_is_withheld(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 10))
        registry, contract = site.there.registry, site.contract
        same = registry.commit(registry.accounts[1], WITHHELD)
        site.kept.append(same)
        site.whole -= {1}
        contract.propose(2, root=WITHHELD)
        contract.wait(contract.terms.window - 1)
        demand = calls.demand_commit(contract.address, same.publisher, Record.of(same), b"", contract.terms.demand_bond)
        contract.send(demand)  # which the proposer has at all times, of one commit after the other
        async with site.node() as core:
            await site.until(lambda: (one := site.checkpoint(core, 1)) is not None and one.open_demands == 1)
            contract.wait(contract.terms.demand_window + 1)
            await site.status(core, 1, Status.REFUTED)

    run(main)


def test_a_checkpoint_that_was_right_before_a_reorganisation_of_marks_is_refuted_after_it(site: Site) -> None:
    async def main() -> None:
        contract, rpc = site.contract, site.there.rpc
        for who in (0, 1):
            one = site.commit(who, site.keys(who, 10))
            bond = contract.terms.demand_bond
            contract.send(calls.demand_commit(contract.address, one.publisher, Record.of(one), b"", bond))
        contract.wait(contract.terms.demand_window + 1)
        before = rpc("evm_snapshot")
        said = whole(site.pages, site.said[1]).removeprefix(CID_PREFIX)

        def in_one_block(first: int, second: int) -> None:
            """The checkpoint is without the commit that is marked first."""
            account, tip = site.there.registry.accounts[8], site.kept[1].entry()
            rpc("evm_setAutomine", False)  # noqa: FBT003 - as it is called
            for call in (
                calls.expire(contract.address, first),
                calls.propose(contract.address, 2, 1, said, tip, contract.terms.bond),
                calls.expire(contract.address, second),
            ):
                fields = {"from": account, "to": contract.address, "data": call.data}
                sent = {name: "0x" + value.hex() for name, value in fields.items()}
                rpc("eth_sendTransaction", sent | {"value": hex(call.value), "gas": hex(1_000_000)})
            rpc("evm_mine")
            rpc("evm_setAutomine", True)  # noqa: FBT003 - as it is called

        in_one_block(1, 2)
        async with site.node() as core:
            await site.until(lambda: core.watcher.status()["pending"].get(1, {}).get("state") == "right")
            rpc("evm_revert", before)
            in_one_block(2, 1)
            site.there.mine(1)
            await site.status(core, 1, Status.REFUTED)
            refuted = site.checkpoint(core, 1)
            assert refuted is not None
            assert (refuted.marks, refuted.status) == (1, Status.REFUTED)

    run(main)


def test_a_case_that_is_damaged_holds_up_no_challenge(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 10))
        folder = site.folder / "node" / DIRECTORY / CASES
        folder.mkdir(parents=True)
        (folder / "checkpoint-1.json").write_bytes(b"[" * 100_000)
        (folder / "checkpoint-x.json").write_bytes(b"{}")
        (folder / "commit-7.json").write_bytes(b"[]")
        async with site.node() as core:
            site.contract.propose(1, root=site.union(min(site.keys(0, 10))))
            await site.bring(core)
            await site.status(core, 1, Status.REFUTED)
            assert (await site.ended(core, "checkpoint-1"))["ended"] == "refuted"
            assert (folder / "checkpoint-1.damaged").read_bytes() == b"[" * 100_000

    run(main)


def test_a_disk_that_takes_no_case_saves_no_wrong_checkpoint(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 10))
        folder = site.folder / "node" / DIRECTORY
        folder.mkdir(parents=True)
        (folder / CASES).write_bytes(b"")  # where the directory would be
        async with site.node() as core:
            site.contract.propose(1, root=site.union(min(site.keys(0, 10))))
            await site.bring(core)
            await site.status(core, 1, Status.REFUTED)
            # Which is told when all is done, a moment after the chain says so.
            await site.until(lambda: any(event == "checkpoint_case_lost" for event, _ in site.events))
            lost = [facts["why"] for event, facts in site.events if event == "checkpoint_case_lost"]
            assert "cannot be" in lost[0]

    run(main)


def test_right_checkpoints_that_nobody_makes_final_do_not_hold_all_places_for_ever(site: Site) -> None:
    async def main() -> None:
        for seed in (0, 1):
            site.commit(0, site.keys(0, 50, seed))
            for shape in (
                Shape(3, 2),
                Shape(5, 2),
                Shape(7, 3),
                Shape(9, 4),
            ):  # each another root, and none of them wrong
                root = whole(site.pages, site.said[0], shape).removeprefix(CID_PREFIX)
                site.contract.propose(1 + seed, root=root)
        site.contract.wait(site.contract.terms.window + 1)
        async with site.node() as core:
            put = core.shelf.store.pages.put_many
            await core.parts.runtime.blocking(LANE, lambda: put(site.pages.pages.items()))
            await site.until(
                lambda: (seen := core.chain.view.checkpoints) is not None and seen.log.state.last == OPEN_MAX
            )
            await site.until(lambda: (seen := core.chain.view.checkpoints) is not None and seen.log.final is not None)
            seen = core.chain.view.checkpoints
            assert seen is not None
            assert len(seen.log.opened) < OPEN_MAX

    run(main)
