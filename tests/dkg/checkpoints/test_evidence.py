"""The size of evidence: what to show first, so that a transaction stays within its bound."""

from __future__ import annotations

from dataclasses import fields
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from eth_abi.abi import encode

from dkg.checkpoints.evidence import (
    CALLDATA_BYTES,
    calldata_bytes,
    extra,
    fault,
    invalid,
    missing,
    shows_needed,
    summarised,
)
from dkg.checkpoints.judge import judge
from dkg.checkpoints.paths import follow
from dkg.checkpoints.records import Record
from dkg.checkpoints.walk import FaultKind
from dkg.errors import InputError
from dkg.limits import KEY_MAX, SEGMENTS_MAX, SHOW_MAX
from dkg.page import Inner, cid_of
from tests.dkg.checkpoints.test_judge import everything, trees, world
from tests.dkg.checkpoints.worlds import PUBLISHERS, World, dataset, deep, key, put, spog_only

if TYPE_CHECKING:
    from dkg.checkpoints.judge import Evidence

RECORD = "(bytes32,uint256,uint256,uint256)"


def by_abi(evidence: Evidence) -> bytes:
    """The transaction's data, as a library for the ABI encodes it."""
    types, values = [], []
    for field in fields(evidence):
        value: Any = getattr(evidence, field.name)
        if field.name == "publisher":
            types.append("address")
        elif field.name in {"records", "record"}:
            types.append(RECORD + ("[]" if field.name == "records" else ""))
            rows = [
                (one.root, one.numbers, one.block_number, one.timestamp)
                for one in ([value] if isinstance(value, Record) else value)
            ]
            value = rows if field.name == "records" else rows[0]
        else:
            types.append("bytes" if isinstance(value, bytes) else "uint256")
        values.append(value)
    return bytes(4) + encode(types, values)


def test_the_size_of_the_transaction_is_what_the_abi_says() -> None:
    made = world()
    top, count, kind, below, page = trees(made)["malformed"]
    root = spog_only(made.store, top, count)
    marking = invalid(made.commit(PUBLISHERS[2], root=root), kind, follow(made.pages, root, [0, *below]), page)
    for evidence in (*everything(made), marking):
        assert calldata_bytes(evidence) == len(by_abi(evidence))


def large() -> tuple[World, Evidence]:
    """Evidence with pages as large as can be: two paths to leaves of 40 keys of the longest length."""
    made = World()
    room = KEY_MAX - len(key(PUBLISHERS[0], 1))
    keys = [key(PUBLISHERS[0], number, "x" * room) for number in range(600)]
    made.commit(PUBLISHERS[0], keys)
    lost = keys[300]
    return made, missing(made.case(made.propose(dataset(made.store, set(keys) - {lost}))), lost)


def test_small_evidence_needs_nothing_shown() -> None:
    for evidence in everything(world()):
        assert calldata_bytes(evidence) <= CALLDATA_BYTES
        assert shows_needed(evidence) == []


@pytest.mark.parametrize("budget", [CALLDATA_BYTES, 20_000, 10_000])
def test_large_pages_are_shown_first_and_no_more_than_needed(budget: int) -> None:
    made, evidence = large()
    assert calldata_bytes(evidence) > CALLDATA_BYTES
    raws = shows_needed(evidence, budget)
    digests = [made.show(raw) for raw in raws]
    small = summarised(evidence, set(digests))
    assert calldata_bytes(small) <= budget < calldata_bytes(summarised(evidence, set(digests[:-1])))
    assert all(len(raw) <= SHOW_MAX for raw in raws)
    assert judge(made.view, small) == judge(made.view, evidence) == "a key that counts is missing"


def test_a_budget_that_cannot_be_held_shows_all_pages_once() -> None:
    made, evidence = large()
    raws = shows_needed(evidence, 0)
    assert len(raws) == len(set(raws)) > 2
    assert judge(made.view, summarised(evidence, {made.show(raw) for raw in raws})) == "a key that counts is missing"


def test_a_malformed_page_is_shown_before_its_fault() -> None:
    made = World()
    odd = bytes(SHOW_MAX)
    levels = SEGMENTS_MAX - 3
    root = spog_only(made.store, deep(made.store, cid_of(odd), 1, levels), 1)
    way = follow(made.pages, root, [0] * (levels + 1))
    evidence = fault(made.propose(root), FaultKind.PAGE, way, odd)
    assert shows_needed(evidence) == []
    assert shows_needed(evidence, 20_000) == [odd]
    digest = made.show(odd)
    small = summarised(evidence, {digest})
    assert small.page == b""
    assert judge(made.view, small) == judge(made.view, evidence) == "a tree has the fault page"
    assert sha256(odd).digest() == digest


def test_the_largest_evidence_there_is_fits_when_its_pages_were_shown() -> None:
    made = World()
    room = KEY_MAX - len(key(PUBLISHERS[0], 1))
    keys = [key(PUBLISHERS[0], number, "x" * room) for number in range(40)]

    def tall(some: list[bytes]) -> bytes:
        """A tree of 32 levels, of which each inner page has eight children with the longest separators."""
        store, top, count = made.store, dataset(made.store, some), len(some)
        top = made.pages.root(top).trees[0]
        for level in range(SEGMENTS_MAX - 3):
            separators = [b"=%02d" % level + b"%d" % at * (KEY_MAX - 3) for at in range(7)]
            top = put(store, Inner([top, *[cid_of(b"%d" % at) for at in range(7)]], separators, [count] + [1] * 7))
            count += 7
        return spog_only(store, top, count)

    whole, lacking = tall(keys), tall(keys[:20] + keys[21:])
    for _ in range(8):
        made.commit(PUBLISHERS[0], keys, root=whole)
    for position in range(1, 8):
        made.mark(position)
    evidence = missing(made.case(made.propose(lacking)), keys[20])
    assert len(evidence.records) == 8
    small = summarised(evidence, {made.show(raw) for raw in shows_needed(evidence)})
    assert calldata_bytes(small) <= CALLDATA_BYTES
    assert judge(made.view, small) == "a key that counts is missing"


def test_evidence_by_summaries_is_not_summarised_again() -> None:
    made, evidence = large()
    small = summarised(evidence, {made.show(raw) for raw in shows_needed(evidence)})
    with pytest.raises(InputError, match="cannot be summarised again"):
        summarised(small, set(made.shown))


def test_the_stem_of_a_long_key_is_what_is_sent() -> None:
    made = World()
    made.commit(PUBLISHERS[0], {key(PUBLISHERS[0], 1)})
    long = key(PUBLISHERS[0], 2, "x" * KEY_MAX)
    evidence = extra(made.case(made.propose(dataset(made.store, {long}))), long)
    assert evidence.key == long[: KEY_MAX + 1]
    assert judge(made.view, evidence) == "a key is too long"
