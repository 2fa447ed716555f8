"""Worlds for tests of checkpoints: publishers, their commits and marks, right unions and wrong trees."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from dkg.build import build_tree
from dkg.chain.checkpoints import Checkpoint, Mark, Reason, Status
from dkg.chain.commit import Domain
from dkg.chain.log import RegistryLog
from dkg.chain.secp import keccak256
from dkg.checkpoints.evidence import Case
from dkg.checkpoints.owners import owner_of, permute, prefix_of
from dkg.checkpoints.records import counting_commit, marked_among
from dkg.checkpoints.shown import classify
from dkg.checkpoints.view import LogView
from dkg.page import CID_PREFIX, ORDERS, DatasetRoot, Inner, cid_of
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from tests.dkg.chain.events import Model, address, block

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dkg.chain.registry import Committed
    from dkg.page import Page

DOMAIN = Domain(31337, keccak256(b"registry")[:20])
PUBLISHERS = [address(number) for number in range(3)]
STRANGER = address(9)


def key(publisher: bytes, number: int, text: str = "") -> bytes:
    """A key of spog that is a publisher's, and short if the text is."""
    graph = prefix_of(DOMAIN, publisher) + b"a>"
    return b'<urn:s%04d>\0<urn:p%d>\0"%b"\0%b\0' % (number, number % 3, text.encode(), graph)


def put(store: MemoryPageStore, page: Page | bytes) -> bytes:
    """Keep a page, or bytes as if they were one; gives the CID."""
    raw = page if isinstance(page, bytes) else page.encode()
    cid = cid_of(raw)
    store.pages[cid] = raw
    return cid


def tree(store: MemoryPageStore, keys: Iterable[bytes]) -> bytes:
    """Build a tree; gives its top page's CID."""
    sink = PageSink(store)
    top, _ = build_tree([sorted(keys)], sink)
    sink.flush()
    return top


def dataset(store: MemoryPageStore, keys: Iterable[bytes], other: Mapping[int, bytes] | None = None) -> bytes:
    """Build the dataset of keys of spog with the shape of quads, with other trees in some places; gives its root."""
    distinct = set(keys)
    tops = [tree(store, {permute(one, "spog", order) for one in distinct}) for order in ORDERS]
    for at, top in (other or {}).items():
        tops[at] = top
    return put(store, DatasetRoot(tops, len(distinct)))


def spog_only(store: MemoryPageStore, top: bytes, count: int) -> bytes:
    """A dataset root with one tree four times; gives its CID."""
    return put(store, DatasetRoot([top] * 4, count))


def deep(store: MemoryPageStore, top: bytes, count: int, levels: int) -> bytes:
    """So many inner pages of one child above a page; gives the CID of the highest."""
    for _ in range(levels):
        top = put(store, Inner([top], [], [count]))
    return top


class World:
    """A registry with commits, marks and checkpoints, and a store with all pages."""

    def __init__(self) -> None:
        self.store = MemoryPageStore()
        self.pages = StoredPages(self.store)
        self.log = RegistryLog()
        self.marked: dict[int, Mark] = {}
        self.checkpoints: dict[int, Checkpoint] = {}
        self.shown: dict[bytes, bytes] = {}
        self.keys: dict[bytes, set[bytes]] = {}
        """What was committed, by root."""
        self._model = Model()

    def commit(self, publisher: bytes, keys: Iterable[bytes] = (), root: bytes | None = None) -> Committed:
        """Commit a dataset of keys, or the dataset with a root CID."""
        made = set(keys)
        root = dataset(self.store, made) if root is None else root
        self.keys.setdefault(root, made)
        at = block(len(self.log.entries) + 1)
        event = self._model.commit(publisher, root[len(CID_PREFIX) :], at)
        self.log.apply(at, [event])
        return event

    def mark(self, position: int) -> Mark:
        """Mark a commit."""
        mark = Mark(len(self.marked) + 1, position, Reason.MALFORMED)
        self.marked[position] = mark
        return mark

    def show(self, raw: bytes) -> bytes:
        """What the contract keeps when a page is shown; gives the digest."""
        digest = sha256(raw).digest()
        self.shown[digest] = classify(raw).word
        return digest

    def union(self, position: int, marks: int) -> set[bytes]:
        """The keys of the union, found the simple way."""
        marked = marked_among(self.marked, marks)
        found: set[bytes] = set()
        for publisher in self.log.publishers:
            commit = counting_commit(self.log, publisher, position, marked)
            keys = self.keys[CID_PREFIX + commit.commit.root] if commit else set()
            found |= {one for one in keys if owner_of(one, DOMAIN) == publisher}
        return found

    def propose(self, root: bytes, position: int | None = None, marks: int | None = None) -> Checkpoint:
        """A pending checkpoint with a root CID."""
        position = len(self.log.entries) if position is None else position
        marks = len(self.marked) if marks is None else marks
        number = len(self.checkpoints) + 1
        digest = root[len(CID_PREFIX) :]
        made = Checkpoint(number, STRANGER, position, marks, digest, Status.PENDING, 0, 0, 0, 0)
        self.checkpoints[number] = made
        return made

    def case(self, checkpoint: Checkpoint) -> Case:
        """What evidence against a checkpoint is made from."""
        return Case(DOMAIN, self.log, self.marked, checkpoint, self.pages, self.pages)

    @property
    def view(self) -> LogView:
        """What the judge reads."""
        return LogView(DOMAIN, self.log, self.marked, self.checkpoints, self.shown)
