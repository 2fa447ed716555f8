"""What is done next about transactions, rule by rule (the numbers are those of `node.publish.decide`)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.publish.decide import (
    ATTEMPTS_MAX,
    NONCES_MAX,
    Chain,
    Fill,
    Fresh,
    Heard,
    Replace,
    Send,
    Step,
    Wait,
    decide,
)
from node.publish.errors import StuckError
from node.publish.fees import FeePolicy, Fees
from node.publish.jobs import Attempt

DATA = b"what to call"
POLICY = FeePolicy(replacements_max=2, stuck_blocks=3, stuck_s=30)
NOW = Chain(block=100, hash=b"100", nonce=7, pending=7, now=1000.0)


def attempt(number: int, nonce: int = 7, data: bytes = DATA, **more: bool) -> Attempt:
    return Attempt(b"%d" % number, b"\x11" * 20, nonce, Fees(100 + number, 10 + number), 50_000, data, b"raw", **more)


def heard(*attempts: Attempt, block: int = 100, time: float = 1000.0, last: bytes = b"100") -> dict[bytes, Heard]:
    return {one.hash: Heard(block, time, last) for one in attempts}


def step(attempts: list[Attempt], known: dict[bytes, Heard], chain: Chain = NOW) -> Step:
    return decide(attempts, DATA, chain, known, POLICY)


def test_1_without_a_transaction_that_can_be_mined_a_fresh_one_is_signed() -> None:
    assert step([], {}) == Fresh()
    assert step([attempt(1, nonce=6)], {}) == Fresh()
    assert step([attempt(1, refused=True)], {}) == Fresh()


def test_1_nonces_that_this_run_used_up_are_bounded() -> None:
    used = [attempt(number, nonce=number) for number in range(NONCES_MAX)]
    chain = replace(NOW, nonce=NONCES_MAX, pending=NONCES_MAX)
    assert step(used[1:], heard(*used[1:]), chain) == Fresh()
    assert step(used, heard(*used[1:]), chain) == Fresh()
    with pytest.raises(StuckError, match="8 nonces were used up"):
        step(used, heard(*used), chain)


def test_2_what_is_outdated_is_replaced_whatever_its_age() -> None:
    old = attempt(1, data=b"another call")
    assert step([old], {}) == Replace(old, old.fees, outdated=True)
    assert step([old], heard(old)) == Replace(old, old.fees, outdated=True)


def test_2_the_highest_fees_at_the_nonce_are_outbid_those_of_refused_ones_too() -> None:
    first, second = attempt(9, data=b"another call"), attempt(1, data=b"another call")
    refused = replace(attempt(20), refused=True)
    other_nonce = attempt(50, nonce=6)
    found = step([other_nonce, first, refused, second], {})
    assert found == Replace(second, Fees(120, 30), outdated=True)


def test_2_transactions_of_one_run_are_bounded() -> None:
    one = attempt(0, data=b"another call")
    others = {b"h%d" % number: Heard(1, 1.0, b"") for number in range(ATTEMPTS_MAX)}
    assert step([one], dict(list(others.items())[1:])) == Replace(one, one.fees, outdated=True)
    with pytest.raises(StuckError, match="64 transactions were sent"):
        step([one], others)
    with pytest.raises(StuckError, match="64 transactions were sent"):
        step([], others)


def test_3_what_this_run_has_not_sent_is_sent() -> None:
    one = attempt(1)
    assert step([one], {}) == Send(one, again=False)


def test_4_a_gap_is_filled_once_it_has_lasted() -> None:
    ahead = attempt(1, nonce=9)
    at_limit = replace(NOW, now=1030.0)
    assert step([ahead], heard(ahead), replace(NOW, now=1029.9)) == Wait()
    assert step([ahead], heard(ahead), at_limit) == Fill(7)
    assert step([ahead], heard(ahead), replace(at_limit, pending=8)) == Wait()


def test_5_a_block_without_it_and_it_is_sent_again() -> None:
    one = attempt(1)
    assert step([one], heard(one)) == Wait()
    assert step([one], heard(one), replace(NOW, hash=b"101", block=101)) == Send(one, again=True)


@pytest.mark.parametrize(("blocks", "seconds", "is_replaced"), [(3, 30, True), (2, 30, False), (3, 29.9, False)])
def test_6_stuck_is_so_many_blocks_and_seconds(blocks: int, seconds: float, is_replaced: bool) -> None:  # noqa: FBT001
    one = attempt(1)
    chain = replace(NOW, block=100 + blocks, now=1000 + seconds)
    found = step([one], heard(one), chain)
    assert found == (Replace(one, one.fees, outdated=False) if is_replaced else Wait())


def test_6_replacements_are_bounded() -> None:
    chain = replace(NOW, block=103, now=1030.0)
    some = [attempt(1), attempt(2)]
    assert step(some, heard(*some), chain) == Replace(some[1], some[1].fees, outdated=False)
    outdated = attempt(9, data=b"another call")
    assert isinstance(step([outdated, *some], heard(outdated, *some), chain), Replace)
    more = [*some, attempt(3)]
    with pytest.raises(StuckError, match="replaced 2 times"):
        step(more, heard(*more), chain)


def test_6_behind_somebody_elses_transaction_is_an_error() -> None:
    ahead = attempt(1, nonce=9)
    chain = replace(NOW, block=103, now=1030.0, pending=8)
    with pytest.raises(StuckError, match="has nonce 9 and waits for another one with nonce 7"):
        step([ahead], heard(ahead), chain)
