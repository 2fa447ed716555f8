"""No keys or pages, whoever chooses them, make a transaction against a checkpoint cost more than the target.

Long runs: `python -m tests.contracts.checkpoints.adversary 0 300`.
"""

from __future__ import annotations

import pytest

from tests.contracts.checkpoints.adversary import TARGET, Adversary, dearest
from tests.contracts.checkpoints.fuzz_chain import Contracts
from tests.contracts.onchain import examples

KINDS = {"show", "missing", "extra", "index", "page", "count", "bounds", "mark, page", "mark, bounds"}
DEAREST = (0, 52, 54, 55, 82)
"""The seeds with the dearest transactions among the first 100."""


@pytest.mark.slow
def test_no_transaction_against_a_checkpoint_costs_more_than_the_target() -> None:
    contracts = Contracts(metered=True)
    seeds = range(examples(0, 300)) or DEAREST
    found = dearest([Adversary(contracts, seed).run() for seed in seeds])
    assert found.keys() == KINDS
    assert {name: dear for name, dear in found.items() if dear.gas > TARGET} == {}
    assert any(dear.shows for dear in found.values())
    assert max(dear.gas for dear in found.values()) > 0.9 * TARGET  # they did try
