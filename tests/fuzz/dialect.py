"""The same query in other words: case of keywords, `$x`, BASE, other quotes, escapes, white space, comments."""

from __future__ import annotations

import random

from tests.fuzz.vocabulary import PREFIX
from tests.oracle import TOKEN

_GAPS = (" ", "\n", "\t", "  ", " # ' \" <\n", "\r\n")


def spoken(text: str, seed: int) -> str:
    """Return a query that means the same as `text`, told apart by the seed."""
    rng = random.Random(seed)
    based = rng.random() < 0.4 and "PREFIX" not in text
    words: list[str] = []
    depth = 0
    for match in TOKEN.finditer(text):
        kind, token = match.lastgroup, match.group()
        depth += {"{": 1, "}": -1}.get(token, 0)
        if words and words[-1].startswith("#"):
            words.append(token)  # the end of the line ends the comment
            continue
        words.append(_token(rng, kind, token, based=based, inside=depth > 0))
    return (f"BASE <{PREFIX}> " if based else "") + "".join(words)


def _token(rng: random.Random, kind: str | None, token: str, *, based: bool, inside: bool) -> str:
    if kind == "skip":
        return rng.choice(_GAPS) if rng.random() < 0.3 else token
    if kind == "word" and token.isalpha() and token not in ("true", "false", "a"):
        return rng.choice((token, token.lower(), token.capitalize()))
    if kind == "variable" and rng.random() < 0.3:
        return f"${token[1:]}"
    if kind == "iri":
        if based and token.startswith(f"<{PREFIX}") and rng.random() < 0.7:
            return f"<{token[len(PREFIX) + 1 :]}"
        return _escaped(rng, token) if inside else token
    if kind == "string" and token[1:2] != token[:1]:
        return _requoted(rng, token)
    return token


def _requoted(rng: random.Random, token: str) -> str:
    body = token[1:-1]
    if "\\" in body or '"' in body or "'" in body:
        return token
    quote = rng.choice(("'", '"', "'''", '"""'))
    return quote + _escaped(rng, body) + quote


def _escaped(rng: random.Random, text: str) -> str:
    """Replace a letter by its code point escape, now and then."""
    spots = [i for i, letter in enumerate(text) if letter.isalnum()]
    if not spots or rng.random() < 0.8:
        return text
    at = rng.choice(spots)
    return f"{text[:at]}\\{rng.choice(('u%04X', 'u%04x', 'U%08x')) % ord(text[at])}{text[at + 1 :]}"
