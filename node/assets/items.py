"""Where the items of an asset are from, item by item: the graph `<UAL#items>`, if its content was imported.

What stands there is written by `node.imports`; here is what edits need to know of it: that it belongs to the content,
goes with it, and says when the import was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from dkg.errors import LimitError
from dkg.normal import normalize_all
from node.assets import vocabulary as v
from node.assets.provenance import iri, time_term

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg.chain.ual import Ual
    from dkg.terms import Quad, Term

ITEM_QUADS_MAX: Final = 1_000_000
"""Most quads that say where items are from: two to four for each."""


def items_graph(ual: Ual) -> Term:
    """The name of the graph."""
    return f"<{ual}#items>".encode()


@dataclass(frozen=True, slots=True)
class ItemsRecord:
    """What is said of the items, but for when."""

    ual: Ual
    quads: frozenset[Quad]

    @classmethod
    def of(cls, ual: Ual, triples: Iterable[tuple[bytes, bytes, bytes]]) -> Self:
        """From triples of IRIs and literals. Raises `LimitError`."""
        given = list(triples)
        if len(given) > ITEM_QUADS_MAX:
            raise LimitError(f"{len(given)} quads say where the items are from; {ITEM_QUADS_MAX} is the most")
        terms = list(dict.fromkeys(term for triple in given for term in triple))
        normal = dict(zip(terms, normalize_all(terms), strict=True))
        graph = items_graph(ual)
        return cls(ual, frozenset((normal[s], normal[p], normal[o], graph) for s, p, o in given))

    def at(self, time: str) -> frozenset[Quad]:
        """The graph, with the time of the import (xsd:dateTime)."""
        return self.quads | {(self._activity, v.ENDED_AT, time_term(time), items_graph(self.ual))}

    def same_as(self, quads: frozenset[Quad]) -> bool:
        """Whether a graph says this, whenever the import was."""
        return self.quads == {quad for quad in quads if quad[:2] != (self._activity, v.ENDED_AT)}

    @property
    def _activity(self) -> Term:
        return iri(f"{self.ual}#import")
