"""Text of strangers, made fit to stand in a prompt as data: one line, visible, short, and no model's control token.

`clean` keeps what a person would read and takes away what only a model would: characters that are not seen, tokens of
chat templates, names of roles, rules and fences. It does not judge; `retrieval.safety.scanner` does. Cleaning what is
clean changes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

TEXT_CHARS_MAX: Final = 300
"""Longest text in a prompt where the caller does not say, in characters."""

RAW_CHARS_MAX: Final = 20_000
"""How much of a text is looked at, in characters: what is beyond would be cut anyway."""

MARKS_MAX: Final = 3
"""Most combining marks in a row: more of them cover the lines above and below."""

FENCE: Final = ("\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}", "\N{MATHEMATICAL RIGHT WHITE SQUARE BRACKET}")
"""Opens and closes text of strangers in a prompt. Cleaned text has neither."""

_ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"

_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef\U0001d159\u2800]"
)
"""What is not seen and is not of the categories below: fillers, variation selectors, blanks."""

_SPACES: Final = {"Zs", "Zl", "Zp"}
_GONE: Final = {"Cc", "Cf", "Co", "Cs", "Cn"}

_ROLES: Final = (
    "system|assistant|user|human|developer|instructions?|prompt|question|answer|response|context|facts?|"
    "syst[eè]me|utilisateur|sistema|usuario|benutzer|nutzer|frage|antwort|система|пользователь|系统|用户|助手"
)

_LESS: Final = "[\uff1c\ufe64]"

_RULES: Final = (
    # `<|im_start|>`, `<s>`, `</facts>`, `<<SYS>>`, `<0x0A>`: whatever starts with `<` and is no comparison. The third
    # choice is what cutting a comparison short can leave, and some tokenizers make the wide ones of `_LESS` narrow.
    (re.compile(rf"<(?![ =0-9]|$|{_ELLIPSIS})|<(?=0[xX])|{_LESS}"), "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}"),
    # `[INST]`, `[/INST]`, `[TOOL_CALLS]`, `[gMASK]`
    (re.compile(r"\[(\s*/?\s*(?:[A-Z][A-Z_]{1,30}|gMASK|sMASK|sop|eop|s|/s)\s*)\]"), r"(\1)"),
    # `{{ }}`, `{% %}`: what template engines fill in
    (re.compile(r"\{(?=[{%#])"), "("),
    (re.compile(r"(?<=[}%#])\}"), ")"),
    # headings, rules and fences: three in a row of these, two of `#`
    (re.compile(r"#{2,}"), "#"),
    (re.compile(r"([-=*_~`\u2014\u2500\u2550\u2501])\1{2,}"), r"\1"),
    # turns of a conversation
    (re.compile(rf"\b({_ROLES})\s*[:\uff1a\ufe55\u2236\ua789]+", re.IGNORECASE), r"\1 -"),
)


def clean(text: str, limit: int = TEXT_CHARS_MAX) -> str:
    """A text as it may stand in a prompt: at most `limit` characters, the last an ellipsis where it was cut."""
    text = unicodedata.normalize("NFC", text[:RAW_CHARS_MAX])
    while True:  # each round but the last takes something away or replaces it by what no rule looks for
        cleaned = _cut(_neutral(visible(text)), limit)
        if cleaned == text:
            return cleaned
        text = cleaned


def visible(text: str) -> str:
    """What of a text is seen, on one line and in NFC."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    found: list[str] = []
    marks = 0
    for char in _INVISIBLE.sub("", unicodedata.normalize("NFC", text)):
        category = unicodedata.category(char)
        if category in _SPACES or char in "\t\n\r\v\f\x85":
            found.append(" ")
        elif category not in _GONE:
            marks = marks + 1 if category in {"Mn", "Me"} else 0
            if marks <= MARKS_MAX:
                found.append(char)
    return unicodedata.normalize("NFC", " ".join("".join(found).split()))


def _neutral(text: str) -> str:
    for opening, plain in zip(FENCE, "[]", strict=True):
        text = text.replace(opening, plain)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    if limit < 2:  # noqa: PLR2004 - no room for a character and an ellipsis
        return text[:limit].strip()
    head = text[: limit - 1]
    at_word = head.rpartition(" ")[0]
    return (at_word if len(at_word) > limit // 2 else head).rstrip(" " + _ELLIPSIS) + _ELLIPSIS
