"""Commits: the digests of another EIP-712 implementation, and each way to misuse a signature (rows C4, E1, E2)."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import libipld
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from dkg.chain.commit import Commit, Domain, SignedCommit, Statement, verify_commit
from dkg.chain.secp import SignatureError, keccak256, recover
from dkg.errors import InputError, ProofError
from tests.dkg.chain.contexts import COMMIT, DOMAIN, KEY, OTHER_KEY, PUBLISHER, STATEMENTS, contexts, typed_data

NUMBERS = st.integers(0, 2**48 - 1)
HASHES = st.binary(min_size=32, max_size=32).filter(any)
COMMITS = st.builds(Commit, st.just(PUBLISHER), st.integers(2, 2**48 - 1), HASHES, NUMBERS, HASHES, NUMBERS)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: s.name)
def test_a_wallet_signs_the_same_bytes(statement: Statement) -> None:
    signed = Account.sign_typed_data(KEY, full_message=typed_data(DOMAIN, statement))
    assert statement.sign(DOMAIN, KEY) == bytes(signed.signature)
    assert statement.digest(DOMAIN) == bytes(signed.message_hash)


@given(COMMITS, st.integers(1, 2**53 - 1), st.binary(min_size=20, max_size=20))
def test_digests_are_those_of_eth_account(commit: Commit, chain_id: int, registry: bytes) -> None:
    domain = Domain(chain_id, registry)
    message = encode_typed_data(full_message=typed_data(domain, commit))
    assert commit.digest(domain) == keccak256(b"\x19\x01" + message.header + message.body)


@pytest.mark.parametrize("chain_id", [0, -1, 2**64, True, "1", 1.0, None])
def test_ids_of_chains_have_64_bits_and_are_not_zero(chain_id: Any) -> None:  # noqa: ANN401
    assert Domain(2**64 - 1, b"\xaa" * 20).chain_id == 2**64 - 1
    with pytest.raises(InputError, match="id of a chain"):
        Domain(chain_id, b"\xaa" * 20)


@pytest.mark.parametrize("registry", [b"", b"\xaa" * 19, b"\xaa" * 32, "0x" + "aa" * 20, bytearray(20)])
def test_the_address_of_a_registry_has_20_bytes(registry: Any) -> None:  # noqa: ANN401
    with pytest.raises(InputError, match="20 bytes"):
        Domain(1, registry)


@given(COMMITS)
def test_a_signed_commit_is_read_back(commit: Commit) -> None:
    signed = SignedCommit.make(DOMAIN, commit, KEY)
    assert SignedCommit.decode(signed.encode()) == signed
    assert verify_commit(signed, DOMAIN, PUBLISHER).commit == commit


# --- every signature is good for one thing only --------------------------------------------------------------------


CONTEXTS = contexts()


@pytest.mark.parametrize("name", CONTEXTS)
def test_each_signature_is_good_where_it_was_made(name: str) -> None:
    digest, signature = CONTEXTS[name]
    assert recover(digest, signature) == PUBLISHER


@pytest.mark.parametrize("of", CONTEXTS)
def test_no_signature_is_good_elsewhere(of: str) -> None:
    others = CONTEXTS.keys() - {of}
    assert len(others) > 25
    for used_as in others:
        try:
            found = recover(CONTEXTS[used_as][0], CONTEXTS[of][1])
        except SignatureError:
            found = b""
        assert found != PUBLISHER, f"{of}, used as {used_as}"


@pytest.mark.parametrize("of", CONTEXTS)
def test_no_other_signature_is_that_of_a_commit(of: str) -> None:
    signed = SignedCommit(DOMAIN, COMMIT, CONTEXTS[of][1])
    if of == "Commit":
        assert verify_commit(signed, DOMAIN, PUBLISHER).commit == COMMIT
        return
    with pytest.raises(SignatureError):
        verify_commit(signed, DOMAIN, PUBLISHER)


# --- signed commits -------------------------------------------------------------------------------------------------

SIGNED = SignedCommit.make(DOMAIN, COMMIT, KEY)


def test_commit_of_another_chain_is_refused() -> None:
    with pytest.raises(SignatureError, match="for chain 31337, not 1"):
        verify_commit(SIGNED, replace(DOMAIN, chain_id=1), PUBLISHER)


def test_commit_of_another_registry_is_refused() -> None:
    with pytest.raises(SignatureError, match="for the registry"):
        verify_commit(SIGNED, replace(DOMAIN, registry=b"\xab" * 20), PUBLISHER)


def test_commit_relabelled_for_another_chain_is_refused() -> None:
    other = replace(DOMAIN, chain_id=1)
    with pytest.raises(SignatureError, match="signed by"):
        verify_commit(replace(SIGNED, domain=other), other, PUBLISHER)


def test_commit_signed_by_a_stranger_is_refused() -> None:
    with pytest.raises(SignatureError, match="signed by"):
        verify_commit(SignedCommit.make(DOMAIN, COMMIT, OTHER_KEY), DOMAIN, PUBLISHER)


@pytest.mark.parametrize("name", [field.name for field in fields(Commit)])
def test_altered_commit_is_refused(name: str) -> None:
    value = getattr(COMMIT, name)
    altered: Any = value + 1 if isinstance(value, int) else bytes([value[0] ^ 1]) + value[1:]
    forged = replace(SIGNED, commit=replace(COMMIT, **{name: altered}))
    with pytest.raises(SignatureError, match="signed by"):
        verify_commit(forged, DOMAIN, PUBLISHER)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_commit(data: bytes) -> None:
    with pytest.raises(ProofError):
        SignedCommit.decode(data)


@given(st.integers(0, len(SIGNED.encode()) - 1), st.integers(1, 255))
def test_no_altered_byte_goes_unseen(at: int, mask: int) -> None:
    data = bytearray(SIGNED.encode())
    data[at] ^= mask
    with pytest.raises(ProofError):
        verify_commit(SignedCommit.decode(bytes(data)), DOMAIN, PUBLISHER)


def _encoded(**changes: object) -> bytes:
    found = libipld.decode_dag_cbor(SIGNED.encode())
    assert isinstance(found, dict)
    data: bytes = libipld.encode_dag_cbor({k: v for k, v in (found | changes).items() if v is not None})
    return data


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": None},
        {"extra": 1},
        {"chain": 0},
        {"chain": -1},
        {"chain": "1"},
        {"chain": True},
        {"registry": b""},
        {"sig": b""},
        {"sig": "x"},
        {"seq": 0},
        {"seq": 2**48},
        {"seq": True},
        {"seq": 2.0},
        {"root": bytes(32)},
        {"root": b"\1" * 31},
        {"previous": bytes(32)},
        {"count": -1},
        {"publisher": "0x"},
    ],
    ids=str,
)
def test_malformed_commit_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ProofError):
        SignedCommit.decode(_encoded(**changes))


def test_trailing_bytes_are_refused() -> None:
    with pytest.raises(ProofError):
        SignedCommit.decode(SIGNED.encode() + b"\0")


def test_a_commit_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(ProofError, match="1024 bytes at most"):
        SignedCommit.decode(SIGNED.encode().ljust(1025, b"\0"))


def test_the_first_commit_has_no_previous_root() -> None:
    first = Commit(PUBLISHER, 1, b"\1" * 32, 0, bytes(32), 0)
    assert first.seq == 1
    with pytest.raises(InputError, match="zero is for the first commit only"):
        replace(first, previous=b"\2" * 32)


@pytest.mark.parametrize("name", ["seq", "count", "created"])
def test_numbers_have_48_bits(name: str) -> None:
    most: dict[str, Any] = {name: 2**48 - 1}  # the registry packs them
    assert getattr(replace(COMMIT, **most), name) == 2**48 - 1
    beyond: dict[str, Any] = {name: 2**48}
    with pytest.raises(InputError, match=f"{name} of a Commit is between [01] and 2\\^48 - 1"):
        replace(COMMIT, **beyond)


@pytest.mark.parametrize("change", [{"count": 2**64}, {"count": -1}, {"publisher": b"x"}, {"root": b""}], ids=str)
def test_fields_have_the_sizes_of_their_types(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        replace(COMMIT, **change)
