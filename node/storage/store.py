"""`NodeStore`: a node's data directory. Pages in `pages.db`, what they are for in `state.db`, views beside them.

Pages are durable before a root is kept, so a crash at any point leaves pages that nothing needs, at most, and never a
root that lacks a page. One process writes; others may read. One object is for one thread at a time: what takes long
(a collection) is done in steps, between which the node goes on.

What may be removed: a page counts while a root reaches it that is kept, or an input of the newest root of a name, or
held by somebody who reads it (`holding`). Pages that came since somebody began to fetch (`arriving`) are left alone. A
root that is kept after a collection has begun to remove is walked first: one that lacks a page is never kept.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from dkg.client.collect import Collection, Phase
from dkg.client.database import make_directory
from dkg.client.fsck import unreadable
from dkg.client.store import SqliteStore
from dkg.errors import DkgError, StoreError
from dkg.page import cid_text
from dkg.pages import StoredPages
from node.storage.lock import COPY_FILE, FileLock, writer_lock
from node.storage.operations import Operations
from node.storage.reserve import RESERVE_BYTES, Reserve
from node.storage.retention import dropped
from node.storage.state import Kept, Refused, StateDatabase
from node.storage.usage import QuotaError, Usage, bytes_below, disk_free
from node.storage.view import Views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from dkg.client.collect import Collected
    from node.storage.retention import Retention

VIEWS: Final = "views"
"""The directory of views, below the node's."""

PRIVATE: Final = "private"
"""The directory of what is private, below the node's. It counts nowhere, as the figures of the node are for everybody;
it has limits of its own (`node.private.vault`)."""

_RESERVE_SHARE: Final = 16  # of the quota
_LOG_BYTES: Final = 32 * 1024 * 1024  # SQLite folds its log into the database about when it is this large


class NodeStore:
    """An open data directory. Every failure of disk or databases is a `StoreError`."""

    def __init__(
        self,
        directory: Path | str,
        *,
        read_only: bool = False,
        quota_bytes: int | None = None,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        """Open a node's directory; it is made if it is missing, unless `read_only`.

        `quota_bytes`: see `Usage.used`; None is no quota. `reserve_bytes`: set aside for collecting on a full disk,
        but no more than a part of the quota. Raises `StoreError` when there is no node to read, another process
        writes to it, or it is damaged.
        """
        self.directory = Path(directory)
        self.read_only = read_only
        self.quota_bytes = quota_bytes
        self._holds: Counter[bytes] = Counter()
        self._holding = threading.Lock()
        self._roots: frozenset[bytes] | None = None  # that are kept, with inputs, while nothing of it changes
        self._arrivals: list[int] = []  # the newest pack when each began
        self._collections: list[Collection] = []  # the last that removed anything, and the one under way
        self._others = 0
        self._copied = FileLock(self.directory / COPY_FILE)
        self._lock: FileLock | None = None
        if not read_only:
            make_directory(self.directory, "node's")
            self._lock = writer_lock(self.directory)
        try:
            self._state = StateDatabase(self.directory, read_only=read_only)
            try:
                self.pages = SqliteStore(self.directory, read_only=read_only)
            except BaseException:
                self._state.close()
                raise
        except BaseException:
            if self._lock is not None:
                self._lock.release()
            raise
        self.pages.admit = self._admit
        most = reserve_bytes if quota_bytes is None else quota_bytes // _RESERVE_SHARE
        self._reserve = Reserve(self.directory, min(reserve_bytes, most))
        if not read_only:
            self._reserve.take()
        self.operations = Operations(self._state)

    def close(self) -> None:
        """Close the databases, and let the next process write."""
        with ExitStack() as stack:
            if self._lock is not None:
                stack.callback(self._lock.release)
            stack.callback(self._state.close)
            stack.callback(self.pages.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @cached_property
    def views(self) -> Views:
        """The Oxigraph views of roots."""
        return Views(self.directory / VIEWS, self.pages, admit=self._admit)

    # Roots that are kept

    def keep(
        self, name: str, root: bytes, *, position: int, at: int, inputs: Mapping[str, bytes] | None = None
    ) -> None:
        """Keep a root under a name, from a position of the log on (`node.storage.state`); durable when this returns.

        What the name had at that position is kept no longer. `at`: Unix seconds. `inputs`: the datasets that it was
        made of, which stay while this is the newest of its name. Raises `StoreError` when a page is missing: it was
        collected meanwhile, so put them again. Not inside `pages.writing`: pages are durable first.
        """
        if self.pages.in_writing:
            raise RuntimeError("a root is kept after its pages are durable, not inside `writing`")
        self._require_dataset(root)
        with self._changing():
            self._state.put_kept(Kept(name, root, position, at, inputs=inputs or {}))

    def _require_dataset(self, root: bytes) -> None:
        try:
            StoredPages(self.pages, 1).root(root)
            for collection in self._collections[::-1]:
                if collection.phase is not Phase.MARKING:  # before that it removes nothing, and asks what counts
                    collection.marker.require(root)
                    break
        except DkgError as error:
            raise StoreError(f"the dataset {cid_text(root)} cannot be kept: {error}") from error

    def kept(self, name: str | None = None) -> list[Kept]:
        """What is kept under a name, the newest first; None: under all names."""
        return self._state.kept(name)

    def root_at(self, name: str, *, position: int) -> bytes | None:
        """The root that counted under a name when the log had `position` entries; None if none is kept of then."""
        found = self._state.kept_at(name, position)
        return found.root if found else None

    def pin(self, name: str, position: int, *, pinned: bool = True) -> None:
        """Keep a root whatever the retention says, or no longer. Raises `StoreError` when it is not kept."""
        found = self._state.kept_at(name, position)
        if found is None or found.position != position:
            raise StoreError(f"nothing is kept under {name} at position {position}")
        with self._changing():
            self._state.put_kept(Kept(name, found.root, position, found.at, pinned, found.inputs))

    def forget(self, name: str) -> list[Kept]:
        """Keep nothing under a name any more; gives what was kept."""
        with self._changing():
            gone = self._state.kept(name)
            for kept in gone:
                self._state.drop_kept(kept)
        return gone

    def roll_back(self, position: int) -> list[Kept]:
        """The log has only `position` entries now: keep nothing that counted only later; gives what that was."""
        with self._changing():
            return self._state.drop_after(position)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One transaction of the state, in which what is kept may change."""
        try:
            with self._state.changing():
                yield
        finally:
            self._roots = None

    # Publishers and their datasets

    def follow(self, publisher: bytes, *, at: int) -> None:
        """Remember that a publisher is followed. `at`: Unix seconds."""
        with self._state.changing():
            self._state.put_followed(publisher, at)

    def unfollow(self, publisher: bytes) -> None:
        """Follow a publisher no longer. What is kept of it stays until it is forgotten."""
        with self._state.changing():
            self._state.drop_followed(publisher)

    def followed(self) -> list[bytes]:
        """The publishers that are followed, in the order of their addresses."""
        return self._state.followed()

    def refuse(self, refused: Refused) -> None:
        """Remember that a dataset is malformed."""
        with self._state.changing():
            self._state.put_refused(refused)

    def refused(self) -> list[Refused]:
        """The datasets that were refused, the oldest first."""
        return list(self._state.refused())

    # What must not be removed

    @contextmanager
    def holding(self, root: bytes) -> Iterator[None]:
        """No page of a root is removed while the block runs. Raises `StoreError` when the root does not count now.

        It may be left in another thread.
        """
        if not self._holds[root] and not self._state.is_kept(root) and root not in self.counting():
            raise StoreError(f"the dataset {cid_text(root)} is not kept here, or not any more")
        with self._holding:
            self._holds[root] += 1
        try:
            yield
        finally:
            with self._holding:
                self._holds[root] -= 1
                if not self._holds[root]:
                    del self._holds[root]

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """No page that comes while the block runs is removed before it ends."""
        floor = self.pages.last_pack()
        self._arrivals.append(floor)
        try:
            yield
        finally:
            self._arrivals.remove(floor)

    def counting(self) -> frozenset[bytes]:
        """The roots of which all pages stay."""
        if self._roots is None or self.read_only:  # to be read: another process changes what is kept
            kept = self.kept()
            newest = {one.name: one for one in reversed(kept)}  # by name the newest comes first, so here it stays
            inputs = {root for one in newest.values() for root in one.inputs.values()}
            self._roots = frozenset({one.root for one in kept} | inputs)
        return self._roots | self._holds.keys()

    # Collecting

    def collection(self, retention: Retention, *, now: int) -> Collection:
        """Drop the roots that are not to be kept any more, and begin to remove what only they reached.

        `now`: Unix seconds. Call `step` until it says `Phase.DONE`; between steps this store may be used. One that
        is not done is given up when another begins.
        """
        self.pages.database.require_writable()
        self._reserve.give_up()
        with self._changing():
            for gone in dropped(self.kept(), retention, now):
                self._state.drop_kept(gone)
        try:
            made = Collection(
                self.pages,
                self.counting,
                newest_pack=self._oldest_arrival,
                alone=self._alone,
                done=self._reserve.take,
            )
        except BaseException:
            self._reserve.take()
            raise
        swept = [one for one in self._collections if one.phase is not Phase.MARKING]
        self._collections = [*swept[-1:], made]
        return made

    def collect(
        self, retention: Retention, *, now: int, progress: Callable[[Phase, Collected], None] | None = None
    ) -> Collected:
        """A whole collection at once. Raises `StoreError` while the store is being copied."""
        made = self.collection(retention, now=now)
        try:
            return made.run(progress)
        finally:
            self._reserve.take()

    def _oldest_arrival(self) -> int:
        return min(self._arrivals, default=self.pages.last_pack())

    def _alone(self) -> AbstractContextManager[bool]:
        return self._copied.held()

    # Checking

    def integrity_problems(self) -> list[str]:
        """What SQLite finds wrong with `state.db`. Its rows were checked when this was opened."""
        return self._state.database.integrity_problems()

    def damaged(self) -> Iterator[bytes]:
        """The pages, of those that stay, that cannot be read: `pages.replace_many` puts them again.

        Below a page that cannot be read others may be damaged: ask again when it is there.
        """
        return unreadable(self.pages, self.counting())

    # Space

    def usage(self) -> Usage:
        """What the directory takes of the disk."""
        databases = self.pages.database, self._state.database
        pages, state = (database.bytes_used() for database in databases)
        return Usage(
            pages,
            state,
            sum(database.log_bytes() for database in databases),
            self._other_bytes(),
            sum(database.bytes_free() for database in databases),
            disk_free(self.directory),
            self.quota_bytes,
        )

    def _other_bytes(self) -> int:
        files = (self.pages.database.file, self._state.database.file)
        known = [Path(f"{file}{ending}") for file in files for ending in ("", "-wal", "-shm")]
        return bytes_below(self.directory, frozenset([*known, self.directory / PRIVATE]))

    def _admit(self, size: int) -> None:
        """Whether so many more bytes may be written. Raises `QuotaError`."""
        quota = self.quota_bytes
        if quota is None:
            return
        pages, state = self.pages.database, self._state.database
        if not self.pages.in_writing:
            self._others = self._other_bytes() + state.bytes_used() + state.log_bytes()
            if (pages.log_bytes() or state.log_bytes()) and self._kept_bytes() + _LOG_BYTES > quota:
                pages.fold()
                state.fold()
                self._others = self._other_bytes() + state.bytes_used()
        used = self._kept_bytes() + size
        if used > quota or (used == quota and not size):
            raise QuotaError(
                f"the node in {self.directory} uses {used - size:,} bytes of its quota of {quota:,}, and {size:,} more "
                "do not fit. Nothing was changed. Raise the quota, or keep fewer old roots and collect garbage"
            )

    def _kept_bytes(self) -> int:
        pages = self.pages.database
        return pages.bytes_used() + pages.log_bytes() + self._others
