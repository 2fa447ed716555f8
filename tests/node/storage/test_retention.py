from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.errors import InputError
from node.storage import Kept, Retention, Rule
from node.storage.retention import COUNT_MAX, dropped

NOW = 1_000_000


def _kept(name: str, *ages: int, pinned: frozenset[int] = frozenset()) -> list[Kept]:
    """The first is the newest; positions descend with it."""
    return [Kept(name, b"root %d" % at, 100 - at, NOW - age, pinned=at in pinned) for at, age in enumerate(ages)]


def _left(kept: list[Kept], rule: Rule) -> list[int]:
    gone = dropped(kept, Retention(rule), NOW)
    return [at for at, one in enumerate(kept) if one not in gone]


def test_the_newest_of_each_name_stays_whatever_its_age() -> None:
    kept = _kept("a", 10**9, 10**9) + _kept("b", 10**9)
    gone = dropped(kept, Retention(Rule(count=1)), NOW)
    assert gone == [kept[1]]


def test_by_count() -> None:
    assert _left(_kept("a", 0, 1, 2, 3, 4), Rule(count=3)) == [0, 1, 2]


def test_by_age_and_just_over() -> None:
    assert _left(_kept("a", 0, 99, 100, 101), Rule(count=1, seconds=100)) == [0, 1]


def test_young_ones_up_to_most() -> None:
    assert _left(_kept("a", 0, 1, 2, 3, 4), Rule(count=1, seconds=100, most=4)) == [0, 1, 2, 3]


def test_what_is_pinned_stays() -> None:
    assert _left(_kept("a", 0, 1, 2, 3, pinned=frozenset({2})), Rule(count=1)) == [0, 2]


def test_the_longest_prefix_of_a_name_says_the_rule() -> None:
    retention = Retention(Rule(count=5), {"publisher:": Rule(count=2), "publisher:0xab": Rule(count=1)})
    assert [retention.of(name).count for name in ("union", "publisher:0x11", "publisher:0xab12")] == [5, 2, 1]
    kept = _kept("union", 0, 1) + _kept("publisher:0xab12", 0, 1)
    assert dropped(kept, retention, NOW) == [kept[3]]


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"count": COUNT_MAX + 1}, {"count": 2, "most": 1}, {"seconds": -1}, {"most": COUNT_MAX + 1}]
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="a rule keeps at least 1 root"):
        Rule(**wrong)
    assert Rule(count=COUNT_MAX, most=COUNT_MAX).count == COUNT_MAX


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30), st.integers(0, 50), st.booleans()), max_size=30),
    st.integers(1, 5),
    st.integers(0, 40),
    st.integers(0, 9),
)
def test_of_any_set_what_goes_is_old_and_not_among_the_newest(
    rows: list[tuple[str, int, int, bool]], count: int, seconds: int, more: int
) -> None:
    kept = list({(name, at): Kept(name, b"r", at, NOW - age, pin) for name, at, age, pin in rows}.values())
    rule = Rule(count, seconds, count + more)
    gone = dropped(kept, Retention(rule), NOW)
    for one in kept:
        newer = sum(other.name == one.name and other.position > one.position for other in kept)
        stays = one.pinned or newer < count or (NOW - one.at < seconds and newer < count + more)
        assert (one not in gone) is stays
