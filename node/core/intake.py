"""Datasets that come in another way than from peers: uploaded as a CAR, or from the node's own publisher.

They are believed as little as a peer's: the walk from the root looks at each page, and the whole is derived again from
its quads (`node.union_check`) before anybody counts on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.car import read_car
from dkg.client.spill import FileSpill
from dkg.errors import LimitError, MissingPageError
from dkg.page import cid_text
from node.replication.walk import Walk
from node.union_check import check_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dkg.chain.commit import Commit
    from node.core.settings import CoreSettings
    from node.storage import NodeStore

_TAKEN = 256  # pages between two looks at what is missing


def take_in(
    store: NodeStore, root: bytes, count: int, *, old: bytes | None, source: Callable[[bytes], bytes | None]
) -> None:
    """Put a dataset into the store, whole and checked. Pages that are there are not asked of `source`.

    `count`: its quads, as its commit tells. `old`: a dataset that is there as a whole, if there is one. Raises
    `MissingPageError` when a page is neither there nor in `source`, other `ProofError`s for what is no dataset, and
    `StoreError`.
    """
    with store.arriving():
        walk = Walk(store.pages, root, count, old)
        while not walk.done:
            for cid in walk.take(_TAKEN):
                raw = source(cid)
                if raw is None:
                    raise MissingPageError(f"page {cid_text(cid)} of {cid_text(root)} is neither sent nor here")
                walk.give(cid, raw)
        walk.flush()
        with FileSpill(store.directory) as spill:
            check_dataset(store.pages, old, root, spill=spill)


def uploaded(car: bytes, root: bytes, commit: Commit, settings: CoreSettings) -> dict[bytes, bytes]:
    """The pages of an upload. Raises `LimitError` and `ProofError`."""
    if commit.count > settings.upload_quads_max:
        raise LimitError(f"a dataset of {settings.upload_quads_max} quads at most is taken; this has {commit.count}")
    return read_car(car, root, settings.upload_pages_max)


class Spills:
    """Places for sorted runs, one after the other: the one before is closed when the next is asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._last: FileSpill | None = None

    def __call__(self) -> FileSpill:
        """A new place."""
        self.close()
        self._last = FileSpill(self._directory)
        return self._last

    def close(self) -> None:
        """Close the last one."""
        if self._last is not None:
            self._last.__exit__(None, None, None)
            self._last = None
