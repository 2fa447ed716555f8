"""The bridge: a trio loop in a thread, called from threads and from asyncio, started and stopped again and again."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

import pytest
import trio
import trio.lowlevel

from dkg.errors import StoreError
from node.peers.runtime import TrioRuntime
from node.peers.thread import PeerThread

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def peers() -> Iterator[PeerThread]:
    with PeerThread("test peers") as thread:
        yield thread


async def double(number: int) -> int:
    await trio.lowlevel.checkpoint()
    return 2 * number


async def fail() -> None:
    await trio.lowlevel.checkpoint()
    raise StoreError("as it should")


def test_a_coroutine_runs_in_the_loop_and_its_result_comes_back(peers: PeerThread) -> None:
    assert peers.call(double, 21) == 42


def test_many_threads_call_at_once(peers: PeerThread) -> None:
    results: list[int] = []
    threads = [threading.Thread(target=lambda n=n: results.append(peers.call(double, n))) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [2 * number for number in range(20)]


def test_asyncio_waits_for_it(peers: PeerThread) -> None:
    async def main() -> list[int]:
        return list(await asyncio.gather(*(asyncio.wrap_future(peers.submit(double, n)) for n in range(10))))

    assert asyncio.run(main()) == [2 * number for number in range(10)]


def test_an_error_comes_back_and_ends_nothing_else(peers: PeerThread) -> None:
    with pytest.raises(StoreError, match="as it should"):
        peers.call(fail)
    assert peers.call(double, 1) == 2


def test_a_service_that_cannot_start_says_so_and_the_loop_goes_on(peers: PeerThread) -> None:
    async def service(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:  # type: ignore[name-defined]
        del task_status
        await fail()

    with pytest.raises(StoreError, match="as it should"):
        peers.start(service)
    assert peers.call(double, 1) == 2


def test_a_service_runs_until_the_thread_is_closed() -> None:
    ended: list[str] = []

    async def service(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:  # type: ignore[name-defined]
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            ended.append("service")

    with PeerThread() as peers:
        peers.start(service)
        assert ended == []
    assert ended == ["service"]


def test_what_ends_the_loop_is_raised_when_it_is_closed() -> None:
    peers = PeerThread()
    peers.open()
    peers.spawn(fail)
    assert peers._thread is not None
    peers._thread.join(5)
    with pytest.raises(StoreError, match="does not run"):
        peers.submit(double, 1)
    with pytest.raises(BaseExceptionGroup) as caught:
        peers.close()
    assert caught.group_contains(StoreError, match="as it should")
    peers.close()


def test_whoever_waits_is_told_when_the_thread_is_closed() -> None:
    peers = PeerThread()
    peers.open()
    waiting = peers.submit(trio.sleep_forever)
    peers.call(double, 1)
    peers.close()
    with pytest.raises((CancelledError, StoreError)):
        waiting.result(5)
    with pytest.raises(StoreError, match="does not run"):
        peers.call(double, 1)


def test_a_thread_that_was_never_opened_can_be_closed_and_not_called() -> None:
    peers = PeerThread()
    peers.close()
    with pytest.raises(StoreError, match="does not run"):
        peers.call(double, 1)


def test_a_future_that_is_cancelled_before_it_runs_is_not_run(peers: PeerThread) -> None:
    ran: list[int] = []
    gate = threading.Event()

    async def block() -> None:
        gate.wait(5)  # the loop itself stands still

    async def note() -> None:
        ran.append(1)

    first = peers.submit(block)
    second = peers.submit(note)
    assert second.cancel()
    gate.set()
    first.result(5)
    peers.call(double, 1)
    assert ran == []


def test_twenty_threads_one_after_the_other_leave_none_behind() -> None:
    before = threading.active_count()
    for _ in range(20):
        with PeerThread() as peers:
            assert peers.call(double, 1) == 2
    assert threading.active_count() == before


def test_the_runtime_does_the_work_of_a_lane_one_at_a_time_and_of_two_lanes_side_by_side() -> None:
    runtime = TrioRuntime()
    running: list[str] = []
    most: dict[str, int] = {"a": 0, "all": 0}
    both = threading.Barrier(2, timeout=5)

    def work(lane: str) -> None:
        running.append(lane)
        most["a"] = max(most["a"], running.count("a"))
        both.wait()  # passes only if both lanes are here
        running.remove(lane)

    async def main() -> None:
        async with runtime.nursery() as nursery:
            for lane in ("a", "b", "a", "b"):
                nursery.start_soon(runtime.blocking, lane, lambda lane=lane: work(lane))

    trio.run(main)
    assert most["a"] == 1


def test_the_runtime_waits_for_events_and_no_longer_than_it_is_told() -> None:
    runtime = TrioRuntime()

    async def main() -> list[float]:
        event = runtime.event()
        since = runtime.now()
        await runtime.wait(event, 0.05)
        first = runtime.now() - since
        event.set()
        await runtime.wait(event, 60)
        return [first, runtime.now() - since]

    first, both = trio.run(main)
    assert 0.04 < first < 10
    assert both < 10
    assert runtime.random.random() != runtime.random.random()
