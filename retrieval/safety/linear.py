"""A linear model over the words of one sentence: whether it is something to do, or something that is.

Features are hashed; the weights, one signed byte each, are `weights.bin`, which `python -m bench.retrieval.scanner
train` writes. The model is small on purpose: it is asked of every text of every fact.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zlib import crc32

from retrieval.safety.views import folded

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKETS: Final = 1 << 14
"""How many weights there are."""

WORDS_MAX: Final = 40
"""Most words of a sentence that are looked at."""

SCALE: Final = 24.0
"""Weights are stored as this many times their value, rounded."""

_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?|\d+|[?!:,\"()@/#*=<>\[\]{}]")
_POLITE: Final = {"please", "kindly", "now", "also", "then", "and", "so", "just", "first", "next", "finally", "bitte"}
_ASKING: Final = {
    "what", "who", "whom", "whose", "when", "where", "why", "how", "which", "is", "are", "was", "were", "do", "does",
    "did", "can", "could", "would", "should", "will", "have", "has", "what's", "who's", "how's", "where's",
}  # fmt: skip
_YOURS: Final = {"you", "your", "yours", "yourself", "you're", "you'll"}
_MINE: Final = {"me", "my", "i", "us", "our"}
_OUTPUTS: Final = {
    "answer", "answers", "response", "responses", "reply", "replies", "output", "outputs", "message", "text",
    "sentence", "sentences", "paragraph", "words", "word", "letters", "letter", "summary", "essay", "poem", "story",
    "article", "email", "code", "list", "explanation", "example", "examples",
}  # fmt: skip
IMPERATIVES: Final = frozenset(Path(__file__).with_name("imperatives.txt").read_text(encoding="utf-8").split())
"""Verbs with which tasks begin."""


def features(sentence: str) -> Iterator[str]:
    """What a sentence has, each feature once or more. Also what it is trained on."""
    text = folded(sentence)
    words = ["0" if word.isdigit() else word for word in _WORD.findall(text)[:WORDS_MAX]]
    start = next((at for at, word in enumerate(words) if word not in _POLITE), 0)
    body = words[start:]
    if not body:
        return
    asks, commands = body[0] in _ASKING, body[0] in IMPERATIVES
    yield "bias"
    yield f"length:{min(len(body), 12)}"
    for word in dict.fromkeys(words):
        yield "w:" + word
    for one, two in pairwise(body):
        yield f"b:{one} {two}"
    yield "f:" + body[0]
    yield "p:" + body[0][:4]
    yield f"f2:{' '.join(body[:2])}"
    yield "e:" + body[-1]
    if not text[-1].isalnum():
        yield "end:" + text[-1]
    have = set(words)
    flags = {
        "command": commands,
        "ask": asks and "?" in have,
        "yours": not have.isdisjoint(_YOURS),
        "mine": not have.isdisjoint(_MINE),
        "output": not have.isdisjoint(_OUTPUTS),
    }
    on = [name for name, is_on in flags.items() if is_on]
    for name in on:
        yield "is:" + name
    for one in on:
        for two in on:
            if one < two:
                yield f"both:{one} {two}"
    if commands:
        yield f"command:{body[1] if len(body) > 1 else ''}"
        yield f"command-length:{min(len(body), 8)}"


def buckets(sentence: str) -> list[int]:
    """The numbers of a sentence's weights."""
    return [crc32(one.encode()) % BUCKETS for one in features(sentence)]


@lru_cache(maxsize=1)
def _weights() -> memoryview:
    return memoryview(Path(__file__).with_name("weights.bin").read_bytes()).cast("b")


def score(sentence: str) -> float:
    """Log-odds that a sentence is something to do; below zero for what is data. One word is no sentence."""
    if " " not in sentence.strip():
        return -math.inf
    weights = _weights()
    found = buckets(sentence)
    return sum(weights[at] for at in found) / SCALE if found else -math.inf
