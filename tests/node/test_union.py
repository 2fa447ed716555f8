from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.chain.log import RegistryLog
from dkg.check import check_dataset
from dkg.dataset import build_dataset, quads
from dkg.errors import InputError
from dkg.page import CID_PREFIX
from dkg.pages import MemoryPageStore, StoredPages
from node import union as union_module
from node.union import (
    Outside,
    Union,
    build_union,
    counting,
    dataset_of,
    graphs_of,
    latest_whole,
    outside,
    update_union,
)
from tests.dkg.chain.events import Model, address, block
from tests.node.storage.data import changed, publisher, put, quads_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dkg.chain.registry import Committed
    from dkg.chain.ual import Publisher
    from dkg.terms import Quad

ONE, TWO, THREE = publisher(1), publisher(2), publisher(3)
A, B, C = quads_of(ONE, 700), quads_of(TWO, 400, 1), quads_of(THREE, 300, 2)
FOREIGN = [(g, p, o, b"<urn:graph-of-nobody>") for _, p, o, g in A[:300]][::10]  # the subjects are the publisher's


class Counted(MemoryPageStore):
    """Pages in memory, with how many were read and how many are new."""

    def __init__(self) -> None:
        super().__init__()
        self.read = self.new = 0

    def get(self, cid: bytes) -> bytes | None:
        self.read += 1
        return super().get(cid)

    def put_many(self, pages: Iterable[tuple[bytes, bytes]]) -> None:
        before = len(self.pages)
        super().put_many(pages)
        self.new += len(self.pages) - before

    def union(self, datasets: Mapping[Publisher, list[Quad]]) -> Union:
        """The union of some quads, from nothing."""
        return build_union(StoredPages(self), {owner: put(self, own) for owner, own in datasets.items()}, self)


def plain(*parts: list[Quad]) -> bytes:
    """The root of a dataset of quads, as anyone would make it."""
    return build_dataset(parts, MemoryPageStore())


# Which commits count


def _log(*commits: int) -> tuple[RegistryLog, list[Committed]]:
    """A log in which these publishers commit, one in each block."""
    model, log = Model(), RegistryLog()
    made = []
    for number, who in enumerate(commits, 1):
        event = model.commit(address(who), bytes([number]) * 32, block(number))
        log.apply(block(number), [event])
        made.append(event)
    return log, made


def test_the_latest_commit_of_each_followed_publisher_counts() -> None:
    log, made = _log(1, 2, 1, 3, 2)
    one, two = address(1), address(2)
    assert counting(log, 5, [one, two]) == {one: made[2], two: made[4]}
    assert counting(log, 4, [one, two]) == {one: made[2], two: made[1]}
    assert counting(log, 1, [one, two]) == {one: made[0]}
    assert counting(log, 0, [one, two]) == {}
    assert counting(log, 5, [address(9)]) == {}
    assert dataset_of(made[0]) == CID_PREFIX + b"\1" * 32


def test_before_a_commit_that_is_marked_or_refused_the_one_before_counts() -> None:
    log, made = _log(1, 1, 2, 1)
    one = address(1)
    assert counting(log, 4, [one], marked={3}) == {one: made[1]}
    assert counting(log, 4, [one], marked={3, 1}) == {one: made[0]}
    assert counting(log, 4, [one], marked={3, 1, 0}) == {}
    assert counting(log, 4, [one], refused={dataset_of(made[3]), dataset_of(made[1])}) == {one: made[0]}
    assert counting(log, 4, [one], marked={3}, refused={dataset_of(made[1])}) == {one: made[0]}
    assert counting(log, 3, [one], marked={3}) == {one: made[1]}


def _logged(rng: random.Random, publishers: int, commits: int) -> tuple[RegistryLog, list[Committed]]:
    model, log, made = Model(), RegistryLog(), []
    for number in range(1, commits + 1):
        event = model.commit(address(rng.randrange(publishers)), number.to_bytes(32), block(number))
        log.apply(block(number), [event])
        made.append(event)
    return log, made


@pytest.mark.parametrize("seed", range(60))
def test_the_latest_position_at_which_all_that_counts_is_here(seed: int) -> None:
    rng = random.Random(seed)
    log, made = _logged(rng, rng.randrange(1, 6), 40)
    followed = [address(number) for number in range(rng.randrange(1, 6))]
    marked = {number for number in range(40) if rng.random() < 0.1}
    refused = {dataset_of(one) for one in made if rng.random() < 0.1}
    gone = {one.position for one in made if rng.random() < rng.choice([0.0, 0.3, 0.8, 1.0])}
    target = rng.randrange(41)
    right, missing = target, dict[int, None]()
    while True:  # by the definition, from the top
        found = counting(log, right, followed, marked=marked, refused=refused)
        waits = [one.position for one in found.values() if one.position in gone]
        if not waits:
            break
        missing |= dict.fromkeys(waits)
        right = min(waits)
    whole = latest_whole(
        log, target, followed, marked=marked, refused=refused, here=lambda one: one.position not in gone
    )
    assert (whole.position, whole.counting) == (right, found)
    assert {one.position for one in whole.missing} == missing.keys()
    assert len(whole.missing) == len(missing)


def test_going_back_over_a_long_log_looks_at_each_commit_once() -> None:
    log, made = _logged(random.Random(1), 300, 6_000)
    asked: list[int] = []

    def here(one: Committed) -> bool:
        asked.append(one.position)
        return False

    followed = [address(number) for number in range(300)]
    assert latest_whole(log, len(made), followed, here=here).position == 0
    assert len(asked) == len(set(asked)) <= len(made)


def test_a_position_that_the_log_has_not_is_refused() -> None:
    log, _ = _log(1, 2)
    assert counting(log, 2, [address(1)]) != {}
    for wrong in (-1, 3):
        with pytest.raises(InputError, match=f"the log has 2 entries: there is no position {wrong}"):
            counting(log, wrong, [address(1)])


@given(st.lists(st.integers(1, 3), max_size=12), st.sets(st.integers(0, 11)), st.integers(0, 12))
def test_what_counts_is_what_a_walk_over_the_log_finds(commits: list[int], marked: set[int], position: int) -> None:
    log, made = _log(*commits)
    position = min(position, len(made))
    expected: dict[bytes, Committed] = {}
    for one in made[:position]:
        if one.position not in marked:
            expected[one.publisher] = one
    assert counting(log, position, [address(1), address(2), address(3)], marked=marked) == expected


# Which quads count


def test_a_publisher_owns_the_graphs_that_begin_with_its_prefix() -> None:
    low, high = graphs_of(ONE)
    inside = b"<" + ONE.prefix.encode()
    for name in (b"a>", b"zzz#provenance>", b">", "é>".encode(), b"a/b>"):
        assert low <= inside + name < high
    for other in (inside[:-1] + b">", inside[:-1] + b"0a>", b"<" + TWO.prefix.encode() + b"a>", b"<urn:x>"):
        assert not low <= other < high


def test_quads_in_graphs_of_others_are_not_in_the_union_and_are_told() -> None:
    store = Counted()
    stolen = [(s, p, o, B[0][3]) for s, p, o, _ in A[:20]]  # one publisher's claim in the graph of another
    root = put(store, [*A, *FOREIGN, *stolen])
    pages = StoredPages(store)
    assert outside(pages, root, ONE) == Outside(50, min(FOREIGN[0][3], B[0][3]))
    assert outside(pages, put(store, A), ONE) is None
    assert outside(pages, put(store, FOREIGN), ONE) == Outside(30, FOREIGN[0][3])
    assert outside(pages, put(store, []), ONE) is None
    united = build_union(pages, {ONE: root, TWO: put(store, B)}, store)
    assert united.root == plain(A, B)


def test_what_is_outside_is_counted_without_reading_the_dataset() -> None:
    store = Counted()
    root = put(store, [*quads_of(ONE, 9_000), *FOREIGN])
    store.read = 0
    assert outside(StoredPages(store), root, ONE) == Outside(30, FOREIGN[0][3])
    assert store.read < 30


# The union is a function of its datasets


def test_the_union_is_the_dataset_of_all_its_quads() -> None:
    store = Counted()
    united = store.union({ONE: A, TWO: B, THREE: C})
    assert united.root == plain(A, B, C)
    assert check_dataset(StoredPages(store), united.root).problems == []
    assert store.union({}).root == plain()
    assert store.union({ONE: []}).root == plain()
    assert store.union({THREE: C}).root == plain(C)


@pytest.mark.parametrize("large", [False, True])
def test_any_way_to_the_same_datasets_gives_the_same_root(large: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    if large:
        monkeypatch.setattr(union_module, "CHANGES_MAX", 30)  # most changes are built anew
    store = Counted()
    pages = StoredPages(store)
    contents = {ONE: [A], TWO: [B], THREE: [C]}
    for owner, versions in contents.items():
        for seed in range(3):
            versions.append(changed(versions[-1], 12, seed + owner.address[0]))
    roots = {owner: [put(store, version) for version in versions] for owner, versions in contents.items()}
    expected = plain(*(versions[-1] for versions in contents.values()))
    chance = random.Random(2)
    for _ in range(12):
        union = build_union(pages, {}, store)
        now: dict[Publisher, bytes] = {}
        for _ in range(chance.randrange(1, 10)):  # any history, in batches of any size, with removals
            for owner in chance.sample([ONE, TWO, THREE], chance.randrange(1, 4)):
                if chance.random() < 0.2:
                    now.pop(owner, None)
                else:
                    now[owner] = chance.choice(roots[owner])
            union = update_union(pages, union, now, store)
            assert union == build_union(pages, now, store)
        union = update_union(pages, union, {owner: versions[-1] for owner, versions in roots.items()}, store)
        assert union.root == expected
    held = {quad for batch in quads(pages, expected) for quad in batch}
    assert held == {quad for versions in contents.values() for quad in versions[-1]}


_QUADS = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=25)


@given(st.lists(st.dictionaries(st.integers(1, 3), _QUADS, max_size=3), min_size=1, max_size=4))
@settings(max_examples=settings().max_examples // 2)
def test_any_datasets_in_any_order(steps: list[dict[int, set[tuple[int, int, int, bool]]]]) -> None:
    store = Counted()
    pages = StoredPages(store)
    union = build_union(pages, {}, store)
    for step in steps:
        contents = {publisher(who): _some(publisher(who), rows) for who, rows in step.items()}
        datasets = {owner: put(store, content) for owner, content in contents.items()}
        union = update_union(pages, union, datasets, store)
        own = [[quad for quad in content if quad[3] != b"<urn:other>"] for content in contents.values()]
        assert union.root == plain(*own)


def _some(owner: Publisher, rows: set[tuple[int, int, int, bool]]) -> list[Quad]:
    graph = b"<%ba%%d>" % owner.prefix.encode()
    return [
        (b"<urn:s%d>" % s, b"<urn:p%d>" % p, b'"%d"' % s, graph % g if own else b"<urn:other>")
        for s, p, g, own in sorted(rows)
    ]


# In proportion to the change


def _update_cost(size: int, changes: int) -> tuple[int, int]:
    """Pages read, and new pages, to bring a union of two large datasets up to date with changes to one."""
    store = Counted()
    one, two = quads_of(ONE, size), quads_of(TWO, size)
    union = store.union({ONE: one, TWO: two})
    new = put(store, changed(one, changes, 5))
    expected = build_union(StoredPages(store), {ONE: new, TWO: union.datasets[TWO]}, MemoryPageStore())
    store.read = store.new = 0
    updated = update_union(StoredPages(store), union, {ONE: new, TWO: union.datasets[TWO]}, store)
    assert updated == expected
    return store.read, store.new


def test_an_update_reads_and_writes_in_proportion_to_the_change() -> None:
    costs = {(size, changes): _update_cost(size, changes) for size in (2_000, 16_000) for changes in (1, 8)}
    for changes in (1, 8):
        small, large = costs[2_000, changes], costs[16_000, changes]
        # Eight times the data: two levels of a tree more, and less that neighbouring changes share.
        assert large[0] <= 2 * small[0]
        assert large[1] <= 2 * small[1]
        # A changed quad is one that goes and one that comes, in four trees: their leaves and what is above.
        assert large[0] <= changes * 2 * 4 * 12 + 100
        assert large[1] <= changes * 2 * 4 * 8
    whole = 32_000 // 40 * 4  # leaves of the union, at least
    assert costs[16_000, 8][0] < whole // 4


def test_of_one_publisher_alone_the_union_is_its_dataset_and_costs_nothing() -> None:
    store = Counted()
    old, new, mixed = put(store, A), put(store, changed(A, 9, 5)), put(store, [*A, *FOREIGN])
    store.read = store.new = 0
    union = update_union(StoredPages(store), build_union(StoredPages(store), {ONE: old}, store), {ONE: new}, store)
    assert (union.root, store.new) == (new, 0)
    assert store.read < 20
    assert update_union(StoredPages(store), union, {ONE: mixed}, store).root == plain(A) == old
    assert build_union(StoredPages(store), {ONE: mixed}, store).root == old


def test_a_change_outside_of_the_own_graphs_changes_nothing() -> None:
    store = Counted()
    union = store.union({ONE: A, TWO: B})
    new = put(store, [*A, *FOREIGN])
    store.new = 0
    updated = update_union(StoredPages(store), union, {ONE: new, TWO: union.datasets[TWO]}, store)
    assert (updated.root, store.new) == (union.root, 0)
    assert updated.datasets[ONE] == new


def test_a_publisher_that_goes_takes_its_quads_along_without_its_dataset() -> None:
    store = Counted()
    united = store.union({ONE: A, TWO: B, THREE: C})
    gone = united.datasets[TWO]
    del store.pages[gone]
    left = {ONE: united.datasets[ONE], THREE: united.datasets[THREE]}
    updated = update_union(StoredPages(store), united, left, store)
    assert updated.root == plain(A, C)
    assert update_union(StoredPages(store), updated, left, store) is updated
