"""The proofs that are mutated: those of random queries over random data, taken apart by a reader of our own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256

from dkg.cut import Shape
from dkg.evaluate import Dataset
from dkg.pages import StoredPages
from dkg.proof import prove
from tests.evaluators import build
from tests.fuzz.grammar import Case, case, with_data

NARROW = Shape(leaf_window=4, inner_window=3)
"""Small pages, so that small data makes proofs of many pages."""

Block = tuple[bytes, bytes]


@dataclass(frozen=True)
class Subject:
    """A query over a dataset, with its proof. `store` is every page of the dataset."""

    made: Case
    root: bytes
    car: bytes
    blocks: tuple[Block, ...]
    store: tuple[Block, ...]

    @property
    def dataset(self) -> Dataset:
        """The graphs in scope."""
        return Dataset(self.made.default_graphs, self.made.named_graphs)


@lru_cache(maxsize=512)
def subject(seed: int) -> Subject:
    """Return the proof of the query of a seed."""
    return prepared(case(seed))


@lru_cache(maxsize=512)
def neighbour(seed: int) -> Subject:
    """Return the proof of the same query over the data without one quad: the root before an update."""
    made = case(seed)
    at = seed % max(1, len(made.quads))
    return prepared(with_data(made, made.quads[:at] + made.quads[at + 1 :]))


@lru_cache(maxsize=512)
def sibling(seed: int) -> Subject:
    """Return the proof of another query over the same data."""
    mine, other = case(seed), case(seed + 1)
    return prepared(replace(other, quads=mine.quads))


def prepared(made: Case) -> Subject:
    """Return a case with its proof."""
    store, root = build(made.quads, NARROW)
    dataset = Dataset(made.default_graphs, made.named_graphs)
    proof = prove(StoredPages(store), root, made.text, dataset=dataset)
    return Subject(made, root, proof.car, tuple(blocks_of(proof.car)), tuple(store.pages.items()))


# --- CAR files, read and written without the code under test --------------------------------------------------


def blocks_of(car: bytes) -> list[Block]:
    """Return the blocks of a well-formed CAR."""
    size, at = read_varint(car, 0)
    at += size
    blocks = []
    while at < len(car):
        size, at = read_varint(car, at)
        blocks.append((car[at : at + 36], car[at + 36 : at + size]))
        at += size
    return blocks


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def varint(value: int, padding: int = 0) -> bytes:
    """Return a number as LEB128, in a longer form than needed if there is padding."""
    out = []
    while value > 0x7F or padding:
        padding -= padding > 0 and value <= 0x7F
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def section(cid: bytes, raw: bytes, padding: int = 0) -> bytes:
    """Return a block as it stands in a CAR."""
    return varint(len(cid) + len(raw), padding) + cid + raw


def header(*roots: bytes, version: int = 1) -> bytes:
    """Return the header of a CAR."""
    links = b"".join(b"\xd8\x2a\x58" + bytes([len(r) + 1]) + b"\0" + r for r in roots)
    body = b"\xa2\x65roots" + bytes([0x80 + len(roots)]) + links + b"\x67version" + bytes([version])
    return varint(len(body)) + body


def car_of(root: bytes, blocks: list[Block] | tuple[Block, ...]) -> bytes:
    """Return a well-formed CAR."""
    return header(root) + b"".join(section(cid, raw) for cid, raw in blocks)


def cid(raw: bytes) -> bytes:
    """Return the CID of a page."""
    return b"\x01\x71\x12\x20" + sha256(raw).digest()
