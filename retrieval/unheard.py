"""What publishers who do not count say about what an answer tells, so that `dropped` says that they were left out.

Their datasets are in no index and give no fact. They are read afterwards, where an answer has a fact or says that there
is none, and only to be reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from retrieval.reading import Reader
from retrieval.reading_ranges import FAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrieval.model import Context, Dropped, Snapshot
    from retrieval.policy import Policy

PAIRS_MAX: Final = 10
"""Most pairs of subject and predicate that are looked at for one answer."""

DATASETS_MAX: Final = 8
"""Most datasets that are looked through, so that strangers, however many, do not make questions slow: the first."""

VALUES_MAX: Final = 5
"""Most values of one pair that are reported."""


def unheard(context: Context, silent: Sequence[Snapshot], policy: Policy, now: int) -> list[Dropped]:
    """What some datasets that the policy does not let count say of the same subjects and predicates, and why it is out.

    What of them cannot be read is not reported: nothing hangs on it.
    """
    if not silent:
        return []
    reader = Reader(silent[:DATASETS_MAX])
    pairs = {(fact.statement.subject, fact.statement.predicate): None for fact in context.facts}
    pairs |= {(one.subject, one.predicate): None for one in context.absent if one.subject and one.predicate}
    found: list[Dropped] = []
    for subject, predicate in list(pairs)[:PAIRS_MAX]:
        try:
            facts = reader.about(subject, predicate, None, most=VALUES_MAX)
            found += policy.screen(facts, reader, now)[1]
        except FAULTS:
            continue
    return found
