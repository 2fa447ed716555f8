"""The checkpoint contract as its rules say it, in Python: who owns which wei, and which checkpoint is right.

It keeps whole histories where the contract keeps words. What the union is it says itself: docs/formats.md, section 12.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dkg.chain.checkpoints import OPEN_MAX, Mark, Reason, Status
from dkg.limits import COMMITS_MAX
from tests.contracts.checkpoints.fuzz_chain import BOND, DEMAND_BOND, DEMAND_WINDOW, WINDOW

if TYPE_CHECKING:
    from dkg.chain.registry import Committed

DEMAND_WINDOWS: Final = 72
"""Until when a checkpoint's pages can be demanded: so many demand windows after its window as it was at first."""


@dataclass
class Proposal:
    """A checkpoint. Addresses and digests are bytes, times Unix seconds."""

    proposer: str
    position: int
    marks: int
    root: bytes
    proposed: int
    ends: int
    status: Status = Status.PENDING
    open: int = 0
    demands: int = 0


@dataclass
class Demanded:
    """A demand that is open. `target`: a checkpoint's id, or a position if `of_commit`."""

    who: str
    digest: bytes
    target: int
    of_commit: bool
    deadline: int


@dataclass
class Bonds:
    """Everything. Calls return why they are refused; what they may be refused for at once, in any order."""

    commits: list[Committed] = field(default_factory=list)
    malformed: set[int] = field(default_factory=set)
    """Positions of commits with a fault."""
    keys: dict[int, frozenset[bytes]] = field(default_factory=dict)
    """What the commits at these positions have that is their publishers'."""
    marks: list[Mark] = field(default_factory=list)
    checkpoints: dict[int, Proposal] = field(default_factory=dict)
    demands: dict[int, Demanded] = field(default_factory=dict)
    demanded: int = 0
    final: int = 0
    no_pages: set[bytes] = field(default_factory=set)
    """Digests of pages that were shown to be malformed or long."""
    credit: Counter[str] = field(default_factory=Counter)
    burnt: int = 0
    entries: list[bytes] = field(default_factory=list)

    def copy(self) -> Bonds:
        """One that can go another way."""
        return deepcopy(self)

    # --- what is right -----------------------------------------------------------------------------------------------

    def counting(self, position: int, marks: int) -> list[int]:
        """The positions of the commits that count at (`position`, `marks`)."""
        marked = {mark.position for mark in self.marks[:marks]}
        own: dict[bytes, list[int]] = {}
        for committed in self.commits[:position]:
            own.setdefault(committed.publisher, []).append(committed.position)
        last = ([at for at in places[-COMMITS_MAX:] if at not in marked][-1:] for places in own.values())
        return [at for places in last for at in places]

    def union(self, position: int, marks: int) -> frozenset[bytes] | None:
        """The keys that count; None while that is open, because a commit is malformed and not marked."""
        counting = self.counting(position, marks)
        return None if self.malformed.intersection(counting) else frozenset().union(*(self.keys[at] for at in counting))

    def marked(self) -> dict[int, Mark]:
        """The marks by position."""
        return {mark.position: mark for mark in self.marks}

    @property
    def pending(self) -> list[int]:
        """The ids of the pending checkpoints, oldest first."""
        return [number for number, one in self.checkpoints.items() if one.status is Status.PENDING]

    # --- calls -------------------------------------------------------------------------------------------------------

    def why_not_propose(self, position: int, marks: int, root: bytes, tip: bytes, value: int) -> set[str]:
        """Why a proposal is refused."""
        latest = self.checkpoints.get(self.final)
        pending = [self.checkpoints[number] for number in self.pending]
        found = {
            "bond": value != BOND,
            "marks": marks > len(self.marks),
            "position": position > len(self.entries),
            "tip": tip != (self.entries[position - 1] if 0 < position <= len(self.entries) else bytes(32)),
            "too many pending": len(pending) == OPEN_MAX,
            "pending already": any((one.position, one.marks, one.root) == (position, marks, root) for one in pending),
        }
        if latest is not None:
            found["not above the final"] = (
                position < latest.position
                or marks < latest.marks
                or (position, marks) == (latest.position, latest.marks)
            )
        return {why for why, so in found.items() if so}

    def propose(self, who: str, position: int, marks: int, root: bytes, now: int) -> None:
        """A proposal that is taken."""
        self.checkpoints[len(self.checkpoints) + 1] = Proposal(who, position, marks, root, now, now + WINDOW)

    def refute(self, number: int, who: str) -> None:
        """A challenge that is taken, or a page that nobody showed."""
        self.checkpoints[number].status = Status.REFUTED
        self.credit[who] += BOND // 2
        self.burnt += BOND - BOND // 2

    def why_not_finalise(self, number: int, now: int) -> set[str]:
        """Why a checkpoint does not become final."""
        one = self.checkpoints.get(number)
        if one is None or one.status is not Status.PENDING:
            return {"not pending"}
        return {why for why, so in {"window": now < one.ends, "open demands": one.open > 0}.items() if so}

    def finalise(self, number: int) -> None:
        """It becomes final."""
        one, latest = self.checkpoints[number], self.checkpoints.get(self.final)
        one.status = Status.FINAL
        self.credit[one.proposer] += BOND
        if latest is None or (one.position >= latest.position and one.marks >= latest.marks):
            self.final = number

    def mark(self, position: int, reason: Reason) -> None:
        """A commit counts no more."""
        self.marks.append(Mark(len(self.marks) + 1, position, reason))

    def why_no_demand(self, target: int, digest: bytes, value: int, now: int, *, of_commit: bool) -> set[str]:
        """Why a demand is refused. `digest`: the page's."""
        found = {"bond": value != DEMAND_BOND, "shown already": digest in self.no_pages}
        if of_commit:
            found["marked"] = target in self.marked()
        else:
            one = self.checkpoints.get(target)
            if one is None or one.status is not Status.PENDING:
                return {"not pending"}
            found["demands are over"] = now > one.proposed + WINDOW + DEMAND_WINDOWS * DEMAND_WINDOW
        return {why for why, so in found.items() if so}

    def demand(self, who: str, target: int, digest: bytes, now: int, *, of_commit: bool) -> None:
        """A demand that is taken."""
        self.demanded += 1
        self.demands[self.demanded] = Demanded(who, digest, target, of_commit, now + DEMAND_WINDOW)
        if not of_commit:
            one = self.checkpoints[target]
            one.open += 1
            one.demands += 1
            one.ends = max(one.ends, now + 2 * DEMAND_WINDOW)

    def why_no_answer(self, demand: int, digest: bytes | None, now: int) -> set[str]:
        """Why an answer is refused. `digest`: of the bytes that are given; None if none are."""
        made = self.demands.get(demand)
        if made is None:
            return {"no such demand"}
        found = {
            "too late": now > made.deadline,
            "other page": digest not in {None, made.digest},
            "not shown": digest is None and made.digest not in self.no_pages,
        }
        return {why for why, so in found.items() if so}

    def answer(self, demand: int, who: str) -> None:
        """An answer that is taken."""
        self._settle(demand)
        self.credit[who] += DEMAND_BOND

    def why_not_expire(self, demand: int, now: int) -> set[str]:
        """Why a demand does not end."""
        made = self.demands.get(demand)
        if made is None:
            return {"no such demand"}
        return {"too early"} if now <= made.deadline else set()

    def expire(self, demand: int) -> None:
        """Nobody has shown it."""
        made = self._settle(demand)
        self.credit[made.who] += DEMAND_BOND
        if made.of_commit:
            if made.target not in self.marked():
                self.mark(made.target, Reason.UNAVAILABLE)
        elif self.checkpoints[made.target].status is Status.PENDING:
            self.refute(made.target, made.who)

    def _settle(self, demand: int) -> Demanded:
        made = self.demands.pop(demand)
        if not made.of_commit:
            self.checkpoints[made.target].open -= 1
        return made

    @property
    def balance(self) -> int:
        """What the contract must have."""
        return BOND * len(self.pending) + DEMAND_BOND * len(self.demands) + self.credit.total() + self.burnt
