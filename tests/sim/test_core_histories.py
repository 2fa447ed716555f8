"""Whole nodes in simulated networks, from seeds (rows A2, B1-B5, C1-C3, C7, G1, G3): see `tests.sim.history`.

`DKG_SIM_SEEDS` says how many seeds are tried: 200, or 10,000 in the deep profile. `python -m tests.sim.core SEED` runs
one of them again and prints what happened.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.hashing import printed
from tests.sim.faults import Faults
from tests.sim.history import CoreHistory

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = int(os.environ.get("DKG_SIM_SEEDS", "10000" if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else "200"))
AT_ONCE = 10


@pytest.fixture(scope="session")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for what went wrong in each part of the seeds: one for all processes of a run."""
    own = tmp_path_factory.getbasetemp()
    made = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "faults"
    made.mkdir(exist_ok=True)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_whole_nodes_keep_every_invariant_under_every_fault(first: int, folder: Path, counts: Path) -> None:
    faults = Faults()
    for seed in range(first, min(first + AT_ONCE, SEEDS)):
        history = CoreHistory(seed, folder).run()
        assert history.checks.checked > 50
        assert history.converged_s >= 0
        faults.update(history.told)
    (counts / f"{first}.part").write_text(json.dumps(faults))
    (counts / f"{first}.part").rename(counts / f"{first}.json")
    told = [json.loads(one.read_text()) for one in counts.glob("*.json")]
    if len(told) == len(range(0, SEEDS, AT_ONCE)):  # the last part to end looks at all of them
        Faults.sum(map(Faults, told)).require(SEEDS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [100_000, 100_001])
def test_ten_whole_nodes_and_liars_keep_every_invariant(seed: int, folder: Path) -> None:
    history = CoreHistory(seed, folder, nodes=10, liars=3, publishers=4, commits=2).run()
    assert history.converged_s >= 0


def test_where_nothing_goes_wrong_everybody_has_everything_within_a_few_blocks(folder: Path) -> None:
    history = CoreHistory(7, folder, nodes=4, liars=0, faults=False).run()
    assert history.converged_s < 60
    assert len(history.core_net.ledger.commits()) == 6


def test_one_seed_is_one_trace_and_another_seed_another(folder: Path) -> None:
    first, again, other = (CoreHistory(seed, folder).run().core_net for seed in (3, 3, 4))
    assert first.lines == again.lines
    assert first.digest == again.digest != other.digest


def test_the_trace_does_not_hang_on_how_python_hashes() -> None:
    command = (
        "import sys, pathlib, tempfile; from tests.sim.history import CoreHistory\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    print(CoreHistory(5, pathlib.Path(folder)).run().core_net.digest)"
    )
    digests = printed(command, ("1", "2"))
    assert digests[0] == digests[1] != ""
