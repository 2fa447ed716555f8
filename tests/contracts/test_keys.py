"""Rotation, revocation and retirement: who may, when, and what they leave."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.onchain import KEYS, NOBODY, OnChain, RevertedError, Sequence, Step

OWNER, HOT, NEXT, STRANGER = KEYS[:4]
PUBLISHER = OWNER.address
FIRST = Step(PUBLISHER)


def refused(chain: OnChain, sender: str, name: str, *values: Any) -> str:  # noqa: ANN401 - values of an ABI
    """Why the contract refuses a call; it must change nothing."""
    before = chain.view("heads", PUBLISHER), chain.view("nonces", PUBLISHER), chain.view("log_length")
    with pytest.raises(RevertedError) as error:
        chain.call(sender, name, *values)
    assert (chain.view("heads", PUBLISHER), chain.view("nonces", PUBLISHER), chain.view("log_length")) == before
    return error.value.reason


def code(chain: OnChain) -> int:
    """The signer in the publisher's head."""
    return int(chain.view("heads", PUBLISHER)) >> 96


# --- rotation ---------------------------------------------------------------------------------------------------


def test_rotation_names_a_signer(chain: OnChain) -> None:
    Sequence(chain, PUBLISHER).send()
    events = chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    values = {"publisher": PUBLISHER.lower(), "signer": HOT.address.lower(), "nonce": 0, "position": 1}
    assert events == [("Rotated", values)]
    assert chain.view("heads", PUBLISHER) == int(HOT.address, 16) << 96 | 1 << 48
    assert chain.view("signer_of", PUBLISHER) == HOT.address.lower()
    assert chain.view("nonces", PUBLISHER) == 1


def test_relayed_rotation_does_what_a_direct_one_does(chain: OnChain) -> None:
    with chain.env.anchor():
        direct = chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address), chain.view("heads", PUBLISHER)
    signature = chain.sign(OWNER, "Rotate", PUBLISHER, HOT.address, 0)
    relayed = chain.call(STRANGER.address, "rotate_signed", PUBLISHER, HOT.address, 0, signature)
    assert (relayed, chain.view("heads", PUBLISHER)) == direct


def test_after_a_rotation_the_new_signer_commits_and_the_old_ones_do_not(chain: OnChain) -> None:
    commits = Sequence(chain, PUBLISHER)
    commits.send()
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    assert refused(chain, PUBLISHER, "commit", *commits.next().arguments) == "not the signer"
    commits.send(HOT.address)
    chain.call(PUBLISHER, "rotate", PUBLISHER, NEXT.address)
    assert refused(chain, HOT.address, "commit", *commits.next().arguments) == "not the signer"
    commits.send(NEXT.address)
    assert chain.view("heads", PUBLISHER) == int(NEXT.address, 16) << 96 | 3 << 48 | 2


def test_commit_signed_before_a_rotation_and_relayed_after_rejected(chain: OnChain) -> None:
    signature = chain.sign(OWNER, "Commit", *FIRST.signed_part)
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    assert refused(chain, STRANGER.address, "commit_signed", *FIRST.relayed, signature) == "not the signer"
    chain.call(STRANGER.address, "commit_signed", *FIRST.relayed, chain.sign(HOT, "Commit", *FIRST.signed_part))
    assert chain.view("log_length") == 1


def test_commit_signed_by_the_signer_to_be_and_relayed_before_its_rotation_rejected(chain: OnChain) -> None:
    signature = chain.sign(HOT, "Commit", *FIRST.signed_part)
    assert refused(chain, STRANGER.address, "commit_signed", *FIRST.relayed, signature) == "not the signer"
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    chain.call(STRANGER.address, "commit_signed", *FIRST.relayed, signature)
    assert chain.view("log_length") == 1


def test_rotation_back_to_the_publisher(chain: OnChain) -> None:
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    chain.call(PUBLISHER, "rotate", PUBLISHER, PUBLISHER)
    assert code(chain) == int(PUBLISHER, 16)
    Sequence(chain, PUBLISHER).send()
    assert chain.view("log_length") == 1


def test_one_signer_may_sign_for_several_publishers_each_in_its_own_sequence(chain: OnChain) -> None:
    for owner in (OWNER, NEXT):
        chain.call(owner.address, "rotate", owner.address, HOT.address)
        Sequence(chain, owner.address).send(HOT.address)
    assert chain.view("heads", NEXT.address) == int(HOT.address, 16) << 96 | 1 << 48 | 1
    assert chain.view("heads", PUBLISHER) == int(HOT.address, 16) << 96 | 1 << 48


def test_rotation_by_a_stranger_rejected(chain: OnChain) -> None:
    assert refused(chain, STRANGER.address, "rotate", PUBLISHER, STRANGER.address) == "not the publisher"


def test_rotation_by_the_signer_rejected(chain: OnChain) -> None:
    # A stolen hot key does not take the publisher over.
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    assert refused(chain, HOT.address, "rotate", PUBLISHER, STRANGER.address) == "not the publisher"
    signature = chain.sign(HOT, "Rotate", PUBLISHER, STRANGER.address, 1)
    values = (PUBLISHER, STRANGER.address, 1, signature)
    assert refused(chain, STRANGER.address, "rotate_signed", *values) == "not the publisher"


def test_relayed_rotation_signed_by_a_stranger_rejected(chain: OnChain) -> None:
    signature = chain.sign(STRANGER, "Rotate", PUBLISHER, STRANGER.address, 0)
    values = (PUBLISHER, STRANGER.address, 0, signature)
    assert refused(chain, STRANGER.address, "rotate_signed", *values) == "not the publisher"


def test_relayed_rotation_to_another_signer_than_the_signed_one_rejected(chain: OnChain) -> None:
    signature = chain.sign(OWNER, "Rotate", PUBLISHER, HOT.address, 0)
    values = (PUBLISHER, STRANGER.address, 0, signature)
    assert refused(chain, STRANGER.address, "rotate_signed", *values) == "not the publisher"


def test_relayed_rotation_for_another_publisher_rejected(chain: OnChain) -> None:
    signature = chain.sign(OWNER, "Rotate", PUBLISHER, HOT.address, 0)
    values = (NEXT.address, HOT.address, 0, signature)
    assert refused(chain, STRANGER.address, "rotate_signed", *values) == "not the publisher"


def test_replayed_rotation_rejected(chain: OnChain) -> None:
    values = (PUBLISHER, HOT.address, 0, chain.sign(OWNER, "Rotate", PUBLISHER, HOT.address, 0))
    chain.call(STRANGER.address, "rotate_signed", *values)
    chain.call(PUBLISHER, "rotate", PUBLISHER, NEXT.address)
    assert refused(chain, STRANGER.address, "rotate_signed", *values) == "wrong nonce"


@pytest.mark.parametrize("direct", ["rotate", "revoke"])
def test_relayed_rotation_with_a_stale_nonce_rejected(chain: OnChain, direct: str) -> None:
    # A rotation that was signed and not relayed dies with whatever the publisher does next.
    values = (PUBLISHER, HOT.address, 0, chain.sign(OWNER, "Rotate", PUBLISHER, HOT.address, 0))
    chain.call(PUBLISHER, direct, PUBLISHER, *([NEXT.address] if direct == "rotate" else []))
    assert refused(chain, STRANGER.address, "rotate_signed", *values) == "wrong nonce"


@pytest.mark.parametrize("nonce", [1, 2, 2**64 - 1])
def test_relayed_rotation_with_a_future_nonce_rejected(chain: OnChain, nonce: int) -> None:
    signature = chain.sign(OWNER, "Rotate", PUBLISHER, HOT.address, nonce)
    values = (PUBLISHER, HOT.address, nonce, signature)
    assert refused(chain, STRANGER.address, "rotate_signed", *values) == "wrong nonce"


@pytest.mark.parametrize("number", [0, 1, 2])
def test_rotation_to_the_addresses_that_are_marks_in_a_head_rejected(chain: OnChain, number: int) -> None:
    signer = f"0x{number:040x}"
    assert refused(chain, PUBLISHER, "rotate", PUBLISHER, signer) == "no signer"
    values = (PUBLISHER, signer, 0, chain.sign(OWNER, "Rotate", PUBLISHER, signer, 0))
    assert refused(chain, STRANGER.address, "rotate_signed", *values) == "no signer"


@pytest.mark.parametrize("number", [3, 2**160 - 1])
def test_rotation_to_the_addresses_beside_them_is_taken(chain: OnChain, number: int) -> None:
    chain.call(PUBLISHER, "rotate", PUBLISHER, f"0x{number:040x}")
    assert code(chain) == number


# --- revocation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [OWNER, HOT])
@pytest.mark.parametrize("relayed", [False, True])
def test_the_publisher_or_its_signer_revokes(chain: OnChain, by: Any, *, relayed: bool) -> None:  # noqa: ANN401
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    commits = Sequence(chain, PUBLISHER)
    commits.send(HOT.address)
    entry = chain.view("entries", 0)
    if relayed:
        signature = chain.sign(by, "Revoke", PUBLISHER, 1)
        events = chain.call(STRANGER.address, "revoke_signed", PUBLISHER, 1, signature)
    else:
        events = chain.call(by.address, "revoke", PUBLISHER)
    values = {"publisher": PUBLISHER.lower(), "signer": HOT.address.lower(), "nonce": 1, "position": 1}
    assert events == [("Revoked", values)]
    assert chain.view("heads", PUBLISHER) == 1 << 96 | 1 << 48
    assert chain.view("signer_of", PUBLISHER) == NOBODY
    assert chain.view("entries", 0) == entry  # what was committed before stays


def test_the_publisher_revokes_itself_as_the_signer(chain: OnChain) -> None:
    ((name, values),) = chain.call(PUBLISHER, "revoke", PUBLISHER)
    assert (name, values["signer"]) == ("Revoked", PUBLISHER.lower())
    assert refused(chain, PUBLISHER, "commit", *FIRST.arguments) == "revoked"


def test_commit_after_a_revocation_rejected(chain: OnChain) -> None:
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    commits = Sequence(chain, PUBLISHER)
    commits.send(HOT.address)
    step = commits.next()
    signature = chain.sign(HOT, "Commit", *step.signed_part)  # before it
    chain.call(PUBLISHER, "revoke", PUBLISHER)
    for sender in (PUBLISHER, HOT.address, STRANGER.address):
        assert refused(chain, sender, "commit", *step.arguments) == "revoked"
    assert refused(chain, STRANGER.address, "commit_signed", *step.relayed, signature) == "revoked"


def test_after_a_revocation_the_publisher_names_a_signer_and_goes_on(chain: OnChain) -> None:
    commits = Sequence(chain, PUBLISHER)
    commits.send()
    chain.call(PUBLISHER, "revoke", PUBLISHER)
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    commits.send(HOT.address)
    assert chain.view("heads", PUBLISHER) == int(HOT.address, 16) << 96 | 2 << 48 | 1


def test_a_thief_that_revokes_does_not_keep_the_publisher_out(chain: OnChain) -> None:
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    chain.call(HOT.address, "revoke", PUBLISHER)
    assert refused(chain, HOT.address, "revoke", PUBLISHER) == "revoked"
    chain.call(PUBLISHER, "rotate", PUBLISHER, NEXT.address)
    assert refused(chain, HOT.address, "revoke", PUBLISHER) == "not the signer"
    assert chain.view("signer_of", PUBLISHER) == NEXT.address.lower()


def test_revocation_by_a_stranger_rejected(chain: OnChain) -> None:
    assert refused(chain, STRANGER.address, "revoke", PUBLISHER) == "not the signer"
    signature = chain.sign(STRANGER, "Revoke", PUBLISHER, 0)
    assert refused(chain, STRANGER.address, "revoke_signed", PUBLISHER, 0, signature) == "not the signer"


def test_revocation_by_a_former_signer_rejected(chain: OnChain) -> None:
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    chain.call(PUBLISHER, "rotate", PUBLISHER, NEXT.address)
    assert refused(chain, HOT.address, "revoke", PUBLISHER) == "not the signer"
    signature = chain.sign(HOT, "Revoke", PUBLISHER, 2)
    assert refused(chain, STRANGER.address, "revoke_signed", PUBLISHER, 2, signature) == "not the signer"


def test_second_revocation_rejected(chain: OnChain) -> None:
    chain.call(PUBLISHER, "revoke", PUBLISHER)
    assert refused(chain, PUBLISHER, "revoke", PUBLISHER) == "revoked"


def test_replayed_revocation_rejected(chain: OnChain) -> None:
    signature = chain.sign(OWNER, "Revoke", PUBLISHER, 0)
    chain.call(STRANGER.address, "revoke_signed", PUBLISHER, 0, signature)
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    assert refused(chain, STRANGER.address, "revoke_signed", PUBLISHER, 0, signature) == "wrong nonce"


def test_revocation_that_straddles_a_rotation_rejected(chain: OnChain) -> None:
    # It was meant for the signer before: the new one has done nothing wrong.
    signature = chain.sign(OWNER, "Revoke", PUBLISHER, 0)
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    assert refused(chain, STRANGER.address, "revoke_signed", PUBLISHER, 0, signature) == "wrong nonce"


# --- retirement -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relayed", [False, True])
def test_retirement(chain: OnChain, *, relayed: bool) -> None:
    Sequence(chain, PUBLISHER).send()
    if relayed:
        signature = chain.sign(OWNER, "Retire", PUBLISHER, 0)
        events = chain.call(STRANGER.address, "retire_signed", PUBLISHER, 0, signature)
    else:
        events = chain.call(PUBLISHER, "retire", PUBLISHER)
    assert events == [("Retired", {"publisher": PUBLISHER.lower(), "nonce": 0, "position": 1})]
    assert chain.view("heads", PUBLISHER) == 2 << 96 | 1 << 48
    assert chain.view("signer_of", PUBLISHER) == NOBODY
    assert chain.view("nonces", PUBLISHER) == 1


def test_commit_after_a_retirement_rejected(chain: OnChain) -> None:
    commits = Sequence(chain, PUBLISHER)
    commits.send()
    step = commits.next()
    signature = chain.sign(OWNER, "Commit", *step.signed_part)  # before it
    chain.call(PUBLISHER, "retire", PUBLISHER)
    assert refused(chain, PUBLISHER, "commit", *step.arguments) == "retired"
    assert refused(chain, STRANGER.address, "commit_signed", *step.relayed, signature) == "retired"


def test_whatever_the_publisher_does_after_its_retirement_rejected(chain: OnChain) -> None:
    chain.call(PUBLISHER, "retire", PUBLISHER)
    assert refused(chain, PUBLISHER, "rotate", PUBLISHER, HOT.address) == "retired"
    assert refused(chain, PUBLISHER, "revoke", PUBLISHER) == "retired"
    assert refused(chain, PUBLISHER, "retire", PUBLISHER) == "retired"
    rotation = chain.sign(OWNER, "Rotate", PUBLISHER, HOT.address, 1)
    assert refused(chain, PUBLISHER, "rotate_signed", PUBLISHER, HOT.address, 1, rotation) == "retired"
    revocation, retirement = (chain.sign(OWNER, kind, PUBLISHER, 1) for kind in ("Revoke", "Retire"))
    assert refused(chain, PUBLISHER, "revoke_signed", PUBLISHER, 1, revocation) == "retired"
    assert refused(chain, PUBLISHER, "retire_signed", PUBLISHER, 1, retirement) == "retired"


def test_a_revoked_publisher_may_retire(chain: OnChain) -> None:
    chain.call(PUBLISHER, "revoke", PUBLISHER)
    chain.call(PUBLISHER, "retire", PUBLISHER)
    assert code(chain) == 2


@pytest.mark.parametrize("by", [HOT, STRANGER])
def test_retirement_by_the_signer_or_a_stranger_rejected(chain: OnChain, by: Any) -> None:  # noqa: ANN401
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    assert refused(chain, by.address, "retire", PUBLISHER) == "not the publisher"
    signature = chain.sign(by, "Retire", PUBLISHER, 1)
    assert refused(chain, by.address, "retire_signed", PUBLISHER, 1, signature) == "not the publisher"


def test_relayed_retirement_with_a_stale_nonce_rejected(chain: OnChain) -> None:
    signature = chain.sign(OWNER, "Retire", PUBLISHER, 0)
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    assert refused(chain, STRANGER.address, "retire_signed", PUBLISHER, 0, signature) == "wrong nonce"


def test_the_signer_of_a_publisher_without_history_is_itself(chain: OnChain) -> None:
    assert chain.view("signer_of", PUBLISHER) == PUBLISHER.lower()


def test_what_one_publisher_does_leaves_the_others_alone(chain: OnChain) -> None:
    commits = Sequence(chain, NEXT.address)
    commits.send()
    before = chain.view("heads", NEXT.address), chain.view("nonces", NEXT.address)
    Sequence(chain, PUBLISHER).send()
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    chain.call(PUBLISHER, "revoke", PUBLISHER)
    chain.call(PUBLISHER, "retire", PUBLISHER)
    assert (chain.view("heads", NEXT.address), chain.view("nonces", NEXT.address)) == before
    commits.send()
    assert chain.view("log_length") == 3
