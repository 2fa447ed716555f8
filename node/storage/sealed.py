"""Tables whose rows are checked when they are read.

SQLite finds damage to its own structure and none to the values in it. So each row carries a seal, a hash of its
values, and the database the sum of the seals of each table: a bit that flipped at rest, and a row that is lost or
came twice, is an error before anything is done with it. Seals are no defence against somebody who can write the file.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import libipld

from dkg.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dkg.client.database import Database

SUMS: Final = "CREATE TABLE sums (name TEXT PRIMARY KEY, sum BLOB NOT NULL)"
"""The statement for the table of sums, which a database of sealed tables has."""

ADVICE: Final = (
    "Restore a backup; or move the file away, and what it said is learned again from the chain and from peers"
)

NUMBER_MAX: Final = 2**63 - 1
"""Largest number that is kept: SQLite's. A chain's clock may say more, where its endpoint lies."""

_SEAL_BYTES: Final = 16
_NOTHING: Final = bytes(_SEAL_BYTES)

Row = tuple[Any, ...]
"""Values of a row: integers, text and bytes."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A table: its name, the names of its columns without the seal, and how many of the first ones are its key."""

    name: str
    columns: tuple[str, ...]
    key: int

    @property
    def schema(self) -> str:
        """The statement that makes it."""
        key = ", ".join(self.columns[: self.key])
        return f"CREATE TABLE {self.name} ({', '.join(self.columns)}, seal BLOB NOT NULL, PRIMARY KEY ({key}))"


class SealedTables:
    """Reading and changing sealed tables of one database. `advice`: what to do when a table is damaged."""

    def __init__(self, database: Database, tables: Iterable[Sealed], advice: str = ADVICE) -> None:
        """Raises `StoreError` when a table is damaged."""
        self._advice = advice
        self._database = database
        self._db = database.connection
        self._tables = tuple(tables)
        self.check()

    def check(self) -> None:
        """Read all rows. Raises `StoreError` when one is damaged, or missing, or too many."""
        with self._database.guard("read"):
            self._db.execute("BEGIN")  # one moment, beside a writer
            try:
                for table in self._tables:
                    found = _NOTHING
                    for row in self._rows(table, "", ()):
                        found = _with(found, _seal(row))
                    if found != self._sum(table):
                        raise self._damaged(table)
            finally:
                self._db.execute("COMMIT")

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One transaction: all changes inside, or none of them. On the disk when it ends. Raises `StoreError`."""
        self._database.require_writable()
        with self._database.guard("write to"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk ends it on its own
                    self._db.execute("ROLLBACK")
                raise

    def rows(self, table: Sealed, where: str = "", values: Row = (), order: str = "") -> list[Row]:
        """Rows of a table, each checked. `where`, `order`: SQL with question marks for `values`, never from outside."""
        with self._database.guard("read"):
            return list(self._rows(table, where, values, order))

    def count(self, table: Sealed) -> int:
        """How many rows there are."""
        with self._database.guard("read"):
            return int(self._db.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0])  # noqa: S608 - a name of ours

    def put(self, table: Sealed, row: Row) -> None:
        """Put a row in the place of the one with its key, inside `changing`. Raises `InputError` for huge numbers."""
        for name, value in zip(table.columns, row, strict=True):
            if type(value) is int and not 0 <= value <= NUMBER_MAX:
                raise InputError(f"{name} of {table.name} is between 0 and 2^63 - 1, not {value}")
        self.remove(table, " AND ".join(f"{name}=?" for name in table.columns[: table.key]), row[: table.key])
        seal = _seal(row)
        marks = ",".join("?" * (len(row) + 1))
        self._db.execute(f"INSERT INTO {table.name} VALUES ({marks})", (*row, seal))  # noqa: S608 - a name of ours
        self._add(table, seal)

    def remove(self, table: Sealed, where: str, values: Row) -> list[Row]:
        """Take rows out, inside `changing`; gives them."""
        gone = list(self._rows(table, where, values))
        self._db.execute(f"DELETE FROM {table.name} WHERE {where}", values)  # noqa: S608 - names and marks of ours
        for row in gone:
            self._add(table, _seal(row))
        return gone

    def _rows(self, table: Sealed, where: str, values: Row, order: str = "") -> Iterator[Row]:
        text = f"SELECT {', '.join(table.columns)}, seal FROM {table.name}"  # noqa: S608 - names of ours
        text += f" WHERE {where}" if where else ""
        text += f" ORDER BY {order}" if order else ""
        for *row, seal in self._db.execute(text, values):
            if not {*map(type, row)} <= {int, str, bytes} or _seal(row) != seal:
                raise self._damaged(table)
            yield tuple(row)

    def _sum(self, table: Sealed) -> object:
        row = self._db.execute("SELECT sum FROM sums WHERE name=?", (table.name,)).fetchone()
        return row[0] if row else _NOTHING

    def _add(self, table: Sealed, seal: bytes) -> None:
        was = self._sum(table)
        if type(was) is not bytes or len(was) != _SEAL_BYTES:
            raise self._damaged(table)
        self._db.execute("INSERT OR REPLACE INTO sums VALUES (?, ?)", (table.name, _with(was, seal)))

    def _damaged(self, table: Sealed) -> StoreError:
        file = self._database.file
        return StoreError(f"{file} is damaged: its {table.name} are not as they were written. {self._advice}")


def _seal(row: Iterable[object]) -> bytes:
    return sha256(libipld.encode_dag_cbor(list(row))).digest()[:_SEAL_BYTES]


def _with(total: bytes, seal: bytes) -> bytes:
    """A sum with a seal put in, or taken out."""
    return bytes(a ^ b for a, b in zip(total, seal, strict=True))
