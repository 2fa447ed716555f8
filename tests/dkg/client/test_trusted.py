"""The file of trusted heads: crashes, damage, sizes, and processes that share it (invariant I5)."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.client import trusted as module
from dkg.client.trusted import FILE_BYTES_MAX, FinalUnion, TrustedHeads
from dkg.errors import StoreError
from tests.dkg.client.heads import DOMAIN, P, Q, committed

if TYPE_CHECKING:
    from pathlib import Path

    from dkg.chain.commit import Domain


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "heads.json"


def test_what_is_kept_is_there_in_the_next_process(file: Path) -> None:
    heads = TrustedHeads(file)
    assert heads.get(DOMAIN, P, final=True) is None
    heads.put(DOMAIN, committed(1), final=True)
    heads.put(DOMAIN, committed(2), final=False)
    heads.put(DOMAIN, committed(5, Q), final=True)
    again = TrustedHeads(file)
    assert [again.get(DOMAIN, P, final=final) for final in (True, False)] == [committed(1), committed(2)]
    assert [again.get(DOMAIN, Q, final=final) for final in (True, False)] == [committed(5, Q), None]
    assert os.listdir(file.parent) == [file.name]  # noqa: PTH208 - names


@pytest.mark.parametrize("other", [replace(DOMAIN, chain_id=1), replace(DOMAIN, registry=b"\xab" * 20)])
def test_another_chain_or_registry_is_another_matter(file: Path, other: Domain) -> None:
    TrustedHeads(file).put(DOMAIN, committed(1), final=True)
    assert TrustedHeads(file).get(other, P, final=True) is None


def test_without_a_file_heads_are_kept_in_memory() -> None:
    heads = TrustedHeads(None)
    heads.put(DOMAIN, committed(2), final=True)
    assert (heads.get(DOMAIN, P, final=True), heads.where) == (committed(2), "memory")


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_was_final_is_never_lowered_nor_replaced(file: Path, in_memory: bool) -> None:  # noqa: FBT001
    heads = TrustedHeads(None if in_memory else file)
    heads.put(DOMAIN, committed(3), final=True)
    for lower in (committed(2), committed(3, fork=1)):
        heads.put(DOMAIN, lower, final=True)
        assert heads.get(DOMAIN, P, final=True) == committed(3)
    heads.put(DOMAIN, committed(4, fork=1), final=True)
    assert heads.get(DOMAIN, P, final=True) == committed(4, fork=1)


def test_the_latest_that_is_not_final_may_go_back_or_go(file: Path) -> None:
    heads = TrustedHeads(file)
    heads.put(DOMAIN, committed(3), final=True)
    for latest in (committed(5), committed(4, fork=1)):
        heads.put(DOMAIN, latest, final=False)
        assert TrustedHeads(file).get(DOMAIN, P, final=False) == latest
    heads.drop(DOMAIN, P)
    assert TrustedHeads(file).get(DOMAIN, P, final=False) is None
    assert TrustedHeads(file).get(DOMAIN, P, final=True) == committed(3)


def test_nothing_is_written_when_there_is_no_news(file: Path) -> None:
    heads = TrustedHeads(file)
    heads.put(DOMAIN, committed(3), final=True)
    before = file.stat().st_mtime_ns, file.stat().st_ino
    heads.put(DOMAIN, committed(3), final=True)
    heads.put(DOMAIN, committed(2), final=True)
    heads.drop(DOMAIN, P)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


# --- several processes ---------------------------------------------------------------------------------------------


def test_a_process_that_read_an_older_file_does_not_lower_what_another_found_final(file: Path) -> None:
    one, two = TrustedHeads(file), TrustedHeads(file)
    two.put(DOMAIN, committed(9), final=True)
    two.put(DOMAIN, committed(1, Q), final=True)
    one.put(DOMAIN, committed(3), final=True)
    again = TrustedHeads(file)
    assert (again.get(DOMAIN, P, final=True), again.get(DOMAIN, Q, final=True)) == (committed(9), committed(1, Q))
    assert one.get(DOMAIN, P, final=True) == committed(9)  # and learns it


WRITER = """
import sys
from pathlib import Path
from dkg.client.trusted import TrustedHeads
from tests.dkg.client.heads import DOMAIN, committed

number = int(sys.argv[2])
for seq in range(1, 26):
    TrustedHeads(Path(sys.argv[1])).put(DOMAIN, committed(seq, bytes([number]) * 20), final=True)
"""


def test_processes_that_write_at_once_lose_nothing(file: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), str(number)]) for number in range(1, 5)]
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    heads = TrustedHeads(file)
    for number in range(1, 5):
        publisher = bytes([number]) * 20
        assert heads.get(DOMAIN, publisher, final=True) == committed(25, publisher)


# --- crashes -------------------------------------------------------------------------------------------------------

CRASHING = """
import os, sys
from pathlib import Path
from dkg.client import trusted
from tests.dkg.client.heads import DOMAIN, committed

steps = iter(range(1000))
stop = int(sys.argv[2])

def crashing(function):
    def instead(*args, **kwargs):
        if next(steps) == stop:
            os._exit(9)
        return function(*args, **kwargs)
    return instead

for name in ("fsync", "open", "close", "replace", "rename", "mkdir"):
    setattr(os, name, crashing(getattr(os, name)))
trusted.fcntl.flock = crashing(trusted.fcntl.flock)
trusted.TrustedHeads(Path(sys.argv[1])).put(DOMAIN, committed(2), final=True)
"""


def test_a_crash_at_any_step_leaves_the_old_file_or_the_new_one(file: Path) -> None:
    TrustedHeads(file).put(DOMAIN, committed(1), final=True)
    ends: list[int] = []
    while 0 not in ends:
        ends.append(subprocess.run([sys.executable, "-c", CRASHING, str(file), str(len(ends))], check=False).returncode)
        assert TrustedHeads(file).get(DOMAIN, P, final=True) in {committed(1), committed(2)}
        if len(ends) == 1:
            assert TrustedHeads(file).get(DOMAIN, P, final=True) == committed(1)
    assert set(ends) == {9, 0}
    assert len(ends) > 4
    assert TrustedHeads(file).get(DOMAIN, P, final=True) == committed(2)


def test_what_a_crash_left_beside_the_file_is_no_obstacle(file: Path) -> None:
    file.parent.mkdir()
    file.with_name("heads.json.new").write_text("half of it")
    TrustedHeads(file).put(DOMAIN, committed(1), final=True)
    assert TrustedHeads(file).get(DOMAIN, P, final=True) == committed(1)
    assert not file.with_name("heads.json.new").exists()


# --- files that are not right --------------------------------------------------------------------------------------


def contents(file: Path) -> dict[str, Any]:
    TrustedHeads(file).put(DOMAIN, committed(3), final=True)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seq", 0),
        ("seq", 2**48),
        ("seq", "3"),
        ("seq", 3.0),
        ("seq", True),
        ("root", "00" * 32),
        ("root", "11" * 31),
        ("root", "zz" * 32),
        ("root", 5),
        ("publisher", "02" * 20),
        ("position", -1),
        ("position", 2**48),
        ("prior_position", 2**48),
        ("block", -1),
        ("block", 2**64),
        ("time", 2**64),
        ("time", None),
        ("time", 1.5),
        ("time", []),
        ("extra", 1),
    ],
)
def test_a_head_with_a_damaged_field_is_an_error(file: Path, name: str, value: object) -> None:
    found = contents(file)
    (head,) = found["heads"].values()
    file.write_text(json.dumps({"v": 1, "heads": dict.fromkeys(found["heads"], head | {name: value})}))
    with pytest.raises(StoreError, match="are damaged: move the file away"):
        TrustedHeads(file)


@pytest.mark.parametrize("missing", ["seq", "root", "time", "position"])
def test_a_head_without_a_field_is_an_error(file: Path, missing: str) -> None:
    found = contents(file)
    (head,) = found["heads"].values()
    del head[missing]
    file.write_text(json.dumps(found))
    with pytest.raises(StoreError, match="damaged"):
        TrustedHeads(file)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "{}", '{"v": 1}', '{"v": 1, "heads": []}', '{"v": 1, "heads": {"x": 1}}'),
        *('{"v": 2, "heads": {}}', '{"heads": {}}', '{"v": [], "heads": {}}', "[" * 100_000, "\xed\xa0\x80"),
    ],
    ids=range(13),
)
def test_a_file_that_is_no_such_file_is_an_error_and_never_an_empty_memory(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text, encoding="latin1")
    with pytest.raises(StoreError, match="damaged"):
        TrustedHeads(file)


@given(st.binary(max_size=60), st.integers(0, 10**6))
def test_no_damage_is_taken_for_another_memory(tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int) -> None:
    path = tmp_path_factory.mktemp("damaged") / "heads.json"
    text = json.dumps(contents(path)).encode()
    at %= len(text)
    path.write_bytes(text[:at] + data + text[at + len(data) :])
    try:
        found = TrustedHeads(path).get(DOMAIN, P, final=True)
    except StoreError:
        return
    assert found is None or found.publisher == P


def test_a_file_is_read_up_to_the_limit_and_not_one_byte_more(file: Path) -> None:
    text = json.dumps(contents(file))
    file.write_text(text.ljust(FILE_BYTES_MAX))
    assert TrustedHeads(file).get(DOMAIN, P, final=True) == committed(3)
    file.write_text(text.ljust(FILE_BYTES_MAX + 1))
    with pytest.raises(StoreError, match=f"more than {FILE_BYTES_MAX} bytes"):
        TrustedHeads(file)


def test_a_file_that_could_not_be_read_again_is_not_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TrustedHeads(file).put(DOMAIN, committed(1), final=True)
    size = file.stat().st_size
    heads = TrustedHeads(file)
    monkeypatch.setattr(module, "FILE_BYTES_MAX", size)
    with pytest.raises(StoreError, match="would be more than"):
        heads.put(DOMAIN, committed(1, Q), final=True)
    assert TrustedHeads(file).get(DOMAIN, P, final=True) == committed(1)
    monkeypatch.setattr(module, "FILE_BYTES_MAX", 2 * size)
    heads.put(DOMAIN, committed(1, Q), final=True)
    assert TrustedHeads(file).get(DOMAIN, Q, final=True) == committed(1, Q)


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_a_disk_that_fails_leaves_the_old_file_and_nothing_else(
    file: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    heads = TrustedHeads(file)
    heads.put(DOMAIN, committed(1), final=True)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(step, full)
    with pytest.raises(StoreError, match="No space left on device"):
        heads.put(DOMAIN, committed(2), final=True)
    monkeypatch.undo()
    assert TrustedHeads(file).get(DOMAIN, P, final=True) == heads.get(DOMAIN, P, final=True) == committed(1)
    assert os.listdir(file.parent) == [file.name]  # noqa: PTH208 - names
    heads.put(DOMAIN, committed(2), final=True)  # and when there is space again, it is kept
    assert TrustedHeads(file).get(DOMAIN, P, final=True) == committed(2)


def test_a_folder_in_the_files_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        TrustedHeads(tmp_path)


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    heads = TrustedHeads.__new__(TrustedHeads)
    heads._path, heads._kept = tmp_path / "file" / "heads.json", TrustedHeads(None)._kept
    with pytest.raises(StoreError, match="cannot be kept"):
        heads.put(DOMAIN, committed(1), final=True)


# --- final checkpoints ----------------------------------------------------------------------------------------

CONTRACT = b"\xcc" * 20


def union(position: int, length: int, fork: int = 0, marks: int = 0) -> FinalUnion:
    root, entry = bytes([fork, position]) * 16, bytes([fork, length]) * 16
    return FinalUnion(100 - position, position, marks, root, length, entry)


def test_a_final_checkpoint_is_kept_beside_the_heads_and_never_lowered_nor_replaced(file: Path) -> None:
    heads = TrustedHeads(file)
    heads.put(DOMAIN, committed(1), final=True)
    heads.put_union(DOMAIN, CONTRACT, union(3, 9))
    for lower in (union(2, 20), union(3, 8), union(3, 9, fork=1)):
        heads.put_union(DOMAIN, CONTRACT, lower)
        assert TrustedHeads(file).union(DOMAIN, CONTRACT) == heads.union(DOMAIN, CONTRACT) == union(3, 9)
    for later in (union(3, 10), union(3, 10, marks=1), union(4, 10)):
        heads.put_union(DOMAIN, CONTRACT, later)
        assert TrustedHeads(file).union(DOMAIN, CONTRACT) == later
    heads.put(DOMAIN, committed(2), final=True)
    assert TrustedHeads(file).union(DOMAIN, CONTRACT) == union(4, 10)
    assert TrustedHeads(file).get(DOMAIN, P, final=True) == committed(2)


def test_a_final_checkpoint_of_another_contract_or_registry_is_another_matter(file: Path) -> None:
    TrustedHeads(file).put_union(DOMAIN, CONTRACT, union(3, 9))
    assert TrustedHeads(file).union(DOMAIN, P) is None
    assert TrustedHeads(file).union(replace(DOMAIN, registry=P), CONTRACT) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("checkpoint", "00"), ("checkpoint", 0), ("checkpoint", -1), ("checkpoint", 2**32), ("position", -1)),
        *(("position", 10), ("marks", -1), ("marks", 2**48), ("length", None), ("length", 2**48), ("length", 2**300)),
        *(("root", 7), ("root", ""), ("root", "11" * 31), ("entry", "0"), ("entry", "11" * 33), ("x", 1)),
    ],
)
def test_a_final_checkpoint_with_a_damaged_field_is_an_error(file: Path, name: str, value: object) -> None:
    TrustedHeads(file).put_union(DOMAIN, CONTRACT, union(3, 9))
    kept = json.loads(file.read_text())
    (one,) = kept["unions"].values()
    one[name] = value
    file.write_text(json.dumps(kept))
    with pytest.raises(StoreError, match="are damaged"):
        TrustedHeads(file)
