"""Row A1 of the fault matrix: a crash at every named step of a publish, and the next process goes on from there."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from typing import IO, TYPE_CHECKING

import pytest

from dkg.chain.secp import checksum, keccak256
from node.publish.wallet import Wallet, Wallets
from tests.node.publish.crashing import CRASHED, DATASETS, Case
from tests.node.publish.world import World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = [
    "begin",
    "head",
    "pages",
    "planned",
    "kept",
    "signed",
    "built",
    "broadcast",
    "sent",
    "receipt",
    "proved",
    "mined",
    "stored",
    "final",
]
"""All steps of a publish that waits until its commit is final, in the order in which they are reached."""

UNSIGNED = ("begin", "head", "pages")
"""A crash there, and nothing has happened."""


@dataclass
class Crasher:
    """The program that runs publishers and lets them crash."""

    world: World
    to: IO[str]
    out: IO[str]
    made: int = 0

    def case(self, dataset: int) -> tuple[Case, World]:
        """A new publisher with a home of its own; of the third dataset, another account pays."""
        self.made += 1
        key = keccak256(b"key %d" % self.made)
        payer = keccak256(b"payer %d" % self.made) if dataset == 2 else key
        self.world.fund(Wallet(payer).address)
        wallets = Wallets(Wallet(key).address, Wallet(key), Wallet(payer))
        here = replace(self.world, homes=self.world.homes / str(self.made), wallets=wallets)
        domain = here.domain
        home = str(here.home().path)
        registry = checksum(domain.registry)
        return Case(home, here.url, domain.chain_id, registry, key.hex(), payer.hex(), dataset, [], None), here

    def run(self, case: Case, *requests: str, step: str | None = None) -> tuple[int, list[int]]:
        """A process that publishes, or resumes if no request is named; its exit status, and the seqs."""
        self.to.write(json.dumps(asdict(replace(case, requests=list(requests), step=step))) + "\n")
        self.to.flush()
        status, seqs = json.loads(self.out.readline())
        return status, seqs


@pytest.fixture(scope="module")
def crasher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crasher]:
    command = [sys.executable, "-m", "tests.node.publish.crashing"]
    with (
        world(tmp_path_factory.mktemp("homes")) as made,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        yield Crasher(made, process.stdin, process.stdout)
        process.stdin.close()
        assert process.wait() == 0


@pytest.mark.parametrize("dataset", range(DATASETS))
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_loses_nothing_and_repeats_nothing(crasher: Crasher, step: str, dataset: int) -> None:
    case, here = crasher.case(dataset)
    assert crasher.run(case, "first") == (0, [1])
    assert crasher.run(case, "second", step=step) == (CRASHED, [])

    if step == "broadcast":  # what is on the chain was in the journal before it was sent
        (attempt,) = here.attempts("second")
        assert here.rpc("eth_getTransactionReceipt", "0x" + attempt.hash.hex())["status"] == "0x1"

    status, seqs = crasher.run(case)
    assert status == 0
    if step in UNSIGNED:
        assert seqs == []
        assert [str(job.request) for job in here.journal()[0]] == ["first"]
        here.check("first")
    elif step not in {"mined", "stored", "final"}:
        assert seqs == [2]
    assert crasher.run(case, "second", "third") == (0, [2, 3])

    here.check("first", "second", "third")
    assert len(here.content()) == [3, 1200, 90 - 15][dataset]


# The first root is the store's head as soon as its pages are there: nothing is stored afterwards.
@pytest.mark.parametrize("step", [step for step in STEPS if step != "stored"])
def test_a_crash_in_the_first_publish_of_a_home_is_resumed_by_the_same_request(crasher: Crasher, step: str) -> None:
    case, here = crasher.case(0)
    assert crasher.run(case, "first", step=step) == (CRASHED, [])
    assert crasher.run(case, "first") == (0, [1])
    here.check("first")


@pytest.mark.parametrize("seed", range(4))
def test_crash_after_crash_still_ends_with_one_commit_each(crasher: Crasher, seed: int) -> None:
    chance = random.Random(seed)
    case, here = crasher.case(chance.randrange(DATASETS))
    requests = ["first", "second", "third"]
    crashes = 0
    for _ in range(12):
        status, _ = crasher.run(case, *requests, step=chance.choice(STEPS))
        crashes += status == CRASHED
    assert crashes >= 3
    assert crasher.run(case, *requests) == (0, [1, 2, 3])
    here.check(*requests)
