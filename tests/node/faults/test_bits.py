"""Row A6 on a whole node: a bit of its files flips while it is down; what it answers then is right, or refused."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from typing import TYPE_CHECKING

from dkg.dataset import quads
from dkg.errors import PageError, StoreError
from dkg.page import CID_PREFIX
from dkg.pages import StoredPages
from node.serving import NOW, UnknownMomentError
from node.storage import NodeStore, check_node
from tests.node.core.quiet import Quiet

if TYPE_CHECKING:
    from pathlib import Path

    from dkg.terms import Quad
    from tests.sim.actors import Actor

FILES = ("pages.db", "state.db", "chain.log")

FLIPS = 1_000 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 200
"""Bits that flip, one after the other."""


def flip(directory: Path, rng: random.Random) -> str:
    """Flip a bit of a byte that is not nothing, of each file as often; gives the file's name."""
    file = directory / rng.choice(FILES)
    data = bytearray(file.read_bytes())
    data[rng.choice([at for at, byte in enumerate(data) if byte])] ^= 1 << rng.randrange(8)
    file.write_bytes(data)
    return file.name


def read_all(quiet: Quiet, root: bytes) -> set[Quad]:
    """All quads of a root, as the node reads them."""
    pages = StoredPages(quiet.node.core.parts.served)
    return {quad for batch in quads(pages, root) for quad in batch}


def check_answers(quiet: Quiet, actors: list[Actor]) -> bool:
    """That whatever the node gives is right. Gives whether it gave everything."""
    whole = True
    for actor in actors:
        try:
            standing = quiet.node.core.standing((actor.address,), NOW)
            found = read_all(quiet, standing.root)
        except (StoreError, PageError, UnknownMomentError):
            whole = False
            continue
        assert found == actor.quads[CID_PREFIX + quiet.ledger.head.state.latest[actor.address].commit.root]
    return whole


def test_a_bit_that_flips_while_a_node_is_down_is_found_or_changes_nothing(folder: Path) -> None:
    quiet, rng = Quiet(folder), random.Random(6)
    seen: dict[str, int] = {}
    outcomes: Counter[str] = Counter()

    async def main() -> None:
        for _ in range(3):
            for actor in quiet.actors:
                await quiet.publish(actor)
        await quiet.mine(4)
        assert check_answers(quiet, quiet.actors)
        node = quiet.node
        node.stop()
        await quiet.wait(1)
        kept = folder / "whole"
        shutil.copytree(node.directory, kept)
        for _ in range(FLIPS):
            shutil.rmtree(node.directory)
            shutil.copytree(kept, node.directory)
            file = flip(node.directory, rng)
            seen[file] = seen.get(file, 0) + 1
            before = len(node.net.lines)
            node.start()
            await quiet.wait(4)
            if not node.is_up:
                assert any(" cannot start " in line for line in node.net.lines[before:]), file
                outcomes["does not start"] += 1
                continue
            whole = check_answers(quiet, quiet.actors)
            node.stop()
            await quiet.wait(1)
            assert whole or problems(node.directory), file
            outcomes["answers all" if whole else "refuses some"] += 1

    quiet.run(main)
    assert set(seen) == set(FILES)
    assert outcomes.total() == FLIPS
    assert len(outcomes) == 3


def problems(directory: Path) -> list[str]:
    """What a check finds, that the directory cannot be opened included."""
    try:
        with NodeStore(directory, read_only=True) as store:
            return check_node(store, derive="newest").problems
    except StoreError as error:
        return [str(error)]
