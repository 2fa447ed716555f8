"""What a node knows beside pages: `state.db`. Roots that are kept, publishers that are followed, datasets refused.

| table        | key            | what a row is                                                                        |
|--------------|----------------|--------------------------------------------------------------------------------------|
| `kept`       | name, position | a root that counts, since when, whether it is pinned, and the datasets it is made of |
| `followed`   | publisher      | a publisher that this node replicates, and since when                                |
| `refused`    | root           | a dataset that is malformed: whose it is, and what is wrong with it                  |
| `operations` | id             | something that was asked for and takes a while (`node.storage.operations`)           |

Times are Unix seconds. A *position* is a number of entries of the registry's log: a root counts from the log's first
`position` entries on. So the commit at index i of the log counts from position i + 1, and a union at position p is a
function of the first p entries.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import libipld

from dkg.client.database import Database, Kind
from node.storage.sealed import SUMS, Sealed, SealedTables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from node.storage.sealed import Row

STATE_VERSION: Final = 1

KEPT: Final = Sealed("kept", ("name", "position", "root", "at", "pinned", "inputs"), key=2)
FOLLOWED: Final = Sealed("followed", ("publisher", "at"), key=1)
REFUSED: Final = Sealed("refused", ("root", "publisher", "reason", "at"), key=1)
OPERATIONS: Final = Sealed("operations", ("id", "kind", "state", "created", "updated", "body"), key=1)
_TABLES: Final = (KEPT, FOLLOWED, REFUSED, OPERATIONS)

STATE: Final = Kind(
    file="state.db",
    what="node's state",
    missing="`dkg init` makes a node",
    application=0x646B6732,
    version=STATE_VERSION,
    page_bytes=4096,
    schema=";\n".join([*(table.schema for table in _TABLES), SUMS]),
)

_NONE: Final[Mapping[str, bytes]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Kept:
    """A root that is kept under a name such as `union` or `publisher:0x...`."""

    name: str
    root: bytes
    position: int
    at: int
    pinned: bool = False
    inputs: Mapping[str, bytes] = field(default_factory=lambda: _NONE)
    """The datasets that it was made of, by name, where it was made of others."""

    def row(self) -> Row:
        """As the table holds it."""
        inputs = libipld.encode_dag_cbor(dict(self.inputs))
        return self.name, self.position, self.root, self.at, int(self.pinned), inputs

    @classmethod
    def of(cls, row: Row) -> Kept:
        """From the table; the row was checked."""
        name, position, root, at, pinned, inputs = row
        return cls(name, root, position, at, bool(pinned), MappingProxyType(libipld.decode_dag_cbor(inputs)))


@dataclass(frozen=True, slots=True)
class Refused:
    """A dataset that is malformed, so that nothing of it counts."""

    root: bytes
    publisher: bytes
    reason: str
    at: int


class StateDatabase:
    """The open database. Every failure is a `StoreError`."""

    def __init__(self, directory: Path, *, read_only: bool) -> None:
        self.database = Database(directory, read_only=read_only, kind=STATE)
        try:
            self.tables = SealedTables(self.database, _TABLES)
        except BaseException:
            self.database.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def changing(self) -> AbstractContextManager[None]:
        """One transaction."""
        return self.tables.changing()

    # Roots that are kept

    def put_kept(self, kept: Kept) -> None:
        """Keep a root, in the place of what the name had at that position. Inside `changing`."""
        self.tables.put(KEPT, kept.row())

    def kept(self, name: str | None = None) -> list[Kept]:
        """What is kept under a name, or in all; by name, the newest first."""
        where, values = ("", ()) if name is None else ("name=?", (name,))
        return [Kept.of(row) for row in self.tables.rows(KEPT, where, values, "name, position DESC")]

    def kept_at(self, name: str, position: int) -> Kept | None:
        """The newest that counts at a position."""
        rows = self.tables.rows(KEPT, "name=? AND position<=?", (name, position), "position DESC LIMIT 1")
        return Kept.of(rows[0]) if rows else None

    def is_kept(self, root: bytes) -> bool:
        """Whether a root is kept under some name."""
        return bool(self.tables.rows(KEPT, "root=?", (root,), "position LIMIT 1"))

    def drop_kept(self, gone: Kept) -> None:
        """Keep a root no longer. Inside `changing`."""
        self.tables.remove(KEPT, "name=? AND position=?", (gone.name, gone.position))

    def drop_after(self, position: int) -> list[Kept]:
        """Keep nothing that counts only after a position; gives what that was. Inside `changing`."""
        return [Kept.of(row) for row in self.tables.remove(KEPT, "position>?", (position,))]

    # Publishers and their datasets

    def put_followed(self, publisher: bytes, at: int) -> None:
        """Follow a publisher. Inside `changing`."""
        self.tables.put(FOLLOWED, (publisher, at))

    def drop_followed(self, publisher: bytes) -> None:
        """Follow a publisher no longer. Inside `changing`."""
        self.tables.remove(FOLLOWED, "publisher=?", (publisher,))

    def followed(self) -> list[bytes]:
        """The publishers that are followed, in the order of their addresses."""
        return [row[0] for row in self.tables.rows(FOLLOWED, order="publisher")]

    def put_refused(self, refused: Refused) -> None:
        """Remember what is wrong with a dataset. Inside `changing`."""
        self.tables.put(REFUSED, (refused.root, refused.publisher, refused.reason, refused.at))

    def drop_refused(self, root: bytes) -> None:
        """Forget that a dataset is malformed. Inside `changing`."""
        self.tables.remove(REFUSED, "root=?", (root,))

    def refused(self) -> Iterator[Refused]:
        """All that was refused, the oldest first."""
        return (Refused(*row) for row in self.tables.rows(REFUSED, order="at, root"))
