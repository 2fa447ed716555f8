"""The node's log and its status file."""

from __future__ import annotations

import json
import logging
import os
import threading
from typing import TYPE_CHECKING

import pytest

from dkg.errors import StoreError
from node.core.events import FACT_CHARACTERS_MAX, EventLog, LoggingHandler
from node.core.statusfile import STATUS_FILE, StatusFile, read_status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def lines(text: str | bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def out(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A descriptor, and the file that it writes to."""
    path = tmp_path / "stderr"
    with path.open("wb") as file:
        yield file.fileno(), path


def test_an_event_is_a_line_of_json(out: tuple[int, Path]) -> None:
    log = EventLog(clock=lambda: 1_800_000_000.5, descriptor=out[0])
    log("accepted", seq=1, root=b"\x01", facts={"a": [1, None, True]}, error=ValueError("x"))
    log.close()
    (line,) = lines(out[1].read_text())
    assert line == {
        "at": "2027-01-15T08:00:00.500+00:00",
        "level": "info",
        "event": "accepted",
        "seq": 1,
        "root": "0x01",
        "facts": {"a": [1, None, True]},
        "error": "x",
    }


def test_levels_are_left_out_as_was_asked(out: tuple[int, Path]) -> None:
    log = EventLog(level="warning", clock=lambda: 0, descriptor=out[0])
    log("accepted")
    log("refused")
    log("died")
    log("http.server", level="error")
    log.close()
    assert [line["event"] for line in lines(out[1].read_text())] == ["refused", "died", "http.server"]


def test_what_strangers_say_is_cut_off_and_breaks_no_line(out: tuple[int, Path]) -> None:
    log = EventLog(clock=lambda: 0, descriptor=out[0])
    log("x", why="a\nb" * FACT_CHARACTERS_MAX)
    log.flush()
    (line,) = lines(out[1].read_text())
    assert len(str(line["why"])) == FACT_CHARACTERS_MAX + 3
    log.close()


def test_what_logging_is_told_goes_the_same_way(out: tuple[int, Path]) -> None:
    logger = logging.getLogger("tests.node.core.events")
    log = EventLog(clock=lambda: 0, descriptor=out[0])
    handler = LoggingHandler(log)
    logger.addHandler(handler)
    try:
        logger.error("it %s", "broke", exc_info=ValueError("what"))
    finally:
        logger.removeHandler(handler)
        log.close()
    (line,) = lines(out[1].read_text())
    assert (line["level"], line["text"], line["error"]) == ("error", "it broke", "ValueError('what')")


def test_a_long_file_is_put_aside_and_few_of_them_stay(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "logs" / "node.log", bytes_max=1_000, files=2, clock=lambda: 0)
    for number in range(100):
        log("tick", number=number)
    log.close()
    names = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert names == ["node.log", "node.log.1", "node.log.2"]
    found: list[object] = []
    for name in names[::-1]:
        path = tmp_path / "logs" / name
        assert path.stat().st_size <= 1_000
        found += [line["number"] for line in lines(path.read_text())]
    assert found == [*range(found[0], 100)]  # type: ignore[call-overload]  # a number
    again = EventLog(tmp_path / "logs" / "node.log", bytes_max=1_000, files=0, clock=lambda: 0)
    for number in range(30):
        again("tick", number=number)
    again.close()
    assert len([*(tmp_path / "logs").iterdir()]) == 3


def test_threads_do_not_write_into_each_others_lines(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "node.log", bytes_max=20_000, files=50, clock=lambda: 0)

    def write() -> None:
        for _ in range(200):
            log("tick", text="x" * 50)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert sum(len(lines(path.read_text())) for path in tmp_path.iterdir()) == 800


def test_a_log_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        EventLog(tmp_path, clock=lambda: 0)
    with pytest.raises(StoreError, match=r"standard error: Bad file descriptor; set node\.log_file"):
        EventLog(clock=lambda: 0, descriptor=10_000)


def test_the_status_file_is_there_while_its_process_is(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    status = StatusFile(tmp_path, {"state": "starting"})
    assert read_status(tmp_path) == {"pid": os.getpid(), "state": "starting"}
    status.update(state="running", http="http://x")
    assert read_status(tmp_path) == {"pid": os.getpid(), "state": "running", "http": "http://x"}
    path = tmp_path / STATUS_FILE
    path.write_text(json.dumps({"pid": 2**22 + 1}))  # a process that there is not
    assert read_status(tmp_path) is None
    path.write_text('{"pid":')
    assert read_status(tmp_path) is None
    path.write_text("[]")
    assert read_status(tmp_path) is None
    path.write_text(json.dumps({"pid": 1}))
    assert read_status(tmp_path) == {"pid": 1}
    status.remove()
    status.remove()
    assert not path.exists()
    path.mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        read_status(tmp_path)
    with pytest.raises(StoreError, match="cannot be written"):
        StatusFile(tmp_path, {})
