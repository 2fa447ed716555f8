"""`KnowledgeIndex`: what retrieval looks things up in before it reads them. A cache, of which nothing is trusted.

It follows from the snapshots alone and can be thrown away at any time. It lives in one SQLite database, in memory or
in a directory: names with a full-text index, the edges as arrays, the relations' vectors. A database in a directory
is built beside its place and put there whole; a change is one transaction. One that is damaged, of another version,
or of other snapshots is built anew.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from dkg.errors import StoreError
from retrieval.index import schema
from retrieval.index.edges import Edges
from retrieval.index.filling import beside, connect, differences, fill, marker_of, put_edges, put_names, put_texts
from retrieval.index.names import Name, kind_of, names_of, naming_rank
from retrieval.index.relations import Relations
from retrieval.index.soundness import is_sound
from retrieval.index.vocabulary import Vocabulary
from retrieval.model import Statement
from retrieval.vectors import Vectors
from retrieval.words import TEXT_CHARS_MAX, literal_text, local_name, split_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from retrieval.embed import Embedder
    from retrieval.index.edges import Ints
    from retrieval.index.relations import Floats
    from retrieval.model import Snapshot

ASKED_AT_ONCE: Final = 500
"""Values in one SQL statement; SQLite takes 32,766, and a statement of 500 is as fast for each."""

SAME_NAME_MAX: Final = 64
"""Things of one name that are looked at: those after it are not found by it."""

WORD_NAMES_MAX: Final = 3_000
"""Names that a word may have to be looked for by it: a word of more finds nothing and costs much."""

ALIASES_OF_RELATION_MAX: Final = 16
"""Names of one relation that questions are matched with."""

WASTE: Final = 2
"""An index whose numbers have run to so many times its nodes, by adding and deleting, is built anew."""

_WASTE_FROM: Final = 10_000  # nodes; below it, nobody cares


LABELS_READ_MAX: Final = 64
"""Labels of one thing among which the best is looked for."""


class KnowledgeIndex:
    """Names, edges and relations of some snapshots. Made by `build` or `open`; follows them with `move`.

    Threads may share one: reads of the database take turns, and arrays are never changed in place.
    """

    def __init__(self, db: sqlite3.Connection, embedder: Embedder | None) -> None:
        self._db = db
        self._lock = threading.RLock()
        self._embedder = embedder
        self._load()

    # --- making one ------------------------------------------------------------------------------------------------

    @classmethod
    def build(
        cls, snapshots: Sequence[Snapshot], embedder: Embedder | None = None, directory: Path | None = None
    ) -> Self:
        """An index of snapshots, in memory or in a directory, where it takes the place of the one that is there.

        Raises what reading the pages raises, and `StoreError` where the directory cannot be written.
        """
        if directory is None:
            db = connect(":memory:")
            fill(db, snapshots, embedder)
            return cls(db, embedder)
        fresh = directory / f"{schema.FILE}.new"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            fresh.unlink(missing_ok=True)
            db = connect(str(fresh))
            try:
                db.execute("PRAGMA journal_mode=OFF")
                db.execute("PRAGMA synchronous=OFF")  # it is a cache: what a power cut leaves is found out by `open`
                fill(db, snapshots, embedder)
            finally:
                db.close()
            fresh.replace(directory / schema.FILE)
            return cls(connect(str(directory / schema.FILE)), embedder)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot write the index in {directory}: {error}") from error

    @classmethod
    def open(cls, directory: Path, snapshots: Sequence[Snapshot], embedder: Embedder | None = None) -> Self:
        """The index in a directory if it is whole, of this version and of these snapshots; otherwise a new one."""
        found = cls._opened(directory / schema.FILE, snapshots, embedder)
        return found or cls.build(snapshots, embedder, directory)

    @classmethod
    def _opened(cls, file: Path, snapshots: Sequence[Snapshot], embedder: Embedder | None) -> Self | None:
        if not file.is_file():
            return None
        db = None
        try:
            db = connect(str(file))
            (of,) = db.execute("SELECT value FROM meta WHERE key='of'").fetchone()
            whole = of == marker_of(snapshots, embedder) and db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
            if whole and is_sound(db):
                found = cls(db, embedder)
                if not found.is_wasteful:
                    return found
        except (sqlite3.Error, TypeError, ValueError, OverflowError):
            pass  # not an index, or a damaged one: the caller builds it anew
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()
        return None

    def _load(self) -> None:
        data, crc = self._db.execute("SELECT data, crc FROM arrays WHERE name='edges'").fetchone()
        if zlib.crc32(data) != crc:
            raise ValueError("the edges of the index are damaged")
        table = np.frombuffer(data, dtype="<i4").reshape(-1, 4)
        (nodes,) = self._db.execute("SELECT coalesce(max(id) + 1, 0) FROM terms").fetchone()
        self._adopt(Edges.of(table, nodes))

    def _adopt(self, edges: Edges) -> None:
        terms = self._relation_terms()
        used = np.unique(edges.table[:, 1]).tolist()
        kept = {relation: terms[relation] for relation in used}
        texts = self._relation_texts(kept, edges)
        embed = None if self._embedder is None else self._embedded
        self.edges, self.relations = edges, Relations(kept, texts, embed)
        self._vocabulary: Vocabulary | None = None
        self._texts = self._text_vectors()

    def _text_vectors(self) -> Vectors | None:
        """The vectors of texts, in memory."""
        if self._embedder is None:
            return None
        found = Vectors(self._embedder.dimension, self._embedder.name)
        rows = self._db.execute("SELECT node, row FROM texts").fetchall()
        data = np.frombuffer(b"".join(row for _, row in rows), dtype="<f2").astype(np.float32)
        found.add([node for node, _ in rows], data.reshape(len(rows), self._embedder.dimension))
        return found

    @property
    def is_wasteful(self) -> bool:
        """Whether so much was added and deleted that a new index would be much smaller."""
        (live,) = self._db.execute("SELECT count(*) FROM terms").fetchone()
        return self.edges.nodes > max(_WASTE_FROM, WASTE * int(live))

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- following the snapshots -----------------------------------------------------------------------------------

    def move(self, old: Sequence[Snapshot], new: Sequence[Snapshot]) -> None:
        """Go from the snapshots that the index is of to others, by what differs between them.

        A snapshot belongs to the one of the same publisher. What is no longer said by anybody is gone from every
        part of the index. Raises `StoreError` if the index is not of `old` or a publisher is there twice, and what
        reading the pages raises; the index is then as it was.
        """
        if any(len({one.publisher for one in some}) < len(some) for some in (old, new)):
            raise StoreError("a publisher has several datasets here, which cannot be told apart: build the index anew")
        with self._lock:
            (of,) = self._db.execute("SELECT value FROM meta WHERE key='of'").fetchone()
            if of != marker_of(old, self._embedder):
                raise StoreError("the index is of other snapshots than the ones to move from: build it anew")
            try:
                self._db.execute("BEGIN IMMEDIATE")
                edges = self._changed(old, new)
                self._db.execute("UPDATE meta SET value=? WHERE key='of'", (marker_of(new, self._embedder),))
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise StoreError(f"cannot change the index: {error}") from error
                raise
            self._adopt(edges)

    def _changed(self, old: Sequence[Snapshot], new: Sequence[Snapshot]) -> Edges:
        rows = array("i")
        for went, came in differences(old, new):
            for batch, sign in ((went, -1), (came, 1)):
                nodes = self._numbers("terms", {t for s, _, o, _ in batch for t in (s, o)})
                steps = self._numbers("relations", {p for _, p, _, _ in batch})
                for s, p, o, _ in batch:
                    rows.extend((nodes[s], steps[p], nodes[o], sign))
        changes = np.frombuffer(rows, dtype=np.int32).reshape(-1, 4) if rows else np.zeros((0, 4), np.int32)
        (count,) = self._db.execute("SELECT coalesce(max(id) + 1, 0) FROM terms").fetchone()
        edges = self.edges.changed(changes, count)
        touched = np.unique(changes[:, [0, 2]])
        live = np.asarray([node for node in touched.tolist() if edges.degree(node)], dtype=np.int32)
        self._forget_names(touched)
        relations = self._relation_terms()
        put_names(self._db, names_of(beside(edges, live), relations, self.terms, live))
        gone = set(touched.tolist()) - set(live.tolist())
        self._db.executemany("DELETE FROM terms WHERE id=?", ((node,) for node in sorted(gone)))
        used = set(np.unique(edges.table[:, 1]).tolist())
        self._db.executemany("DELETE FROM relations WHERE id=?", ((r,) for r in relations if r not in used))
        self._db.executemany("DELETE FROM texts WHERE node=?", ((node,) for node in touched.tolist()))
        put_texts(self._db, self._embedder)
        put_edges(self._db, edges.table)
        return edges

    def _relation_terms(self) -> dict[int, bytes]:
        return dict(self._db.execute("SELECT id, term FROM relations").fetchall())

    def _numbers(self, table: str, terms: set[bytes]) -> dict[bytes, int]:
        """The numbers of terms; those that are new get one."""
        found = {term: number for number, term in self._ask(f"SELECT id, term FROM {table} WHERE term", terms)}  # noqa: S608 - one of two names
        fresh = sorted(terms - set(found))
        (first,) = self._db.execute(f"SELECT coalesce(max(id) + 1, 0) FROM {table}").fetchone()  # noqa: S608 - the same
        numbered = list(enumerate(fresh, first))
        self._db.executemany(f"INSERT INTO {table} (id, term) VALUES (?, ?)", numbered)  # noqa: S608 - the same
        found.update((term, number) for number, term in numbered)
        return found

    def _forget_names(self, nodes: Ints) -> None:
        held = list(self._ask("SELECT id, norm FROM names WHERE node", nodes.tolist()))
        self._db.executemany("INSERT INTO names_fts (names_fts, rowid, norm) VALUES ('delete', ?, ?)", held)
        self._db.executemany("DELETE FROM names WHERE id=?", ((number,) for number, _ in held))

    # --- looking things up -----------------------------------------------------------------------------------------

    def _ask(self, start: str, values: Iterable[object]) -> Iterator[tuple[Any, ...]]:
        """The rows for which a column is one of some values, a batch of values at a time."""
        rest = list(values)
        for at in range(0, len(rest), ASKED_AT_ONCE):
            some = rest[at : at + ASKED_AT_ONCE]
            with self._lock:
                rows = self._db.execute(f"{start} IN ({','.join('?' * len(some))})", some).fetchall()
            yield from rows

    def terms(self, nodes: list[int]) -> dict[int, bytes]:
        """The terms of nodes."""
        return dict(self._ask("SELECT id, term FROM terms WHERE id", set(nodes)))

    def node(self, term: bytes) -> int | None:
        """The node of a term, None if the graph does not have it."""
        return next((number for (number,) in self._ask("SELECT id FROM terms WHERE term", [term])), None)

    def called(self, squeezed: Iterable[str]) -> dict[str, list[tuple[int, int]]]:
        """For each of some names, as words without spaces: (kind, node) of what is called exactly so.

        Of many things of one name, `SAME_NAME_MAX`: labels before aliases, then in no order.
        """
        found: dict[str, list[tuple[int, int]]] = {}
        query = "SELECT kind, node FROM names WHERE squeezed = ? ORDER BY kind LIMIT ?"
        with self._lock:
            for name in dict.fromkeys(filter(None, squeezed)):
                rows = self._db.execute(query, (name, SAME_NAME_MAX)).fetchall()
                if rows:
                    found[name] = rows
        return found

    def with_words(self, wanted: Iterable[str], most: int) -> list[Name]:
        """Names that have any of some words, those with the most and the rarest of them first (BM25).

        A word of more than `WORD_NAMES_MAX` names finds none by itself.
        """
        held = self.vocabulary.names
        wanted = [word for word in dict.fromkeys(wanted) if held.get(word, 0) <= WORD_NAMES_MAX]
        query = " OR ".join('"{}"'.format(word.replace('"', '""')) for word in wanted)
        if not query:
            return []
        with self._lock:
            rows = self._db.execute(
                "SELECT n.node, n.kind, n.norm FROM names_fts JOIN names AS n ON n.id = names_fts.rowid "
                "WHERE names_fts MATCH ? ORDER BY names_fts.rank, n.node LIMIT ?",
                (query, most),
            ).fetchall()
        return [Name(*row) for row in rows]

    def names(self, nodes: Iterable[int]) -> list[Name]:
        """All names of some nodes."""
        return [Name(*row) for row in self._ask("SELECT node, kind, norm FROM names WHERE node", set(nodes))]

    @property
    def vocabulary(self) -> Vocabulary:
        """The words of all names, for spelling."""
        with self._lock:
            if self._vocabulary is None:
                self._vocabulary = Vocabulary(self._db.execute("SELECT term, doc FROM names_words").fetchall())
            return self._vocabulary

    def statements_of(self, edges: Iterable[tuple[int, int, int]]) -> dict[tuple[int, int, int], Statement]:
        """The triples of edges, given as subject, relation and object."""
        distinct = list(dict.fromkeys(edges))
        known = self.terms([node for s, _, o in distinct for node in (s, o)])
        relations = self.relations.terms
        return {(s, p, o): Statement(known[s], relations[p], known[o]) for s, p, o in distinct}

    def statements(self, rows: Ints) -> list[Statement]:
        """The triples of rows of the edges' table."""
        known = self.terms(np.unique(rows[:, [0, 2]]).tolist())
        relations = self.relations.terms
        return [Statement(known[s], relations[p], known[o]) for s, p, o, _ in rows.tolist()]

    def label_statements(self, terms: Iterable[bytes], language: str = "en") -> dict[bytes, Statement]:
        """For each of some terms the triple that says what it is called best, if there is one.

        "Best" is: by the first of the naming predicates, in `language`, else in none, else in any.
        """
        found: dict[bytes, Statement] = {}
        naming = {r: naming_rank(self.relations.terms[r]) for r in self.relations.naming}
        order = {r: rank for r, rank in naming.items() if rank is not None and _is_label(self.relations.terms[r])}
        for term, node in self._ask("SELECT term, id FROM terms WHERE term", {t for t in terms if t[:1] == b"<"}):
            runs = [
                (order[relation], first, last)
                for relation, first, last in self.edges.runs(node, back=False)
                if relation in order
            ]
            if runs:
                _, first, last = min(runs)
                rows = self.edges.rows(first, min(last, first + LABELS_READ_MAX), back=False)
                found[term] = min(self.statements(rows), key=lambda one: _language_rank(one.object, language))
        return found

    def meaning(self, text: str, most: int) -> list[tuple[int, float]]:
        """The literals whose texts mean most nearly what a text means: (node, cosine). None without an embedder."""
        if self._embedder is None or self._texts is None or not len(self._texts):
            return []
        ids, near = self._texts.search(self._embedder.embed([text])[0], most)
        return list(zip(ids.tolist(), near.tolist(), strict=True))

    # --- vectors ---------------------------------------------------------------------------------------------------

    def _embedded(self, texts: list[str], *, keep: bool = False) -> Floats:
        """Rows of length one for texts. `keep`: in the database, for the next start."""
        if self._embedder is None:
            raise RuntimeError("an index without an embedder has no vectors")
        name = self._embedder.name
        query = "SELECT text, row FROM vectors WHERE text"
        with self._lock:
            known = {
                text: row for text, row in self._ask(query, set(texts)) if len(row) == 4 * self._embedder.dimension
            }
            fresh = [text for text in dict.fromkeys(texts) if text not in known]
            if fresh:
                rows = np.ascontiguousarray(self._embedder.embed(fresh), dtype="<f4")
                known.update(zip(fresh, (row.tobytes() for row in rows), strict=True))
                if keep:
                    self._db.executemany(
                        "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", ((name, t, known[t]) for t in fresh)
                    )
        return np.frombuffer(b"".join(known[text] for text in texts), dtype="<f4").reshape(len(texts), -1)

    def _relation_texts(self, relations: dict[int, bytes], edges: Edges) -> dict[int, list[str]]:
        """What relations are called: labels and aliases, English ones first, or the last part of the IRI."""
        nodes = dict(self._ask("SELECT term, id FROM terms WHERE term", relations.values()))
        found = {}
        for relation, term in relations.items():
            said: list[tuple[int, int, bytes]] = []
            for name, first, last in edges.runs(nodes.get(term, -1), back=False):
                rank = naming_rank(relations[name])
                if rank is not None:
                    rows = edges.rows(first, min(last, first + LABELS_READ_MAX), back=False)
                    values = self.terms(rows[:, 2].tolist()).values()
                    said += [(rank, *_language_rank(value, "en")) for value in values if value[:1] == b'"']
            texts = [split_name(literal_text(value)[0])[:TEXT_CHARS_MAX] for *_, value in sorted(said)]
            found[relation] = texts[:ALIASES_OF_RELATION_MAX] or [split_name(local_name(term))]
        return found


def _is_label(predicate: bytes) -> bool:
    return kind_of(predicate) == schema.LABEL


def _language_rank(literal: bytes, wanted: str) -> tuple[int, bytes]:
    language = literal_text(literal)[1] if literal[:1] == b'"' else None
    if language is None:
        return 1, literal
    return (0 if language.split("-")[0] == wanted else 2), literal
