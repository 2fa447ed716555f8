"""What people do to questions: typos, other names, other words. Made from a seed, the same every time.

- Typos: one edit in the name, two in a name of ten letters or more: a letter left out, doubled, replaced by one that
  is next to it on the keyboard, or swapped with the next one. The first letter stays.
- Aliases: every thing gets two in the graph (`skos:altLabel`): its first name as an initial, and its last word first.
  Half of the questions use one of them; the other half use a part of the name that the graph does not list, the
  shortest run of its words that no other thing has in its name.
- Paraphrases: frames and words for relations that are written down below, instead of the question's own.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bench.retrieval.pathquestion import Question, spoken

if TYPE_CHECKING:
    from collections.abc import Iterable

TWO_EDITS_FROM: Final = 10
"""Letters of a name that gets two edits."""

_KEYS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE: Final = {c: row[max(0, i - 1) : i] + row[i + 1 : i + 2] for row in _KEYS for i, c in enumerate(row)}
_SMALL: Final = frozenset(
    ["of", "the", "de", "von", "and", "di", "da", "du", "la", "le", "el", "i", "ii", "iii", "iv", "v", "vi"]
)

_SAID: Final = {
    "spouse": ("spouse", "partner in marriage", "wedded partner", "life companion"),
    "parents": ("parent", "progenitor", "mother or father", "biological parent"),
    "children": ("child", "descendant", "progeny", "son or daughter"),
    "gender": ("gender", "sex", "gender identity"),
    "nationality": ("nationality", "citizenship", "country of citizenship"),
    "profession": ("profession", "trade", "line of work", "calling"),
    "place_of_birth": ("birthplace", "place of birth", "city of birth", "birth location"),
    "place_of_death": ("place of death", "deathplace", "death location", "city of death"),
    "cause_of_death": ("cause of death", "reason of death", "fatal illness", "manner of death"),
    "religion": ("religion", "creed", "denomination", "religious affiliation"),
    "location": ("location", "whereabouts", "place of residence", "dwelling place"),
    "institution": ("institution", "employer", "workplace", "organisation"),
    "ethnicity": ("ethnicity", "ethnic group", "ethnic background", "ancestry"),
}
_FRAMES: Final = (
    "Please tell me the {of}.",
    "I would like to know the {of}",
    "Could you find out the {of}?",
    "do you know {s}",
    "Look up: {s}.",
    "{s}, please",
)


def typed(question: Question, seed: int) -> Question:
    """With typos in the name."""
    dice = random.Random(f"{seed} typo {question.text}")  # noqa: S311 - the same every time
    name = question.name
    for _ in range(2 if sum(map(str.isalpha, name)) >= TWO_EDITS_FROM else 1):
        name = _edited(name, dice)
    return replace(question, text=question.text.replace(question.name, name))


def _edited(name: str, dice: random.Random) -> str:
    at = dice.choice([i for i, c in enumerate(name) if c.isalpha() and i] or [0])
    kind = dice.choice(["drop", "double", "beside", "swap"])
    if kind == "drop":
        return name[:at] + name[at + 1 :]
    if kind == "double":
        return name[:at] + name[at] + name[at:]
    if kind == "swap" and at + 1 < len(name) and name[at + 1].isalpha():
        return name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    return name[:at] + dice.choice(_BESIDE.get(name[at], "e")) + name[at + 1 :]


def aliases(names: Iterable[str]) -> dict[str, list[str]]:
    """The aliases that stand in the graph: those that no other thing is called."""
    made = {name: _others(spoken(name).split()) for name in names}
    seen = Counter(other for others in made.values() for other in others) + Counter(map(spoken, made))
    return {name: [other for other in others if seen[other] == 1] for name, others in made.items()}


def _others(words: list[str]) -> list[str]:
    if len(words) < 2:  # noqa: PLR2004 - one word has no other order
        return []
    return [" ".join([words[0][0], *words[1:]]), " ".join([words[-1], *words[:-1]])]


class Renamed:
    """Questions that use other names."""

    def __init__(self, names: Iterable[str], seed: int) -> None:
        held = list(names)
        self.listed = aliases(held)
        self._seed = seed
        self._runs = Counter(run for name in held for run in set(_runs(spoken(name).split())))

    def question(self, question: Question) -> Question:
        """By an alias of the graph, or by a part of the name; as it is where the name has neither."""
        dice = random.Random(f"{self._seed} alias {question.text}")  # noqa: S311 - the same every time
        options = self.listed[question.subject]
        if dice.random() < 0.5 or not options:  # noqa: PLR2004 - half of them
            options = self._parts(question.subject) or options
        if not options:
            return question
        return replace(question, text=question.text.replace(question.name, dice.choice(options)))

    def _parts(self, name: str) -> list[str]:
        words = spoken(name).split()
        own = [r for r in _runs(words) if len(r) < len(words) and self._runs[r] == 1 and not _SMALL.issuperset(r)]
        shortest = min(map(len, own), default=0)
        return [" ".join(run) for run in own if len(run) == shortest]


def _runs(words: list[str]) -> list[tuple[str, ...]]:
    return [tuple(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)]


def reworded(question: Question, seed: int) -> Question:
    """In other words: the frame, and the words for the relations."""
    dice = random.Random(f"{seed} words {question.text}")  # noqa: S311 - the same every time
    said = [dice.choice(_SAID[relation]) for _, relation, _ in question.gold]
    of = " of the ".join(said[::-1]) + f" of {question.name}"
    possessive = f"{question.name}'s " + "'s ".join(said)
    return replace(question, text=dice.choice(_FRAMES).format(of=of, s=possessive))
