"""Rules of the scanner: what is written to a model and hardly ever to people, by kind, over folded text.

They are lines of `rules.tsv`: a kind and a regular expression, or for an override a verb and an object in one language.
None nests one repetition in another, and gaps are bounded, so their time is bounded by the text's length, which
`retrieval.safety.views` caps.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple


class Kind(StrEnum):
    """What gives an instruction away."""

    OVERRIDE = "override"
    """It says to ignore or forget what was said before."""
    PERSONA = "persona"
    """It makes the model somebody else."""
    REVEAL = "reveal"
    """It asks for the prompt, for secrets, or to send something somewhere."""
    TURN = "turn"
    """It pretends to be a turn of the conversation, or the end of the data."""
    ANSWER = "answer"
    """It says how to answer."""
    TASK = "task"
    """It gives the model something to do."""
    ENCODED = "encoded"
    """It hides words: encoded, or in characters that are not seen."""


_MODEL: Final = (
    r"(?:ai|a\.i\.|llms?|gpt|chatgpt|claude|gemini|copilot|language models?|chat ?bots?|assistants?|agents?|models?"
    r"|bots?)"
)
_START: Final = (
    r"(?:^|[.!?;:\"'(\]>*\-|] *"
    r"|\b(?:please|now|then|and|also|first|instead|just|must|should|bitte|por favor) )"
)
_SAY: Final = (
    r"(?:reveal|show|print|repeat|output|display|leak|tell|give|expose|dump|share|list|send|provide|write|recite|copy|"
    r"disclose|summarize|encode|translate)"
)
"""What stands for `{model}`, `{start}` (of a sentence) and `{say}` in rules.tsv."""

_NEAR: Final = 60
"""How many characters may be between a verb and its object; half as many where the object comes first."""

_BOLD: Final = {Kind.OVERRIDE, Kind.PERSONA, Kind.REVEAL, Kind.TURN}
"""Kinds that are wrong in a question too, which may say how to answer and what to do."""

_SQUEEZED: Final = re.compile(
    "(?:ignore|disregard|forget|bypass|override)"
    "(?:all|any|the|your|my|every|these|those|previous|prior|above|earlier|other)*"
    "(?:instruction|rule|fact|prompt|system|guideline|context)"
    "|systemprompt|youarenow|doanythingnow|(?:previous|prior|new)instructions|developermode|answerpwned|saypwned"
)
"""Over text whose spaces cannot be trusted: without any."""


class Rule(NamedTuple):
    """A rule, and strings of which every match has one."""

    kind: Kind
    pattern: re.Pattern[str]
    needs: tuple[str, ...]


def pattern_of(pattern: str, thing: str = "") -> str:
    """A rule's regular expression from what rules.tsv has of it."""
    if thing:
        pattern = f"(?:{pattern}).{{0,{_NEAR}}}?(?:{thing})|(?:{thing}).{{0,{_NEAR // 2}}}?(?:{pattern})"
    for name, stands_for in (("{model}", _MODEL), ("{start}", _START), ("{say}", _SAY)):
        pattern = pattern.replace(name, stands_for)
    return pattern


def lines() -> list[list[str]]:
    """The lines of rules.tsv: kind, pattern, object of an override or nothing."""
    text = Path(__file__).with_name("rules.tsv").read_text(encoding="utf-8")
    return [(line + "\t").split("\t")[:3] for line in text.splitlines() if line and not line.startswith("#")]


@lru_cache(maxsize=1)
def _rules() -> tuple[tuple[Rule, ...], dict[str, list[tuple[str, int]]]]:
    """The rules in order, and by the first letters of what they need, which of them need it."""
    needs = Path(__file__).with_name("needs.tsv").read_text(encoding="utf-8").splitlines()
    rules = tuple(
        Rule(Kind(kind), re.compile(pattern_of(pattern, thing)), tuple(need.split("\t")))
        for (kind, pattern, thing), need in zip(lines(), needs, strict=True)
    )
    index: dict[str, list[tuple[str, int]]] = {}
    for at, rule in enumerate(rules):
        for need in rule.needs:
            index.setdefault(need[:2], []).append((need, at))
    return rules, index


def first(text: str, *, bold: bool = False) -> Kind | None:
    """The kind of the first rule that a folded text matches. `bold`: only of kinds that are wrong in a question too."""
    rules, index = _rules()
    pairs = {text[at : at + 2] for at in range(len(text) - 1)}.union(text)
    possible = {at for pair in pairs & index.keys() for need, at in index[pair] if need in text}
    for at in sorted(possible):
        rule = rules[at]
        if (not bold or rule.kind in _BOLD) and rule.pattern.search(text):
            return rule.kind
    return None


def squeezed(text: str) -> bool:
    """Whether a folded text says to override what was said, if its spaces are taken out."""
    return _SQUEEZED.search(re.sub(r"[\W_]+", "", text)) is not None
