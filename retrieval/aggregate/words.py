"""Words of questions and labels, brought to one form so that `Films` meets `film` and `memberOf` meets `member of`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from retrieval.words import fold, split_name

_WORD: Final = re.compile(r"\d{4}-\d{2}-\d{2}|\d+(?:\.\d+)?(?![^\W_])|['’]s?(?![^\W_])|[^\W_]+")  # noqa: RUF001 - the apostrophes that people type
_APOSTROPHES: Final = "'’"  # noqa: RUF001 - as above
_IRREGULAR: Final = {
    "children": "child",
    "people": "person",
    "movies": "movie",
    "men": "man",
    "women": "woman",
    "wives": "wife",
    "lives": "life",
    "phenomena": "phenomenon",
    "diagnoses": "diagnosis",
}
_SHORT: Final = 3  # shorter words are not plurals: `has`, `gas`
_LOOSE_MIN: Final = 5
_ENDINGS: Final = ("ations", "ation", "ions", "ion", "ors", "ers", "ing", "ed", "or", "er", "s")


class Word(NamedTuple):
    """A word of a text."""

    form: str
    """As `stem` gives it."""
    plain: str
    """In lower case, as it was written."""
    start: int
    """Characters of the text from here."""
    end: int
    """To here, excluded."""

    @property
    def plural(self) -> bool:
        """Whether it was written in the plural, as far as its letters tell."""
        return self.form != self.plain


def words(text: str) -> list[Word]:
    """The words of a text, in their order. `'s` is a word of its own, so that `X's Y` can be told from `X Y`."""
    return [Word(stem(fold(found[0])), fold(found[0]), found.start(), found.end()) for found in _WORD.finditer(text)]


def phrase(text: str) -> str:
    """A label as the key of a dictionary: the stems of its words, with one space between."""
    return " ".join(word.form for word in words(split_name(text)) if word.form[:1] not in _APOSTROPHES)


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """A word in lower case without the ending of an English plural."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= _SHORT or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    return word[:-1]


def loose(word: str) -> str:
    """What `directed`, `director` and `directing` have in common. For relations, where nothing else fits."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LOOSE_MIN:
            return word[: -len(ending)]
    return word
