"""The schema that a graph shows by its own data: classes, properties and how often each occurs.

Nothing is scanned. The index posg is sorted by predicate and then by object, and each of its pages says how many keys
are below it, so one walk down the tree per predicate and per class finds both with their counts. What is mined chooses
templates; it answers no question. Counts are of quads, so that a triple of two graphs counts twice here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.page import ORDERS
from dkg.scan import LAST, Cursor, nth_key, prefix_end
from dkg.terms import keys_are_quads, quad_of, term_of
from dkg.values import NUMERIC, TEMPORAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dkg.pages import Pages
    from retrieval.model import Snapshot

PREDICATES_MAX: Final = 2_000
"""Most predicates that are mined of one snapshot; of the others no template is made."""

CLASSES_MAX: Final = 5_000
"""Most classes that are mined of one snapshot."""

SAMPLE: Final = 12
"""Most triples of a property that are looked at to guess what its subjects and objects are."""

KEPT_SCHEMAS: Final = 16
"""Roots whose schema is kept in memory."""

TYPES: Final = (
    b"<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>",
    b"<http://www.wikidata.org/prop/direct/P31>",
)
"""Predicates whose objects are classes."""


class Property(NamedTuple):
    """A predicate and its objects, counted by what they are."""

    term: bytes
    numbers: int = 0
    times: int = 0
    texts: int = 0
    """Literals that are neither."""
    iris: int = 0

    @property
    def quads(self) -> int:
        """Quads that have it."""
        return self.numbers + self.times + self.texts + self.iris

    def plus(self, other: Property) -> Property:
        """The counts of both."""
        return Property(self.term, *(a + b for a, b in zip(self[1:], other[1:], strict=True)))


class Kind(NamedTuple):
    """A class: the predicate that gives it, and how many quads do."""

    term: bytes
    by: bytes
    quads: int


@dataclass(frozen=True, slots=True)
class Schema:
    """What one or several snapshots have."""

    properties: dict[bytes, Property] = field(default_factory=dict)
    classes: dict[bytes, Kind] = field(default_factory=dict)
    complete: bool = True
    """Whether all predicates and classes are here, not only as many as the limits allow."""

    def plus(self, other: Schema) -> Schema:
        """The schema of both."""
        properties, classes = dict(self.properties), dict(self.classes)
        for term, found in other.properties.items():
            properties[term] = found.plus(properties[term]) if term in properties else found
        for term, kind in other.classes.items():
            known = classes.get(term)
            classes[term] = kind if known is None else known._replace(quads=known.quads + kind.quads)
        return Schema(properties, classes, self.complete and other.complete)


def mine(pages: Pages, root: bytes) -> Schema:
    """The schema of the dataset `root`. Raises what `pages` raises for pages that are missing or wrong."""
    tree = pages.root(root).trees[ORDERS.index("posg")]
    cursor = Cursor(pages, tree)
    properties: dict[bytes, Property] = {}
    classes: dict[bytes, Kind] = {}
    complete = True
    for predicate in _heads(cursor, b"", LAST):
        if len(properties) == PREDICATES_MAX:
            complete = False
            break
        properties[predicate] = _property(cursor, predicate)
    for by in TYPES:
        if by not in properties:
            continue
        low = by + b"\0<"
        for term in _heads(cursor, low, prefix_end(by + b"\0"), by + b"\0"):
            if len(classes) == CLASSES_MAX:
                complete = False
                break
            prefix = by + b"\0" + term + b"\0"
            count = cursor.rank(prefix_end(prefix)) - cursor.rank(prefix)
            if term not in classes or classes[term].quads < count:
                classes[term] = Kind(term, by, count)
    return Schema(properties, classes, complete)


def _heads(cursor: Cursor, low: bytes, high: bytes, prefix: bytes = b"") -> Iterator[bytes]:
    """The distinct components that follow `prefix` in a range: one walk down the tree for each."""
    while low < high:
        leaf, end = cursor.leaf(low)
        at = bisect_left(leaf.keys, low)
        if at == len(leaf.keys):
            low = end
            continue
        key = leaf.keys[at]
        if key >= high:
            return
        head = key[len(prefix) :].split(b"\0", 1)[0]
        if keys_are_quads([key], "posg"):
            yield head
        low = prefix_end(prefix + head + b"\0")


def _property(cursor: Cursor, predicate: bytes) -> Property:
    prefix = predicate + b"\0"
    edges = [
        cursor.rank(key) for key in (prefix, prefix + TEMPORAL, prefix + b"\x12", prefix + b"<", prefix_end(prefix))
    ]
    return Property(predicate, *(high - low for low, high in pairwise(edges)))


class Schemas:
    """Schemas by root, mined when first asked for: a dataset with another root has another one."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Schema] = OrderedDict()

    def of(self, snapshots: Sequence[Snapshot]) -> Schema:
        """The schema of some snapshots together."""
        whole = Schema()
        for snapshot in snapshots:
            known = self._known.get(snapshot.root)
            if known is None:
                known = mine(snapshot.pages, snapshot.root)
            self._known[snapshot.root] = known
            self._known.move_to_end(snapshot.root)
            if len(self._known) > KEPT_SCHEMAS:
                self._known.popitem(last=False)
            whole = known if not whole.properties else whole.plus(known)
        return whole


def _range(cursor: Cursor, predicate: bytes, tag: bytes) -> tuple[int, int]:
    prefix = predicate + b"\0"
    return cursor.rank(prefix + tag), cursor.rank(prefix + bytes([tag[0] + 1]))


def edge_value(snapshot: Snapshot, predicate: bytes, tag: bytes, at: int, *, largest: bool) -> bytes | None:
    """The literal at position `at` from the end of a property's numbers or times; the last where there are fewer.

    `tag`: `NUMERIC` or `TEMPORAL` of `dkg.values`. None where the property has none.
    """
    pages = snapshot.pages
    tree = pages.root(snapshot.root).trees[ORDERS.index("posg")]
    low, high = _range(Cursor(pages, tree), predicate, tag)
    if low >= high:
        return None
    key = nth_key(pages, tree, max(low, high - 1 - at) if largest else min(high - 1, low + at))
    return term_of(key.split(b"\0")[1])


def sample(snapshot: Snapshot, predicate: bytes, tag: bytes | None = None) -> list[tuple[bytes, bytes]]:
    """Subjects and objects of some triples of a property, spread evenly over its objects' order."""
    pages = snapshot.pages
    tree = pages.root(snapshot.root).trees[ORDERS.index("posg")]
    cursor = Cursor(pages, tree)
    prefix = predicate + b"\0"
    low, high = (
        (cursor.rank(prefix), cursor.rank(prefix_end(prefix))) if tag is None else _range(cursor, predicate, tag)
    )
    keys = [nth_key(pages, tree, at) for at in range(low, high, max(1, -(-(high - low) // SAMPLE)))]
    quads = [quad_of(key, "posg") for key in keys if keys_are_quads([key], "posg")]
    return [(s, o) for s, _, o, _ in quads]


__all__ = ["NUMERIC", "TEMPORAL", "Kind", "Property", "Schema", "Schemas", "edge_value", "mine", "sample"]
