"""Kill the loader at any point: the old root or the new one is there, and `dkg fsck` is clean."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dkg.client.fsck import check_store
from dkg.client.store import SqliteStore

_REPOSITORY = Path(__file__).parents[3]


def _run(*arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, *arguments], check=False, capture_output=True, text=True, cwd=_REPOSITORY, timeout=None
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "cases"), [("statements", 12), ("steps", 4), ("times", 8)])
def test_killed_loads_leave_the_old_root_or_the_new_one(tmp_path: Path, mode: str, cases: int) -> None:
    lines = _run("-m", "tests.dkg.client.killed", mode, str(tmp_path), str(cases))
    killed = [line for line in lines if line.endswith("True")]
    assert len(killed) >= cases // 3, lines
    for line in lines:
        assert " old [] " in line or " new [] " in line, line
    if mode == "statements":
        assert any(" old " in line for line in killed)
    finished = [line for line in lines if line.endswith("False")]
    assert all(" new " in line for line in finished)


_WORKER_DIES = """
import os, signal, sys
from dkg.client.parallel import TreeBuilder
from dkg.client.store import SqliteStore
from dkg.dataset import build_dataset
from dkg.errors import StoreError
from tests.dkg.client.test_store import some_quads

store = SqliteStore(sys.argv[1])
with store.writing():
    store.set_head(build_dataset([some_quads(100)], store))

def run(jobs, kept, sample, tick):
    def dies(sink, tick):
        os.kill(os.getpid(), signal.SIGKILL)
    return TreeBuilder(store, 2)([jobs[0], dies, *jobs[2:]], kept, sample, tick)

try:
    with store.writing():
        store.set_head(build_dataset([some_quads(20_000)], store, run=run))
except StoreError as error:
    print(error)
"""


def test_a_killed_worker_is_a_store_error_and_changes_nothing(tmp_path: Path) -> None:
    lines = _run("-c", _WORKER_DIES, str(tmp_path))
    assert len(lines) == 1
    assert f"exit code {-signal.SIGKILL}" in lines[0]
    with SqliteStore(tmp_path) as store:
        assert len(store.heads()) == 1
        checked = check_store(store)
    assert (checked.quads, checked.problems) == (100, [])


_LOADER = """
import os, sys
from dkg.client.parallel import TreeBuilder
from dkg.client.store import SqliteStore
from dkg.dataset import build_dataset
from tests.dkg.client.test_store import some_quads

store = SqliteStore(sys.argv[1])

def run(jobs, kept, sample, tick):
    def told(job):
        def work(sink, tick):
            os.write(1, b"%d\\n" % os.getpid())  # one write: two processes share the pipe
            while True:  # until there is nobody left to send packs to
                job(sink, tick)
                sink.flush()
        return work
    return TreeBuilder(store, 2)([told(job) for job in jobs], kept, sample, tick)

with store.writing():
    build_dataset([some_quads(20_000)], store, run=run)
"""


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_workers_end_with_a_killed_loader(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _LOADER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=_REPOSITORY
    ) as loader:
        assert loader.stdout is not None
        workers = [int(loader.stdout.readline()) for _ in range(2)]
        os.kill(loader.pid, signal.SIGKILL)
        loader.wait()
        loader.stdout.read()  # ends when the last process that could write to it has ended
    for worker in workers:
        while _runs(worker):
            time.sleep(0.01)
    with SqliteStore(tmp_path) as store:
        assert store.head() is None
        assert check_store(store).problems == []
