"""The log of checkpoints as events make it: what the contract cannot have emitted is refused, and blocks are undone."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from dkg.chain.checkpoint_events import (
    TOPICS,
    Answered,
    CheckpointEvent,
    Demanded,
    Expired,
    Finalised,
    Marked,
    Page,
    Proposed,
    Refuted,
    Shown,
    Target,
    decode_checkpoint_event,
)
from dkg.chain.checkpoint_log import CheckpointLog
from dkg.chain.checkpoints import OPEN_MAX, Reason, Status
from dkg.chain.log import Block, LogError
from dkg.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import Iterable

WHO, ROOT, DIGEST = b"\xaa" * 20, b"\x11" * 32, b"\x22" * 32
WINDOW, DEMAND = 60, 20
ONE = Proposed(1, WHO, 5, 0, ROOT, 100 + WINDOW)
MARK = Marked(3, 1, Reason.MALFORMED, WHO)
OF_ONE = Demanded(1, DIGEST, Target.CHECKPOINT, 1, 110 + DEMAND)


def block(number: int, time: int | None = None) -> Block:
    return Block(number, (number + 1).to_bytes(32), number.to_bytes(32), 100 + 10 * number if time is None else time)


def log_of(*blocks: Iterable[CheckpointEvent]) -> CheckpointLog:
    """A log of blocks 0, 1, ..., ten seconds apart from 100 on."""
    log = CheckpointLog()
    for number, events in enumerate(blocks):
        log.apply(block(number), list(events))
    return log


def facts(log: CheckpointLog) -> tuple[Any, ...]:
    tables: list[dict[Any, Any]] = [log.checkpoints, log.marks, log.marked, log.demands, log.shown, log.answered]
    return log.state, log.opened, *(table.copy() for table in tables)


def eight() -> list[CheckpointEvent]:
    return [replace(ONE, id=at + 1, position=at) for at in range(OPEN_MAX)]


@pytest.mark.parametrize(
    ("before", "event", "says"),
    [
        ([], replace(ONE, id=2), "comes after checkpoint 0"),
        ([ONE], ONE, "comes after checkpoint 1"),
        ([], replace(ONE, marks=1), "more marks than there are"),
        ([], replace(ONE, ends=109), "ends before it begins"),
        ([ONE], replace(ONE, id=2), "says what a pending one says"),
        (eight(), replace(ONE, id=9, position=9), "one more than can be pending"),
        ([], Refuted(1, WHO, 1), "not pending, is refuted"),
        ([ONE, Refuted(1, WHO, 1)], Refuted(1, WHO, 1), "not pending, is refuted"),
        ([], Finalised(1), "not pending, becomes final"),
        ([ONE], Finalised(1), "before its window ends"),
        ([ONE, Refuted(1, WHO, 1)], Finalised(1), "not pending, becomes final"),
        ([], replace(MARK, number=2), "comes after mark 0"),
        ([MARK], replace(MARK, number=2), "which is marked"),
        ([Shown(DIGEST, Page.LONG)], Shown(DIGEST, Page.LONG), "shown twice"),
        ([], OF_ONE, "not pending, gets a demand"),
        ([ONE], replace(OF_ONE, demand=2), "comes after demand 0"),
        ([ONE], replace(OF_ONE, deadline=109), "ends before it begins"),
        ([MARK], Demanded(1, DIGEST, Target.COMMIT, 3, 130), "which is marked"),
        ([], Answered(1, DIGEST, b"", WHO), "which is not open"),
        ([ONE, OF_ONE], Answered(1, ROOT, b"", WHO), "another page"),
        ([ONE, OF_ONE, Answered(1, DIGEST, b"", WHO)], Expired(1), "which is not open"),
        ([ONE, OF_ONE], Expired(1), "before its deadline"),
    ],
)
def test_what_the_contract_cannot_have_emitted_is_refused_and_changes_nothing(
    before: list[CheckpointEvent], event: CheckpointEvent, says: str
) -> None:
    log = log_of(before)
    was = facts(log)
    with pytest.raises(LogError, match=says):
        log.apply(block(1), [Shown(b"\x77" * 32, Page.LONG), event])
    assert facts(log) == was
    assert log.tip == block(0)


def test_an_answer_after_the_deadline_is_refused() -> None:
    log = log_of([ONE], [OF_ONE])
    with pytest.raises(LogError, match="too late"):
        log.apply(block(2, 110 + DEMAND + 1), [Answered(1, DIGEST, b"", WHO)])
    log.apply(block(2, 110 + DEMAND), [Answered(1, DIGEST, b"", WHO)])
    assert log.answered == {DIGEST: (1, 2)}
    assert log.demands == {}


def test_a_final_checkpoint_is_not_gone_back_behind() -> None:
    log = log_of([ONE, replace(ONE, id=2, position=4)])
    log.apply(block(1, 100 + WINDOW), [Finalised(1)])
    for other in (replace(ONE, id=3, ends=500), replace(ONE, id=3, position=4, ends=500)):
        with pytest.raises(LogError, match="no more than checkpoint 1, which is final"):
            log.apply(block(2), [other])
    log.apply(block(2, 200), [Finalised(2), replace(ONE, id=3, position=6, ends=500)])
    assert log.state.final == 1
    assert log.final == log.checkpoints[1]
    assert log.checkpoints[2].status is Status.FINAL


def test_blocks_come_in_order() -> None:
    log = log_of([ONE])
    with pytest.raises(LogError, match="does not come after"):
        log.apply(block(0), [])
    with pytest.raises(LogError, match="does not follow"):
        log.apply(replace(block(1), parent=b"\1" * 32), [])


def test_what_is_not_kept_cannot_be_rolled_back() -> None:
    log = CheckpointLog(2)
    for number in range(4):
        log.apply(block(number), [])
    with pytest.raises(LogError, match="what is kept begins at 2"):
        log.rollback(0)
    log.rollback(1)
    assert log.blocks == []


def _some(random: Random, log: CheckpointLog, time: int) -> CheckpointEvent:
    """An event that may or may not be one of the contract's."""
    number, state = random.randint, log.state
    events: list[CheckpointEvent] = [
        Proposed(state.last + 1, WHO, number(0, 9), number(0, state.marks), bytes([number(1, 9)]) * 32, time),
        Refuted(number(1, state.last + 1), WHO, 1),
        Finalised(number(1, state.last + 1)),
        Marked(number(0, 9), state.marks + 1, Reason.UNAVAILABLE, WHO),
        Shown(bytes([number(0, 20)]) * 32, Page.WELL_FORMED),
        Demanded(state.demands + 1, DIGEST, Target(number(1, 2)), number(1, 9), time + 2),
        Answered(number(1, state.demands + 1), DIGEST, b"", WHO),
        Expired(number(1, state.demands + 1)),
    ]
    return random.choice(events)


@pytest.mark.parametrize("seed", range(20))
def test_rolling_back_and_restoring_give_what_there_was(seed: int) -> None:
    random, log = Random(seed), CheckpointLog()
    history, snapshots = [facts(log)], [log.snapshot()]
    taken = 0
    for _ in range(60):
        number = len(history) - 1
        events = [_some(random, log, number) for _ in range(random.randint(0, 3))]
        try:
            log.apply(block(number, number), events)
        except LogError:
            assert facts(log) == history[-1]
            log.apply(block(number, number), [])
        taken += len(events)
        history.append(facts(log))
        snapshots.append(log.snapshot())
        if random.random() < 0.2:
            back = random.randint(0, len(history) - 1)
            if random.random() < 0.5:
                log.rollback(back - 1)
            else:
                log.restore(snapshots[back])
            del history[back + 1 :], snapshots[back + 1 :]
            assert facts(log) == history[-1]
            assert len(log.blocks) == back
    assert taken > 50


def test_a_copy_does_not_change() -> None:
    log = log_of([ONE])
    copy = log.copy()
    log.apply(block(1), [MARK])
    assert (copy.state.marks, copy.pending) == (0, log.pending)


# --- decoding --------------------------------------------------------------------------------------------------------


def word(value: int | bytes) -> bytes:
    return value.to_bytes(32) if isinstance(value, int) else value.rjust(32, b"\0")


def test_events_are_decoded() -> None:
    answer = word(64) + word(WHO) + word(3) + b"abc".ljust(32, b"\0")
    for event, topics, data in (
        (ONE, [word(1), word(WHO)], word(5) + word(0) + ROOT + word(160)),
        (Refuted(1, WHO, 4), [word(1), word(WHO)], word(4)),
        (Finalised(1), [word(1)], b""),
        (MARK, [word(3)], word(1) + word(1) + word(WHO)),
        (Shown(DIGEST, Page.LONG), [DIGEST], word(2)),
        (OF_ONE, [word(1), DIGEST], word(1) + word(1) + word(130)),
        (Answered(1, DIGEST, b"abc", WHO), [word(1), DIGEST], answer),
        (Expired(1), [word(1)], b""),
    ):
        all_topics = [TOPICS[type(event)], *topics]
        assert decode_checkpoint_event(all_topics, data) == event
        for bad_topics, bad_data in (
            (all_topics, data + b"\0"),
            (all_topics, data + word(0)),
            (all_topics[:-1], data),
            ([*all_topics, word(0)], data),
            ([b"\0" * 32, *topics], data),
            ([], data),
        ):
            with pytest.raises(ProofError):
                decode_checkpoint_event(bad_topics, bad_data)


@pytest.mark.parametrize(
    ("kind", "topics", "data"),
    [
        (Proposed, [word(2**32), word(WHO)], word(5) + word(0) + ROOT + word(160)),
        (Proposed, [word(1), b"\1" * 32], word(5) + word(0) + ROOT + word(160)),
        (Proposed, [word(1), word(WHO)], word(2**48) + word(0) + ROOT + word(160)),
        (Marked, [word(3)], word(1) + word(3) + word(WHO)),
        (Marked, [word(3)], word(1) + word(1) + b"\1" * 32),
        (Shown, [DIGEST], word(3)),
        (Demanded, [word(1), DIGEST], word(0) + word(1) + word(130)),
        (Demanded, [word(1), DIGEST], word(1) + word(1) + word(2**40)),
        (Answered, [word(1), DIGEST], word(32) + word(WHO) + word(0)),
        (Answered, [word(1), DIGEST], word(64) + word(WHO) + word(30_977) + bytes(30_976 + 32)),
        (Answered, [word(1), DIGEST], word(64) + word(WHO) + word(3) + b"abcd".ljust(32, b"\0")),
        (Answered, [word(1), DIGEST], word(64) + word(WHO)),
        (Answered, [word(1), DIGEST], b""),
    ],
)
def test_what_is_no_event_is_refused(kind: type[CheckpointEvent], topics: list[bytes], data: bytes) -> None:
    with pytest.raises(ProofError):
        decode_checkpoint_event([TOPICS[kind], *topics], data)


def test_the_longest_page_is_decoded() -> None:
    page = b"\7" * 30_976
    data = word(64) + word(WHO) + word(len(page)) + page
    assert decode_checkpoint_event([TOPICS[Answered], word(1), DIGEST], data) == Answered(1, DIGEST, page, WHO)
