"""Relayed statements: whose signature counts, for what, and in which one form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_account.messages import encode_typed_data

from contracts.statements import TYPES, parts, typed_data
from tests.contracts.onchain import (
    CHAIN_ID,
    KEYS,
    ZERO,
    OnChain,
    RevertedError,
    Sequence,
    Step,
    sign,
)

OWNER, HOT, RELAYER = KEYS[:3]
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
FIRST = Step(OWNER.address)


def relay(chain: OnChain, step: Step, signature: bytes) -> None:
    chain.call(RELAYER.address, "commit_signed", *step.relayed, signature)


def refused(chain: OnChain, step: Step, signature: bytes) -> str:
    """Why the contract refuses a relayed commit; it must change nothing."""
    before = chain.view("log_length"), chain.view("heads", step.publisher)
    with pytest.raises(RevertedError) as error:
        relay(chain, step, signature)
    assert (chain.view("log_length"), chain.view("heads", step.publisher)) == before
    return error.value.reason


def numbers(signature: bytes) -> tuple[int, int, int]:
    return int.from_bytes(signature[:32]), int.from_bytes(signature[32:64]), signature[64]


def join(r: int, s: int, v: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32) + bytes([v])


def test_signed_commit_is_logged_as_a_direct_one(chain: OnChain) -> None:
    with chain.env.anchor():
        direct = chain.call(OWNER.address, "commit", *FIRST.arguments), chain.view("entries", 0)
    signature = chain.sign(OWNER, "Commit", *FIRST.signed_part)
    relayed = chain.call(RELAYER.address, "commit_signed", *FIRST.relayed, signature), chain.view("entries", 0)
    assert relayed == direct


def test_later_signed_commit_is_logged(chain: OnChain) -> None:
    commits = Sequence(chain, OWNER.address)
    commits.send()
    step = commits.next()
    relay(chain, step, chain.sign(OWNER, "Commit", *step.signed_part))
    assert chain.view("log_length") == 2


def test_the_publisher_may_relay_its_own_signature(chain: OnChain) -> None:
    chain.call(OWNER.address, "commit_signed", *FIRST.relayed, chain.sign(OWNER, "Commit", *FIRST.signed_part))
    assert chain.view("log_length") == 1


def test_the_publisher_that_relays_a_signature_needs_a_good_one(chain: OnChain) -> None:
    # Who sends it does not stand in for who signed it.
    with pytest.raises(RevertedError, match=r"^not the signer$"):
        chain.call(OWNER.address, "commit_signed", *FIRST.relayed, chain.sign(HOT, "Commit", *FIRST.signed_part))


# --- one form of each signature ---------------------------------------------------------------------------------


def test_high_s_signature_rejected(chain: OnChain) -> None:
    # (r, n - s) with the other v is a signature by the same key over the same digest.
    r, s, v = numbers(chain.sign(OWNER, "Commit", *FIRST.signed_part))
    assert s <= ORDER // 2
    assert refused(chain, FIRST, join(r, ORDER - s, 55 - v)) == "signature s"


@pytest.mark.parametrize(("s", "reason"), [(ORDER // 2, "not the signer"), (ORDER // 2 + 1, "signature s")])
def test_s_at_half_the_order_is_the_last_one_that_is_looked_at(chain: OnChain, s: int, reason: str) -> None:
    r, _, v = numbers(chain.sign(OWNER, "Commit", *FIRST.signed_part))
    assert refused(chain, FIRST, join(r, s, v)) == reason


def test_flipped_v_rejected(chain: OnChain) -> None:
    r, s, v = numbers(chain.sign(OWNER, "Commit", *FIRST.signed_part))
    assert refused(chain, FIRST, join(r, s, 55 - v)) == "not the signer"


@pytest.mark.parametrize("v", [0, 1, 2, 26, 29, 255])
def test_v_other_than_27_and_28_rejected(chain: OnChain, v: int) -> None:
    r, s, _ = numbers(chain.sign(OWNER, "Commit", *FIRST.signed_part))
    assert refused(chain, FIRST, join(r, s, v)) == "signature v"


def test_v_of_eip_155_rejected(chain: OnChain) -> None:
    r, s, v = numbers(chain.sign(OWNER, "Commit", *FIRST.signed_part))
    assert refused(chain, FIRST, join(r, s, v - 27 + 35 + 2 * 1)) == "signature v"


@pytest.mark.parametrize("which", ["r = 0", "s = 0", "both 0", "r = n", "r = n + 1", "r = 2^256 - 1"])
def test_r_or_s_out_of_range_rejected(chain: OnChain, which: str) -> None:
    r, s, v = numbers(chain.sign(OWNER, "Commit", *FIRST.signed_part))
    made = {
        "r = 0": (0, s),
        "s = 0": (r, 0),
        "both 0": (0, 0),
        "r = n": (ORDER, s),
        "r = n + 1": (ORDER + 1, s),
        "r = 2^256 - 1": (2**256 - 1, s),
    }[which]
    assert refused(chain, FIRST, join(*made, v)) == "signature"


@pytest.mark.parametrize("s", [ORDER, ORDER + 1, 2**256 - 1])
def test_s_not_below_the_order_rejected(chain: OnChain, s: int) -> None:
    r, _, v = numbers(chain.sign(OWNER, "Commit", *FIRST.signed_part))
    assert refused(chain, FIRST, join(r, s, v)) == "signature s"


def test_r_that_is_no_point_of_the_curve_rejected(chain: OnChain) -> None:
    _, s, v = numbers(chain.sign(OWNER, "Commit", *FIRST.signed_part))
    assert refused(chain, FIRST, join(5, s, v)) == "signature"  # 5^3 + 7 is no square


def test_each_word_of_a_signature_counts(chain: OnChain) -> None:
    # The registry takes r, s and v as words: there is no length, no padding and no second encoding (DER, EIP-2098).
    data = chain.calldata("commit_signed", *FIRST.relayed, *parts(chain.sign(OWNER, "Commit", *FIRST.signed_part)))
    assert len(data) == 4 + 10 * 32
    for place in range(len(data) - 96, len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(RevertedError):
            chain.raw(RELAYER.address, bytes(changed))
    chain.raw(RELAYER.address, data)
    assert chain.view("log_length") == 1


def test_short_calldata_rejected(chain: OnChain) -> None:
    data = chain.calldata("commit_signed", *FIRST.relayed, *parts(chain.sign(OWNER, "Commit", *FIRST.signed_part)))
    with pytest.raises(RevertedError, match=r"^$"):
        chain.raw(RELAYER.address, data[:-1])


@pytest.mark.parametrize("place", [0, 11, 12 + 20], ids=["publisher", "publisher's last", "seq"])
def test_dirty_bits_above_a_value_rejected(chain: OnChain, place: int) -> None:
    data = chain.calldata("commit_signed", *FIRST.relayed, *parts(chain.sign(OWNER, "Commit", *FIRST.signed_part)))
    changed = bytearray(data)
    changed[4 + place] = 1
    with pytest.raises(RevertedError, match=r"^$"):
        chain.raw(RELAYER.address, bytes(changed))


# --- for one statement, one contract, one chain -----------------------------------------------------------------


def test_signature_from_before_a_fork_of_the_chain_rejected_on_the_other_branch(chain: OnChain) -> None:
    signature = chain.sign(OWNER, "Commit", *FIRST.signed_part)
    separator = chain.view("domain_separator")
    chain.env.evm.patch.chain_id = CHAIN_ID + 1
    assert chain.view("domain_separator") != separator
    assert refused(chain, FIRST, signature) == "not the signer"
    relay(chain, FIRST, sign(OWNER, CHAIN_ID + 1, chain.address, "Commit", *FIRST.signed_part))
    assert chain.view("log_length") == 1


@pytest.mark.parametrize(
    ("field", "value"), [("name", "DKG"), ("version", "2"), ("verifyingContract", "0x" + "11" * 20)]
)
def test_signature_for_another_domain_rejected(chain: OnChain, field: str, value: str) -> None:
    values = dict(zip(TYPES["Commit"], FIRST.signed_part, strict=True))
    statement = typed_data(CHAIN_ID, chain.address, "Commit", values)
    statement["domain"][field] = value
    signature = bytes(OWNER.sign_message(encode_typed_data(full_message=statement)).signature)
    assert refused(chain, FIRST, signature) == "not the signer"


def test_the_domain_separator_is_that_of_eip_712(chain: OnChain) -> None:
    statement = encode_typed_data(
        full_message=typed_data(CHAIN_ID, chain.address, "Revoke", {"publisher": OWNER.address, "nonce": 0})
    )
    assert chain.view("domain_separator") == bytes(statement.header)


@pytest.mark.parametrize(
    "change",
    [
        {"publisher": HOT.address},
        {"seq": 2},
        {"root": b"\x03" * 32},
        {"count": 4},
        {"previous": b"\x03" * 32},
        {"created": 1_800_000_001},
    ],
    ids=lambda change: next(iter(change)),
)
def test_signature_over_another_commit_rejected(chain: OnChain, change: dict[str, Any]) -> None:
    signature = chain.sign(OWNER, "Commit", *replace(FIRST, **change).signed_part)
    assert refused(chain, FIRST, signature) == "not the signer"


def test_prior_is_not_signed_but_checked(chain: OnChain) -> None:
    # The signer need not know where its commit before was logged; the relayer shows it.
    commits = Sequence(chain, OWNER.address)
    commits.send()
    step = commits.next()
    signature = chain.sign(OWNER, "Commit", *step.signed_part)
    assert refused(chain, replace(step, prior=ZERO), signature) == "wrong previous or prior"
    relay(chain, step, signature)
    assert chain.view("log_length") == 2


def test_replayed_signed_commit_rejected(chain: OnChain) -> None:
    signature = chain.sign(OWNER, "Commit", *FIRST.signed_part)
    relay(chain, FIRST, signature)
    assert refused(chain, FIRST, signature) == "wrong seq"


def test_two_signed_commits_for_one_seq_only_the_first_counts(chain: OnChain) -> None:
    other = replace(FIRST, root=b"\x03" * 32)
    one, two = (chain.sign(OWNER, "Commit", *step.signed_part) for step in (FIRST, other))
    relay(chain, other, two)
    assert refused(chain, FIRST, one) == "wrong seq"


def test_signature_by_a_stranger_rejected(chain: OnChain) -> None:
    assert refused(chain, FIRST, chain.sign(RELAYER, "Commit", *FIRST.signed_part)) == "not the signer"


def test_signature_for_a_publisher_that_is_the_zero_address_rejected(chain: OnChain) -> None:
    # ecrecover gives 0 for a bad signature: it must not pass for the publisher 0.
    step = replace(FIRST, publisher="0x" + "00" * 20)
    assert refused(chain, step, join(0, 0, 27)) == "signature"
