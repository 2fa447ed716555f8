"""From the words of a question to the things it names: exactly, with typos, by part of a name, by any word at all.

The longest names win, since a question that says "New York Times" does not mean York. Which of several things of one
name is meant, the paths decide (`retrieval.expand`), so all of them are kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rapidfuzz.distance import OSA

from retrieval.index.schema import ALIAS, LABEL, TEXT
from retrieval.lexicon import HINTS, PHRASE_WORDS_MAX, PHRASES, WORDS
from retrieval.words import STOP, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from retrieval.index import KnowledgeIndex
    from retrieval.index.names import Name

WORDS_MAX: Final = 64
"""Words of a question that are looked at; the rest is cut off, with a note."""

SPAN_WORDS_MAX: Final = 12
"""Words of a name that is looked up as it stands."""

MENTIONS_MAX: Final = 24
"""Things that one question is taken to name."""

SAME_NAME_MAX: Final = 16
"""Things of one name that are kept: those of which most is said."""

PART_MIN: Final = 0.55
"""How much of a name's weight must be said, if only a part of it is."""

RARE_NAMES: Final = 8
"""A word that so few names have tells which is meant, however little of the name it is."""

_TOGETHER_MIN: Final = 2  # words of a name in a row tell which is meant, too

_NEAR_NAMES: Final = 60  # names that are compared by edits
_PART_FIT: Final = 0.9  # a part of a name is no better than this
_ALIAS_FIT: Final = 0.99
_TEXT_FIT: Final = 0.9
_LETTERS_MIN: Final = 3
_LETTERS_OF_ONE, _LETTERS_OF_TWO, _LETTERS_OF_THREE = 4, 10, 20


@dataclass(frozen=True, slots=True)
class Mention:
    """A thing that a question names, and where."""

    node: int
    first: int
    """Its first word in the question."""
    last: int
    """One past its last word."""
    fit: float
    """From 0 to 1: how well the name fits the words."""
    weight: float
    """How much of the question it explains."""
    how: str
    """`linked`, `spelling`, `part` or `text`."""


@dataclass(frozen=True, slots=True)
class Linked:
    """The words of a question and what it names."""

    words: tuple[str, ...]
    mentions: tuple[Mention, ...]
    cut: bool
    """The question had more words than are looked at."""


def link(index: KnowledgeIndex, question: str) -> Linked:
    """The things that a question names, the best first."""
    said = words(question)
    cut = len(said) > WORDS_MAX
    said = said[:WORDS_MAX]
    found = _things(index, _exact(index, said))
    covered = {at for one in found for at in range(one.first, one.last)}
    covered |= _in_phrases(said)
    strange = [
        at for at, word in enumerate(said) if at not in covered and word not in STOP and not _ordinary(index, word)
    ]
    if strange or not found:
        found = _things(index, _best([*found, *_near(index, said, strange)]))
    return Linked(tuple(said), tuple(found[:MENTIONS_MAX]), cut)


def _things(index: KnowledgeIndex, found: list[Mention]) -> list[Mention]:
    """Without relations, which are things too where the graph has labels for them, unless nothing else is named."""
    terms = index.terms([one.node for one in found])
    relations = set(index.relations.terms.values())
    return [one for one in found if terms.get(one.node) not in relations] or found


def _ordinary(index: KnowledgeIndex, word: str) -> bool:
    """Whether a word has a place in a question without naming a thing."""
    return word in WORDS or word in HINTS or index.relations.knows(word)


def _in_phrases(said: list[str]) -> set[int]:
    """The places of words that are part of an expression for a relation."""
    spans = ((first, last) for last in range(len(said) + 1) for first in range(max(0, last - PHRASE_WORDS_MAX), last))
    return {at for first, last in spans if " ".join(said[first:last]) in PHRASES for at in range(first, last)}


def weight_of(said: list[str]) -> float:
    """How much the words of a name explain: names of several words are seldom meant by chance."""
    content = sum(word not in STOP and len(word) > 1 for word in said)
    return 0.5 + 0.5 * content if content else 0.1


def _exact(index: KnowledgeIndex, said: list[str]) -> list[Mention]:
    spans = {
        (first, last): "".join(said[first:last])
        for first in range(len(said))
        for last in range(first + 1, min(len(said), first + SPAN_WORDS_MAX) + 1)
        if not all(word in STOP for word in said[first:last])
    }
    named = index.called(spans.values())
    found: list[Mention] = []
    taken: set[int] = set()
    for (first, last), squeezed in sorted(spans.items(), key=lambda item: (-len(item[1]), item[0])):
        if squeezed not in named or taken.intersection(range(first, last)):
            continue
        if last - first == 1 and len(squeezed) < _LETTERS_MIN:
            continue
        taken.update(range(first, last))
        alike = sorted(named[squeezed], key=lambda one: (one[0], -index.edges.degree(one[1]), one[1]))
        for kind, node in alike[:SAME_NAME_MAX]:
            fit = {LABEL: 1.0, ALIAS: _ALIAS_FIT, TEXT: _TEXT_FIT}.get(kind, 1.0)
            found.append(Mention(node, first, last, fit, fit * weight_of(said[first:last]), "linked"))
    return found


def _near(index: KnowledgeIndex, said: list[str], strange: list[int]) -> list[Mention]:
    """Names with typos, and names of which a part is said. `strange`: words that nothing explains so far."""
    vocabulary = index.vocabulary
    meant: dict[str, list[int]] = {}
    for at, word in enumerate(said):
        if word in STOP or (word in WORDS and at not in strange):
            continue
        options = [word] if word in vocabulary.names else vocabulary.meant(word) if at in strange else []
        for option in options:
            meant.setdefault(option, []).append(at)
    names = index.with_words(meant, _NEAR_NAMES)
    total = sum(vocabulary.names.values()) + 1

    def mass(word: str) -> float:
        return 0.1 if word in STOP else math.log(total / vocabulary.names.get(word, 1))

    alike = (_alike(name, said, meant, vocabulary.names, mass) for name in names)
    found = [mention for mention in alike if mention is not None]
    lone = set(strange)
    return [one for one in found if lone.intersection(range(one.first, one.last)) or not strange]


def _alike(
    name: Name, said: list[str], meant: dict[str, list[int]], names: dict[str, int], mass: Callable[[str], float]
) -> Mention | None:
    """How a name is said in a question, if it is: nearly letter by letter, or by those of its words that tell most."""
    own = name.norm.split()
    if name.kind == TEXT and len(own) > SPAN_WORDS_MAX:
        return None
    places = sorted({at for word in own for at in meant.get(word, ())})
    if not places:
        return None
    best: Mention | None = None
    letters = "".join(own)
    for first, last in _windows(places, len(own), len(said)):
        edits = OSA.distance(letters, "".join(said[first:last]), score_cutoff=edits_max(len(letters)))
        fit = 1 - edits / len(letters)
        if edits <= edits_max(len(letters)) and (best is None or fit > best.fit):
            best = Mention(name.node, first, last, fit, fit * fit * weight_of(own), "spelling")
    if best is not None or name.kind == TEXT:
        return best
    run = _run(places)
    told = [word for word in dict.fromkeys(own) if word in meant and word not in STOP]
    fit = sum(map(mass, told)) / sum(map(mass, own))
    rare = min((names.get(word, 0) for word in told), default=RARE_NAMES + 1)
    if fit < PART_MIN and (rare <= RARE_NAMES or _said_together(own, said, run)):
        fit = PART_MIN
    if fit < PART_MIN:
        return None
    fit *= _PART_FIT
    return Mention(name.node, run[0], run[-1] + 1, fit, fit * weight_of(said[run[0] : run[-1] + 1]), "part")


def edits_max(letters: int) -> int:
    """How many typos a name of so many letters may have."""
    return (
        0 if letters < _LETTERS_OF_ONE else 1 if letters < _LETTERS_OF_TWO else 2 if letters < _LETTERS_OF_THREE else 3
    )


def _said_together(own: list[str], said: list[str], run: list[int]) -> bool:
    """Whether two or more telling words of a name stand in the question as they stand in the name."""
    part = said[run[0] : run[-1] + 1]
    if sum(word not in STOP for word in part) < _TOGETHER_MIN:
        return False
    return any(own[at : at + len(part)] == part for at in range(len(own) - len(part) + 1))


def _windows(places: list[int], length: int, end: int) -> list[tuple[int, int]]:
    """Stretches of about `length` words around words that a name has."""
    found = set()
    for size in (length - 1, length, length + 1):
        for at in (places[0], places[-1]):
            for first in range(max(0, at - size + 1), at + 1):
                if size > 0 and first + size <= end:
                    found.add((first, first + size))
    return sorted(found)


def _run(places: list[int]) -> list[int]:
    """The longest stretch of places that are next to each other, or nearly."""
    best: list[int] = []
    run = [places[0]]
    for at in places[1:]:
        if at - run[-1] > 2:  # noqa: PLR2004 - one word between: "Duke of Kent"
            best, run = max(best, run, key=len), []
        run.append(at)
    return max(best, run, key=len)


def _best(mentions: list[Mention]) -> list[Mention]:
    """Those that explain most, of those that lie over each other; equally good ones are all kept."""
    kept: list[Mention] = []
    for one in sorted(mentions, key=lambda m: (-m.weight, m.first, m.node)):
        over = [m for m in kept if m.first < one.last and one.first < m.last]
        if all(one.weight >= m.weight * _NEARLY for m in over) and len(over) < SAME_NAME_MAX:
            kept.append(one)
    return kept


_NEARLY: Final = 0.9
"""A mention that explains so much less than one over the same words is not meant."""
