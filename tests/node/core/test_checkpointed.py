"""What a node says of all publishers by a checkpoint, on the development chain with the real contract."""

from __future__ import annotations

from hashlib import sha256

from node.serving import State, UnknownMomentError
from tests.chain.checkpoints import MALFORMED
from tests.node.checkpoints.test_watcher import DEPTH, Site, built, run, site

__all__ = ["built", "site"]


def test_a_mark_that_is_not_final_makes_no_answer_final(site: Site) -> None:
    async def main() -> None:
        for who in (0, 1):
            site.commit(who, site.keys(who, 10))
        contract, registry = site.contract, site.there.registry
        root = site.union()
        async with site.node() as core:
            contract.propose(2, root=root)
            await site.until(lambda: bool(core.shelf.rows("checkpoint:1")))
            contract.finalise(1)
            bad = registry.commit(registry.accounts[1], sha256(MALFORMED).digest())
            site.there.mine(DEPTH + 1)

            def state(marks: int, settled: int) -> State | None:
                seen = core.chain.view.checkpoints
                if seen is None or (seen.log.state.marks, seen.settled_marks) != (marks, settled):
                    return None
                try:
                    return core.checkpointed().state
                except UnknownMomentError:
                    return None

            await site.until(lambda: bool(core.chain.view.checkpoints and core.chain.view.checkpoints.log.demands))
            site.there.mine(DEPTH + 1)
            contract.mark(bad)  # a reorganisation may take it back: then what it leaves counts no more
            await site.until(lambda: state(1, 0) is not None)
            assert state(1, 0) is State.PENDING
            site.there.mine(DEPTH + 1)
            await site.until(lambda: state(1, 1) is State.FINAL)

    run(main)
