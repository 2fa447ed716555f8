from __future__ import annotations

import random
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from dkg.errors import InputError, LimitError, StoreError
from dkg.page import cid_of
from node.storage import Kept, Operation, Refused
from node.storage import operations as operations_module
from node.storage.operations import BODY_BYTES_MAX, Operations
from node.storage.sealed import NUMBER_MAX
from node.storage.state import STATE, StateDatabase

if TYPE_CHECKING:
    from pathlib import Path

    from node.storage.sealed import Row


def _filled(directory: Path) -> list[list[Row]]:
    """A state with some of everything; gives its rows."""
    state = StateDatabase(directory, read_only=False)
    with state.changing():
        for at in range(60):
            inputs = {f"publisher:0x{one:040x}": cid_of(b"input %d" % one) for one in range(at % 4)}
            state.put_kept(Kept(f"name {at % 5}", cid_of(b"%d" % at), at, 1_700_000_000 + at, at % 7 == 0, inputs))
            state.put_followed(b"%020d" % at, at)
            state.put_refused(Refused(cid_of(b"bad %d" % at), b"%020d" % at, f"for reason {at}", at))
    rows = _rows(state)
    state.close()
    return rows


def _rows(state: StateDatabase) -> list[list[Row]]:
    return [
        [one.row() for one in state.kept()],
        [(one,) for one in state.followed()],
        [(one.root, one.publisher, one.reason, one.at) for one in state.refused()],
    ]


def test_what_is_put_is_read_after_reopening(tmp_path: Path) -> None:
    rows = _filled(tmp_path)
    state = StateDatabase(tmp_path, read_only=True)
    assert _rows(state) == rows
    assert [len(part) for part in rows] == [60, 60, 60]
    state.close()


def test_an_error_in_a_change_leaves_nothing_of_it(tmp_path: Path) -> None:
    rows = _filled(tmp_path)
    state = StateDatabase(tmp_path, read_only=False)
    with pytest.raises(KeyError), state.changing():  # noqa: PT012 - the error is inside the transaction
        state.put_kept(Kept("name 1", cid_of(b"new"), 1, 5))
        state.drop_followed(b"%020d" % 1)
        raise KeyError
    assert _rows(state) == rows
    state.tables.check()
    state.close()


def test_a_flipped_bit_is_found_or_changed_nothing(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    rows = _filled(origin)
    size = (origin / STATE.file).stat().st_size
    chance = random.Random(11)
    found = 0
    for case in range(200):
        copy = tmp_path / f"copy{case}"
        shutil.copytree(origin, copy)
        with (copy / STATE.file).open("r+b") as file:
            at = size * case // 200 + chance.randrange(size // 200)  # each region once
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ (1 << chance.randrange(8))]))
        try:
            state = StateDatabase(copy, read_only=True)
            try:
                assert _rows(state) == rows
            finally:
                state.close()
        except StoreError:
            found += 1
        shutil.rmtree(copy)
    assert found > 40  # the rest hit what holds nothing


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE kept SET position=position+100 WHERE name='name 2'",
        "DELETE FROM kept WHERE position=7",
        "INSERT INTO kept SELECT name, position+1000, root, at, pinned, inputs, seal FROM kept WHERE position=3",
        "UPDATE refused SET reason='another' WHERE at=5",
        "UPDATE refused SET reason=NULL WHERE at=5",
        "DELETE FROM followed",
        "DELETE FROM sums",
        "UPDATE sums SET sum='text'",
        "UPDATE kept SET seal=x'00' WHERE position=0",
    ],
)
def test_rows_that_were_changed_lost_or_doubled_are_an_error(tmp_path: Path, statement: str) -> None:
    _filled(tmp_path)
    connection = sqlite3.connect(tmp_path / STATE.file, isolation_level=None)
    connection.execute(statement)
    connection.close()
    for read_only in (True, False):
        with pytest.raises(StoreError, match=r"is damaged: its .* are not as they were written"):
            StateDatabase(tmp_path, read_only=read_only)


@pytest.mark.parametrize("wrong", [-1, NUMBER_MAX + 1, 2**64])
def test_numbers_that_the_database_cannot_hold_are_refused(tmp_path: Path, wrong: int) -> None:
    rows = _filled(tmp_path)
    state = StateDatabase(tmp_path, read_only=False)
    for kept in (Kept("name", cid_of(b"x"), wrong, 0), Kept("name", cid_of(b"x"), 0, wrong)):
        with pytest.raises(InputError, match="of kept is between 0 and"), state.changing():
            state.put_kept(kept)
    assert _rows(state) == rows
    with state.changing():
        state.put_kept(Kept("name", cid_of(b"x"), NUMBER_MAX, NUMBER_MAX))
    assert state.kept("name")[0].position == NUMBER_MAX
    state.close()


def test_a_state_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    _filled(tmp_path)
    connection = sqlite3.connect(tmp_path / STATE.file)
    connection.execute("PRAGMA user_version=2")
    connection.close()
    with pytest.raises(StoreError, match=r"the node's state in .* has format version 2"):
        StateDatabase(tmp_path, read_only=False)


def test_operations_are_remembered_up_to_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations_module, "OPERATIONS_MAX", 5)
    state = StateDatabase(tmp_path, read_only=False)
    operations = Operations(state)
    made = [Operation(f"op{at}", "publish", "running", at, at, b"body") for at in range(7)]
    for one in made:
        operations.put(one)
    assert operations.recent(10) == made[:1:-1]
    assert operations.get("op1") is None
    done = Operation("op3", "publish", "done", 3, 50)
    operations.put(done)
    assert operations.get("op3") == done
    assert operations.recent(2) == [done, made[6]]
    assert operations.forget(before=6) == 3
    assert operations.recent(10) == [done, made[6]]
    state.close()


def test_the_body_of_an_operation_is_bounded(tmp_path: Path) -> None:
    state = StateDatabase(tmp_path, read_only=False)
    operations = Operations(state)
    operations.put(Operation("a", "k", "s", 0, 0, bytes(BODY_BYTES_MAX)))
    with pytest.raises(LimitError, match="65536 are the most"):
        operations.put(Operation("b", "k", "s", 0, 0, bytes(BODY_BYTES_MAX + 1)))
    assert operations.get("b") is None
    state.close()
