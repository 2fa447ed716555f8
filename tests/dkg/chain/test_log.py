"""The log: what the contract's model says, whatever is rolled back; and each lie about events (rows B1, B5, E4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.chain.log import ROTATIONS_MAX, LogError, RegistryLog
from tests.dkg.chain.events import Model, address, block, events_of, root

if TYPE_CHECKING:
    from dkg.chain.registry import Committed, Event

P, Q = address(0), address(1)
BLOCKS = st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), max_size=6), max_size=12)


def _applied(blocks: list[tuple[int, list[Event]]]) -> RegistryLog:
    log = RegistryLog()
    for number, events in blocks:
        log.apply(block(number), events)
    return log


@given(BLOCKS, BLOCKS, st.integers(0, 12))
def test_after_a_reorganisation_the_log_is_that_of_the_new_chain(
    old: list[list[tuple[int, int]]], new: list[list[tuple[int, int]]], depth: int
) -> None:
    model, log, kept = Model(), RegistryLog(), [Model()]
    for number, choices in enumerate(old, 1):
        log.apply(block(number), events_of(model, choices, block(number)))
        kept.append(model.copy())
    base = max(0, len(old) - depth)
    log.rollback(base)
    model = kept[base]
    for number, choices in enumerate(new, base + 1):
        at = block(number, 1, 0 if number == base + 1 else 1)
        log.apply(at, events_of(model, choices, at))
    assert log.entries == model.log
    assert {p: s.head for p, s in log.publishers.items()} == model.heads


@given(BLOCKS, st.integers(0, 80))
def test_a_head_at_a_position_is_the_latest_before_it(choices: list[list[tuple[int, int]]], position: int) -> None:
    model, log = Model(), RegistryLog()
    for number, chosen in enumerate(choices, 1):
        log.apply(block(number), events_of(model, chosen, block(number)))
    for who in range(3):
        own = [event for event in model.log[:position] if event.publisher == address(who)]
        assert log.head_at(address(who), position) == (own[-1] if own else None)


def test_what_was_committed_before_a_revocation_stays_and_nothing_after_it_is() -> None:
    model = Model()
    first = model.commit(P, root(1), block(1))
    revoked = model.revoke(P)
    log = _applied([(1, [first, revoked])])
    assert log.head_at(P, 1) == first
    assert (log.signer_at(P, 0), log.signer_at(P, 1)) == (P, None)
    late = Model([first], {P: replace(model.head(P), signer=P)}).commit(P, root(2), block(2))
    with pytest.raises(LogError, match="after its signer was revoked"):
        log.apply(block(2), [late])


def test_each_position_has_the_signer_of_its_time() -> None:
    model = Model()
    events: list[Event] = []
    for number in range(1, 6):
        events += [model.commit(P, root(number), block(1)), model.rotate(P, address(50 + number))]
    log = _applied([(1, events)])
    assert [log.signer_at(P, at) for at in range(6)] == [P, *(address(50 + n) for n in range(1, 6))]


def test_rotations_beyond_the_limit_are_forgotten_and_that_is_said() -> None:
    model = Model()
    log = _applied([(1, [model.commit(P, root(1), block(1))])])
    log.apply(block(2), [model.rotate(P, address(1_000 + n)) for n in range(ROTATIONS_MAX - 1)])
    assert log.signer_at(P, 0) == P
    log.apply(block(3), [model.rotate(P, address(5_000))])
    assert log.signer_at(P, 1) == address(5_000)
    with pytest.raises(LogError, match="forgotten"):
        log.signer_at(P, 0)


def _two_commits() -> tuple[Committed, Committed]:
    model = Model()
    return model.commit(P, root(1), block(1)), model.commit(P, root(2), block(1))


FIRST, SECOND = _two_commits()


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([SECOND], "events are missing"),
        ([SECOND, FIRST], "events are missing"),
        ([FIRST, FIRST], "there are too many"),
        ([FIRST, replace(SECOND, position=2)], "events are missing"),
        ([FIRST, replace(SECOND, commit=replace(SECOND.commit, seq=3))], "comes after commit 1"),
        ([FIRST, replace(SECOND, commit=replace(SECOND.commit, previous=root(9)))], "does not follow"),
        ([FIRST, replace(SECOND, prior_position=1)], "wrong position"),
        ([FIRST, replace(SECOND, block=2)], "of another block"),
        ([FIRST, replace(SECOND, time=1)], "of another block"),
    ],
    ids=["left out", "swapped", "twice", "gap", "seq", "previous", "prior", "block", "time"],
)
def test_events_that_the_contract_cannot_have_emitted_are_refused(events: list[Event], reason: str) -> None:
    log = RegistryLog()
    with pytest.raises(LogError, match=reason):
        log.apply(block(1), events)
    assert (log.entries, log.publishers, log.tip) == ([], {}, None)


def test_changes_of_keys_out_of_order_are_refused() -> None:
    model = Model()
    one, two = model.rotate(P, address(8)), model.rotate(P, address(9))
    retired = model.retire(P)
    with pytest.raises(LogError, match="nonce 1; 0 comes next"):
        _applied([(1, [two])])
    with pytest.raises(LogError, match="not the signer"):
        _applied([(1, [one, replace(Model().revoke(P), nonce=1)])])
    with pytest.raises(LogError, match="retired"):
        _applied([(1, [one, two, retired, replace(one, nonce=3)])])


def test_a_block_that_does_not_follow_is_refused() -> None:
    log = _applied([(1, [])])
    with pytest.raises(LogError, match="its parent is another"):
        log.apply(block(2, 1), [])
    with pytest.raises(LogError, match="does not come after"):
        log.apply(block(1, 1), [])


def test_a_reorganisation_deeper_than_what_is_kept_is_an_error_and_changes_nothing() -> None:
    log, model = RegistryLog(kept_blocks=4), Model()
    for number in range(1, 9):
        log.apply(block(number), [model.commit(Q, root(number), block(number))])
    assert [kept.number for kept in log.blocks] == [5, 6, 7, 8]
    with pytest.raises(LogError, match="what is kept begins at 5"):
        log.rollback(3)
    assert len(log.entries) == 8
    log.rollback(4)
    assert len(log.entries) == 4


@given(BLOCKS, BLOCKS, BLOCKS)
def test_a_log_comes_back_to_a_mark_however_much_was_applied_since(
    kept: list[list[tuple[int, int]]], undone: list[list[tuple[int, int]]], new: list[list[tuple[int, int]]]
) -> None:
    model, log = Model(), RegistryLog(kept_blocks=2)
    for number, choices in enumerate(kept, 1):
        log.apply(block(number), events_of(model, choices, block(number)))
    mark, at_mark = log.mark(), model.copy()
    for number, choices in enumerate(undone, len(kept) + 1):
        log.apply(block(number), events_of(model, choices, block(number)))
    for _ in range(2):  # a mark is good more than once
        log.restore(mark)
        assert (log.entries, log.mark()) == (at_mark.log, mark)
    model = at_mark
    for number, choices in enumerate(new, len(kept) + 1):
        at = block(number, 1, 0 if number == len(kept) + 1 else 1)
        log.apply(at, events_of(model, choices, at))
    assert log.entries == model.log
    assert {p: s.head for p, s in log.publishers.items()} == model.heads
