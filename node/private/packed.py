"""The private quads of one asset as a dataset with all its pages, and as the one file that it is kept in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.car import read_car, write_car
from dkg.client.files import compress, decompress
from dkg.dataset import build_dataset, quads
from dkg.errors import LimitError, PageError
from dkg.page import cid_of
from dkg.pages import MemoryPageStore, ProvedPages
from dkg.private import private_graph
from dkg.rdf import parse_quads
from node.assets.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg.chain.ual import Ual
    from dkg.terms import Quad

PRIVATE_QUADS_MAX: Final = 50_000
"""Most quads of one asset's private part: all its pages go to a worker with each query."""

PRIVATE_BYTES_MAX: Final = 48 * 1024 * 1024
"""Most bytes of the pages of one asset's private part, and of those that an audience adds to a public dataset."""

_BLOCKS_MAX: Final = 1_000_000
_CAR_BYTES_MAX: Final = PRIVATE_BYTES_MAX + 64 * 1024 * 1024  # what CIDs and lengths add to the smallest pages


@dataclass(frozen=True, slots=True, repr=False)
class PrivateDataset:
    """The dataset: its root, its number of quads, and a CAR of all its pages."""

    root: bytes
    count: int
    car: bytes

    def quads(self) -> list[Quad]:
        """Its quads."""
        pages = ProvedPages(read_car(self.car, self.root, _BLOCKS_MAX))
        return [quad for batch in quads(pages, self.root) for quad in batch]

    def pack(self) -> bytes:
        """As a file."""
        return compress(self.car)

    @classmethod
    def unpack(cls, data: bytes, root: bytes) -> PrivateDataset:
        """From a file that must have this root; every page is checked. Raises `ProofError`."""
        car = decompress(data, _CAR_BYTES_MAX)
        blocks = read_car(car, root, _BLOCKS_MAX)
        for cid, raw in blocks.items():
            if cid_of(raw) != cid:
                raise PageError("a page of a private asset is damaged")
        return cls(root, ProvedPages(blocks).root(root).count, car)


def private_dataset(ual: Ual, found: Iterable[Quad]) -> PrivateDataset:
    """The dataset of the private quads of an asset.

    Raises `AssetError` for none, and for a quad in another graph than `<UAL#private>`; `LimitError` for too many.
    """
    graph, rows = private_graph(ual), set(found)
    if not rows:
        raise AssetError(f"there are no triples to publish as the private part of {ual.name!r}")
    if any(quad[3] != graph for quad in rows):
        raise AssetError(
            f"a quad is in another graph: private triples of {ual.name!r} are in no graph, or in {graph.decode()}"
        )
    if len(rows) > PRIVATE_QUADS_MAX:
        raise LimitError(
            f"a private part has {PRIVATE_QUADS_MAX} quads at most (PRIVATE_QUADS_MAX): publish it in parts"
        )
    store = MemoryPageStore()
    root = build_dataset([sorted(rows)], store, normal=True)
    size = sum(map(len, store.pages.values()))
    if size > PRIVATE_BYTES_MAX:
        raise LimitError(f"a private part has {PRIVATE_BYTES_MAX} bytes of pages at most (PRIVATE_BYTES_MAX)")
    return PrivateDataset(root, len(rows), write_car(root, store.pages.items()))


def private_quads(ual: Ual, nquads: bytes) -> list[Quad]:
    """Quads from N-Quads in normal form, as a worker gives them."""
    return [quad for batch in parse_quads(nquads, format="nq", graph=private_graph(ual)) for quad in batch]
