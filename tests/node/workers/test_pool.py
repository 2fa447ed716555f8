"""The pool as a whole: places, fairness, quotas, cancelling, stopping, and what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import uvloop

import dkg
from dkg.client.store import SqliteStore
from dkg.errors import InputError, LimitError
from dkg.evaluate import Dataset
from node.workers.errors import ClientQuotaError, OverloadedError, WorkerError
from node.workers.frames import REQUEST_HEADER_BYTES_MAX
from node.workers.jobs import Job, Parse, Query, Result
from node.workers.pool import Workers
from node.workers.settings import MEMORY_BYTES_MIN, WORKERS_MAX, Settings
from tests.datasets import university
from tests.node.workers.harness import HOSTILE, NO_ROOT, Pool

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tests.node.workers.conftest import Data

SMALL = Parse(data=b"<urn:a> <urn:b> <urn:c> .", format="ttl", graph="urn:g")


def sleep(seconds: float) -> Job:
    return Query(root=NO_ROOT, text=f"sleep {seconds}")


FOR_EVER = sleep(3600)


def crowded(data: Data, **settings: Any) -> Pool:  # noqa: ANN401
    """Hostile workers, which sleep when they are told to."""
    given = {"wall_seconds": 120, "wait_seconds": 120, **settings}
    return Pool(data.directory, Settings(**given), module=HOSTILE)


# --- places ----------------------------------------------------------------------------------------------------


def test_places_for_waiting_at_the_limit_and_one_over(data: Data) -> None:
    with crowded(data, workers=1, waiting=3) as pool:
        running = pool.start(FOR_EVER, "runs")
        waiting = [pool.start(SMALL, f"waits {number}") for number in range(3)]
        assert pool.workers.state().waiting == 3
        refused = pool.outcome(SMALL, "one too many")
        assert isinstance(refused, OverloadedError)
        assert refused.status == 503
        assert refused.retry_after_s >= 1
        running.cancel()
        assert all(future.result().facts.rows == 1 for future in waiting)


def test_places_of_one_client_at_the_limit_and_one_over(data: Data) -> None:
    with crowded(data, workers=1, waiting_per_client=2) as pool:
        running = pool.start(FOR_EVER, "greedy")
        futures = [pool.start(SMALL, "greedy") for _ in range(2)]
        refused = pool.outcome(SMALL, "greedy")
        assert isinstance(refused, OverloadedError)
        assert "2 requests of this client wait already" in str(refused)
        futures.append(pool.start(SMALL, "modest"))
        running.cancel()
        assert all(isinstance(future.result(), Result) for future in futures)


def test_whoever_crowds_out_others_loses_places_to_them(data: Data) -> None:
    with crowded(data, workers=1, waiting=4) as pool:
        running = pool.start(FOR_EVER, "runs")
        greedy = [pool.start(SMALL, "greedy") for _ in range(4)]
        modest = pool.start(SMALL, "modest")
        with pytest.raises(OverloadedError, match="other clients need the place"):
            greedy[3].result()
        running.cancel()
        assert [future.result().facts.rows for future in [*greedy[:3], modest]] == [1] * 4


def test_a_job_does_not_wait_for_ever(data: Data) -> None:
    with crowded(data, workers=1, wait_seconds=0.05) as pool:
        pool.start(FOR_EVER, "runs")
        late = pool.outcome(SMALL, "waits")
        assert isinstance(late, OverloadedError)
        assert "has waited for 0.05 s" in str(late)
        assert pool.workers.state().waiting == 0


# --- the store -------------------------------------------------------------------------------------------------


def test_workers_see_what_is_written_while_they_run(tmp_path: Path) -> None:
    """The log may be empty when they start, and the database changes below them; so it may when the log is emptied."""
    with SqliteStore(tmp_path / "store") as store:
        root = dkg.build([university(50)], store)
    with SqliteStore(tmp_path / "store") as store, Pool(tmp_path / "store", Settings(workers=1)) as pool:
        ask = "SELECT ?o WHERE { <urn:new> <urn:p> ?o }"
        assert pool.run(Query(root=root, text=ask)).facts.rows == 0
        for number in range(20):
            root = dkg.update(store, root, [(b"<urn:new>", b"<urn:p>", b'"%d"' % number, b"<urn:g>")], [])
            assert pool.run(Query(root=root, text=ask)).facts.rows == number + 1
            store.database.fold()


def test_workers_read_a_store_that_nobody_writes_to(tmp_path: Path) -> None:
    """There is no log then, and nothing is made beside the database."""
    with SqliteStore(tmp_path / "store") as store:
        root = dkg.build([university(50)], store)
    with Pool(tmp_path / "store", Settings(workers=1)) as pool:
        assert pool.run(Query(root=root, text="ASK { ?s ?p ?o }")).facts.rows == 1
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["pages.db"]


# --- fairness --------------------------------------------------------------------------------------------------


def test_64_clients_get_their_turn_beside_one_that_never_stops(data: Data) -> None:
    """Two workers; one client keeps 32 jobs waiting all the time, 64 others ask for three each, one after the other."""

    async def scenario(workers: Workers) -> tuple[list[str], int]:
        order: list[str] = []
        stop = asyncio.Event()
        greedy = 0

        async def one(client: str, jobs: int) -> None:
            for _ in range(jobs):
                await workers.run(SMALL, client=client)
                order.append(client)

        async def never_enough() -> None:
            nonlocal greedy
            while not stop.is_set():
                with suppress(OverloadedError):
                    await workers.run(SMALL, client="greedy")
                    order.append("greedy")
                    greedy += 1

        crowd = [asyncio.create_task(never_enough()) for _ in range(32)]
        await asyncio.gather(*(one(f"client {number}", 3) for number in range(64)))
        stop.set()
        await asyncio.gather(*crowd)
        return order, greedy

    settings = Settings(workers=2, wall_seconds=120, wait_seconds=120)
    with Pool(data.directory, settings) as pool:
        order, greedy = pool.do(scenario(pool.workers))
    others = [client for client in order if client != "greedy"]
    assert len(others) == 3 * 64
    firsts = [others.index(f"client {number}") for number in range(64)]
    assert max(firsts) < 2 * 64  # nobody had three before somebody had one
    until_all_were_served = order.index(others[-1], len(order) // 2)
    share = order[: until_all_were_served + 1].count("greedy") / (until_all_were_served + 1)
    assert share < 0.25, (share, greedy)  # one of 65 clients that has 32 times as much waiting as any other


def test_long_jobs_of_one_client_leave_a_worker_to_others(data: Data) -> None:
    with crowded(data, workers=3) as pool:
        long = [pool.start(FOR_EVER, "slow") for _ in range(6)]
        pool.wait_until(lambda: pool.workers.state().idle == 1)
        for _ in range(5):
            assert pool.run(SMALL, "quick").facts.rows == 1
        assert not any(future.done() for future in long)


def test_what_a_client_uses_is_a_quota(data: Data) -> None:
    with crowded(data, workers=2, client_seconds=0.2, window_seconds=60) as pool:
        assert pool.run(sleep(0.3), "greedy").body == b"slept"
        refused = pool.outcome(SMALL, "greedy")
        assert isinstance(refused, ClientQuotaError)
        assert refused.status == 429
        assert refused.retry_after_s > 1
        assert pool.run(SMALL, "modest").facts.rows == 1


def test_bytes_in_and_out_are_a_quota(data: Data) -> None:
    with crowded(data, workers=1, client_bytes=200, window_seconds=1000) as pool:
        outcomes = [pool.outcome(SMALL, "greedy") for _ in range(10)]
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds.index(ClientQuotaError) == kinds.count(Result) >= 1


# --- limits of jobs --------------------------------------------------------------------------------------------


def test_a_job_that_names_too_many_graphs_is_refused(pool: Pool, data: Data) -> None:
    def naming(count: int) -> Job:
        return Query(root=data.root, text="ASK {}", dataset=Dataset((b"<urn:%0*d>" % (1000, 1),) * count, ()))

    fits = REQUEST_HEADER_BYTES_MAX // 1010
    assert isinstance(pool.outcome(naming(fits)), Result)
    refused = pool.outcome(naming(fits + 10))
    assert isinstance(refused, LimitError)
    assert "names too many graphs" in str(refused)


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": 0}, {"workers": WORKERS_MAX + 1}, {"memory_bytes": MEMORY_BYTES_MIN - 1}, {"wall_seconds": 0},
        {"wall_seconds": float("nan")}, {"cpu_seconds": float("inf")}, {"isolation": "none"}, {"waiting": True},
        {"running_per_client": 0}, {"client_seconds": 0}, {"input_bytes": "1"},
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Settings(**wrong)


def test_settings_at_their_limits_are_taken() -> None:
    settings = Settings(workers=WORKERS_MAX, memory_bytes=MEMORY_BYTES_MIN, wall_seconds=0.01, client_seconds=5)
    assert settings.client_runs == WORKERS_MAX - 1
    assert settings.client_time == 5


# --- cancelling ------------------------------------------------------------------------------------------------


def test_a_job_that_nobody_waits_for_is_ended_soon(data: Data) -> None:
    with crowded(data, workers=1) as pool:
        running = pool.start(FOR_EVER, "gone")
        waiting = pool.start(SMALL, "gone too")
        after = pool.start(SMALL, "stays")
        waiting.cancel()
        running.cancel()
        assert after.result().facts.rows == 1
        assert pool.workers.state().outcomes == {"abandoned": 1, "JobTimeoutError": 1, "done": 1}
        assert pool.workers.state().started == 2


def test_a_small_job_that_nobody_waits_for_is_let_finish(data: Data) -> None:
    with crowded(data, workers=1) as pool:
        pool.wait_idle()
        pool.start(sleep(0.001), "gone").cancel()
        pool.wait_idle()
        assert pool.run(SMALL).facts.rows == 1
        state = pool.workers.state()
        assert state.started == 1 + state.outcomes.get("JobTimeoutError", 0)


# --- stopping --------------------------------------------------------------------------------------------------


def test_stopping_ends_what_runs_and_what_waits(data: Data) -> None:
    futures: list[Future[Result]]
    with crowded(data, workers=2, running_per_client=2) as pool:
        processes = [pool.zygote, *pool.processes()]
        futures = [pool.start(FOR_EVER) for _ in range(6)]
    for future in futures:
        with pytest.raises(OverloadedError, match="the node is stopping"):
            future.result()
    assert not any(process.is_running() for process in processes)


def test_a_stopped_pool_takes_no_jobs_and_stops_again_quietly(data: Data) -> None:
    async def scenario() -> None:
        workers = Workers(data.directory, Settings(workers=1))
        with pytest.raises(RuntimeError, match="were not started"):
            await workers.run(SMALL, client="x")
        async with workers:
            assert (await workers.run(SMALL, client="x")).facts.rows == 1
        await workers.close()
        with pytest.raises(OverloadedError, match="stopping"):
            await workers.run(SMALL, client="x")
        with pytest.raises(RuntimeError, match="started before"):
            await workers.start()

    asyncio.run(scenario())


def test_waiting_in_the_thread_of_the_loop_is_refused(pool: Pool) -> None:
    async def scenario() -> None:
        pool.workers.run_sync(SMALL, client="x")

    with pytest.raises(RuntimeError, match="call it from a thread other"):
        pool.do(scenario())


def test_another_loop_is_refused(pool: Pool) -> None:
    with pytest.raises(RuntimeError, match="belong to another event loop"):
        asyncio.run(pool.workers.run(SMALL, client="x"))


# --- what is left behind ---------------------------------------------------------------------------------------


def _held() -> tuple[int, int, int]:
    """Files, threads and child processes of this process; the dead that nobody buried are children too."""
    gc.collect()
    me = psutil.Process()
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count(), len(me.children(recursive=True))


def test_pools_leave_no_file_no_thread_and_no_process(data: Data) -> None:
    before = None
    for number in range(15):
        with Pool(data.directory, Settings(workers=1 + number % 3), module=HOSTILE) as pool:
            if number % 5 == 0:
                pool.start(FOR_EVER)
            if number % 7 == 0:
                assert isinstance(pool.failure("exit 1"), WorkerError)
            elif number % 5:
                assert pool.run(SMALL).facts.rows == 1
        if number == 1:  # the first ones load modules
            before = _held()
    assert _held() == before


def test_a_hundred_replacements_leave_no_file_and_no_process(data: Data) -> None:
    with crowded(data, workers=2, jobs_per_worker=1) as pool:
        pool.wait_idle()
        before, zygote = _held(), pool.zygote.num_fds()
        for _ in range(100):
            assert pool.run(SMALL).facts.rows == 1
        pool.wait_idle()
        pool.wait_until(lambda: len(pool.zygote.children()) == 2)
        assert pool.workers.state().started >= 100
        assert _held() == before
        assert pool.zygote.num_fds() == zygote


# --- loops -----------------------------------------------------------------------------------------------------


def test_it_runs_on_uvloop(data: Data) -> None:
    async def scenario() -> list[Any]:
        settings = Settings(workers=2, wall_seconds=1.5)
        async with Workers(data.directory, settings, module=HOSTILE) as workers:
            clients = itertools.count()
            jobs = [
                SMALL,
                FOR_EVER,
                Query(root=NO_ROOT, text="exit 3"),
                Parse(data=b"x" * 10**6, format="ttl", graph="urn:g"),
            ]
            running = (workers.run(job, client=f"{next(clients)}") for job in [*jobs, SMALL, SMALL])
            return await asyncio.gather(*running, return_exceptions=True)

    kinds = [type(outcome).__name__ for outcome in uvloop.run(scenario())]
    assert kinds == ["Result", "JobTimeoutError", "WorkerCrashedError", "RdfError", "Result", "Result"]


def test_it_takes_jobs_from_many_threads(pool: Pool) -> None:
    found: list[int | None] = []

    def ask(number: int) -> None:
        found.extend(pool.run(SMALL, f"thread {number}").facts.rows for _ in range(5))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 40
