"""Challenges of random checkpoints, right and wrong, on the real contract and by the library.

Long runs: `python -m tests.contracts.checkpoints.fuzz 0 400 --record FILE`.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.contracts.checkpoints.fuzz import right, wrong
from tests.contracts.checkpoints.fuzz_chain import Contracts
from tests.contracts.onchain import examples
from tests.hashing import printed

WRONG = {"Missing", "Extra", "Index", "Fault"}
REFUSALS = {
    "Missing": {"not a member", "not absent", "before", "nothing counts", "not the publisher's", "other page"},
    "Extra": {"not a member", "other page"},
    "Index": {"not a member", "other page"},
    "Fault": {"no child", "no fault", "other entry", "other page"},
    "Invalid": {"no child", "no fault", "not in the log"},
}
"""Refusals that the tries of a run must reach at least: what gets that far looks right."""


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return Contracts()


def test_no_challenge_of_a_right_checkpoint_is_accepted(contracts: Contracts) -> None:
    said: Counter[str] = Counter()
    for seed in range(examples(16, 200)):
        said += right(contracts, seed, 10)
    assert said.total() >= examples(150, 2000)
    assert {kind: {why for why in whys if f"{kind}: {why}" not in said} for kind, whys in REFUSALS.items()} == {
        kind: set() for kind in REFUSALS
    }


def test_what_a_seed_tries_does_not_hang_on_how_python_hashes() -> None:
    command = (
        "from tests.contracts.checkpoints.fuzz import right, wrong, Contracts\n"
        "contracts = Contracts()\n"
        "print([sorted(run(contracts, seed, 10).items()) for run in (right, wrong) for seed in (3, 4)])"
    )
    said = printed(command, ("0", "2"))
    assert said[0] == said[1] != ""


def test_what_is_found_wrong_is_refuted_and_what_is_bent_is_judged_alike(contracts: Contracts) -> None:
    said: Counter[str] = Counter()
    for seed in range(examples(36, 400)):
        said += wrong(contracts, seed)
    assert {kind for kind in WRONG if f"refuted: {kind}" in said} == WRONG
    assert any(what.startswith("bent") and what.endswith("accepted") for what in said)
