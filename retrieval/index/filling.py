"""Filling an index: the tables from snapshots, and what differs between snapshots."""

from __future__ import annotations

import json
import sqlite3
import zlib
from array import array
from typing import TYPE_CHECKING, Final

import numpy as np

from dkg.dataset import quads
from dkg.page import cid_text
from retrieval.index import schema
from retrieval.index.edges import summed
from retrieval.index.names import names_of
from retrieval.sources import changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dkg.terms import Quad
    from retrieval.embed import Embedder
    from retrieval.index.edges import Edges, Ints
    from retrieval.index.names import Name
    from retrieval.model import Snapshot

TEXT_WORDS_MIN: Final = 4
"""Words of a text that is found by what it means; a shorter one is found by its words."""

TEXTS_MAX: Final = 20_000
"""Texts that are found by what they mean: half a minute of an int8 embedder. The others are found by their words."""

_TEXTS_AT_ONCE: Final = 1_000


def connect(file: str) -> sqlite3.Connection:
    """A database that several threads take turns at; transactions are begun by hand."""
    return sqlite3.connect(file, isolation_level=None, check_same_thread=False)


def marker_of(snapshots: Sequence[Snapshot], embedder: Embedder | None) -> str:
    """What an index is of: the version of its rules, the embedder, and each snapshot's publisher, root and graphs."""
    of = sorted((one.publisher, cid_text(one.root), (one.only or b"").decode()) for one in snapshots)
    return json.dumps([schema.VERSION, embedder.name if embedder else None, of])


def fill(db: sqlite3.Connection, snapshots: Sequence[Snapshot], embedder: Embedder | None) -> None:
    """Make the tables of an index and fill them, in one transaction."""
    nodes: dict[bytes, int] = {}
    relations: dict[bytes, int] = {}
    rows = array("i")
    for snapshot in snapshots:
        for s, p, o, _ in _quads(snapshot):
            rows.extend(
                (
                    nodes.setdefault(s, len(nodes)),
                    relations.setdefault(p, len(relations)),
                    nodes.setdefault(o, len(nodes)),
                    1,
                )
            )
    table = summed(np.frombuffer(rows, dtype=np.int32).reshape(-1, 4) if rows else np.zeros((0, 4), np.int32))
    db.execute("BEGIN IMMEDIATE")
    for statement in schema.TABLES:
        db.execute(statement)
    db.execute("INSERT INTO meta VALUES ('of', ?)", (marker_of(snapshots, embedder),))
    db.executemany("INSERT INTO terms (term, id) VALUES (?, ?)", sorted(nodes.items()))
    db.executemany("INSERT INTO relations (term, id) VALUES (?, ?)", relations.items())
    put_edges(db, table)
    by_number = list(nodes)
    everything = np.arange(len(nodes), dtype=np.int32)
    kinds = {number: term for term, number in relations.items()}
    put_names(db, names_of(table, kinds, lambda some: {n: by_number[n] for n in some}, everything))
    put_texts(db, embedder)
    db.execute("COMMIT")


def _quads(snapshot: Snapshot) -> Iterator[Quad]:
    """The quads of a snapshot's dataset that count."""
    for batch in quads(snapshot.pages, snapshot.root):
        yield from (quad for quad in batch if snapshot.counts(quad[3]))


def differences(old: Sequence[Snapshot], new: Sequence[Snapshot]) -> Iterator[tuple[list[Quad], list[Quad]]]:
    """Batches of the quads that went and that came, from some snapshots to others."""
    before, after = ({one.publisher: one for one in some} for some in (old, new))
    for publisher in sorted(before.keys() | after.keys()):
        yield from changes(before.get(publisher), after.get(publisher))


def put_edges(db: sqlite3.Connection, table: Ints) -> None:
    """Keep a table of edges in the place of the one that is there."""
    data = np.ascontiguousarray(table, dtype="<i4").tobytes()
    db.execute("INSERT OR REPLACE INTO arrays VALUES ('edges', ?, ?)", (zlib.crc32(data), data))


def put_names(db: sqlite3.Connection, names: Iterable[Name]) -> None:
    """Add names, to the table and to the full-text index."""
    (first,) = db.execute("SELECT coalesce(max(id) + 1, 0) FROM names").fetchone()
    rows = ((number, name.node, name.kind, name.norm, name.squeezed) for number, name in enumerate(names, first))
    db.executemany("INSERT INTO names VALUES (?, ?, ?, ?, ?)", rows)
    db.execute("INSERT INTO names_fts (rowid, norm) SELECT id, norm FROM names WHERE id >= ?", (first,))


def put_texts(db: sqlite3.Connection, embedder: Embedder | None) -> None:
    """Give texts that have no vector yet theirs, as far as there is room for more."""
    if embedder is None:
        return
    (held,) = db.execute("SELECT count(*) FROM texts").fetchone()
    rows = db.execute(
        "SELECT node, norm FROM names WHERE kind = ? AND norm LIKE ? AND node NOT IN (SELECT node FROM texts) "
        "ORDER BY norm LIMIT ?",
        (schema.TEXT, "% " * (TEXT_WORDS_MIN - 1) + "%", max(0, TEXTS_MAX - held)),
    ).fetchall()
    for at in range(0, len(rows), _TEXTS_AT_ONCE):
        some = rows[at : at + _TEXTS_AT_ONCE]
        found = np.ascontiguousarray(embedder.embed([norm for _, norm in some]), dtype="<f2")
        db.executemany(
            "INSERT INTO texts VALUES (?, ?)",
            ((node, row.tobytes()) for (node, _), row in zip(some, found, strict=True)),
        )


def beside(edges: Edges, nodes: Ints) -> Ints:
    """The edges of some nodes: as a subject, and as an object."""
    table = edges.table
    return table[np.isin(table[:, 0], nodes) | np.isin(table[:, 2], nodes)]
