"""From quads in any order to the sorted keys of each index, in bounded memory.

Quads are kept as four columns of components, and a component once however often it occurs, until a chunk is
full. A chunk gives the sorted keys of any index. When a second chunk is needed, the first is written out through
the injected `Spill` as one sorted run for each index; runs are merged when the trees are built.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import islice
from operator import lt
from typing import TYPE_CHECKING, Final, Protocol

from dkg.errors import RdfError
from dkg.normal import require_normal, shown
from dkg.page import ORDERS
from dkg.terms import component

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dkg.terms import Quad

_BATCH_KEYS: Final = 8192
_SPILLED_KEYS: Final = 2048  # a batch of every run is in memory while they are merged
_TERMS_MAX: Final = 400_000  # components remembered, so that equal ones are one object
_STRETCHES: Final = 16  # of which a sample consists
_PLACES: Final = {order: tuple("spog".index(place) for place in order) for order in ORDERS}

CHUNK_BYTES: Final = 192 * 1024 * 1024
"""Bytes of keys of one index that are sorted in memory at once: a million quads of 200 bytes."""


class Spill(Protocol):
    """Keeps sorted runs outside of memory, for as long as it lives."""

    def write(self, batches: Iterable[list[bytes]]) -> Iterable[list[bytes]]:
        """Keep a run; gives it back as something to iterate over, more than once. Raises `StoreError`."""


class MemorySpill:
    """A spill that spills nothing: where memory is no concern."""

    def write(self, batches: Iterable[list[bytes]]) -> Iterable[list[bytes]]:
        """See `Spill.write`."""
        return list(batches)


class _Components(dict[bytes, bytes]):
    """Component and terminator by term, made when first asked for."""

    def __missing__(self, term: bytes) -> bytes:
        made = self[term] = component(term) + b"\0"
        return made


class _CheckedComponents(_Components):
    """The same for terms of which nothing is known. Raises what `require_normal` raises."""

    def __missing__(self, term: bytes) -> bytes:
        require_normal((term,))
        return super().__missing__(term)


class _Chunk:
    """Quads in memory, as four columns."""

    def __init__(self, components: _Components) -> None:
        self.columns: tuple[list[bytes], ...] = ([], [], [], [])
        self.bytes = 0
        """Of the keys of one index, duplicates included."""
        self._components = components

    def add(self, batch: list[Quad]) -> None:
        """Take quads."""
        made = self._components
        for column, terms in zip(self.columns, zip(*batch, strict=True), strict=True):
            components = list(map(made.__getitem__, terms))
            column.extend(components)
            self.bytes += sum(map(len, components))
        if len(made) > _TERMS_MAX:
            made.clear()

    def run(self, order: str, batch_keys: int = _BATCH_KEYS) -> Iterator[list[bytes]]:
        """The keys of an index, sorted, without duplicates."""
        keys = list(map(b"".join, zip(*(self.columns[place] for place in _PLACES[order]), strict=True)))
        keys.sort()
        keys = _distinct(keys)
        for start in range(0, len(keys), batch_keys):
            yield keys[start : start + batch_keys]


class KeySorter:
    """Takes quads in any order; then gives the sorted keys of each index, any number of times."""

    def __init__(self, spill: Spill | None = None, *, chunk_bytes: int = CHUNK_BYTES, normal: bool = False) -> None:
        """`normal`: the quads are known to be in normal form, as those of `dkg.rdf` are; else each term is checked."""
        self._spill = spill
        self._chunk_bytes = chunk_bytes
        self._normal = normal
        self._chunk = self._new_chunk()
        self._runs: dict[str, list[Iterable[list[bytes]]]] = {order: [] for order in ORDERS}
        self.taken = 0
        """Quads taken so far, duplicates included."""

    def _new_chunk(self) -> _Chunk:
        return _Chunk(_Components() if self._normal else _CheckedComponents())

    def add(self, batch: list[Quad]) -> None:
        """Take quads.

        Raises `StoreError` when a full chunk cannot be spilled; unless `normal`, `RdfError` for what is no quad and
        `NormalFormError` for one that is off its normal form.
        """
        if not batch:
            return
        if self._spill is not None and self._chunk.bytes > self._chunk_bytes:
            for order, runs in self._runs.items():
                runs.append(self._spill.write(self._chunk.run(order, _SPILLED_KEYS)))
            self._chunk = self._new_chunk()
        if not self._normal:
            require_places(batch)
        self._chunk.add(batch)
        self.taken += len(batch)

    def sample(self, count: int) -> list[bytes]:
        """Up to `count` keys of spog in some stretches of the chunk in memory: what the data is like."""
        step = max(1, len(self._chunk.columns[0]) // _STRETCHES)
        size = min(step, count // _STRETCHES)
        found: set[bytes] = set()
        for start in range(0, step * _STRETCHES, step):
            rows = zip(*(column[start : start + size] for column in self._chunk.columns), strict=True)
            found.update(map(b"".join, rows))
        return sorted(found)

    def keys(self, order: str) -> Iterator[list[bytes]]:
        """The keys of an index, strictly ascending, in batches."""
        runs = self._runs[order]
        return merge_runs([*runs, self._chunk.run(order)]) if runs else self._chunk.run(order)


def require_places(batch: list[Quad]) -> None:
    """Check that subjects, predicates and graph names are IRIs. Raises `RdfError`."""
    for quad in batch:
        for place, term in zip(("subject", "predicate", "", "graph name"), quad, strict=True):
            if place and term[:1] != b"<":
                raise RdfError(f"{shown(term)} stands as a {place}, where only an IRI can stand")


def _distinct(keys: list[bytes]) -> list[bytes]:
    """Sorted keys without duplicates."""
    return keys if all(map(lt, keys, islice(keys, 1, None))) else list(dict.fromkeys(keys))


def merge_runs(runs: list[Iterable[list[bytes]]]) -> Iterator[list[bytes]]:
    """One run of several: strictly ascending, duplicates dropped.

    Takes from all runs the keys up to the smallest last key of a batch and sorts them together: the sort finds
    the ascending stretches and merges them in C, several times faster than a heap of keys.
    """
    heads = [_Head(iter(run)) for run in runs]
    heads = [head for head in heads if head.keys]
    while len(heads) > 1:
        pivot = min(head.keys[-1] for head in heads)
        taken: list[bytes] = []
        for head in heads:
            head.take(pivot, taken)
        taken.sort()
        yield _distinct(taken)
        heads = [head for head in heads if head.keys]
    for head in heads:
        yield head.keys[head.at :]
        yield from head.rest


class _Head:
    """The batch of a run that is being merged, and how much of it was taken."""

    __slots__ = ("at", "keys", "rest")

    def __init__(self, rest: Iterator[list[bytes]]) -> None:
        self.rest = filter(None, rest)
        self.keys = next(self.rest, [])
        self.at = 0

    def take(self, pivot: bytes, taken: list[bytes]) -> None:
        """Move the keys up to `pivot` to `taken`."""
        stop = bisect_right(self.keys, pivot, self.at)
        taken += self.keys[self.at : stop]
        self.at = stop
        if stop == len(self.keys):
            self.keys = next(self.rest, [])
            self.at = 0
