"""Holes that a reader of the design found, each by what somebody would have done with it, on the real contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.build import build_tree
from dkg.chain.checkpoints import Mark, Reason, Status
from dkg.checkpoints.owners import prefix_of
from dkg.checkpoints.paths import path
from dkg.checkpoints.shown import last_block
from dkg.limits import SHOW_MAX
from dkg.page import CID_PREFIX, ORDERS, DatasetRoot, Inner, Leaf, cid_of
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from tests.contracts.checkpoints.fuzz_chain import BOND, DEMAND_BOND, DEMAND_WINDOW, WINDOW, Contracts
from tests.contracts.onchain import KEYS, RevertedError, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROPOSER, WATCHER, PUBLISHER = (KEYS[number].address for number in (5, 6, 0))
OWNER = bytes.fromhex(PUBLISHER[2:])
LEAF = Leaf([b"k"]).encode()
ROOT = DatasetRoot([cid_of(LEAF)] * 4, 1).encode()
"""A dataset nobody's key is in; nobody looks at what is in it here."""
LAST = WINDOW + 72 * DEMAND_WINDOW
"""Seconds from a proposal to its last demand."""


@pytest.fixture(scope="module")
def deployed() -> Contracts:
    made = Contracts()
    made.fund(PROPOSER, WATCHER)
    return made


@pytest.fixture
def contracts(deployed: Contracts) -> Iterator[Contracts]:
    with deployed.env.anchor():
        yield deployed


def propose(contracts: Contracts, raw: bytes) -> int:
    """Propose a root for an empty log."""
    position = contracts.registry.view("log_length")
    tip = contracts.registry.view("entries", position - 1) if position else bytes(32)
    digest = cid_of(raw).removeprefix(CID_PREFIX)
    contracts.call(PROPOSER, "propose", position, 0, digest, tip, value=BOND)
    return contracts.state.last


def demand(contracts: Contracts, who: str, number: int, path: bytes = b"") -> int:
    """Demand a page of a checkpoint."""
    contracts.call(who, "demand_checkpoint", number, path, value=DEMAND_BOND)
    return contracts.state.demands


def below_root(raw: bytes, tree: int = 0) -> bytes:
    """The path that names the top page of a tree."""
    return bytes([0, tree]) + len(raw).to_bytes(2) + raw


def test_a_proposer_cannot_use_up_the_demands_that_others_would_make(contracts: Contracts) -> None:
    number = propose(contracts, ROOT)
    own = [demand(contracts, PROPOSER, number) for _ in range(70)]
    for one in own:
        contracts.call(PROPOSER, "answer", one, ROOT)
    demand(contracts, WATCHER, number, below_root(ROOT))
    contracts.wait(DEMAND_WINDOW + 1)
    contracts.call(WATCHER, "expire", contracts.state.demands)
    assert contracts.checkpoint(number).status is Status.REFUTED
    assert contracts.view("credit", WATCHER) == BOND // 2 + DEMAND_BOND


def test_a_page_that_was_shown_is_demanded_still_and_answered_by_its_bytes_alone(contracts: Contracts) -> None:
    number = propose(contracts, ROOT)
    contracts.call(PROPOSER, "show", ROOT)  # out of another contract's memory it would be in no data and no log
    one = demand(contracts, WATCHER, number)
    with pytest.raises(RevertedError, match="not shown"):
        contracts.call(PROPOSER, "answer", one, b"")
    sent = contracts.call(PROPOSER, "answer", one, ROOT)
    assert any(ROOT in body for _, body in sent.logs)


def test_a_page_that_no_page_names_cannot_be_demanded_of_a_right_checkpoint(contracts: Contracts) -> None:
    number = propose(contracts, ROOT)
    beyond, leaf = below_root(ROOT, 4), below_root(ROOT) + bytes([0, 0]) + len(LEAF).to_bytes(2) + LEAF
    for way in (beyond, leaf):
        with pytest.raises(RevertedError, match="no child"):
            demand(contracts, WATCHER, number, way)
    demand(contracts, WATCHER, number, below_root(ROOT, 3))


def test_a_page_that_is_malformed_needs_no_bytes(contracts: Contracts) -> None:
    number = propose(contracts, b"no page")
    one = demand(contracts, WATCHER, number)
    contracts.call(WATCHER, "show", b"no page")
    with pytest.raises(RevertedError, match="shown already"):
        demand(contracts, WATCHER, number)
    contracts.call(PROPOSER, "answer", one, b"")
    contracts.call(WATCHER, "challenge_page", number, 1, b"", b"", b"", b"")
    assert contracts.checkpoint(number).status is Status.REFUTED


def test_demands_put_an_end_off_until_72_demand_windows_after_it(contracts: Contracts) -> None:
    number = propose(contracts, ROOT)
    begun = contracts.registry.block[1]
    contracts.wait(LAST)
    one = demand(contracts, PROPOSER, number)
    contracts.call(PROPOSER, "answer", one, ROOT)
    assert contracts.checkpoint(number).ends == begun + LAST + 2 * DEMAND_WINDOW
    contracts.wait(1)
    with pytest.raises(RevertedError, match="demands are over"):
        demand(contracts, PROPOSER, number)
    contracts.wait(2 * DEMAND_WINDOW)
    contracts.call(WATCHER, "finalise", number)
    assert contracts.checkpoint(number).status is Status.FINAL


# --- what a publisher may commit -----------------------------------------------------------------------------------


def key(contracts: Contracts, subject: bytes) -> bytes:
    """A key of spog in the publisher's graph."""
    return b"\0".join([subject, b"p", b"o", prefix_of(contracts.domain, OWNER) + b"g>", b""])


def dataset(store: MemoryPageStore, keys: Iterable[bytes]) -> bytes:
    """A dataset whose four trees are one, which is all that a commit needs."""
    sink = PageSink(store)
    top, count = build_tree([sorted(keys)], sink)
    root = sink.add(DatasetRoot([top] * len(ORDERS), count))
    sink.flush()
    return root


def committed(contracts: Contracts, root: bytes) -> tuple[bytes, int, int, int]:
    """The publisher commits a dataset; the record."""
    Sequence(contracts.registry, PUBLISHER).send(root=root.removeprefix(CID_PREFIX))
    ((_, data),) = contracts.registry.logs
    number, time = contracts.registry.block
    return data[:32], int.from_bytes(data[64:96]), number, time


@pytest.mark.parametrize("first", [b"", b"\x01", b"\x12", b"\xff"])
@pytest.mark.parametrize("place", range(3))
def test_a_key_that_an_index_has_no_place_for_is_missed_by_nobody(
    contracts: Contracts, first: bytes, place: int
) -> None:
    parts = key(contracts, b"s").split(b"\0")
    parts[place] = first and first + b"x"
    odd = b"\0".join(parts)
    if odd >= b"\xff":
        return  # no leaf can hold it
    assert missed(contracts, odd) == "not the publisher's"
    assert missed(contracts, key(contracts, b"s")) is None


def missed(contracts: Contracts, one: bytes) -> str | None:
    """Why an empty union is not refuted for lacking a key that the publisher committed; None: it is refuted."""
    with contracts.env.anchor():
        store = MemoryPageStore()
        root = dataset(store, [one])
        record = committed(contracts, root)
        empty = dataset(store, [])
        number = propose(contracts, store.pages[empty])
        pages = StoredPages(store)
        ours, theirs = path(pages, root, 0, one).encode(), path(pages, empty, 0, one).encode()
        given = number, PUBLISHER, [record], ours, theirs, one, b"", b""
        try:
            contracts.call(WATCHER, "challenge_missing", *given)
        except RevertedError as error:
            return error.reason
        assert contracts.checkpoint(number).status is Status.REFUTED
        return None


def four(store: MemoryPageStore, *trees: Iterable[bytes]) -> bytes:
    """A dataset of four trees, whatever they say."""
    sink = PageSink(store)
    root = sink.add(DatasetRoot([build_tree([sorted(keys)], sink)[0] for keys in trees], 1))
    sink.flush()
    return root


@pytest.mark.parametrize("tree", range(1, 4))
def test_no_other_tree_than_spog_says_what_a_commit_or_a_checkpoint_has(contracts: Contracts, tree: int) -> None:
    store, one = MemoryPageStore(), key(contracts, b"s")
    pages, empty = StoredPages(store), four(store, [], [], [], [])
    elsewhere = four(store, *([one] if at == tree else [] for at in range(4)))
    record = committed(contracts, elsewhere)
    has, nowhere = path(pages, elsewhere, tree, one).encode(), path(pages, empty, 0, one).encode()
    number = propose(contracts, store.pages[empty])
    with pytest.raises(RevertedError, match="tree"):
        contracts.call(WATCHER, "challenge_missing", number, PUBLISHER, [record], has, nowhere, one, b"", b"")
    number = propose(contracts, store.pages[elsewhere])
    with pytest.raises(RevertedError, match="tree"):
        contracts.call(WATCHER, "challenge_extra", number, one, has, PUBLISHER, [record], nowhere, b"", b"")
    call = "demand_commit", PUBLISHER, record, below_root(store.pages[elsewhere], tree)
    with pytest.raises(RevertedError, match="tree"):
        contracts.call(WATCHER, *call, value=DEMAND_BOND)


@pytest.mark.parametrize("tree", range(1, 4))
def test_no_other_tree_than_spog_says_what_a_commit_or_a_checkpoint_lacks(contracts: Contracts, tree: int) -> None:
    store, one = MemoryPageStore(), key(contracts, b"s")
    full = four(store, *([] if at == tree else [one] for at in range(4)))
    record = committed(contracts, full)
    has, lacks = (path(StoredPages(store), full, at, one).encode() for at in (0, tree))
    number = propose(contracts, store.pages[full])
    with pytest.raises(RevertedError, match="tree"):
        contracts.call(WATCHER, "challenge_missing", number, PUBLISHER, [record], has, lacks, one, b"", b"")
    with pytest.raises(RevertedError, match="tree"):
        contracts.call(WATCHER, "challenge_extra", number, one, has, PUBLISHER, [record], lacks, b"", b"")


@pytest.mark.parametrize("tree", range(4))
def test_nobody_can_have_a_commit_marked_for_other_trees_than_spog_or_for_a_long_page(
    contracts: Contracts, tree: int
) -> None:
    leaf, bad = (cid_of(raw) for raw in (LEAF, b"no page"))
    raw = DatasetRoot([bad if at == tree else leaf for at in range(4)], 1).encode()
    record = committed(contracts, cid_of(raw))
    call = "mark_invalid", PUBLISHER, record, 1, below_root(raw, tree), b"no page", b"", b""
    if tree:
        with pytest.raises(RevertedError, match="tree"):
            contracts.call(WATCHER, *call)
        return
    contracts.call(WATCHER, *call)
    position = contracts.registry.view("log_length") - 1
    assert contracts.mark(position) == Mark(1, position, Reason.MALFORMED)
    for again, value in ((call, 0), (("demand_commit", PUBLISHER, record, b""), DEMAND_BOND)):
        with pytest.raises(RevertedError, match="marked"):
            contracts.call(WATCHER, *again, value=value)


def test_a_commit_that_was_marked_while_it_was_demanded_keeps_its_mark(contracts: Contracts) -> None:
    record = committed(contracts, cid_of(b"no page"))
    contracts.call(PROPOSER, "demand_commit", PUBLISHER, record, b"", value=DEMAND_BOND)
    contracts.call(PROPOSER, "demand_commit", PUBLISHER, record, b"", value=DEMAND_BOND)
    contracts.wait(DEMAND_WINDOW + 1)
    contracts.call(WATCHER, "expire", 2)
    contracts.call(WATCHER, "expire", 1)
    position = contracts.registry.view("log_length") - 1
    assert contracts.mark(position) == Mark(1, position, Reason.UNAVAILABLE)
    assert contracts.state.marks == 1
    assert contracts.view("credit", PROPOSER) == 2 * DEMAND_BOND


def test_a_long_page_is_a_fault_of_a_commit_as_its_root_only(contracts: Contracts) -> None:
    long = bytes(SHOW_MAX + 1)
    with pytest.raises(RevertedError, match="not long"):
        contracts.call(WATCHER, "show_long", *last_block(bytes(SHOW_MAX)))
    contracts.call(WATCHER, "show_long", *last_block(long))
    with contracts.env.anchor():
        record = committed(contracts, cid_of(long))
        contracts.call(WATCHER, "mark_invalid", PUBLISHER, record, 1, b"", b"", b"", b"")
    raw = DatasetRoot([cid_of(long)] * 4, 1).encode()
    record = committed(contracts, cid_of(raw))
    with pytest.raises(RevertedError, match="no fault"):
        contracts.call(WATCHER, "mark_invalid", PUBLISHER, record, 1, below_root(raw), b"", b"", b"")
    number = propose(contracts, raw)
    contracts.call(WATCHER, "challenge_page", number, 1, below_root(raw), b"", b"", b"")
    assert contracts.checkpoint(number).status is Status.REFUTED


def test_no_page_that_was_shown_and_is_not_long_hides_what_is_in_it(contracts: Contracts) -> None:
    store, one = MemoryPageStore(), key(contracts, b"s")
    root = dataset(store, [one])
    record = committed(contracts, root)
    number, member = propose(contracts, store.pages[root]), path(StoredPages(store), root, 0, one).encode()
    for raw in store.pages.values():
        contracts.call(WATCHER, "show", raw)
    for way in (b"", below_root(store.pages[root])):
        with pytest.raises(RevertedError, match="not absent"):
            contracts.call(WATCHER, "challenge_extra", number, one, member, PUBLISHER, [record], way, b"", b"")


@pytest.mark.parametrize("beyond", [2, 255])
def test_no_key_is_absent_because_a_path_ends_beyond_the_last_one(contracts: Contracts, beyond: int) -> None:
    store, one = MemoryPageStore(), key(contracts, b"s")
    root = dataset(store, [one])
    record = committed(contracts, root)
    way = path(StoredPages(store), root, 0, one)
    number, leaf = propose(contracts, store.pages[root]), way.steps[1].raw
    absent = below_root(store.pages[root]) + bytes([0, beyond]) + len(leaf).to_bytes(2) + leaf
    with pytest.raises(RevertedError, match="not absent"):
        contracts.call(WATCHER, "challenge_extra", number, one, way.encode(), PUBLISHER, [record], absent, b"", b"")


def test_a_key_on_a_page_that_is_longer_than_one_that_can_be_shown_is_missed_by_nobody(contracts: Contracts) -> None:
    store, one = MemoryPageStore(), key(contracts, b"s")
    for size, reason in ((SHOW_MAX, None), (SHOW_MAX + 1, "other page")):
        with contracts.env.anchor():
            rest = size - len(Leaf([one, b"z" * 30_000]).encode())
            leaf = Leaf([one, b"z" * (30_000 + rest)]).encode()
            assert len(leaf) == size
            raw = DatasetRoot([cid_of(leaf)] * 4, 2).encode()
            record, empty = committed(contracts, cid_of(raw)), dataset(store, [])
            number = propose(contracts, store.pages[empty])
            ours = below_root(raw) + bytes([0, 0]) + len(leaf).to_bytes(2) + leaf
            theirs = path(StoredPages(store), empty, 0, one).encode()
            call = "challenge_missing", number, PUBLISHER, [record], ours, theirs, one, b"", b""
            if reason is None:
                contracts.call(WATCHER, *call)
                continue
            with pytest.raises(RevertedError, match=reason):
                contracts.call(WATCHER, *call)


def test_a_separator_is_no_key_of_a_right_checkpoint(contracts: Contracts) -> None:
    store = MemoryPageStore()
    root = dataset(store, keys := [key(contracts, b"s%03d" % number) for number in range(300)])
    top = path(StoredPages(store), root, 0, keys[0]).steps[1]
    assert isinstance(top.page, Inner)
    way = below_root(store.pages[root]) + bytes([0, 0]) + len(top.raw).to_bytes(2) + top.raw
    number = propose(contracts, store.pages[root])
    with pytest.raises(RevertedError, match="not a member"):
        contracts.call(WATCHER, "challenge_extra", number, top.page.separators[0], way, WATCHER, [], b"", b"", b"")


def test_a_key_is_not_extra_because_somebody_else_has_committed_nothing(contracts: Contracts) -> None:
    store, one = MemoryPageStore(), key(contracts, b"s")
    root = dataset(store, [one])
    committed(contracts, root)
    number, member = propose(contracts, store.pages[root]), path(StoredPages(store), root, 0, one).encode()
    with pytest.raises(RevertedError, match="not the publisher's"):
        contracts.call(WATCHER, "challenge_extra", number, one, member, WATCHER, [], b"", b"", b"")


def test_the_empty_key_is_not_above_every_key(contracts: Contracts) -> None:
    store = MemoryPageStore()
    keys = [key(contracts, b"s%03d" % number) for number in range(300)]
    root = dataset(store, [b"", *keys])
    record = committed(contracts, root)
    union = dataset(store, keys)
    number = propose(contracts, store.pages[union])
    pages = StoredPages(store)
    member = path(pages, union, 0, keys[200]).encode()
    before_all = path(pages, root, 0, b"").encode()
    with pytest.raises(RevertedError, match="not absent"):
        contracts.call(WATCHER, "challenge_extra", number, keys[200], member, PUBLISHER, [record], before_all, b"", b"")


# --- what a publisher may withhold -----------------------------------------------------------------------------------


@pytest.mark.parametrize("put_off", [False, True])
def test_a_publisher_that_shows_one_level_after_the_other_outlasts_a_window_unless_its_end_is_put_off(
    contracts: Contracts, *, put_off: bool
) -> None:
    hidden = key(contracts, b"s")
    raws = [Leaf([hidden]).encode()]
    for _ in range(8):
        raws.insert(0, Inner([cid_of(raws[0])], [], [1]).encode())
    raws.insert(0, DatasetRoot([cid_of(raws[0])] * len(ORDERS), 1).encode())
    record = committed(contracts, cid_of(raws[0]))
    empty = dataset(store := MemoryPageStore(), [])
    number = propose(contracts, store.pages[empty])  # lacks the key that nobody else knows
    way = b""
    for raw in raws[:-1]:
        contracts.call(WATCHER, "demand_commit", PUBLISHER, record, way, value=DEMAND_BOND)
        one = contracts.state.demands
        if put_off:
            contracts.call(WATCHER, "answer", demand(contracts, WATCHER, number), store.pages[empty])
        contracts.wait(DEMAND_WINDOW)
        contracts.call(PROPOSER, "answer", one, raw)
        way += below_root(raw)
    theirs = path(StoredPages(store), empty, 0, hidden).encode()
    ours = way + below_root(raws[-1])
    missing = "challenge_missing", number, PUBLISHER, [record], ours, theirs, hidden, b"", b""
    contracts.call(WATCHER, *(missing if put_off else ("finalise", number)))
    assert contracts.checkpoint(number).status is (Status.REFUTED if put_off else Status.FINAL)
