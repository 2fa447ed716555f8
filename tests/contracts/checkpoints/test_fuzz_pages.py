"""What the contract keeps of random pages, and of bytes like them, is what the library says.

Long runs: `python -m tests.contracts.checkpoints.fuzz_pages 0 5000`.
"""

from __future__ import annotations

from collections import Counter

from tests.contracts.checkpoints.fuzz_chain import Contracts
from tests.contracts.checkpoints.fuzz_pages import check
from tests.contracts.onchain import examples


def test_contract_and_library_read_the_same_pages_and_refuse_the_same_bytes() -> None:
    contracts = Contracts()
    said: Counter[str] = Counter()
    for seed in range(examples(150, 5000)):
        said += check(contracts, seed)
    assert set(said) == {
        "leaf", "inner", "dataset root", "bent malformed", "bent leaf", "bent inner", "bent dataset root",
    }  # fmt: skip
