"""A text as a model may read it: folded, and with what hides words undone.

Whoever hides an instruction writes it in letters that look alike, apart, as digits, in reverse or encoded. Each view
undoes one of these; the plain view comes first.
"""

from __future__ import annotations

import codecs
import html
import re
import unicodedata
from base64 import b64decode
from binascii import Error
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

VIEW_CHARS_MAX: Final = 5_000
"""How much of a text is looked at, in characters: a prompt takes much less of it."""

_LINES: Final = re.compile(r"[\r\n\v\f\x85\u2028\u2029]+")
_MARKS: Final = re.compile("[\u0300-\u036f]")
_HIDDEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U000e0000-\U000e0fff]"
)
_TAGS: Final = range(0xE0020, 0xE007F)
_ALIKE: Final = str.maketrans(
    "авекмнорстухіїјѕԁԛԝһӏαβεζηικμνορτυχγωѵ",
    "abekmhopctyxiijsdqwhlabezhikmvoptuxywv",
)
_MIXED: Final = re.compile(r"(?=\w*[a-z])(?=\w*[\u0370-\u052f])\w+")
_LEET: Final = str.maketrans("013457@$!|", "oieastasil")
_LEET_WORD: Final = re.compile(r"(?=[\w@$!|]*[a-z])(?=[\w@$!|]*[013457@$!|])[\w@$!|]{3,}")
_APART: Final = re.compile(r"(?<!\w)(?:\w[ .\-_*,/|]{1,2}){6,}\w(?!\w)")
_APART_WIDE: Final = re.compile(r"(?<!\w)(?:\w[ .\-_*,/|]){2,}\w(?!\w)")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_\-]{16,}={0,2}")
_HEX: Final = re.compile(r"(?:(?:\\x|0x|%)?[0-9a-fA-F]{2}[\s,:]?){10,}")
_BINARY: Final = re.compile(r"(?:[01]{8}\s?){4,}")
_READABLE: Final = 0.9
_ROT: Final = re.compile(r"\b(?:vtaber|qvfertneq|sbetrg|vafgehpgvbaf?|cebzcg|flfgrz|erirny)\b")
_BACK: Final = re.compile(r"\b(?:erongi|dragersid|tegrof|snoitcurtsni|tpmorp|metsys|laever)\b")


def folded(text: str) -> str:
    """In lower case, on one line, without accents, full-width forms, hidden characters and letters that only look alike.

    Ends of lines become `|`.
    """
    text = _LINES.sub(" | ", text.strip())
    if not text.isascii():
        text = unicodedata.normalize("NFKD", _HIDDEN.sub("", untagged(text)))
        text = unicodedata.normalize("NFC", _MARKS.sub("", text))
    text = " ".join(text.casefold().split())
    return text if text.isascii() else _MIXED.sub(lambda word: word[0].translate(_ALIKE), text)


def untagged(text: str) -> str:
    """With tag characters, which nobody sees, as the ASCII that they stand for."""
    return "".join(chr(ord(char) - 0xE0000) if ord(char) in _TAGS else char for char in text)


def has_hidden_text(text: str) -> bool:
    """Whether a text has words that nobody sees: in tag characters."""
    tags = sum(ord(char) in _TAGS for char in text)
    return tags > 7 and not _is_flag(text, tags)  # noqa: PLR2004 - flags of countries' parts have up to seven


def _is_flag(text: str, tags: int) -> bool:
    return text.count("\N{WAVING BLACK FLAG}") * 6 >= tags


def views(text: str) -> Iterator[tuple[str, bool]]:
    """Folded texts to look at, the plain one first, each with whether something hid it."""
    text = text[:VIEW_CHARS_MAX]
    plain = folded(text)
    yield plain, False
    if _LEET_WORD.search(plain):
        yield _LEET_WORD.sub(lambda word: word[0].translate(_LEET), plain), True
    if _APART.search(plain):
        yield _APART_WIDE.sub(lambda run: re.sub(r"[^\w]", "", run[0]), plain), True
    if _ROT.search(plain):
        yield codecs.decode(plain, "rot13"), True
    if _BACK.search(plain):
        yield plain[::-1], True
    unescaped = _unescaped(text)
    if unescaped != text:
        yield folded(unescaped), True


def decoded(text: str) -> Iterator[str]:
    """What is encoded in a text (base64, hexadecimal, binary) and reads as text when decoded."""
    text = text[:VIEW_CHARS_MAX]
    for found in _BASE64.finditer(text):
        run = found[0].rstrip("=").translate(str.maketrans("-_", "+/"))
        try:
            yield from _readable(b64decode(run + "=" * (-len(run) % 4)))
        except (Error, ValueError):
            continue
    for found in _HEX.finditer(text):
        digits = re.sub(r"\\x|0x|[^0-9a-fA-F]", "", found[0])
        yield from _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))
    for found in _BINARY.finditer(text):
        bits = found[0].split() if " " in found[0] else re.findall("[01]{8}", found[0])
        yield from _readable(bytes(int(one, 2) for one in bits if len(one) == 8))  # noqa: PLR2004 - bits of a byte


def _readable(data: bytes) -> Iterator[str]:
    """Decoded bytes, where they are words of a text: letters and at least one space."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    letters = sum(char.isalpha() or char in " .,'!?:" for char in text)
    if " " in text.strip() and letters >= _READABLE * len(text):
        yield text


def _unescaped(text: str) -> str:
    if "&" in text:
        text = html.unescape(text)
    if "%" in text:
        text = unquote(text, errors="replace")
    if "\\u" in text:
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    return text
