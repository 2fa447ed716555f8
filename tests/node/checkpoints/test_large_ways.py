"""A page is withheld below pages that are too large for one transaction: it is demanded all the same."""

from __future__ import annotations

from hashlib import sha256

from dkg.checkpoints.paths import follow
from dkg.checkpoints.shown import classify
from dkg.checkpoints.walk import walk
from dkg.limits import PATH_BYTES_MAX, SHOW_MAX
from dkg.page import CID_PREFIX, DatasetRoot, Inner, cid_of
from dkg.pages import MemoryPageStore, StoredPages
from node.checkpoints.hand import short_path

WITHHELD = CID_PREFIX + bytes(32)


def test_a_withheld_page_below_large_pages_can_be_demanded() -> None:
    store, top, levels = MemoryPageStore(), WITHHELD, 5
    for level in range(levels, 0, -1):
        separators = [b"%d" % (level * 10 + at) + bytes([97]) * 4_300 for at in range(1, 8)]
        raw = Inner([top] * 8, separators, [1] * 8).encode()
        assert 30_000 < len(raw) <= SHOW_MAX
        top = cid_of(raw)
        store.pages[top] = raw
    root = DatasetRoot([top] * 4, 8).encode()
    store.pages[cid_of(root)] = root
    way = follow(StoredPages(store), cid_of(root), [0] * (levels + 1))
    assert len(way.encode()) > PATH_BYTES_MAX
    first, path = short_path(way)
    shown = {sha256(raw).digest(): classify(raw).word for raw in first}
    assert walk(path, sha256(root).digest(), 0, shown).child == WITHHELD.removeprefix(CID_PREFIX)
