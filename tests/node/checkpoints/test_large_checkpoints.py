"""Checkpoints that are cut into very many pages, or take more disk than there is: whoever proposes them is not safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from dkg.chain.checkpoints import Status
from dkg.checkpoints.shown import Kind
from dkg.client.database import FullError
from dkg.errors import StoreError
from dkg.page import CID_PREFIX, DatasetRoot, Inner, Leaf, cid_of, decode
from node.checkpoints import source
from node.replication.fetch import LANE
from tests.node.checkpoints.test_slow_peers import HONEST, Peers
from tests.node.checkpoints.test_watcher import Site, built, run, site
from tests.node.checkpoints.world import SHAPES, dataset, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.core.core import NodeCore

T = TypeVar("T")

__all__ = ["built", "site"]


class Proposer(Peers):
    """Gives pages to whoever asks."""

    def peers(self) -> list[str]:
        return [HONEST]


def wrong(site: Site) -> bytes:
    """A union in other pages than the rules cut, without the last of its quads."""
    keys = site.keys(0, 200)
    root = whole(site.pages, keys - {max(keys)}, SHAPES[1])
    site.transport = Proposer(dict(site.pages.pages))
    site.pages.pages.clear()
    site.commit(0, keys)
    return root.removeprefix(CID_PREFIX)


def test_no_number_of_pages_saves_a_wrong_checkpoint(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PAGES_MAX", 20)

    async def main() -> None:
        root = wrong(site)
        assert isinstance(site.transport, Proposer)
        assert len(site.transport.pages) > source.PAGES_MAX
        site.contract.propose(1, root=root)
        async with site.node() as core:
            await site.status(core, 1, Status.REFUTED)

    run(main)


def test_a_full_disk_saves_no_wrong_checkpoint(site: Site) -> None:
    async def main() -> None:
        root = wrong(site)
        async with site.node() as core:
            await site.bring(core)
            core.shelf.store.quota_bytes = 1
            with pytest.raises(FullError):
                await in_lane(core, lambda: core.shelf.store.pages.put_many([(cid_of(b"more"), b"more")]))
            site.contract.propose(1, root=root)
            await site.status(core, 1, Status.REFUTED)

    run(main)


def test_pages_of_a_commit_that_went_before_they_were_kept_are_missed(site: Site) -> None:
    async def main() -> None:
        root = whole(site.pages, site.keys(0, 200))
        async with site.node() as core:
            await in_lane(core, lambda: core.shelf.store.pages.put_many(site.pages.pages.items()))
            find_pages = core.watcher._source.spog
            kept = await in_lane(core, lambda: dict(find_pages(root, {})))
            page = decode(root, kept[root])
            assert isinstance(page, DatasetRoot)
            assert len(kept) > 5
            assert scan_keys(kept, page.trees[0]) == site.keys(0, 200)
            lost = dataset(site.pages, [cid_of(b"gone"), *page.trees[1:]], 200)
            await in_lane(core, lambda: core.shelf.store.pages.put_many([(lost, site.pages.pages[lost])]))
            with pytest.raises(StoreError, match="was here, and is not any more"):
                await in_lane(core, lambda: list(find_pages(lost, {})))
            shown = {cid_of(b"gone").removeprefix(CID_PREFIX): Kind.LONG}
            assert await in_lane(core, lambda: list(find_pages(lost, shown))) == [(lost, site.pages.pages[lost])]

    run(main)


async def in_lane(core: NodeCore, work: Callable[[], T]) -> T:
    """Where the node uses its store."""
    return await core.parts.runtime.blocking(LANE, work)


def scan_keys(pages: dict[bytes, bytes], tree: bytes) -> set[bytes]:
    """The keys of a tree."""
    page = decode(tree, pages[tree])
    if isinstance(page, Inner):
        return set[bytes]().union(*(scan_keys(pages, child) for child in page.children))
    assert isinstance(page, Leaf)
    return {*page.keys}
