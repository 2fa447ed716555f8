"""The catalogue of one state of the data: its schema, and the names of its classes and relations."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from retrieval.aggregate.names import Lexicon
from retrieval.aggregate.schema import Schemas
from retrieval.index.schema import ALIASES, LABELS
from retrieval.words import literal_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from retrieval.aggregate.schema import Schema
    from retrieval.model import Fact
    from retrieval.reading import Reader

KEPT_CATALOGUES: Final = 4
"""States whose catalogue is kept in memory."""

NAMES_OF_ONE_MAX: Final = 8
"""Most labels of one class or relation that are read, for each predicate that gives labels."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What templates can be filled with."""

    schema: Schema
    lexicon: Lexicon
    naming: tuple[bytes, ...]
    """The predicates that give names here, the best first."""


class Catalogues:
    """Catalogues by the roots that they are of: another root is another catalogue, mined when it is first asked for.

    Threads may share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._schemas = Schemas()
        self._known: OrderedDict[tuple[tuple[bytes, bytes | None], ...], Catalogue] = OrderedDict()

    def of(self, reader: Reader) -> Catalogue:
        """The catalogue of what a reader reads. Raises what the pages raise."""
        key = tuple((snapshot.root, snapshot.only) for snapshot in reader.snapshots)
        with self._lock:
            found = self._known.get(key)
            if found is None:
                found = self._mined(reader)
                self._known[key] = found
            self._known.move_to_end(key)
            while len(self._known) > KEPT_CATALOGUES:
                self._known.popitem(last=False)
            return found

    def _mined(self, reader: Reader) -> Catalogue:
        schema = self._schemas.of(reader.snapshots)
        naming = tuple(term for term in (*LABELS, *ALIASES) if term in schema.properties)
        labels = {term: names(reader, term, naming) for term in (*schema.classes, *schema.properties)}
        return Catalogue(schema, Lexicon(schema, labels), naming)


def names(reader: Reader, term: bytes, naming: Iterable[bytes]) -> list[str]:
    """The verified names of a term, the best first."""
    facts = [fact for by in naming for fact in reader.about(term, by, most=NAMES_OF_ONE_MAX)]
    literals = [fact.statement.object for fact in facts if fact.statement.object[:1] == b'"']
    return list(dict.fromkeys(literal_text(term)[0] for term in literals))


def labels(reader: Reader, terms: Iterable[bytes], naming: Iterable[bytes]) -> dict[bytes, Fact]:
    """The fact that says what a term is called, for each term that has one: in English where there is one."""
    found: dict[bytes, Fact] = {}
    known = tuple(naming)
    for term in dict.fromkeys(terms):
        if term[:1] != b"<":
            continue
        for by in known:
            said = [fact for fact in reader.about(term, by, most=NAMES_OF_ONE_MAX) if _is_text(fact)]
            if said:
                found[term] = next(filter(_is_english, said), said[0])
                break
    return found


def _is_text(fact: Fact) -> bool:
    return fact.statement.object[:1] == b'"'


def _is_english(fact: Fact) -> bool:
    language = literal_text(fact.statement.object)[1]
    return language is None or language.startswith("en")
