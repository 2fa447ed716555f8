"""A disk, or a quota, that is full: a clear error, nothing half done, reading goes on, and it recovers unaided (A7)."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dkg.client.fsck import check_store
from dkg.dataset import quads
from dkg.errors import StoreError
from dkg.pages import StoredPages
from node.storage import NodeStore, QuotaError, Retention, Rule, check_node
from node.storage.usage import bytes_below
from tests.node.storage.data import changed, publisher, put, quads_of

if TYPE_CHECKING:
    from pathlib import Path

ONE = Retention(Rule(count=1))
A = quads_of(publisher(1), 4_000)


def _on_disk(directory: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())


def test_usage_is_what_is_on_the_disk_less_what_is_free_inside(tmp_path: Path) -> None:
    with NodeStore(tmp_path, quota_bytes=123) as store:
        store.quota_bytes = None
        put(store.pages, A)
        root = put(store.pages, A[:50])
        store.keep("union", root, position=0, at=0)
        store.views.ensure(root)
        store.pages.database.fold()
        usage = store.usage()
        shared = sum((tmp_path / name).stat().st_blocks * 512 for name in ("pages.db-shm", "state.db-shm"))
        assert abs(usage.used + usage.free_inside - (_on_disk(tmp_path) - shared)) <= 3 * 65536
        assert usage.quota is None
        assert usage.free_on_disk > 0
        assert usage.other > 100_000  # the view
        before = usage.used
        store.collect(ONE, now=10)
        assert store.usage().used < before


def test_hard_links_count_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(100_000))
    alone = bytes_below(tmp_path)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert bytes_below(tmp_path) == alone >= 100_000
    assert bytes_below(tmp_path, frozenset({tmp_path / "a", tmp_path / "b"})) == 0


def test_writing_past_the_quota_is_refused_and_reading_goes_on(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        root = put(store.pages, A)
        store.keep("union", root, position=0, at=0)
        used = store.usage().used
        for quota in (1, used // 2):
            store.quota_bytes = quota
            with pytest.raises(QuotaError, match=rf"bytes of its quota of {quota:,}, and .* Raise the quota"):
                put(store.pages, quads_of(publisher(2), 300))
            assert sum(map(len, quads(StoredPages(store.pages), root))) == len(A)
            assert store.kept("union")[0].root == root
        store.quota_bytes = None
        put(store.pages, quads_of(publisher(2), 300))
        assert check_node(store, derive="all").problems == []


def test_a_transaction_that_reaches_the_quota_leaves_nothing(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        root = put(store.pages, A)
        store.keep("union", root, position=0, at=0)
        pages = store.pages.page_count()
        store.pages.database.fold()
        store.quota_bytes = store.usage().used + 500_000
        refused = False
        try:
            with store.pages.writing():
                for seed in range(40):
                    put(store.pages, quads_of(publisher(3), 4_000, seed))
        except QuotaError:
            refused = True
        assert refused
        assert store.pages.page_count() == pages
        assert _on_disk(tmp_path) < store.quota_bytes + 64 * 1024 * 1024  # SQLite's cache may have been written out
        put(store.pages, quads_of(publisher(3), 300))
        assert check_store(store.pages).problems == []


def test_it_recovers_when_garbage_is_collected(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        now, root = A[:1_000], put(store.pages, A[:1_000])
        store.keep("union", root, position=0, at=0)
        store.pages.database.fold()
        store.quota_bytes = store.usage().used + 1_000_000
        position, refusals = 1, 0
        while refusals < 3:
            new = changed(now, 200, position)
            try:
                made = put(store.pages, new, (root, now))
            except QuotaError:
                refusals += 1
                assert sum(map(len, quads(StoredPages(store.pages), root))) == len(now)
                store.collect(ONE, now=10)  # writes, though the quota is used up
                continue
            now, root = new, made
            store.keep("union", root, position=position, at=0)
            position += 1
            assert position < 300
        assert position > 10
        with pytest.raises(QuotaError):
            store._admit(store.quota_bytes)  # which folds the logs
        assert store.usage().used <= store.quota_bytes
        assert check_node(store, derive="all").problems == []


def test_a_view_that_does_not_fit_is_not_made(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        root = put(store.pages, A)
        store.keep("union", root, position=0, at=0)
        store.pages.database.fold()
        store.quota_bytes = store.usage().used + 100_000
        with pytest.raises(QuotaError):
            store.views.ensure(root)
        assert store.views.roots() == []
        store.quota_bytes += 100_000_000
        store.views.ensure(root)
        assert store.views.roots() == [root]


def test_room_is_set_aside_and_given_up_while_garbage_is_collected(tmp_path: Path) -> None:
    reserve = tmp_path / "reserve"
    with NodeStore(tmp_path, reserve_bytes=50_000) as store:
        assert reserve.stat().st_size == 50_000
        store.keep("union", put(store.pages, A[:100]), position=0, at=0)
        assert store.collection(ONE, now=0).step() is not None
        assert not reserve.exists()
        store.collect(ONE, now=0)
        assert reserve.stat().st_size == 50_000
        store.pages._db.execute("DELETE FROM pages")
        with pytest.raises(StoreError, match="no garbage is collected"):
            store.collect(ONE, now=0)
        assert reserve.stat().st_size == 50_000
    with NodeStore(tmp_path, quota_bytes=160_000):
        assert reserve.stat().st_size == 10_000


_SMALL_DISK = """
set -e
mount -t tmpfs -o size=5m none "$1"
shift
exec "$@"
"""

_ON_SMALL_DISK = """
import sys
from pathlib import Path
from dkg.client.database import FullError
from dkg.dataset import quads
from dkg.errors import StoreError
from dkg.pages import StoredPages
from node.storage import NodeStore, Retention, Rule, check_node
from tests.node.storage.data import changed, publisher, put, quads_of

directory = Path(sys.argv[1])
now = quads_of(publisher(1), 900)
with NodeStore(directory / "node", reserve_bytes=2_000_000) as store:
    root = put(store.pages, now)
    store.keep("union", root, position=0, at=0)
    full = position = 0
    while full < 20:
        position += 1
        new = changed(now, 300, position)
        try:
            made = put(store.pages, new, (root, now))
            store.keep("union", made, position=position, at=0)
        except FullError as error:
            assert "the disk is full. Nothing was changed" in str(error), error
            full += 1
            assert sum(map(len, quads(StoredPages(store.pages), root))) == len(now)
            assert store.kept("union")[0].root == root
            if full % 2:  # somebody else's file goes, or ours is collected
                store.collect(Retention(Rule(count=1)), now=10)
            else:
                (directory / "ballast").unlink(missing_ok=True)
            continue
        now, root = new, made
        if full % 2 == 0 and not (directory / "ballast").exists() and position % 5 == 0:
            (directory / "ballast").write_bytes(bytes(200_000))
    print(full, position, check_node(store, derive="all").problems)
"""


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_a_real_full_disk_keeps_what_was_kept_and_recovers(tmp_path: Path) -> None:
    isolated = ["unshare", "--mount", "sh", "-c", _SMALL_DISK, "sh", str(tmp_path)]
    if os.getuid() or _run([*isolated, "true"]).returncode:
        pytest.skip("mounting a small disk needs root")
    result = _run([*isolated, sys.executable, "-c", _ON_SMALL_DISK, str(tmp_path)])
    assert result.returncode == 0, result.stderr
    full, position, problems = result.stdout.split(maxsplit=2)
    assert int(full) == 20
    assert int(position) > 20
    assert problems == "[]\n"
