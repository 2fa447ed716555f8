"""Crashes, failing disks, power cuts and bits that flip, for a node's storage: rows A2 to A6 of the fault matrix.

`HYPOTHESIS_PROFILE=deep` runs many more cases.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dkg.client.database import FILE_NAME
from dkg.dataset import quads
from dkg.errors import StoreError
from dkg.pages import StoredPages
from node.storage import NodeStore, Retention, Rule, check_node
from node.storage.state import STATE
from tests.node.storage.data import changed, publisher, put, quads_of

_MORE = 15 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 1
_A = quads_of(publisher(1), 300)


def _run(mode: str, directory: Path, cases: int) -> list[str]:
    command = [sys.executable, "-m", "tests.node.storage.faulty", mode, str(directory), str(cases)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_node_that_is_killed_again_and_again_has_all_that_it_said(tmp_path: Path) -> None:
    lines = _run("kill", tmp_path, 100 * _MORE)
    assert len(lines) == 100 * _MORE
    for line in lines:
        assert " ended -9 " in line, line
        assert line.endswith(" []"), line
    said = [int(line.split(" said ")[1].split()[0]) for line in lines]
    assert said == sorted(said)
    assert len(set(said)) > 20


@pytest.mark.slow
def test_a_system_call_that_fails_or_kills_leaves_a_whole_node(tmp_path: Path) -> None:
    if os.getuid() or shutil.which("strace") is None:
        pytest.skip("making system calls fail needs strace and root")
    lines = _run("inject", tmp_path, 100 * _MORE)
    assert len(lines) > 60
    refused = 0
    for line in lines:
        assert line.endswith(" []"), line
        ended = int(line.split(" ended ")[1].split()[0])
        if "signal=KILL" in line:
            assert ended == -9, line
        else:  # it did not matter, or it was a `StoreError`, after which a refused write was not tried again
            assert ended in {0, 3}, line
            refused += ended == 3
    assert refused > 15
    assert any("fdatasync error=EIO" in line and " ended 3 " in line for line in lines)


# A power cut: what was not synced is lost, or torn


class _Cut:
    """The files of a node as they were when each of some positions was said to be durable."""

    def __init__(self, directory: Path, positions: int) -> None:
        self.files: list[dict[str, bytes]] = []
        self.contents = []
        with NodeStore(directory, reserve_bytes=0) as store:
            now, root = _A, put(store.pages, _A)
            for position in range(positions):
                store.keep("union", root, position=position, at=0)
                self.contents.append(now)
                self.files.append({name: (directory / name).read_bytes() for name in _FILES})
                new = changed(now, 5, position)
                root, now = put(store.pages, new, (root, now)), new

    def write(self, directory: Path, files: dict[str, bytes]) -> None:
        directory.mkdir()
        for name, data in files.items():
            (directory / name).write_bytes(data)

    def found(self, directory: Path) -> int:
        """The position that a node has after a cut, all of it checked."""
        with NodeStore(directory, reserve_bytes=0) as store:
            assert check_node(store, derive="none").problems == []
            kept = store.kept("union")[0]
            held = [quad for batch in quads(StoredPages(store.pages), kept.root) for quad in batch]
            assert held == self.contents[kept.position]
            return kept.position


_FILES = (FILE_NAME, f"{FILE_NAME}-wal", STATE.file, f"{STATE.file}-wal")


def _torn(chance: random.Random, before: bytes, after: bytes) -> bytes:
    """A log that was synced up to `before`, and of which something of the rest of `after` reached the disk."""
    assert after.startswith(before)
    rest = bytearray(after[len(before) :])
    how = chance.randrange(3)
    if how == 0:  # cut off anywhere
        del rest[chance.randrange(len(rest) + 1) :]
    else:  # sectors that did not reach it: zeros, or what was there before
        for at in range(0, len(rest), 512):
            if chance.random() < 0.4:
                rest[at : at + 512] = bytes(512) if how == 1 else chance.randbytes(512)
        rest = rest[: len(after) - len(before)]
    return before + bytes(rest)


@pytest.mark.slow
def test_a_power_cut_at_any_moment_leaves_what_was_said_last(tmp_path: Path) -> None:
    cut = _Cut(tmp_path / "node", 5)
    chance = random.Random(9)
    whole = 0
    for case in range(300 * _MORE):
        position = case % 4
        files, after = dict(cut.files[position]), cut.files[position + 1]
        pages, state = _FILES[1], _FILES[3]
        if case % 8 < 4:  # while the pages are written
            files[pages] = _torn(chance, files[pages], after[pages])
        else:  # while the state is: the pages are on the disk by then
            files[pages] = after[pages]
            files[state] = _torn(chance, files[state], after[state])
        cut.write(tmp_path / "cut", files)
        found = cut.found(tmp_path / "cut")
        assert found in {position, position + 1}
        assert found == position or files[state] == after[state]
        whole += found > position
        shutil.rmtree(tmp_path / "cut")
    assert whole < 60 * _MORE


def test_every_commit_is_synced(tmp_path: Path) -> None:
    with NodeStore(tmp_path, reserve_bytes=0) as store:
        for database in (store.pages.database, store._state.database):
            assert database.pragma("synchronous") == 2  # FULL: the log is synced at each commit
            assert database.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# Bits that flip at rest


def test_a_flipped_bit_is_never_served_and_is_found(tmp_path: Path) -> None:
    contents = [quads_of(publisher(1), 1_000), quads_of(publisher(2), 400)]
    with NodeStore(tmp_path / "node", reserve_bytes=0) as store:
        roots = [put(store.pages, content) for content in contents]
        for position, root in enumerate(roots):
            store.keep("union", root, position=position, at=0)
    data = (tmp_path / "node" / FILE_NAME).read_bytes()
    chance = random.Random(6)
    found = 0
    for case in range(200 * _MORE):
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "node", copy)
        flipped = bytearray(data)
        size = len(data) // 200
        flipped[case % 200 * size + chance.randrange(size)] ^= 1 << chance.randrange(8)
        (copy / FILE_NAME).write_bytes(flipped)
        wrong = False
        try:
            with NodeStore(copy, read_only=True) as store:
                for root, content in zip(roots, contents, strict=True):
                    try:
                        held = [quad for batch in quads(StoredPages(store.pages), root) for quad in batch]
                    except StoreError:
                        wrong = True
                    else:
                        assert held == content
                problems = check_node(store, derive="none").problems
                assert not wrong or problems != []
                wrong = problems != []
        except StoreError:
            wrong = True
        found += wrong
        shutil.rmtree(copy)
    assert 40 * _MORE < found < 200 * _MORE  # the rest hit what holds nothing


def test_what_was_damaged_is_brought_back_from_elsewhere(tmp_path: Path) -> None:
    with NodeStore(tmp_path / "one", reserve_bytes=0) as one, NodeStore(tmp_path / "two", reserve_bytes=0) as two:
        for store in (one, two):
            store.keep("union", put(store.pages, _A), position=0, at=0)
        root = one.kept("union")[0].root
        (data,) = one.pages._db.execute("SELECT data FROM packs WHERE id=2").fetchone()
        one.pages._db.execute("UPDATE packs SET data=? WHERE id=2", (data[:-3],))
        one.pages._packs.clear()
        damaged = list(one.damaged())
        assert damaged != []
        assert check_node(one).problems != []
        assert one.pages.replace_many((cid, two.pages.get(cid) or b"") for cid in damaged) == len(damaged)
        assert list(one.damaged()) == []
        one.collect(Retention(Rule(count=1)), now=0)
        assert [quad for batch in quads(StoredPages(one.pages), root) for quad in batch] == _A
        assert check_node(one).problems == []
