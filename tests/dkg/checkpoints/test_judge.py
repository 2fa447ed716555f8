"""Evidence against checkpoints and commits: what is wrong is shown, and what is right cannot be."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.chain.checkpoints import Status
from dkg.checkpoints.evidence import extra, fault, index, invalid, missing, summarised
from dkg.checkpoints.judge import NOBODY, Extra, Fault, Index, Missing, RejectedError, judge
from dkg.checkpoints.owners import permute
from dkg.checkpoints.paths import Way, follow, path
from dkg.checkpoints.records import ClaimError, Record
from dkg.checkpoints.walk import FaultKind, PathError
from dkg.errors import InputError, ProofError
from dkg.limits import KEY_MAX, PATH_BYTES_MAX, SHOW_MAX, STEM_BYTES
from dkg.page import CID_PREFIX, ORDERS, DatasetRoot, Inner, Leaf, cid_of
from tests.dkg.checkpoints.worlds import PUBLISHERS, STRANGER, World, dataset, key, put, spog_only, tree

if TYPE_CHECKING:
    from dkg.chain.checkpoints import Checkpoint
    from dkg.checkpoints.judge import Evidence

ONE, TWO, THREE = PUBLISHERS


def keys_of(publisher: bytes, *numbers: int) -> set[bytes]:
    return {key(publisher, number) for number in numbers}


def world() -> World:
    """Three commits of one publisher, the last of them marked, and two of another; and a stranger's key in one."""
    made = World()
    made.commit(ONE, keys_of(ONE, *range(40)))  # 0
    made.commit(TWO, keys_of(TWO, *range(0, 60, 2)) | keys_of(ONE, 99))  # 1
    made.commit(ONE, keys_of(ONE, *range(1, 41)))  # 2
    made.commit(TWO, keys_of(TWO, *range(0, 70, 2)))  # 3
    made.commit(ONE, keys_of(ONE, *range(50)))  # 4
    made.mark(4)
    return made


def right(made: World, position: int | None = None, marks: int | None = None) -> Checkpoint:
    """A checkpoint with the union's root."""
    position = len(made.log.entries) if position is None else position
    marks = len(made.marked) if marks is None else marks
    return made.propose(dataset(made.store, made.union(position, marks)), position, marks)


def wrong(made: World, without: set[bytes], with_: set[bytes], position: int = 5, marks: int = 1) -> Checkpoint:
    """A checkpoint of other keys than the union's."""
    return made.propose(dataset(made.store, (made.union(position, marks) - without) | with_), position, marks)


def by_summaries(made: World, evidence: Evidence) -> Evidence:
    """The same evidence after all pages were shown."""
    for raw in list(made.store.pages.values()):
        made.show(raw)
    return summarised(evidence, set(made.shown))


def accepted(made: World, evidence: Evidence) -> str:
    """What evidence shows by bytes, and then by summaries."""
    said = judge(made.view, evidence)
    assert judge(made.view, by_summaries(made, evidence)) == said
    return said


# --- missing and extra --------------------------------------------------------------------------------------------


def test_a_key_that_counts_and_is_left_out_is_shown() -> None:
    made = world()
    lost = key(TWO, 68)
    evidence = missing(made.case(wrong(made, {lost}, set())), lost)
    assert accepted(made, evidence) == "a key that counts is missing"
    with pytest.raises(RejectedError, match="not the publisher's"):
        judge(made.view, replace(evidence, publisher=ONE))
    other = missing(made.case(wrong(made, {key(TWO, 66)}, set())), key(TWO, 66))
    with pytest.raises(PathError, match="does not end at the key"):
        judge(made.view, replace(evidence, ours=other.ours))
    with pytest.raises(ProofError):
        judge(made.view, replace(evidence, id=right(made).id))


@pytest.mark.parametrize(
    ("position", "marks", "number"), [(1, 0, 0), (2, 0, 0), (3, 0, 40), (4, 1, 40), (5, 0, 49), (5, 1, 40)]
)
def test_what_counts_just_before_at_and_after_a_commit_and_a_mark(position: int, marks: int, number: int) -> None:
    made = world()
    union = made.union(position, marks)
    lost, strange = key(ONE, number), key(ONE, 77)
    assert lost in union
    assert accepted(made, missing(made.case(wrong(made, {lost}, set(), position, marks)), lost)).endswith("missing")
    assert "not in what counts" in accepted(
        made, extra(made.case(wrong(made, set(), {strange}, position, marks)), strange)
    )


def test_a_key_of_the_commit_at_the_position_is_not_missing_yet() -> None:
    made = world()
    case = made.case(right(made, 3, 0))
    for late in (key(ONE, 49), key(TWO, 68)):
        with pytest.raises(InputError, match="does not count"):
            missing(case, late)
    later = missing(made.case(wrong(made, {key(TWO, 68)}, set(), 4, 0)), key(TWO, 68))
    with pytest.raises(ClaimError):
        judge(made.view, replace(later, id=right(made, 3, 0).id))


@pytest.mark.parametrize(
    ("strange", "said"),
    [
        (key(ONE, 0), "a key is not in what counts of its publisher"),
        (key(ONE, 99), "a key is not in what counts of its publisher"),
        (key(THREE, 1), "a key is of a publisher of which nothing counts"),
        (key(STRANGER, 1), "a key is of a publisher of which nothing counts"),
        (b"<urn:s>\0<urn:p>\0<urn:o>\0<urn:g>\0", "a key is nobody's"),
        (key(ONE, 1, "x" * KEY_MAX), "a key is too long"),
    ],
)
def test_a_key_that_does_not_count_is_shown(strange: bytes, said: str) -> None:
    made = world()
    evidence = extra(made.case(wrong(made, set(), {strange})), strange)
    assert accepted(made, evidence) == said
    other = replace(evidence, publisher=TWO)
    if evidence.publisher == NOBODY:
        assert judge(made.view, other) == said
        return
    with pytest.raises(RejectedError, match="not the publisher's"):
        judge(made.view, other)


def test_a_key_that_is_absent_from_a_commit_is_extra_only_where_a_checkpoint_has_it() -> None:
    made = world()
    strange = extra(made.case(wrong(made, set(), {key(ONE, 77)})), key(ONE, 77))
    assert judge(made.view, strange) == "a key is not in what counts of its publisher"
    with pytest.raises(PathError, match="does not end at the key"):
        judge(made.view, replace(strange, key=key(ONE, 78)))


@pytest.mark.parametrize("beyond", [2, 255])
def test_no_key_is_absent_because_a_path_ends_beyond_the_last_one(beyond: int) -> None:
    made, mine = World(), key(ONE, 1)
    record = Record.of(made.commit(ONE, {mine}))
    checkpoint = right(made)
    way = path(made.pages, CID_PREFIX + checkpoint.root, 0, mine)
    absent = Way((way.steps[0], replace(way.steps[1], at=beyond))).encode()
    with pytest.raises(PathError, match=f"ends at place {beyond} of a leaf of 1 keys"):
        judge(made.view, Extra(checkpoint.id, mine, way.encode(), ONE, (record,), absent, b"", b""))


def test_a_separator_is_no_key_of_a_right_checkpoint() -> None:
    made = World()
    made.commit(ONE, keys_of(ONE, *range(300)))
    checkpoint = right(made)
    top = follow(made.pages, CID_PREFIX + checkpoint.root, [0, 0])
    page = top.steps[1].page
    assert isinstance(page, Inner)
    with pytest.raises(PathError, match="does not end at a leaf"):
        judge(made.view, Extra(checkpoint.id, page.separators[0], top.encode(), NOBODY, (), b"", b"", b""))


def test_no_page_that_was_shown_and_is_not_long_hides_what_is_in_it() -> None:
    made, mine = world(), key(ONE, 20)
    strange = extra(made.case(wrong(made, set(), {key(ONE, 77)})), key(ONE, 77))
    checkpoint, root = right(made), CID_PREFIX + strange.records[0].root
    member = path(made.pages, CID_PREFIX + checkpoint.root, 0, mine).encode()
    for raw in list(made.store.pages.values()):
        made.show(raw)
    for absent in (b"", follow(made.pages, root, [0]).encode()):
        lie = Extra(checkpoint.id, mine, member, ONE, strange.records, absent, b"", b"")
        with pytest.raises(PathError, match="not shown to be long"):
            judge(made.view, lie)


@pytest.mark.parametrize("at", range(1, 4))
def test_no_other_tree_than_spog_says_what_a_commit_or_a_checkpoint_has_or_lacks(at: int) -> None:
    made, one = World(), key(ONE, 1)
    full, empty = tree(made.store, [one]), tree(made.store, [])
    elsewhere = put(made.store, DatasetRoot([full if tree == at else empty for tree in range(4)], 1))
    lacking = put(made.store, DatasetRoot([empty if tree == at else full for tree in range(4)], 1))
    nothing = spog_only(made.store, empty, 0)
    first, second = (made.commit(ONE, root=root) for root in (elsewhere, lacking))
    paths = {root: path(made.pages, root, at, one).encode() for root in (elsewhere, lacking)}
    has, nowhere = path(made.pages, lacking, 0, one).encode(), path(made.pages, nothing, 0, one).encode()
    late, records = made.propose(lacking), (Record.of(first), Record.of(second))
    for evidence in (
        Missing(made.propose(nothing, 1).id, ONE, records, paths[elsewhere], nowhere, one, b"", b""),
        Missing(late.id, ONE, records[1:], has, paths[lacking], one, b"", b""),
        Extra(made.propose(elsewhere, 1).id, one, paths[elsewhere], ONE, records, nowhere, b"", b""),
        Extra(late.id, one, has, ONE, records[1:], paths[lacking], b"", b""),
    ):
        with pytest.raises(PathError, match=f"takes tree {at}, not 0"):
            judge(made.view, evidence)


def test_the_longest_short_key_counts_and_one_byte_more_does_not() -> None:
    made = world()
    room = KEY_MAX - len(key(ONE, 1))
    last, over = key(ONE, 1, "x" * room), key(ONE, 1, "x" * (room + 1))
    made.commit(ONE, {last, over})
    assert made.union(6, 1) >= {last}
    assert accepted(made, missing(made.case(wrong(made, {last}, set(), 6)), last)).endswith("missing")
    assert accepted(made, extra(made.case(wrong(made, set(), {over}, 6)), over)) == "a key is too long"
    with pytest.raises(InputError, match="no publisher's"):
        missing(made.case(right(made)), over)


def behind_a_long_page(made: World) -> tuple[bytes, bytes, bytes]:
    """A commit with a long page: its root, a key behind it, one before it."""
    low, high = key(THREE, 1), key(THREE, 3000)
    middle = {key(THREE, 2000 + number, "x" * KEY_MAX) for number in range(38)} | {key(THREE, 2500)}
    leaves = [put(made.store, Leaf(sorted(keys))) for keys in ({low}, middle, {high})]
    top = put(made.store, Inner(leaves, [b"<urn:s2", b"<urn:s3"], [1, 39, 1]))
    return spog_only(made.store, top, 41), key(THREE, 2500), low


def test_a_key_behind_a_long_page_does_not_count_and_one_beside_it_does() -> None:
    made = world()
    root, behind, beside = behind_a_long_page(made)
    made.commit(THREE, {beside, key(THREE, 3000)}, root=root)
    evidence = extra(made.case(wrong(made, set(), {behind}, 6)), behind)
    with pytest.raises(PathError, match="not shown to be long"):
        judge(made.view, evidence)
    assert judge(made.view, by_summaries(made, evidence)) == "a key is behind a long page"
    assert judge(made.view, evidence) == "a key is behind a long page"
    case = made.case(right(made))
    with pytest.raises(InputError, match="counts"):
        extra(case, beside)
    for forged in (evidence, replace(evidence, key=beside)):
        with pytest.raises(PathError):
            judge(made.view, replace(forged, id=case.checkpoint.id))
    found = missing(made.case(wrong(made, {beside}, set(), 6)), beside)
    assert accepted(made, found).endswith("missing")


def test_all_of_a_commit_whose_dataset_root_is_long_is_hidden() -> None:
    made = world()
    raw = b"x" * (SHOW_MAX + 1)
    strange = key(THREE, 1)
    made.commit(THREE, root=cid_of(raw))
    checkpoint = wrong(made, set(), {strange}, 6)
    member = path(made.pages, CID_PREFIX + checkpoint.root, 0, strange).encode()
    records = made.case(checkpoint).claim(THREE)[0]
    evidence = Extra(checkpoint.id, strange, member, THREE, records, b"", b"", b"")
    with pytest.raises(PathError):
        judge(made.view, evidence)
    made.show(raw)
    assert judge(made.view, evidence) == "a key is behind a long page"
    for bounded in (replace(evidence, before=b"!"), replace(evidence, after=b"~")):
        with pytest.raises(PathError, match="neighbour or bound"):
            judge(made.view, bounded)


# --- index --------------------------------------------------------------------------------------------------------


def with_tree(made: World, at: int, change: set[bytes]) -> Checkpoint:
    """A checkpoint of the union's keys, but for one tree, in which some keys (of that tree) are put or left out."""
    union = made.union(5, 1)
    keys = {permute(one, "spog", ORDERS[at]) for one in union} ^ change
    return made.propose(dataset(made.store, union, {at: tree(made.store, keys)}), 5, 1)


@pytest.mark.parametrize("at", range(1, 4))
def test_a_key_that_one_index_lacks_is_shown_from_every_other(at: int) -> None:
    made = world()
    lost = key(TWO, 68)
    case = made.case(with_tree(made, at, {permute(lost, "spog", ORDERS[at])}))
    for other in range(4):
        if other != at:
            evidence = index(case, permute(lost, "spog", ORDERS[other]), other, at)
            assert accepted(made, evidence) == "a key is not in all trees"
            with pytest.raises(PathError):
                judge(made.view, replace(evidence, other=(at + 1) % 4))
            with pytest.raises(RejectedError, match="no tree 4"):
                judge(made.view, replace(evidence, other=4))


@pytest.mark.parametrize("at", range(1, 4))
def test_a_key_that_one_index_has_too_many_is_shown(at: int) -> None:
    made = world()
    strange = permute(key(TWO, 77), "spog", ORDERS[at])
    case = made.case(with_tree(made, at, {strange}))
    for other in range(4):
        if other != at:
            assert accepted(made, index(case, strange, at, other)) == "a key is not in all trees"


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize(
    ("strange", "said"),
    [
        (b"<a>\0<b>\0<c>\0", "a key is no quad's"),
        (b"<a>\0<b>\0<c>\0<d>\0<e>\0", "a key is no quad's"),
        (b"<a>\0\0<c>\0<d>\0", "a key is no quad's"),
        (b"<a>" + bytes(KEY_MAX), "a key is too long"),
    ],
)
def test_a_key_that_is_no_quad_s_is_shown_in_every_index(at: int, strange: bytes, said: str) -> None:
    made = world()
    evidence = index(made.case(with_tree(made, at, {strange})), strange, at, (at + 1) % 4)
    assert accepted(made, evidence) == said


# --- faults -------------------------------------------------------------------------------------------------------


A, B, C = b"<a>\0", b"<b>\0", b"<c>\0"


def trees(made: World) -> dict[str, tuple[bytes, int, FaultKind, list[int], bytes]]:
    """Wrong trees: top page, keys, the fault, the way below the tree, and the malformed page."""
    one, two = put(made.store, Leaf([A, B])), put(made.store, Leaf([C]))
    bad = DatasetRoot([one] * 4, 2).encode()
    odd = b"no page"
    return {
        "malformed": (put(made.store, Inner([one, cid_of(odd)], [C], [2, 1])), 3, FaultKind.PAGE, [1], odd),
        "another kind": (put(made.store, Inner([one, put(made.store, bad)], [C], [2, 2])), 4, FaultKind.PAGE, [1], bad),
        "count": (put(made.store, Inner([one, two], [C], [2, 2])), 4, FaultKind.COUNT, [1, 0], b""),
        "bounds": (put(made.store, Inner([two, one], [C], [1, 2])), 3, FaultKind.BOUNDS, [1, 0], b""),
        "upper bound": (put(made.store, Inner([one, two], [B], [2, 1])), 3, FaultKind.BOUNDS, [0, 1], b""),
    }


@pytest.mark.parametrize("name", trees(World()))
@pytest.mark.parametrize("at", range(4))
def test_a_fault_in_any_tree_of_a_checkpoint_is_shown_and_of_a_commit_in_spog_only(name: str, at: int) -> None:
    made = world()
    top, count, kind, below, page = trees(made)[name]
    root = put(made.store, DatasetRoot([top if other == at else tree(made.store, []) for other in range(4)], count))
    way = follow(made.pages, root, [at, *below])
    checkpoint = made.propose(root)
    assert accepted(made, fault(checkpoint, kind, way, page)) == f"a tree has the fault {kind.name.lower()}"
    commit = made.commit(THREE, root=root)
    evidence = invalid(commit, kind, way, page)
    if at:
        with pytest.raises(PathError, match="not 0"):
            judge(made.view, evidence)
        return
    assert accepted(made, evidence) == f"the spog has the fault {kind.name.lower()}"
    made.mark(commit.position)
    with pytest.raises(RejectedError, match="is marked"):
        judge(made.view, evidence)


def test_a_long_page_is_a_fault_of_a_checkpoint_and_of_a_commit_only_as_its_root() -> None:
    made = world()
    root, _, _ = behind_a_long_page(made)
    commit, checkpoint = made.commit(THREE, root=root), made.propose(root)
    way = follow(made.pages, root, [0, 1])
    for raw in list(made.store.pages.values()):
        made.show(raw)
    assert judge(made.view, fault(checkpoint, FaultKind.PAGE, way)) == "a tree has the fault page"
    with pytest.raises(RejectedError, match="hides what is behind it"):
        judge(made.view, invalid(commit, FaultKind.PAGE, way))
    raw = b"x" * (SHOW_MAX + 1)
    commit, checkpoint = made.commit(THREE, root=cid_of(raw)), made.propose(cid_of(raw))
    evidence = invalid(commit, FaultKind.PAGE, Way(()))
    with pytest.raises(PathError, match="not shown to be malformed or long"):
        judge(made.view, evidence)
    made.show(raw)
    assert judge(made.view, evidence) == "the spog has the fault page"
    assert judge(made.view, fault(checkpoint, FaultKind.PAGE, Way(()))) == "a tree has the fault page"


def test_a_commit_is_not_marked_by_a_record_that_the_log_has_not() -> None:
    made = world()
    top, count, kind, below, page = trees(made)["count"]
    root = spog_only(made.store, top, count)
    commit = made.commit(THREE, root=root)
    evidence = invalid(commit, kind, follow(made.pages, root, [0, *below]), page)
    record = evidence.record
    for changed in (
        replace(evidence, publisher=ONE),
        replace(evidence, record=replace(record, root=made.log.entries[0].commit.root)),
        replace(evidence, record=replace(record, numbers=record.numbers + (1 << 144))),
    ):
        with pytest.raises(RejectedError, match="not of that record"):
            judge(made.view, changed)


# --- what is right ------------------------------------------------------------------------------------------------


def everything(made: World) -> list[Evidence]:
    """Evidence of each kind against checkpoints that are wrong."""
    lost, strange = key(TWO, 68), key(ONE, 99)
    top, count, kind, below, page = trees(made)["count"]
    root = spog_only(made.store, top, count)
    gone = permute(lost, "spog", "posg")
    return [
        missing(made.case(wrong(made, {lost}, set())), lost),
        extra(made.case(wrong(made, set(), {strange})), strange),
        extra(made.case(wrong(made, set(), {key(STRANGER, 1)})), key(STRANGER, 1)),
        index(made.case(with_tree(made, 1, {gone})), lost, 0, 1),
        fault(made.propose(root), kind, follow(made.pages, root, [0, *below]), page),
    ]


@pytest.mark.parametrize("status", [Status.FINAL, Status.REFUTED])
def test_nothing_is_shown_of_a_checkpoint_that_is_not_pending(status: Status) -> None:
    made = world()
    evidence: Any
    for evidence in everything(made):
        assert judge(made.view, evidence)
        number = evidence.id
        made.checkpoints[number] = replace(made.checkpoints[number], status=status)
        with pytest.raises(RejectedError, match="is pending"):
            judge(made.view, evidence)
        with pytest.raises(RejectedError, match="no checkpoint 99 is pending"):
            judge(made.view, replace(evidence, id=99))


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("key", STEM_BYTES),
        ("before", STEM_BYTES),
        ("after", STEM_BYTES),
        ("ours", PATH_BYTES_MAX),
        ("theirs", PATH_BYTES_MAX),
    ],
)
def test_evidence_larger_than_the_contract_takes_is_refused(name: str, most: int) -> None:
    made = world()
    evidence: Any = everything(made)[0]
    with pytest.raises(RejectedError, match=f"{name} has {most + 1} bytes; {most} are the most"):
        judge(made.view, replace(evidence, **{name: bytes(most + 1)}))
    with pytest.raises(ProofError) as refused:
        judge(made.view, replace(evidence, **{name: bytes(most)}))
    assert "are the most" not in str(refused.value)


class Ready:
    """A world with right checkpoints, and what an attacker may take from it and from wrong ones."""

    def __init__(self) -> None:
        made = self.world = world()
        self.right = [right(made), right(made, 3, 0), right(made, 5, 0)]
        evidence = everything(made)
        evidence += [by_summaries(made, one) for one in evidence]
        self.evidence = evidence
        self.bytes = sorted(
            {v for one in evidence for f in fields(one) if isinstance(v := getattr(one, f.name), bytes)}
        )
        commits = [Record.of(one) for one in made.log.entries]
        self.records = [
            tuple(commits[number] for number in chosen)
            for chosen in ((), (0,), (2,), (1, 3), (0, 2), (2, 4), (3,), (4,))
        ]
        self.roots = sorted({record.root for record in commits} | {one.root for one in self.right})
        self.keys = [
            key(ONE, 0),
            key(ONE, 7),
            key(ONE, 40),
            key(ONE, 45),
            key(ONE, 99),
            key(TWO, 4),
            key(TWO, 68),
            key(TWO, 69),
            key(THREE, 1),
        ]


READY = Ready()


@settings(max_examples=settings().max_examples * 2)
@given(st.data())
def test_of_a_right_checkpoint_nothing_can_be_shown_with_parts_of_evidence_against_wrong_ones(
    data: st.DataObject,
) -> None:
    one, other = data.draw(st.sampled_from(READY.evidence)), data.draw(st.sampled_from(READY.evidence))
    known = {field.name for field in fields(one)} & {field.name for field in fields(other)}
    changed: Any = replace(
        one, **{name: getattr(other, name) for name in data.draw(st.sets(st.sampled_from(sorted(known))))}
    )
    for name in data.draw(st.sets(st.sampled_from([field.name for field in fields(one)]), max_size=2)):
        if isinstance(getattr(changed, name), bytes) and name != "publisher":
            changed = replace(changed, **{name: data.draw(st.sampled_from(READY.bytes))})
    for checkpoint in READY.right:
        with pytest.raises(ProofError):
            judge(READY.world.view, replace(changed, id=checkpoint.id))


@settings(max_examples=settings().max_examples * 5)
@given(st.data())
def test_of_a_right_checkpoint_nothing_can_be_shown_with_its_own_pages(data: st.DataObject) -> None:
    made, checkpoint = READY.world, data.draw(st.sampled_from(READY.right))
    one, who = data.draw(st.sampled_from(READY.keys)), data.draw(st.sampled_from([ONE, TWO, THREE, NOBODY]))
    records = data.draw(st.sampled_from(READY.records))
    at, other = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    moved, again = permute(one, "spog", ORDERS[at]), permute(one, "spog", ORDERS[other])
    root, union = data.draw(st.sampled_from(READY.roots)), CID_PREFIX + checkpoint.root
    there, here = path(made.pages, CID_PREFIX + root, 0, one), path(made.pages, union, 0, one)
    first, second = path(made.pages, union, at, moved), path(made.pages, union, other, again)
    kind = data.draw(st.sampled_from(FaultKind))
    page = data.draw(st.sampled_from([b"", *(step.raw for step in here.steps)]))
    shown: list[Evidence] = [
        Missing(checkpoint.id, who, records, there.encode(), here.encode(), one, here.before, here.after),
        Extra(checkpoint.id, one, here.encode(), who, records, there.encode(), there.before, there.after),
        Index(checkpoint.id, moved, first.encode(), other, second.encode(), second.before, second.after),
        Fault(
            checkpoint.id, kind, Way(here.steps[: data.draw(st.integers(0, 5))]).encode(), page, here.before, here.after
        ),
    ]
    for evidence in shown:
        with pytest.raises(ProofError):
            judge(made.view, evidence)


def test_makers_of_evidence_refuse_what_is_right() -> None:
    made = world()
    checkpoint = right(made)
    case = made.case(checkpoint)
    for one in made.union(5, 1):
        with pytest.raises(InputError, match="has it"):
            missing(case, one)
        with pytest.raises(InputError, match="the key counts"):
            extra(case, one)
        for other in range(1, 4):
            with pytest.raises(InputError, match="has the key too"):
                index(case, one, 0, other)
    for one in (key(ONE, 99), key(THREE, 1)):
        with pytest.raises(InputError, match="has not the key"):
            extra(case, one)
        with pytest.raises(InputError, match="has not the key"):
            index(case, one, 0, 1)
        with pytest.raises(InputError, match=r"cannot be missing|does not count"):
            missing(case, one)
