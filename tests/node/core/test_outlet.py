"""The log never makes anybody wait, never grows without bound, and tells what it left out."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from node.core import outlet as outlet_module
from node.core.events import EventLog
from node.core.outlet import WAITING_BYTES_MAX, DescriptorSink, FileSink, Outlet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe of 4 KiB that is full: whoever writes to it waits."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, b"." * 4095 + b"\n")
    yield reading, writing
    os.close(reading)
    os.close(writing)


def drain(reading: int, until: Callable[[bytes], bool]) -> bytes:
    """What comes out of a pipe, until there is enough of it."""
    found = b""
    while not until(found):
        found += os.read(reading, 65536)
    return found


def test_nobody_waits_for_a_pipe_that_nobody_reads_and_what_was_dropped_is_told(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    log = EventLog(clock=lambda: 0, descriptor=writing)
    text = "x" * 1000
    count = 3 * WAITING_BYTES_MAX // len(text)
    for number in range(count):
        log("tick", number=number, text=text)
    assert log._outlet._bytes <= WAITING_BYTES_MAX
    told = [json.loads(line) for line in drain(reading, lambda found: b"log_dropped" in found).splitlines()[1:]]
    kept = [line["number"] for line in told[:-1]]
    assert kept == [*range(len(kept))]
    assert len(kept) > 500
    assert told[-1]["event"] == "log_dropped"
    assert told[-1]["level"] == "warning"
    assert told[-1]["lines"] == count - len(kept)
    log("tock")
    assert json.loads(drain(reading, lambda found: found.endswith(b"\n")))["event"] == "tock"
    log.close()


def test_closing_does_not_wait_for_ever_for_a_pipe_that_nobody_reads(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlet_module, "CLOSE_S", 0.1)
    outlet = Outlet(DescriptorSink(os.dup(pipe[1])), lambda count: b"%d\n" % count)
    outlet.put(b"never\n")
    assert not outlet.flush(0.05)
    outlet.close(0.05)
    assert not outlet._thread.is_alive()
    outlet.put(b"too late\n")
    assert outlet._bytes == 0


def test_closing_writes_what_waits(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    log = EventLog(clock=lambda: 0, descriptor=writing)
    for number in range(100):
        log("tick", number=number)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(drain(reading, lambda one: b'"number": 99' in one)))
    reader.start()
    log.close()
    reader.join()
    assert len(found[0].splitlines()) == 101


def test_a_pipe_whose_reader_is_gone_stops_nothing() -> None:
    reading, writing = os.pipe()
    log = EventLog(clock=lambda: 0, descriptor=writing)
    os.close(reading)
    log("tick")
    log.flush()
    log("tick")
    log.close()
    os.close(writing)
    assert log._outlet._dropped == 2


def test_what_did_not_fit_on_a_full_disk_is_told_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlet_module, "RETRY_S", 0.01)
    sink = FileSink(tmp_path / "node.log", 1_000_000, 1)
    full = threading.Event()
    honest = sink.write

    def write(line: bytes, gives_up: Callable[[], bool]) -> None:
        if full.is_set():
            raise OSError(errno.ENOSPC, "no space left on device")
        honest(line, gives_up)

    monkeypatch.setattr(sink, "write", write)
    outlet = Outlet(sink, lambda count: b"dropped %d\n" % count)
    outlet.put(b"before\n")
    assert outlet.flush()
    full.set()
    for _ in range(5):
        outlet.put(b"meanwhile\n")
    while outlet._lines:
        outlet.flush(0.01)
    full.clear()
    while b"dropped" not in (tmp_path / "node.log").read_bytes():
        outlet.flush(0.01)
    outlet.put(b"after\n")
    outlet.close()
    assert (tmp_path / "node.log").read_bytes() == b"before\ndropped 5\nafter\n"


def test_a_line_that_was_written_in_part_does_not_spoil_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "node.log"
    sink = FileSink(path, 1_000_000, 1)
    with path.open("ab", buffering=0) as file:

        class Full:
            closed = False
            left = 3

            def write(self, data: bytes) -> int:
                if not self.left:
                    raise OSError(errno.ENOSPC, "no space left on device")
                taken, self.left = data[: self.left], 0
                return file.write(taken)

        whole = sink._file
        monkeypatch.setattr(sink, "_file", Full())
        for _ in range(2):
            with pytest.raises(OSError, match="no space"):
                sink.write(b"first\n", lambda: False)
        monkeypatch.setattr(sink, "_file", whole)
        sink.write(b"second\n", lambda: False)
        sink.write(b"third\n", lambda: False)
    sink.close()
    assert path.read_bytes() == b"fir\nsecond\nthird\n"


def test_who_asked_for_what_is_read_by_the_owner_alone(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "node.log", 10, 2)
    for _ in range(3):
        sink.write(b"12345678\n", lambda: False)
    sink.close()
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == dict.fromkeys(
        ("node.log", "node.log.1", "node.log.2"), 0o600
    )
