"""A small family in RDF, and snapshots of it: what the tests of the index and of the pipeline are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dkg
from dkg.pages import MemoryPageStore, StoredPages
from retrieval.model import LOCAL, Claim, Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg.terms import Quad

GRAPH = b"<https://example.org/family>"
LABEL = b"<http://www.w3.org/2000/01/rdf-schema#label>"
ALIAS = b"<http://www.w3.org/2004/02/skos/core#altLabel>"

FAMILY = """
@prefix : <https://example.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
:ada rdfs:label "Ada Lovelace"@en, "Ада Лавлейс"@ru ; skos:altLabel "Countess of Lovelace"@en ;
    :parents :byron, :annabella ; :spouse :william ; :placeOfBirth :london ; :profession :mathematician .
:byron rdfs:label "Lord Byron"@en ; :placeOfBirth :london ; :placeOfDeath :missolonghi ; :religion :anglican .
:annabella rdfs:label "Anne Isabella Noel Byron"@en ; :religion :unitarian .
:william rdfs:label "William King-Noel"@en ; :children :anne ; :parents :peter .
:anne rdfs:label "Anne Blunt"@en ; :spouse :wilfrid .
:london rdfs:label "London"@en, "Londres"@fr ; :description "The capital of England, on the river Thames." .
:missolonghi rdfs:label "Missolonghi"@en .
:mathematician rdfs:label "mathematician"@en .
:profession rdfs:label "profession"@en, "Beruf"@de .
"""


def iri(name: str) -> bytes:
    """Return the IRI of a thing of the family, as a term."""
    return f"<https://example.org/{name}>".encode()


def family() -> list[Quad]:
    """Return the quads of the family."""
    loaded = dkg.load(FAMILY.encode(), format="ttl", graph=GRAPH[1:-1].decode())
    return [quad for batch in loaded for quad in batch]


def snapshot(quads: Sequence[Quad], publisher: str = LOCAL, store: MemoryPageStore | None = None) -> Snapshot:
    """Return the snapshot of some quads, which nobody signed."""
    store = MemoryPageStore() if store is None else store
    return Snapshot(publisher, dkg.build([list(quads)], store), StoredPages(store), Claim.LOCAL)
