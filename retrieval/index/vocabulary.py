"""The words of all names, and those that a misspelt one may have been meant to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rapidfuzz import process
from rapidfuzz.distance import OSA

if TYPE_CHECKING:
    from collections.abc import Iterable

MEANT_MAX: Final = 8
"""Words that one misspelt word is taken for."""

_LETTERS_MIN: Final = 4  # a shorter word is a typo away from too many others
_LETTERS_OF_TWO: Final = 8  # from so many letters on, two typos are forgiven
_LETTERS_MAX: Final = 40


class Vocabulary:
    """Words, and in how many names each is."""

    def __init__(self, counted: Iterable[tuple[str, int]]) -> None:
        self.names: dict[str, int] = dict(counted)
        self._by_length: dict[int, list[str]] = {}
        for word in self.names:
            if _LETTERS_MIN - 1 <= len(word) <= _LETTERS_MAX and word.isalpha():
                self._by_length.setdefault(len(word), []).append(word)

    def meant(self, word: str) -> list[str]:
        """Words that are spelt nearly so, the nearest first; none for short words and for those with digits."""
        if not _LETTERS_MIN <= len(word) <= _LETTERS_MAX or not word.isalpha():
            return []
        most = 2 if len(word) >= _LETTERS_OF_TWO else 1
        found: list[tuple[float, str]] = []
        for length in range(len(word) - most, len(word) + most + 1):
            near = process.extract(
                word, self._by_length.get(length, ()), scorer=OSA.distance, score_cutoff=most, limit=MEANT_MAX
            )
            found += [(distance, other) for other, distance, _ in near]
        return [other for _, other in sorted(found)[:MEANT_MAX]]
