"""Vectors by number, and which of them are most like another: exact for few, by short forms first for many.

A vector is kept as one byte a dimension and a scale, which changes a cosine by less than 0.01. Up to `EXACT_ROWS_MAX`
every search compares every vector. Above, it compares those whose short forms are best (`retrieval.sketch`). Who may be
found is decided *before* the search, never after, so a filter cannot empty it.

Nothing here is trusted or precious: it is a cache over verified data, and every error says how to get it again. One
thread at a time changes it; a file is replaced whole or not at all, so of two writers the work of one stays.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from dkg.client.files import replaced
from dkg.errors import InputError, StoreError
from retrieval.sketch import Sketch, products

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Ids = NDArray[np.int64]
    Rows = NDArray[np.float32]
    Scores = NDArray[np.float32]

EXACT_ROWS_MAX: Final = 50_000
"""Vectors up to which a search compares each of them: about 2 ms at 384 dimensions."""

_LEVELS: Final = 127
_FORMAT: Final = "dkg-vectors-1"
_HEADER_BYTES_MAX: Final = 4096


class Vectors:
    """Vectors of one model. Ids are whole numbers from 0 on, chosen by the caller."""

    def __init__(self, dimension: int, model: str) -> None:
        self.dimension = dimension
        self.model = model
        """The embedder's name: vectors of another one are not compared with these."""
        self._ids: Ids = np.empty(0, dtype=np.int64)
        self._scales: Scores = np.empty(0, dtype=np.float32)
        self._rows: NDArray[np.int8] = np.empty((0, dimension), dtype=np.int8)
        self._count = 0
        self._sketch: Sketch | None = None
        self._sorted: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return self._count

    @property
    def ids(self) -> Ids:
        """Every id, in no order. Not to be changed."""
        return self._ids[: self._count]

    def add(self, ids: Sequence[int] | Ids, rows: Rows) -> None:
        """Add vectors of shape (ids, dimension); of an id that is there the vector is replaced. Raises `InputError`."""
        numbers = _numbers(ids)
        if rows.shape != (len(numbers), self.dimension):
            raise InputError(
                f"an array of shape {(len(numbers), self.dimension)} is needed, one row for each id, and one of shape "
                f"{rows.shape} was given"
            )
        if not np.isfinite(rows).all():
            raise InputError("a vector has a number that is infinite or none; nothing was added")
        if len(np.unique(numbers)) != len(numbers):
            raise InputError("an id is given twice; give each vector once")
        if not len(numbers):
            return
        if self._count and numbers.min() <= self.ids.max():
            self.remove(numbers)
        self._reserve(self._count + len(numbers))
        new = slice(self._count, self._count + len(numbers))
        self._ids[new] = numbers
        self._rows[new], self._scales[new] = _quantised(rows)
        self._count = new.stop
        self._sorted = None
        if self._sketch:
            self._sketch.put(new.start, self._float(new))

    def remove(self, ids: Sequence[int] | Ids) -> int:
        """Remove vectors; ids that are not there are passed over. Gives how many were there."""
        places = self._places(_numbers(ids))
        places = np.unique(places[places >= 0])
        if not len(places):
            return 0
        left = self._count - len(places)
        holes = places[places < left]
        last = np.setdiff1d(np.arange(left, self._count), places, assume_unique=True)
        for array in (self._ids, self._scales, self._rows, *((self._sketch.rows,) if self._sketch else ())):
            array[holes] = array[last]  # the last ones move into the holes
        self._count = left
        self._sorted = None
        return len(places)

    def search(self, row: Rows, k: int, allowed: NDArray[np.bool_] | None = None) -> tuple[Ids, Scores]:
        """The `k` ids whose vectors are most like `row` and their cosines, best first; only those above zero.

        `allowed[id]` says whether an id may be found; ids beyond its end may not. Raises `InputError`.
        """
        self._check(row)
        places = None if allowed is None else self._permitted(allowed)
        if (self._count if places is None else len(places)) > EXACT_ROWS_MAX:
            places = self._sketched().near(row, self._count, k, places)
        return self._best(row, places, k)

    def similar(self, row: Rows, ids: Sequence[int] | Ids) -> Scores:
        """The cosine of `row` with each id's vector, 0 where the id is not there. Raises `InputError`."""
        self._check(row)
        places = self._places(_numbers(ids))
        scores = np.zeros(len(places), dtype=np.float32)
        there = places >= 0
        scores[there] = self._scores(row, places[there])
        return scores

    # --- the search ---------------------------------------------------------------------------------------------

    def _check(self, row: Rows) -> None:
        if row.shape != (self.dimension,):
            raise InputError(f"a vector of {self.dimension} numbers is needed, and one of shape {row.shape} was given")

    def _permitted(self, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        ids = self.ids
        inside = ids < len(allowed)
        return (
            np.flatnonzero(inside & allowed[np.where(inside, ids, 0)]) if len(allowed) else np.empty(0, dtype=np.int64)
        )

    def _scores(self, row: Rows, places: NDArray[np.int64] | None) -> Scores:
        scales = self._scales[: self._count] if places is None else self._scales[places]
        return products(self._rows[: self._count], row.astype(np.float32, copy=False), places) * scales

    def _best(self, row: Rows, places: NDArray[np.int64] | None, k: int) -> tuple[Ids, Scores]:
        scores = self._scores(row, places)
        best = np.flatnonzero(scores > 0)
        if len(best) > k:
            best = best[np.argpartition(-scores[best], k - 1)[:k]] if k > 0 else best[:0]
        ids = self.ids[best] if places is None else self.ids[places[best]]
        order = np.lexsort((ids, -scores[best]))  # equal ones by their id: the same search gives the same list
        return ids[order], scores[best][order]

    def _sketched(self) -> Sketch:
        """The short forms, made anew where there are none or the number of vectors has changed a lot."""
        if self._sketch is None or self._sketch.out_of_date(self._count):
            self._sketch = Sketch.of(self._count, self._float)
        return self._sketch

    def _float(self, places: slice | NDArray[np.int64]) -> Rows:
        floats: Rows = self._rows[places].astype(np.float32) * self._scales[places, None]
        return floats

    # --- places -------------------------------------------------------------------------------------------------

    def _places(self, ids: Ids) -> NDArray[np.int64]:
        """The row of each id, -1 where there is none."""
        if not self._count:
            return np.full(len(ids), -1, dtype=np.int64)
        if self._sorted is None:
            self._sorted = np.argsort(self.ids)
        at = np.minimum(np.searchsorted(self.ids, ids, sorter=self._sorted), self._count - 1)
        places = self._sorted[at]
        return np.where(self._ids[places] == ids, places, -1)

    def _reserve(self, count: int) -> None:
        if count <= len(self._ids):
            return
        room = max(count, len(self._ids) * 3 // 2)
        for name in ("_ids", "_scales", "_rows"):
            old = getattr(self, name)
            new = np.empty((room, *old.shape[1:]), dtype=old.dtype)
            new[: self._count] = old[: self._count]
            setattr(self, name, new)

    # --- the file -----------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the short forms now if searches need them; the first search would do it otherwise."""
        if self._count > EXACT_ROWS_MAX:
            self._sketched()

    def save(self, path: Path) -> None:
        """Write it to a file, which takes the place of the old one when it is complete. Raises `StoreError`."""
        sketch = self._sketch
        parts = [self.ids, self._scales[: self._count], self._rows[: self._count]]
        if sketch:
            parts += [sketch.rows[: self._count], sketch.directions, sketch.steps]
        head = {
            "format": _FORMAT,
            "model": self.model,
            "dimension": self.dimension,
            "count": self._count,
            "width": len(sketch.steps) if sketch else 0,
            "made_of": sketch.made_of if sketch else 0,
        }
        pieces: list[bytes | memoryview] = [json.dumps(head).encode() + b"\n"]
        pieces += [np.ascontiguousarray(part).data for part in parts]
        digest = hashlib.sha256()
        with replaced(str(path)) as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
            file.write(digest.digest())

    @classmethod
    def load(cls, path: Path, dimension: int, model: str) -> Vectors:
        """Read what `save` wrote. Raises `StoreError` when it is missing, damaged, or of another model."""
        try:
            with path.open("rb") as file:
                return cls._read(file, path, dimension, model)
        except OSError as error:
            raise StoreError(f"cannot read the vectors {path}: {error.strerror}; build the index again") from error

    @classmethod
    def _read(cls, file: BinaryIO, path: Path, dimension: int, model: str) -> Vectors:
        line = file.readline(_HEADER_BYTES_MAX)
        head = _header(line, path)
        if (head["model"], head["dimension"]) != (model, dimension):
            raise StoreError(
                f"the vectors {path} are of {head['model']}, not of {model}, and do not compare; build the index again"
            )
        count, width = head["count"], head["width"]
        shapes: list[tuple[tuple[int, ...], str]] = [((count,), "<i8"), ((count,), "<f4"), ((count, dimension), "<i1")]
        if width:
            shapes += [((count, width), "<i1"), ((dimension, width), "<f4"), ((width,), "<f4")]
        bytes_of = sum(math.prod(shape) * np.dtype(kind).itemsize for shape, kind in shapes)
        if path.stat().st_size - file.tell() != bytes_of + hashlib.sha256().digest_size:
            raise StoreError(f"the vectors {path} are cut off; delete the file and build the index again")
        digest = hashlib.sha256(line)
        arrays = []
        for shape, kind in shapes:
            array = np.fromfile(file, dtype=kind, count=math.prod(shape)).reshape(shape)
            digest.update(array.data)
            arrays.append(array)
        if digest.digest() != file.read():
            raise StoreError(f"the vectors {path} are damaged; delete the file and build the index again")
        made = cls(dimension, model)
        made._ids, made._scales, made._rows = arrays[0], arrays[1], arrays[2]
        made._count = count
        if width:
            made._sketch = Sketch(arrays[4], arrays[5], arrays[3], head["made_of"])
        return made


def _quantised(rows: Rows) -> tuple[NDArray[np.int8], Scores]:
    scales = np.abs(rows).max(axis=1) / np.float32(_LEVELS)
    whole = np.rint(rows / np.where(scales > 0, scales, 1)[:, None]).astype(np.int8)
    return whole, scales.astype(np.float32)


def _numbers(ids: Sequence[int] | Ids) -> Ids:
    numbers = np.asarray(ids, dtype=np.int64)
    if len(numbers) and numbers.min() < 0:
        raise InputError("ids of vectors are whole numbers from 0 on, and one is negative")
    return numbers


def _header(line: bytes, path: Path) -> dict[str, Any]:
    try:
        head = json.loads(line)
        sizes = [head[name] for name in ("dimension", "count", "width", "made_of")]
        whole = (
            head["format"] == _FORMAT
            and isinstance(head["model"], str)
            and all(isinstance(size, int) and size >= 0 for size in sizes)
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is no file of vectors; delete it and build the index again") from error
    if not whole:
        raise StoreError(f"{path} is no file of vectors of this version; delete it and build the index again")
    return dict(head)
