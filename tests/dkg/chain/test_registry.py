"""Slots, heads and events of the registry, against an independent ABI coder."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from dkg.chain.commit import Commit
from dkg.chain.registry import (
    COMMITTED,
    RETIRED_TOPIC,
    REVOKED_TOPIC,
    ROTATED,
    Committed,
    Head,
    LogState,
    Retired,
    Revoked,
    Rotated,
    decode_event,
    entry_slot,
    head_slot,
)
from dkg.chain.secp import keccak256
from dkg.errors import ProofError

P, SIGNER = b"\xbb" * 20, b"\xcc" * 20
COMMIT = Commit(P, 3, b"\1" * 32, 100, b"\2" * 32, 1_700_000_000)
TOPICS = [COMMITTED, P.rjust(32, b"\0")]
TYPES = ["bytes32", "bytes32", "uint256"]


def packed(seq: int, position: int, prior_position: int, count: int, created: int) -> int:
    """The five numbers of a commit, as the contract packs them."""
    return seq << 192 | position << 144 | prior_position << 96 | count << 48 | created


NUMBERS = packed(3, 9, 4, 100, 1_700_000_000)
DATA = encode(TYPES, [b"\1" * 32, b"\2" * 32, NUMBERS])


def test_slots_are_those_of_abi_encoded_keys() -> None:
    assert head_slot(P) == keccak256(encode(["uint256", "address"], [1, P]))
    assert entry_slot(77) == keccak256(encode(["uint256", "uint256"], [2, 77]))


def test_an_entry_hashes_every_field() -> None:
    event = decode_event(TOPICS, DATA, 12, 1_700_000_012)
    assert event == Committed(COMMIT, 9, 4, 12, 1_700_000_012)
    assert isinstance(event, Committed)
    meta = encode(["address", "uint256", "uint256", "uint256"], [P, NUMBERS, 12, 1_700_000_012])
    assert event.numbers() == NUMBERS
    assert event.meta() == keccak256(meta)
    assert event.entry() == keccak256(COMMIT.root + event.meta())


@given(st.tuples(*[st.integers(1, 2**48 - 1)] * 5))
def test_numbers_are_unpacked_from_their_word(numbers: tuple[int, int, int, int, int]) -> None:
    event = decode_event(
        TOPICS, encode(TYPES, [b"\1" * 32, bytes(32 * (numbers[0] == 1)) or b"\2" * 32, packed(*numbers)]), 1, 1
    )
    assert isinstance(event, Committed)
    commit = event.commit
    assert (commit.seq, event.position, event.prior_position, commit.count, commit.created) == numbers
    assert event.numbers() == packed(*numbers)


def test_the_state_of_the_log_is_unpacked_from_its_word() -> None:
    assert LogState.unpack(0x0123 << 48 | 2**48 - 1) == LogState(first_block=0x0123, length=2**48 - 1)


@given(st.integers(0, 2**160 - 1), st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1))
def test_a_head_is_unpacked_from_its_word(code: int, seq: int, position: int) -> None:
    head = Head.unpack(P, code << 96 | seq << 48 | position)
    signer = {0: P, 1: None, 2: None}.get(code, code.to_bytes(20))
    assert (head.signer, head.seq, head.position, head.retired) == (signer, seq, position, code == 2)


def test_changes_of_keys_are_decoded() -> None:
    topic = P.rjust(32, b"\0")
    data = encode(["address", "uint64", "uint256"], [SIGNER, 5, 6])
    assert decode_event([ROTATED, topic], data, 1, 1) == Rotated(P, SIGNER, 5, 6)
    assert decode_event([REVOKED_TOPIC, topic], data, 1, 1) == Revoked(P, SIGNER, 5, 6)
    assert decode_event([RETIRED_TOPIC, topic], encode(["uint64", "uint256"], [5, 6]), 1, 1) == Retired(P, 5, 6)


@pytest.mark.parametrize(
    ("topics", "data"),
    [
        ([], DATA),
        ([COMMITTED], DATA),
        ([*TOPICS, P], DATA),
        ([b"\0" * 32, TOPICS[1]], DATA),
        ([ROTATED, TOPICS[1]], DATA),
        (TOPICS, DATA[:-1]),
        (TOPICS, DATA + b"\0" * 32),
        (TOPICS, DATA[:64] + b"\1" + DATA[65:]),
        ([COMMITTED, b"\1" + TOPICS[1][1:]], DATA),
        ([COMMITTED, P], DATA),
        (TOPICS, encode(TYPES, [b"\1" * 32, b"\2" * 32, packed(0, 9, 4, 100, 1)])),
        (TOPICS, encode(TYPES, [b"\0" * 32, b"\2" * 32, packed(3, 9, 4, 100, 1)])),
        (TOPICS, encode(TYPES, [b"\1" * 32, b"\2" * 32, 1 << 240 | NUMBERS])),
    ],
    ids=range(13),
)
def test_what_is_no_event_of_the_registry_is_refused(topics: list[bytes], data: bytes) -> None:
    with pytest.raises(ProofError):
        decode_event(topics, data, 1, 1)


@given(st.lists(st.binary(max_size=40), max_size=3), st.binary(max_size=300))
def test_arbitrary_bytes_are_an_event_or_are_refused(topics: list[bytes], data: bytes) -> None:
    with pytest.raises(ProofError):
        decode_event(topics, data, 1, 1)
