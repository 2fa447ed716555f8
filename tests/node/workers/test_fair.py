"""Whose job is next, and who may ask for more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.workers import fair
from node.workers.errors import ClientQuotaError, OverloadedError
from node.workers.fair import FairQueue
from node.workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def queue(**settings: float) -> tuple[FairQueue[str], Clock]:
    clock = Clock()
    changes: dict[str, Any] = dict(settings)
    return FairQueue(replace(Settings(workers=2), **changes), clock), clock


def taken(line: FairQueue[str]) -> Iterator[str]:
    """Jobs in the order in which one worker that does one at a time gets them."""
    while (entry := line.next()) is not None:
        yield entry[1]
        line.done(entry[0], 0.0, 0)


def fill(line: FairQueue[str], **clients: int) -> None:
    for name, jobs in clients.items():
        for number in range(jobs):
            assert line.add(name, f"{name}{number}", 1) is None


def test_clients_take_turns_whatever_they_have_waiting() -> None:
    line, _ = queue()
    fill(line, a=5, b=2, c=1)
    assert list(taken(line)) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4"]
    assert line.waiting == 0


def test_a_newcomer_is_served_before_the_second_job_of_others() -> None:
    line, _ = queue()
    fill(line, a=20, b=20)
    order = taken(line)
    assert [next(order), next(order)] == ["a0", "b0"]
    fill(line, c=1)
    assert {next(order), next(order), next(order)} == {"a1", "b1", "c0"}


def test_one_client_runs_so_many_at_once_and_no_more() -> None:
    line, _ = queue(workers=4, running_per_client=2)
    fill(line, a=5)
    assert [line.next(), line.next(), line.next()] == [("a", "a0"), ("a", "a1"), None]
    fill(line, b=1)
    assert line.next() == ("b", "b0")
    assert line.next() is None
    line.done("a", 1.0, 1)
    assert [line.next(), line.next()] == [("a", "a2"), None]


def test_one_worker_is_left_for_others() -> None:
    assert [Settings(workers=count).client_runs for count in (1, 2, 3, 9)] == [1, 1, 2, 8]


def test_waiting_jobs_of_a_client_at_the_limit_and_one_over() -> None:
    line, _ = queue(waiting_per_client=3)
    fill(line, a=3)
    with pytest.raises(OverloadedError, match="3 requests of this client wait already") as refused:
        line.add("a", "a3", 1)
    assert type(refused.value) is OverloadedError
    assert refused.value.retry_after_s >= 1
    fill(line, b=1)


def test_waiting_jobs_in_all_at_the_limit_and_one_over() -> None:
    line, _ = queue(waiting=3)
    fill(line, a=1, b=1, c=1)
    with pytest.raises(OverloadedError, match="3 requests wait already"):
        line.add("d", "d0", 1)
    assert line.next() == ("a", "a0")
    fill(line, d=1)


def test_waiting_bytes_at_the_limit_and_one_over() -> None:
    line, _ = queue(waiting_bytes=100)
    line.add("a", "a0", 60)
    line.add("b", "b0", 40)
    with pytest.raises(OverloadedError, match="requests of 100 bytes wait already"):
        line.add("c", "c0", 1)
    line.next()
    line.add("c", "c0", 60)


def test_when_all_places_are_taken_the_one_with_most_gives_up_its_last() -> None:
    line, _ = queue(waiting=4)
    fill(line, a=3, b=1)
    assert line.add("c", "c0", 1) == "a2"
    with pytest.raises(OverloadedError):  # with two against none, the next would take what it just had to give
        line.add("b", "b1", 1)
    assert line.add("d", "d0", 1) == "a1"
    with pytest.raises(OverloadedError):
        line.add("e", "e0", 1)
    assert list(taken(line)) == ["a0", "b0", "c0", "d0"]


def test_a_job_that_is_taken_back_does_not_run() -> None:
    line, _ = queue()
    fill(line, a=2, b=1)
    assert line.remove("a", "a0")
    assert not line.remove("a", "a0")
    assert not line.remove("nobody", "a0")
    assert line.remove("b", "b0")
    assert line.waiting == 1
    assert list(taken(line)) == ["a1"]


def test_all_that_wait_can_be_sent_away_those_at_their_cap_too() -> None:
    line, _ = queue(workers=2, running_per_client=1)
    fill(line, a=3, b=1)
    assert line.next() == ("a", "a0")
    assert sorted(line.clear()) == ["a1", "a2", "b0"]
    line.done("a", 1.0, 1)
    assert line.waiting == 0
    assert line.next() is None
    fill(line, a=1)
    assert list(taken(line)) == ["a0"]


def test_time_is_a_quota_that_fills_again() -> None:
    line, clock = queue(window_seconds=60, client_seconds=30)
    fill(line, a=1)
    line.next()
    line.done("a", 40.0, 0)
    with pytest.raises(
        ClientQuotaError, match=r"used the 30 seconds of workers' time .* in 60 s; try again in 21 s"
    ) as no:
        line.add("a", "more", 1)
    assert no.value.retry_after_s == 21
    assert no.value.status == 429
    fill(line, b=1)  # others go on
    clock.now += 20
    with pytest.raises(ClientQuotaError):
        line.add("a", "more", 1)
    clock.now += 1
    assert line.add("a", "more", 1) is None


def test_bytes_are_a_quota_that_fills_again() -> None:
    line, clock = queue(window_seconds=10, client_bytes=1000)
    fill(line, a=1)
    line.next()
    line.done("a", 0.0, 1000)
    with pytest.raises(ClientQuotaError, match="used the 1000 bytes"):
        line.add("a", "more", 1)
    clock.now += 1
    assert line.add("a", "more", 1) is None


def test_quotas_never_hold_more_than_one_window() -> None:
    line, clock = queue(window_seconds=10, client_seconds=5)
    fill(line, a=1)
    clock.now += 1_000_000
    line.next()
    line.done("a", 5.0, 0)
    with pytest.raises(ClientQuotaError):
        line.add("a", "more", 1)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    line, clock = queue(window_seconds=10, client_seconds=5)
    fill(line, a=1)
    line.next()
    clock.now -= 500
    line.done("a", 6.0, 0)
    with pytest.raises(ClientQuotaError):
        line.add("a", "more", 1)


def test_clients_that_are_still_are_forgotten_and_debts_are_not() -> None:
    line, clock = queue(window_seconds=10, client_seconds=5)
    for number in range(100):
        fill(line, **{f"client{number}": 1})
    list(taken(line))
    line.add("debtor", "job", 1)
    line.next()
    line.done("debtor", 50.0, 0)
    clock.now += 11
    for number in range(200):
        fill(line, **{f"new{number}": 1})
    assert line.clients <= 201 + 1
    with pytest.raises(ClientQuotaError):
        line.add("debtor", "more", 1)


def test_clients_that_are_remembered_at_the_limit_and_one_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair, "CLIENTS_MAX", 4)
    line, _ = queue()
    fill(line, a=1, b=1, c=1, d=1)
    with pytest.raises(OverloadedError, match="4 clients are here already"):
        line.add("e", "e0", 1)
    assert line.remove("c", "c0")
    for _ in range(2):  # two are looked at each time
        if line.clients == 4:
            try:
                line.add("e", "e0", 1)
            except OverloadedError:
                continue
    assert line.clients == 4
    assert set(taken(line)) == {"a0", "b0", "d0", "e0"}


def test_how_long_to_wait_goes_by_what_jobs_take() -> None:
    line, _ = queue(workers=2)
    assert line.overloaded("busy").retry_after_s == 1
    fill(line, a=1)
    line.next()
    line.done("a", 8.0, 0)
    fill(line, a=3)
    assert line.overloaded("busy").retry_after_s == 16
    fill(line, a=20)
    assert line.overloaded("busy").retry_after_s == fair.RETRY_SECONDS_MAX


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 5)),
            st.tuples(st.just("next"), st.just(0)),
            st.tuples(st.just("done"), st.integers(0, 5)),
            st.tuples(st.just("remove"), st.integers(0, 40)),
            st.tuples(st.just("wait"), st.integers(0, 20)),
        ),
        max_size=80,
    )
)
def test_nothing_is_lost_or_run_twice_and_no_cap_is_broken(steps: list[tuple[str, int]]) -> None:
    line, clock = queue(workers=3, waiting=6, waiting_per_client=3, running_per_client=2, window_seconds=10)
    waiting: dict[str, str] = {}
    running: list[str] = []
    for number, (what, value) in enumerate(steps):
        if what == "add":
            client, job = f"c{value}", f"job{number}"
            try:
                bumped = line.add(client, job, 1)
            except OverloadedError:
                continue
            waiting[job] = client
            if bumped is not None:
                del waiting[bumped]
        elif what == "next" and (entry := line.next()) is not None:
            assert waiting.pop(entry[1]) == entry[0]
            running.append(entry[0])
        elif what == "done" and running:
            line.done(running.pop(value % len(running)), 0.1, 1)
        elif what == "remove" and waiting:
            job = sorted(waiting)[value % len(waiting)]
            assert line.remove(waiting.pop(job), job)
        elif what == "wait":
            clock.now += value
        assert line.waiting == len(waiting) <= 6
        assert max(Counter(waiting.values()).values(), default=0) <= 3
        assert max(Counter(running).values(), default=0) <= 2
    for client in running:
        line.done(client, 0.1, 1)
    assert sorted(taken(line)) == sorted(waiting)
