"""Adding keys to a tree and removing keys from it, in time proportional to the change.

A level of a tree is a sequence of items: keys at level 0, above it the children with their separators. Each level
is edited on its own, bottom up. By the definition of the cut (`dkg.cut`), whether an item starts a page hangs on
the w - 1 items on either side of it alone. So a changed stretch is read with 2 (w - 1) unchanged items on either
side, cut anew, and the pages that differ are replaced; they are the edits of the level above. The result is the
tree that `dkg.build` makes of the same keys, byte for byte.

Nine changes of ten move no cut, and the leaf itself shows it (`_alone`). Say that a and b are neighbouring cuts and
M the entries between them. Every entry of M has been in a window with a and in one with b when these were its
minimum, so all of M hash above both.

- A key x put among M that hashes above some entry of M, with |M| + 2 <= w after it: a window with x holds a or b, so
  x is no minimum. A cut c with a window around the place of x: that window holds a or b, so c hashes below x, and c
  is still the minimum when x comes in and the window's other end goes out. An entry y that is the minimum of a window
  with x, and was none before: the entries next to that window on either side, l and r, hash below y; the window holds
  a or b, and every old window of that cut holds l or r, of which it would not be the minimum. So the cuts stay.
- A key y of M taken out: windows only lose an entry that is no minimum and gain one. Nothing new is a minimum, and a
  cut c is lost only if its one window was what lies between its neighbouring cuts, which are then w + 1 apart: c is a
  or b, and the two pages beside c have w + 1 entries together.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from dkg.build import Entry, build_tree, page_of
from dkg.cut import FORMAT_1, LEVELS_MAX, Shape, entry_hashes, find_cuts, separator
from dkg.errors import PageError, RdfError
from dkg.level import Level, OldPage
from dkg.page import EMPTY_TREE, Inner, Leaf
from dkg.scan import LAST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.pages import Pages, PageSink


@dataclass(slots=True)
class _Edits:
    """What changes in a level: keys that go, and keys that come or get another value (None in leaves)."""

    gone: set[bytes] = field(default_factory=set)
    put: dict[bytes, Entry | None] = field(default_factory=dict)


@dataclass(slots=True)
class _Zone:
    """A stretch of pages to be cut anew, and the keys in it that come or go."""

    pages: list[OldPage]
    keys: list[bytes]

    def unchanged_right(self) -> int:
        """Items of the last page after the last change."""
        return len(self.pages[-1].keys) - bisect_right(self.pages[-1].keys, self.keys[-1])


class _Alone(NamedTuple):
    """A leaf that changes without moving a cut: what changes, and its keys afterwards."""

    changed: list[bytes]
    keys: list[bytes]


class _Editor:
    """Applies edits to one level; collects the edits of the level above."""

    def __init__(self, old: Level, level: int, edits: _Edits, sink: PageSink, shape: Shape) -> None:
        self._old = old
        self._level = level
        self._edits = edits
        self._sink = sink
        self._window = shape.window(level)
        self._need = max(2, 2 * (self._window - 1))  # unchanged items wanted on either side of a change
        self._alone: dict[bytes, _Alone] = {}  # by the low end of the leaf
        self.above = _Edits()

    def run(self) -> _Edits:
        """Replace what changed, from left to right."""
        changed, valued = self._classify()
        zones = self._zones(changed)
        covered = {page.low for zone in zones for page in zone.pages}
        for page in valued:
            if page.low not in covered:
                self._replace_values(page)
        for zone in zones:
            self._recut(zone)
        for low, alone in self._alone.items():
            leaf = Leaf(alone.keys)
            self.above.put[low] = (low, self._sink.add(leaf), leaf.count)
        return self.above

    def _classify(self) -> tuple[list[bytes], list[OldPage]]:
        """Keys that come or go, and the pages in which children only get another CID or count."""
        gone, keys = self._edits.gone, sorted(self._edits.gone | self._edits.put.keys())
        changed: list[bytes] = []
        valued: list[OldPage] = []
        at = 0
        while at < len(keys):
            page = self._old.at(keys[at])
            stop = bisect_left(keys, page.high, at) if page.high != LAST else len(keys)
            mine = keys[at:stop]
            if page.level:
                own = set(page.keys)
                mine = [key for key in mine if key in gone or key not in own]
                if not mine:
                    valued.append(page)
            elif self._keeps_cuts(page, mine):
                mine = []
            changed += mine
            at = stop
        return changed, valued

    def _keeps_cuts(self, page: OldPage, changed: list[bytes]) -> bool:
        """Whether these changes leave all cuts and separators where they are; then the leaf goes to `_alone`."""
        if not page.low or page.high == LAST:
            return False  # its ends may be no cuts
        gone = self._edits.gone
        keys, hashes = page.keys.copy(), page.hashes.copy()
        for key in changed:
            at = bisect_left(keys, key)
            if not 0 < at < len(keys):
                return False
            if key in gone:
                if keys[at] != key or at == len(keys) - 1 or not self._taken_alone(page, len(keys)):
                    return False
                del keys[at], hashes[at]
            else:
                fresh = crc32(key)
                if keys[at] == key or len(keys) >= self._window or fresh <= min(hashes[1:]):
                    return False
                keys.insert(at, key)
                hashes.insert(at, fresh)
        self._alone[page.low] = _Alone(changed, keys)
        return True

    def _taken_alone(self, page: OldPage, count: int) -> bool:
        """Whether taking an entry from between the cuts of a leaf, which has `count` entries, moves no cut."""
        for side in self._old.sides(page):
            if side is None or not side.low or side.high == LAST:
                return False
            alone = self._alone.get(side.low)
            if count + (len(alone.keys) if alone else side.size) == self._window + 1:
                return False
        return True

    def _absorbed(self, page: OldPage) -> list[bytes]:
        """The changes to a leaf that was to be changed alone, now that it is part of a zone."""
        alone = self._alone.pop(page.low, None)
        return alone.changed if alone else []

    def _zones(self, changed: list[bytes]) -> list[_Zone]:
        zones: list[_Zone] = []
        at = 0
        while at < len(changed):
            page = self._old.at(changed[at])
            zone = self._extend_left(_Zone([page], changed[at : at + 1]), zones)
            at = self._extend_right(zone, changed, at)
            zones.append(zone)
        return zones

    def _extend_left(self, zone: _Zone, done: list[_Zone]) -> _Zone:
        """Read back until enough unchanged items precede; runs into the zone before: one with it."""
        known = bisect_left(zone.pages[0].keys, zone.keys[0])
        lefts: list[OldPage] = []
        first = zone.pages[0]
        while True:
            if done and first.low <= done[-1].pages[-1].low:
                before = done.pop()
                pages = [page for page in reversed(lefts) if page.low > before.pages[-1].low]
                own = [page for page in zone.pages if page.low > before.pages[-1].low]
                return _Zone(before.pages + pages + own, before.keys + zone.keys)
            if known >= self._need or (left := self._old.before(first)) is None:
                return _Zone([*reversed(lefts), *zone.pages], zone.keys)
            lefts.append(left)
            absorbed = self._absorbed(left)
            zone.keys[:0] = absorbed
            known = bisect_left(left.keys, absorbed[0]) if absorbed else known + len(left.keys)
            first = left

    def _extend_right(self, zone: _Zone, changed: list[bytes], at: int) -> int:
        """Read on until enough unchanged items follow; gives the first change beyond the zone."""
        right = 0
        while True:
            high = zone.pages[-1].high
            stop = bisect_left(changed, high, at) if high != LAST else len(changed)
            if stop > at:
                zone.keys += [key for key in changed[at:stop] if key > zone.keys[-1]]
                right = zone.unchanged_right()
                at = stop
            if right >= self._need or (page := self._old.after(zone.pages[-1])) is None:
                return at
            zone.pages.append(page)
            absorbed = self._absorbed(page)
            zone.keys += absorbed
            right = zone.unchanged_right() if absorbed else right + len(page.keys)

    def _replace_values(self, page: OldPage) -> None:
        put = self._edits.put
        entries = [put.get(entry[0]) or entry for entry in page.entries or ()]
        self.above.put[page.low] = page_of(entries, self._sink)

    def _recut(self, zone: _Zone) -> None:
        """Cut a zone anew and tell the level above which pages went and which came."""
        gone, put = self._edits.gone, self._edits.put
        keys = [key for page in zone.pages for key in page.keys]
        hashes = [value for page in zone.pages for value in page.hashes]
        low, high = bisect_left(keys, zone.keys[0]), bisect_right(keys, zone.keys[-1])
        middle = sorted(({*keys[low:high]} - gone) | {key for key in zone.keys if key in put})
        keys[low:high] = middle
        hashes[low:high] = entry_hashes(self._level, middle)
        starts = self._starts(zone.pages, keys, hashes, low, low + len(middle))
        entries = self._entries(zone.pages, keys) if self._level else None
        fresh = self._fresh(zone.pages, keys, entries, starts) if keys else {}
        was: dict[bytes, Entry] = {page.low: (page.low, page.cid, page.count) for page in zone.pages}
        for sep in was.keys() - fresh.keys():
            self.above.gone.add(sep)
        for sep, entry in fresh.items():
            if was.get(sep) != entry:
                self.above.put[sep] = entry

    def _fresh(
        self, zone: list[OldPage], keys: list[bytes], entries: list[Entry] | None, starts: list[int]
    ) -> dict[bytes, Entry]:
        old = {page.keys[0]: page for page in zone if page.keys}
        fresh: dict[bytes, Entry] = {}
        for start, stop in zip(starts, [*starts[1:], len(keys)], strict=True):
            sep = keys[start] if start else zone[0].low
            if start and entries is None:
                sep = separator(keys[start - 1], keys[start])
            page = old.get(keys[start])
            inside = entries and entries[start:stop]
            if page is not None and page.keys == keys[start:stop] and page.entries == inside:
                fresh[sep] = (sep, page.cid, page.count)
            elif inside:
                fresh[sep] = page_of(inside, self._sink)
            else:
                leaf = Leaf(keys[start:stop])
                fresh[sep] = (sep, self._sink.add(leaf), leaf.count)
        return fresh

    def _entries(self, zone: list[OldPage], keys: list[bytes]) -> list[Entry]:
        values: dict[bytes, Entry | None] = {e[0]: e for page in zone for e in page.entries or ()}
        values.update((key, self._edits.put[key]) for key in keys if key in self._edits.put)
        return [entry for key in keys if (entry := values[key]) is not None]

    def _starts(self, zone: list[OldPage], keys: list[bytes], hashes: list[int], low: int, high: int) -> list[int]:
        """Positions that start a page: recomputed near the change, as they were away from it."""
        reach = self._window - 1
        begins, ends = not zone[0].low, zone[-1].high == LAST
        left = 0 if begins else low - reach  # before this, no window saw the change
        right = len(keys) if ends else high + reach
        cuts = find_cuts(hashes, self._window)
        starts = {cut for cut in cuts if left <= cut < right}
        kept = {page.keys[0] for page in zone if page.keys}
        if not begins:
            starts.update(i for i in range(max(0, left)) if keys[i] in kept)
        if not ends:
            starts.update(i for i in range(right, len(keys)) if keys[i] in kept)
        return sorted(starts | {0})


def height_of(pages: Pages, root: bytes) -> int:
    """Levels above the leaves."""
    node = pages.node(root)
    height = 0
    while type(node) is Inner:
        node = pages.node(node.children[0])
        height += 1
        if height > LEVELS_MAX:
            raise PageError(f"a tree has more than {LEVELS_MAX} levels")
    return height


def update_tree(
    pages: Pages, root: bytes, add: set[bytes], remove: set[bytes], sink: PageSink, shape: Shape = FORMAT_1
) -> bytes:
    """The root of the tree with the keys of `add` put in and those of `remove` taken out.

    Keys to add that are there, and keys to remove that are not, are the caller's to leave out (`RuntimeError`
    is not raised for them: the result is right, only more pages are read). A key in both sets is a `ValueError`.
    """
    if add & remove:
        raise ValueError("a key is both to be added and to be removed")
    if root == EMPTY_TREE:
        return build_tree([sorted(add)], sink, shape)[0]
    height = height_of(pages, root)
    edits = _Edits(set(remove), dict.fromkeys(add))
    for level in range(LEVELS_MAX):
        if not edits.gone and not edits.put:
            return root
        if level > height:
            return _grow(pages, root, edits, level, sink, shape)
        edits = _Editor(Level(pages, root, height - level, level), level, edits, sink, shape).run()
        single = _only_child(pages, root, edits, height - level)
        if single is not None:
            return single if single != EMPTY_TREE else sink.add(Leaf([]))
    raise RdfError(f"these keys make a tree of more than {LEVELS_MAX} levels: they were chosen to")


def _only_child(pages: Pages, root: bytes, edits: _Edits, steps: int) -> bytes | None:
    """The root if the level above is left with one child (or none: the empty tree), else None."""
    left = {sep: entry[1] for sep, entry in edits.put.items() if entry is not None}
    for sep, cid in _children(pages, root, steps - 1) if steps else ((b"", root),):
        if len(left) > 1:
            return None
        if sep not in edits.gone:
            left.setdefault(sep, cid)
    if not left:
        return EMPTY_TREE
    return left.popitem()[1] if len(left) == 1 else None


def _children(pages: Pages, root: bytes, steps: int) -> Iterator[tuple[bytes, bytes]]:
    """Separator and CID of all children of the level `steps` below the root, in any order."""
    stack: list[tuple[bytes, bytes, int]] = [(b"", root, steps)]
    while stack:
        low, cid, depth = stack.pop()
        node = pages.node(cid)
        if type(node) is Inner:
            children = zip([low, *node.separators], node.children, strict=True)
            if depth == 0:
                yield from children
            else:
                stack.extend((sep, child, depth - 1) for sep, child in children)


def _grow(pages: Pages, root: bytes, edits: _Edits, level: int, sink: PageSink, shape: Shape) -> bytes:
    """Build the levels above an old root that is now one child among several."""
    old: Entry = (b"", root, pages.node(root).count)
    entries: dict[bytes, Entry | None] = {b"": old}
    for sep in edits.gone:
        entries.pop(sep, None)
    entries.update(edits.put)
    items = [entry for _, entry in sorted(entries.items()) if entry is not None]
    while len(items) > 1:
        if level >= LEVELS_MAX:
            raise RdfError(f"these keys make a tree of more than {LEVELS_MAX} levels: they were chosen to")
        cuts = find_cuts(entry_hashes(level, [item[0] for item in items]), shape.window(level))
        starts = [0, *cuts]
        items = [page_of(items[a:b], sink) for a, b in zip(starts, [*cuts, len(items)], strict=True)]
        level += 1
    return items[0][1]
