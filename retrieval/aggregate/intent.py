"""What kind of answer a question wants, by the words that say so. All others are for the normal pipeline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from retrieval.aggregate.words import Word


class Want(StrEnum):
    """Kinds of answers."""

    COUNT = "count"
    LIST = "list"
    MOST = "most"
    COMMON = "common"
    EXTREME = "extreme"
    COMPARE = "compare"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Intent:
    """What is wanted. The words from `first` to `last` (excluded) say so and name nothing."""

    want: Want
    first: int
    last: int
    least: bool = False
    """The fewest, the smallest, the earliest, less."""
    lead: int = 0
    """So many words at the start only introduce the question: `tell me`."""
    by_age: bool = False
    """`older` and the like: of times the smaller is the older, of numbers the larger."""


_COUNT: Final = r"how many|count(?: all| up)?(?: of)?(?: the)?|(?:the |a )?(?:total )?(?:number|count) of"
_IMPERATIVE: Final = (
    r"(?:please )?(?:can you )?(?:list|show|give|enumerate|find|name|return|get|tell me all|tell us all)"
    r"(?: me| us)?(?: out)?(?: a list of)?(?: all| every| each)?(?: of)?(?: the)?"
)
_WISH: Final = r"i need|i want|i would like|i 'd like|we need|we want"
_LEAD: Final = re.compile(
    rf"^(?:{_IMPERATIVE}|(?:please )?(?:can you |could you )?(?:tell|show|give)(?: me| us)?(?: the)?|"
    rf"(?:{_WISH})(?: to know)?|do you know)(?= |$)"
)
_NUMBER: Final = r"(?: number| count| amount)s? of"
_OLD: Final = frozenset({"oldest", "youngest", "older", "younger"})
_LESS: Final = frozenset({
    "fewest", "least", "fewer", "less", "lowest", "smallest", "minimum", "minimal", "shortest", "lightest", "earliest",
    "first", "youngest", "rarest", "lower", "smaller", "shorter", "earlier", "younger", "lighter",
})  # fmt: skip

_COMPARATIVE: Final = (
    "more|fewer|less|higher|lower|larger|smaller|greater|bigger|earlier|later|older|younger|longer|shorter"
)
_SUPERLATIVE: Final = (
    "highest|largest|greatest|biggest|maximum|maximal|lowest|smallest|minimum|minimal|longest|shortest|heaviest|"
    "lightest|latest|newest|earliest|oldest|youngest|first|last"
)
_OFTEN: Final = "common|frequent|frequently|commonly|often|popular|usual"

_RULES: Final = (
    (Want.COMPARE, rf"\b({_COMPARATIVE})\b(?! than (?:\d|or\b)| or (?:less|fewer))(?=.* (?:or|than) )"),
    (Want.COMMON, rf"\b(?:the )?(?:(most|least) (?:{_OFTEN})|(rarest))\b"),
    (Want.EXTREME, rf"\b(?:the )?(?:most (recent|recently)|({_SUPERLATIVE}))\b(?!{_NUMBER})"),
    (Want.MOST, rf"\b(?:the )?(?:({_SUPERLATIVE}){_NUMBER}|(most|fewest|least))\b"),
    (Want.COUNT, rf"\b(?:{_COUNT})\b"),
    (Want.ASK, r"^is it (?:true|the case|so|right|correct) that\b"),
    (Want.ASK, r"^(?:is|are|was|were|does|do|did|has|have|had)\b"),
    (Want.LIST, rf"^(?:{_IMPERATIVE})\b"),
    (Want.LIST, rf"^(?:{_WISH})(?: to see)?(?: (?:a|the))?(?: full| complete)? list of(?: all)?(?: of)?(?: the)?\b"),
    (Want.LIST, r"^(?:what|who|which) (?:are|were)(?: all)?(?: of)?(?: the)?\b"),
)
_BETWEEN: Final = re.compile(rf"\b({_COMPARATIVE})\b")
"""`Between A and B, which has more ...`"""

_MANY_THAT: Final = re.compile(r".* (?:with|that have|having|which have|who have) .*\d")
"""`Films with more than 5 ...`, without a word that says that a list is wanted."""

_COMPILED: Final = tuple((want, re.compile(pattern)) for want, pattern in _RULES)

_WH: Final = frozenset({"what", "which"})
_VERBS: Final = frozenset({"is", "was", "are", "were", "do", "does", "did", "has", "have", "had", "'s"})
_MANY: Final = frozenset({"are", "were", "have", "do"})
_HEAD_WORDS_MAX: Final = 4


def intents(text: Sequence[Word]) -> list[Intent]:
    """What a question may want, the likeliest first; empty for a plain question."""
    plain = " ".join(word.plain for word in text)
    starts: dict[int, int] = {}
    at = 0
    for number, word in enumerate(text):
        starts[at] = number
        at += len(word.plain) + 1
    found = []
    introduced = _LEAD.match(plain)
    lead = len(introduced[0].split()) if introduced else 0
    for want, rule in _rules(plain):
        match = rule.search(plain)
        if match is None or match.start() not in starts:
            continue
        first = starts[match.start()]
        last = first + len(match[0].split())
        said = next((group for group in match.groups() if group), "")
        found.append(Intent(want, first, last, said in _LESS, min(lead, first), said in _OLD))
    if _which_many(text):
        found.append(Intent(Want.LIST, 0, 1))
    if not found and _MANY_THAT.match(plain) and any(word.plural for word in text[:_HEAD_WORDS_MAX]):
        found.append(Intent(Want.LIST, 0, 0))
    return found


def _rules(plain: str) -> Iterator[tuple[Want, re.Pattern[str]]]:
    if plain.startswith("between "):
        yield Want.COMPARE, _BETWEEN
    yield from _COMPILED


def _which_many(text: Sequence[Word]) -> bool:
    """`Which films ...`: it asks for more than one."""
    if not text or text[0].plain not in _WH:
        return False
    head: list[Word] = []
    for word in text[1:]:
        if word.plain in _VERBS:
            return any(other.plural for other in head) or (bool(head) and word.plain in _MANY)
        head.append(word)
    return any(word.plural for word in head[:_HEAD_WORDS_MAX])
