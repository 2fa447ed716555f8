"""A disk that is full at any point of a load: a clear error, the old root in place, and the load can be done again."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dkg.client.database import FILE_NAME
from dkg.client.fsck import check_store
from dkg.client.load import load_files
from dkg.client.store import SqliteStore
from dkg.errors import StoreError
from tests.dkg.client.test_store import some_quads

if TYPE_CHECKING:
    from pathlib import Path


def _file(path: Path, start: int, stop: int) -> Path:
    path.write_bytes(b"".join(b"%b %b %b %b .\n" % quad for quad in some_quads(40_000)[start:stop]))
    return path


def _database_pages(store: SqliteStore) -> int:
    return int(store._db.execute("PRAGMA page_count").fetchone()[0])


@pytest.mark.parametrize("more", [300, 20_000])  # an update page by page, a dataset built anew
def test_a_database_that_may_not_grow_keeps_its_old_head(tmp_path: Path, more: int) -> None:
    first, second = _file(tmp_path / "first.nq", 0, 4_000), _file(tmp_path / "more.nq", 3_900, 4_000 + more)
    with SqliteStore(tmp_path / "store") as store:
        old = load_files([first], store)
        before = _database_pages(store)
        refused = 0
        step = 1
        while True:
            store._db.execute(f"PRAGMA max_page_count={before + step - 1}")
            try:
                new = load_files([second], store)
                break
            except StoreError as error:
                assert "the disk is full. Nothing was changed" in str(error)  # noqa: PT017 - it is not always raised
            refused += 1
            step += 1 + step // 2
            assert store.heads() == [old.root]
            assert check_store(store).problems == []
        assert refused >= 2
        assert (new.added, new.total) == (more, 4_000 + more)
        assert check_store(store, all_heads=True).problems == []
        assert store.heads() == [new.root, old.root]


_LIMITED = """
import resource, sys
from dkg.client.load import load_files
from dkg.client.store import SqliteStore
from dkg.errors import StoreError

store, file, size = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
try:
    with SqliteStore(store) as opened:
        load_files([file], opened)
except StoreError as error:
    print(error)
"""


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_files_that_may_not_grow_keep_the_old_head(tmp_path: Path) -> None:
    first, second = _file(tmp_path / "first.nq", 0, 2_000), _file(tmp_path / "more.nq", 2_000, 22_000)
    with SqliteStore(tmp_path / "store") as store:
        old = load_files([first], store).root
    start = (tmp_path / "store" / FILE_NAME).stat().st_size
    done = 0
    for size in (1, 40_000, 200_000, start + 100_000, start + 400_000, 10**8):
        result = _run([sys.executable, "-c", _LIMITED, str(tmp_path / "store"), str(second), str(size)])
        assert result.returncode == 0, result.stderr
        with SqliteStore(tmp_path / "store") as store:
            assert check_store(store).problems == []
            if result.stdout:
                assert store.heads() == [old]
            else:
                done += 1
                assert store.heads()[-1] == old
    assert done >= 1


_SMALL_DISK = """
set -e
mount -t tmpfs -o size=1500k none "$1"
shift
exec "$@"
"""

_ON_SMALL_DISK = """
import sys
from dkg.client.fsck import check_store
from dkg.client.load import load_files
from dkg.client.store import SqliteStore
from dkg.errors import StoreError

directory, first, second = sys.argv[1:]
with SqliteStore(directory + "/store") as store:
    old = load_files([first], store).root
    for _ in range(2):
        try:
            load_files([second], store)
            print("no error")
        except StoreError as error:
            print(error)
        assert store.heads() == [old]
with SqliteStore(directory + "/store", read_only=True) as store:
    print(check_store(store))
"""


def test_a_real_full_disk_keeps_the_old_head(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()
    isolated = ["unshare", "--mount", "sh", "-c", _SMALL_DISK, "sh", str(mount)]
    if os.getuid() or _run([*isolated, "true"]).returncode:
        pytest.skip("mounting a small disk needs root")
    first, second = _file(tmp_path / "first.nq", 0, 2_000), _file(tmp_path / "more.nq", 2_000, 40_000)
    result = _run([*isolated, sys.executable, "-c", _ON_SMALL_DISK, str(mount), str(first), str(second)])
    assert result.returncode == 0, result.stderr
    *errors, checked = result.stdout.splitlines()
    assert len(errors) == 2
    for error in errors:
        assert "disk is full" in error
    assert "quads=2000" in checked
    assert "problems=[]" in checked
