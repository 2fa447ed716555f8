"""What a node's owner asks its watcher for, on the development chain with the real contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.chain.checkpoints import OPEN_MAX, Status
from dkg.errors import InputError
from dkg.page import CID_PREFIX, cid_text
from node.serving import At, Claim, NoKeyError, State, UnknownMomentError
from node.storage import NodeStore
from tests.chain.lies import only, refused
from tests.node.checkpoints.test_watcher import DEPTH, Site, built, run, site

if TYPE_CHECKING:
    from node.core.core import NodeCore

__all__ = ["built", "site"]


def test_what_is_final_is_proposed_and_nothing_that_is_missing_or_said_already(site: Site) -> None:
    async def main() -> None:
        for who in (0, 1):
            site.commit(who, site.keys(who, 20))
        site.there.mine(DEPTH)
        async with site.node() as core:
            for position in (0, 3):
                with pytest.raises(InputError, match="2 commits are final"):
                    await core.requests.propose(position)
            made = await core.requests.propose(None)
            assert (made["position"], made["marks"], made["root"]) == (2, 0, cid_text(CID_PREFIX + site.union()))
            assert [step["what"] for step in made["steps"]] == ["propose"]
            told = r"checkpoint 1 is pending, and says the same: nothing is proposed. Its window ends 20\d\d-.*Z"
            with pytest.raises(InputError, match=told):  # at once: before this node has read that it is
                await core.requests.propose(None)
            assert await site.judged(core, 1) == "right"
            assert (await core.requests.challenge(1, dry_run=False))["found"] == "right"
            site.kept.append(site.there.registry.commit(site.there.registry.accounts[2], b"\x55" * 32))
            await site.until(lambda: core.chain.view.length == 3)
            with pytest.raises(InputError, match="position 3 cannot be proposed: 2 commits are final"):
                await core.requests.propose(3)
            site.there.mine(DEPTH)
            await site.until(lambda: core.chain.view.final_position == 3)
            with pytest.raises(InputError, match="1 datasets that count are not here or malformed"):
                await core.requests.propose(None)
            assert (await core.requests.propose(1))["position"] == 1

    run(main)


def test_nothing_is_proposed_where_eight_are_pending(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 20))
        site.there.mine(DEPTH)
        for number in range(OPEN_MAX):
            site.contract.propose(1, root=bytes([number + 1]) * 32)
        async with site.node() as core:
            with pytest.raises(InputError, match="8 checkpoints are pending, the most that there can be: nothing is"):
                await core.requests.propose(None)

    run(main)


def test_nothing_is_proposed_of_what_an_endpoint_only_says(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 20))
        site.there.mine(DEPTH)
        site.there.proxy.rule = only(("eth_getProof",), refused(-32601, "no such method"))
        async with site.node(propose_s=1.0) as core:
            for _ in range(3):  # a look between two of them would propose it
                with pytest.raises(InputError, match="is not proved"):
                    await core.requests.propose(None)
            seen = core.chain.view.checkpoints
            assert seen is not None
            assert (seen.proved, seen.log.state.last) == (False, 0)

    run(main)


def test_a_wrong_checkpoint_is_looked_at_and_then_refuted(site: Site) -> None:
    async def main() -> None:
        for who in (0, 1):
            site.commit(who, site.keys(who, 120))
        async with site.node() as core:
            hand, core.watcher.hand = core.watcher.hand, None  # so that the watcher leaves it to its owner
            site.contract.propose(2, root=site.union(min(site.keys(1, 1))))
            await site.bring(core)
            assert await site.judged(core, 1) == "wrong"
            with pytest.raises(NoKeyError):
                await core.requests.challenge(1, dry_run=True)
            with pytest.raises(NoKeyError):
                await core.requests.propose(None)
            await site.until(lambda: core.watcher.cases.read("checkpoint-1").get("outcome") == "found")
            core.watcher.hand = hand
            dry = await core.requests.challenge(1, dry_run=True)
            assert (dry["found"], dry["kind"], dry["steps"], dry["shows"]) == ("wrong", "missing", [], 0)
            assert dry["reward_wei"] == site.contract.terms.bond // 2
            assert 300_000 < dry["estimated_gas"] < 1_500_000
            done = await core.requests.challenge(1, dry_run=False)
            (step,) = done["steps"]
            assert abs(step["gas"] - dry["estimated_gas"]) < 100_000
            await site.status(core, 1, Status.REFUTED)
            with pytest.raises(InputError, match="checkpoint 1 is not pending"):
                await core.requests.challenge(1, dry_run=False)

    run(main)


def test_pages_are_shown_before_only_if_the_chain_says_that_it_would_be_too_much(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        for who in (0, 1):
            site.commit(who, site.keys(who, 120))
        async with site.node() as core:
            hand, core.watcher.hand = core.watcher.hand, None
            site.contract.propose(2, root=site.union(min(site.keys(1, 1))))
            await site.bring(core)
            assert await site.judged(core, 1) == "wrong"
            core.watcher.hand = hand
            gas = (await core.requests.challenge(1, dry_run=True))["estimated_gas"]
            monkeypatch.setattr("dkg.checkpoints.evidence.GAS_MAX", gas)  # what holds for any pages is more
            monkeypatch.setattr("node.checkpoints.hand.GAS_MAX", gas - 1)
            dry = await core.requests.challenge(1, dry_run=True)
            assert dry["shows"] > 0
            assert dry["estimated_gas"] is None
            monkeypatch.setattr("node.checkpoints.hand.GAS_MAX", gas)
            assert (await core.requests.challenge(1, dry_run=True))["shows"] == 0
            done = await core.requests.challenge(1, dry_run=False)
            assert [step["what"] for step in done["steps"]] == ["challenge"]

    run(main)


def test_what_is_final_is_answered_from_though_nobody_has_the_datasets_of_then(site: Site) -> None:
    async def main() -> None:
        for who in (0, 1):
            made = site.commit(who, site.keys(who, 60))
        root = site.union()
        del site.pages.pages[CID_PREFIX + made.commit.root]
        site.contract.propose(2, root=root)
        site.contract.finalise(1)
        async with site.node() as core:
            await site.until(lambda: bool(core.shelf.rows("checkpoint:1")))
            standing = core.checkpointed()
            assert (standing.root, standing.claim) == (CID_PREFIX + root, Claim.UNION)
            assert standing.checkpoint is not None
            assert (standing.checkpoint.id, standing.checkpoint.beside) == (1, ())
            assert core.checkpoints().held == {1}

    run(main)


def test_what_a_reorganisation_made_of_a_checkpoint_is_had_though_the_other_one_is_kept(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 20))
        site.contract.propose(1, root=site.union())
        site.contract.finalise(1)
        other = CID_PREFIX + site.union(min(site.keys(0, 20)))
        site.have()
        with NodeStore(site.folder / "node", reserve_bytes=0) as store:
            store.keep(
                "checkpoint:1", other, position=0, at=0
            )  # it was proposed with the same id, in a block that went
        async with site.node() as core:
            await site.until(lambda: core.checkpoints().held == {1})
            assert core.shelf.rows("checkpoint:1")[0].root == CID_PREFIX + site.union() != other

    run(main)


def test_who_wants_what_is_final_is_answered_while_the_next_one_is_not_buried(site: Site) -> None:
    async def main() -> None:
        site.commit(0, site.keys(0, 20))
        site.there.mine(DEPTH)
        async with site.node() as core:
            first = At(root=CID_PREFIX + site.union())
            await core.requests.propose(None)
            await site.judged(core, 1)
            site.contract.wait(site.contract.terms.window + 1)
            await site.status(core, 1, Status.FINAL)
            with pytest.raises(InputError, match="checkpoint 1 is final, and says as much"):
                await core.requests.propose(None)
            site.there.mine(DEPTH)
            site.commit(1, site.keys(1, 20))
            await site.bring(core)
            site.there.mine(DEPTH)
            await site.until(lambda: core.chain.view.final_position == 2)
            await core.requests.propose(None)
            await site.judged(core, 2)
            site.contract.wait(site.contract.terms.window + 1)
            await site.status(core, 2, Status.FINAL)
            await core.watcher.ask(core.watcher.look)
            found = core.checkpointed(first)
            assert (found.root, found.state) == (
                first.root,
                State.PENDING,
            )  # who committed since is not asked beside it
            site.there.mine(DEPTH)
            await site.until(lambda: _settled(core) == 2)
            with pytest.raises(UnknownMomentError):
                core.checkpointed(first)
            assert core.checkpointed().state is State.FINAL

    run(main)


def _settled(core: NodeCore) -> int:
    seen = core.chain.view.checkpoints
    return 0 if seen is None else seen.settled
