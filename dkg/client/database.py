"""A SQLite database in a directory: finding it, making it, and saying what went wrong with it.

WAL mode with `synchronous=FULL`: a transaction is on the disk when its commit returns, and after a crash or a power
cut at any point the database is as of a transaction that was committed. A write or a sync that the disk refuses is
not tried again: what the system keeps of it is not known then, so the database takes no more writes until it is
opened anew (`broken`).
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from dkg.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_NAME: Final = "pages.db"
STORE_VERSION: Final = 1

_WAIT_SECONDS: Final = 1.0
_CACHE_KIB: Final = 32 * 1024
_WAL_BYTES_KEPT: Final = 16 * 1024 * 1024
_WAL_PAGES: Final = 256  # after so many the log is folded in: a full disk must have room for them once more
_INCREMENTAL: Final = 2  # of PRAGMA auto_vacuum
_BREAKS: Final = ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC", "SQLITE_IOERR_TRUNCATE")


class FullError(StoreError):
    """There is no room for what was to be written; nothing was changed. It can be tried again when there is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a database is for. `schema`: statements without comments, separated by semicolons."""

    file: str
    what: str
    """As errors call it, after "the"."""
    missing: str
    """What an error adds when there is none."""
    application: int
    version: int
    page_bytes: int
    schema: str


PAGES: Final = Kind(
    file=FILE_NAME,
    what="store",
    missing="`dkg load FILE... --store DIR` makes one",
    application=0x646B6731,
    version=STORE_VERSION,
    page_bytes=32768,  # a pack is about 2 kB: smaller pages of the database would be a fifth empty
    schema="""
CREATE TABLE packs (id INTEGER PRIMARY KEY, dictionary INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE pages (id INTEGER PRIMARY KEY, at INTEGER NOT NULL);
CREATE TABLE clashes (cid BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE dictionaries (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE heads (seq INTEGER PRIMARY KEY AUTOINCREMENT, root BLOB NOT NULL)
""",
)
"""The database of a page store (`dkg.client.store`)."""


class Database:
    """An open database. Every failure of it is a `StoreError` when it happens inside `guard`."""

    def __init__(self, directory: Path, *, read_only: bool, kind: Kind = PAGES) -> None:
        """Open the database in `directory`; it is created if it is missing, unless `read_only`.

        Raises `StoreError` when there is none to read, or none that this release can use.
        """
        self.directory = directory
        self.read_only = read_only
        self.kind = kind
        self.file = directory / kind.file
        self.broken = ""
        """Why no more is written; empty while all is well."""
        try:
            self.connection = self._open()
        except OSError as error:  # a name that is too long, a directory that may not be looked into
            raise StoreError(f"cannot open the {kind.what} in {directory}: {error.strerror or error}") from error
        try:
            with self.guard("open"):
                self._prepare()
        except BaseException:
            self.connection.close()
            raise

    def _open(self) -> sqlite3.Connection:
        if self.directory.exists() and not self.directory.is_dir():
            raise StoreError(f"{self.directory} is a file; a {self.kind.what} is a directory, so name another")
        if self.read_only:
            if not self.file.is_file():
                raise StoreError(f"there is no {self.kind.what} in {self.directory}; {self.kind.missing}")
            return self._connect("mode=ro")
        make_directory(self.directory, self.kind.what)
        return self._connect("mode=rwc")

    def _connect(self, mode: str) -> sqlite3.Connection:
        with self.guard("open"):
            return sqlite3.connect(
                f"file:{quote(str(self.file.absolute()))}?{mode}",
                uri=True,
                timeout=_WAIT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )

    def _prepare(self) -> None:
        try:
            application, version = self.pragma("application_id"), self.pragma("user_version")
        except sqlite3.OperationalError:
            # WAL needs a shared-memory file, which a directory that cannot be written to cannot have. Without a
            # WAL file nobody writes, and the database can be read as it is.
            if not self.read_only or self._wal.exists():
                raise
            self.connection.close()
            self.connection = self._connect("immutable=1")
            application, version = self.pragma("application_id"), self.pragma("user_version")
        if application == version == 0 and not self.read_only and not self.pragma("schema_version"):
            self._create()
        elif application != self.kind.application:
            raise StoreError(f"{self.file} is not a {self.kind.what} of dkg; nothing was changed in it")
        elif version != self.kind.version:
            raise StoreError(
                f"the {self.kind.what} in {self.directory} has format version {version}, and this release of dkg reads "
                f"{self.kind.version}; nothing was changed. Use the release that wrote it, or load the data anew"
            )
        else:
            self._check_schema()
        self.connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        if not self.read_only:
            self.connection.execute("PRAGMA journal_mode=WAL")  # a copy that a backup made is in another mode
            self.connection.execute("PRAGMA synchronous=FULL")
            self.connection.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
            self.connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES_KEPT}")

    def _check_schema(self) -> None:
        """Refuse what only looks like one of ours: a view in the place of a table can take hours to read."""
        found = self.connection.execute("SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite#_%' ESCAPE '#'")
        if {sql for (sql,) in found} != {statement.strip() for statement in self.kind.schema.split(";")}:
            raise StoreError(
                f"the {self.kind.what} in {self.directory} has other tables than dkg makes; nothing was changed in it"
            )

    @property
    def _wal(self) -> Path:
        return Path(f"{self.file}-wal")

    def pragma(self, name: str) -> int:
        """The value of a pragma that is a number."""
        value: int = self.connection.execute(f"PRAGMA {name}").fetchone()[0]
        return value

    def _create(self) -> None:
        self.connection.execute(f"PRAGMA page_size={self.kind.page_bytes}")
        self.connection.execute(f"PRAGMA auto_vacuum={_INCREMENTAL}")  # so that `shrink` can give space back
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("BEGIN IMMEDIATE")
        if not self.pragma("schema_version"):  # else another process was faster
            for statement in self.kind.schema.split(";"):
                self.connection.execute(statement)
            self.connection.execute(f"PRAGMA application_id={self.kind.application}")
            self.connection.execute(f"PRAGMA user_version={self.kind.version}")
        self.connection.execute("COMMIT")

    def close(self) -> None:
        """Close the database; what was not committed is gone."""
        with self.guard("close"):
            self.connection.close()

    def integrity_problems(self) -> list[str]:
        """What SQLite finds wrong with the database."""
        try:
            lines = [str(row[0]) for row in self.connection.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if lines == ["ok"] else lines

    # Space

    def bytes_in_all(self) -> int:
        """Bytes of the database, free ones included: what its file has once the write-ahead log is in it."""
        with self.guard("read"):
            return self.pragma("page_count") * self.pragma("page_size")

    def bytes_used(self) -> int:
        """Bytes of the database that hold something, those of a running transaction included."""
        with self.guard("read"):
            return (self.pragma("page_count") - self.pragma("freelist_count")) * self.pragma("page_size")

    def bytes_free(self) -> int:
        """Bytes inside the database file that hold nothing: what is written next goes there, before the file grows."""
        with self.guard("read"):
            return self.pragma("freelist_count") * self.pragma("page_size")

    def log_bytes(self) -> int:
        """Bytes of the write-ahead log beside the database."""
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0

    def shrink(self, pages: int) -> bool:
        """Give free pages back to the disk, so many at most, in one transaction. False: there are no more to give.

        A database that was made before this could be done keeps its free pages, for what is written next.
        """
        self.require_writable()
        with self.guard("write to"):
            free = self.pragma("freelist_count")
            if not free or self.pragma("auto_vacuum") != _INCREMENTAL:
                return False
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                for _ in range(min(free, pages)):  # `execute` lets the pragma do one, whatever it says
                    self.connection.execute("PRAGMA incremental_vacuum(1)")
                left = self.pragma("freelist_count")
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
            return left > 0

    def fold(self) -> None:
        """Bring the write-ahead log into the database and empty it, as far as readers let it go.

        Raises `FullError` when the database cannot grow by what is in the log.
        """
        with self.guard("write to"):
            self.connection.execute("PRAGMA busy_timeout=0")  # nobody waits for a reader here
            try:
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                self.connection.execute(f"PRAGMA busy_timeout={_WAIT_SECONDS * 1000:.0f}")

    # What went wrong

    def require_writable(self) -> None:
        """Raises `StoreError` after a write that the disk refused, and when the database was opened to be read."""
        if self.read_only:
            raise StoreError(f"the {self.kind.what} in {self.directory} was opened to be read only")
        if self.broken:
            raise StoreError(
                f"the {self.kind.what} in {self.directory} takes no more writes, because one failed ({self.broken}). "
                "Look after the disk, open it anew, and check it with `dkg fsck`"
            )

    @contextmanager
    def guard(self, doing: str) -> Iterator[None]:
        """What SQLite raises inside is raised as a `StoreError` that says what was being done."""
        try:
            yield
        except sqlite3.Error as error:
            raise self.failure(doing, error) from error
        except UnicodeDecodeError as error:  # of a table's text, or of SQLite's own message that quotes it
            raise StoreError(
                f"cannot {doing} the {self.kind.what} in {self.directory}: {self.file.name} is damaged (text "
                "that is no UTF-8). Restore it, or load the data anew"
            ) from error

    def failure(self, doing: str, error: sqlite3.Error) -> StoreError:
        """The `StoreError` for an error of SQLite."""
        name = getattr(error, "sqlite_errorname", None) or ""
        where = f"cannot {doing} the {self.kind.what} in {self.directory}"
        if name == "SQLITE_FULL":
            return FullError(f"{where}: the disk is full. Nothing was changed; free space and try again")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreError(f"{where}: another process is writing to it. Try again when it is done")
        if name == "SQLITE_NOTADB":
            return StoreError(f"{where}: {self.file.name} is not a database")
        if name.startswith("SQLITE_CORRUPT"):
            return StoreError(f"{where}: {self.file.name} is damaged ({error}). Restore it, or load the data anew")
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
            return StoreError(f"{where}: {error}. Check that you may read and write there")
        if name in _BREAKS:
            self.broken = f"{error}, {name}"
        return StoreError(f"{where}: {error}. Nothing was changed")


def make_directory(directory: Path, what: str) -> None:
    """Make a directory that survives a power cut, with those above it. Raises `StoreError`."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path in missing:
            sync_directory(path.parent)
    except OSError as error:
        raise StoreError(f"cannot create the {what} directory {directory}: {error.strerror}") from error


def put_file(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Give a file this content: on the disk when this returns, and the old one stays if that fails. Raises `OSError`.

    `mode`: of the file, if it is a new one. After a crash there may be one beside it whose name ends with `.new`.
    """
    beside = path.with_name(path.name + ".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make new names in a directory durable. Raises `OSError`."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
