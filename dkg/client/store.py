"""The page store on disk: one SQLite database, `pages.db`, in a directory of its own.

| table          | what a row is                                                                                     |
|----------------|---------------------------------------------------------------------------------------------------|
| `packs`        | up to eight pages, compressed together (`dkg.client.packs`)                                       |
| `pages`        | where a page is: its key is 56 bits of the page's hash, `at` is 16 times its pack, plus its slot  |
| `clashes`      | the same for a page whose 56 bits were taken: rare by chance, cheap for an adversary, never wrong |
| `dictionaries` | what packs are compressed with                                                                    |
| `heads`        | the roots that this store has had, the last one the current                                       |

Pages are never changed, and only `dkg.client.collect` removes any: until then an old root stays readable. A head is
written in the transaction of the last of its pages, in WAL mode with `synchronous=FULL`: after a crash or a power cut
at any point the store holds the old head with all its pages or the new one with all its pages. There is one writer;
readers go on beside it.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from dkg.client.database import Database
from dkg.client.packs import DICTIONARY_SAMPLES, PACK_BYTES_MAX, PAGES_MAX, Pack, Packer, dictionary_of, train
from dkg.errors import StoreError
from dkg.page import CID_LENGTH, CID_PREFIX, cid_of, cid_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from backports.zstd import ZstdDict


_FIND: Final = "SELECT at FROM pages WHERE id=?"
_FIND_CLASH: Final = "SELECT at FROM clashes WHERE cid=?"
_FIND_PACK: Final = "SELECT dictionary, data FROM packs WHERE id=?"
_STAGED_MAX: Final = 400_000  # index entries kept back to be inserted in order
_PACKS_CACHED: Final = 128
_ASKED_AT_ONCE: Final = 500
_ROOM_ASKED_BYTES: Final = 256 * 1024  # of packs written, before it is asked again whether there is room

SLOTS: Final = 16
"""Per pack, in the numbers of places: 16 times the pack, plus the slot."""

Packed = tuple[int, bytes, list[bytes]]
"""A pack on its way into the store: its dictionary's number, its bytes, the CIDs of its pages."""


class PagesChecked(NamedTuple):
    """How many pages were read, and what is wrong with them."""

    pages: int
    problems: list[str]


def index_key(cid: bytes) -> int:
    """The key of a page in `pages`."""
    return int.from_bytes(cid[4:11], "big")


class SqliteStore:
    """A `PageStore` on disk, with heads. One object is for one thread at a time.

    Outside of `writing`, each call of `put_many` or `set_head` is a transaction of its own, durable when it
    returns. Every failure of the file, the disk or the database is a `StoreError`.
    """

    def __init__(self, directory: Path | str, *, read_only: bool = False) -> None:
        """Open the store in `directory`; it is created if it is missing, unless `read_only`.

        Raises `StoreError` when there is no store to read, or none that this release can use.
        """
        self.directory = Path(directory)
        self.read_only = read_only
        self.admit: Callable[[int], None] | None = None
        """Asked before so many bytes are written, and with 0 before a transaction; raises `FullError` to refuse."""
        self.database = Database(self.directory, read_only=read_only)
        self._db = self.database.connection
        self._guard = self.database.guard
        self._packs: OrderedDict[int, Pack] = OrderedDict()
        self._dictionaries: dict[int, ZstdDict | None] = {0: None}
        self._packer = Packer(b"")
        self._dictionary = 0  # the number of the packer's
        self._staged: dict[int, int] = {}
        self._writing = False
        self._freeing = False
        self._unasked = 0  # bytes written since it was last asked whether there is room
        with self._guard("open"):
            self._refresh()

    # Opening and closing

    def _refresh(self) -> None:
        """Read what this object remembers of the database."""
        newest = self._db.execute("SELECT id, data FROM dictionaries ORDER BY id DESC LIMIT 1").fetchone()
        if newest is not None:
            self._dictionary, data = self._intact(newest, int, bytes)
            self._packer = Packer(data)

    def close(self) -> None:
        """Close the store. What was put inside an unfinished `writing` is gone."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Reading

    def get(self, cid: bytes) -> bytes | None:
        """See `PageStore.get`. The page is checked against its CID: what comes back is what was put."""
        try:
            row = self._db.execute(_FIND, (index_key(cid),)).fetchone()
            if row is not None and type(row[0]) is int:
                with suppress(StoreError):  # it was moved between the two questions, or `_search` says what is wrong
                    page = self._page(row[0])
                    if sha256(page).digest() == cid[4:]:
                        return page
            with self._snapshot():
                return self._search(cid)
        except sqlite3.Error as error:
            raise self.database.failure("read", error) from error

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """The database as of one moment, whatever is collected meanwhile."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def _search(self, cid: bytes) -> bytes | None:
        """The page, if it is not where pages usually are."""
        for at in self._places(cid):
            page = self._page(at)
            if cid_of(page) == cid:
                return page
            if index_key(cid_of(page)) != index_key(cid):
                raise StoreError(
                    f"page {cid_text(cid)} is damaged in {self.directory}; `dkg fsck` tells what hangs on it"
                )
        return None

    def _places(self, cid: bytes) -> Iterator[int]:
        """Where a page may be: each place holds it, or another page with the same key, or is damaged."""
        key = index_key(cid)
        if key in self._staged:
            yield self._staged[key]
        for statement, value in (_FIND, key), (_FIND_CLASH, cid):
            row = self._db.execute(statement, (value,)).fetchone()
            if row is not None:
                yield self._intact(row, int)[0]

    def _intact(self, row: tuple[Any, ...] | None, *kinds: type) -> tuple[Any, ...]:
        """A row that must be there, of the kinds of values that it must have: a damaged database gives any."""
        if row is None or tuple(map(type, row)) != kinds:
            raise StoreError(f"a row is damaged or missing in {self.directory}; `dkg fsck` tells what hangs on it")
        return row

    def _page(self, at: int) -> bytes:
        return self._pack(at // SLOTS).page(at % SLOTS)

    def _pack(self, number: int) -> Pack:
        pack = self._packs.get(number)
        if pack is None:
            row = self._db.execute(_FIND_PACK, (number,)).fetchone()
            dictionary, data = self._intact(row, int, bytes)
            pack = self._packs[number] = Pack(data, self._dictionary_of(dictionary))
            if len(self._packs) > _PACKS_CACHED:
                self._packs.popitem(last=False)
        return pack

    def _dictionary_of(self, number: int) -> ZstdDict | None:
        if number not in self._dictionaries:
            row = self._db.execute("SELECT data FROM dictionaries WHERE id=?", (number,)).fetchone()
            (data,) = self._intact(row, bytes)
            self._dictionaries[number] = dictionary_of(data)
        return self._dictionaries[number]

    def head(self) -> bytes | None:
        """The current root, None when nothing was ever loaded."""
        return next(iter(self.heads()), None)

    def heads(self) -> list[bytes]:
        """All roots that this store has had, the current one first."""
        with self._guard("read"):
            rows = self._db.execute("SELECT root FROM heads ORDER BY seq DESC")
            roots = [self._intact(row, bytes)[0] for row in rows]
        if any(len(root) != CID_LENGTH or not root.startswith(CID_PREFIX) for root in roots):
            raise StoreError(f"a root is damaged in {self.directory}; load the data anew")
        return roots

    # Checking

    def page_count(self) -> int:
        """How many pages there are."""
        with self._guard("read"):
            row = self._db.execute("SELECT (SELECT count(*) FROM pages) + (SELECT count(*) FROM clashes)").fetchone()
        return int(row[0])

    def integrity_problems(self) -> list[str]:
        """What SQLite finds wrong with the database."""
        return self.database.integrity_problems()

    def check_pages(self) -> Iterator[PagesChecked]:
        """Read every pack, and find every page in it by its CID."""
        indexed = 0
        try:
            for number, dictionary, data in self._db.execute("SELECT id, dictionary, data FROM packs ORDER BY id"):
                found = 0
                problems = []
                try:
                    self._intact((dictionary, data), int, bytes)
                    pack = Pack(data, self._dictionary_of(dictionary))
                    for slot in range(pack.count):
                        page = pack.page(slot)
                        cid, found = cid_of(page), found + 1
                        if number * SLOTS + slot in self._places(cid):
                            indexed += 1
                        elif self.get(cid) != page:
                            problems.append(f"page {slot} of pack {number} is not found by its CID")
                except StoreError as error:
                    problems.append(f"pack {number}: {error}")
                yield PagesChecked(found, problems)
        except sqlite3.Error as error:
            yield PagesChecked(0, [f"the packs cannot be read: {error}"])
        lost = self.page_count() - indexed
        if lost:
            yield PagesChecked(0, [f"the index names {lost} pages that are not where it says"])

    # Writing

    @property
    def in_writing(self) -> bool:
        """Whether `writing` is under way."""
        return self._writing

    @contextmanager
    def writing(self, *, freeing: bool = False) -> Iterator[None]:
        """One transaction: all that is put and set inside is there when it ends, and nothing of it after an error.

        `freeing`: in the end less is kept than before, so `admit` is not asked. Raises `StoreError` at once when
        another process is writing.
        """
        if self._writing:
            raise RuntimeError("this store is already inside `writing`")
        self.database.require_writable()
        self._freeing, self._unasked = freeing, 0
        self._require_room(0)
        with self._guard("write to"):
            self._db.execute("BEGIN IMMEDIATE")
            self._writing = True
            try:
                self._begin()
                yield
                self._insert_staged()
                self._db.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._writing = False

    def _require_room(self, size: int) -> None:
        if self.admit is not None and not self._freeing:
            self.admit(size)

    def _begin(self) -> None:
        self._refresh()  # another process may have written since this store was opened
        last = self._db.execute("SELECT max(id) FROM packs").fetchone()[0]
        self._next_pack = (last or 0) + 1
        self._empty = last is None

    def _roll_back(self) -> None:
        self._staged.clear()
        self._packs.clear()  # numbers of packs that were never there may be given again
        if self._db.in_transaction:  # a full disk ends it on its own
            self._db.execute("ROLLBACK")
        self._dictionaries = {0: None}
        self._packer, self._dictionary = Packer(b""), 0
        self._refresh()

    def put_many(self, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """See `PageStore.put_many`."""
        if not self._writing:
            with self.writing():
                self.put_many(pages)
            return
        batch = list(pages)
        with self._guard("write to"):
            if not self._dictionary and len(batch) >= DICTIONARY_SAMPLES:
                self.train(raw for _, raw in batch)
            self.put_packs(self.packed(batch))

    def train(self, pages: Iterable[bytes]) -> None:
        """Compress from now on with a dictionary made from these pages, if it can be made and there is none yet."""
        if self._dictionary:
            return
        dictionary = train(pages)
        if dictionary:
            with self._guard("write to"):
                self._db.execute("INSERT INTO dictionaries (id, data) VALUES (1, ?)", (dictionary,))
            self._dictionary = 1
            self._packer = Packer(dictionary)

    def packed(self, batch: list[tuple[bytes, bytes]]) -> Iterator[Packed]:
        """Pack those of some pages that are not here yet. Works beside the writer too, in a process of its own."""
        known = set() if self._empty else self._known([cid for cid, _ in batch])
        pages: list[bytes] = []
        cids: list[bytes] = []
        size = 0
        for cid, raw in batch:
            if index_key(cid) in known and self.get(cid) is not None:
                continue
            pages.append(raw)
            cids.append(cid)
            size += len(raw)
            if len(cids) == PAGES_MAX or size >= PACK_BYTES_MAX:
                yield self._dictionary, self._packer.pack(pages), cids
                pages, cids, size = [], [], 0
        if cids:
            yield self._dictionary, self._packer.pack(pages), cids

    def _known(self, cids: list[bytes]) -> set[int]:
        """The keys of those pages that may be here."""
        keys = iter([index_key(cid) for cid in cids])
        known: set[int] = set()
        with self._guard("read"):
            while asked := list(islice(keys, _ASKED_AT_ONCE)):
                marks = ",".join("?" * len(asked))
                known.update(row[0] for row in self._db.execute(f"SELECT id FROM pages WHERE id IN ({marks})", asked))  # noqa: S608
                known.update(self._staged.keys() & set(asked))
        return known

    def put_packs(self, packs: Iterable[Packed]) -> None:
        """Keep packs that `packed` made, inside `writing`."""
        with self._guard("write to"):
            self._db.executemany("INSERT INTO packs (id, dictionary, data) VALUES (?, ?, ?)", self._numbered(packs))
            if len(self._staged) > _STAGED_MAX:
                self._insert_staged()

    def _numbered(self, packs: Iterable[Packed]) -> Iterator[tuple[int, int, bytes]]:
        staged = self._staged
        for dictionary, data, cids in packs:
            self._unasked += len(data)
            if self._unasked >= _ROOM_ASKED_BYTES:
                self._require_room(self._unasked)
                self._unasked = 0
            number = self._next_pack
            self._next_pack += 1
            yield number, dictionary, data
            for at, cid in enumerate(cids, number * SLOTS):
                if staged.setdefault(index_key(cid), at) != at:
                    self._clash(cid, at)

    def _clash(self, cid: bytes, at: int) -> None:
        """Two pages have the same key: they are the same page, or the second goes among the clashes."""
        if self.get(cid) is None:
            self._db.execute("INSERT INTO clashes (cid, at) VALUES (?, ?)", (cid, at))

    def _insert_staged(self) -> None:
        """Insert the index entries that were kept back, in order, which fills the pages of the database."""
        rows = sorted(self._staged.items())
        cursor = self._db.executemany("INSERT OR IGNORE INTO pages (id, at) VALUES (?, ?)", rows)
        self._staged.clear()
        if cursor.rowcount < len(rows):
            for key, at in rows:
                self._settle(key, at)

    def _settle(self, key: int, at: int) -> None:
        """After a key was taken already: the page that came second is the same one, or a clash."""
        ((taken,),) = self._db.execute("SELECT at FROM pages WHERE id=?", (key,))
        if taken == at:
            return
        self._clash(cid_of(self._page(at)), at)

    def set_head(self, root: bytes) -> None:
        """Make a root the current one. Raises `StoreError` when its page is not here."""
        if not self._writing:
            with self.writing():
                self.set_head(root)
            return
        if self.get(root) is None:
            raise StoreError(f"the store in {self.directory} has no dataset {cid_text(root)} to make current")
        with self._guard("write to"):
            self._db.execute("INSERT INTO heads (root) VALUES (?)", (root,))

    # Collecting, and mending

    def last_pack(self) -> int:
        """The number of the newest pack; 0 when there is none."""
        with self._guard("read"):
            row = self._db.execute("SELECT max(id) FROM packs").fetchone()
        return int(row[0] or 0)

    def packs_between(self, low: int, high: int) -> list[int]:
        """Numbers of the packs above `low` up to `high`."""
        with self._guard("read"):
            rows = self._db.execute("SELECT id FROM packs WHERE id>? AND id<=? ORDER BY id", (low, high))
            return [int(row[0]) for row in rows]

    def locate(self, cids: list[bytes]) -> list[int | None]:
        """The place of each of a few pages, None for one that is not here. Nothing is read but the index.

        A page that is not here may be given the place of another with the same 56 bits of its hash.
        """
        marks = ",".join("?" * len(cids))
        ask = f"SELECT id, at FROM pages WHERE id IN ({marks}) UNION ALL SELECT cid, at FROM clashes WHERE cid IN ({marks})"  # noqa: E501, S608
        with self._guard("read"):
            found = dict(self._db.execute(ask, [*map(index_key, cids), *cids]))
        return [found.get(cid, found.get(index_key(cid))) for cid in cids]

    def pack_pages(self, number: int) -> list[tuple[bytes, bytes]]:
        """The pages of a pack, with their CIDs. Raises `StoreError` when there is no such pack, or it is damaged."""
        with self._guard("read"):
            pack = self._pack(number)
        pages = [pack.page(slot) for slot in range(pack.count)]
        return [(cid_of(page), page) for page in pages]

    def remove_pack(self, number: int) -> None:
        """Take a pack out, with the places of its pages, inside `writing`; the caller puts those again that count."""
        first = number * SLOTS
        try:
            cids = [cid for cid, _ in self.pack_pages(number)]
        except StoreError:
            cids = []
        with self._guard("write to"):
            if cids:
                at = range(first, first + len(cids))
                here = zip(map(index_key, cids), at, strict=True)
                self._db.executemany("DELETE FROM pages WHERE id=? AND at=?", here)
                self._db.executemany("DELETE FROM clashes WHERE cid=? AND at=?", zip(cids, at, strict=True))
            else:  # it cannot be read: whatever the index says of it
                for table in ("pages", "clashes"):
                    places = first, first + SLOTS
                    self._db.execute(f"DELETE FROM {table} WHERE at>=? AND at<?", places)  # noqa: S608
            self._db.execute("DELETE FROM packs WHERE id=?", (number,))
        self._packs.pop(number, None)

    def replace_many(self, pages: Iterable[tuple[bytes, bytes]]) -> int:
        """Put pages again that cannot be read here any more, from a source that has them; gives how many it took.

        Raises `ValueError` for bytes that are not those of their CID.
        """
        taken: dict[bytes, bytes] = {}
        with self.writing():
            for cid, raw in pages:
                if cid_of(raw) != cid:
                    raise ValueError(f"the bytes given for page {cid_text(cid)} are those of another page")
                if self._forget_damaged(cid):
                    taken[cid] = raw
            self.put_many(taken.items())
        return len(taken)

    def _forget_damaged(self, cid: bytes) -> bool:
        """Drop places that should hold a page and do not. False: the page is there."""
        try:
            return self.get(cid) is None
        except StoreError:
            for at in list(self._places(cid)):
                try:
                    key = index_key(cid_of(self._page(at)))
                except StoreError:
                    key = -1
                if key != index_key(cid):  # else it is another page, which has the same key
                    self._db.execute("DELETE FROM pages WHERE id=? AND at=?", (index_key(cid), at))
                    self._db.execute("DELETE FROM clashes WHERE cid=? AND at=?", (cid, at))
        return True

    # Beside the writer

    def reopen_in_child(self) -> None:
        """In a forked process: read through a connection of its own, and never touch the parent's."""
        _PARENTS.append(self.database)
        self.read_only = True
        self._writing = False
        self.database = Database(self.directory, read_only=True)
        self._db = self.database.connection
        self._guard = self.database.guard


_PARENTS: Final[list[Database]] = []  # of a parent process: closing one here would take its locks away
