from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.chain.checkpoint_events import Page
from dkg.checkpoints.evidence import shows_needed, summarised
from dkg.checkpoints.judge import Extra, Fault, Index, Invalid, Missing, judge
from dkg.errors import PageError
from dkg.page import CID_PREFIX, ORDERS, DatasetRoot, Inner, Leaf, cid_of, decode
from dkg.pages import MemoryPageStore, StoredPages
from node.checkpoints.find import Demand, Right, Wrong, find, find_invalid
from node.checkpoints.walk import driven
from tests.node.checkpoints import forging
from tests.node.checkpoints.world import (
    SHAPES,
    MalformedTreeError,
    World,
    dataset,
    is_right,
    keys_of,
    moved,
    read,
    tree,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.checkpoints.find import Found


class Site:
    """A world with three publishers, and the union of them, which is ours."""

    def __init__(self, seed: int = 1, sizes: tuple[int, int, int] = (150, 90, 60)) -> None:
        self.world = World()
        self.store = self.world.store
        self.keys = {who: keys_of(who, size, seed) for who, size in enumerate(sizes, 1)}
        for who, keys in self.keys.items():
            self.world.commit(who, whole(self.store, keys))
        self.expected = set.union(*self.keys.values())
        self.ours = MemoryPageStore()
        self.root = whole(self.ours, self.expected)
        self.store.pages.update(self.ours.pages)
        self.here = {*self.store.pages}
        """What a node has: the union, and what was committed."""

    def find(self, root: bytes, get: Callable[[bytes], bytes | None] | None = None) -> Found:
        asking = find(self.world.subject(root), StoredPages(self.ours), self.root)
        return driven(asking, get or self.store.pages.get)

    def page(self, cid: bytes) -> Leaf | Inner | DatasetRoot:
        return decode(cid, self.store.pages[cid])

    def judged(self, root: bytes, found: Wrong) -> str:
        """What the contract's reference says, with whole pages and with summaries."""
        shown = [*found.first, *shows_needed(found.evidence, 6_000)]
        less = summarised(found.evidence, {cid_of(raw).removeprefix(CID_PREFIX) for raw in shown})
        said = judge(self.world.view(root, shown), less)
        assert judge(self.world.view(root, found.first), found.evidence) == said
        return said

    def wrong(self, keys: set[bytes], shape: int = 0) -> bytes:
        """A checkpoint of other keys."""
        return whole(self.store, keys, SHAPES[shape])


@pytest.fixture(scope="module")
def site() -> Site:
    return Site()


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_nothing_is_wrong_with_the_right_keys_in_other_pages(site: Site, shape: int) -> None:
    assert site.find(site.wrong(site.expected, shape)) == Right()


@pytest.mark.parametrize("shape", range(len(SHAPES)))
@pytest.mark.parametrize("seed", range(4))
def test_a_key_left_out_in_all_trees_is_missing(site: Site, shape: int, seed: int) -> None:
    gone = random.Random(seed).choice(sorted(site.expected))
    root = site.wrong(site.expected - {gone}, shape)
    found = site.find(root)
    assert isinstance(found, Wrong)
    assert isinstance(found.evidence, Missing)
    assert found.evidence.key == gone
    assert site.judged(root, found) == "a key that counts is missing"


def strangers() -> dict[str, tuple[bytes, str]]:
    own = sorted(keys_of(1, 5, 99))[2]
    return {
        "nobody's": (b"<a>\0<b>\0<c>\0<urn:g>\0", "a key is nobody's"),
        "shapeless": (b"<a>\0<b>\0<c>\0", "a key is nobody's"),
        "no component": (own.replace(b"<http", b"", 1).replace(own.split(b"\0")[1], b"", 1), "a key is nobody's"),
        "like a link": (b"\x01q\x12 " + own, "a key is nobody's"),
        "of a stranger": (min(keys_of(9, 5)), "a key is of a publisher of which nothing counts"),
        "not committed": (own, "a key is not in what counts of its publisher"),
    }


@pytest.mark.parametrize("shape", [0, 1])
@pytest.mark.parametrize("kind", strangers())
def test_a_key_that_does_not_count_is_extra(site: Site, kind: str, shape: int) -> None:
    key, why = strangers()[kind]
    if key.count(0) == 4:
        root = site.wrong(site.expected | {key}, shape)
    else:
        trees = [tree(site.store, {moved(one, order) for one in site.expected} | {key}) for order in ORDERS]
        root = dataset(site.store, trees, len(site.expected) + 1)
    found = site.find(root)
    assert isinstance(found, Wrong)
    assert isinstance(found.evidence, Extra)
    assert site.judged(root, found) == why


@pytest.mark.parametrize("order", range(4))
def test_a_long_key_is_wrong_in_every_tree(site: Site, order: int) -> None:
    key = b"<a>\0" + b"x" * 800 + b"\0<c>\0<urn:g>\0"
    trees = [tree(site.store, {moved(one, name) for one in site.expected}) for name in ORDERS]
    trees[order] = tree(site.store, {*(moved(one, ORDERS[order]) for one in sorted(site.expected)[1:]), key})
    root = dataset(site.store, trees, len(site.expected))
    found = site.find(root)
    assert isinstance(found, Wrong)
    assert isinstance(found.evidence, (Extra, Index, Missing))
    assert site.judged(root, found) in {
        "a key is too long",
        "a key that counts is missing",
        "a key is not in all trees",
    }


@pytest.mark.parametrize("order", range(1, 4))
@pytest.mark.parametrize("seed", range(3))
def test_a_tree_that_contradicts_spog_is_found(site: Site, order: int, seed: int) -> None:
    chance = random.Random(seed)
    mine = {moved(one, ORDERS[order]) for one in site.expected}
    other = moved(min(keys_of(1, 5, 50 + seed)), ORDERS[order])
    mine = mine - {chance.choice(sorted(mine))} | {[other, b"no quad", b"\x01q\x12 "][seed]}
    trees = [tree(site.store, {moved(one, name) for one in site.expected}) for name in ORDERS]
    trees[order] = tree(site.store, mine, SHAPES[chance.randrange(3)])
    root = dataset(site.store, trees, len(site.expected))
    found = site.find(root)
    assert isinstance(found, Wrong)
    assert isinstance(found.evidence, Index)
    assert site.judged(root, found) in {"a key is not in all trees", "a key is no quad's"}


@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("edge", [-1, 0])
def test_a_separator_moved_into_pages_that_both_have_is_found(site: Site, order: int, edge: int) -> None:
    whole_page = site.page(site.root)
    assert isinstance(whole_page, DatasetRoot)
    top = site.page(whole_page.trees[order])
    assert isinstance(top, Inner)
    for at in range(len(top.separators)):
        child = site.page(top.children[at + 1 + edge])
        while isinstance(child, Inner):
            child = site.page(child.children[edge])
        assert isinstance(child, Leaf)
        moved_to = child.keys[edge] + (b"\x01" if edge == 0 else b"")  # the last key is not below it, the first one is
        separators = [*top.separators[:at], moved_to, *top.separators[at + 1 :]]
        parts = [*whole_page.trees]
        raw = Inner(top.children, separators, top.counts).encode()
        parts[order] = cid_of(raw)
        site.store.put_many([(parts[order], raw)])
        root = dataset(site.store, parts, len(site.expected))
        found = site.find(root)
        assert isinstance(found, Wrong)
        assert site.judged(root, found)


def test_keys_behind_a_long_page_are_extra_or_missing_nowhere() -> None:
    site = Site(3)
    own = sorted(keys_of(4, 60))
    fat = Site(4).wrong({*own})
    raw = b"no page at all" + bytes(31_000)
    site.store.put_many([(cid_of(raw), raw)])
    # A commit of which all quads are behind a long page: nothing of it is in the union.
    committed = site.world.commit(4, dataset(site.store, [cid_of(raw)] * 4, 60))
    assert fat
    root = site.wrong(site.expected | {own[7]})
    found = site.find(root)
    assert isinstance(found, Wrong)
    assert found.first == (raw,)
    assert site.judged(root, found) == "a key is behind a long page"
    assert driven(find_invalid(committed, {}), site.store.pages.get) == Right(0, 60)


def test_a_long_root_of_a_commit_hides_all_of_it() -> None:
    site = Site(5)
    own = sorted(keys_of(4, 3))
    raw = bytes(40_000)
    site.store.put_many([(cid_of(raw), raw)])
    committed = site.world.commit(4, cid_of(raw))
    root = site.wrong(site.expected | {own[0]})
    found = site.find(root)
    assert isinstance(found, Wrong)
    assert site.judged(root, found) == "a key is behind a long page"
    invalid = driven(find_invalid(committed, {}), site.store.pages.get)
    assert isinstance(invalid, Wrong)
    assert site.judged(root, invalid) == "the spog has the fault page"


@given(st.integers(0, 2**32), st.sampled_from(forging.CHANGES), st.sampled_from(range(3)), st.integers(1, 3))
@settings(max_examples=settings().max_examples * 2 // 3)
def test_every_wrong_root_is_refuted_and_no_right_one(
    seed: int, change: Callable[..., bytes], shape: int, times: int
) -> None:
    chance = random.Random(seed)
    site = SITES[seed % len(SITES)]
    root = site.wrong(site.expected, shape)
    for _ in range(times):
        try:
            root = forging.forged(site.store, root, chance, change)
        except PageError:  # it is past being changed once more
            break
    found = site.find(root)
    assert isinstance(found, Right) == is_right(site.store.pages.get, root, site.expected)
    if isinstance(found, Wrong):
        assert site.judged(root, found)
    else:
        assert found == Right()


@given(st.integers(0, 2**32), st.sampled_from(forging.CHANGES), st.sampled_from(range(3)))
@settings(max_examples=settings().max_examples // 3)
def test_a_page_that_nobody_gives_is_demanded_where_nothing_else_is_wrong(
    seed: int, change: Callable[..., bytes], shape: int
) -> None:
    chance = random.Random(seed)
    site = SITES[seed % len(SITES)]
    root = site.wrong(site.expected, shape)
    if chance.random() < 0.5:
        root = forging.forged(site.store, root, chance, change)
    needed: list[bytes] = []

    def recorded(cid: bytes) -> bytes | None:
        needed.append(cid)
        return site.store.pages.get(cid)

    right = isinstance(site.find(root, recorded), Right)
    hidden = {chance.choice(needed or [root])}
    hidden -= site.here
    found = site.find(root, lambda cid: None if cid in hidden else site.store.pages.get(cid))
    if isinstance(found, Demand):
        steps = found.way.steps
        named = getattr(steps[-1].page, "trees", None) or steps[-1].page.children if steps else [root]  # type: ignore[union-attr]
        assert named[steps[-1].at if steps else 0] in hidden
    elif isinstance(found, Wrong):
        assert not right
        assert site.judged(root, found)
    else:
        assert right
        assert not hidden & {*needed} or root == site.root


@given(st.integers(0, 2**32), st.sampled_from(forging.CHANGES), st.sampled_from(range(3)))
@settings(max_examples=settings().max_examples // 3)
def test_every_fault_in_the_spog_of_a_commit_is_found(seed: int, change: Callable[..., bytes], shape: int) -> None:
    chance = random.Random(seed)
    world = World()
    root = whole(world.store, keys_of(1, 70, seed % 3), SHAPES[shape])
    root = forging.forged(world.store, root, chance, change)
    committed = world.commit(1, root)
    found = driven(find_invalid(committed, {}), world.store.pages.get)
    try:
        keys = read(world.store.pages.get, root, 0, long_ok=True)
    except MalformedTreeError:
        assert isinstance(found, Wrong)
        assert isinstance(found.evidence, Invalid)
        assert judge(world.view(root, found.first), found.evidence)
    else:
        assert isinstance(found, Right)
        assert found.short == sum(len(key) <= 768 for key in keys)


def test_the_work_is_that_of_what_differs() -> None:
    site = Site(7, (6_000, 3_000, 1_000))
    gone = sorted(site.expected)[4_321]
    read_pages: list[bytes] = []

    def get(cid: bytes) -> bytes | None:
        read_pages.append(cid)
        return site.store.pages.get(cid)

    found = site.find(site.wrong(site.expected - {gone}), get)
    assert isinstance(found, Wrong)
    assert len({*read_pages}) < 60  # of about 2,000 of its spog
    assert isinstance(site.find(site.root), Right)


@pytest.mark.parametrize(("levels", "fault"), [(32, None), (33, 4), (40, 4)])
def test_a_tree_of_33_levels_is_too_deep(site: Site, levels: int, fault: int | None) -> None:
    page = site.store.pages[site.wrong(site.expected)]
    top = decode(cid_of(page), page)
    assert isinstance(top, DatasetRoot)
    posg, deep = top.trees[1], len(_left_edge(site, top.trees[1]))
    for _ in range(levels - deep):
        raw = Inner([posg], [], [top.count]).encode()
        posg = cid_of(raw)
        site.store.put_many([(posg, raw)])
    root = dataset(site.store, [top.trees[0], posg, *top.trees[2:]], top.count)
    found = site.find(root)
    assert isinstance(found, Wrong) == (fault is not None)
    if isinstance(found, Wrong):
        assert isinstance(found.evidence, Fault)
        assert (found.evidence.fault, site.judged(root, found)) == (4, "a tree has the fault depth")


def _left_edge(site: Site, cid: bytes) -> list[bytes]:
    page = decode(cid, site.store.pages[cid])
    return [cid, *(_left_edge(site, page.children[0]) if isinstance(page, Inner) else [])]


SITES = [Site(1), Site(2, (30, 20, 5)), Site(3, (2, 1, 1))]


@pytest.mark.parametrize("kind", [Page.LONG, Page.MALFORMED])
def test_a_page_that_nobody_has_needs_no_bytes_where_the_contract_was_shown_what_it_is(kind: Page) -> None:
    digest = b"\x07" * 32
    site = Site(6)
    own = min(keys_of(4, 3))
    committed = site.world.commit(4, dataset(site.store, [CID_PREFIX + digest] * 4, 9))
    words = {digest: int(kind).to_bytes(32)}
    found = driven(find_invalid(committed, {digest: kind}), site.store.pages.get)
    if kind is Page.MALFORMED:
        assert isinstance(found, Wrong)
        assert judge(replace(site.world.view(site.root), shown=words), found.evidence)
    else:
        assert found == Right(0, 9)
        root = site.wrong(site.expected | {own})
        subject = replace(site.world.subject(root), shown={digest: kind})
        extra = driven(find(subject, StoredPages(site.ours), site.root), site.store.pages.get)
        assert isinstance(extra, Wrong)
        assert judge(replace(site.world.view(root), shown=words), extra.evidence) == "a key is behind a long page"
    union = dataset(site.store, [CID_PREFIX + digest] * 4, len(site.expected))
    subject = replace(site.world.subject(union), shown={digest: kind})
    wrong = driven(find(subject, StoredPages(site.ours), site.root), site.store.pages.get)
    assert isinstance(wrong, Wrong)
    assert wrong.first == ()
    assert judge(replace(site.world.view(union), shown=words), wrong.evidence) == "a tree has the fault page"
    assert isinstance(site.find(union), Demand)
