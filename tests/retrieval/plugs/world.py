"""A small world of facts in a store of one's own, and knowledge over it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dkg
from dkg.client.store import SqliteStore
from retrieval import sources
from retrieval.service import Knowledge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FACTS = """
@prefix : <https://example.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
:discovered rdfs:label "discovered" . :bornIn rdfs:label "place of birth" . :country rdfs:label "country" .
:field rdfs:label "field of work" . :note rdfs:label "note" .
:fleming rdfs:label "Alexander Fleming" ; :discovered :penicillin ; :bornIn :darvel ; :field "bacteriology" .
:curie rdfs:label "Marie Curie" ; :discovered :radium , :polonium ; :bornIn :warsaw .
:penicillin rdfs:label "penicillin" . :radium rdfs:label "radium" . :polonium rdfs:label "polonium" .
:darvel rdfs:label "Darvel" ; :country :scotland . :warsaw rdfs:label "Warsaw" ; :country :poland .
:scotland rdfs:label "Scotland" . :poland rdfs:label "Poland" .
"""

FLEMING = "https://example.org/fleming"
CURIE = "https://example.org/curie"
DISCOVERED = "https://example.org/discovered"
PENICILLIN = "https://example.org/penicillin"
RADIUM = "https://example.org/radium"


@dataclass
class World:
    """A store, and knowledge that always sees its root of now."""

    directory: Path
    store: SqliteStore
    knowledge: Knowledge

    @property
    def root(self) -> str:
        head = self.store.head()
        assert head is not None
        return dkg.root_text(head)

    def load(self, turtle: str) -> None:
        """Let the store hold these facts and no others."""
        with self.store.writing():
            self.store.set_head(dkg.build(dkg.load(turtle.encode(), format="ttl"), self.store))


@contextmanager
def world(directory: Path, turtle: str = FACTS, **given: Any) -> Iterator[World]:  # noqa: ANN401
    with SqliteStore(directory) as store:

        def heads() -> Any:  # noqa: ANN401
            head = store.head()
            assert head is not None
            return [sources.local(store, head)], []

        with Knowledge(heads, **given) as knowledge:
            made = World(directory, store, knowledge)
            made.load(turtle)
            yield made
