"""Stores of pages that lie in every way that the catalogue of mutations has (`tests/mutation/catalogue.py`).

The catalogue changes proofs. A store is a proof of everything: its pages are written as one, changed, and read again
as far as they can be read. What comes out are the pages that the store gives.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from tests.evaluators import build
from tests.fuzz.grammar import case
from tests.mutation.catalogue import MUTATIONS
from tests.mutation.subjects import NARROW, Subject, car_of, neighbour, read_varint

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tests.fuzz.grammar import Case
    from tests.mutation.subjects import Block


TIMES = 4
"""Mutations that make one store of lies."""


class Liar:
    """A page store that gives now what is right, and now what is not. `lies`: what it may give in place of pages."""

    def __init__(self, rng: random.Random, honest: Mapping[bytes, bytes], lies: Mapping[bytes, bytes | None]) -> None:
        self._rng, self._honest, self._lies = rng, honest, lies
        self.share = rng.choice((0.1, 0.5, 1.0))
        self.lied = 0

    def get(self, cid: bytes) -> bytes | None:
        """A page, or a lie."""
        right = self._honest.get(cid)
        if self._rng.random() >= self.share:
            return right
        told = self._lies.get(cid)
        self.lied += told != right
        return told

    def put_many(self, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """It is only read."""
        raise AssertionError(f"{len(list(pages))} pages were written while reading")


@lru_cache(maxsize=256)
def stored(seed: int) -> Subject:
    """The whole dataset of a seed, as the catalogue takes it."""
    return stored_case(case(seed))


def stored_case(made: Case) -> Subject:
    """The whole dataset of a case."""
    store, root = build(made.quads, NARROW)
    pages = tuple(store.pages.items())
    return Subject(made, root, car_of(root, pages), pages, pages)


def lies(name: str, seed: int, rng: random.Random) -> dict[bytes, bytes | None] | None:
    """What a store of a seed gives after a few mutations of one kind; None where that changes nothing."""
    return lies_about(stored(seed), name, rng, OLD_AND_OTHER[name](seed) if name in OLD_AND_OTHER else None)


def lies_about(
    whole: Subject, name: str, rng: random.Random, other: Subject | None = None
) -> dict[bytes, bytes | None] | None:
    """The same for any dataset. `other`: the one that is shown in its place, where that is the lie."""
    if other is not None:
        return _below_the_trusted_root(whole, other)
    told: dict[bytes, bytes | None] = dict(whole.store)
    for _ in range(TIMES):
        told |= _mutated(name, whole, rng)
    return None if told == dict(whole.store) else told


def _mutated(name: str, whole: Subject, rng: random.Random) -> dict[bytes, bytes | None]:
    """The pages that one mutation makes of some: under their names, under those of the pages that they replace, and
    None for those that are not there any more."""
    kept = rng.sample(whole.store, max(1, len(whole.store) * 7 // 10))
    made = MUTATIONS[name](rng, replace(whole, car=car_of(whole.root, kept), blocks=tuple(kept)))
    if made is None:
        return {}
    found = list(_readable(made.car))
    gone = dict.fromkeys({cid for cid, _ in kept} - {cid for cid, _ in found})
    in_place = {cid: raw for (cid, _), (_, raw) in zip(kept, found, strict=False)} if len(found) == len(kept) else {}
    return gone | dict(found) | in_place


def _below_the_trusted_root(whole: Subject, other: Subject) -> dict[bytes, bytes | None]:
    """Another dataset, complete and well made, whose root page is shown as the one that is asked for."""
    pages = dict(other.store)
    return {**pages, whole.root: pages[other.root]}


OLD_AND_OTHER: Mapping[str, Callable[[int], Subject]] = {
    "the dataset before an update": neighbour,
    "the dataset of somebody else": lambda seed: stored(seed + 50),
}
"""Lies about the whole: what is shown in place of a dataset, by the seed of that."""

KINDS = (*MUTATIONS, *OLD_AND_OTHER)
"""All ways of lying."""


def _readable(car: bytes) -> Iterator[Block]:
    """The blocks of a file as far as there are any."""
    try:
        size, at = read_varint(car, 0)
        at += size
        while at < len(car):
            size, at = read_varint(car, at)
            yield car[at : at + 36], car[at + 36 : at + size]
            at += size
    except IndexError:
        return
