"""A text as a model may read it: folded, and with what hides words undone.

Whoever hides an instruction writes it in letters that look alike, apart, as digits, in reverse or encoded. Each view
undoes one of these; the plain view comes first.
"""

from __future__ import annotations

import codecs
import html
import re
import unicodedata
from base64 import a85decode, b32decode, b64decode, b85decode
from binascii import Error
from string import ascii_lowercase
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VIEW_CHARS_MAX: Final = 2_000
"""How much of a text is looked at, in characters: a prompt takes much less of it."""

CARRIERS_MAX: Final = 16
"""From so many invisible characters on, which no script needs, a text is taken to spell something with them."""

_CARRIERS: Final = re.compile("[\u200b\u2060-\u2064\ufeff\U000e0100-\U000e01ef]|(?<=[\ufe00-\ufe0f])[\ufe00-\ufe0f]")
_LINES: Final = re.compile(r"[\r\n\v\f\x85\u2028\u2029]+")
_MARKS: Final = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
_HIDDEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U000e0000-\U000e0fff]"
)
_TAGS: Final = range(0xE0020, 0xE007F)
_ALIKE: Final = str.maketrans(
    "авекмнорстухіїјѕԁԛԝһӏαβεζηικμνορτυχγωѵ",
    "abekmhopctyxiijsdqwhlabezhikmvoptuxywv",
) | str.maketrans(
    "\u0578\u057d\u0570\u0566\u0581\u0575\u0585\u13aa\u13f4\u13df\u13a0\u13ac\u13c0\u13bb\u13a5\u13ab\u13e6\u13de\u13b7\u13e2"
    "\u13a1\u13da\u13a2\u13d9\u13b3\u13c3",
    "nuhqgjoabcdeghijklmprstvwz",
)
"""Cyrillic, Greek, Armenian and Cherokee."""

_SMALL: Final = str.maketrans(
    "\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f\u1d0d\u0274\u1d0f\u1d18\u01eb\u0280\ua731"
    "\u1d1b\u1d1c\u1d20\u1d21\u028f\u1d22",
    "abcdefghijklmnopqrstuvwyz",
) | {first + at: letter for first in (0x1F150, 0x1F170, 0x1F1E6) for at, letter in enumerate(ascii_lowercase)}
"""Small capitals, letters in black circles and squares, and those that make flags."""

_OTHER_LETTER: Final = re.compile("[\u0370-\u0587\u13a0-\u13fd]")
_LEET: Final = str.maketrans("013457@$!|", "oieastasil")
_LEET_END: Final = str.maketrans("013457@$", "oieastas")
_LEET_SIGN: Final = re.compile(r"[013457@$!|]")
_LETTER: Final = re.compile(r"[a-z]")
_WORD_CHARS_MAX: Final = 60
_APART: Final = re.compile(r"(?<!\w)(?:\w[ .\-_*,/|]{1,2}){6,}\w(?!\w)")
_APART_WIDE: Final = re.compile(r"(?<!\w)(?:\w[ .\-_*,/|]){2,}\w(?!\w)")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_\-]{16,}={0,2}")
_ENCODED: Final = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_HEX: Final = re.compile(r"(?:(?:\\x|0x|%)?[0-9a-fA-F]{2}[\s,:]?){10,}")
_BINARY: Final = re.compile(r"(?:[01]{8}\s?){4,}")
_READABLE: Final = 0.9
_ROT: Final = re.compile(r"\b(?:gur|naq|vafgehpgvbaf?|cebzcg|vtaber)\b")
_MIRRORED: Final = re.compile(r"\b(?:gsv|zmw|rmhgifxgrlmh?|kilnkg|rtmliv)\b")
_BACK: Final = re.compile(r"\b(?:eht|dna|snoitcurtsni|tpmorp|erongi)\b")
"""The, and, instructions, prompt, ignore: in ROT13, in Atbash, and backwards."""

_ATBASH: Final = str.maketrans(ascii_lowercase, ascii_lowercase[::-1])
_MORSE: Final = re.compile(r"(?:[.\-\u2022\u2212\u2013]{1,6}[ /|]{1,3}){12,}")
_OPAQUE: Final = re.compile(r"\S{20,}")
_CODES: Final = re.compile(r"(?:\b(?:3[2-9]|[4-9][0-9]|1[01][0-9]|12[0-6])\b[\s,;]*){10,}")
_WORDS: Final = re.compile(r"\b[a-z]{5,14}\b")
_SCRAMBLED: Final = {
    (word[0], "".join(sorted(word[1:-1])), word[-1]): word
    for word in (
        "ignore", "disregard", "forget", "override", "bypass", "previous", "prior", "above", "instructions",
        "instruction", "system", "prompt", "reveal", "rules", "guidelines", "secret", "password", "answer", "respond",
        "restrictions", "developer", "assistant", "pretend", "following", "context",
    )
}  # fmt: skip


def folded(text: str) -> str:
    """In lower case, on one line, without accents, full-width forms, hidden characters and letters that look alike.

    Ends of lines become `|`.
    """
    text = _LINES.sub(" | ", text.strip())
    if not text.isascii():
        text = unicodedata.normalize("NFKD", _HIDDEN.sub("", untagged(text))).translate(_SMALL)
        text = unicodedata.normalize("NFC", _MARKS.sub("", text))
    text = " ".join(text.casefold().split())
    return text if text.isascii() else " ".join(map(_one_script, text.split(" ")))


def _one_script(word: str) -> str:
    """A word of two scripts in Latin letters that look the same."""
    return word.translate(_ALIKE) if _LETTER.search(word) and _OTHER_LETTER.search(word) else word


def _lettered(word: str) -> str:
    """A word of letters and digits in the letters that the digits look like."""
    if len(word) > _WORD_CHARS_MAX or not _LETTER.search(word) or not _LEET_SIGN.search(word[:-1]):
        return word
    return word[:-1].translate(_LEET) + word[-1].translate(_LEET_END)


def untagged(text: str) -> str:
    """With tag characters, which nobody sees, as the ASCII that they stand for."""
    return "".join(chr(ord(char) - 0xE0000) if ord(char) in _TAGS else char for char in text)


def has_hidden_text(text: str) -> bool:
    """Whether a text has words that nobody sees: in tag characters, or spelled by characters without width."""
    if text.isascii():
        return False
    if len(_CARRIERS.findall(text)) >= CARRIERS_MAX:
        return True
    tags = sum(ord(char) in _TAGS for char in text)
    return tags > 7 and not _is_flag(text, tags)  # noqa: PLR2004 - flags of countries' parts have up to seven


def _is_flag(text: str, tags: int) -> bool:
    return text.count("\N{WAVING BLACK FLAG}") * 6 >= tags


def views(text: str) -> Iterator[tuple[str, bool]]:
    """Folded texts to look at, the plain one first, each with whether something hid it."""
    text = text[:VIEW_CHARS_MAX]
    plain = folded(text)
    yield plain, False
    if _LEET_SIGN.search(plain):
        lettered = " ".join(map(_lettered, plain.split(" ")))
        if lettered != plain:
            yield lettered, True
    if _APART.search(plain):
        yield _APART_WIDE.sub(lambda run: re.sub(r"[^\w]", "", run[0]), plain), True
    spelled = _WORDS.sub(_unscrambled, plain)
    if spelled != plain:
        yield spelled, True
    if _ROT.search(plain):
        yield codecs.decode(plain, "rot13"), True
    if _MIRRORED.search(plain):
        yield plain.translate(_ATBASH), True
    if _BACK.search(plain):
        yield plain[::-1], True
    unescaped = _unescaped(text)
    if unescaped != text:
        yield folded(unescaped), True


def _unscrambled(word: re.Match[str]) -> str:
    """The word that attackers use whose inner letters these are, if it is one."""
    text = word[0]
    return _SCRAMBLED.get((text[0], "".join(sorted(text[1:-1])), text[-1]), text)


def is_morse(text: str) -> bool:
    """Whether there are a dozen letters in Morse code, which nobody writes into data."""
    return _MORSE.search(text[:VIEW_CHARS_MAX] + " ") is not None


def decoded(text: str) -> Iterator[str]:
    """What is encoded in a text (base 16, 32, 64, 85, binary or decimal) and reads as text when decoded."""
    text = text[:VIEW_CHARS_MAX]
    for found in _HEX.finditer(text):
        digits = re.sub(r"\\x|0x|[^0-9a-fA-F]", "", found[0])
        yield from _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))
    for found in _BINARY.finditer(text):
        bits = re.findall("[01]{8}", found[0])
        yield from _readable(bytes(int(one, 2) for one in bits))
    for found in _CODES.finditer(text):
        yield from _readable(bytes(map(int, re.findall(r"\d+", found[0]))))
    for found in _BASE64.finditer(text):
        yield from _decoded(_base64, found[0])
    for found in _OPAQUE.finditer(text):
        for decode in (_base85, b85decode, _base32):
            yield from _decoded(decode, found[0])


def _decoded(decode: Callable[[str], bytes], run: str) -> Iterator[str]:
    try:
        data = decode(run)
    except (Error, ValueError):  # it is not written that way
        return
    yield from _readable(data)


def _base64(run: str) -> bytes:
    run = run.rstrip("=").replace("-", "+").replace("_", "/")
    return b64decode(run + "=" * (-len(run) % 4))


def _base85(run: str) -> bytes:
    return a85decode(run.removeprefix("<~").removesuffix("~>"))


def _base32(run: str) -> bytes:
    run = run.rstrip("=").upper()
    return b32decode(run + "=" * (-len(run) % 8))


def _readable(data: bytes) -> Iterator[str]:
    """Decoded bytes, where they are words of a text, letters and at least one space, or encoded again."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    if _ENCODED.fullmatch(text):
        yield text
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
