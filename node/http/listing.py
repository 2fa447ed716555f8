"""Which graphs and which assets a dataset holds, a part at a time: in time proportional to the part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.chain.ual import Ual, ual_of_graph
from dkg.errors import LimitError
from dkg.page import ORDERS
from dkg.pages import Pages
from dkg.scan import LAST, count_range, prefix_end, scan
from dkg.terms import keys_are_quads, quad_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.page import Page

_GSPO: Final = ORDERS.index("gspo")


class Limited(Pages):
    """Pages of another source, so many at most: whatever a request makes this read, it ends."""

    def __init__(self, source: Pages, most: int) -> None:
        self._source = source
        self._most = most
        self._read = 0

    def page(self, cid: bytes) -> Page:
        """See `Pages.page`. Raises `LimitError`."""
        self._read += 1
        if self._read > self._most:
            raise LimitError(f"this reads more than {self._most} pages: ask for less at once (`limit`)")
        return self._source.page(cid)


class GraphCount(NamedTuple):
    """A graph of a dataset, as a term, and how many quads it has."""

    graph: bytes
    quads: int


class AssetCount(NamedTuple):
    """An asset, and how many quads its content has."""

    ual: Ual
    quads: int


def graphs_after(pages: Pages, root: bytes, after: bytes) -> Iterator[GraphCount]:
    """The graphs of a dataset whose names, as terms, come after one; each costs a few pages."""
    tree = pages.root(root).trees[_GSPO]
    low = prefix_end(after + b"\0") if after else b""
    while (graph := _first(pages, tree, low)) is not None:
        prefix = graph + b"\0"
        low = prefix_end(prefix)
        yield GraphCount(graph, count_range(pages, tree, prefix, low))


def _first(pages: Pages, tree: bytes, low: bytes) -> bytes | None:
    """The graph of the first quad from a key on. A key that is no quad is none (DESIGN section 5)."""
    for keys in scan(pages, tree, low, LAST):
        for key in keys:
            if keys_are_quads([key], "gspo"):
                return quad_of(key, "gspo")[3]
    return None


def assets_after(pages: Pages, root: bytes, after: Ual | None) -> Iterator[AssetCount]:
    """The assets of a dataset after one, by the order of their graphs' names; also those with provenance alone."""
    waiting: AssetCount | None = None
    for found in graphs_after(pages, root, b"" if after is None else after.graph):
        ual = ual_of_graph(found.graph)
        if ual is None:
            continue
        if waiting is not None and waiting.ual != ual:
            yield waiting
        # The provenance of an asset comes just before its content: `#` is before `>`.
        is_content = found.graph == ual.graph
        waiting = AssetCount(ual, found.quads if is_content else 0)
    if waiting is not None:
        yield waiting
