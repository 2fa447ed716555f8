"""What counts of a publisher: records show it, and no records show anything else."""

from __future__ import annotations

from contextlib import suppress
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.checkpoints.records import (
    RECORDS_MAX,
    ClaimError,
    Record,
    check_claim,
    claim,
    counting_commit,
    marked_among,
)
from dkg.limits import COMMITS_MAX
from dkg.page import CID_PREFIX, cid_of
from tests.dkg.checkpoints.worlds import PUBLISHERS, STRANGER, World


def world_of(choices: list[int], marks: list[int]) -> World:
    """Commits of the chosen publishers, in this order, and marks of positions."""
    world = World()
    for number, who in enumerate(choices):
        world.commit(PUBLISHERS[who], root=cid_of(b"root %d" % number))
    for position in marks:
        world.mark(position)
    return world


def counts(world: World, publisher: bytes, position: int, marks: int) -> bytes | None:
    """The root that counts, by the words of the specification."""
    before = [one for one in world.log.entries[:position] if one.publisher == publisher][-COMMITS_MAX:]
    unmarked = [one for one in before if one.position not in marked_among(world.marked, marks)]
    return unmarked[-1].commit.root if unmarked else None


def shown(world: World, publisher: bytes, position: int, marks: int) -> bytes | None:
    """The root that the records of a claim show."""
    records = [Record.of(one) for one in claim(world.log, publisher, position, marked_among(world.marked, marks))]
    assert len(records) <= RECORDS_MAX
    return check_claim(publisher, records, position, marks, world.view)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    choices = draw(st.lists(st.sampled_from([0, 0, 0, 1]), max_size=16))
    marks = draw(st.lists(st.sampled_from(range(len(choices))), unique=True)) if choices else []
    return world_of(choices, marks)


@given(worlds())
def test_the_records_of_a_claim_show_what_counts_at_every_position_and_mark(world: World) -> None:
    for publisher in PUBLISHERS:
        for position in range(len(world.log.entries) + 1):
            for marks in range(len(world.marked) + 1):
                commit = counting_commit(world.log, publisher, position, marked_among(world.marked, marks))
                expected = counts(world, publisher, position, marks)
                assert (commit.commit.root if commit else None) == expected
                assert shown(world, publisher, position, marks) == expected


@given(worlds(), st.data())
def test_no_records_show_anything_else(world: World, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(world.log.entries)))
    marks = data.draw(st.integers(0, len(world.marked)))
    records = [Record.of(one) for one in world.log.entries]
    for publisher in (*PUBLISHERS[:2], STRANGER):
        expected = counts(world, publisher, position, marks)
        own = [record for record in records if world.log.entries[record.position].publisher == publisher]
        windows = [own[a:b] for a, b in combinations(range(len(own) + 1), 2)]
        other = (
            data.draw(st.lists(st.lists(st.sampled_from(records), max_size=RECORDS_MAX + 1), max_size=10))
            if records
            else []
        )
        for tried in ([], *windows, *other):
            with suppress(ClaimError):
                assert check_claim(publisher, tried, position, marks, world.view) == expected


@pytest.mark.parametrize("marked", range(COMMITS_MAX + 2))
@pytest.mark.parametrize("more", [0, 1])
def test_the_eighth_commit_back_is_the_last_that_is_looked_at(marked: int, more: int) -> None:
    size = COMMITS_MAX + 2
    world = world_of([0] * size, list(range(size - marked - more, size - more)))
    position = size - more
    expected = cid_of(b"root %d" % (position - 1 - marked))[len(CID_PREFIX) :] if marked < COMMITS_MAX else None
    assert shown(world, PUBLISHERS[0], position, marked) == expected
    if marked:  # and without the last mark the commit that it is of counts
        assert shown(world, PUBLISHERS[0], position, marked - 1) == counts(world, PUBLISHERS[0], position, marked - 1)


def test_the_ninth_commit_back_does_not_count_though_all_after_it_are_marked() -> None:
    world = world_of([0] * (COMMITS_MAX + 1), list(range(1, COMMITS_MAX + 1)))
    records = [Record.of(one) for one in world.log.entries]
    with pytest.raises(ClaimError, match="9 records are below the position; 8 are looked at"):
        check_claim(PUBLISHERS[0], records, len(records), COMMITS_MAX, world.view)
    assert check_claim(PUBLISHERS[0], records[1:], len(records), COMMITS_MAX, world.view) is None


def test_ten_records_are_one_more_than_are_looked_at() -> None:
    world = world_of([0] * (RECORDS_MAX + 1), [])
    records = [Record.of(one) for one in world.log.entries]
    with pytest.raises(ClaimError, match="10 records are over the limit of 9"):
        check_claim(PUBLISHERS[0], records, len(records), 0, world.view)


def test_a_commit_counts_from_the_position_after_it() -> None:
    world = world_of([0, 1, 0], [])
    first, last = (cid_of(b"root %d" % number)[len(CID_PREFIX) :] for number in (0, 2))
    assert [shown(world, PUBLISHERS[0], position, 0) for position in range(4)] == [None, first, first, last]


def test_a_mark_counts_from_its_number() -> None:
    world = world_of([0, 0, 1], [2, 1])
    first, second = (cid_of(b"root %d" % number)[len(CID_PREFIX) :] for number in (0, 1))
    assert [shown(world, PUBLISHERS[0], 3, marks) for marks in range(3)] == [second, second, first]


def test_a_record_is_the_preimage_of_the_log_s_entry() -> None:
    world = world_of([0, 1, 0], [])
    for entry in world.log.entries:
        record = Record.of(entry)
        assert record.entry(entry.publisher) == entry.entry()
        assert (record.seq, record.position, record.prior_position) == (
            entry.commit.seq,
            entry.position,
            entry.prior_position,
        )
