"""The walk over a dataset that is being fetched: which pages are needed next, and what each of them must be.

1. The first page is the anchored root: a dataset root, with the number of quads that the commit says.
2. From there it goes down the tree of spog. Each page must hash to the CID that was asked for; its kind, count, order
   and bounds must be what its parent promises, and all leaves must lie at one depth (`dkg.page`, `dkg.scan`).
3. A page that is in the store is read from there, and its children are looked at: pages in the store may be left
   over from a fetch that was broken off, so that one of them says nothing of what is below it.
4. Where a dataset `old` is in the store as a whole, the walk goes down its tree at the same time, and leaves out what
   that has at the same place. What is found by 3. but not by 4. costs time, and no bytes.

Bytes that do not hash to their CID are the fault of the peer that sent them (`PeerError`). Pages that do, and break a
promise, are the publisher's (`MalformedError`): whoever sends them is honest.

The next pages are taken from the end, so that what waits is about what is in flight times the children on the way
down: some ten thousand places for a million quads.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.cut import LEVELS_MAX
from dkg.errors import PageError
from dkg.page import DatasetRoot, Inner, Leaf, cid_of, cid_text, decode
from dkg.pages import Pages, StoredPages
from dkg.scan import LAST, child_of, root_of
from node.replication.complete import MalformedError
from node.replication.errors import PeerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg.page import Page
    from dkg.pages import PageStore

BUFFERED_BYTES: Final = 8 * 1024 * 1024
"""Bytes of pages that are kept back to be stored together."""

OLD_PAGES_MAX: Final = 32
"""Most pages of the old tree that are looked at for one page of the new one."""

LOCAL_STEPS_MAX: Final = 500
"""Most pages from the store that are looked at in one step, so that others get their turn."""


_Old = tuple[bytes, bytes]  # a page of the old tree: where it starts, and its CID


class _Part(NamedTuple):
    """A page that is needed. `old`: pages of the old tree where it lies. No parent: a tree's root, or the dataset's."""

    cid: bytes
    parent: Inner | None
    at: int
    low: bytes
    high: bytes
    depth: int
    old: tuple[_Old, ...]


class _One(Pages):
    """A single page."""

    def __init__(self, cid: bytes, page: Page) -> None:
        self._cid = cid
        self._page = page

    def page(self, cid: bytes) -> Page:
        """See `Pages.page`."""
        if cid != self._cid:
            raise RuntimeError("another page than the one that was received")
        return self._page


class Walk:
    """See the module. One object is for one thread at a time; nothing here waits."""

    def __init__(self, store: PageStore, root: bytes, count: int, old: bytes | None = None) -> None:
        """`root`, `count`: of the anchored commit. `old`: a dataset of which every page is in the store."""
        self._store = store
        self._pages = StoredPages(store, 1_000)
        self._count = count
        self._old: tuple[_Old, ...] = ((b"", self._pages.root(old).trees[0]),) if old is not None else ()
        self._waiting = [_Part(root, None, 0, b"", LAST, -1, ())]
        self._asked: dict[bytes, _Part] = {}
        self._buffer: dict[bytes, bytes] = {}
        self._buffered = 0
        self._height = -1
        self.root: DatasetRoot | None = None
        """The dataset's root page, once it is there."""
        self.fetched = 0
        """Pages that came from peers."""
        self.fetched_bytes = 0
        """Their bytes, uncompressed."""
        self.quads = 0
        """Quads of the leaves seen so far; those of shared parts are not counted."""

    @property
    def done(self) -> bool:
        """Whether all pages are there."""
        return not self._waiting and not self._asked

    @property
    def waiting(self) -> int:
        """Places that are known and not looked at yet."""
        return len(self._waiting)

    @property
    def asked(self) -> int:
        """Pages that were taken and are not there yet."""
        return len(self._asked)

    def take(self, pages_max: int) -> list[bytes]:
        """Pages to ask for next, none twice. An empty list does not mean that it is done."""
        taken: list[bytes] = []
        for _ in range(LOCAL_STEPS_MAX):
            if not self._waiting or len(taken) == pages_max:
                break
            part = self._waiting.pop()
            if part.cid in self._asked:
                continue  # two places with one page: it is looked at once, and both promised the same of it
            raw = self._buffer.get(part.cid) or self._store.get(part.cid)
            if raw is None:
                self._asked[part.cid] = part
                taken.append(part.cid)
            elif not self._is_old(part):
                self._look(part, raw)
        return taken

    def give(self, cid: bytes, raw: bytes) -> bool:
        """Take a page that a peer sent; whether it was still needed.

        Raises `PeerError` when it is not the page of that CID, `MalformedError` when the dataset is not well formed.
        """
        part = self._asked.get(cid)
        if part is None:
            return False
        if cid_of(raw) != cid:
            raise PeerError(f"the bytes that were sent for page {cid_text(cid)} hash to {cid_text(cid_of(raw))}")
        self._look(part, raw)
        del self._asked[cid]
        self.fetched += 1
        self.fetched_bytes += len(raw)
        self._buffer[cid] = raw
        self._buffered += len(raw)
        if self._buffered >= BUFFERED_BYTES:
            self.flush()
        return True

    def put_back(self, cids: Iterable[bytes]) -> None:
        """These did not come: they are to be asked for again."""
        self._waiting += [part for cid in cids if (part := self._asked.pop(cid, None)) is not None]

    def flush(self) -> None:
        """Store what was kept back."""
        self._store.put_many(self._buffer.items())
        self._buffer.clear()
        self._buffered = 0

    # --- one page ----------------------------------------------------------------------------------------------------

    def _look(self, part: _Part, raw: bytes) -> None:
        try:
            page = decode(part.cid, raw)
            if part.depth < 0:
                self._dataset(page)
            else:
                self._node(part, self._checked(part, page))
        except MalformedError:
            raise
        except PageError as error:
            raise MalformedError(f"page {cid_text(part.cid)} breaks the format: {error}") from error

    def _dataset(self, page: Page) -> None:
        if type(page) is not DatasetRoot:
            raise PageError("it is not a dataset root")
        if page.count != self._count:
            raise PageError(f"it is of {page.count} quads, and the commit says {self._count}")
        self.root = page
        self._waiting.append(_Part(page.trees[0], None, 0, b"", LAST, 0, self._old))

    def _checked(self, part: _Part, page: Page) -> Leaf | Inner:
        one = _One(part.cid, page)
        if part.parent is not None:
            return child_of(one, part.parent, part.at, part.low, part.high)
        node = root_of(one, part.cid)
        if node.count != self._count:
            raise PageError(f"the tree has {node.count} keys, and the dataset {self._count} quads")
        return node

    def _node(self, part: _Part, node: Leaf | Inner) -> None:
        if type(node) is Leaf:
            self._height = part.depth if self._height < 0 else self._height
            if part.depth != self._height:
                raise PageError(f"a leaf is {part.depth} steps below the root, others are {self._height}")
            self.quads += node.count
        elif type(node) is Inner:
            if part.depth >= LEVELS_MAX:
                raise PageError(f"the tree has more than {LEVELS_MAX} levels")
            self._children(part, node)

    def _children(self, part: _Part, node: Inner) -> None:
        bounds = [part.low, *node.separators, part.high]
        old = self._below(part)
        starts = [start for start, _ in old]
        here = {cid for _, cid in (*old, *part.old)}
        for at in reversed(range(len(node.children))):
            cid, low, high = node.children[at], bounds[at], bounds[at + 1]
            if cid not in here:
                first = max(0, bisect_right(starts, low) - 1)
                beside = tuple(old[first : bisect_left(starts, high)][:OLD_PAGES_MAX])
                self._waiting.append(_Part(cid, node, at, low, high, part.depth + 1, beside))

    # --- the old tree ------------------------------------------------------------------------------------------------

    def _below(self, part: _Part) -> list[_Old]:
        """The children of the old pages at a place, in order; leaves stay."""
        found: list[_Old] = []
        for start, cid in part.old:
            node = self._pages.node(cid)
            if isinstance(node, Inner):
                found += zip([start, *node.separators], node.children, strict=True)
            else:
                found.append((start, cid))
        return found

    def _is_old(self, part: _Part) -> bool:
        """Whether a page in the store is in the old tree, a level further down than where the walk looks."""
        return any(cid == part.cid for _, cid in self._below(part))
