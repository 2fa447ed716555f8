"""What an answer over all publishers claims: as of which checkpoint and which block, and on whose word.

"Complete for all publishers" means: no publisher's matching quad is missing, as of the registry's log at a position, if
the checkpoint is right; and those who committed since are answered from their own datasets, as of a block. It never
means that anything is true. If a checkpoint is wrong and nobody refuted it in its window, quads can be missing, and
there can be some that nobody signed; with `origins`, quads can be missing and none is believed that nobody signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from dkg.chain.checkpoints import Status
from dkg.chain.secp import checksum
from dkg.checkpoints.answer import Parts
from dkg.client.anchored import Anchor, Claim, State
from dkg.errors import InputError, ProofError
from dkg.limits import KEY_MAX, SHOW_MAX
from dkg.page import CID_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg.chain.checkpoints import Checkpoint
    from dkg.chain.commit import Domain
    from dkg.chain.header import Header
    from dkg.chain.registry import Committed
    from dkg.checkpoints.answer import VerifiedJointAnswer
    from dkg.client.counting import Counting


_AS_OF: Final = re.compile(r"([0-9]{1,15})/([0-9]{1,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class AsOf:
    """A moment that a kept proof is of: a checkpoint, and how many commits of the registry's log are looked at."""

    checkpoint: int
    """Its id."""
    length: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `CHECKPOINT/POSITION`, like `3/17`. Raises `InputError`."""
        if (found := _AS_OF.fullmatch(text)) is None:
            raise InputError(f"{text[:40]!r} is no moment: it is CHECKPOINT/POSITION, like 3/17")
        return cls(*map(int, found.groups()))

    def __str__(self) -> str:
        return f"{self.checkpoint}/{self.length}"


@dataclass(frozen=True, slots=True)
class UnionHead:
    """A checkpoint and what changed since, as of a block, all proved from the block's hash."""

    domain: Domain
    contract: bytes
    """Address of the checkpoint contract."""
    checkpoint: Checkpoint
    block: Header
    length: int
    """Commits in the registry's log that are taken into account: all as of the block, unless there is a `later` one."""
    later: Committed | None
    """The first commit that is not, where what is asked for is `AsOf` an earlier moment."""
    marks: int
    """Marks in the contract as of the block."""
    since: frozenset[bytes]
    """The publishers of whom something else may count since the checkpoint."""
    beside: Mapping[bytes, Counting]
    """What counts of the publishers that are answered from their own datasets: those of `since` that are not `behind`,
    and those that were added (`CheckpointClient.beside`)."""
    behind: Mapping[bytes, Committed]
    """Publishers that committed since and are answered as the checkpoint has them, with their first commit since."""
    state: State
    age: int
    """Seconds from when the answer was complete for certain (`complete_until`) to now, by the device's clock."""
    finality_depth: int
    endpoints: int
    """How many endpoints had to agree on the block: all that is trusted, besides the checkpoint."""
    went_back: bool = False
    """Whether this client saw more final before: the newest blocks are not shown any more, or it waits for more now."""

    @property
    def parts(self) -> Parts:
        """The datasets to ask. Raises `TooManyError` if they are too many."""
        beside = {publisher: counting.root for publisher, counting in self.beside.items()}
        return Parts(self.domain, CID_PREFIX + self.checkpoint.root, beside)

    @property
    def complete_until(self) -> int:
        """Unix seconds: nothing that was committed before is left out. The block's time if nothing is."""
        left = [*self.behind.values(), *([self.later] if self.later else [])]
        return min([self.block.timestamp, *(committed.time for committed in left)])

    @property
    def as_of(self) -> AsOf:
        """The moment, for whoever verifies a kept proof."""
        return AsOf(self.checkpoint.id, self.length)

    def describe(self) -> dict[str, object]:
        """Claim, state, checkpoint, block, age, and whose data is from where, for programs."""
        checkpoint, block = self.checkpoint, self.block
        return {
            "claim": str(Claim.COMPLETE_FOR_ALL),
            "state": str(self.state),
            "anchor": str(Anchor.PROVED),
            "endpoints": self.endpoints,
            "chain_id": self.domain.chain_id,
            "registry": checksum(self.domain.registry),
            "contract": checksum(self.contract),
            "checkpoint": {
                "id": checkpoint.id,
                "state": _said_of(checkpoint),
                "position": checkpoint.position,
                "marks": checkpoint.marks,
                "proposer": checksum(checkpoint.proposer),
                "proposed": checkpoint.proposed,
                "ends": checkpoint.ends,
                "open_demands": checkpoint.open_demands,
            },
            "position": self.length,
            "as_of": str(self.as_of),
            "marks": self.marks,
            "block": block.number,
            "block_hash": "0x" + block.hash.hex(),
            "block_time": block.timestamp,
            "checkpoint_age_seconds": block.timestamp - checkpoint.proposed,
            "complete_until": self.complete_until,
            "age_seconds": self.age,
            "finality_depth": self.finality_depth,
            "went_back": self.went_back,
            "beside": [_beside(publisher, counting) for publisher, counting in sorted(self.beside.items())],
            "behind": [checksum(publisher) for publisher in sorted(self.behind)],
            "key_bytes_max": KEY_MAX,
            "page_bytes_max": SHOW_MAX,
        }

    def sentence(self) -> str:
        """The same for people."""
        checkpoint, number = self.checkpoint, self.block.number
        said = f"{self.endpoints} endpoint" + ("s agree on" if self.endpoints > 1 else " names")
        age = f"{self.age} s old" if self.age >= 0 else f"{-self.age} s ahead of this device's clock"
        since = len(self.since - self.behind.keys())
        fresh = f"for the {since} that" if since else "as nobody else" if self.behind else "as nobody"
        now = f"log position {self.length}" if self.later else f"block {number}"
        parts = [
            (
                f"{_complete(checkpoint)} for all publishers as of log position {checkpoint.position} "
                f"(checkpoint {checkpoint.id}, {_said_of(checkpoint)}), and as of {now} {fresh} "
                f"committed since, {self.state} (proved from the block hash that {said}; {age}; "
                f"final after {self.finality_depth} blocks)"
            )
        ]
        if self.went_back:
            parts.append("more was final before: the newest blocks are hidden, or fewer were waited for then")
        if self.later:
            parts.append(f"what was committed from log position {self.length} on is left out")
        if self.behind:
            parts.append(f"only as the checkpoint has them, though they committed since: {_names(self.behind)}")
        skipped = [publisher for publisher, counting in self.beside.items() if counting.skipped]
        if skipped:
            parts.append(f"newer commits are malformed or unavailable and do not count of {_names(skipped)}")
        parts.append(f"quads of more than {KEY_MAX} bytes, or kept on pages of more than {SHOW_MAX}, are not covered")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class UnionAnswer:
    """A verified answer over all publishers, and the head it was checked against. Only the client makes these."""

    answer: VerifiedJointAnswer
    head: UnionHead
    origins: bool
    """Whether every quad that was looked at was found in its publisher's own dataset."""

    def __post_init__(self) -> None:
        if self.answer.parts != self.head.parts:
            raise ProofError("this answer is of another checkpoint, or of other datasets beside it")

    def describe(self) -> dict[str, object]:
        """See `UnionHead.describe`."""
        shown = [checksum(publisher) for publisher in sorted(self.answer.shown_by_checkpoint)]
        return {**self.head.describe(), "origins": self.origins, "shown_by_checkpoint": shown}

    def sentence(self) -> str:
        """See `UnionHead.sentence`."""
        wrong = "quads can be missing" if self.origins else "quads can be missing or forged"
        return f"{self.head.sentence()}; if the checkpoint is wrong and nobody refuted it, {wrong}"


def _complete(checkpoint: Checkpoint) -> str:
    """What is said of an answer: while a checkpoint can be refuted, only its proposer calls it complete."""
    return "complete" if checkpoint.status is Status.FINAL else "said with a bond, and not known, to be complete"


def _said_of(checkpoint: Checkpoint) -> str:
    if checkpoint.status is Status.PENDING:
        return str(State.DISPUTED if checkpoint.disputed else State.PENDING)
    return str(State.FINAL)


def _beside(publisher: bytes, counting: Counting) -> dict[str, object]:
    committed = counting.committed
    return {
        "publisher": checksum(publisher),
        "seq": committed.commit.seq if committed else 0,
        "position": committed.position if committed else None,
        "skipped": [{"position": mark.position, "reason": mark.reason.name.lower()} for mark in counting.skipped],
    }


def _names(publishers: Mapping[bytes, object] | list[bytes]) -> str:
    return ", ".join(map(checksum, sorted(publishers)))
