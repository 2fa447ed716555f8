"""Try challenges on the real contract, and compare what it says with what the library says.

`python -m tests.contracts.checkpoints.fuzz SEED` prints what came of a seed. `FROM TO` runs many, and tells of each.
With `--record FILE` the run is one that can be broken off: every slice of 50 seeds adds a line of JSON to the file
(seeds, tries, what the contract said, what was broken), and a run that is started again goes on after the last of them;
at the end a line sums all of it up.

Each seed is two random worlds. In the first one the checkpoint is right, and nothing may be accepted. In the second one
it is wrong: what the watcher finds must be accepted, and of that, bent, the contract must think as the library does.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from dkg.chain.checkpoints import Status
from dkg.checkpoints.evidence import summarised
from node.checkpoints.find import Subject, Wrong, find
from node.checkpoints.walk import driven
from tests.contracts.checkpoints.fuzz_bend import Liar, bend
from tests.contracts.checkpoints.fuzz_chain import Contracts, calldata_of
from tests.contracts.checkpoints.fuzz_world import WATCHER, World
from tests.contracts.onchain import RevertedError

SLICE: Final = 50
TRIES: Final = 25
"""Challenges of a right checkpoint, of each seed."""
BENT: Final = 5
"""Bent pieces of evidence of a wrong one."""


def right(contracts: Contracts, seed: int, tries: int = TRIES) -> Counter[str]:
    """Challenge a right checkpoint: what the contract said, by kind of evidence. `AssertionError` if it accepts any."""
    said: Counter[str] = Counter()
    with contracts.env.anchor():
        world = World(contracts, seed, wrong=False)
        _show_some(world)
        liar = Liar(world)
        for number in range(tries):
            evidence = liar.lie()
            ours, theirs = world.verdicts(evidence)
            assert theirs, f"accepted: {evidence}"
            assert ours, f"the library accepts what the contract refuses ({theirs}): {evidence}"
            said[f"{type(evidence).__name__}: {theirs}"] += 1
            if number % 5 == 0:
                data = liar.bent_data(calldata_of(evidence))
                said[f"data: {_refused(world, data)}"] += 1
    return said


def _refused(world: World, data: bytes) -> str:
    """Why the contract refuses a challenge by its data."""
    with world.chain.env.anchor():
        try:
            world.chain.send(WATCHER, data)
        except RevertedError as error:
            return error.reason or "reverted"
    raise AssertionError(f"accepted: {data.hex()}")


def _show_some(world: World) -> None:
    """Show a few of all pages to the contract, so that their summaries may be used."""
    pages = list(world.store.pages.values())
    for raw in world.random.sample(pages, min(len(pages), world.random.choice([0, 3, 8]))):
        world.show(raw)


def wrong(contracts: Contracts, seed: int, tries: int = BENT) -> Counter[str]:
    """Refute a wrong checkpoint, and try bent evidence: what was wrong, how it was refuted, what the contract said."""
    said: Counter[str] = Counter()
    with contracts.env.anchor():
        world = World(contracts, seed, wrong=True)
        subject = Subject(contracts.domain, world.log, world.marked, world.checkpoint)
        found = driven(find(subject, world.pages, world.canonical), world.store.pages.get)
        assert isinstance(found, Wrong), f"{world.corruption} was not found: {found}"
        said[f"wrong: {world.corruption}"] += 1
        said[f"refuted: {type(found.evidence).__name__}"] += 1
        with contracts.env.anchor():
            world.accept(found)
            assert contracts.checkpoint(world.checkpoint.id).status is Status.REFUTED
        world.shown.clear()
        for raw in found.first:
            world.show(raw)
        _show_some(world)
        liar = Liar(world)
        for _ in range(tries):
            evidence = summarised(found.evidence, liar.summarised()) if world.random.random() < 0.7 else liar.lie()
            for _ in range(world.random.choice([1, 1, 2])):
                evidence = bend(world.random, evidence, liar)
            ours, theirs = world.verdicts(evidence)
            assert (ours == "") == (theirs == ""), f"library: {ours}, contract: {theirs}: {evidence}"
            said[f"bent {type(evidence).__name__}: {theirs or 'accepted'}"] += 1
    return said


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.contracts.checkpoints.fuzz", description=__doc__)
    parser.add_argument("numbers", type=int, nargs="+", metavar="SEED")
    parser.add_argument("--record", type=Path)
    given = parser.parse_args(arguments)
    first, end = given.numbers if len(given.numbers) > 1 else (given.numbers[0], given.numbers[0] + 1)
    done = _done(given.record, first, end)
    at = max((one["to"] for one in done), default=first)
    while at < end:
        done.append(_slice(at, min(at + SLICE, end)))
        at = done[-1]["to"]
        if given.record is not None:
            with given.record.open("a", encoding="ascii") as file:
                file.write(json.dumps(done[-1]) + "\n")
    total = _summed(done, first, end)
    sys.stdout.write(json.dumps(total, indent=1) + "\n")
    return 1 if total["broken"] else 0


def _done(record: Path | None, first: int, end: int) -> list[dict[str, Any]]:
    """The slices of this range that a run before has done."""
    if record is None or not record.exists():
        return []
    lines = [json.loads(line) for line in record.read_text("ascii").splitlines()]
    return [one for one in lines if first <= one["from"] and one["to"] <= end]


def _slice(first: int, end: int) -> dict[str, Any]:
    since = time.process_time()
    contracts = Contracts()
    said: Counter[str] = Counter()
    broken: dict[str, str] = {}
    for seed in range(first, end):
        for run in (right, wrong):
            try:
                said += run(contracts, seed)
            except Exception as error:  # noqa: BLE001 - told, and the next seed is tried
                broken[f"{run.__name__} {seed}"] = f"{type(error).__name__}: {error}"[:500]
    return {"from": first, "to": end, "said": said, "broken": broken, "cpu_s": round(time.process_time() - since, 1)}


def _summed(done: list[dict[str, Any]], first: int, end: int) -> dict[str, Any]:
    said: Counter[str] = sum((Counter(one["said"]) for one in done), Counter())
    not_tries = ("wrong: ", "refuted: ", "bent ")
    return {
        "from": first, "to": end,
        "tries_of_right_ones": sum(n for what, n in said.items() if not what.startswith(not_tries)),
        "wrong_ones_refuted": sum(n for what, n in said.items() if what.startswith("refuted: ")),
        "compared_on_wrong_ones": sum(n for what, n in said.items() if what.startswith("bent ")),
        "broken": {seed: why for one in done for seed, why in one["broken"].items()},
        "cpu_s": round(sum(one["cpu_s"] for one in done), 1),
        "said": dict(sorted(said.items())),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
