"""What the verifier makes of an attack, and whether that is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.errors import InputError, ProofError
from dkg.evaluate import evaluate
from dkg.pages import MemoryPageStore, StoredPages
from dkg.proof import verify
from tests.evaluators import outcome_of
from tests.oracle import Match, Outcome, Refusal, difference

if TYPE_CHECKING:
    from dkg.pages import KnownPages
    from tests.mutation.attack import Attack

REFUSED = "refused"
RIGHT = "right answer to the changed question"


def verdict(attack: Attack, known: KnownPages | None = None) -> str:
    """Return REFUSED or RIGHT; raises `AssertionError` for anything that a verifier must never do.

    For the question that the proof was made for, there is one proof: another one is an error even where it would
    give the same answer. Where the question was changed, a right answer to the new question is right. `known`: of a
    verifier who was attacked before.
    """
    base, made = attack.base, attack.base.made
    changed = attack.text != made.text or attack.dataset != base.dataset
    try:
        answer = verify(attack.car, attack.text, base.root, dataset=attack.dataset, known=known)
    except ProofError:
        return REFUSED
    except InputError:
        if changed:
            return REFUSED
        raise
    assert changed, "a second proof of the same query was accepted"
    actual = outcome_of(answer)
    # Several times, because the engine itself may choose among right answers (see tests.fuzz.check).
    apart = [difference(_truth(attack), actual, Match.BAG) for _ in range(1 if actual == _truth(attack) else 12)]
    assert None in apart, f"a wrong answer was accepted: {apart[0]}"
    return RIGHT


def _truth(attack: Attack) -> Outcome:
    """Return the answer over all pages of the dataset."""
    store = MemoryPageStore()
    store.put_many(attack.base.store)
    try:
        return outcome_of(evaluate(StoredPages(store), attack.base.root, attack.text, dataset=attack.dataset))
    except InputError as error:
        return Refusal(str(error))
