"""Snapshots to read, and what is true of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg.pages import StoredPages
from retrieval.model import Candidate, Claim, Origin, Snapshot, Statement
from tests.evaluators import build
from tests.mutation.subjects import NARROW

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dkg.pages import PageStore
    from tests.oracle import Quad


@dataclass(frozen=True)
class Published:
    """A snapshot, and the quads that it is of."""

    snapshot: Snapshot
    quads: frozenset[Quad]

    @property
    def publisher(self) -> str:
        return self.snapshot.publisher

    def origins(self, statement: Statement) -> set[tuple[str, bytes]]:
        """Who says a triple and where."""
        return {(self.publisher, quad[3]) for quad in self.quads if quad[:3] == statement}


def published(publisher: str, quads: Iterable[Quad], **fields: object) -> Published:
    """A dataset with small pages, so that small data has many."""
    store, root = build(quads, NARROW)
    return shown(publisher, root, store, quads, **fields)


def shown(publisher: str, root: bytes, store: PageStore, quads: Iterable[Quad], **fields: object) -> Published:
    """A dataset whose pages come from a store that may not have them."""
    claim = fields.pop("claim", Claim.LOCAL)
    snapshot = Snapshot(publisher, root, StoredPages(store), claim, **fields)  # type: ignore[arg-type]
    return Published(snapshot, frozenset(quads))


def proposed(statements: Iterable[Sequence[bytes]], score: float = 1.0) -> list[Candidate]:
    """Candidates for triples."""
    return [Candidate(Statement(*one[:3]), score) for one in statements]


def places(origins: Iterable[Origin]) -> set[tuple[str, bytes]]:
    """Who says something and where."""
    return {(origin.publisher, origin.graph) for origin in origins}


def quad(subject: str, predicate: str, object_: str | int, graph: str = "g") -> Quad:
    """A quad of short names; a number is a literal."""
    integer = b'"%d"^^<http://www.w3.org/2001/XMLSchema#integer>'
    shown_object = integer % object_ if isinstance(object_, int) else iri(object_)
    return iri(subject), iri(predicate), shown_object, iri(graph)


def iri(name: str) -> bytes:
    """An IRI of a short name."""
    return f"<http://e/{name}>".encode()
