"""Paths through trees, as transactions show them: found in pages and written as bytes; `walk` reads them again.

Only what the way itself needs is looked at, so that a way through a malformed tree is found too. Pages that cannot be
in a path raise `PageError`; what `Pages` raises besides comes through.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from dkg.checkpoints.shown import children_of, entries_of, stem, summary_of
from dkg.errors import PageError
from dkg.limits import SEGMENTS_MAX, SHOW_MAX
from dkg.page import CID_PREFIX, ORDERS, Inner, Leaf, cid_text
from dkg.scan import LAST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from dkg.page import Page
    from dkg.pages import Pages

SEGMENT_RAW: Final = 0
"""First byte of a segment with a page's bytes."""
SEGMENT_OPENED: Final = 1
"""First byte of a segment with a page's summary, and all its separator hashes."""
SEGMENT_SUMMARY: Final = 2
"""First byte of a segment with an inner page's summary alone."""


@dataclass(frozen=True, slots=True)
class Step:
    """A page on the way, its bytes, and which of its entries is meant."""

    page: Page
    raw: bytes
    at: int

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the page, 32 bytes."""
        return sha256(self.raw).digest()

    def encode(self, kind: int) -> bytes:
        """The segment of one of the three kinds."""
        body = self.raw if kind == SEGMENT_RAW else summary_of(self.page, opened=kind == SEGMENT_OPENED)
        return bytes([kind, self.at]) + len(body).to_bytes(2) + body


@dataclass(frozen=True, slots=True)
class Way:
    """The steps of a path: a dataset root, then pages of one tree from its top."""

    steps: tuple[Step, ...]

    def encode(self, summarised: AbstractSet[bytes] = frozenset()) -> bytes:
        """The path, with summaries of the pages with these digests, which the contract must have been shown."""
        needed = self._needed()
        return b"".join(
            step.encode(
                SEGMENT_RAW
                if step.digest not in summarised
                else SEGMENT_OPENED
                if number in needed or not isinstance(step.page, Inner)
                else SEGMENT_SUMMARY
            )
            for number, step in enumerate(self.steps)
        )

    def _needed(self) -> set[int]:
        """The steps whose separators a check may look at: the last one, and those with the bounds of its page."""
        lower = upper = last = len(self.steps) - 1
        for number, step in enumerate(self.steps[:-1]):
            if isinstance(step.page, Inner):
                lower = number if step.at else lower
                upper = number if step.at < len(step.page.separators) else upper
        return {lower, upper, last}

    @property
    def bounds(self) -> tuple[bytes, bytes]:
        """Stems of the lower and the upper bound of the last step's page; empty where there is none."""
        return _bounds(self.steps[:-1])


@dataclass(frozen=True, slots=True)
class Place(Way):
    """Where a key is or would be in a tree. Neither `member` nor `hidden`: it is absent."""

    key: bytes
    member: bool
    hidden: bool
    """Whether the way ends before a long page: the child that the last step names, or the root if there is none."""
    before: bytes
    """Stem of the neighbour or bound below an absent key, of the bound below a hidden one; empty if there is none."""
    after: bytes
    """The same above."""

    @property
    def at(self) -> int:
        """Which entry the last step means."""
        return self.steps[-1].at


def _bounds(steps: Sequence[Step]) -> tuple[bytes, bytes]:
    lower = upper = b""
    for step in steps:
        if isinstance(step.page, Inner):
            separators = step.page.separators
            lower = separators[step.at - 1] if step.at else lower
            upper = separators[step.at] if step.at < len(separators) else upper
    return stem(lower), stem(upper)


def _read(pages: Pages, cid: bytes, depth: int) -> tuple[Page, bytes]:
    """A page of the kind that is due, and its bytes. A long one is given too."""
    if depth >= SEGMENTS_MAX:
        raise PageError(f"the way to page {cid_text(cid)} is longer than the {SEGMENTS_MAX} pages of a path")
    page = pages.node(cid) if depth else pages.root(cid)
    entries = entries_of(page)
    if entries and entries[-1] >= LAST:
        raise PageError(f"page {cid_text(cid)} has keys beyond those that quads can have")
    return page, page.encode()


def path(pages: Pages, root: bytes, tree: int, key: bytes) -> Place:
    """Where a key is or would be in tree `tree` (of `ORDERS`) of the dataset with the root CID `root`."""
    steps: list[Step] = []
    cid = root
    while True:
        page, raw = _read(pages, cid, len(steps))
        if len(raw) > SHOW_MAX:
            return Place(tuple(steps), key, False, True, *_bounds(steps))  # noqa: FBT003 - the fields' order
        if isinstance(page, Leaf):
            return _at_leaf(steps, page, raw, key)
        at = bisect_right(page.separators, key) if isinstance(page, Inner) else tree
        steps.append(Step(page, raw, at))
        cid = children_of(page)[at]


def _at_leaf(steps: list[Step], leaf: Leaf, raw: bytes, key: bytes) -> Place:
    keys = leaf.keys
    at = bisect_left(keys, key)
    way = (*steps, Step(leaf, raw, at))
    if at < len(keys) and keys[at] == key:
        return Place(way, key, member=True, hidden=False, before=b"", after=b"")
    lower, upper = _bounds(steps)
    before = stem(keys[at - 1]) if at else lower
    after = stem(keys[at]) if at < len(keys) else upper
    return Place(way, key, member=False, hidden=False, before=before, after=after)


def follow(pages: Pages, root: bytes, indexes: Sequence[int]) -> Way:
    """The path of as many steps as there are indexes: the first is the tree, each next one the child or entry meant.

    The page that the last one names, if it names one, is not read: it may be missing, malformed or long.
    """
    steps: list[Step] = []
    cid = root
    for at in indexes:
        page, raw = _read(pages, cid, len(steps))
        if len(raw) > SHOW_MAX:
            raise PageError(f"page {cid_text(cid)} is long: no path leads through it")
        steps.append(Step(page, raw, at))
        children = children_of(page)
        cid = children[at] if at < len(children) else b""
    return Way(tuple(steps))


def way_to(pages: Pages, root: bytes, digest: bytes) -> Way | None:
    """A path that names the page with this digest, found by reading the trees in order; None if there is none."""
    wanted = CID_PREFIX + digest
    if wanted == root:
        return Way(())
    pending = [[tree] for tree in reversed(range(len(ORDERS)))]
    seen: set[bytes] = set()
    while pending:
        indexes = pending.pop()
        way = follow(pages, root, indexes)
        cid = children_of(way.steps[-1].page)[indexes[-1]]
        if cid == wanted:
            return way
        if cid in seen:
            continue
        seen.add(cid)
        page, raw = _read(pages, cid, len(indexes))
        if len(raw) <= SHOW_MAX:
            pending += [[*indexes, at] for at in reversed(range(len(children_of(page))))]
    return None
