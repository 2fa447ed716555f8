"""What an attack is, and the register of those that there are (`tests/mutation/catalogue.py` holds all)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.mutation.subjects import Block, Subject, car_of, subject

if TYPE_CHECKING:
    from dkg.evaluate import Dataset

Mutation = Callable[[random.Random, Subject], "Attack | None"]
MUTATIONS: dict[str, Mutation] = {}


@dataclass(frozen=True)
class Attack:
    """What the verifier is given. `base` is whose data the trusted root stands for."""

    base: Subject
    car: bytes
    text: str
    dataset: Dataset

    @property
    def honest(self) -> bool:
        """Whether this is the very proof that the prover made for this question."""
        made = self.base.made
        return (self.car, self.text) == (self.base.car, made.text) and self.dataset == self.base.dataset


def on(base: Subject, car: bytes) -> Attack:
    return Attack(base, car, base.made.text, base.dataset)


def register(mutation: Mutation) -> Mutation:
    name = mutation.__name__.strip("_").replace("_", " ")
    assert name not in MUTATIONS
    MUTATIONS[name] = mutation
    return mutation


def of_bytes(change: Callable[[random.Random, bytes], bytes]) -> None:
    """Register a change of the file as bytes."""
    MUTATIONS[change.__name__.strip("_").replace("_", " ")] = lambda rng, it: on(it, change(rng, it.car))


def of_blocks(change: Callable[[random.Random, list[Block], Subject], list[Block] | None]) -> None:
    """Register a change of the list of blocks, written back as a well-formed CAR."""

    def mutation(rng: random.Random, it: Subject) -> Attack | None:
        blocks = change(rng, list(it.blocks), it)
        return None if blocks is None else on(it, car_of(it.root, blocks))

    MUTATIONS[change.__name__.strip("_").replace("_", " ")] = mutation


def attack(name: str, seed: int, rng: random.Random) -> Attack | None:
    """Return one mutation of the proof of a seed; None if it does not apply or leaves the proof as it was."""
    made = MUTATIONS[name](rng, subject(seed))
    if made is None or made.honest:
        return None
    return made


def twice(first: str, second: str, seed: int, rng: random.Random) -> Attack | None:
    """Return a mutation of the file after another one of its blocks."""
    made = MUTATIONS[first](rng, subject(seed))
    if made is None or not made.car:
        return None
    again = MUTATIONS[second](rng, replace(made.base, car=made.car))
    return None if again is None or again.car == made.base.car else replace(made, car=again.car)
