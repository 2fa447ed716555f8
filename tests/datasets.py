"""Small datasets for tests: a made-up university, big enough for trees of several levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.api import build
from dkg.pages import MemoryPageStore

if TYPE_CHECKING:
    from dkg.terms import Quad

GRAPH = b"<https://example.org/university>"
INTEGER = b"^^<http://www.w3.org/2001/XMLSchema#integer>"
PREFIX = "PREFIX : <https://example.org/> "


def iri(name: str) -> bytes:
    return f"<https://example.org/{name}>".encode()


def university(students: int, graph: bytes = GRAPH) -> list[Quad]:
    """Students with a name, an age, an adviser and two courses; every seventh has an email address."""
    quads: list[Quad] = []
    for i in range(students):
        student = iri(f"student{i}")
        quads += [
            (student, iri("type"), iri("Student"), graph),
            (student, iri("name"), f'"Student {i}"'.encode(), graph),
            (student, iri("age"), b'"%d"%b' % (18 + i % 30, INTEGER), graph),
            (student, iri("adviser"), iri(f"professor{i % 40}"), graph),
            (student, iri("takes"), iri(f"course{i % 100}"), graph),
            (student, iri("takes"), iri(f"course{i * 7 % 100}"), graph),
        ]
        if i % 7 == 0:
            quads.append((student, iri("email"), f'"s{i}@example.org"'.encode(), graph))
    return quads


def stored(quads: list[Quad]) -> tuple[MemoryPageStore, bytes]:
    """A store that holds a dataset of these quads, and its root."""
    store = MemoryPageStore()
    return store, build([quads], store)
