"""What is in a view: an Oxigraph store made from a dataset's pages, and made from another view by the difference.

A view holds every quad in its named graph, and every triple once more in the engine's default graph, without a graph
name: the default graph of a query over all graphs is a set of triples, which the engine's own union of graphs is not
(docs/adr/0005). A query over some graphs only cannot take its default graph from a view.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import pyoxigraph as ox

from dkg.dataset import diff_datasets, quads
from dkg.errors import StoreError
from node.viewfiles import ENGINE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dkg.pages import Pages
    from dkg.terms import Quad

_APPLIED_AT_ONCE: Final = 5_000  # quads


class ViewError(StoreError):
    """A view that cannot be used; it can be made again from the pages."""


class TooDifferentError(StoreError):
    """Two datasets that differ so much that a view of one is no help for a view of the other."""


def fill(path: Path, pages: Pages, root: bytes) -> None:
    """Make the store of a dataset in a new directory."""
    try:
        store = ox.Store(str(path))
        store.bulk_load(input=_Lines(_lines(pages, root)), format=ox.RdfFormat.N_QUADS, lenient=True)  # type: ignore[arg-type]  # anything with `read`
        store.flush()
    except ENGINE_ERRORS as error:
        raise ViewError(f"a view cannot be made in {path}: {error}") from error


def _lines(pages: Pages, root: bytes) -> Iterator[bytes]:
    """Named quads, and each triple once: equal triples of several graphs follow each other in spog."""
    last: tuple[bytes, ...] = ()
    for batch in quads(pages, root):
        lines = [b"%b %b %b %b .\n" % quad for quad in batch]
        for quad in batch:
            if quad[:3] != last:
                last = quad[:3]
                lines.append(b"%b %b %b .\n" % last)
        yield b"".join(lines)


class _Lines:
    """Pieces of bytes as a file to read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def read(self, size: int) -> bytes:
        """The next bytes, `size` of them at most; none at the end."""
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._held = piece
        given, self._held = self._held[:size], self._held[size:]
        return given


class Change(NamedTuple):
    """Quads that go and quads that come."""

    gone: list[Quad]
    come: list[Quad]


def difference(pages: Pages, old: bytes, new: bytes, most: int) -> Change:
    """What makes the dataset `new` of `old`. Raises `TooDifferentError` for more than `most` quads."""
    change = Change([], [])
    for went, came in diff_datasets(pages, old, new):
        change.gone.extend(went)
        change.come.extend(came)
        if len(change.gone) + len(change.come) > most:
            raise TooDifferentError(f"more than {most} quads differ")
    return change


def copy_and_change(source: Path, path: Path, change: Change) -> None:
    """Make a store from another one, which stays as it is and shares its files. Raises `ViewError`."""
    try:
        ox.Store.read_only(str(source)).backup(str(path))  # hard links
        store = ox.Store(str(path))
        for some in _parts(change.come):
            store.extend([*_parsed(some), *_parsed(quad[:3] for quad in some)])
        for some in _parts(change.gone):
            for quad in _parsed(some):
                store.remove(quad)
        for some in _parts(change.gone):
            for triple in _parsed(quad[:3] for quad in some):
                if not any(_named(store, triple)):
                    store.remove(triple)
        for graph in {quad[3] for quad in change.gone}:
            name = ox.NamedNode(graph[1:-1].decode())
            if not any(True for _ in store.quads_for_pattern(None, None, None, name)):
                store.remove_graph(name)  # else GRAPH ?g would still find it
        store.flush()
    except ENGINE_ERRORS as error:
        raise ViewError(f"a view cannot be made in {path} from the one in {source}: {error}") from error


def _parts(all_quads: list[Quad]) -> Iterator[list[Quad]]:
    return (all_quads[at : at + _APPLIED_AT_ONCE] for at in range(0, len(all_quads), _APPLIED_AT_ONCE))


def _parsed(statements: Iterable[tuple[bytes, ...]]) -> list[ox.Quad]:
    """Statements of three or four terms in normal form, as the engine's objects."""
    text = b"".join(b"%b .\n" % b" ".join(terms) for terms in statements)
    return list(ox.parse(text, format=ox.RdfFormat.N_QUADS, lenient=True))


def _named(store: ox.Store, triple: ox.Quad) -> Iterator[bool]:
    """True for each named graph that has a triple."""
    found = store.quads_for_pattern(triple.subject, triple.predicate, triple.object, None)
    return (True for quad in found if not isinstance(quad.graph_name, ox.DefaultGraph))
