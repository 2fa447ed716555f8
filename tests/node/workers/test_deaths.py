"""Whatever a worker dies of, or does instead of answering, is the matter of one job: others do not notice."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from dkg.errors import StoreError
from node.workers.errors import JobMemoryError, JobTimeoutError, ResultTooLargeError, SandboxError, WorkerCrashedError
from node.workers.inprocess import InProcess
from node.workers.jobs import EVERY_GRAPH, Parse, Plain, Query, Result
from node.workers.settings import Settings
from tests.datasets import PREFIX
from tests.node.workers.harness import HOSTILE, NO_ROOT, Pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.node.workers.conftest import Data

MIB = 1024 * 1024


def attempt(what: str) -> Query:
    return Query(root=NO_ROOT, text=what)


@pytest.fixture(scope="module")
def brief(data: Data) -> Iterator[Pool]:
    """Hostile workers with little time and memory."""
    settings = Settings(workers=2, wall_seconds=1, cpu_seconds=60, wait_seconds=120, memory_bytes=384 * MIB)
    with Pool(data.directory, settings, module=HOSTILE) as pool:
        yield pool


@pytest.fixture(scope="module")
def single(data: Data) -> Iterator[Pool]:
    """One hostile worker, with time."""
    with Pool(data.directory, Settings(workers=1, wall_seconds=120, wait_seconds=120), module=HOSTILE) as pool:
        yield pool


# --- death -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "words", "detail"),
    [
        ("segfault", "SIGSEGV", "string_at"),
        ("stack", "SIGSEGV|SIGABRT", "_stack|overflow"),
        ("exit 7", "exit code 7", ""),
        ("exit 0", "exit code 0", ""),
        ("hang-up", "SIGKILL", ""),
    ],
)
def test_a_death_is_told_to_the_one_who_asked_and_nobody_else(
    hostile: Pool, data: Data, what: str, words: str, detail: str
) -> None:
    started = hostile.workers.state().started
    jobs = [Query(root=data.root, text=f"ASK {{ <urn:{number}> ?p ?o }}") for number in range(10)]
    outcomes = hostile.outcomes([*jobs[:5], attempt(what), *jobs[5:]])
    error = outcomes.pop(5)
    assert isinstance(error, WorkerCrashedError)
    assert any(word in str(error) for word in words.split("|"))
    assert any(word in error.detail for word in detail.split("|"))
    assert all(isinstance(outcome, Result) for outcome in outcomes)
    hostile.wait_idle()
    assert hostile.workers.state().started == started + 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGRTMIN])
def test_a_worker_that_is_killed_in_mid_job(single: Pool, data: Data, number: int) -> None:
    single.wait_idle()
    (process,) = single.processes()
    running = single.start(attempt("sleep 3600"))
    process.send_signal(number)
    with pytest.raises(WorkerCrashedError, match=r"SIG|signal 34"):
        running.result()
    assert single.run(Query(root=data.root, text="ASK { ?s ?p ?o }")).body


def test_a_worker_that_is_killed_while_it_has_nothing_to_do_is_replaced(hostile: Pool, data: Data) -> None:
    hostile.wait_idle()
    started = hostile.workers.state().started
    for process in hostile.processes():
        process.kill()
    hostile.wait_until(lambda: hostile.workers.state().started == started + 2)
    hostile.wait_idle()
    assert hostile.run(Query(root=data.root, text="ASK { ?s ?p ?o }")).body


def test_when_the_zygote_is_killed_its_workers_go_and_others_come(single: Pool, data: Data) -> None:
    single.wait_idle()
    zygote, processes = single.zygote, single.processes()
    running = single.start(attempt("sleep 3600"))
    zygote.kill()
    with pytest.raises(WorkerCrashedError, match="the process that workers come from was ended"):
        running.result()
    assert single.run(Query(root=data.root, text="ASK { ?s ?p ?o }")).body
    assert single.zygote.pid != zygote.pid
    psutil.wait_procs(processes)
    assert not any(process.is_running() for process in processes)


NODE = """
import os, sys, time
from pathlib import Path
from tests.node.workers.harness import HOSTILE, NO_ROOT, Pool
from node.workers.jobs import Query
from node.workers.settings import Settings
pool = Pool(Path(sys.argv[1]), Settings(workers=2), module=HOSTILE).__enter__()
pool.wait_idle()
running = pool.start(Query(root=NO_ROOT, text="spin"))
fork = os.fork()
if not fork:
    time.sleep(3600)
print(fork, pool.zygote.pid, *[process.pid for process in pool.processes()], flush=True)
running.result()
"""


def test_when_the_node_is_killed_its_workers_end_even_if_something_still_holds_their_pipes(data: Data) -> None:
    with subprocess.Popen([sys.executable, "-c", NODE, str(data.directory)], stdout=subprocess.PIPE) as node:
        assert node.stdout is not None
        fork, *left = [psutil.Process(int(pid)) for pid in node.stdout.readline().split()]
        assert len(left) == 3
        node.kill()
        psutil.wait_procs(left)
        assert not any(process.is_running() for process in left)
        assert fork.is_running()
        fork.kill()


# --- answers that are none -------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["garbage", "deep", "array", "long-header", "long-payload", "two", "no-facts"])
def test_an_answer_that_is_none_ends_the_worker(hostile: Pool, data: Data, words: str) -> None:
    error = hostile.failure(f"say {words}")
    assert isinstance(error, WorkerCrashedError)
    assert "no answer" in str(error)
    assert hostile.run(Query(root=data.root, text="ASK { ?s ?p ?o }")).body


def test_half_an_answer_is_waited_for_until_the_time_is_over(brief: Pool) -> None:
    assert isinstance(brief.failure("say half"), JobTimeoutError)


def test_a_worker_that_speaks_without_being_asked_is_ended(single: Pool, data: Data) -> None:
    single.wait_idle()
    started = single.workers.state().started
    (worker,) = single.workers._crew._staff.values()
    single.loop.call_soon_threadsafe(worker.data_received, b"psst")
    single.wait_until(lambda: single.workers.state().started > started)
    assert single.run(Query(root=data.root, text="ASK { ?s ?p ?o }")).body


# --- time ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["spin", "sleep 3600"])
def test_a_job_over_its_time_is_ended_and_its_worker_replaced(brief: Pool, data: Data, what: str) -> None:
    started = brief.workers.state().started
    error = brief.failure(what)
    assert isinstance(error, JobTimeoutError)
    assert "longer than the 1 s" in str(error)
    assert error.status == 408
    brief.wait_until(lambda: brief.workers.state().started == started + 1)
    assert brief.run(Query(root=data.root, text="ASK { ?s ?p ?o }")).body


def test_a_job_over_its_processor_time_is_ended(data: Data) -> None:
    settings = Settings(workers=1, wall_seconds=120, cpu_seconds=0.5)
    with Pool(data.directory, settings, module=HOSTILE) as pool:
        error = pool.failure("spin")
        assert isinstance(error, JobTimeoutError)
        assert "more than the 0.5 s of processor time" in str(error)
        assert pool.attempt("sleep 0.6") == "slept"  # sleeping takes none
        for _ in range(4):  # and it is counted for each job
            assert pool.run(Query(root=data.root, text="ASK { ?s ?p ?o }")).body


# --- memory ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["python-memory", "engine-memory"])
def test_a_job_over_its_memory_is_told_so(data: Data, what: str) -> None:
    settings = Settings(workers=1, wall_seconds=120, cpu_seconds=120, memory_bytes=256 * MIB)
    with Pool(data.directory, settings, module=HOSTILE) as pool:
        error = pool.failure(what)
        assert isinstance(error, JobMemoryError)
        assert str(256 * MIB) in str(error)
        assert error.status == 413
        assert pool.run(Query(root=data.root, text="ASK { ?s ?p ?o }")).body


# --- results ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", [True, False])
def test_a_result_at_its_limit_and_one_byte_over(data: Data, view: bool) -> None:  # noqa: FBT001
    path = str(data.view) if view else None
    job = Plain(root=data.root, text=PREFIX + "SELECT ?n { ?s :name ?n }", view=path, allowed=EVERY_GRAPH, table="tsv")
    size = len(InProcess(data.store).run_sync(job, client="x").body)
    for limit in size, size - 1:
        settings = Settings(workers=1, result_bytes=limit)
        with Pool(data.directory, settings, readable=[data.view.parent]) as pool:
            outcome = pool.outcome(job)
            assert isinstance(outcome, Result if limit == size else ResultTooLargeError)
            if isinstance(outcome, ResultTooLargeError):
                assert f"more than the {limit} bytes" in str(outcome)
                assert outcome.status == 413
    too_long = Parse(data=b"<urn:a> <urn:b> 1, 2, 3 .", format="ttl", graph="urn:g")
    with pytest.raises(ResultTooLargeError):
        InProcess(data.store, Settings(result_bytes=100)).run_sync(too_long, client="x")


# --- replacement -----------------------------------------------------------------------------------------------


def test_a_worker_is_replaced_after_so_many_jobs(data: Data) -> None:
    with Pool(data.directory, Settings(workers=1, jobs_per_worker=3), module=HOSTILE) as pool:
        for number in range(10):
            assert pool.workers.state().started == 1 + number // 3
            assert pool.attempt("sleep 0") == "slept"
            pool.wait_idle()


def test_a_worker_that_has_grown_is_replaced(data: Data) -> None:
    document = b"".join(b"<urn:s%d> <urn:p> <urn:o> .\n" % number for number in range(60_000))
    with Pool(data.directory, Settings(workers=1, growth_bytes=16 * MIB), module=HOSTILE) as pool:
        assert pool.attempt("sleep 0") == "slept"
        assert pool.workers.state().started == 1
        pool.run(Parse(data=document, format="nt", graph="urn:g"))
        pool.wait_until(lambda: pool.workers.state().started == 2)
        pool.wait_idle()


# --- starts that fail ------------------------------------------------------------------------------------------


def test_workers_that_die_as_they_start_are_an_error_that_says_why(data: Data) -> None:
    pool = Pool(data.directory, Settings(workers=2), module="tests.node.workers.stillborn")
    with pytest.raises(SandboxError, match=r"end as soon as they are started.*born to fail"), pool:
        pass


def test_a_zygote_that_does_not_start_is_an_error_that_says_why(data: Data) -> None:
    pool = Pool(data.directory, Settings(workers=2), module="tests.node.workers.nowhere")
    with pytest.raises(SandboxError, match="No module named"), pool:
        pass


def test_a_store_that_is_not_there_is_an_error_before_anything_starts(data: Data) -> None:
    pool = Pool(data.directory / "nowhere", Settings(workers=1))
    with pytest.raises(StoreError, match="no such directory"), pool:
        pass
