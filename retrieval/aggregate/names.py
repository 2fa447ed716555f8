"""What words of a question may mean: classes and relations of the schema, and entities that an index links."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

from retrieval.aggregate.schema import TYPES
from retrieval.aggregate.templates import Op
from retrieval.aggregate.words import loose, phrase
from retrieval.index.schema import ALIASES, LABELS
from retrieval.lexicon import WORDS
from retrieval.words import STOP, local_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from retrieval.aggregate.schema import Schema
    from retrieval.aggregate.words import Word

PHRASE_WORDS_MAX: Final = 12
"""Most words of a name of a class or a relation."""

TERMS_MAX: Final = 4
"""Most terms of one name that are tried."""

SYNONYMS: Final = {"person": ("human",), "human": ("person",), "movie": ("film",), "film": ("movie",)}
"""Other words for a class, where the graph has none of them as a label."""

_NAMING: Final = frozenset((*LABELS, *ALIASES))
"""Predicates whose objects are names: no relations that a question asks for."""

_AROUND: Final = frozenset({"of", "from", "by", "for", "to", "in", "at", "with"})
_BEFORE: Final = frozenset({"has", "is"})


class Linked(NamedTuple):
    """An entity that a part of a question may name."""

    start: int
    """Characters of the question from here."""
    end: int
    """To here, excluded."""
    term: bytes
    score: float
    """1 for a name that is there word by word; less for one that is like it."""


@runtime_checkable
class Names(Protocol):
    """What an index knows of names. Nothing that it says is trusted: a term it gives is looked up in checked pages."""

    def entities(self, text: str) -> Sequence[Linked]:
        """The entities that parts of `text` may name, in any order."""


class What(StrEnum):
    """What a mention is of."""

    CLASS = "class"
    RELATION = "relation"
    ENTITY = "entity"
    BOUND = "bound"


class Mention(NamedTuple):
    """Words of a question, from `first` to `last` (excluded), and what they may mean."""

    first: int
    last: int
    what: What
    terms: tuple[bytes, ...] = ()
    """The likeliest first."""
    score: float = 1.0
    op: Op = Op.SAME
    value: str = ""
    """Of a bound: the number or date as written."""


class Lexicon:
    """Names of the classes and relations of one schema."""

    def __init__(self, schema: Schema, labels: Mapping[bytes, Sequence[str]]) -> None:
        """`labels`: those of its classes and properties. What has none goes by the last part of its IRI."""
        self._names: dict[What, dict[str, list[bytes]]] = {What.CLASS: {}, What.RELATION: {}}
        self._loose: dict[str, list[bytes]] = {}
        self._concepts: dict[frozenset[str], list[bytes]] = {}
        for term in sorted(schema.classes, key=lambda term: -schema.classes[term].quads):
            self._add(What.CLASS, term, labels.get(term, ()))
        for term in sorted(schema.properties, key=lambda term: -schema.properties[term].quads):
            if term not in TYPES and term not in _NAMING:
                self._add(What.RELATION, term, labels.get(term, ()))
        classes = self._names[What.CLASS]
        for word, others in SYNONYMS.items():
            known = next((classes[other] for other in others if other in classes), None)
            if word not in classes and known is not None:
                classes[word] = list(known)

    def _add(self, what: What, term: bytes, labels: Sequence[str]) -> None:
        for label in labels or (local_name(term),):
            key = phrase(label)
            for name in _variants(key) if what is What.RELATION else (key,):
                self._keep(self._names[what], name, term)
            if what is What.RELATION:
                self._add_likely(key, term)

    def _add_likely(self, key: str, term: bytes) -> None:
        """What a relation may be called, too: `directed` for a director, `wife` for a spouse."""
        for name in _variants(key):
            if " " not in name and (root := loose(name)) != name:
                self._keep(self._loose, root, term)
        content = [word for word in key.split() if word not in STOP]
        concepts = frozenset(concept for word in content for concept in WORDS.get(word, (word,))[:1])
        terms = self._concepts.setdefault(concepts, [])
        if term not in terms and len(terms) < TERMS_MAX:
            terms.append(term)

    @staticmethod
    def _keep(names: dict[str, list[bytes]], name: str, term: bytes) -> None:
        terms = names.setdefault(name, []) if name else []
        if term not in terms and len(terms) < TERMS_MAX:
            terms.append(term)

    def mentions(self, text: Sequence[Word]) -> Iterable[Mention]:
        """Every run of words that names a class or a relation."""
        for first in range(len(text)):
            key = ""
            for last in range(first + 1, min(first + PHRASE_WORDS_MAX, len(text)) + 1):
                key = f"{key} {text[last - 1].form}".strip()
                for what, names in self._names.items():
                    if key in names:
                        yield Mention(first, last, what, tuple(names[key]))
            yield from self._likely(first, text[first])

    def _likely(self, at: int, word: Word) -> Iterable[Mention]:
        if word.form in self._names[What.RELATION] or word.plain in STOP:
            return
        root, concepts = loose(word.form), frozenset(WORDS.get(word.plain, ()))
        if root in self._loose:
            yield Mention(at, at + 1, What.RELATION, tuple(self._loose[root]), 0.8)
        elif concepts and concepts in self._concepts:
            yield Mention(at, at + 1, What.RELATION, tuple(self._concepts[concepts]), 0.7)


def _variants(key: str) -> list[str]:
    """A relation's name, and the same without the small words around it: `has part of` is `part`, too."""
    found = [key]
    parts = key.split()
    if len(parts) > 1 and parts[0] in _BEFORE:
        parts = parts[1:]
        found.append(" ".join(parts))
    if len(parts) > 1 and parts[-1] in _AROUND:
        found.append(" ".join(parts[:-1]))
    return found


_OPS: Final = {
    "more than": Op.MORE,
    "greater than": Op.MORE,
    "higher than": Op.MORE,
    "larger than": Op.MORE,
    "bigger than": Op.MORE,
    "later than": Op.MORE,
    "over": Op.MORE,
    "above": Op.MORE,
    "after": Op.MORE,
    "less than": Op.LESS,
    "fewer than": Op.LESS,
    "lower than": Op.LESS,
    "smaller than": Op.LESS,
    "earlier than": Op.LESS,
    "under": Op.LESS,
    "below": Op.LESS,
    "before": Op.LESS,
    "at least": Op.AT_LEAST,
    "no less than": Op.AT_LEAST,
    "since": Op.AT_LEAST,
    "at most": Op.AT_MOST,
    "no more than": Op.AT_MOST,
    "until": Op.AT_MOST,
    "exactly": Op.SAME,
    "equal to": Op.SAME,
}


def bounds(text: Sequence[Word]) -> Iterable[Mention]:
    """Comparisons with a number or a date, such as `more than 5` and `before 2010-01-01`."""
    for at, word in enumerate(text):
        if not word.plain[:1].isdigit() or not word.plain.replace("-", "").replace(".", "").isascii():
            continue
        if not word.plain.replace("-", "").replace(".", "").isdigit():
            continue
        for length in (3, 2, 1):
            op = _OPS.get(" ".join(other.plain for other in text[max(0, at - length) : at]))
            if op is not None and at >= length:
                yield Mention(at - length, at + 1, What.BOUND, op=op, value=word.plain)
                break


def entity_mentions(text: Sequence[Word], linked: Iterable[Linked]) -> list[Mention]:
    """What an index linked, by words; entities of the same words are one mention, the likeliest first."""
    found: dict[tuple[int, int], list[Linked]] = {}
    for link in linked:
        inside = [at for at, word in enumerate(text) if word.start < link.end and word.end > link.start]
        if inside:
            found.setdefault((inside[0], inside[-1] + 1), []).append(link)
    mentions = []
    for (first, last), links in found.items():
        links.sort(key=lambda link: (-link.score, link.term))
        terms = tuple(dict.fromkeys(link.term for link in links))[:TERMS_MAX]
        mentions.append(Mention(first, last, What.ENTITY, terms, links[0].score))
    return mentions
