"""Two trees side by side: a proposed one, of which nothing is known, against one of ours; and a proposed one alone.

What both have at the same place is skipped, so that the work hangs on what differs. Nothing is fetched here: what a
walk needs it yields, as lists of CIDs, and is sent back the pages that somebody gives (`Asking`, `driven`).

Keys and separators are compared by their stems, as the contract does, so that what is found here can be shown to it.
Every leaf has a key at least, pages hold each other by their hashes, and no tree is deeper than 32 levels: a walk ends,
and it ends at the first thing that is wrong.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from dkg.checkpoints.shown import Kind, children_of, classify, entries_of, stem
from dkg.checkpoints.walk import FaultKind
from dkg.cut import LEVELS_MAX
from dkg.errors import MissingPageError
from dkg.limits import KEY_MAX, STEM_BYTES
from dkg.page import CID_PREFIX, DatasetRoot, Inner, Leaf, cid_text, decode
from dkg.scan import LAST

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from dkg.page import Page
    from dkg.pages import Pages

Given = TypeVar("Given")

Asking = Generator[list[bytes], Mapping[bytes, bytes], Given]
"""Yields CIDs; is sent the bytes of those pages that somebody gives, which hash to them; returns what it found."""

Trail = tuple[int, ...]
"""A path from a dataset root down: which tree, then which child of each page (`dkg.checkpoints.paths.follow`)."""

UNKNOWN_MAX: Final = 100_000
"""Most keys that are remembered of publishers of whom it is not known what counts: some 80 MB at most. Where there are
more, trees are not compared by them: whoever withholds its data could have any number of them proposed."""

AHEAD: Final = 8
"""Most pages that are asked for at a time: the one that is needed, and those that come next if all goes well."""


def driven(asking: Asking[Given], get: Callable[[bytes], bytes | None]) -> Given:
    """What a walk finds, with pages from a function. Raises what the function and the walk raise."""
    pages: dict[bytes, bytes] = {}
    try:
        wanted = next(asking)
        while True:
            pages = {cid: raw for cid in wanted if (raw := get(cid)) is not None}
            wanted = asking.send(pages)
    except StopIteration as done:
        found: Given = done.value
        return found


@dataclass(frozen=True, slots=True)
class Broken:
    """A fault of a tree. `trail`: the path; for a fault of a page, `page` is what its last step names.

    `page`: None if that was shown to the contract before, and nobody gives it.
    """

    fault: FaultKind
    trail: Trail
    page: bytes | None = b""


@dataclass(frozen=True, slots=True)
class Withheld:
    """A page that nobody gives: what the last step of a trail names, or the dataset root if that is empty."""

    trail: Trail


@dataclass(frozen=True, slots=True)
class Differs:
    """A key that only one of the trees has. `is_ours`: whether it is ours; then theirs lacks it.

    `trail`: to a key that is long, of which nobody knows where it belongs; else the key says where it is.
    """

    key: bytes
    is_ours: bool
    trail: Trail = ()


class _Part(NamedTuple):
    """A page still to be looked at, or (without `cid`) what is left of a leaf. Its keys are from `low` to `high`.

    `trail`: to it, of the proposed tree. `number`: which page of its tree it is on the way down, from 1.
    `said`: how many keys it is said to have.
    """

    cid: bytes
    said: int
    low: bytes
    high: bytes
    number: int
    trail: Trail = ()
    keys: tuple[bytes, ...] = ()


def root_page(cid: bytes, shown: Mapping[bytes, int]) -> Asking[DatasetRoot | Broken | Withheld]:
    """The page of a dataset, or what is wrong with it. `shown`: see `Walk`."""
    given = yield [cid]
    raw = given.get(cid)
    if raw is None:
        return Broken(FaultKind.PAGE, (), None) if shown_as(shown, cid) else Withheld(())
    if classify(raw).kind is Kind.WELL_FORMED:
        page = decode(cid, raw)
        if isinstance(page, DatasetRoot):
            return page
    return Broken(FaultKind.PAGE, (), raw)


def shown_as(shown: Mapping[bytes, int], cid: bytes) -> Kind | None:
    """What the contract was shown of a page that nobody gives, if that is all there is to know of it."""
    kind = shown.get(cid.removeprefix(CID_PREFIX))
    return Kind(kind) if kind in {Kind.MALFORMED, Kind.LONG} else None


@dataclass(slots=True)
class Walk:
    """One of the trees of a proposed dataset, against a tree of ours if there is one.

    `trail`: which of the dataset's trees. `count`: what its root says that the tree has. `long_is_fault`: whether
    long pages and long keys are wrong, as in checkpoints, or only not covered, as in what publishers commit. `shown`:
    what the contract was shown of pages, by digest: nobody needs the bytes of a malformed or long one (section 12).
    """

    tree: bytes
    count: int
    trail: Trail
    long_is_fault: bool
    shown: Mapping[bytes, int]
    ours: tuple[Pages, bytes] | None = None
    """Pages, and the top page of a tree that is well-formed, cut by the rules, and whole there."""
    withheld: Withheld | None = None
    """The first page that nobody gave, of those not demanded if there is one. Below such pages nothing is looked at."""
    demanded: Container[bytes] = frozenset()
    """Digests of pages that somebody has demanded already."""
    covered: int = 0
    """Keys seen that are short, where nothing was skipped."""
    uncovered: int = 0
    """Keys that are long or behind long pages."""
    is_unknown: Callable[[bytes], bool] | None = None
    """Of which keys, that only the proposed tree has, nobody here knows whether they count; these do not differ."""
    unknown: set[bytes] = field(default_factory=set)
    """Those that were seen."""
    _is_new: bool = False
    _theirs: list[_Part] = field(default_factory=list)
    _ours: list[_Part] = field(default_factory=list)
    _ahead: dict[bytes, bytes] = field(default_factory=dict)
    _narrow: set[tuple[bytes, bytes, int, int]] = field(default_factory=set)
    """Pages seen between bounds that are one stem: page, bound, count, number. Only there can a tree without faults
    have a page at many places, as its keys are long and have one stem: 8^20 places for 21 pages."""

    def run(self) -> Asking[Broken | Differs | None]:
        """The first thing that is wrong, from the lowest key on."""
        self._theirs = [_Part(self.tree, self.count, b"", LAST, 1, self.trail)]
        if self.ours is not None:
            top = self.ours[0].node(self.ours[1])
            self._ours = [_Part(self.ours[1], top.count, b"", LAST, 1)]
        while self._theirs:
            theirs = self._theirs[-1]
            mine = self._ours[-1] if self._ours else None
            if mine is not None and theirs.cid and mine.cid == theirs.cid:
                found: Broken | Differs | None = self._shared(mine, theirs)
            elif theirs.cid and (mine is None or not mine.cid or theirs.said >= mine.said):
                found = yield from self._open(theirs)
            elif mine is not None and mine.cid:
                self._open_ours()
                continue
            else:
                found = self._compared(theirs, mine)
            if found is not None:
                return found
        return None

    # --- what both have ----------------------------------------------------------------------------------------------

    def _shared(self, mine: _Part, theirs: _Part) -> Broken | None:
        """Go past what both have. It is well-formed; whether it is at a place where it may be, its edges tell."""
        if theirs.said != mine.said:
            return Broken(FaultKind.COUNT, (*theirs.trail, 0))
        if (theirs.low, theirs.high, theirs.number) != (mine.low, mine.high, mine.number):
            broken = self._edge(theirs, -1) or self._edge(theirs, 0)
            if broken is not None:
                return broken
        self._theirs.pop()
        self._ours.pop()
        stop = min(mine.high, theirs.high)
        for stack, part in ((self._ours, mine), (self._theirs, theirs)):
            if part.high > stop:
                stack.append(part._replace(cid=b"", said=0, low=stop, keys=()))
        return None

    def _edge(self, part: _Part, at: int) -> Broken | None:
        """The first (`at` 0) or the last (-1) pages and entries below a part that both have, against its bounds."""
        cid, trail = part.cid, part.trail
        pages = self.ours[0] if self.ours is not None else None
        while pages is not None:
            page = pages.node(cid)
            entries = entries_of(page)
            here = at % len(entries) if entries else 0
            if len(trail) > LEVELS_MAX:
                return Broken(FaultKind.DEPTH, (*trail, 0))
            if entries and _is_outside(entries[here], part.low, part.high, is_leaf=isinstance(page, Leaf)):
                return Broken(FaultKind.BOUNDS, (*trail, here))
            if not isinstance(page, Inner):
                break
            child = at % len(page.children)
            trail, cid = (*trail, child), page.children[child]
        return None

    # --- pages of the proposed tree ----------------------------------------------------------------------------------

    def _open(self, part: _Part) -> Asking[Broken | Differs | None]:
        """Look at the next page of the proposed tree, and put what is in it in its place."""
        if part.low == part.high:
            place = part.cid, part.low, part.said, part.number
            if place in self._narrow:
                self.uncovered += part.said
                self._skip(part)
                return None
            self._narrow.add(place)
        raw = yield from self._page(part)
        told = shown_as(self.shown, part.cid) if raw is None else None
        if raw is None and told is None:
            is_new = part.cid.removeprefix(CID_PREFIX) not in self.demanded
            if self.withheld is None or (is_new and not self._is_new):
                self.withheld, self._is_new = Withheld(part.trail), is_new
            self._skip(part)
            return None
        kind = told if raw is None else classify(raw).kind
        if kind is Kind.LONG and not self.long_is_fault:
            self.uncovered += part.said
            self._skip(part)
            return None
        page = decode(part.cid, raw) if raw is not None and kind is Kind.WELL_FORMED else None
        if page is None or isinstance(page, DatasetRoot):
            return Broken(FaultKind.PAGE, part.trail, raw)
        broken = _wrong(part, page)
        if broken is not None:
            return broken
        self._theirs.pop()
        if isinstance(page, Leaf):
            return self._keys(part, page)
        self._children(part, page)
        return None

    def _page(self, part: _Part) -> Asking[bytes | None]:
        if part.cid not in self._ahead:
            next_ones = [one.cid for one in self._theirs[: -AHEAD - 1 : -1] if one.cid and one.cid not in self._ahead]
            self._ahead |= yield list(dict.fromkeys(next_ones))
        raw = self._ahead.pop(part.cid, None)
        if len(self._ahead) > 2 * AHEAD:  # what was skipped after all
            self._ahead.clear()
        return raw

    def _keys(self, part: _Part, page: Leaf) -> Differs | None:
        short = tuple(key for key in page.keys if len(key) <= KEY_MAX)
        if len(short) < page.count and self.long_is_fault:
            at = next(at for at, key in enumerate(page.keys) if len(key) > KEY_MAX)
            return Differs(page.keys[at], is_ours=False, trail=(*part.trail, at))
        self.covered += len(short)
        self.uncovered += page.count - len(short)
        if self.ours is not None:
            self._theirs.append(part._replace(cid=b"", trail=(), keys=short))
        return None

    def _children(self, part: _Part, page: Inner) -> None:
        bounds = [part.low, *map(stem, page.separators), part.high]
        for at in reversed(range(len(page.children))):
            trail = (*part.trail, at)
            count, number = page.counts[at], part.number + 1
            self._theirs.append(_Part(page.children[at], count, bounds[at], bounds[at + 1], number, trail))

    # --- keys --------------------------------------------------------------------------------------------------------

    def _compared(self, theirs: _Part, mine: _Part | None) -> Differs | None:
        """Compare what is left of two leaves, as far as both go."""
        if mine is None:
            self._theirs.pop()
            return None
        stop = min(theirs.high, mine.high)
        come, gone = _taken(self._theirs, stop), _taken(self._ours, stop)
        if come == gone:
            return None
        only = {*gone} - {*come}
        extra = {*come} - {*gone}
        unknown = set() if self.is_unknown is None else {key for key in extra if self.is_unknown(key)}
        if len(self.unknown) <= UNKNOWN_MAX:
            self.unknown |= unknown
        only |= extra - unknown
        return Differs(min(only), is_ours=min(only) in gone) if only else None

    def _skip(self, part: _Part) -> None:
        """Go past a page of the proposed tree that says nothing, and past what is there in ours."""
        self._theirs.pop()
        while self._ours and self._ours[-1].low < part.high:
            mine = self._ours[-1]
            if mine.high <= part.high:
                self._ours.pop()
            elif mine.cid:
                self._open_ours()
            else:
                _taken(self._ours, part.high)

    def _open_ours(self) -> None:
        part = self._ours.pop()
        if self.ours is None:
            return
        page = self.ours[0].node(part.cid)
        if isinstance(page, Leaf):
            self._ours.append(part._replace(cid=b"", keys=tuple(page.keys)))
            return
        bounds = [part.low, *map(stem, page.separators), part.high]
        for at in reversed(range(len(page.children))):
            child = page.children[at], page.counts[at], bounds[at], bounds[at + 1], part.number + 1
            self._ours.append(_Part(*child))


def _taken(stack: list[_Part], stop: bytes) -> tuple[bytes, ...]:
    """Take from what is left of a leaf the keys below `stop`."""
    part = stack.pop()
    at = bisect_left(part.keys, stop)
    if part.high > stop:
        stack.append(part._replace(low=stop, keys=part.keys[at:]))
        return part.keys[:at]
    return part.keys


def _wrong(part: _Part, page: Leaf | Inner) -> Broken | None:
    """What is wrong with a page at its place."""
    if part.number > LEVELS_MAX:
        return Broken(FaultKind.DEPTH, (*part.trail, 0))
    if page.count != part.said:
        return Broken(FaultKind.COUNT, (*part.trail, 0))
    is_leaf = isinstance(page, Leaf)
    for at, entry in enumerate(entries_of(page)):
        if _is_outside(entry, part.low, part.high, is_leaf=is_leaf):
            return Broken(FaultKind.BOUNDS, (*part.trail, at))
    return None


def _is_outside(entry: bytes, low: bytes, high: bytes, *, is_leaf: bool) -> bool:
    """Whether an entry is where the bounds, which are stems, do not allow it; see "bounds" in section 11."""
    short, found = len(entry) < STEM_BYTES, stem(entry)
    return found < low or found > high or (short and (found == high or (found == low and not is_leaf)))


def descended(root: bytes, tree: int, key: bytes) -> Asking[dict[bytes, bytes]]:
    """The pages on the way to where a key is, or would be, in a dataset; as far as they are given and well-formed."""
    found: dict[bytes, bytes] = {}
    cid = root
    for _ in range(LEVELS_MAX + 2):
        given = yield [cid]
        raw = given.get(cid)
        if raw is None:
            break
        found[cid] = raw
        page: Page | None = decode(cid, raw) if classify(raw).kind is Kind.WELL_FORMED else None
        if isinstance(page, DatasetRoot):
            cid = page.trees[tree]
        elif isinstance(page, Inner):
            cid = page.children[sum(stem(one) <= key for one in page.separators)]
        else:
            break
    return found


def followed(root: bytes, trail: Trail) -> Asking[dict[bytes, bytes]]:
    """The pages of the steps of a trail, which were given before. Raises `MissingPageError` if they are gone."""
    found: dict[bytes, bytes] = {}
    cid = root
    for at in trail:
        given = yield [cid]
        raw = given.get(cid)
        if raw is None:
            raise MissingPageError(f"page {cid_text(cid)} was given before, and is not any more")
        found[cid] = raw
        children = children_of(decode(cid, raw))
        cid = children[at] if at < len(children) else b""
    return found
