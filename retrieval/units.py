"""The words of a question that are left when a thing is found in it, in the order in which a path would take them.

"The place of birth of Ada's father" goes from Ada to her father and on to a place of birth: what stands right behind
the name comes first, then what stands before it, backwards. Other sentences go the other way; both are tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from retrieval.index.relations import BY_VECTOR, Unit
from retrieval.lexicon import GRAND, HINTS, PHRASE_WORDS_MAX, PHRASES, WORDS
from retrieval.words import STOP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrieval.index.relations import Floats, Relations
    from retrieval.link import Mention

UNITS_MAX: Final = 10
"""Units of a question that paths are fitted to; the rest of a long one is left out, farthest from the name first."""

HINT_WEIGHT: Final = 0.35
STRANGE_WEIGHT: Final = 0.7
BLANK_MIN: Final = 0.2
BLANK_COST: Final = 0.75
"""A relation that brings less than `BLANK_MIN` is one that the question does not ask for; a path may have one, to get
to what is asked for, and pays for it: the religion of one's father is no answer for one's own."""

CLEAR_MIN: Final = 0.85
"""How much of a relation's label must be said for it to be clear that this relation is asked for."""

DOES: Final = "do"
OR: Final = "or"
"""What a unit weighs that only narrows a relation down, and one that may be anything, beside a word for a relation. A
question that ends with "do" asks for an occupation."""


def units_of(said: Sequence[str]) -> list[Unit]:
    """The units of some words, in order: phrases as one, stop words left out, `grandson` as two sons."""
    found: list[Unit] = []
    at = 0
    while at < len(said):
        for size in range(min(PHRASE_WORDS_MAX, len(said) - at), 1, -1):
            phrase = " ".join(said[at : at + size])
            if phrase in PHRASES:
                found.append(Unit(phrase, PHRASES[phrase], 1.0))
                at += size
                break
        else:
            more = _of_word(said[at])
            if at and said[at - 1] == OR and found and more and set(found[-1].concepts) & set(more[0].concepts):
                more = []  # "mother or father" is one of them, not a way over both
            found += more
            at += 1
    if said and said[-1] == DOES:
        found.append(Unit(DOES, ("profession",), STRANGE_WEIGHT))
    return found


def _of_word(word: str) -> list[Unit]:
    if word in STOP:
        return []
    rest = word.removeprefix(GRAND)
    if rest != word and rest in WORDS:
        one = Unit(rest, WORDS[rest], 1.0)
        return [one, one] if _is_kin(one) else [Unit(f"{GRAND} {rest}", WORDS[rest], 1.0)]
    weight = HINT_WEIGHT if word in HINTS else 1.0 if word in WORDS else STRANGE_WEIGHT
    return [Unit(word, WORDS.get(word, ()), weight)]


def _is_kin(unit: Unit) -> bool:
    return "parent" in unit.concepts or "child" in unit.concepts


def _doubled(units: list[Unit]) -> list[Unit]:
    """With the nearest kin before each `grand` twice: the grand-religion of a father is that of his father."""
    found: list[Unit] = []
    for unit in units:
        if unit.text.startswith(f"{GRAND} "):
            kin = next((at for at in reversed(range(len(found))) if _is_kin(found[at])), None)
            if kin is not None:
                found.insert(kin, found[kin])
        found.append(unit)
    return found


def orders(said: Sequence[str], mention: Mention) -> list[list[Unit]]:
    """The units around a mention, in the orders in which a path may take them."""
    before = units_of(said[: mention.first])[::-1]
    after = units_of(said[mention.last :])
    first, second = _doubled(after + before)[:UNITS_MAX], _doubled(before + after)[:UNITS_MAX]
    return [first] if first == second else [first, second]


class Fitting:
    """How well stretches of units fit relations: what it brings to let a relation stand for units i to j."""

    def __init__(self, units: Sequence[Unit], relations: Relations) -> None:
        self.units = list(units)
        size = len(self.units) + 1
        fits = [relations.fits(unit) for unit in self.units]
        met = np.zeros(2 * relations.count, dtype=bool)
        for found in fits:
            for _, row in found:
                met |= row > 0
        rows = np.flatnonzero(met)
        self._place = np.full(2 * relations.count, len(rows), dtype=np.int32)
        self._place[rows] = np.arange(len(rows))
        self._gain = np.full((len(rows) + 1, size, size), -np.inf, dtype=np.float32)
        for first in range(size):
            said: dict[str, Floats] = {}
            self._gain[:, first, first] = 0.0
            for last in range(first + 1, size):
                unit = self.units[last - 1]
                for feature, row in fits[last - 1]:
                    brought = row[rows] * unit.weight
                    said[feature] = np.maximum(said[feature], brought) if feature in said else brought
                self._gain[:-1, first, last] = _sum(list(said.values()), len(rows))
                self._gain[-1, first, last] = 0.0
        self._gain[self._gain < BLANK_MIN] -= BLANK_COST
        best = [max((float(row.max(initial=0.0)) for _, row in found), default=0.0) for found in fits]
        weighed = [fit * unit.weight for fit, unit in zip(best, self.units, strict=True)]
        self.ahead = np.append(np.cumsum(weighed[::-1])[::-1], 0.0).astype(np.float32)
        """The most that the units from each on can bring."""

    def fit(self, at: int, row: int) -> float:
        """What one unit brings for one relation."""
        return max(0.0, float(self._gain[self._place[row], at, at + 1]))

    def value(self, rows: Sequence[int]) -> float:
        """What a path brings in all, before the cost of its relations."""
        brought = self.start()
        for row in rows:
            brought = self.extended(brought, [row])[0]
        return float(brought.max())

    def spans(self, rows: Sequence[int]) -> list[tuple[int, int]]:
        """Which units stand for each relation of a path, when they are shared out as well as can be."""
        brought, ways = self.start(), []
        for row in rows:
            sums = brought[:, None] + self._gain[self._place[row]]
            ways.append(sums.argmax(axis=0))
            brought = sums.max(axis=0)
        last = int(brought.argmax())
        found = []
        for way in reversed(ways):
            found.append((int(way[last]), last))
            last = int(way[last])
        return found[::-1]

    def clear(self, first: int, last: int, relations: Relations) -> list[int]:
        """The relations, read forward, of which units `first` to `last` say all or nearly all, and nothing else."""
        said: dict[str, Floats] = {}
        for unit in self.units[first:last]:
            for feature, row in relations.fits(unit):
                if feature != BY_VECTOR:
                    said[feature] = np.maximum(said[feature], row) if feature in said else row
        if not said:
            return []
        whole = np.sum([row[: relations.count] ** 2 for row in said.values()], axis=0)
        clear = [int(row) for row in np.flatnonzero(whole >= CLEAR_MIN)]
        heavy = [at for at in range(first, last) if self.units[at].weight > HINT_WEIGHT]
        return [row for row in clear if heavy and all(self.fit(at, row) > 0 for at in heavy)]

    def start(self) -> Floats:
        """What the empty path has brought when the units up to each are behind it."""
        return np.zeros(len(self.units) + 1, dtype=np.float32)

    def extended(self, brought: Floats, rows: Sequence[int]) -> Floats:
        """What a path has brought with one more relation, for each of some: (relations, units + 1)."""
        gain = self._gain[self._place[np.asarray(rows, dtype=np.int64)]]
        found: Floats = (brought[None, :, None] + gain).max(axis=1)
        return found


def _sum(rows: list[Floats], size: int) -> Floats:
    return np.sum(rows, axis=0, dtype=np.float32) if rows else np.zeros(size, dtype=np.float32)
