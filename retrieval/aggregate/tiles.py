"""Tilings: ways to read a question as names, with no word of meaning left over.

A word that no name covers and that is no small word means that the question says something that is not understood.
Then there is no tiling, and the question is not for a template. This is what keeps plain questions out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from retrieval.aggregate.names import What

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from retrieval.aggregate.intent import Intent
    from retrieval.aggregate.names import Mention
    from retrieval.aggregate.words import Word

TILINGS_MAX: Final = 48
"""Most tilings of a question that are tried."""

STEPS_MAX: Final = 4_000
"""Most steps of the search for them."""

MENTIONS_MAX: Final = 8
"""Most names in one question."""

SMALL: Final = frozenset({
    "a", "an", "the", "of", "in", "on", "at", "by", "for", "from", "to", "with", "within", "that", "which", "who",
    "whom", "whose", "what", "where", "is", "are", "was", "were", "be", "been", "being", "has", "have", "had",
    "having", "do", "does", "did", "there", "it", "its", "their", "his", "her", "and", "or", "than", "'", "'s", "any",
    "some", "all", "as", "me", "us", "you", "please", "can", "could", "one", "ones", "thing", "things", "item",
    "items", "something", "entity", "entities", "different", "distinct", "various", "total", "overall", "altogether",
    "exist", "exists", "existing", "contain", "contains", "contained", "listed", "known", "recorded", "stored",
    "given", "available", "here", "graph", "dataset", "data", "database", "among", "amongst", "both",
    "value", "values", "number", "tell",
})  # fmt: skip
"""Words that name nothing and change no template. Words such as `not`, `each` and `only` are none of them."""


def tilings(text: Sequence[Word], intent: Intent, mentions: Sequence[Mention]) -> list[list[Mention]]:
    """The ways to cover the words by mentions, small words and the cue; those of the fewest mentions first."""
    cue = (intent.first, intent.last)
    starts: dict[int, list[Mention]] = {}
    for mention in mentions:
        if mention.last <= cue[0] or mention.first >= cue[1]:
            starts.setdefault(mention.first, []).append(mention)
    for some in starts.values():
        some.sort(key=lambda mention: (-mention.last, -mention.score, mention.what is not What.ENTITY))
    found = list(_cover(text, intent, starts))
    found.sort(key=lambda tiling: (len(tiling), -sum(mention.score for mention in tiling)))
    return found


def _cover(text: Sequence[Word], intent: Intent, starts: dict[int, list[Mention]]) -> Iterator[list[Mention]]:
    """Depth first, without recursion: a question may be long."""
    cue = (intent.first, intent.last)
    waiting: list[tuple[int, list[Mention]]] = [(intent.lead, [])]
    steps = made = 0
    while waiting and made < TILINGS_MAX and steps < STEPS_MAX:
        steps += 1
        at, so_far = waiting.pop()
        if cue[0] <= at < cue[1]:
            at = cue[1]
        if at >= len(text):
            made += 1
            yield so_far
            continue
        if text[at].plain in SMALL:
            waiting.append((at + 1, so_far))
        if len(so_far) < MENTIONS_MAX:
            waiting += [(mention.last, [*so_far, mention]) for mention in reversed(starts.get(at, []))]
