"""Garbage collection of a page store: pages that no root reaches are removed, and their space goes back to the disk.

1. **Mark.** From every root that counts, follow the links. Leaves are not read: a tree has all of them at one depth.
   A mark is a bit for the place of a page in the store, not for its hash: exact, and a few bytes a pack.
2. **Sweep.** Packs that were there when marking began, in slices of bounded size, each one transaction. A pack without
   a marked page goes. That alone would leave holes that the database never fills, because new packs come at its end:
   so a segment of neighbouring packs of which less than `SEGMENT_SHARE` is marked is emptied, and what it holds that
   is marked is put again at the end, packed with its like.
3. **Shrink.** The free pages of the database go back to the disk, a few at a time.

What makes it safe:

- A crash leaves the store as of a whole slice. What is marked is in the store at every moment.
- Pages written meanwhile are in newer packs, at which no slice looks. A page that was garbage and belongs to a tree
  written meanwhile: each slice asks anew for the roots that count, and marks what they reach, before it removes
  anything. A root that comes to count only later is to be walked first (`Marker.require`): it may lack a page by then.
- A reader that looks for a page while it moves asks again in one snapshot (`SqliteStore.get`).
- A page is skipped only where it was walked before at the same height above the leaves. So a tree that is not built
  by the rules can lose pages of its own, and cannot hide a page of another tree.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext, suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.client.database import FullError
from dkg.client.packs import PAGES_MAX
from dkg.client.store import SLOTS
from dkg.errors import PageError, StoreError
from dkg.limits import LEAF_KEYS_MAX
from dkg.page import DatasetRoot, Inner, cid_text, decode
from dkg.pages import StoredPages
from dkg.update import height_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from dkg.client.store import SqliteStore

SLICE_BYTES: Final = 16 * 1024 * 1024
"""Pages that one slice of a sweep removes or moves, about, in bytes: some tenths of a second of the write lock."""

MARK_PAGES: Final = 256
"""Inner pages that one step of marking reads: some 20 milliseconds."""

SHRINK_PAGES: Final = 64
"""Free pages of the database, of 32 KiB each, that one step gives back."""

SEGMENT_PACKS: Final = 64
"""Packs of a segment: some pages of the database."""

SEGMENT_SHARE: Final = 2 / 3
"""Of a segment that is left alone, so much at least is marked: at most half as much again is garbage or empty."""

_SEGMENTS_LOOKED_AT: Final = 32  # in one step of the sweep
_CHUNK: Final = 4096  # packs
_PACK_BYTES: Final = SLOTS // 8
_USUAL_BYTES: Final = 24 * 1024  # of the pages of a pack that is not looked into
_FULL: Final = (1 << PAGES_MAX) - 1
_ROOT: Final = -1  # the height at which the page of a dataset is walked


class Marks:
    """A set of places of pages, a bit each."""

    def __init__(self) -> None:
        self._chunks: dict[int, bytearray] = {}

    def add(self, at: int) -> bool:
        """Put a place in. False: it is in already."""
        pack, slot = divmod(at, SLOTS)
        chunk = self._chunks.get(pack // _CHUNK)
        if chunk is None:
            chunk = self._chunks[pack // _CHUNK] = bytearray(_CHUNK * _PACK_BYTES)
        byte, bit = pack % _CHUNK * _PACK_BYTES + slot // 8, 1 << slot % 8
        if chunk[byte] & bit:
            return False
        chunk[byte] |= bit
        return True

    def of_pack(self, pack: int) -> int:
        """The slots of a pack that are in, as bits from the lowest."""
        chunk = self._chunks.get(pack // _CHUNK)
        start = pack % _CHUNK * _PACK_BYTES
        return int.from_bytes(chunk[start : start + _PACK_BYTES], "little") if chunk else 0


class Marker:
    """Marks what roots reach. `pages`: places marked so far."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._kept = Marks()
        self._walked: dict[int, Marks] = {}  # by height
        self._stack: list[tuple[bytes, int]] = []
        self._roots: set[bytes] = set()
        self.pages = 0

    @property
    def roots(self) -> int:
        """How many roots were pushed."""
        return len(self._roots)

    def live(self, pack: int) -> int:
        """The slots of a pack that are marked, as bits from the lowest."""
        return self._kept.of_pack(pack)

    def require(self, root: bytes) -> None:
        """Mark all that a root reaches. Raises `StoreError` when a page of it is not in the store."""
        self.push([root])
        self.run()

    def push(self, roots: Iterable[bytes]) -> None:
        """Have roots marked, those that were not yet. Raises `StoreError` when the page of one is not here."""
        for root in roots:
            if root not in self._roots:
                self._mark([root], _ROOT)
                self._roots.add(root)

    def run(self, most: int | None = None) -> bool:
        """Read inner pages, so many at most. False: all that was pushed is marked.

        Raises `StoreError` for a page that is not here, or damaged, or none.
        """
        left = -1 if most is None else most
        try:
            while self._stack and left:
                self._visit(*self._stack.pop())
                left -= 1
        except (StoreError, PageError) as error:
            # Below a page that was on the stack nothing may be marked yet: what was walked does not count.
            self._stack.clear()
            self._walked.clear()
            self._roots.clear()
            raise StoreError(str(error)) from error
        return bool(self._stack)

    def _visit(self, cid: bytes, height: int) -> None:
        raw = self._store.get(cid)
        if raw is None:
            raise _missing(cid, self._store)
        page = decode(cid, raw)
        if type(page) is Inner:
            below = max(height - 1, 0)
            leaves = [] if below else [c for c, n in zip(page.children, page.counts, strict=True) if n <= LEAF_KEYS_MAX]
            others = [child for child in page.children if child not in leaves] if leaves else page.children
            self._mark(leaves, None)
            self._mark(others, below)
        elif type(page) is DatasetRoot:
            pages = StoredPages(self._store, 64)
            for tree in page.trees:
                self._mark([tree], height_of(pages, tree) or None)

    def _mark(self, cids: list[bytes], height: int | None) -> None:
        """Mark pages, and have them walked if they have a height: leaves have None."""
        if not cids:
            return
        walked = None if height is None else self._walked.setdefault(height, Marks())
        for cid, at in zip(cids, self._store.locate(cids), strict=True):
            if at is None:
                raise _missing(cid, self._store)
            self.pages += self._kept.add(at)
            if walked is not None and height is not None and walked.add(at):
                self._stack.append((cid, height))


def _missing(cid: bytes, store: SqliteStore) -> StoreError:
    return StoreError(f"page {cid_text(cid)} is not in the store in {store.directory}")


class Phase(StrEnum):
    """What a collection does next."""

    MARKING = "marking"
    SWEEPING = "sweeping"
    WAITING = "waiting"
    """To sweep: something wants the store to stay as it is, say a backup."""
    SHRINKING = "shrinking"
    DONE = "done"


class Collected(NamedTuple):
    """What a collection did. Bytes are those of the database file."""

    roots: int
    pages_kept: int
    pages_removed: int
    pages_moved: int
    bytes_before: int
    bytes_after: int


class Collection:
    """One collection, a step at a time; between steps this process may read and write the store.

    Other processes may read, and may write what ends with a head in the same transaction (`dkg load`).
    """

    def __init__(
        self,
        store: SqliteStore,
        roots: Callable[[], Iterable[bytes]] = tuple,
        *,
        newest_pack: Callable[[], int] | None = None,
        alone: Callable[[], AbstractContextManager[bool]] = lambda: nullcontext(True),  # noqa: FBT003 - its value
        done: Callable[[], object] = lambda: None,
        slice_bytes: int = SLICE_BYTES,
    ) -> None:
        """`roots`: what counts beside the store's heads. It is asked again for every slice.

        `newest_pack`: packs above that number are left alone, though they were there when marking began. `alone`:
        entered around each slice; false when it must not be now. `done`: called at the end. Raises `StoreError` when
        a root is not here.
        """
        self._store = store
        self._roots = roots
        self._last = store.last_pack()
        self._newest = newest_pack or (lambda: self._last)
        self._alone = alone
        self._done = done
        self._slice = slice_bytes
        self._at = 0
        if store.in_writing:
            raise RuntimeError("a collection cannot begin inside `writing`")
        self._fold()
        self._before = store.database.bytes_in_all()
        self._removed = self._moved = 0
        self.marker = Marker(store)
        self.phase = Phase.MARKING
        self._push()

    @property
    def report(self) -> Collected:
        """What was done so far."""
        after = self._store.database.bytes_in_all()
        marker = self.marker
        return Collected(marker.roots, marker.pages, self._removed, self._moved, self._before, after)

    def _push(self) -> None:
        with self._told():
            self.marker.push([*self._roots(), *self._store.heads()])

    def _mark(self, most: int | None) -> bool:
        with self._told():
            return self.marker.run(most)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            raise StoreError(f"no garbage is collected, because a dataset that counts is damaged: {error}") from error

    def run(self, progress: Callable[[Phase, Collected], None] | None = None) -> Collected:
        """All steps; `progress` is told of each. Raises `StoreError` when something wants the store as it is."""
        while self.step() is not Phase.DONE:
            if progress is not None:
                progress(self.phase, self.report)
            if self.phase is Phase.WAITING:
                raise StoreError(
                    f"the store in {self._store.directory} is being copied: collect garbage when that is done"
                )
        return self.report

    def step(self) -> Phase:
        """Do a bounded piece of the work; gives what comes next. Not to be called inside `writing`.

        Raises `StoreError`; then nothing was removed by this step.
        """
        if self._store.in_writing:
            raise RuntimeError("a collection cannot go on inside `writing`")
        if self.phase is Phase.MARKING:
            if not self._mark(MARK_PAGES):
                self.phase = Phase.SWEEPING
        elif self.phase in {Phase.SWEEPING, Phase.WAITING}:
            self.phase = self._sweep()
        elif self.phase is Phase.SHRINKING and not self._shrink():
            self._fold()
            self._done()
            self.phase = Phase.DONE
        return self.phase

    def _fold(self) -> None:
        """Give back the space of the log, if the disk has room for what is in it."""
        with suppress(FullError):
            self._store.database.fold()

    def _shrink(self) -> bool:
        """Give some free pages back. False: there are no more, or no room to move those that are behind them."""
        try:
            return self._store.database.shrink(SHRINK_PAGES if self._slice else 1)
        except FullError:
            if not self._slice:
                return False
            self._slice = 0
            return True
        finally:
            if not self._slice:
                self._fold()

    def _sweep(self) -> Phase:
        """Look at some segments, and empty them or take packs out, in one transaction, if there is anything to do."""
        # The last pack of all stays, so that no number is ever given again: what was marked keeps its meaning.
        high = min(self._last, self._newest(), self._store.last_pack() - 1)
        at = self._at
        garbage: list[int] = []
        for _ in range(_SEGMENTS_LOOKED_AT):
            end = min((at // SEGMENT_PACKS + 1) * SEGMENT_PACKS, high)
            garbage += self._garbage(at, end)
            at = max(at, end)
            if at >= high or len(garbage) * _USUAL_BYTES >= self._slice:
                break
        if garbage:
            with self._alone() as free:
                if not free:
                    return Phase.WAITING
                if not self._removed_all(garbage):
                    return Phase.SWEEPING
        self._at = at
        return Phase.SHRINKING if at >= high else Phase.SWEEPING

    def _garbage(self, low: int, high: int) -> list[int]:
        """The packs of a segment, above `low` up to `high`, that are to be taken apart."""
        packs = self._store.packs_between(low, high)
        marked = sum(map(self._share, packs))
        if marked < (high - low) * SEGMENT_SHARE:
            return packs
        return [number for number in packs if not self.marker.live(number)]

    def _share(self, number: int) -> float:
        """How much of a pack is marked, by the number of its pages."""
        live = self.marker.live(number)
        if live in {0, _FULL}:
            return float(live == _FULL)
        try:
            return live.bit_count() / len(self._store.pack_pages(number))
        except StoreError:
            return 1.0  # damaged: for `dkg fsck` to tell, and for whoever has its pages to mend

    def _removed_all(self, packs: list[int]) -> bool:
        """Take packs apart. False: the disk has no room for that in one transaction; it goes on in smaller ones."""
        try:
            self._remove(packs)
        except FullError:
            if not self._slice:
                raise
            self._slice = 0  # a segment at a time
            return False
        finally:
            if not self._slice:
                self._fold()  # so that the next one finds the room that this one took
        return True

    def _remove(self, packs: list[int]) -> None:
        """Take packs apart, after a last look at what counts."""
        with self._store.writing(freeing=True):
            self._push()
            self._mark(None)
            moved: list[tuple[bytes, bytes]] = []
            removed = 0
            for number in packs:
                live = self.marker.live(number)
                pages = self._pages(number, live)
                kept = [page for slot, page in enumerate(pages) if live >> slot & 1]
                moved += kept
                removed += len(pages) - len(kept)
                self._store.remove_pack(number)
            self._store.put_many(moved)
        self._removed += removed
        self._moved += len(moved)

    def _pages(self, number: int, live: int) -> list[tuple[bytes, bytes]]:
        try:
            return self._store.pack_pages(number)
        except StoreError:
            if live:
                raise
            return []  # damaged, and nobody needs it
