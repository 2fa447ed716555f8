"""Us: the same three methods as the peers, and proving and verifying."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dkg
from dkg.client.files import compress
from dkg.client.load import load_files
from dkg.client.store import SqliteStore
from dkg.pages import StoredPages

if TYPE_CHECKING:
    from pathlib import Path

    from bench.peers import Rows


class Subject:
    """A store of ours in a folder. Pages stay decoded between queries, as in a node."""

    name = "dkg"

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(folder)
        self.pages = StoredPages(self.store)

    @property
    def root(self) -> bytes:
        """The current dataset."""
        head = self.store.head()
        if head is None:
            raise ValueError(f"nothing was ever loaded into {self.store.directory}")
        return head

    def load(self, path: Path) -> None:
        """See `Peer`."""
        load_files([path], self.store)

    def query(self, text: str) -> Rows:
        """See `Peer`."""
        return rows_of(dkg.query(self.pages, self.root, text))

    def prove(self, text: str) -> dkg.Proof:
        """An answer with its proof."""
        return dkg.prove(self.pages, self.root, text)

    def close(self) -> None:
        """See `Peer`."""
        self.store.close()


def rows_of(answer: dkg.Results) -> Rows:
    """The results as `Peer.query` gives them."""
    if answer.boolean is not None:
        return [(answer.boolean,)]
    return [tuple(triple) for triple in answer.triples] or list(answer.rows)


def compressed(car: bytes) -> int:
    """Bytes of a proof as `dkg query --proof OUT.car.zst` writes it."""
    return len(compress(car))
