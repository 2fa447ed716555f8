"""Other systems that answer the same queries over the same file, each with the same three methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pyoxigraph

if TYPE_CHECKING:
    from pathlib import Path

    import rdflib

Rows = list[tuple[object, ...]]
"""What a query gave: rows of terms, triples, or one row with the boolean."""


class Peer(Protocol):
    """A system to compare with."""

    name: str

    def load(self, path: Path) -> None:
        """Load a file of N-Quads, and be ready for queries."""

    def query(self, text: str) -> Rows:
        """All results of a query over the union of all graphs."""

    def close(self) -> None:
        """Let go of files and memory."""


class _Oxigraph:
    """What both kinds of pyoxigraph store have in common."""

    name = "pyoxigraph"

    def __init__(self, store: pyoxigraph.Store) -> None:
        self.store = store

    def load(self, path: Path) -> None:
        """See `Peer`."""
        self.store.bulk_load(path=str(path), format=pyoxigraph.RdfFormat.N_QUADS)

    def query(self, text: str) -> Rows:
        """See `Peer`."""
        found = self.store.query(text, use_default_graph_as_union=True)
        if isinstance(found, pyoxigraph.QueryBoolean):
            return [(bool(found),)]
        return [tuple(row) for row in found]

    def close(self) -> None:
        """See `Peer`."""
        del self.store


class MemoryOxigraph(_Oxigraph):
    """pyoxigraph, in memory."""

    name = "pyoxigraph, memory"

    def __init__(self) -> None:
        super().__init__(pyoxigraph.Store())


class DiskOxigraph(_Oxigraph):
    """pyoxigraph, on disk (RocksDB) in a folder."""

    name = "pyoxigraph, disk"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(pyoxigraph.Store(str(folder)))


class Rdflib:
    """rdflib, in memory. Slow: for 10^5 triples."""

    name = "rdflib"

    def __init__(self) -> None:
        from rdflib import Dataset  # noqa: PLC0415 - half a second, and only here

        self.dataset: rdflib.Dataset = Dataset(default_union=True)

    def load(self, path: Path) -> None:
        """See `Peer`."""
        with path.open("rb") as file:
            self.dataset.parse(file, format="nquads")

    def query(self, text: str) -> Rows:
        """See `Peer`."""
        found = self.dataset.query(text)
        if found.type == "ASK":
            return [(bool(found.askAnswer),)]
        return [tuple(row) if isinstance(row, tuple) else (row,) for row in found]

    def close(self) -> None:
        """See `Peer`."""
        self.dataset.close()
