"""`Following`: an index that follows the datasets, for `retrieval.service`. One thread at a time; it has no lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from retrieval.embed import Embedder
    from retrieval.index import KnowledgeIndex
    from retrieval.model import Snapshot

Roots = frozenset[tuple[str, bytes]]
"""What an index is of: the roots of publishers."""


def roots_of(snapshots: Sequence[Snapshot]) -> Roots:
    """What an index of these snapshots is of."""
    return frozenset((one.publisher, one.root) for one in snapshots)


class Following:
    """See the module."""

    def __init__(self, embedder: Embedder | None, directory: Path | None) -> None:
        """`directory`: where the index is kept; None: in memory."""
        self._embedder = embedder
        self._directory = directory
        self._index: KnowledgeIndex | None = None
        self._of: tuple[Snapshot, ...] = ()

    @property
    def index(self) -> KnowledgeIndex | None:
        """The index as it is; None before there is one."""
        return self._index

    @property
    def roots(self) -> Roots | None:
        """What it is of; None before there is one."""
        return None if self._index is None else roots_of(self._of)

    def follow(self, snapshots: Sequence[Snapshot]) -> bool:
        """Let the index be of these snapshots; whether it was not. Raises what reading pages raises."""
        if self.roots == roots_of(snapshots):
            return False
        if self._index is not None:
            try:
                self._index.move(self._of, snapshots)
            except StoreError:  # pages of the old datasets are gone, say: then it is built anew
                self.close()
        if self._index is None:
            self._index = self._made(snapshots)
        self._of = tuple(snapshots)
        return True

    def _made(self, snapshots: Sequence[Snapshot]) -> KnowledgeIndex:
        from retrieval.index import KnowledgeIndex  # noqa: PLC0415 - numpy, which reading alone does not need

        if self._directory is None:
            return KnowledgeIndex.build(snapshots, self._embedder)
        return KnowledgeIndex.open(self._directory, snapshots, self._embedder)

    def close(self) -> None:
        """Close the index; the next `follow` makes another."""
        if self._index is not None:
            self._index.close()
            self._index = None
