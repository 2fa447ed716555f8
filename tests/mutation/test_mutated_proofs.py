"""Thousands of mutated and mixed proofs: none may be taken for a proof, and none may break the verifier.

`DKG_MUTATIONS` sets how many.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from dkg.errors import MissingPageError, ProofError
from dkg.pages import KnownPages
from dkg.proof import verify
from tests.mutation.catalogue import MUTATIONS, Attack, attack, twice
from tests.mutation.judge import REFUSED, RIGHT, verdict
from tests.mutation.subjects import Subject, car_of, subject

COUNT = int(os.environ.get("DKG_MUTATIONS", "10000"))
SEEDS = 150
OF_BYTES = ("flip a bit", "set a byte", "truncate", "append bytes", "insert bytes", "delete bytes", "move bytes")
OF_THE_QUESTION = {
    "another query for this proof",
    "the query changed in one place",
    "the graphs in scope changed",
}


def _judged(made: Attack, name: str, seed: int, known: KnownPages | None = None) -> str:
    try:
        return verdict(made, known)
    except Exception as error:  # noqa: BLE001 - whatever escapes is the finding
        pytest.fail(f"{name}, seed {seed}: {type(error).__name__}: {error}\n{made.text}\nproof {made.car.hex()}")


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_proof_is_refused(name: str) -> None:
    rng = random.Random(name)
    verdicts: Counter[str] = Counter()
    known = KnownPages()
    for turn in range(COUNT // len(MUTATIONS)):
        seed = turn % SEEDS
        made = attack(name, seed, rng)
        if made is not None:
            verdicts[_judged(made, name, seed, known if turn % 2 else None)] += 1
    assert verdicts[REFUSED] > verdicts.total() * (0.1 if name in OF_THE_QUESTION else 0.999)
    assert verdicts[RIGHT] == 0 or name in OF_THE_QUESTION


def test_a_proof_mutated_twice_is_refused() -> None:
    rng = random.Random("twice")
    firsts = [name for name in MUTATIONS if name not in OF_THE_QUESTION and name != "a root from before"]
    for turn in range(COUNT // 10):
        first, second, seed = rng.choice(firsts), rng.choice(OF_BYTES), turn % SEEDS
        made = twice(first, second, seed, rng)
        if made is not None:
            assert _judged(made, f"{first}, {second}", seed) == REFUSED


@pytest.mark.parametrize("seed", range(0, 1_000, 5))
def test_a_proof_without_one_of_its_pages_is_refused(seed: int) -> None:
    it = subject(seed)
    for at in range(len(it.blocks)):
        without = car_of(it.root, it.blocks[:at] + it.blocks[at + 1 :])
        with pytest.raises(MissingPageError):
            verify(without, it.made.text, it.root, dataset=it.dataset)


def _shortest() -> list[Subject]:
    found = [subject(seed) for seed in range(SEEDS)]
    return sorted((it for it in found if len(it.blocks) > 3), key=lambda it: len(it.car))[:6]


@pytest.mark.parametrize("rank", range(6))
def test_a_proof_with_any_byte_altered_is_refused(rank: int) -> None:
    it, rng = _shortest()[rank], random.Random(rank)
    for at in range(len(it.car)):
        altered = it.car[:at] + bytes([it.car[at] ^ rng.randint(1, 255)]) + it.car[at + 1 :]
        with pytest.raises(ProofError):
            verify(altered, it.made.text, it.root, dataset=it.dataset)


def test_the_proofs_themselves_are_accepted() -> None:
    for seed in range(SEEDS):
        it = subject(seed)
        assert car_of(it.root, it.blocks) == it.car
        assert verify(it.car, it.made.text, it.root, dataset=it.dataset).pages == len(it.blocks)
