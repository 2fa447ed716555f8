"""A scanner for instructions to a model that hide in text which should be data (docs/policy.md, "Text safety").

Three things are asked, in this order: whether words are hidden or encoded; whether rules match
(`retrieval.safety.rules`); and, for each sentence, whether a linear model over its words takes it for something to do
(`retrieval.safety.linear`).
It is a filter, not a proof: its rates, measured on text that it was not made from, are in docs/policy.md. What it lets
through still stands in the prompt as cleaned, fenced data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from retrieval.safety.cleaning import RAW_CHARS_MAX, visible
from retrieval.safety.linear import score
from retrieval.safety.rules import Kind, first, squeezed
from retrieval.safety.terms import namespace_words, texts_of
from retrieval.safety.views import VIEW_CHARS_MAX, decoded, folded, has_hidden_text, is_morse, views

SENTENCES_MAX: Final = 60
"""Most sentences of a text that the linear model looks at."""

THRESHOLD: Final = -1.0
"""Of the linear model's score (a log-odds), above which a sentence is taken for something to do: the lowest of whole
and half numbers at which none of 8,000 texts that it was trained on is."""

KEPT_CHARS_MAX: Final = 500
"""Longest text whose finding is kept, in characters: of all that are kept, half a hundred megabytes at most."""

_LINES: Final = re.compile(r"[\n\r\v\f\x85\u2028\u2029]+")
_SENTENCE: Final = re.compile(
    r"(?<=[.!?;:\u3002\uff01\uff1f])\s+|[\n\r]+|\s[-\u2013\u2014|]\s|(?<=[\u3002\uff01\uff1f])"
)
_DEPTH: Final = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """That a text looks like an instruction. It does not hold the text."""

    kind: Kind
    hidden: bool = False
    """Whether it was disguised: encoded, reversed, in letters that look alike or that are not seen."""


def looks_like_instruction(text: str) -> Finding | None:
    """What a text from a knowledge graph has in it that is addressed to a model; None for plain data.

    Questions and tasks are findings too: in data nobody asks anything. For a user's question see
    `overrides_instructions`.
    """
    return _kept(text) if len(text) <= KEPT_CHARS_MAX else _scanned(text, bold=False, depth=0)


def instruction_in(term: bytes) -> Finding | None:
    """What a term has in it that is addressed to a model; None for plain data.

    The namespace of an IRI is an address and no sentence, and is not shown: there only what rules know is a finding.
    """
    address = namespace_words(term)
    for text in texts_of(term):
        found = looks_like_instruction(text) if text != address else _address(text)
        if found is not None:
            return found
    return None


@lru_cache(maxsize=4_096)
def _address(text: str) -> Finding | None:
    return _scanned(text, bold=False, depth=0, spoken=False)


def overrides_instructions(text: str) -> Finding | None:
    """What a user's question has in it that would change what the model was told; a task or a form of answer is not."""
    return _scanned(text, bold=True, depth=0)


@lru_cache(maxsize=32_768)
def _kept(text: str) -> Finding | None:
    return _scanned(text, bold=False, depth=0)


def _scanned(text: str, *, bold: bool, depth: int, spoken: bool = True) -> Finding | None:
    """What is found in the text as it is cleaned for a prompt: line by line, and on one line, as it will stand there.

    Whatever `clean` takes away is taken away first, or it could keep rules from seeing what is shown.
    """
    text = text[:RAW_CHARS_MAX]
    if has_hidden_text(text):
        return Finding(Kind.ENCODED, hidden=True)
    lines = "\n".join(filter(None, map(visible, _LINES.split(text))))
    for one in dict.fromkeys((lines[:VIEW_CHARS_MAX], visible(text)[:VIEW_CHARS_MAX])):
        found = _looked_at(one, bold=bold, depth=depth, spoken=spoken)
        if found is not None:
            return found
    return None


def _looked_at(text: str, *, bold: bool, depth: int, spoken: bool) -> Finding | None:
    if is_morse(text):
        return Finding(Kind.ENCODED, hidden=True)
    for view, hidden in views(text):
        kind = first(view, bold=bold)
        if kind is not None:
            return Finding(kind, hidden)
        if hidden and squeezed(view):
            return Finding(Kind.OVERRIDE, hidden=True)
    if squeezed(folded(text)):
        return Finding(Kind.OVERRIDE)
    if depth < _DEPTH:
        for inner in decoded(text):
            found = _scanned(inner, bold=bold, depth=depth + 1)
            if found is not None or not bold:
                return Finding(Kind.ENCODED if found is None else found.kind, hidden=True)
    if spoken and not bold and any(score(one) > THRESHOLD for one in sentences(text)):
        return Finding(Kind.TASK)
    return None


def sentences(text: str) -> list[str]:
    """The sentences of a text, roughly; each that has words."""
    return [one for one in (part.strip() for part in _SENTENCE.split(text)[:SENTENCES_MAX] if part) if one]
