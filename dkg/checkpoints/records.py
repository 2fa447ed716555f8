"""Which commit of a publisher counts, and how a transaction shows it: docs/formats.md, sections 12 and 13.

A record is the preimage of the registry's log entry. Records of consecutive commits lead from the one that counts to
the first one that does not any more, because of its position or because there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from dkg.chain.commit import NUMBER_MAX
from dkg.chain.secp import keccak256
from dkg.errors import ProofError
from dkg.limits import COMMITS_MAX

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from dkg.chain.checkpoints import Mark
    from dkg.chain.log import RegistryLog
    from dkg.chain.registry import Committed
    from dkg.checkpoints.view import View

RECORDS_MAX: Final = COMMITS_MAX + 1
"""Most records of a claim: those that are looked at, and the one after them."""

_WORD: Final = 32
_BITS: Final = 48


class ClaimError(ProofError):
    """Records that do not show which commit counts."""


@dataclass(frozen=True, slots=True)
class Record:
    """A commit in the log, without its publisher: root (32 bytes), packed numbers, its block's number and Unix time."""

    root: bytes
    numbers: int
    block_number: int
    timestamp: int

    @classmethod
    def of(cls, committed: Committed) -> Record:
        """The record of a commit."""
        return cls(committed.commit.root, committed.numbers(), committed.block, committed.time)

    @property
    def seq(self) -> int:
        """Which of its publisher's commits it is, from 1."""
        return self.numbers >> 4 * _BITS

    @property
    def position(self) -> int:
        """Its place in the log."""
        return self.numbers >> 3 * _BITS & NUMBER_MAX

    @property
    def prior_position(self) -> int:
        """The place of its publisher's commit before."""
        return self.numbers >> 2 * _BITS & NUMBER_MAX

    def entry(self, publisher: bytes) -> bytes:
        """The log's entry if the commit is this publisher's, 32 bytes."""
        words = (int.from_bytes(publisher), self.numbers, self.block_number, self.timestamp)
        return keccak256(self.root + keccak256(b"".join(word.to_bytes(_WORD) for word in words)))


def marked_among(marked: Mapping[int, Mark], marks: int) -> set[int]:
    """The positions of the commits that the first `marks` marks name. `marked`: all marks, by position."""
    return {position for position, mark in marked.items() if mark.number <= marks}


def claim(log: RegistryLog, publisher: bytes, position: int, marked: Container[int]) -> list[Committed]:
    """The commits whose records show what counts of a publisher at a position of the log, oldest first.

    `marked`: the positions of commits that do not count (`marked_among`).
    """
    found: list[Committed] = []
    state = log.publishers.get(publisher)
    at = state.head.position if state and state.head.seq else None
    looked = 0
    while at is not None:
        commit = log.entries[at]
        if commit.position < position:
            found.append(commit)
            looked += 1
            if commit.position not in marked or looked == COMMITS_MAX:
                break
        else:
            found = [commit]
        at = commit.prior_position if commit.commit.seq > 1 else None
    return found[::-1]


def counting_commit(log: RegistryLog, publisher: bytes, position: int, marked: Container[int]) -> Committed | None:
    """The commit of a publisher that counts at a position of the log; None if nothing does."""
    shown = claim(log, publisher, position, marked)
    return shown[0] if shown and shown[0].position < position and shown[0].position not in marked else None


def check_claim(publisher: bytes, records: Sequence[Record], position: int, marks: int, view: View) -> bytes | None:
    """The root of the commit that counts at (`position`, `marks`), as records show it; None: nothing counts.

    1. There are at most `RECORDS_MAX` records; each is the preimage of the log's entry at its position.
    2. Each has as `prior_position` the position of the one before, and a `seq` one higher.
    3. The last one is the publisher's latest by its head, or its position is `position` or more. Without records,
       the head has `seq` 0, and nothing counts.
    4. At most `COMMITS_MAX` are below `position`. If there is none, the first has `seq` 1, and nothing counts.
    5. All that are below it but the first are marked, by one of the first `marks` marks.
    6. If the first is not, it counts. If it is, it has `seq` 1 or there are `COMMITS_MAX`, and nothing counts.

    Raises `ClaimError`.
    """
    seq, latest = view.head(publisher)
    _check_chain(publisher, records, view)
    if not records:
        if seq:
            raise ClaimError("no records are shown of a publisher that has commits")
        return None
    first, last = records[0], records[-1]
    if last.position < position and (last.seq, last.position) != (seq, latest):
        raise ClaimError("the last record is neither the publisher's latest nor beyond the position")
    marked = [_is_marked(record, marks, view) for record in records if record.position < position]
    if len(marked) > COMMITS_MAX:
        raise ClaimError(f"{len(marked)} records are below the position; {COMMITS_MAX} are looked at")
    if not all(marked[1:]):
        raise ClaimError("a later record is not marked: the first does not count")
    if marked and not marked[0]:
        return first.root
    if first.seq != 1 and len(marked) < COMMITS_MAX:
        raise ClaimError("the records do not go back far enough to show that nothing counts")
    return None


def _check_chain(publisher: bytes, records: Sequence[Record], view: View) -> None:
    if len(records) > RECORDS_MAX:
        raise ClaimError(f"{len(records)} records are over the limit of {RECORDS_MAX}")
    for record in records:
        if record.entry(publisher) != view.entry(record.position):
            raise ClaimError(f"the log's entry at position {record.position} is not of that record")
    for before, after in pairwise(records):
        if (after.prior_position, after.seq) != (before.position, before.seq + 1):
            raise ClaimError(f"the record at {after.position} does not follow the one at {before.position}")


def _is_marked(record: Record, marks: int, view: View) -> bool:
    mark = view.mark(record.position)
    return mark is not None and mark.number <= marks
