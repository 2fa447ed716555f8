"""What the checkpoint contract refuses, as sentences: its reasons are a word or two (`contracts/reasons.vy`)."""

from __future__ import annotations

import re
from typing import Final

REASONS: Final = {
    "bond": "the bond that was sent is not what the contract asks for",
    "marks": "there are not so many marks: the chain has gone back",
    "position": "there are not so many commits: the chain has gone back",
    "tip": "the registry's log is another one at this position: the chain has gone back",
    "not above the final": "a checkpoint is final that says as much or more",
    "too many pending": "eight checkpoints are pending, the most that there can be: one has to end before",
    "pending already": "a pending checkpoint says the same: `dkg checkpoint status` tells which, and until when",
    "too many": "there can be no more checkpoints in this contract",
    "not pending": "the checkpoint is not pending any more: it is final, or somebody else has refuted it",
    "window": "its window has not passed yet",
    "open demands": "a page of it is demanded that nobody has shown yet",
    "nothing owed": "the contract owes nothing: nothing owed",
    "marked": "the commit is marked already",
    "demands are over": "pages of the checkpoint cannot be demanded any more",
    "shown already": "the page was shown already, and is none",
    "no such demand": "the demand was answered, or has ended",
    "too late": "the demand's time is over",
    "too early": "the demand can still be answered",
}
"""What a reason means for whoever sends a call. Others say that evidence is none."""

_REASON: Final = re.compile(r"reverted: ([a-z' ]+)")


def sentence(refusal: str) -> str:
    """What an endpoint tells of a refused call, with what the contract's reason means before it."""
    found = _REASON.search(refusal)
    if found is None:
        return refusal
    other = "the contract does not take this for evidence, as the chain is now: it is looked at anew"
    return f"{REASONS.get(found[1].strip(), other)} ({refusal})"
