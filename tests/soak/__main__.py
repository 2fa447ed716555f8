"""`scripts/soak`: nodes under load for minutes, or killed again and again under load."""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.soak.kills import kill
from tests.soak.report import read, summary, table
from tests.soak.run import soak

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE = Path(".cache/soak/samples.jsonl")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="scripts/soak", description=__doc__.partition(": ")[2])
    commands = made.add_subparsers(dest="command", required=True)
    load = commands.add_parser("load", help="mixed load on two nodes, with figures of their memory, files and threads")
    load.add_argument("--minutes", type=float, default=30)
    load.add_argument("--askers", type=int, default=6, help="threads that ask (default: 6)")
    load.add_argument("--pause", type=float, default=0.15, help="seconds between two requests of one of them")
    report = commands.add_parser("report", help="the figures of a file of samples again")
    for one in (load, report):
        one.add_argument("--file", type=Path, default=FILE, help=f"samples; more are appended (default: {FILE})")
        one.add_argument("--json", action="store_true", help="one JSON object")
    kills = commands.add_parser("kill", help="kill -9 under load; after each, that nothing acknowledged is lost")
    kills.add_argument("--times", type=int, default=100)
    kills.add_argument("--seed", type=int, default=1)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if something went wrong that must not."""
    given = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="dkg-soak-") as name:
        if given.command == "kill":
            killed = kill(Path(name), given.times, given.seed, lambda line: print(line, file=sys.stderr, flush=True))
            print(json.dumps(killed.facts()))
            return int(bool(killed.errors))
        errors: list[str] = []
        if given.command == "load":
            given.file.parent.mkdir(parents=True, exist_ok=True)
            errors = soak(Path(name), given.file, given.minutes * 60, given.askers, given.pause)
    found = read(given.file)
    print(json.dumps(summary(found)) if given.json else table(found))
    print(*errors, sep="\n", file=sys.stderr)
    return int(bool(errors))


if __name__ == "__main__":
    sys.exit(main())
