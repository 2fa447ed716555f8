"""The relations of a graph, and how well the words of a question fit each: by word, by stem, by concept, by vector."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from retrieval.index.names import kind_of
from retrieval.lexicon import INVERSE, WORDS
from retrieval.words import STOP, stem, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

FORWARD_ONLY: Final = 0.85
"""How well a word fits a relation that is read from its object, beside how well it fits the relation itself."""

STEM_FIT: Final = 0.95
PREFIX_FIT: Final = 0.8
"""How well words fit that have a stem in common, or a long beginning."""

VECTOR_WEIGHT_MIN: Final = 0.5
"""Units that weigh less are not compared by vector."""

_PREFIX_LETTERS_MIN: Final = 5
_CACHED: Final = 4096

FRAME: Final = "the {} of someone"
"""What a word and a relation's label are put into before they are compared: alone, they are too short to compare."""

BY_VECTOR: Final = "~"
"""The feature of a unit that was matched by its vector."""

NEAR_LOW: Final = 0.30
NEAR_SPAN: Final = 0.45
NEAR_FIT_MAX: Final = 0.75
NEAR_BEHIND: Final = 0.06
"""Vectors: a cosine of `NEAR_LOW` says nothing, `NEAR_SPAN` above it is as good as it gets; a relation that is this
far behind the nearest one is not meant."""


class Embed(Protocol):
    """Texts to rows of length one."""

    def __call__(self, texts: list[str], *, keep: bool = False) -> Floats:
        """`keep`: the rows will be asked for again after the next start."""


class Unit(NamedTuple):
    """One or more words of a question that stand for one thing."""

    text: str
    concepts: tuple[str, ...]
    weight: float


class Relations:
    """The relations of a graph. Row r of a fit is relation r read forward, row `count + r` read from its object."""

    def __init__(
        self,
        terms: Mapping[int, bytes],
        texts: Mapping[int, Sequence[str]],
        embed: Embed | None,
    ) -> None:
        """`texts`: what each relation is called, the best first. `embed`: rows of length one for texts."""
        self.terms = dict(terms)
        self.texts = {relation: tuple(texts[relation]) for relation in terms}
        self.count = max(terms, default=-1) + 1
        self.naming = {relation for relation, term in terms.items() if kind_of(term) is not None}
        """Those whose values are names: what a thing is called is no step of a path."""
        self._features: dict[str, list[tuple[int, float]]] = {}
        self._stems: dict[str, set[str]] = {}
        self._prefixes: dict[str, dict[str, set[str]]] = {}
        self._embed = embed
        self._vectors: tuple[list[int], Floats] | None = None
        self._fits: dict[str, list[tuple[str, Floats]]] = {}
        self._build()

    def _build(self) -> None:
        described = {r: [_features(text) for text in self.texts[r]] for r in self.terms if r not in self.naming}
        seen: dict[str, int] = {}
        for lists in described.values():
            for feature in {feature for some in lists for feature in some}:
                seen[feature] = seen.get(feature, 0) + 1
        for relation, lists in described.items():
            for some in lists:
                mass = {feature: math.log(1 + len(described) / seen[feature]) for feature in some}
                whole = sum(mass.values())
                for feature, share in mass.items():
                    self._features.setdefault(feature, []).append((relation, math.sqrt(share / whole)))
        for word, told in _spoken(text for r in described for text in self.texts[r]).items():
            self._stems.setdefault(stem(word), set()).update(told)
            if len(word) >= _PREFIX_LETTERS_MIN:
                self._prefixes.setdefault(word[:_PREFIX_LETTERS_MIN], {}).setdefault(word, set()).update(told)

    def knows(self, word: str) -> bool:
        """Whether a word is of a relation's label, or has its stem."""
        return stem(word) in self._stems

    def fits(self, unit: Unit) -> list[tuple[str, Floats]]:
        """How well a unit fits the relations: (feature, fit of each relation, forward and back) for each feature met.

        A fit is from 0 to 1. Two units that meet a relation by the same feature say the same thing of it.
        """
        self.prepare([unit])
        return self._fits[unit.text]

    def prepare(self, units: Iterable[Unit]) -> None:
        """Compare with all relations what was not compared before: at once, since vectors are cheaper by the dozen."""
        fresh = {unit.text: unit for unit in units if unit.text not in self._fits}
        if len(self._fits) + len(fresh) > _CACHED:
            self._fits.clear()
        found = {text: self._by_words(unit) for text, unit in fresh.items()}
        strange = [
            text
            for text, met in found.items()
            if fresh[text].weight >= VECTOR_WEIGHT_MIN and all(fit.max(initial=0.0) < PREFIX_FIT / 2 for _, fit in met)
        ]
        for text, met in self._by_vectors(strange).items():
            found[text] += met
        self._fits.update(found)

    def said_by(self, unit: Unit) -> float:
        """How well a unit fits the relation that it fits best, by its words alone."""
        return max((float(row.max()) for _, row in self._by_words(unit)), default=0.0)

    def _by_words(self, unit: Unit) -> list[tuple[str, Floats]]:
        met: dict[str, float] = {f"={concept}": 1.0 for concept in unit.concepts}
        for word in unit.text.split():
            for feature in self._stems.get(stem(word), ()):
                met[feature] = max(met.get(feature, 0.0), 1.0 if feature == word else STEM_FIT)
            for other, told in self._prefixes.get(word[:_PREFIX_LETTERS_MIN], {}).items():
                if other.startswith(word) or word.startswith(other):
                    met.update((feature, max(met.get(feature, 0.0), PREFIX_FIT)) for feature in told)
        found = []
        for feature, fit in met.items():
            row = self._row(feature, fit)
            if row is not None:
                found.append((feature, row))
        return found

    def _row(self, feature: str, fit: float) -> Floats | None:
        held = self._features.get(feature, ())
        other = INVERSE.get(feature[1:]) if feature[:1] == "=" else None
        back = self._features.get(f"={other}", ()) if other else held
        if not held and not back:
            return None
        row = np.zeros(2 * self.count, dtype=np.float32)
        for relation, share in held:
            row[relation] = max(row[relation], fit * share)
        for relation, share in back:
            row[self.count + relation] = max(row[self.count + relation], fit * share * FORWARD_ONLY)
        return row

    def _by_vectors(self, texts: list[str]) -> dict[str, list[tuple[str, Floats]]]:
        if not texts or self._embed is None:
            return {}
        if self._vectors is None:
            steps = [relation for relation in self.terms if relation not in self.naming]
            rows = (
                self._embed([FRAME.format(self.texts[relation][0]) for relation in steps], keep=True) if steps else None
            )
            self._vectors = (steps, np.zeros((0, 1), np.float32) if rows is None else rows)
        steps, rows = self._vectors
        if not steps:
            return {}
        found: dict[str, list[tuple[str, Floats]]] = {}
        for text, near in zip(texts, self._embed([FRAME.format(text) for text in texts]) @ rows.T, strict=True):
            fit = np.clip((near - NEAR_LOW) / NEAR_SPAN, 0.0, 1.0) * NEAR_FIT_MAX
            fit[near < near.max() - NEAR_BEHIND] = 0.0
            row = np.zeros(2 * self.count, dtype=np.float32)
            row[steps] = fit
            row[[self.count + relation for relation in steps]] = fit * FORWARD_ONLY
            if fit.any():
                found[text] = [(BY_VECTOR, row)]
        return found


def _spoken(texts: Iterable[str]) -> dict[str, list[str]]:
    """The words of labels, and the features that each stands for."""
    return {word: _of_word(word) for text in texts for word in words(text) if word not in STOP}


def _of_word(word: str) -> list[str]:
    concepts = WORDS.get(word)
    return [f"={concept}" for concept in concepts[:2]] if concepts else [word]


def _features(text: str) -> list[str]:
    """What a relation's label says: concepts (`=birth`) for words that have one, and the words themselves otherwise."""
    found = [feature for word in words(text) if word not in STOP for feature in _of_word(word)]
    return list(dict.fromkeys(found)) or words(text)
