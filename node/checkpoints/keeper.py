"""A node's unions at (position, marks): what is here of what counts, and the union made of it and kept.

Used in the lane that changes the store. Roots are kept under names beside those of `node.core.shelf`:

| name                    | what                                                                          |
|-------------------------|-------------------------------------------------------------------------------|
| `checkpoint:own`        | the unions that were made last                                                |
| `checkpoint:<id>`       | what a checkpoint of the contract names, while it is pending or the final one |
| `covered:0x.../...`     | the cover of a publisher's dataset (its CID in hexadecimal) that is not kept  |
|                         | as a whole, or is not its own cover                                           |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from dkg.client.database import FullError
from dkg.client.spill import FileSpill
from dkg.errors import StoreError
from dkg.pages import StoredPages
from node.checkpoints.cover import Leftovers, cover_of_checked, made_of, owned, showable_keys
from node.checkpoints.odd import OddCommits
from node.checkpoints.union import counting, union_of
from node.core.checkpointed import CHECKPOINT
from node.core.view import dataset_root
from node.union import Union
from node.union_keeper import UNION, publisher_name

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable
    from pathlib import Path

    from dkg.chain.log import RegistryLog
    from dkg.chain.registry import Committed
    from dkg.chain.ual import Publisher
    from node.core.shelf import Shelf

Old = TypeVar("Old")
Given = TypeVar("Given")

DIRECTORY: Final = "checkpoints"
"""Below the node's: pages of odd commits, and the cases."""

OWN: Final = f"{CHECKPOINT}own"

_COVERED: Final = "covered:0x"
LOOKED_AT: Final = 500
"""Most pages of a union that one look at a checkpoint holds in memory; nine may be under way."""

_CACHED_PAGES: Final = 4_000
_REMEMBERED: Final = 100_000


@dataclass(frozen=True, slots=True)
class Made:
    """The union at (position, marks), or what is missing for it."""

    commits: dict[bytes, Committed]
    """Those that count, by publisher."""
    missing: list[Committed] = field(default_factory=list)
    """Those of which the pages are not here."""
    union: Union | None = None
    """None while something is missing."""


class CheckpointKeeper:
    """See the module. For one thread at a time."""

    def __init__(self, shelf: Shelf, directory: Path) -> None:
        """`directory`: the node's."""
        self.odd = OddCommits(directory / DIRECTORY)
        self._shelf = shelf
        self._store = shelf.store
        self._leftovers = Leftovers(shelf.store.pages)
        self._whole: set[bytes] = set()  # checked datasets that are their own covers
        self._last: dict[bytes, tuple[bytes, bytes]] = {}  # by publisher: a checked dataset, and its cover
        self._union: Union | None = None
        self._made_of: tuple[RegistryLog | None, int, Container[int]] = (None, 0, ())
        self._made_last = Made({})

    def close(self) -> None:
        """Close what is open."""
        self.odd.close()

    def pages(self, cached: int = _CACHED_PAGES) -> StoredPages:
        """The store's pages, for one look."""
        return StoredPages(self._store.pages, cached)

    def make(self, log: RegistryLog, position: int, marked: Container[int], *, partly: bool = False) -> Made:
        """The union at a position, without the commits at these positions. Raises `StoreError`.

        `partly`: where something is missing, the union of the rest.
        """
        if self._made_of[0] is log and self._made_of[1:] == (position, marked):
            return self._made_last
        commits = counting(log, position, marked)
        missing = [one for one in commits.values() if not self.has(one)]
        if missing and not partly:
            return Made(commits, missing)
        covers = {
            self._shelf.keeper.publisher(who): self._cover(one) for who, one in commits.items() if one not in missing
        }
        union = self._made(covers)
        time = log.entries[position - 1].time if position else 0
        self.keep(OWN, union.root, position, time)
        self._union = union
        if missing:
            return Made(commits, missing, union)
        self._made_of, self._made_last = (log, position, marked), Made(commits, [], union)
        return self._made_last

    def has(self, one: Committed) -> bool:
        """Whether all pages of a commit's spog are here that checkpoints need."""
        return self.is_kept(one) or self.odd.has(dataset_root(one))

    def is_kept(self, one: Committed) -> bool:
        """Whether its dataset is one that was checked, and is here as a whole."""
        root = dataset_root(one)
        return any(row.root == root for row in self._shelf.rows(publisher_name(one.publisher)))

    def keep(self, name: str, root: bytes, position: int, at: int) -> None:
        """Keep a root under a name. `at`: Unix seconds."""
        if not any((row.root, row.position) == (root, position) for row in self._shelf.rows(name)):
            self._store.keep(name, root, position=position, at=at)
            self._shelf.reread(name)

    def keep_only(self, checkpoints: Iterable[int]) -> None:
        """Forget what checkpoints named that are pending or final no more."""
        wanted = {OWN, *(f"{CHECKPOINT}{one}" for one in checkpoints)}
        for name in [name for name in self._shelf.kept if name.startswith(CHECKPOINT) and name not in wanted]:
            self._shelf.forget(name)

    # --- covers ------------------------------------------------------------------------------------------------------

    def _cover(self, one: Committed) -> bytes:
        """Of an odd dataset, the cover is one publisher's: anybody may commit what another has committed."""
        root, is_kept = dataset_root(one), self.is_kept(one)
        if is_kept and root in self._whole:
            return root
        name = f"{_COVERED}{one.publisher.hex()}/{root.hex()}"
        rows = self._shelf.rows(name)
        if rows:
            found = rows[0].root
        else:
            with FileSpill(self._store.directory) as spill:
                found = self._checked(one, spill) if is_kept else self._read(one, spill)
        if is_kept and not rows:  # else it may have been made of spog alone, and lack what is not the publisher's
            self._last[one.publisher] = root, found
        if is_kept and found == root:
            if len(self._whole) > _REMEMBERED:
                self._whole.clear()
            self._whole.add(root)
        elif not rows:
            self.keep(name, found, one.position + 1, one.time)
        return found

    def drop_covers(self, counts: Callable[[int], bool]) -> None:
        """Forget the covers of what cannot count any more. `counts`: whether the commit at a position can."""
        for name, rows in list(self._shelf.kept.items()):
            if name.startswith(_COVERED) and not counts(rows[0].position - 1):
                self._shelf.forget(name)

    def _checked(self, one: Committed, spill: FileSpill) -> bytes:
        root, store = dataset_root(one), self._store.pages
        old = self._last.get(one.publisher)
        return self._again(old, lambda known: cover_of_checked(store, self._leftovers, root, known, spill))

    def _read(self, one: Committed, spill: FileSpill) -> bytes:
        """The cover of an odd commit, of which only spog says anything."""
        root, publisher = dataset_root(one), self._shelf.keeper.publisher(one.publisher)
        keys = showable_keys(lambda cid: self.odd.get(root, cid), root)
        return made_of((owned(some, publisher) for some in keys), self._store.pages, spill)

    # --- the union ---------------------------------------------------------------------------------------------------

    def _made(self, covers: dict[Publisher, bytes]) -> Union:
        inputs = {publisher_name(publisher.address): cover for publisher, cover in covers.items()}
        for row in self._shelf.rows(UNION):
            if dict(row.inputs) == inputs:
                return Union(row.root, covers)  # the node has it already
        return self._again(self._union, lambda old: union_of(self.pages(), covers, self._store.pages, old))

    def _again(self, old: Old | None, make: Callable[[Old | None], Given]) -> Given:
        """Make something from an older one; from nothing where pages of that are gone."""
        if old is not None:
            try:
                return make(old)
            except FullError:
                raise
            except StoreError:
                if self._store.pages.database.broken:
                    raise
        return make(None)
