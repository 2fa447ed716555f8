"""The simulator's scheduler keeps the rules that trio keeps: the code that runs on both must not see a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from node.peers.runtime import TrioRuntime
from tests.sim.loop import Cancelled, Loop, SimRuntime, StuckError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from node.replication.runtime import Runtime

    Story = Callable[[Runtime, list[str]], Awaitable[None]]

TICK = 0.02


async def tasks_end_before_the_block_does(runtime: Runtime, seen: list[str]) -> None:
    async def task(name: str, ticks: int) -> None:
        await runtime.sleep(ticks * TICK)
        seen.append(name)

    async with runtime.nursery() as nursery:
        nursery.start_soon(task, "b", 4)
        nursery.start_soon(task, "a", 2)
        seen.append("body")
    seen.append("after")


async def cancelling_ends_tasks_and_the_block(runtime: Runtime, seen: list[str]) -> None:
    async def task() -> None:
        try:
            await runtime.sleep(1000)
        finally:
            seen.append("task ended")

    async with runtime.nursery() as nursery:
        nursery.start_soon(task)
        await runtime.sleep(TICK)
        nursery.cancel()
        await runtime.sleep(1000)
        seen.append("never")
    seen.append("after")


async def cancelling_from_a_task_ends_the_block(runtime: Runtime, seen: list[str]) -> None:
    async def task(stop: Callable[[], None]) -> None:
        await runtime.sleep(TICK)
        stop()
        seen.append("stopped")

    async with runtime.nursery() as nursery:
        nursery.start_soon(task, nursery.cancel)
        try:
            await runtime.sleep(1000)
        finally:
            seen.append("body ended")
    seen.append("after")


async def an_error_ends_the_others_and_is_raised_by_the_block(runtime: Runtime, seen: list[str]) -> None:
    async def bad() -> None:
        await runtime.sleep(TICK)
        raise KeyError

    async def other() -> None:
        try:
            await runtime.sleep(1000)
        finally:
            seen.append("other ended")

    try:
        async with runtime.nursery() as nursery:
            nursery.start_soon(bad)
            nursery.start_soon(other)
            await runtime.sleep(1000)
    except* KeyError:
        seen.append("raised")


async def an_error_of_the_body_ends_the_tasks(runtime: Runtime, seen: list[str]) -> None:
    async def other() -> None:
        try:
            await runtime.sleep(1000)
        finally:
            seen.append("other ended")

    async def body() -> None:
        async with runtime.nursery() as nursery:
            nursery.start_soon(other)
            await runtime.sleep(TICK)
            raise KeyError

    try:
        await body()
    except* KeyError:
        seen.append("raised")


async def an_inner_block_is_ended_with_the_outer_one(runtime: Runtime, seen: list[str]) -> None:
    async def task() -> None:
        async with runtime.nursery() as inner:
            inner.start_soon(runtime.sleep, 1000)
            try:
                await runtime.sleep(1000)
            finally:
                seen.append("inner ended")
        seen.append("never")

    async with runtime.nursery() as outer:
        outer.start_soon(task)
        await runtime.sleep(TICK)
        outer.cancel()
    seen.append("after")


async def a_task_started_after_cancelling_runs_to_its_first_wait(runtime: Runtime, seen: list[str]) -> None:
    async def task() -> None:
        seen.append("started")
        await runtime.sleep(TICK)
        seen.append("never")

    async with runtime.nursery() as nursery:
        nursery.cancel()
        nursery.start_soon(task)
    seen.append("after")


async def waiting_at_most_ends_with_the_event_or_the_time(runtime: Runtime, seen: list[str]) -> None:
    event = runtime.event()

    async def later() -> None:
        await runtime.sleep(3 * TICK)
        event.set()

    async with runtime.nursery() as nursery:
        nursery.start_soon(later)
        await runtime.wait(event, TICK)
        seen.append("time")
        await runtime.wait(event, 1000)
        seen.append("event")
        await runtime.wait(event, 1000)
        seen.append("again")


async def cancelling_reaches_through_a_wait_for_an_event(runtime: Runtime, seen: list[str]) -> None:
    async def task() -> None:
        try:
            await runtime.wait(runtime.event(), 1000)
            seen.append("never")
        finally:
            seen.append("ended")

    async with runtime.nursery() as nursery:
        nursery.start_soon(task)
        await runtime.sleep(TICK)
        nursery.cancel()


async def what_is_blocking_gives_its_result_and_raises_its_error(runtime: Runtime, seen: list[str]) -> None:
    nothing: dict[str, str] = {}
    seen.append(await runtime.blocking("a", lambda: "result"))
    try:
        await runtime.blocking("a", lambda: nothing["nothing"])
    except KeyError:
        seen.append("raised")


STORIES: list[tuple[Any, list[str]]] = [
    (tasks_end_before_the_block_does, ["body", "a", "b", "after"]),
    (cancelling_ends_tasks_and_the_block, ["task ended", "after"]),
    (cancelling_from_a_task_ends_the_block, ["stopped", "body ended", "after"]),
    (an_error_ends_the_others_and_is_raised_by_the_block, ["other ended", "raised"]),
    (an_error_of_the_body_ends_the_tasks, ["other ended", "raised"]),
    (an_inner_block_is_ended_with_the_outer_one, ["inner ended", "after"]),
    (a_task_started_after_cancelling_runs_to_its_first_wait, ["started", "after"]),
    (waiting_at_most_ends_with_the_event_or_the_time, ["time", "event", "again"]),
    (cancelling_reaches_through_a_wait_for_an_event, ["ended"]),
    (what_is_blocking_gives_its_result_and_raises_its_error, ["result", "raised"]),
]


@pytest.mark.parametrize(("story", "expected"), STORIES, ids=[story.__name__ for story, _ in STORIES])
def test_a_story_goes_the_same_way_in_the_simulator_and_on_trio(story: Story, expected: list[str]) -> None:
    for seed in range(5):
        loop, seen = Loop(seed), list[str]()
        loop.run(story, SimRuntime(loop), seen)  # type: ignore[arg-type]  # a coroutine function
        assert seen == expected
    seen = []
    trio.run(story, TrioRuntime(), seen)
    assert seen == expected


def test_virtual_time_costs_no_time_and_is_the_sum_of_what_was_slept() -> None:
    loop = Loop(1)
    runtime = SimRuntime(loop)

    async def main() -> float:
        for _ in range(1000):
            await runtime.sleep(3600)
        return runtime.now()

    assert loop.run(main) == 3_600_000


def test_what_is_due_at_the_same_moment_runs_in_an_order_that_the_seed_decides() -> None:
    def order(seed: int) -> list[int]:
        loop, seen = Loop(seed), list[int]()
        runtime = SimRuntime(loop)

        async def task(number: int) -> None:
            await runtime.sleep(1)
            seen.append(number)

        async def main() -> None:
            async with runtime.nursery() as nursery:
                for number in range(20):
                    nursery.start_soon(task, number)

        loop.run(main)
        return seen

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == list(range(20))


def test_a_lane_does_one_thing_after_the_other_and_two_lanes_side_by_side() -> None:
    loop = Loop(1)
    runtime = SimRuntime(loop, disk_s=1.0)
    ended: list[tuple[str, float]] = []

    async def work(lane: str) -> None:
        await runtime.blocking(lane, lambda: None)
        ended.append((lane, runtime.now()))

    async def main() -> None:
        async with runtime.nursery() as nursery:
            for lane in "aab":
                nursery.start_soon(work, lane)

    loop.run(main)
    assert sorted(ended) == [("a", 1.0), ("a", 2.0), ("b", 1.0)]


def test_an_error_in_a_task_that_nobody_waits_for_is_not_swallowed() -> None:
    loop = Loop(1)
    runtime = SimRuntime(loop)

    async def bad() -> None:
        await runtime.sleep(1)
        raise KeyError

    async def main() -> None:
        loop.start(bad())
        await runtime.sleep(10)

    with pytest.raises(KeyError):
        loop.run(main)


def test_one_that_waits_for_what_never_happens_is_seen() -> None:
    loop = Loop(1)
    with pytest.raises(StuckError):
        loop.run(SimRuntime(loop).event().wait)


def test_cancelled_is_no_ordinary_error() -> None:
    assert not issubclass(Cancelled, Exception)
