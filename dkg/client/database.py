"""The SQLite database of a page store: finding it, making it, and saying what went wrong with it."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from dkg.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_NAME: Final = "pages.db"
STORE_VERSION: Final = 1

_APPLICATION: Final = 0x646B6731
_WAIT_SECONDS: Final = 1.0
_DATABASE_PAGE_BYTES: Final = 32768  # a pack is about 2 kB: smaller pages of the database would be a fifth empty
_CACHE_KIB: Final = 32 * 1024
_WAL_BYTES_KEPT: Final = 16 * 1024 * 1024

_SCHEMA: Final = """
CREATE TABLE packs (id INTEGER PRIMARY KEY, dictionary INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE pages (id INTEGER PRIMARY KEY, at INTEGER NOT NULL);
CREATE TABLE clashes (cid BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE dictionaries (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE heads (seq INTEGER PRIMARY KEY AUTOINCREMENT, root BLOB NOT NULL)
"""


class Database:
    """An open database. Every failure of it is a `StoreError` when it happens inside `guard`."""

    def __init__(self, directory: Path, *, read_only: bool) -> None:
        """Open the database in `directory`; it is created if it is missing, unless `read_only`.

        Raises `StoreError` when there is none to read, or none that this release can use.
        """
        self.directory = directory
        self.read_only = read_only
        self._file = directory / FILE_NAME
        self.connection = self._open()
        try:
            with self.guard("open"):
                self._prepare()
        except BaseException:
            self.connection.close()
            raise

    def _open(self) -> sqlite3.Connection:
        if self.directory.exists() and not self.directory.is_dir():
            raise StoreError(f"{self.directory} is a file; a store is a directory, so name another")
        if self.read_only:
            if not self._file.is_file():
                raise StoreError(f"there is no store in {self.directory}; `dkg load FILE... --store DIR` makes one")
            return self._connect("mode=ro")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot create the store directory {self.directory}: {error.strerror}") from error
        return self._connect("mode=rwc")

    def _connect(self, mode: str) -> sqlite3.Connection:
        with self.guard("open"):
            return sqlite3.connect(
                f"file:{quote(str(self._file.absolute()))}?{mode}",
                uri=True,
                timeout=_WAIT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )

    def _prepare(self) -> None:
        try:
            application, version = self._pragma("application_id"), self._pragma("user_version")
        except sqlite3.OperationalError:
            # WAL needs a shared-memory file, which a directory that cannot be written to cannot have. Without a
            # WAL file nobody writes, and the database can be read as it is.
            if not self.read_only or Path(f"{self._file}-wal").exists():
                raise
            self.connection.close()
            self.connection = self._connect("immutable=1")
            application, version = self._pragma("application_id"), self._pragma("user_version")
        if application == version == 0 and not self.read_only and not self._pragma("schema_version"):
            self._create()
        elif application != _APPLICATION:
            raise StoreError(f"{self._file} is not a store of dkg; nothing was changed in it")
        elif version != STORE_VERSION:
            raise StoreError(
                f"the store in {self.directory} has format version {version}, and this release of dkg reads "
                f"{STORE_VERSION}; nothing was changed. Use the release that wrote it, or load the data anew"
            )
        self.connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        if not self.read_only:
            self.connection.execute("PRAGMA synchronous=FULL")
            self.connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES_KEPT}")

    def _pragma(self, name: str) -> int:
        value: int = self.connection.execute(f"PRAGMA {name}").fetchone()[0]
        return value

    def _create(self) -> None:
        self.connection.execute(f"PRAGMA page_size={_DATABASE_PAGE_BYTES}")
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("BEGIN IMMEDIATE")
        if not self._pragma("schema_version"):  # else another process was faster
            for statement in _SCHEMA.split(";"):
                self.connection.execute(statement)
            self.connection.execute(f"PRAGMA application_id={_APPLICATION}")
            self.connection.execute(f"PRAGMA user_version={STORE_VERSION}")
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

    @contextmanager
    def guard(self, doing: str) -> Iterator[None]:
        """What SQLite raises inside is raised as a `StoreError` that says what was being done."""
        try:
            yield
        except sqlite3.Error as error:
            raise self.failure(doing, error) from error

    def failure(self, doing: str, error: sqlite3.Error) -> StoreError:
        """The `StoreError` for an error of SQLite."""
        name = getattr(error, "sqlite_errorname", None) or ""
        where = f"cannot {doing} the store in {self.directory}"
        if name == "SQLITE_FULL":
            return StoreError(f"{where}: the disk is full. Nothing was changed; free space and try again")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreError(f"{where}: another process is writing to it. Try again when it is done")
        if name == "SQLITE_NOTADB":
            return StoreError(f"{where}: {FILE_NAME} is not a database")
        if name.startswith("SQLITE_CORRUPT"):
            return StoreError(f"{where}: {FILE_NAME} is damaged ({error}). Restore it, or load the data anew")
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
            return StoreError(f"{where}: {error}. Check that you may read and write there")
        return StoreError(f"{where}: {error}. Nothing was changed")
