"""Paths in right trees: each short key is there, is absent or is hidden, and nobody can show anything else."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.checkpoints.paths import Place, Way, follow, path, way_to
from dkg.checkpoints.shown import children_of, classify, entries_of, stem
from dkg.checkpoints.walk import LONG, FaultKind, PathError, check_absent, check_fault, check_hidden, check_member, walk
from dkg.cut import Shape
from dkg.errors import PageError
from dkg.limits import KEY_MAX, PATH_BYTES_MAX, SEGMENTS_MAX, SHOW_MAX, STEM_BYTES
from dkg.page import CID_PREFIX, Inner, Leaf
from dkg.pages import MemoryPageStore, StoredPages
from tests.dkg.checkpoints.worlds import deep, put, spog_only
from tests.dkg.trees import SMALL_SHAPES, built

if TYPE_CHECKING:
    from dkg.checkpoints.walk import End

Answer = Literal["member", "absent", "hidden"]

SHORT = st.binary(min_size=1, max_size=3).filter(lambda key: key < b"\xff")
"""Short keys. The empty one is not built, and is in the vectors."""
FILLED = SHORT.map(lambda start: start + b"x" * KEY_MAX)
"""Keys of which only the stems' lengths are short of the whole: some have equal stems."""
HUGE = SHORT.map(lambda start: start + b"x" * 16_000)
"""Keys of which two make a page long."""


@dataclass
class Tree:
    """A tree as spog of a dataset, with all that can be shown of it."""

    store: MemoryPageStore
    pages: StoredPages
    root: bytes
    keys: set[bytes]
    shown: dict[bytes, bytes]

    @property
    def digest(self) -> bytes:
        """Of the dataset root."""
        return self.root[len(CID_PREFIX) :]

    def walk(self, way: Way, summarised: set[bytes] | None = None) -> End:
        """Where a way ends."""
        return walk(way.encode(summarised or set()), self.digest, 0, self.shown)

    def ways(self) -> list[Way]:
        """Each path of the dataset to a page and an entry of it, or one beyond."""
        found, pending = [Way(())], [[0]]
        while pending:
            indexes = pending.pop()
            way = follow(self.pages, self.root, indexes)
            page = way.steps[-1].page
            found.append(way)
            if indexes[-1] < len(entries_of(page)) + 1 and len(indexes) > 1:
                pending.append([*indexes[:-1], indexes[-1] + 1])
            children = children_of(page)
            if indexes[-1] < len(children) and not self.is_long(children[indexes[-1]]):
                pending.append([*indexes, 0])
        return found

    def is_long(self, cid: bytes) -> bool:
        """Whether a page is."""
        return self.shown[cid[len(CID_PREFIX) :]] == LONG


def grown(keys: set[bytes], shape: Shape) -> Tree:
    """A tree of keys."""
    store, top = built(keys, shape)
    return planted(store, top, keys)


def planted(store: MemoryPageStore, top: bytes, keys: set[bytes]) -> Tree:
    """A tree with a top page in a store."""
    root = spog_only(store, top, len(keys))
    shown = {cid[len(CID_PREFIX) :]: classify(raw).word for cid, raw in store.pages.items()}
    return Tree(store, StoredPages(store), root, keys, shown)


def short(keys: set[bytes]) -> set[bytes]:
    return {key for key in keys if len(key) <= KEY_MAX}


def near(keys: set[bytes]) -> set[bytes]:
    """Short keys, and others around them and around the long ones."""
    around = {b"", b"!", b"\xfe\xff"}
    for key in keys:
        around |= {stem(key)[:KEY_MAX], key[:2], key + b"\0", key[:-1]}
    return short(around | keys)


def shown_by_finder(tree: Tree, key: bytes, summarised: set[bytes]) -> Answer:
    """What the path that the finder gives shows."""
    place = path(tree.pages, tree.root, 0, key)
    end = tree.walk(place, summarised)
    if place.member:
        check_member(end, key)
        return "member"
    if place.hidden:
        check_hidden(end, key, place.before, place.after, tree.shown)
        return "hidden"
    check_absent(end, key, place.before, place.after)
    return "absent"


@given(st.sets(SHORT | FILLED, max_size=40), SMALL_SHAPES, st.data())
def test_each_short_key_is_found_there_or_absent_under_any_summaries(
    keys: set[bytes], shape: Shape, data: st.DataObject
) -> None:
    tree = grown(keys, shape)
    summarised = data.draw(st.sets(st.sampled_from(sorted(tree.shown)))) | data.draw(
        st.sampled_from([set(), set(tree.shown)])
    )
    for key in near(keys):
        assert shown_by_finder(tree, key, summarised) == ("member" if key in keys else "absent")
    for key in keys - short(keys):  # of long ones only membership can be shown
        check_member(tree.walk(path(tree.pages, tree.root, 0, key), summarised), stem(key))


def neighbours(way: Way) -> tuple[set[bytes], set[bytes]]:
    """What an attacker may give as `before` and `after`: all that has a hash on the path, and nothing."""
    (lower, upper), before, after = way.bounds, {b""}, {b""}
    if way.steps:
        entries, at = entries_of(way.steps[-1].page), way.steps[-1].at
        before |= {stem(entry) for entry in entries[max(0, at - 1) : at]}
        after |= {stem(entry) for entry in entries[at : at + 1]}
    return before | {lower}, after | {upper}


def shown_by_anybody(tree: Tree, keys: set[bytes]) -> dict[bytes, set[Answer]]:
    """All that any path of a tree shows of keys."""
    found: dict[bytes, set[Answer]] = {key: set() for key in keys}
    for way in tree.ways():
        end = tree.walk(way)
        for key, before, after in product(keys, *neighbours(way)):
            with suppress(PathError):
                check_member(end, key)
                found[key].add("member")
            with suppress(PathError):
                check_absent(end, key, before, after)
                found[key].add("absent")
            with suppress(PathError):
                check_hidden(end, key, before, after, tree.shown)
                found[key].add("hidden")
    return found


def truth(tree: Tree, key: bytes) -> Answer:
    """What is so of a short key: which of the leaves, from left to right, is its own."""
    leaves: list[tuple[bytes, bytes]] = []
    pending = [(b"", tree.pages.root(tree.root).trees[0])]
    while pending:
        lower, cid = pending.pop()
        page = tree.pages.page(cid)
        if isinstance(page, Leaf):
            leaves.append((lower, cid))
        else:
            pending += [*zip([lower, *entries_of(page)], children_of(page), strict=True)][::-1]
    own = [cid for lower, cid in leaves if lower <= key][-1]
    if tree.is_long(own):
        return "hidden"
    return "member" if key in tree.keys else "absent"


@given(st.sets(SHORT | HUGE, min_size=3, max_size=14), SMALL_SHAPES)
def test_of_each_short_key_one_thing_can_be_shown_by_anybody_and_it_is_so(keys: set[bytes], shape: Shape) -> None:
    tree = grown(keys, shape)
    asked = near(keys)
    assert shown_by_anybody(tree, asked) == {key: {truth(tree, key)} for key in asked}
    assert {key: shown_by_finder(tree, key, set()) for key in asked} == {key: truth(tree, key) for key in asked}


@given(st.sets(SHORT | HUGE | FILLED, min_size=3, max_size=14), SMALL_SHAPES)
def test_of_a_right_tree_nobody_can_show_a_fault(keys: set[bytes], shape: Shape) -> None:
    tree = grown(keys, shape)
    pages = [b"", *(raw for raw in tree.store.pages.values() if len(raw) <= SHOW_MAX)]
    for way in tree.ways():
        end = tree.walk(way)
        before, after = neighbours(way)
        entries = {stem(entry) for step in way.steps[-1:] for entry in entries_of(step.page)}
        shown = [(FaultKind.PAGE, page, b"", b"") for page in pages if page or tree.shown.get(end.child or b"") != LONG]
        shown += [(FaultKind.BOUNDS, b"", bound, entry) for bound in before | after for entry in entries]
        shown += [(FaultKind.COUNT, b"", b"", b""), (FaultKind.DEPTH, b"", b"", b"")]
        for kind, page, bound, entry in shown:
            with pytest.raises(PathError):
                check_fault(end, kind, page, bound, entry, tree.shown)


@settings(max_examples=settings().max_examples // 5)
@given(st.sets(SHORT, min_size=5, max_size=30), SMALL_SHAPES, st.data())
def test_a_changed_byte_of_a_path_is_refused_or_shows_the_same(
    keys: set[bytes], shape: Shape, data: st.DataObject
) -> None:
    tree = grown(keys, shape)
    key = data.draw(st.sampled_from(sorted(near(keys))))
    place = path(tree.pages, tree.root, 0, key)
    blob = place.encode(data.draw(st.sets(st.sampled_from(sorted(tree.shown)))))
    for at in range(len(blob)):
        changed = bytearray(blob)
        changed[at] ^= data.draw(st.integers(1, 255)) if at < 8 else 1 << at % 8
        with suppress(PathError):
            end = walk(bytes(changed), tree.digest, 0, tree.shown)
            assert _shows(end, place, tree) <= {truth(tree, key)}


def _shows(end: End, place: Place, tree: Tree) -> set[Answer]:
    found: set[Answer] = set()
    with suppress(PathError):
        check_member(end, place.key)
        found.add("member")
    with suppress(PathError):
        check_absent(end, place.key, place.before, place.after)
        found.add("absent")
    with suppress(PathError):
        check_hidden(end, place.key, place.before, place.after, tree.shown)
        found.add("hidden")
    return found


def test_the_deepest_path_fits_by_summaries_and_one_level_more_is_a_fault() -> None:
    store = MemoryPageStore()
    leaf = put(store, Leaf([b"k"]))
    tree = planted(store, deep(store, leaf, 1, SEGMENTS_MAX - 3), {b"k"})
    place = path(tree.pages, tree.root, 0, b"k")
    assert len(place.steps) == SEGMENTS_MAX - 1
    check_member(tree.walk(place, set(tree.shown)), b"k")
    with pytest.raises(PathError, match="33 segments is not too deep"):
        check_fault(tree.walk(place), FaultKind.DEPTH, b"", b"", b"", {})
    tree = planted(store, deep(store, leaf, 1, SEGMENTS_MAX - 2), {b"k"})
    end = tree.walk(follow(tree.pages, tree.root, [0] * SEGMENTS_MAX))
    assert check_fault(end, FaultKind.DEPTH, b"", b"", b"", {}).segments == SEGMENTS_MAX
    tree = planted(store, deep(store, leaf, 1, SEGMENTS_MAX - 1), {b"k"})
    with pytest.raises(PageError, match="longer than the 34 pages of a path"):
        path(tree.pages, tree.root, 0, b"k")


def test_a_path_of_35_segments_is_refused() -> None:
    store = MemoryPageStore()
    tree = planted(store, deep(store, put(store, Leaf([b"k"])), 1, SEGMENTS_MAX), {b"k"})
    steps = follow(tree.pages, tree.root, [0] * SEGMENTS_MAX).steps
    with pytest.raises(PathError, match="35 segments is over the limit of 34"):
        tree.walk(Way((*steps, steps[-1])))


def test_a_path_over_its_bytes_is_refused() -> None:
    with pytest.raises(PathError, match=f"over the limit of {PATH_BYTES_MAX}"):
        walk(bytes(PATH_BYTES_MAX + 1), bytes(32), None, {})
    with pytest.raises(PathError, match=f"a path of {PATH_BYTES_MAX // 4} segments"):
        walk(bytes(PATH_BYTES_MAX), bytes(32), None, {})


def test_a_way_to_every_page_is_found_by_its_digest() -> None:
    tree = grown({b"%03d" % number for number in range(60)}, Shape(4, 3))
    assert way_to(tree.pages, tree.root, tree.digest) == Way(())
    for digest in tree.shown:
        way = way_to(tree.pages, tree.root, digest)
        assert way is not None
        assert tree.walk(way).child == digest
    assert way_to(tree.pages, tree.root, bytes(32)) is None


def test_no_path_leads_through_a_page_that_is_long_or_has_keys_beyond_all() -> None:
    store = MemoryPageStore()
    tree = planted(store, put(store, Leaf([b"k" * 40_000])), {b"k" * 40_000})
    with pytest.raises(PageError, match="is long: no path leads through it"):
        follow(tree.pages, tree.root, [0, 0])
    tree = planted(store, put(store, Leaf([b"a", b"\xff"])), {b"a", b"\xff"})
    with pytest.raises(PageError, match="keys beyond those that quads can have"):
        path(tree.pages, tree.root, 0, b"a")


def test_a_page_of_the_most_bytes_that_can_be_shown_hides_nothing_and_the_next_does() -> None:
    room = SHOW_MAX - len(Leaf([b"k" * 1_000]).encode())
    for more, is_hidden in ((room, False), (room + 1, True)):
        store, keys = MemoryPageStore(), {b"k" * (1_000 + more)}
        page = put(store, Leaf([*keys]))
        assert len(store.pages[page]) == SHOW_MAX + is_hidden
        tree = planted(store, page, keys)
        assert path(tree.pages, tree.root, 0, b"a").hidden is is_hidden


def test_neighbours_are_stems_of_what_is_beside_a_key() -> None:
    store, long = MemoryPageStore(), [b"b" * 2_000, b"d" * 2_000]
    leaves = [put(store, Leaf([one])) for one in (b"a", b"c", b"e")]
    tree = planted(store, put(store, Inner(leaves, long, [1, 1, 1])), {b"a", b"c", b"e"})
    place = path(tree.pages, tree.root, 0, b"b" * 2_000 + b"x")
    assert (place.before, place.after) == (stem(long[0]), b"c")
    place = path(tree.pages, tree.root, 0, b"cc")
    assert (place.before, place.after) == (b"c", stem(long[1]))
    assert {len(stem(one)) for one in long} == {STEM_BYTES}


def test_no_way_is_looked_for_below_a_long_page() -> None:
    store = MemoryPageStore()
    leaves = [put(store, Leaf([one])) for one in (b"a", b"c" * 40_000)]
    tree = planted(store, put(store, Inner(leaves, [b"b" * 40_000], [1, 1])), {b"a"})
    assert way_to(tree.pages, tree.root, leaves[0].removeprefix(CID_PREFIX)) is None
