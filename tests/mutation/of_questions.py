"""Proofs of other questions and other roots, mixtures of them, and other questions for the same proof."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dkg.evaluate import Dataset
from tests.mutation.attack import Attack, of_blocks, on, register
from tests.mutation.subjects import Block, Subject, car_of, neighbour, sibling, subject

if TYPE_CHECKING:
    import random

# --- other proofs --------------------------------------------------------------------------------------------


@register
def _the_proof_of_another_query(_rng: random.Random, it: Subject) -> Attack:
    return on(it, sibling(it.made.seed).car)


@register
def _the_proof_of_another_root(rng: random.Random, it: Subject) -> Attack:
    other = rng.choice((neighbour(it.made.seed), subject(it.made.seed + 1)))
    return on(it, rng.choice((other.car, car_of(it.root, other.blocks))))


@register
def _a_root_from_before(_rng: random.Random, it: Subject) -> Attack:
    old = neighbour(it.made.seed)
    return Attack(old, it.car, it.made.text, it.dataset)


@of_blocks
def _a_mixture_with_another_query(rng: random.Random, blocks: list[Block], it: Subject) -> list[Block]:
    return _mixed(rng, blocks, sibling(it.made.seed))


@of_blocks
def _a_mixture_with_another_root(rng: random.Random, blocks: list[Block], it: Subject) -> list[Block]:
    return _mixed(rng, blocks, neighbour(it.made.seed))


def _mixed(rng: random.Random, blocks: list[Block], other: Subject) -> list[Block]:
    pool = dict([*blocks, *other.blocks])
    if rng.random() < 0.5:
        return list(pool.items())
    return [block for block in pool.items() if rng.random() < 0.7]


# --- the question --------------------------------------------------------------------------------------------


@register
def _another_query_for_this_proof(_rng: random.Random, it: Subject) -> Attack:
    other = sibling(it.made.seed).made
    return Attack(it, it.car, other.text, Dataset(other.default_graphs, other.named_graphs))


@register
def _the_query_changed_in_one_place(rng: random.Random, it: Subject) -> Attack | None:
    text = it.made.text
    changes = [
        (rf"LIMIT {n}\b", f"LIMIT {n + 1}") for n in (0, 1, 2, 5)
    ] + [
        (r"OFFSET 1\b", "OFFSET 0"),
        (r"\?x\b", "?renamed"),
        (r"\?a\b", "?b"),
        (r"DISTINCT ", ""),
        (r"OPTIONAL ", ""),
        (r"MINUS ", "OPTIONAL "),
        (r"NOT EXISTS", "EXISTS"),
        (r"\bp\b", "q"),
        (r"\ba\b", "b"),
        (r" 1\b", ' "1"'),
        (r"@en\b", "@fr"),
        (r"DESC", "ASC"),
        (r"<=", "<"),
        (r"g1", "g2"),
        (r"COUNT", "SUM"),
        (r"\*", "+"),
    ]  # fmt: skip
    fitting = [(old, new) for old, new in changes if re.search(old, text)]
    if not fitting:
        return None
    old, new = rng.choice(fitting)
    spots = list(re.finditer(old, text))
    spot = rng.choice(spots)
    return Attack(it, it.car, text[: spot.start()] + new + text[spot.end() :], it.dataset)


@register
def _the_graphs_in_scope_changed(rng: random.Random, it: Subject) -> Attack:
    names = tuple({quad[3] for quad in it.made.quads})
    some = tuple(rng.sample(names, rng.randint(0, len(names))))
    return Attack(it, it.car, it.made.text, rng.choice((Dataset(some, None), Dataset(None, some), Dataset(some, some))))
