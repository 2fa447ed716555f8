"""Names in texts, word by word: longer names win over names inside them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from retrieval.words import fold

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORD: Final = re.compile(r"[^\W_]+")


class Name(NamedTuple):
    """Something that an answer may name. The smaller `rank`, the better."""

    words: tuple[str, ...]
    rank: int
    role: str
    at: int


class Hit(NamedTuple):
    """Where a text has a name, in characters."""

    start: int
    end: int
    name: Name


def named_in(text: str, names: Iterable[str]) -> set[str]:
    """Those of some names that a text has in it."""
    by_words = {words_of(name): name for name in names}
    return {by_words[hit.name.words] for hit in hits_in(text, [Name(words, 0, "", 0) for words in by_words if words])}


def words_of(text: str) -> tuple[str, ...]:
    """The words of a name, folded, so that case, accents and signs do not decide."""
    return tuple(fold(found.group()) for found in _WORD.finditer(text))


def hits_in(text: str, names: Iterable[Name]) -> list[Hit]:
    """The first place of each name in a text, of the longest names that do not overlap."""
    words = list(_WORD.finditer(text))
    folded = [fold(found.group()) for found in words]
    places: dict[str, list[int]] = {}
    for at, word in enumerate(folded):
        places.setdefault(word, []).append(at)
    found: list[tuple[int, int, Name]] = []
    for name in _best(names):
        size = len(name.words)
        starts = places.get(name.words[0], ())
        found += [(at, at + size, name) for at in starts if tuple(folded[at : at + size]) == name.words]
    free, taken = [True] * len(folded), set()
    hits = []
    for start, end, name in sorted(found, key=lambda hit: (hit[0] - hit[1], hit[2].rank, hit[0])):
        if name.words not in taken and all(free[start:end]):
            free[start:end] = [False] * (end - start)
            taken.add(name.words)
            hits.append(Hit(words[start].start(), words[end - 1].end(), name))
    return sorted(hits)


def _best(names: Iterable[Name]) -> Iterable[Name]:
    """Of names with the same words, the best."""
    best: dict[tuple[str, ...], Name] = {}
    for name in names:
        other = best.setdefault(name.words, name)
        if name.rank < other.rank:
            best[name.words] = name
    return best.values()
