"""What a transaction pays: quotes, the cap, replacement, and what a balance allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.publish.errors import EmptyWalletError, GasCapError
from node.publish.fees import GWEI, FeePolicy, Fees, affordable, ether, gwei

PAYER = b"\x11" * 20
POLICY = FeePolicy(max_fee_cap=100)


def test_a_quote_leaves_room_for_a_rise_of_the_base_fee() -> None:
    assert FeePolicy().quote(7 * GWEI, 2 * GWEI) == Fees(16 * GWEI, 2 * GWEI)
    assert FeePolicy(base_multiple=3, tip=GWEI).quote(7 * GWEI, 2 * GWEI) == Fees(22 * GWEI, GWEI)
    assert FeePolicy(tip_max=GWEI).quote(7 * GWEI, 2 * GWEI) == Fees(15 * GWEI, GWEI)


def test_a_quote_ends_at_the_cap_and_fails_past_it() -> None:
    assert POLICY.quote(90, 10) == Fees(100, 10)
    assert POLICY.quote(60, 10) == Fees(100, 10)
    with pytest.raises(GasCapError, match="gas is above your cap"):
        POLICY.quote(91, 10)


def test_a_replacement_ends_at_the_cap_and_fails_past_it() -> None:
    assert POLICY.replacement(1, 1, Fees(88, 8)) == Fees(99, 9)
    with pytest.raises(GasCapError, match="a transaction waits that pays"):
        POLICY.replacement(1, 1, Fees(89, 8))
    with pytest.raises(GasCapError, match="the base fee is"):
        POLICY.replacement(101, 1, Fees(8, 8))


@given(st.integers(1, 2**60), st.integers(0, 2**60), st.integers(1, 2**60), st.integers(0, 2**60))
def test_a_replacement_pays_an_eighth_more_in_both_and_no_less_than_a_new_one(
    max_fee: int, tip: int, base_fee: int, suggested: int
) -> None:
    policy, before = FeePolicy(max_fee_cap=2**70, tip_max=2**60), Fees(max(max_fee, tip), tip)
    found, fresh = policy.replacement(base_fee, suggested, before), policy.quote(base_fee, suggested)
    assert found.max_fee * 8 >= before.max_fee * 9
    assert found.tip * 8 >= before.tip * 9
    assert found.max_fee >= fresh.max_fee
    assert found.max_fee >= found.tip


def test_a_balance_pays_what_it_can_at_its_limit_and_nothing_below() -> None:
    wanted, least = Fees(20, 5), Fees(12, 5)
    assert affordable(wanted, least, 1000, 20_000, PAYER) == wanted
    assert affordable(wanted, least, 1000, 15_999, PAYER) == Fees(15, 5)
    assert affordable(wanted, least, 1000, 12_000, PAYER) == least
    with pytest.raises(EmptyWalletError, match=r"Send it 0\.000000000000008001 ether or more") as caught:
        affordable(wanted, least, 1000, 11_999, PAYER)
    assert caught.value.missing == 8001


def test_what_goes_along_is_not_there_for_gas() -> None:
    wanted, least = Fees(20, 5), Fees(12, 5)
    assert affordable(wanted, least, 1000, 20_500, PAYER, 500) == wanted
    assert affordable(wanted, least, 1000, 12_500, PAYER, 500) == least
    with pytest.raises(EmptyWalletError, match=r"gas and the 0\.0000000000000005 ether that go along") as caught:
        affordable(wanted, least, 1000, 12_499, PAYER, 500)
    assert caught.value.missing == 8001


def test_the_tip_is_never_above_the_maximum_fee() -> None:
    assert affordable(Fees(50, 40), Fees(10, 5), 1, 10, PAYER) == Fees(10, 10)


def test_amounts_are_written_as_people_read_them() -> None:
    assert (gwei(1_500_000_000), gwei(1), gwei(0)) == ("1.5 gwei", "0.000000001 gwei", "0 gwei")
    assert (ether(10**18), ether(1234 * 10**18 + 1)) == ("1 ether", "1,234.000000000000000001 ether")
