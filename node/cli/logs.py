"""`dkg logs`: the node's log (`node.core.events`), as people read it or as it is, while it goes on if that is wanted.

The log is a file (`node.log_file`) that is put aside when it is long, as `node.log.1` and so on, so that it never takes
more than (`node.log_files` + 1) times `node.log_bytes`. What stands there comes from strangers in part: on a terminal
nothing is shown that could drive it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from dkg.client.cli.console import paint, plain
from dkg.client.cli.exits import Exit
from dkg.errors import InputError, StoreError
from node.cli.nodes import configured
from node.core.events import LEVELS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from dkg.client.cli.console import Console

LINES: Final = 100
"""Lines that are shown if nothing is said."""

LINES_MAX: Final = 1_000_000
"""Most lines that can be asked for: they are held in memory."""

LINE_BYTES_MAX: Final = 1024 * 1024
"""Longest line that is read as one, in bytes."""

POLL_S: Final = 0.2
"""Time between two looks at the file, with `--follow`, in seconds."""

UNREADABLE: Final = "unreadable"
"""The event of a line that is none: a crash may have cut it."""

_STYLES: Final = {"debug": "dim", "info": "", "warning": "yellow", "error": "red"}
_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines. `since`: a time as the log writes it, empty for all; `events`: names, in which `*` is anything."""

    level: int = 0
    events: tuple[str, ...] = ()
    since: str = ""

    def has(self, line: dict[str, Any]) -> bool:
        """Whether to show a line."""
        if LEVELS.get(str(line.get("level")), LEVELS["error"]) < self.level or str(line.get("at", "~")) < self.since:
            return False
        name = str(line.get("event"))
        return not self.events or any(fnmatchcase(name, event) for event in self.events)


def logs(args: argparse.Namespace, console: Console) -> int:
    """Print them."""
    wanted = Wanted(
        LEVELS[args.level], tuple(args.event or ()), since_of(args.since, time.time()) if args.since else ""
    )
    if args.file == "-":
        for line in _matching(iter(lambda: sys.stdin.buffer.readline(LINE_BYTES_MAX), b""), wanted):
            _show(line, console)
        return Exit.OK
    path = Path(args.file) if args.file else _log_file(args)
    try:
        with closing(Log(path)) as log:
            for line in log.last(wanted, args.lines):
                _show(line, console)
            if args.follow:
                _follow(log, wanted, console)
    except OSError as error:
        if error.filename is None:
            raise  # of the output
        raise StoreError(f"the log {path} cannot be read: {error.strerror or error}") from error
    return Exit.OK


def _log_file(args: argparse.Namespace) -> Path:
    config = configured(args)
    if config.log_file is None:
        raise InputError(
            f"the node of {config.source} writes its log to standard error (`node.log_file` is not set): see where "
            "that goes. Under systemd: `journalctl -u dkg-node -o cat | dkg logs -`; in a container: "
            "`docker logs NAME 2>&1 | dkg logs -`"
        )
    return config.log_file


def since_of(text: str, now: float) -> str:
    """A time as the log writes it, from `10m`, `2h`, `3d` (ago), or from a date and time. Raises `InputError`."""
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            moment = datetime.fromtimestamp(now, UTC) - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
        else:
            moment = datetime.fromisoformat(text)
            moment = moment.replace(tzinfo=moment.tzinfo or UTC)
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError) as error:
        raise InputError(f"{text!r} is no time: write 30s, 10m, 2h or 3d ago, or 2026-01-31T12:00:00Z") from error


class Log:
    """A log file, and those that were put aside before it."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError`."""
        self._path = path
        self._file = path.open("rb")
        self._begun = b""  # a line that is being written

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def last(self, wanted: Wanted, most: int) -> list[dict[str, Any]]:
        """The last lines that are wanted, the oldest first."""
        found = deque(_matching(self.new(), wanted), most)
        number = 1
        while len(found) < most:
            try:
                with self._path.with_name(f"{self._path.name}.{number}").open("rb") as file:
                    older = deque(_matching(_lines(file), wanted), most - len(found))
            except FileNotFoundError:
                break
            found.extendleft(reversed(older))
            number += 1
        return list(found)

    def new(self) -> Iterator[bytes]:
        """The lines since the last look, also if the file was put aside meanwhile."""
        yield from self._whole()
        try:
            there = os.stat(self._path).st_ino  # noqa: PTH116 - beside fstat
        except FileNotFoundError:
            return
        if there != os.fstat(self._file.fileno()).st_ino:
            yield from self._whole()
            following = self._path.open("rb")
            self._file.close()
            self._file = following
            yield from self._whole()

    def _whole(self) -> Iterator[bytes]:
        for line in _lines(self._file):
            self._begun += line
            if self._begun.endswith(b"\n") or len(self._begun) >= LINE_BYTES_MAX:
                whole, self._begun = self._begun, b""
                yield whole


def _lines(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.readline(LINE_BYTES_MAX), b"")


def _matching(lines: Iterable[bytes], wanted: Wanted) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            if not line.strip():
                continue
            found = {"level": "error", "event": UNREADABLE, "text": line.decode(errors="replace").rstrip("\n")}
        if wanted.has(found):
            yield found


def _follow(log: Log, wanted: Wanted, console: Console) -> None:
    """Until Ctrl-C, which is how this ends."""
    try:
        while True:
            for line in _matching(log.new(), wanted):
                _show(line, console)
            sys.stdout.flush()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        return


def _show(line: dict[str, Any], console: Console) -> None:
    if console.json:
        console.object(line)
        return
    level = str(line.get("level"))
    style = _STYLES.get(level, "")
    head = plain(f"{str(line.get('at', '')).replace('T', ' ')[:23]:23} {level:7} {line.get('event')}")
    facts = " ".join(f"{key}={_fact(value)}" for key, value in line.items() if key not in {"at", "level", "event"})
    console.line(
        f"{paint(head, style, sys.stdout) if style else head} {paint(plain(facts), 'dim', sys.stdout)}".rstrip()
    )


def _fact(value: object) -> str:
    if isinstance(value, str):
        return value if value and not re.search(r"[\s\"=]", value) else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
