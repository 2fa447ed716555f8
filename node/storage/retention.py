"""Which old roots are kept: a pure function of what there is, the rules, and the time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from dkg.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from node.storage.state import Kept

COUNT_MAX: Final = 1_000_000
"""Most roots that are kept of one name, whatever the rules say: each costs the pages in which it differs."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Of one name, a root is kept if it is among the newest `count`, or younger than `seconds`; but `most` in all."""

    count: int = 10
    seconds: int = 0
    most: int = COUNT_MAX

    def __post_init__(self) -> None:
        if not 1 <= self.count <= self.most <= COUNT_MAX or self.seconds < 0:
            raise InputError(
                f"a rule keeps at least 1 root and at most {COUNT_MAX}, and an age is not negative: this one says "
                f"count {self.count}, most {self.most}, seconds {self.seconds}"
            )


_NO_RULES: Final[Mapping[str, Rule]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Retention:
    """`rule`: for every name, but for those that begin with a key of `special`; there the longest such key counts."""

    rule: Rule = Rule()
    special: Mapping[str, Rule] = field(default_factory=lambda: _NO_RULES)

    def of(self, name: str) -> Rule:
        """The rule for a name."""
        best = max((prefix for prefix in self.special if name.startswith(prefix)), key=len, default=None)
        return self.rule if best is None else self.special[best]


def dropped(kept: Iterable[Kept], retention: Retention, now: int) -> list[Kept]:
    """What is no longer to be kept. The newest of a name and what is pinned always is. `now`: Unix seconds."""
    by_name: defaultdict[str, list[Kept]] = defaultdict(list)
    for one in kept:
        by_name[one.name].append(one)
    gone: list[Kept] = []
    for name, ones in by_name.items():
        rule = retention.of(name)
        ones.sort(key=lambda one: one.position, reverse=True)
        for rank, one in enumerate(ones):
            young = rule.seconds and one.at > now - rule.seconds  # also what is from the future: a clock is wrong
            wanted = rank < rule.count or (young and rank < rule.most)
            if not wanted and not one.pinned:
                gone.append(one)
    return gone
