"""Row A6: pages that a disk has forgotten come back from peers, and nobody is served without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.dataset import quads
from dkg.errors import StoreError
from dkg.page import CID_PREFIX
from dkg.pages import StoredPages
from node.core import mending
from node.core.mending import SOON_S, Reading
from node.storage import check_node
from tests.node.core.quiet import Quiet

if TYPE_CHECKING:
    from pathlib import Path

    from dkg.terms import Quad
    from tests.sim.actors import Actor
    from tests.sim.cores import CoreNode


def damage(node: CoreNode) -> int:
    """Flip a bit of two packs of each three; how many were."""
    pages = node.core.parts.store.pages
    packs = pages._db.execute("SELECT id, data FROM packs ORDER BY id DESC").fetchall()
    packs = [pack for at, pack in enumerate(packs) if at % 3 != 0]
    for number, data in packs:
        bent = bytes([*data[:-1], data[-1] ^ 1])
        pages._db.execute("UPDATE packs SET data=? WHERE id=?", (bent, number))
    pages._packs.clear()
    return len(packs)


def content(quiet: Quiet, node: CoreNode, actor: Actor) -> set[Quad]:
    """What a node has of a publisher. Raises `StoreError` where a page cannot be read."""
    root = CID_PREFIX + quiet.ledger.head.state.latest[actor.address].commit.root
    return {quad for batch in quads(StoredPages(node.core.parts.served), root) for quad in batch}


async def published(quiet: Quiet) -> None:
    for _ in range(3):
        for actor in quiet.actors:
            await quiet.publish(actor)
    await quiet.mine(4)
    await quiet.wait(20)


def right(quiet: Quiet, actor: Actor) -> frozenset[Quad]:
    return actor.quads[CID_PREFIX + quiet.ledger.head.state.latest[actor.address].commit.root]


def test_damaged_pages_come_back_from_a_peer(folder: Path) -> None:
    quiet = Quiet(folder, nodes=2)

    async def main() -> None:
        await published(quiet)
        node = quiet.node
        assert damage(node) > 3
        with pytest.raises(StoreError, match="damaged"):
            content(quiet, node, quiet.actors[0])
        node.core.mending.soon()
        await quiet.wait(2 * SOON_S)
        (told,) = quiet.logged("mended")
        assert told["damaged"] > 3
        assert told["back"] >= told["damaged"]
        assert told["left"] == 0
        for actor in quiet.actors:
            assert content(quiet, node, actor) == right(quiet, actor)
        assert check_node(node.core.parts.store, derive="all").problems == []

    quiet.run(main)


def test_pages_that_no_peer_has_stay_an_error_and_are_asked_for_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mending, "SCRUB_S", 900.0)
    quiet = Quiet(folder, nodes=2)

    async def main() -> None:
        await published(quiet)
        node, other = quiet.nodes
        other.stop()
        await quiet.wait(1)
        damage(node)
        node.core.mending.soon()
        await quiet.wait(2 * SOON_S)
        (told,) = quiet.logged("mended")
        assert (told["back"], told["left"]) == (0, told["damaged"])
        with pytest.raises(StoreError, match="damaged"):
            content(quiet, node, quiet.actors[0])
        other.start()
        await quiet.wait(3 * mending.SCRUB_S)  # nobody says anything: all is read now and then
        assert quiet.logged("mended")[1]["left"] == 0
        assert content(quiet, node, quiet.actors[0]) == right(quiet, quiet.actors[0])

    quiet.run(main)


def test_a_peer_that_sends_other_pages_is_penalised_and_another_is_asked(folder: Path) -> None:
    quiet = Quiet(folder, nodes=3)

    async def main() -> None:
        await published(quiet)
        node, liar = quiet.nodes[0], quiet.nodes[1]

        async def lie(_peer: str, message: bytes, honest: bytes) -> bytes:
            return honest[:-1] + bytes([honest[-1] ^ 1]) if b"get-pages" in message else honest

        quiet.net.net.liars[liar.name] = lie
        for _ in range(6):  # whom it asks first is chance
            damage(node)
            await node.call(node.core.mending.mend)
        assert [one["left"] for one in quiet.logged("mended")] == [0] * 6
        for actor in quiet.actors:
            assert content(quiet, node, actor) == right(quiet, actor)
        assert node.transport is not None
        assert {peer for peer, _, _ in node.transport.counted.penalties} == {liar.name}

    quiet.run(main)


def test_all_is_read_in_slices_and_nothing_is_found_where_nothing_is_wrong(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        await published(quiet)
        store = quiet.node.core.parts.store
        reading = Reading(store.pages, store.counting())
        while not reading.done:
            reading.step()
        assert reading.bad == []
        assert await quiet.node.call(quiet.node.core.mending.mend) == 0
        assert quiet.logged("mended") == []

    quiet.run(main)
