"""Where pages come from: one interface, and the objects that make the same code answer, prove and verify.

| class            | pages come from                    | what evaluation over it is            |
|------------------|------------------------------------|---------------------------------------|
| `StoredPages`    | a `PageStore`                      | answering                             |
| `RecordedPages`  | other pages, remembering each read | proving: what was read is the proof   |
| `ProvedPages`    | the blocks of a proof              | verifying                             |
| `FetchedPages`   | a callback, say to a peer          | a light client that needs no prover   |

All of them check each page against its CID and its format when it is first read (`dkg.page.decode`).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

from dkg.errors import BudgetError, MissingPageError, PageError, StoreError
from dkg.page import DatasetRoot, Inner, Leaf, Page, cid_of, cid_text, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


KNOWN_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of pages that `KnownPages` keeps where nobody says another number."""


class PageStore(Protocol):
    """What keeps pages: bytes under their CIDs."""

    def get(self, cid: bytes) -> bytes | None:
        """The bytes kept under a CID, None if there are none. Raises `StoreError` when the store fails."""

    def put_many(self, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep (CID, bytes) pairs; those already there are left as they are."""


class MemoryPageStore:
    """A page store in a dictionary."""

    def __init__(self) -> None:
        self.pages: dict[bytes, bytes] = {}

    def get(self, cid: bytes) -> bytes | None:
        """See `PageStore.get`."""
        return self.pages.get(cid)

    def put_many(self, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """See `PageStore.put_many`."""
        self.pages.update(pages)


class Pages:
    """Decoded pages by CID. Subclasses say where the bytes come from."""

    def page(self, cid: bytes) -> Page:
        """The page, checked. Raises `MissingPageError`, `PageError` or `StoreError`."""
        raise RuntimeError(f"{type(self).__name__} does not say where page {cid_text(cid)} comes from")

    def unlimited(self) -> Pages:
        """The same pages without a budget, to estimate what a refused query would have cost."""
        return self

    def node(self, cid: bytes) -> Leaf | Inner:
        """A page of a tree."""
        page = self.page(cid)
        if type(page) is DatasetRoot:
            raise PageError(f"page {cid_text(cid)} is a dataset root where a page of a tree belongs")
        return page  # type: ignore[return-value]  # the line above excludes the third kind

    def root(self, cid: bytes) -> DatasetRoot:
        """A dataset root."""
        page = self.page(cid)
        if type(page) is not DatasetRoot:
            raise PageError(f"page {cid_text(cid)} is not a dataset root")
        return page


class StoredPages(Pages):
    """Pages of a store, with the most recently used ones kept decoded (`cache_pages` of them at most)."""

    def __init__(self, store: PageStore, cache_pages: int = 20_000) -> None:
        self.store = store
        self._cache: OrderedDict[bytes, Page] = OrderedDict()
        self._cache_pages = cache_pages

    def page(self, cid: bytes) -> Page:
        """See `Pages.page`."""
        cache = self._cache
        page = cache.get(cid)
        if page is not None:
            return page
        raw = self.store.get(cid)
        if raw is None:
            raise StoreError(f"the store has no page {cid_text(cid)}; `dkg fsck` tells what is damaged")
        page = cache[cid] = decode(cid, raw)
        if len(cache) > self._cache_pages:
            for _ in range(self._cache_pages // 8 + 1):  # drop the oldest eighth: cheaper than exact LRU
                cache.popitem(last=False)
        return page


class RecordedPages(Pages):
    """Pages of another source, remembering which were read, in order of first reading."""

    def __init__(self, source: Pages, pages_max: int, bytes_max: int) -> None:
        self.source = source
        self.read: dict[bytes, Page] = {}
        self._pages_max = pages_max
        self._bytes_max = bytes_max

    def page(self, cid: bytes) -> Page:
        """See `Pages.page`. Raises `BudgetError` when more pages are read than were declared."""
        page = self.read.get(cid)
        if page is None:
            page = self.read[cid] = self.source.page(cid)
            if len(self.read) > self._pages_max:
                raise BudgetError(
                    f"the query reads more than the {self._pages_max} pages that its budget allows; "
                    "make it more selective or raise `pages`"
                )
        return page

    def unlimited(self) -> Pages:
        """See `Pages.unlimited`."""
        return self.source

    def blocks(self) -> list[tuple[bytes, bytes]]:
        """(CID, bytes) of what was read. Raises `BudgetError` over the declared bytes."""
        blocks = []
        size = 0
        for cid, page in self.read.items():
            raw = page.encode()
            size += len(raw)
            if size > self._bytes_max:
                raise BudgetError(
                    f"the {len(self.read)} pages of this proof are more than the {self._bytes_max} bytes that "
                    "its budget allows; make the query more selective or raise `proof_bytes`"
                )
            blocks.append((cid, raw))
        return blocks


class KnownPages:
    """Pages of proofs that were verified, kept decoded, so that the next proof that has them is checked faster.

    A page is taken from here only when the bytes that the proof gives for it are those that were checked under this
    CID. It is a memory, and no source: a page that a proof lacks is missing, whatever is known. For one thread at a
    time: give each its own.
    """

    def __init__(self, bytes_max: int = KNOWN_BYTES_MAX) -> None:
        """`bytes_max`: most bytes of pages, as they are encoded; in memory they take about twice as much."""
        self._bytes_max = bytes_max
        self._pages: OrderedDict[bytes, tuple[Page, int]] = OrderedDict()
        self.bytes = 0
        """Of the pages that are kept."""

    def page(self, cid: bytes, raw: bytes) -> Page:
        """The page whose CID is `cid`, from `raw`, checked in full. Raises `PageError`."""
        known = self._pages.get(cid)
        if known is not None and known[0].encode() == raw:
            return known[0]
        page = decode(cid, raw)
        self._pages[cid] = page, len(raw)
        self.bytes += len(raw)
        while self.bytes > self._bytes_max:
            self.bytes -= self._pages.popitem(last=False)[1][1]
        return page


class ProvedPages(Pages):
    """The blocks of a proof. A page that is not among them is a `MissingPageError`, never a smaller answer."""

    def __init__(self, blocks: Mapping[bytes, bytes], known: KnownPages | None = None) -> None:
        self._blocks = blocks
        self._check = decode if known is None else known.page
        self.used: dict[bytes, Page] = {}

    def page(self, cid: bytes) -> Page:
        """See `Pages.page`."""
        page = self.used.get(cid)
        if page is None:
            raw = self._blocks.get(cid)
            if raw is None:
                raise MissingPageError(f"the proof lacks page {cid_text(cid)}, which the query needs")
            page = self.used[cid] = self._check(cid, raw)
        return page


class FetchedPages(Pages):
    """Pages asked for one at a time from whoever may have them, checked and kept for this object's life."""

    def __init__(self, fetch: Callable[[bytes], bytes | None], pages_max: int) -> None:
        self._fetch = fetch
        self._pages_max = pages_max
        self.read: dict[bytes, Page] = {}

    def page(self, cid: bytes) -> Page:
        """See `Pages.page`."""
        page = self.read.get(cid)
        if page is None:
            if len(self.read) >= self._pages_max:
                raise BudgetError(f"the query reads more than the {self._pages_max} pages that its budget allows")
            raw = self._fetch(cid)
            if raw is None:
                raise MissingPageError(f"nobody had page {cid_text(cid)}, which the query needs")
            page = self.read[cid] = decode(cid, raw)
        return page


class PageSink:
    """Hands new pages to a store in batches, so that building needs bounded memory."""

    def __init__(self, store: PageStore, batch_pages: int = 4096) -> None:
        self._store = store
        self._batch_pages = batch_pages
        self._pending: dict[bytes, bytes] = {}
        self.written = 0
        self.bytes_written = 0

    def add(self, page: Page) -> bytes:
        """Keep a page; gives its CID."""
        raw = page.encode()
        cid = cid_of(raw)
        self._pending[cid] = raw
        if len(self._pending) >= self._batch_pages:
            self.flush()
        return cid

    def flush(self) -> None:
        """Give the store what is still pending."""
        self.written += len(self._pending)
        self.bytes_written += sum(map(len, self._pending.values()))
        self._store.put_many(self._pending.items())
        self._pending.clear()
