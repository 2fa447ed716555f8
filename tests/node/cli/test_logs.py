"""`dkg logs`: what is shown of a log, and that nothing of it is lost when the file is put aside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from dkg.client.cli import main
from dkg.errors import InputError
from node.cli.logs import Log, Wanted, since_of
from node.core.events import EventLog

if TYPE_CHECKING:
    from pathlib import Path

    Capture = pytest.CaptureFixture[str]

NOW = 1_800_000_000.0


def written(path: Path, *, files: int = 4, bytes_max: int = 1_000) -> EventLog:
    return EventLog(path, level="debug", bytes_max=bytes_max, files=files, clock=lambda: NOW)


def numbers(log: Log, most: int = 1_000) -> list[int]:
    return [line["n"] for line in log.last(Wanted(), most)]


def test_the_last_lines_come_from_the_files_that_were_put_aside_too(tmp_path: Path) -> None:
    events = written(tmp_path / "log")
    for number in range(40):
        events("tick", n=number)
    events.close()
    assert len(list(tmp_path.iterdir())) > 2
    for most in (1, 9, 30, 40, 41):
        with closing(Log(tmp_path / "log")) as log:
            assert numbers(log, most) == list(range(max(0, 40 - most), 40))


def test_whoever_follows_sees_each_line_once_while_the_file_is_put_aside(tmp_path: Path) -> None:
    events, seen = written(tmp_path / "log"), []
    events("tick", n=0)
    with closing(Log(tmp_path / "log")) as log:
        for number in range(1, 60):
            events("tick", n=number)
            events.flush()
            seen += [json.loads(line)["n"] for line in log.new()]
    events.close()
    assert seen == list(range(60))


def test_half_a_line_is_shown_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'{"n": 1}\n{"n"')
    with closing(Log(path)) as log:
        assert list(log.new()) == [b'{"n": 1}\n']
        with path.open("ab") as file:
            file.write(b": 2}\n")
        assert list(log.new()) == [b'{"n": 2}\n']


@pytest.fixture
def log(tmp_path: Path) -> str:
    events = written(tmp_path / "log", bytes_max=10_000)
    events("http.request", path="/sparql", status=200)
    events("http.fault", level="error", text="a \x1b[31mtrick\x1b[0m")
    events("refused", why="a lie")
    events.close()
    return str(tmp_path / "log")


@pytest.mark.parametrize(
    ("options", "events"),
    [
        ((), ["http.request", "http.fault", "refused"]),
        (("--level", "warning"), ["http.fault", "refused"]),
        (("--level", "error"), ["http.fault"]),
        (("--event", "http.*"), ["http.request", "http.fault"]),
        (("--event", "refused", "--event", "http.fault"), ["http.fault", "refused"]),
        (("--event", "none"), []),
        (("--lines", "1"), ["refused"]),
        (("--since", "2027-01-15T08:00:00Z"), ["http.request", "http.fault", "refused"]),
        (("--since", "2027-01-15T08:00:00.001+00:00"), []),
    ],
)
def test_lines_are_chosen(options: tuple[str, ...], events: list[str], log: str, capsys: Capture) -> None:
    assert main(["logs", log, "--json", *options]) == 0
    assert [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()] == events


def test_nothing_in_a_log_drives_a_terminal(log: str, capsys: Capture) -> None:
    assert main(["logs", log]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[31mtrick" in out


def test_a_line_that_is_none_is_shown_as_it_is(log: str, capsys: Capture) -> None:
    with open(log, "a", encoding="utf-8") as file:  # noqa: PTH123 - a name
        file.write('{"cut off\n\n[1]\n')
    assert main(["logs", log, "--json", "--event", "unreadable"]) == 0
    assert [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()] == ['{"cut off', "[1]"]


@pytest.mark.parametrize("option", [("--lines", "0"), ("--lines", "1000001"), ("--level", "loud")])
def test_options_beyond_their_limits_are_usage_errors(option: tuple[str, str], log: str) -> None:
    assert main(["logs", log, *option]) == 64


def test_a_log_that_is_not_there_and_one_that_goes_elsewhere_are_sentences(tmp_path: Path, capsys: Capture) -> None:
    assert main(["logs", str(tmp_path / "none")]) == 3
    assert "cannot be read" in capsys.readouterr().err
    config = tmp_path / "node.toml"
    config.write_text("")
    assert main(["logs", "--config", str(config)]) == 1
    assert "journalctl" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "ago"), [("5s", 5), ("10m", 600), ("2h", 7200), ("3d", 259_200)])
def test_times_ago_are_counted_from_now(text: str, ago: int) -> None:
    assert since_of(text, NOW + ago) == since_of("2027-01-15T08:00:00Z", NOW)


@pytest.mark.parametrize("text", ["yesterday", "10", "5 m", "-3d", "999999d", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no time"):
        since_of(text, 1_000.0)


def test_what_is_piped_is_shown_and_follow_ends_well(log: str) -> None:
    command = [sys.executable, "-m", "dkg.client.cli", "logs"]
    with open(log, "rb") as file:  # noqa: PTH123 - a name
        done = subprocess.run([*command, "-", "--level", "warning"], stdin=file, capture_output=True, check=True)
    assert [line.split()[3] for line in done.stdout.splitlines()] == [b"http.fault", b"refused"]
    process = subprocess.Popen([*command, log, "--follow", "--json", "--lines", "1"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "refused"
    with open(log, "ab") as file:  # noqa: PTH123 - a name
        os.write(file.fileno(), b'{"event": "later"}\n')
    assert json.loads(process.stdout.readline())["event"] == "later"
    process.send_signal(signal.SIGINT)
    assert process.communicate()[0] == b""
    assert process.returncode == 0
