"""A stolen key, and keys that change under way: what was committed before stays, and nothing after it counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.chain.log import ROTATIONS_MAX, Block, LogError, RegistryLog
from dkg.chain.registry import decode_event
from tests.contracts.onchain import KEYS, OnChain, RevertedError, Sequence, Step, examples

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from dkg.chain.registry import Event

OWNER, HOT, NEXT, RELAYER = KEYS[:4]
PUBLISHER: Final = OWNER.address


def refused(chain: OnChain, sender: str, name: str, *values: Any) -> str:  # noqa: ANN401 - values of an ABI
    """Why the contract refuses a call."""
    with pytest.raises(RevertedError) as error:
        chain.call(sender, name, *values)
    return error.value.reason


def signed(chain: OnChain, key: LocalAccount, step: Step) -> tuple[Any, ...]:
    """The arguments of `commit_signed`."""
    return (*step.relayed, chain.sign(key, "Commit", *step.signed_part))


# --- theft ------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(30, 1000))
@given(
    honest=st.integers(0, 3),
    stolen=st.lists(st.booleans(), max_size=4),
    ahead=st.integers(1, 3),
    relayed=st.booleans(),
    blocks=st.booleans(),
)
def test_what_a_thief_committed_before_the_revocation_stays_and_nothing_after_it_counts(
    deployed: OnChain, *, honest: int, stolen: list[bool], ahead: int, relayed: bool, blocks: bool
) -> None:
    # `stolen`: the thief's commits, relayed or direct; `ahead`: how many it signs for later, before it is found out.
    with deployed.env.anchor():
        chain = deployed
        chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
        commits = Sequence(chain, PUBLISHER)
        for _ in range(honest):
            commits.send(HOT.address)
        for by_relay in stolen:
            step = commits.next(keccak(b"forged" + bytes([commits.latest.seq if commits.latest else 0])))
            name, values = ("commit_signed", signed(chain, HOT, step)) if by_relay else ("commit", step.arguments)
            (event,) = chain.call(HOT.address, name, *values)
            commits.note(step, event)
            if blocks:
                chain.next_block()
        latest = commits.next()
        held = [signed(chain, HOT, replace(latest, seq=latest.seq + more)) for more in range(ahead)]
        entries = [chain.view("entries", position) for position in range(chain.view("log_length"))]

        if relayed:
            chain.call(RELAYER.address, "revoke_signed", PUBLISHER, 1, chain.sign(OWNER, "Revoke", PUBLISHER, 1))
        else:
            chain.call(PUBLISHER, "revoke", PUBLISHER)

        assert refused(chain, HOT.address, "commit", *latest.arguments) == "revoked"
        assert refused(chain, RELAYER.address, "commit_signed", *held[0]) == "revoked"
        chain.call(PUBLISHER, "rotate", PUBLISHER, NEXT.address)
        # The publisher goes on from what the thief left; what the thief held back is worthless at every seq.
        for values in held:
            assert refused(chain, RELAYER.address, "commit_signed", *values) in {"not the signer", "wrong seq"}
            commits.send(NEXT.address)
        assert refused(chain, HOT.address, "revoke", PUBLISHER) == "not the signer"
        kept = [chain.view("entries", position) for position in range(len(entries))]
        assert kept == entries
        assert chain.view("log_length") == honest + len(stolen) + ahead


def test_a_thief_that_revokes_first_costs_the_publisher_one_signature(chain: OnChain) -> None:
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    rotation = (PUBLISHER, NEXT.address, 1, chain.sign(OWNER, "Rotate", PUBLISHER, NEXT.address, 1))
    chain.call(HOT.address, "revoke", PUBLISHER)  # it saw the rotation in the mempool
    assert refused(chain, RELAYER.address, "rotate_signed", *rotation) == "wrong nonce"
    again = (PUBLISHER, NEXT.address, 2, chain.sign(OWNER, "Rotate", PUBLISHER, NEXT.address, 2))
    once_more = chain.sign(HOT, "Revoke", PUBLISHER, 2)
    assert refused(chain, RELAYER.address, "revoke_signed", PUBLISHER, 2, once_more) == "revoked"
    chain.call(RELAYER.address, "rotate_signed", *again)
    assert refused(chain, RELAYER.address, "revoke_signed", PUBLISHER, 2, once_more) == "wrong nonce"
    assert chain.view("signer_of", PUBLISHER) == NEXT.address.lower()


def test_a_commit_held_back_comes_to_life_if_its_signer_is_named_again(chain: OnChain) -> None:
    # As the contract's notes say: never name a signer again whose key may have been stolen.
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    held = signed(chain, HOT, Step(PUBLISHER))
    chain.call(PUBLISHER, "revoke", PUBLISHER)
    chain.call(PUBLISHER, "rotate", PUBLISHER, NEXT.address)
    assert refused(chain, RELAYER.address, "commit_signed", *held) == "not the signer"
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    chain.call(RELAYER.address, "commit_signed", *held)
    assert chain.view("log_length") == 1


def test_a_commit_held_back_dies_with_the_one_that_takes_its_seq(chain: OnChain) -> None:
    commits = Sequence(chain, PUBLISHER)
    held = signed(chain, OWNER, commits.next(b"\x09" * 32))
    commits.send()
    assert refused(chain, RELAYER.address, "commit_signed", *held) == "wrong seq"


def test_a_relayed_commit_copied_from_the_mempool_is_the_same_commit(chain: OnChain) -> None:
    values = signed(chain, OWNER, Step(PUBLISHER))
    with chain.env.anchor():
        honest = chain.call(RELAYER.address, "commit_signed", *values), chain.view("entries", 0)
    copied = chain.call(HOT.address, "commit_signed", *values), chain.view("entries", 0)
    assert copied == honest
    assert refused(chain, RELAYER.address, "commit_signed", *values) == "wrong seq"


# --- races ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["rotate", "revoke", "retire"])
@pytest.mark.parametrize("first", ["commit", "change"])
def test_commit_and_change_of_keys_in_one_block_count_in_their_order(chain: OnChain, change: str, first: str) -> None:
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    block = chain.block
    values = (PUBLISHER, NEXT.address) if change == "rotate" else (PUBLISHER,)
    commit = signed(chain, HOT, Step(PUBLISHER))
    if first == "commit":
        chain.call(RELAYER.address, "commit_signed", *commit)
        ((_, event),) = chain.call(PUBLISHER, change, *values)
    else:
        ((_, event),) = chain.call(PUBLISHER, change, *values)
        reason = {"rotate": "not the signer", "revoke": "revoked", "retire": "retired"}[change]
        assert refused(chain, RELAYER.address, "commit_signed", *commit) == reason
    assert chain.block == block
    assert chain.view("log_length") == (first == "commit")
    assert event["position"] == (first == "commit")  # from there on


def test_reorganisation_that_takes_a_rotation_back(chain: OnChain) -> None:
    #           rotate to NEXT, commit by NEXT          (gone)
    #         /
    #   fork -- commit by HOT, rotate to NEXT, ...      (stays)
    chain.call(PUBLISHER, "rotate", PUBLISHER, HOT.address)
    rotation = (PUBLISHER, NEXT.address, 1, chain.sign(OWNER, "Rotate", PUBLISHER, NEXT.address, 1))
    by_hot, by_next = (signed(chain, key, Step(PUBLISHER)) for key in (HOT, NEXT))
    with chain.env.anchor():
        chain.call(RELAYER.address, "rotate_signed", *rotation)
        chain.call(RELAYER.address, "commit_signed", *by_next)
        assert refused(chain, RELAYER.address, "commit_signed", *by_hot) == "wrong seq"
    assert chain.view("signer_of", PUBLISHER) == HOT.address.lower()
    assert refused(chain, RELAYER.address, "commit_signed", *by_next) == "not the signer"
    (event,) = chain.call(RELAYER.address, "commit_signed", *by_hot)
    commits = Sequence(chain, PUBLISHER)
    commits.note(Step(PUBLISHER), event)
    chain.call(RELAYER.address, "rotate_signed", *rotation)
    assert refused(chain, RELAYER.address, "commit_signed", *by_next) == "wrong seq"
    commits.send(NEXT.address)
    assert chain.view("log_length") == 2


def test_reorganisation_that_moves_the_commit_before_makes_a_direct_commit_revert(chain: OnChain) -> None:
    commits = Sequence(chain, PUBLISHER)
    with chain.env.anchor():
        commits.send()
        step = commits.next()
    chain.next_block()
    first = Sequence(chain, PUBLISHER)
    first.send()
    assert refused(chain, PUBLISHER, "commit", *step.arguments) == "wrong previous or prior"
    # The same commit signed needs no new signature: what the relayer shows is not signed.
    chain.call(RELAYER.address, "commit_signed", *signed(chain, OWNER, replace(step, prior=first.meta)))
    assert chain.view("log_length") == 2


def test_chain_of_rotations_longer_than_what_followers_keep(chain: OnChain) -> None:
    number = ROTATIONS_MAX + 4
    chosen = ["0x" + keccak(place.to_bytes(4))[:20].hex() for place in range(number)]
    commits = Sequence(chain, PUBLISHER)
    events: list[Event] = []

    def note() -> None:
        ((topics, data),) = chain.logs
        events.append(decode_event(topics, data, *chain.block))

    former: str = PUBLISHER
    for signer in chosen:
        commits.send(former)
        note()
        chain.call(PUBLISHER, "rotate", PUBLISHER, signer)
        note()
        assert refused(chain, former, "commit", *commits.next().arguments) == "not the signer"
        former = signer
    assert chain.view("nonces", PUBLISHER) == number
    for signer in [PUBLISHER, *chosen[:-1:16]]:
        assert refused(chain, signer, "commit", *commits.next().arguments) == "not the signer"

    log = RegistryLog()
    height, time = chain.block
    log.apply(Block(height, b"\x01" * 32, b"\x02" * 32, time), events)
    publisher = bytes.fromhex(PUBLISHER[2:])
    for position in range(number - ROTATIONS_MAX + 1, number):
        # Position p was committed by the signer before the p-th rotation.
        assert log.signer_at(publisher, position) == bytes.fromhex(chosen[position - 1][2:])
    with pytest.raises(LogError, match="are forgotten"):
        log.signer_at(publisher, number - ROTATIONS_MAX)
