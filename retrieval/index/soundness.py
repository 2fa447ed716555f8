"""Whether the database of an index holds together: asked when it is opened, so that a damaged one is built anew.

SQLite finds damaged pages, and not rows that do not belong together. Looking things up relies on these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import sqlite3

    from numpy.typing import NDArray

NODES_MAX: Final = 2**27
"""Highest number of a node that is believed: arrays are as long as that."""

_ODD: Final = (
    "SELECT 1 FROM terms WHERE typeof(term) <> 'blob' OR id < 0 LIMIT 1",
    "SELECT 1 FROM relations WHERE typeof(term) <> 'blob' OR id < 0 LIMIT 1",
    """SELECT 1 FROM names WHERE typeof(node) <> 'integer' OR typeof(kind) <> 'integer' OR kind NOT BETWEEN 0 AND 3
    OR typeof(norm) <> 'text' OR typeof(squeezed) <> 'text' OR node NOT IN (SELECT id FROM terms) LIMIT 1""",
    "SELECT 1 FROM texts WHERE typeof(row) <> 'blob' OR node NOT IN (SELECT id FROM terms) LIMIT 1",
    "SELECT 1 FROM vectors WHERE typeof(row) <> 'blob' LIMIT 1",
    "SELECT 1 WHERE (SELECT count(*) FROM names) <> (SELECT count(*) FROM names_fts_docsize)",
)
"""Each finds a row where something is wrong."""


def is_sound(db: sqlite3.Connection) -> bool:
    """Whether rows have the types that they should, and name only what is there. Raises `sqlite3.Error`, `ValueError`.

    It does not say that they are right: an index only proposes.
    """
    if any(db.execute(query).fetchone() is not None for query in _ODD):
        return False
    (top,) = db.execute("SELECT coalesce(max(id), 0) FROM terms").fetchone()
    (data,) = db.execute("SELECT data FROM arrays WHERE name = 'edges'").fetchone()
    edges = np.frombuffer(data, dtype="<i4").reshape(-1, 4)
    return (
        top < NODES_MAX
        and np.array_equal(_ids(db, "terms"), np.unique(edges[:, [0, 2]]))
        and np.array_equal(_ids(db, "relations"), np.unique(edges[:, 1]))
    )


def _ids(db: sqlite3.Connection, table: str) -> NDArray[np.int64]:
    rows = db.execute(f"SELECT id FROM {table} ORDER BY id")  # noqa: S608 - one of two names
    return np.fromiter((number for (number,) in rows), dtype=np.int64)
