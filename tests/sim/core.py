"""Run simulated histories by hand.

`python -m tests.sim.core SEED` prints what happened. `FROM TO` runs many, and tells of each. With `--record FILE` the
run is one that can be broken off: every slice of 50 seeds adds a line of JSON to the file (seeds, faults by kind, what
was broken), and a run that is started again goes on after the last of them; at the end a line sums all of it up.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.sim.faults import Faults
from tests.sim.history import CoreHistory

SLICE = 50


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.core", description=__doc__)
    parser.add_argument("numbers", type=int, nargs="+", metavar="SEED")
    parser.add_argument("--record", type=Path)
    given = parser.parse_args(arguments)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        if len(given.numbers) == 1:
            return _one(given.numbers[0], Path(folder))
        first, end = given.numbers
        return _many(first, end, Path(folder), given.record)


def _one(seed: int, folder: Path) -> int:
    history = CoreHistory(seed, folder)
    try:
        history.run()
    finally:
        sys.stdout.write("\n".join([*history.core_net.lines, json.dumps(history.told, sort_keys=True), ""]))
    return 0


def _many(first: int, end: int, folder: Path, record: Path | None) -> int:
    done = _done(record, first, end)
    at = max((one["to"] for one in done), default=first)
    while at < end:
        to = min(at + SLICE, end)
        done.append(_slice(at, to, folder, quiet=record is not None))
        at = to
        if record is not None:
            with record.open("a", encoding="ascii") as file:
                file.write(json.dumps(done[-1]) + "\n")
    total = _summed(done, first, end)
    sys.stdout.write(json.dumps(total) + "\n")
    return 1 if total["broken"] else 0


def _done(record: Path | None, first: int, end: int) -> list[dict[str, Any]]:
    """The slices of this range that a run before has done."""
    if record is None or not record.exists():
        return []
    lines = [json.loads(line) for line in record.read_text("ascii").splitlines()]
    return [one for one in lines if first <= one["from"] and one["to"] <= end]


def _slice(first: int, end: int, folder: Path, *, quiet: bool) -> dict[str, Any]:
    since, cpu = time.perf_counter(), time.process_time()
    faults: list[Faults] = []
    broken: dict[str, str] = {}
    settled: list[float] = []
    for seed in range(first, end):
        history = CoreHistory(seed, folder)
        try:
            history.run()
        except Exception as error:  # noqa: BLE001 - told, and the next seed is tried
            broken[str(seed)] = _told(error)
        faults.append(history.told)
        settled.append(round(history.converged_s, 1))
        if not quiet:
            sys.stdout.write(f"{seed}: settled in {settled[-1]} s, {history.core_net.loop.steps} steps\n")
            sys.stdout.flush()
    return {
        "from": first, "to": end, "broken": broken, "faults": Faults.sum(faults), "settled_s_max": max(settled),
        "wall_s": round(time.perf_counter() - since, 1), "cpu_s": round(time.process_time() - cpu, 1),
    }  # fmt: skip


def _told(error: BaseException) -> str:
    """The innermost errors of groups, cut."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_told(one) for one in error.exceptions)
    return f"{type(error).__name__}: {error}"[:500]


def _summed(done: list[dict[str, Any]], first: int, end: int) -> dict[str, Any]:
    return {
        "seeds": sum(one["to"] - one["from"] for one in done), "from": first, "to": end,
        "broken": {seed: why for one in done for seed, why in one["broken"].items()},
        "faults": Faults.sum(Faults(one["faults"]) for one in done),
        "settled_s_max": max(one["settled_s_max"] for one in done),
        "wall_s": round(sum(one["wall_s"] for one in done), 1), "cpu_s": round(sum(one["cpu_s"] for one in done), 1),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
