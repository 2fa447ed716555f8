"""One slice of mixed load, its samples and what happened written to a file."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.soak.load import Player, Tally, asker, churn, guest, slow, weather
from tests.soak.network import network, settle
from tests.soak.publishers import Steady, Uploader, held
from tests.soak.sampling import Sampler

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak.network import Network

SAMPLE_S = 5.0
PUBLISH_S = 2.0
MAKING_S = 5.0
"""Until both nodes have made their first unions, in seconds."""

CATCH_UP_S = 120.0
"""How long the second node may take to have everything after the load has ended, in seconds."""


def soak(folder: Path, file: Path, seconds: float, askers: int, pause_s: float) -> list[str]:
    """Run one slice. Gives what went wrong."""
    tally, since = Tally(), time.monotonic()
    number = slices(file) + 1
    with file.open("a", encoding="utf-8") as out, network(folder) as made:
        uploaders = [Uploader(made.first, Steady(at), every_s=PUBLISH_S) for at in (1, 2)]
        for one in uploaders:
            one.start()
        sampler = Sampler(made.nodes, out, number, SAMPLE_S)
        try:
            while not all(one.latest and held(made.second, one.actor.address) for one in uploaders):
                time.sleep(0.1)
            time.sleep(MAKING_S)
            players = everybody(made, uploaders, tally, askers, pause_s)
            threads: list[Player | Sampler] = [*players, sampler]
            for thread in threads:
                thread.start()
            threading.Event().wait(seconds)
        finally:
            running: list[Player | Sampler | Uploader] = [*threads, *uploaders]
            for each in running:
                each.ended.set()
            for each in running:
                each.join()
        errors = [*tally.errors, *sampler.errors, *(error for one in uploaders for error in one.errors)]
        errors += after(made, uploaders)
        facts = {
            "slice": number,
            "summary": True,
            "commit": settle(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - since),
            "commits": sum(len(one.acknowledged) for one in uploaders),
            "counts": dict(sorted(tally.counts.items())),
            "errors": errors,
        }
        out.write(json.dumps(facts) + "\n")
    return errors


def slices(file: Path) -> int:
    """How many slices a file has."""
    if not file.exists():
        return 0
    return max((json.loads(line)["slice"] for line in file.read_text(encoding="utf-8").splitlines()), default=0)


def everybody(made: Network, uploaders: list[Uploader], tally: Tally, askers: int, pause_s: float) -> list[Player]:
    """All who take part."""
    nodes = [made.first, made.second]
    return [
        *(asker(nodes, 100 + at, tally, pause_s) for at in range(askers)),
        *(slow(nodes, 200 + at, tally) for at in range(4)),
        churn(nodes, 300, tally, 0.2),
        guest(made, uploaders, tally, 30.0),
        weather(made, tally, 20.0),
    ]


def after(made: Network, uploaders: list[Uploader]) -> list[str]:
    """What is wrong when all is quiet: the second node has everything, both stop in order, their stores are whole."""
    errors, since = [], time.monotonic()
    for one in uploaders:
        wanted = one.latest.commit.seq if one.latest else 0
        while (found := held(made.second, one.actor.address)) < wanted:
            if time.monotonic() - since > CATCH_UP_S:
                errors.append(f"the second node has commit {found} of {wanted} of publisher {one.actor.number}")
                break
            time.sleep(0.1)
    for name, node in made.nodes.items():
        errors += [f"{name} died: {event}" for event in node.events("died")]
        if (status := node.stop()) != 0:
            errors.append(f"{name} ended with {status}")
        node.check()
    return errors
