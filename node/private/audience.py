"""The dataset that a query of one caller is evaluated over: the public quads, and the private ones that it may read.

It is made by an update of the public root, so that it costs what is private, and what is public is shared. Its new
pages are in memory alone, and go to the worker with the query; the worker is handed nothing else that is private. What
is kept between queries is bounded, and named by all that it is made of.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.car import write_car
from dkg.dataset import update_dataset
from dkg.errors import LimitError
from dkg.pages import MemoryPageStore
from node.assets.graphs import graph_names
from node.private.packed import PRIVATE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dkg.pages import Pages
    from node.private.packed import PrivateDataset

AUDIENCE_QUADS_MAX: Final = 20_000
"""Most private quads of one audience: it takes about a second to make one of a few thousand, for each public root."""

AUDIENCES_BYTES: Final = 96 * 1024 * 1024
"""Bytes of audiences that are kept for the next query."""

GRAPHS_MAX: Final = 4_000
"""Most graphs of a public dataset that is asked together with private ones; all are named to the engine."""

_LISTS: Final = 8  # of graphs, that are remembered
_REFUSED: Final = 64  # audiences that were too large, so that nobody works for them twice


@dataclass(frozen=True, slots=True, repr=False)
class Audience:
    """`root`: the dataset's. `car`: those of its pages that the public dataset has not."""

    root: bytes
    car: bytes


class _Bounded(MemoryPageStore):
    """A page store in memory that refuses to grow over a limit."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__()
        self._left = bytes_max

    def put_many(self, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """See `PageStore.put_many`. Raises `LimitError`."""
        for cid, raw in pages:
            if cid not in self.pages:
                self._left -= len(raw)
                self.pages[cid] = raw
            if self._left < 0:
                raise LimitError(
                    f"what is private needs over {PRIVATE_BYTES_MAX} bytes of pages beside the public dataset: "
                    "ask for fewer private assets, or for one with scope=private"
                )


class Audiences:
    """Makes audiences, and keeps some. Used in any thread."""

    def __init__(self, *, bytes_kept: int = AUDIENCES_BYTES) -> None:
        self._bytes_kept = bytes_kept
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[bytes, ...], Audience] = OrderedDict()
        self._graphs: OrderedDict[bytes, frozenset[bytes]] = OrderedDict()
        self._refused: OrderedDict[tuple[bytes, ...], str] = OrderedDict()

    def made(self, pages: Pages, root: bytes, parts: Sequence[PrivateDataset]) -> Audience:
        """The audience of a public dataset and private ones. Raises `LimitError`, and what reading pages raises."""
        key = root, *sorted(part.root for part in parts)
        with self._lock:
            found, refused = self._made.get(key), self._refused.get(key)
        if refused is not None:
            raise LimitError(refused)
        if found is None:
            found = self._new(key, pages, root, parts)
        with self._lock:
            self._made[key] = found
            self._made.move_to_end(key)
            while sum(len(one.car) for one in self._made.values()) > self._bytes_kept:
                self._made.popitem(last=False)
        return found

    def _new(self, key: tuple[bytes, ...], pages: Pages, root: bytes, parts: Sequence[PrivateDataset]) -> Audience:
        try:
            return _made(pages, root, parts)
        except LimitError as error:
            with self._lock:
                self._refused[key] = str(error)
                while len(self._refused) > _REFUSED:
                    self._refused.popitem(last=False)
            raise

    def public_graphs(self, pages: Pages, root: bytes) -> frozenset[bytes]:
        """The graphs of a public dataset. Raises `LimitError` for over `GRAPHS_MAX`."""
        with self._lock:
            found = self._graphs.get(root)
        if found is None:
            found = _graphs(pages, root)
        with self._lock:
            self._graphs[root] = found
            self._graphs.move_to_end(root)
            while len(self._graphs) > _LISTS:
                self._graphs.popitem(last=False)
        return found


def _made(pages: Pages, root: bytes, parts: Sequence[PrivateDataset]) -> Audience:
    count = sum(part.count for part in parts)
    if count > AUDIENCE_QUADS_MAX:
        raise LimitError(
            f"{count} private quads are asked for at once; {AUDIENCE_QUADS_MAX} is the most (AUDIENCE_QUADS_MAX): "
            "name fewer private assets"
        )
    store = _Bounded(PRIVATE_BYTES_MAX)
    made = update_dataset(pages, root, [quad for part in parts for quad in part.quads()], [], store)
    return Audience(made, write_car(made, store.pages.items()))


def _graphs(pages: Pages, root: bytes) -> frozenset[bytes]:
    found: set[bytes] = set()
    for graph in graph_names(pages, root):
        found.add(graph)
        if len(found) > GRAPHS_MAX:
            raise LimitError(
                f"the public dataset has over {GRAPHS_MAX} graphs (GRAPHS_MAX), too many to ask with private ones: "
                "name a publisher, or graphs (default-graph-uri, named-graph-uri)"
            )
    return frozenset(found)
