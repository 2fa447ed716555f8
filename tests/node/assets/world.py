"""A publisher's dataset in memory, to which edits are applied as the node applies them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dkg
from dkg.chain.ual import Publisher, Ual
from dkg.dataset import build_dataset, quads, update_dataset
from dkg.pages import MemoryPageStore, RecordedPages, StoredPages
from dkg.rdf import parse_quads
from node.assets.edits import content

if TYPE_CHECKING:
    from dkg.terms import Quad
    from node.change import Change, Edit

PUBLISHER = Publisher(31337, b"\xaa" * 20, b"\xbb" * 20)
OTHER = Publisher(31337, b"\xaa" * 20, b"\xcc" * 20)
NOW = 1_800_000_000
TIME = "2027-01-15T08:00:00Z"


def ual(name: str, publisher: Publisher = PUBLISHER) -> Ual:
    return Ual(publisher, name)


def triples(name: str, text: str, *, format: str = "ttl") -> frozenset[Quad]:  # noqa: A002 - as in dkg.load
    """The content of an asset, from a document with the prefix `:`."""
    head = "@prefix : <https://example.org/> . " if format in {"ttl", "trig"} else ""
    return content(parse_quads((head + text).encode(), format=format, graph=ual(name).graph), ual(name))


class World:
    """A dataset that changes; `roots` has every root so far."""

    def __init__(self) -> None:
        self.store = MemoryPageStore()
        self.roots: list[bytes] = []

    @property
    def root(self) -> bytes | None:
        return self.roots[-1] if self.roots else None

    @property
    def now(self) -> bytes:
        assert self.roots
        return self.roots[-1]

    @property
    def pages(self) -> StoredPages:
        return StoredPages(self.store)

    def recorded(self) -> RecordedPages:
        return RecordedPages(self.pages, 10**6, 10**9)

    def load(self, *batches: list[Quad]) -> None:
        """A commit of these quads, whatever was there before."""
        self.roots.append(build_dataset(list(batches), self.store))

    def change(self, edit: Edit) -> Change:
        """What an edit would do."""
        return edit(self.pages, self.root)

    def apply(self, edit: Edit) -> Change:
        """Apply an edit: a commit, if there is anything to do."""
        change = self.change(edit)
        if change:
            if self.root is None:
                self.load(list(change.add))
            else:
                self.roots.append(update_dataset(self.pages, self.now, change.add, change.remove, self.store))
        return change

    def quads(self) -> set[Quad]:
        return {quad for batch in quads(self.pages, self.now) for quad in batch} if self.root else set()

    def graph(self, name: bytes) -> set[Quad]:
        return {quad for quad in self.quads() if quad[3] == name}

    def ask(self, query: str) -> bool:
        answer = dkg.query(self.store, self.now, query)
        assert answer.boolean is not None
        return answer.boolean
