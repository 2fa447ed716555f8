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
from typing import Final


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


_MODEL: Final = r"(?:ai|a\.i\.|llms?|gpt|chatgpt|claude|gemini|copilot|language models?|chat ?bots?|assistants?|agents?|models?|bots?)"
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
    "(?:ignore|disregard|forget|bypass|override)(?:all|any|the|your|my|every|these|those)*"
    "(?:previous|prior|above|earlier|other|instruction|rule|fact|prompt|system|guideline)"
    "|systemprompt|youarenow|doanythingnow|previousinstructions|newinstructions|developermode|answerpwned|saypwned"
)
"""Over text whose spaces cannot be trusted: without any."""


@lru_cache(maxsize=1)
def _rules() -> tuple[tuple[Kind, re.Pattern[str]], ...]:
    lines = Path(__file__).with_name("rules.tsv").read_text(encoding="utf-8").splitlines()
    return tuple(_rule(*line.split("\t")) for line in lines if line and not line.startswith("#"))


def _rule(kind: str, pattern: str, thing: str | None = None) -> tuple[Kind, re.Pattern[str]]:
    if thing is not None:
        pattern = f"(?:{pattern}).{{0,{_NEAR}}}?(?:{thing})|(?:{thing}).{{0,{_NEAR // 2}}}?(?:{pattern})"
    for name, stands_for in (("{model}", _MODEL), ("{start}", _START), ("{say}", _SAY)):
        pattern = pattern.replace(name, stands_for)
    return Kind(kind), re.compile(pattern)


def first(text: str, *, bold: bool = False) -> Kind | None:
    """The kind of the first rule that a folded text matches. `bold`: only of kinds that are wrong in a question too."""
    return next((kind for kind, rule in _rules() if (not bold or kind in _BOLD) and rule.search(text)), None)


def squeezed(text: str) -> bool:
    """Whether a folded text says to override what was said, if its spaces are taken out."""
    return _SQUEEZED.search(re.sub(r"[\W_]+", "", text)) is not None
