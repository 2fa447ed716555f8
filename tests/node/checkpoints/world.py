"""Publishers, what they committed, and checkpoints that are right or wrong; and a naive reading of both.

Nothing here is shared with `node.checkpoints`: trees are read whole, page by page, and keys are sorted in memory.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg.build import build_tree
from dkg.chain.checkpoints import Checkpoint, Mark, Reason, Status
from dkg.chain.commit import Domain
from dkg.chain.log import RegistryLog
from dkg.checkpoints.shown import Kind, classify, entries_of, stem
from dkg.checkpoints.view import LogView
from dkg.cut import FORMAT_1, Shape
from dkg.page import CID_PREFIX, ORDERS, DatasetRoot, Inner, Leaf, cid_of, decode
from dkg.pages import MemoryPageStore, PageSink
from node.checkpoints.find import Subject
from tests.dkg.chain.events import Model, block
from tests.node.storage.data import CHAIN_ID, REGISTRY, publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dkg.chain.registry import Committed

DOMAIN = Domain(CHAIN_ID, REGISTRY)
SHAPES = [FORMAT_1, Shape(3, 2), Shape(7, 3), Shape(40, 8)]


def keys_of(who: int, count: int, seed: int = 0) -> set[bytes]:
    """Keys of spog that are a publisher's; some are no quads in normal form."""
    chance = random.Random(f"{who} {seed}")
    graph = b"<" + publisher(who).prefix.encode()
    odd = [b"\x02q\x12 ", b"\n", b"\xfe\xfe0\n\xff", b"<", b'"x"', b"\x13\x01", b"\x10" + b"\xff" * 9 + b'"1"']
    made: set[bytes] = set()
    while len(made) < count:
        parts = [b"<http://example.org/%d>" % chance.randrange(60) for _ in range(3)]
        if chance.random() < 0.3:
            parts[chance.randrange(3)] = chance.choice(odd) + b"%d" % chance.randrange(9)
        made.add(b"\0".join([*parts, graph + b"a%d" % chance.randrange(3), b""]))
    return made


def moved(key: bytes, order: str) -> bytes:
    """The key of the same components in another order."""
    parts = dict(zip("spog", key.split(b"\0"), strict=False))
    return b"".join(parts[place] + b"\0" for place in order)


def tree(store: MemoryPageStore, keys: Iterable[bytes], shape: Shape = FORMAT_1) -> bytes:
    """The tree of some keys."""
    sink = PageSink(store)
    made, _ = build_tree([sorted(keys)], sink, shape)
    sink.flush()
    return made


def dataset(store: MemoryPageStore, trees: list[bytes], count: int) -> bytes:
    """The page of a dataset."""
    sink = PageSink(store)
    made = sink.add(DatasetRoot(trees, count))
    sink.flush()
    return made


def whole(store: MemoryPageStore, keys: set[bytes], shape: Shape = FORMAT_1) -> bytes:
    """A dataset of keys of spog that have the shape of quads."""
    return dataset(store, [tree(store, {moved(key, order) for key in keys}, shape) for order in ORDERS], len(keys))


@dataclass
class World:
    """A log with commits, marks, and the pages of everything."""

    store: MemoryPageStore = field(default_factory=MemoryPageStore)
    log: RegistryLog = field(default_factory=RegistryLog)
    marked: dict[int, Mark] = field(default_factory=dict)
    model: Model = field(default_factory=Model)

    def commit(self, who: int, root: bytes) -> Committed:
        """A publisher commits a dataset."""
        at = block((self.log.tip.number if self.log.tip else 0) + 1)
        event = self.model.commit(publisher(who).address, root.removeprefix(CID_PREFIX), at)
        self.log.apply(at, [event])
        return event

    def mark(self, position: int) -> None:
        """Mark a commit."""
        self.marked[position] = Mark(len(self.marked) + 1, position, Reason.MALFORMED)

    def checkpoint(self, root: bytes) -> Checkpoint:
        """A checkpoint of all there is."""
        position, marks = len(self.log.entries), len(self.marked)
        digest = root.removeprefix(CID_PREFIX)
        return Checkpoint(1, bytes(20), position, marks, digest, Status.PENDING, 0, 1, 0, 0)

    def subject(self, root: bytes) -> Subject:
        """What `find` is asked about."""
        return Subject(DOMAIN, self.log, self.marked, self.checkpoint(root))

    def view(self, root: bytes, shown: Iterable[bytes] = ()) -> LogView:
        """What the contract sees, when these pages have been shown to it."""
        words = {cid_of(raw).removeprefix(CID_PREFIX): classify(raw).word for raw in shown}
        return LogView(DOMAIN, self.log, self.marked, {1: self.checkpoint(root)}, words)


# --- a naive reading ------------------------------------------------------------------------------------------------


class MalformedTreeError(Exception):
    """A tree has a fault."""


def read(get: Callable[[bytes], bytes | None], root: bytes, index: int, *, long_ok: bool) -> list[bytes]:
    """All keys of a tree of a dataset that are not behind long pages. Raises `MalformedTreeError`."""
    page = _page(get(root))
    if not isinstance(page, DatasetRoot):
        raise MalformedTreeError("root")
    found: list[bytes] = []

    def go(cid: bytes, said: int, low: bytes, high: bytes, number: int) -> None:
        raw = get(cid)
        assert raw is not None
        if classify(raw).kind is Kind.LONG and long_ok:
            return
        node = _page(raw)
        if node is None or isinstance(node, DatasetRoot) or number > 32 or node.count != said:
            raise MalformedTreeError("page, depth or count")
        for one in entries_of(node):
            entry = stem(one)
            known = len(entry) < 769
            inner = isinstance(node, Inner)
            if entry < low or entry > high or (known and (entry == high or (inner and entry == low))):
                raise MalformedTreeError("bounds")
        if isinstance(node, Leaf):
            found.extend(node.keys)
            return
        bounds = [low, *map(stem, node.separators), high]
        for at, child in enumerate(node.children):
            go(child, node.counts[at], bounds[at], bounds[at + 1], number + 1)

    go(page.trees[index], page.count, b"", b"\xff", 1)
    return found


def _page(raw: bytes | None) -> Leaf | Inner | DatasetRoot | None:
    assert raw is not None
    return decode(cid_of(raw), raw) if classify(raw).kind is Kind.WELL_FORMED else None


def is_right(get: Callable[[bytes], bytes | None], root: bytes, expected: set[bytes]) -> bool:
    """Whether a root is that of a union of these keys of spog, in any pages."""
    try:
        trees = [read(get, root, at, long_ok=False) for at in range(4)]
    except MalformedTreeError:
        return False
    wanted = [sorted(moved(key, order) for key in expected) for order in ORDERS]
    return [sorted(one) for one in trees] == wanted
