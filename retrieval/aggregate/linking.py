"""Entities by the label index: names word by word first, then what is spelt nearly like one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from retrieval.aggregate.names import Linked
from retrieval.aggregate.words import words
from retrieval.index.schema import ALIAS, TEXT
from retrieval.link import link
from retrieval.words import words as folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from retrieval.aggregate.words import Word
    from retrieval.index import KnowledgeIndex

NAME_WORDS_MAX: Final = 24
"""Most words of a name that is looked up."""

WORDS_MAX: Final = 64
"""Most words of a question whose runs are looked up."""

ONE_NAME_MAX: Final = 8
"""Entities of one name that are taken."""

_NOT_A_LABEL: Final = 0.99


class IndexNames:
    """The entities that a label index knows."""

    def __init__(self, index: KnowledgeIndex) -> None:
        self._index = index

    def entities(self, text: str) -> Sequence[Linked]:
        """See `Names.entities`. Every run of words is looked up: which are meant, the whole question decides."""
        said = words(text)[:WORDS_MAX]
        spans: dict[tuple[int, int], str] = {}
        for first in range(len(said)):
            squeezed = ""
            for last in range(first + 1, min(len(said), first + NAME_WORDS_MAX) + 1):
                squeezed += "".join(folded(said[last - 1].plain))
                spans[said[first].start, said[last - 1].end] = squeezed
        named = self._index.called(set(spans.values()) - {""})
        exact = [
            (start, end, node, _NOT_A_LABEL if kind == ALIAS else 1.0)
            for (start, end), squeezed in spans.items()
            for kind, node in sorted(named.get(squeezed, ()))[:ONE_NAME_MAX]
            if kind != TEXT
        ]
        return self._linked([*exact, *self._nearly(text, said)])

    def _nearly(self, text: str, said: Sequence[Word]) -> Iterable[tuple[int, int, int, float]]:
        """What the pipeline's own linking finds beside the names that are there word by word."""
        places = [at for at, word in enumerate(said) for _ in folded(word.plain)]
        found = link(self._index, text)
        if len(places) != len(found.words):
            return  # the two do not split this text alike, so its places say nothing here
        for one in found.mentions:
            if one.how == "spelling":
                yield said[places[one.first]].start, said[places[one.last - 1]].end, one.node, one.fit

    def _linked(self, found: Sequence[tuple[int, int, int, float]]) -> list[Linked]:
        terms = self._index.terms([node for _, _, node, _ in found])
        return [
            Linked(start, end, terms[node], fit)
            for start, end, node, fit in found
            if node in terms and terms[node][:1] == b"<"
        ]
