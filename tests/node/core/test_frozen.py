"""The remedy of a node whose final block is gone, as docs/operations.md and the node itself say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.core.chainfile import CHAIN_FILE
from node.core.watch import Condition
from tests.node.core.quiet import Quiet
from tests.sim.cores import EPOCH
from tests.sim.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path


def move_away(folder: Path) -> None:
    (file,) = folder.rglob(CHAIN_FILE)
    file.rename(file.with_suffix(".away"))


def test_what_was_final_is_forgotten_with_the_chain_file_and_with_nothing_less(folder: Path) -> None:
    quiet = Quiet(folder)

    async def started() -> Condition:
        quiet.node.start()
        await quiet.wait(5)
        return quiet.node.core.watch.condition

    async def main() -> None:
        await quiet.publish(quiet.actors[0])
        await quiet.mine(6)
        quiet.node.reader.ledger = other = Ledger(EPOCH)
        for _ in range(20):
            other.mine(EPOCH)
        await quiet.wait(5)
        assert "docs/operations.md" in quiet.node.core.watch.trouble
        quiet.node.stop()
        await quiet.wait(1)
        assert await started() is Condition.FROZEN
        quiet.node.stop()
        await quiet.wait(1)
        move_away(folder)
        assert await started() is Condition.FOLLOWING
        chain = quiet.node.core.status()["chain"]
        assert isinstance(chain, dict)
        assert (chain["frozen"], chain["commits"]) == (None, 0)

    quiet.run(main)
