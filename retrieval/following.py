"""`Following`: an index that follows the datasets, for `retrieval.service`. One thread at a time; it has no lock.

A publisher whose pages cannot be read is left out of the index, so that it stops nobody else, and tried again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from retrieval.reading_ranges import FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from retrieval.embed import Embedder
    from retrieval.index import KnowledgeIndex
    from retrieval.model import Snapshot

Roots = frozenset[tuple[str, bytes, bytes | None]]
"""What an index is of: publishers, the roots of their datasets, and which graphs of them count."""

REST: Final = 10
"""After a try that failed, so many times as long as it took nobody is tried again: questions wait for each try."""


def roots_of(snapshots: Sequence[Snapshot]) -> Roots:
    """What an index of these snapshots is of."""
    return frozenset((one.publisher, one.root, one.only) for one in snapshots)


class Following:
    """See the module."""

    def __init__(
        self, embedder: Embedder | None, directory: Path | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`directory`: where the index is kept; None: in memory. `clock`: seconds, of any start."""
        self._embedder = embedder
        self._directory = directory
        self._clock = clock
        self._index: KnowledgeIndex | None = None
        self._of: tuple[Snapshot, ...] = ()
        self._asked: Roots = frozenset()
        self._again = 0.0
        self.left_out: dict[str, Exception] = {}
        """The publishers whose datasets could not be read, and why: what they say is not in the index."""

    @property
    def index(self) -> KnowledgeIndex | None:
        """The index as it is; None before there is one."""
        return self._index

    @property
    def roots(self) -> Roots | None:
        """What it was asked to be of, with those who are left out; None before there is one."""
        return None if self._index is None else self._asked

    def follow(self, snapshots: Sequence[Snapshot]) -> bool:
        """Let the index be of these snapshots, as far as they can be read; whether it was not.

        Raises what reading pages raises where none of them can be read.
        """
        wanted, before = roots_of(snapshots), self.roots
        if before == wanted and not (self.left_out and self._clock() >= self._again):
            return False
        held, started = roots_of(self._of), self._clock()
        left = self._moved(snapshots)
        if left is None:
            left = self._anew(snapshots)
        if left and len(left) == len({one.publisher for one in snapshots}):
            self.close()
            raise next(iter(left.values()))
        now = self._clock()
        self._again = now + REST * (now - started)
        self._asked, self.left_out = wanted, left
        return before != wanted or roots_of(self._of) != held

    def close(self) -> None:
        """Close the index; the next `follow` makes another."""
        if self._index is not None:
            self._index.close()
            self._index = None
        self._of, self.left_out = (), {}

    # --- inside ----------------------------------------------------------------------------------------------------

    def _moved(self, snapshots: Sequence[Snapshot]) -> dict[str, Exception] | None:
        """Move the index: who had to be left out. None where it cannot: pages of old datasets are gone, say."""
        if self._index is None:
            return None
        try:
            self._move(snapshots)
        except FAULTS:
            return self._one_by_one(snapshots)
        return {}

    def _anew(self, snapshots: Sequence[Snapshot]) -> dict[str, Exception]:
        """Build the index: who had to be left out."""
        self.close()
        try:
            self._index = self._made(snapshots)
        except FAULTS:
            self._index = self._made(())
            return self._one_by_one(snapshots) or {}
        self._of = tuple(snapshots)
        return {}

    def _one_by_one(self, snapshots: Sequence[Snapshot]) -> dict[str, Exception] | None:
        """Move publisher by publisher: who had to be left out. None where what one said before stays in the index."""
        after = {one.publisher: one for one in snapshots}
        left: dict[str, Exception] = {}
        for publisher in sorted(after.keys() | {one.publisher for one in self._of}):
            others = [one for one in self._of if one.publisher != publisher]
            new = after.get(publisher)
            try:
                self._move(others if new is None else [*others, new])
            except FAULTS as error:
                try:
                    self._move(others)
                except FAULTS:
                    return None
                if new is not None:
                    left[publisher] = error
        return left

    def _move(self, snapshots: Sequence[Snapshot]) -> None:
        if self._index is not None and roots_of(snapshots) != roots_of(self._of):
            self._index.move(self._of, snapshots)
            self._of = tuple(snapshots)

    def _made(self, snapshots: Sequence[Snapshot]) -> KnowledgeIndex:
        from retrieval.index import KnowledgeIndex  # noqa: PLC0415 - numpy, which reading alone does not need

        if self._directory is None:
            return KnowledgeIndex.build(snapshots, self._embedder)
        return KnowledgeIndex.open(self._directory, snapshots, self._embedder)
