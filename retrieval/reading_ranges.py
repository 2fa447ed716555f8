"""The triples of a key range of one snapshot, and who says them: what `retrieval.reading` makes facts from.

Every page is checked against its CID, and every child against what its parent says of it (`dkg.pages`, `dkg.scan`).
A key that is no quad in normal form is ignored, as in evaluation. All work is bounded by what is asked for, whatever
the dataset is made of: see the limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dkg.errors import BudgetError, PageError, ProofError, StoreError
from dkg.normal import is_normal
from dkg.page import ORDERS, cid_text
from dkg.scan import Cursor, prefix_end
from dkg.terms import component, keys_are_quads, quads_only
from retrieval.model import Origin, is_aside

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from retrieval.model import Snapshot

GRAPHS_MAX: Final = 32
"""Most graphs of one snapshot that are named as origins of one triple: the first in byte order."""

IGNORED_MAX: Final = 10_000
"""Most keys in one range that are passed over: those that are no quads, or in graphs that are not the publisher's."""

ASIDE_MAX: Final = 100_000
"""Most keys in one range that are passed over since their graphs are about assets: an honest publisher has many."""

FAULTS: Final = (ProofError, StoreError, BudgetError)
"""What reading pages raises when pages are wrong, missing, or more than may be read."""

Found = tuple[bytes, list[bytes]]
"""A triple, as its key without the graph, and the graphs that have it, at most `GRAPHS_MAX`."""


class Ranges:
    """Ranges of one snapshot's indexes. Raises one of `FAULTS` for pages that cannot be read."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def cursor(self, order: str) -> Cursor:
        """A finger into one index, whose count must be the dataset's."""
        pages, root = self.snapshot.pages, self.snapshot.root
        dataset = pages.root(root)
        cursor = Cursor(pages, dataset.trees[ORDERS.index(order)])
        if cursor.count != dataset.count:
            raise PageError(
                f"index {order} of dataset {cid_text(root)} has {cursor.count} keys, the dataset says {dataset.count}"
            )
        return cursor

    def count(self, order: str, prefix: bytes) -> int:
        """How many keys start with a prefix, by the counts in the pages."""
        cursor = self.cursor(order)
        return cursor.rank(prefix_end(prefix)) - cursor.rank(prefix) if prefix else cursor.count

    def each(self, prefixes: Sequence[bytes]) -> Iterator[list[bytes] | Exception]:
        """For each of some triples, as ascending prefixes of spog: the graphs that have it, or one of `FAULTS`.

        A fault ends the reading of its own triple and of no other.
        """
        cursor: Cursor | None = None
        for prefix in prefixes:
            try:
                cursor = cursor or self.cursor("spog")
                _, graphs = next(triples(cursor, "spog", prefix, self.snapshot.only), (b"", []))
            except FAULTS as error:
                yield error
            else:
                yield graphs

    def triples(self, order: str, prefix: bytes) -> Iterator[Found]:
        """The triples whose keys start with a prefix, in the order of the index, read as far as consumed."""
        return triples(self.cursor(order), order, prefix, self.snapshot.only)

    def origin(self, graph: bytes) -> Origin:
        """What is said of a triple that this snapshot has in a graph."""
        of = self.snapshot
        return Origin(of.publisher, graph, of.root, of.claim, of.state, of.sequence, of.block, of.time, of.committed)


def triples(cursor: Cursor, order: str, prefix: bytes, only: bytes | None = None) -> Iterator[Found]:
    """The triples of a range of an index whose last place is the graph. Graphs beyond the limit are passed over.

    `only`: what the names of the graphs that count begin with; None if all do. Graphs about assets never count.
    """
    at: bytes | None = prefix
    while at is not None:
        at = yield from _until_full(cursor, order, (at, prefix_end(prefix)), only)


def _until_full(
    cursor: Cursor, order: str, bounds: tuple[bytes, bytes], only: bytes | None
) -> Generator[Found, None, bytes | None]:
    """The triples of a range up to one that has too many graphs, and where to go on after it; None at the end."""
    triple, graphs, ignored, aside = b"", list[bytes](), 0, 0
    for keys in cursor.batches(*bounds):
        good = keys if keys_are_quads(keys, order) else quads_only(keys, order)
        if only is not None:
            good = [key for key in good if key.startswith(only, _graph_at(key))]
        ignored += len(keys) - len(good)
        if ignored > IGNORED_MAX:
            raise PageError(f"index {order} has more than {IGNORED_MAX} keys in one range that do not count")
        mine = len(good)
        good = [key for key in good if not is_aside(key[:-1])]
        aside += mine - len(good)
        if aside > ASIDE_MAX:
            raise PageError(f"index {order} has more than {ASIDE_MAX} keys in one range that are about assets")
        for key in good:
            if not (graphs and key.startswith(triple)):
                if graphs:
                    yield triple, graphs
                triple, graphs = key[: _graph_at(key)], []
            graphs.append(key[len(triple) : -1])
            if len(graphs) == GRAPHS_MAX:
                yield triple, graphs
                return prefix_end(triple)
    if graphs:
        yield triple, graphs
    return None


def _graph_at(key: bytes) -> int:
    """Where the graph begins in the key of a quad, of an index that has it last."""
    return key.rindex(b"\0", 0, -1) + 1


def index_for(subject: bytes | None, predicate: bytes | None, object_: bytes | None) -> tuple[str, bytes]:
    """The index and the prefix that hold the triples with these terms, and no others; None matches every term.

    The terms must be in normal form.
    """
    places = {"s": subject, "p": predicate, "o": None if object_ is None else component(object_)}
    known = {place: part for place, part in places.items() if part is not None}
    order = next(o for o in ("spog", "posg", "ospg") if set(o[: len(known)]) == set(known))
    return order, b"".join(known[place] + b"\0" for place in order[: len(known)])


def is_triple(subject: bytes, predicate: bytes, object_: bytes) -> bool:
    """Whether these are two IRIs and a term, all in normal form. Never raises, whatever the bytes."""
    iris = subject[:1] == b"<" == predicate[:1]
    return iris and is_normal(subject) and is_normal(predicate) and is_normal(object_)
