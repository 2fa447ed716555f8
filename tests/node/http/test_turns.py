"""Work in threads, one after the other: one who asks for much does not keep others from their turn."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pytest

from node.http.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

A, B = "a", "b"


def threaded(work: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    return lambda: asyncio.to_thread(work)


def test_a_reader_with_many_requests_keeps_nobody_else_waiting() -> None:
    done: list[str] = []

    async def scenario() -> None:
        turns = Turns(1)
        many = [asyncio.create_task(turns.run(A, threaded(partial(done.append, A)))) for _ in range(64)]
        await asyncio.sleep(0)  # all of them wait
        await turns.run(B, threaded(partial(done.append, B)))
        await asyncio.gather(*many)

    asyncio.run(scenario())
    assert done.index(B) <= 2
    assert len(done) == 65


def test_one_works_at_a_time_also_after_somebody_waits_no_more() -> None:
    working = 0
    most = 0
    begun, go_on = threading.Event(), threading.Event()

    def work() -> str:
        nonlocal working, most
        working += 1
        most = max(most, working)
        begun.set()
        go_on.wait()
        working -= 1
        return "done"

    async def scenario() -> None:
        turns = Turns(1)
        first = asyncio.create_task(turns.run(A, threaded(work)))
        await asyncio.to_thread(begun.wait)
        waiting = [asyncio.create_task(turns.run(name, threaded(work))) for name in (A, B)]
        gone = asyncio.create_task(turns.run(B, threaded(work)))
        await asyncio.sleep(0)
        for task in (first, gone):
            task.cancel()
        for task in (first, gone):
            with pytest.raises(asyncio.CancelledError):
                await task
        go_on.set()
        assert await asyncio.gather(*waiting) == ["done", "done"]
        assert not turns._own

    asyncio.run(scenario())
    assert (most, working) == (1, 0)


def test_what_a_function_raises_is_told_and_the_next_one_has_its_turn() -> None:
    def fail() -> None:
        raise LookupError("not there")

    async def scenario() -> str:
        turns = Turns(1)
        with pytest.raises(LookupError, match="not there"):
            await turns.run(A, threaded(fail))
        return await turns.run(A, threaded(lambda: "there"))

    assert asyncio.run(scenario()) == "there"
