"""What is wrong with a checkpoint, or with what a publisher committed; as evidence that the contract accepts.

`find` compares a proposed root with ours by what differs (`node.checkpoints.walk`) and finds every wrong one: faults of
its trees, keys that are missing or do not count, trees that contradict each other. `find_invalid` finds the first fault
of a commit's spog. Where a page that is needed is given by nobody, both say which: it can be demanded. Neither fetches
anything itself: see `Asking`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dkg.checkpoints.evidence import Case, extra, fault, index, invalid, missing
from dkg.checkpoints.judge import NOBODY, Extra, Index
from dkg.checkpoints.owners import has_shape, owner_of, owner_of_graph, permute
from dkg.checkpoints.paths import follow
from dkg.checkpoints.shown import Kind, children_of, classify, stem
from dkg.checkpoints.walk import FaultKind
from dkg.errors import MissingPageError, PageError
from dkg.limits import SHOW_MAX
from dkg.page import CID_PREFIX, ORDERS, DatasetRoot, Inner, Leaf, cid_text, decode
from dkg.pages import Pages
from node.checkpoints.walk import (
    UNKNOWN_MAX,
    Asking,
    Broken,
    Differs,
    Walk,
    Withheld,
    descended,
    followed,
    root_page,
    shown_as,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dkg.chain.checkpoints import Checkpoint, Mark
    from dkg.chain.commit import Domain
    from dkg.chain.log import RegistryLog
    from dkg.chain.registry import Committed
    from dkg.checkpoints.judge import Evidence
    from dkg.checkpoints.paths import Way
    from dkg.page import Page

_SPOG = 0


@dataclass(frozen=True, slots=True)
class Subject:
    """A checkpoint, and the logs that it is about."""

    domain: Domain
    log: RegistryLog
    marked: Mapping[int, Mark]
    """By position, all that there are."""
    checkpoint: Checkpoint
    shown: Mapping[bytes, int] = field(default_factory=dict)
    """What the contract was shown of pages, by digest."""
    unknown: frozenset[bytes] = frozenset()
    """Publishers of whom it is not known here what counts. Of their keys in the checkpoint nothing is said."""
    demanded: frozenset[bytes] = frozenset()
    """Digests of pages that are demanded already, or were: another one is named where there is one."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """Evidence, from whole pages. `first`: pages that are shown before: too long to be in it, or of no bytes at all."""

    evidence: Evidence
    first: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Demand:
    """A page that nobody gives: what the last step of a way names, or the dataset root if it has none."""

    way: Way

    @property
    def named(self) -> bytes:
        """The CID of the page; empty for the dataset root."""
        last = self.way.steps[-1] if self.way.steps else None
        return b"" if last is None else children_of(last.page)[last.at]


@dataclass(frozen=True, slots=True)
class Right:
    """Nothing is wrong. Of a commit: how many keys of its spog are short and shown, and how many are not."""

    short: int = 0
    others: int = 0


Found = Wrong | Demand | Right


class GivenPages(Pages):
    """Pages from a function, for paths. A long page is whatever its bytes are: it has no entries, and is its bytes.

    `shown`: what the contract was shown of pages, by digest; of a long one that is enough.
    """

    def __init__(self, get: Callable[[bytes], bytes | None], shown: Mapping[bytes, int]) -> None:
        self._get = get
        self._shown = shown

    def page(self, cid: bytes) -> Page:
        """See `Pages.page`."""
        raw = self._get(cid)
        if raw is None and shown_as(self._shown, cid) is Kind.LONG:
            return _LongPage(bytes(SHOW_MAX + 1))
        if raw is None:
            raise MissingPageError(f"page {cid_text(cid)} is not here")
        return _LongPage(raw) if len(raw) > SHOW_MAX else decode(cid, raw)

    def root(self, cid: bytes) -> DatasetRoot:
        """See `Pages.root`. A long page is one too."""
        page = self.page(cid)
        if not isinstance(page, DatasetRoot):
            raise PageError(f"page {cid_text(cid)} is not a dataset root")
        return page

    def node(self, cid: bytes) -> Leaf | Inner:
        """See `Pages.node`. A long page is one too."""
        page = self.page(cid)
        if type(page) is DatasetRoot:
            raise PageError(f"page {cid_text(cid)} is a dataset root where a page of a tree belongs")
        return page  # type: ignore[return-value]  # a long page has what is asked of any page


class _LongPage(DatasetRoot):
    """A page that is too long to be looked at."""

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        super().__init__([], 0)
        self.raw = raw

    def encode(self) -> bytes:
        """Its bytes."""
        return self.raw


def find(subject: Subject, ours: Pages, ours_root: bytes) -> Asking[Found]:
    """The first thing that is wrong with a checkpoint; or a page that nobody gives, if nothing else is wrong.

    `ours_root`: the union at the checkpoint's position and marks, all of whose pages are in `ours`. Pages of commits
    are asked for as those of the checkpoint are. Raises `PageError` if what is given of a commit that counts is not
    what made the union.
    """
    root = CID_PREFIX + subject.checkpoint.root
    if root == ours_root:
        return Right()
    page = yield from root_page(root, subject.shown)
    if not isinstance(page, DatasetRoot):
        return (yield from _shown(subject, page))
    unknown: set[bytes] = set()
    for tree, (their_top, our_top) in enumerate(zip(page.trees, ours.root(ours_root).trees, strict=True)):
        walk = Walk(their_top, page.count, (tree,), long_is_fault=True, shown=subject.shown, ours=(ours, our_top))
        walk.demanded = subject.demanded
        walk.is_unknown = _unknown(subject, tree) if subject.unknown else None
        found = yield from walk.run()
        if isinstance(found, Differs):
            return (yield from (_too_long if found.trail else _different)(subject, tree, found))
        if found is not None or walk.withheld is not None:
            return (yield from _shown(subject, found or walk.withheld))
        unknown = walk.unknown if tree == _SPOG else unknown  # the other trees must have the same
        if max(len(unknown), len(walk.unknown)) > UNKNOWN_MAX:
            continue
        differ = walk.unknown ^ {permute(key, ORDERS[_SPOG], ORDERS[tree]) for key in unknown}
        if differ:
            key = min(differ)
            return (yield from _contradiction(subject, tree, Differs(key, is_ours=key not in walk.unknown)))
    return Right()


def _unknown(subject: Subject, tree: int) -> Callable[[bytes], bool]:
    """Whether a key of a tree is of a publisher of whom it is not known what counts."""
    place = ORDERS[tree].index("g")

    def is_unknown(key: bytes) -> bool:
        return has_shape(key) and owner_of_graph(key.split(b"\0")[place], subject.domain) in subject.unknown

    return is_unknown


def _shown(subject: Subject, found: Broken | Withheld | None) -> Asking[Found]:
    """A fault of the checkpoint as evidence, or a page as a demand."""
    if found is None:
        return Right()
    root = CID_PREFIX + subject.checkpoint.root
    way = follow(GivenPages((yield from followed(root, found.trail)).get, subject.shown), root, found.trail)
    if isinstance(found, Withheld):
        return Demand(way)
    page, first = _page_and_first(found)
    return Wrong(fault(subject.checkpoint, found.fault, way, page), first)


def _page_and_first(found: Broken) -> tuple[bytes, tuple[bytes, ...]]:
    """The bytes of a page that are given as evidence of a fault, and what is to be shown before."""
    if found.page is None or (found.fault is FaultKind.PAGE and not 0 < len(found.page) <= SHOW_MAX):
        return b"", () if found.page is None else (found.page,)
    return found.page, ()


def _too_long(subject: Subject, tree: int, found: Differs) -> Asking[Found]:
    """A key that is not short, as evidence."""
    root = CID_PREFIX + subject.checkpoint.root
    way = follow(GivenPages((yield from followed(root, found.trail)).get, subject.shown), root, found.trail)
    made, key = subject.checkpoint.id, stem(found.key)
    if tree == _SPOG:
        return Wrong(Extra(made, key, way.encode(), NOBODY, (), b"", b"", b""))
    return Wrong(Index(made, key, way.encode(), _SPOG, b"", b"", b""))


def _different(subject: Subject, tree: int, found: Differs) -> Asking[Found]:
    """A key that only one of the unions has, as evidence."""
    root = CID_PREFIX + subject.checkpoint.root
    key, pages, long = found.key, dict[bytes, bytes](), list[bytes]()
    if tree != _SPOG:
        return (yield from _contradiction(subject, tree, found))
    pages |= yield from descended(root, _SPOG, key)
    case = _case(subject, pages)
    owner = owner_of(key, subject.domain)
    _, counts = (None, None) if owner is None else case.claim(owner)
    if counts is not None:
        own = yield from descended(counts, _SPOG, key)
        pages |= own
        long += [raw for raw in own.values() if classify(raw).kind is Kind.LONG]
    return Wrong(missing(case, key) if found.is_ours else extra(case, key), tuple(long))


def _contradiction(subject: Subject, tree: int, found: Differs) -> Asking[Found]:
    """A key that a tree has and should not have, or the other way round, where spog is right."""
    root = CID_PREFIX + subject.checkpoint.root
    key, pages = found.key, dict[bytes, bytes]()
    pages |= yield from descended(root, tree, key)
    if has_shape(key):
        in_spog = permute(key, ORDERS[tree], ORDERS[_SPOG])
        pages |= yield from descended(root, _SPOG, in_spog)
        if found.is_ours:
            return Wrong(index(_case(subject, pages), in_spog, _SPOG, tree))
    return Wrong(index(_case(subject, pages), key, tree, _SPOG))


def _case(subject: Subject, pages: dict[bytes, bytes]) -> Case:
    """`pages`: those on the ways that are needed; more may be put in."""
    given = GivenPages(pages.get, subject.shown)
    return Case(subject.domain, subject.log, subject.marked, subject.checkpoint, given, given)


def find_invalid(committed: Committed, shown: Mapping[bytes, int]) -> Asking[Found]:
    """The first fault in the spog of a commit; or a page of it that nobody gives, if nothing is wrong with the rest.

    `shown`: what the contract was shown of pages, by digest.
    """
    root = CID_PREFIX + committed.commit.root
    page = yield from root_page(root, shown)
    found: Broken | Withheld | Differs | None = None
    right = Right()
    if isinstance(page, DatasetRoot):
        walk = Walk(page.trees[_SPOG], page.count, (_SPOG,), long_is_fault=False, shown=shown)
        found = (yield from walk.run()) or walk.withheld
        right = Right(walk.covered, walk.uncovered)
    else:
        found = page
    if found is None or isinstance(found, Differs):
        return right
    way = follow(GivenPages((yield from followed(root, found.trail)).get, shown), root, found.trail)
    if isinstance(found, Withheld):
        return Demand(way)
    page_shown, first = _page_and_first(found)
    return Wrong(invalid(committed, found.fault, way, page_shown), first)
