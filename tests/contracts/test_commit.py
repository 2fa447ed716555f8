"""What the registry takes as a publisher's next commit, and what it logs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from tests.contracts.onchain import KEYS, NOBODY, ZERO, OnChain, RevertedError, Sequence, Step, meta_of, selector

if TYPE_CHECKING:
    from collections.abc import Callable

OWNER, OTHER, STRANGER = (key.address for key in KEYS[:3])


def refused(chain: OnChain, step: Step, sender: str = OWNER, signature: bytes | None = None) -> str:
    """Why the contract refuses a commit, relayed if there is a signature; it must change nothing."""

    def state() -> list[Any]:
        length = chain.view("log_length")
        return [chain.storage(0), chain.view("heads", step.publisher), chain.view("entries", length)]

    before = state()
    call = ("commit", *step.arguments) if signature is None else ("commit_signed", *step.relayed, signature)
    with pytest.raises(RevertedError) as error:
        chain.call(sender, *call)
    assert state() == before
    return error.value.reason


@pytest.fixture
def second(chain: OnChain) -> Step:
    """The second commit of a publisher, which the registry would take."""
    commits = Sequence(chain, OWNER)
    commits.send()
    chain.next_block()
    return commits.next()


def test_the_first_commit_is_logged(chain: OnChain) -> None:
    step = Step(OWNER, count=7, created=9)
    (event,) = chain.call(OWNER, "commit", *step.arguments)
    values = {"position": 0, "seq": 1, "root": step.root, "count": 7, "previous": ZERO, "created": 9}
    assert event == ("Committed", {"publisher": OWNER.lower(), "prior_position": 0, **values})
    assert chain.view("log_length") == 1
    assert chain.view("entries", 0) == keccak(step.root + meta_of(step, 0, 0, *chain.block))
    assert chain.view("heads", OWNER) == 1 << 48


def test_a_later_commit_names_the_position_of_the_one_before(chain: OnChain) -> None:
    ours, theirs = Sequence(chain, OWNER), Sequence(chain, OTHER)
    theirs.send()
    ours.send()
    theirs.send()
    chain.next_block()
    _, event = ours.send()
    step = ours.latest
    assert step is not None
    assert (event["position"], event["prior_position"], event["seq"]) == (3, 1, 2)
    assert chain.view("entries", 3) == keccak(step.root + meta_of(step, 3, 1, *chain.block))
    assert chain.view("heads", OWNER) == 2 << 48 | 3


def test_the_second_commit_is_taken(chain: OnChain, second: Step) -> None:
    # The twin of the refusals below, each of which differs from it by one change.
    chain.call(OWNER, "commit", *second.arguments)
    assert chain.view("log_length") == 2


def test_replayed_commit_rejected(chain: OnChain, second: Step) -> None:
    # A transaction that is sent twice commits once: `prior` is no longer the latest entry's.
    chain.call(OWNER, "commit", *second.arguments)
    assert refused(chain, second) == "wrong previous or prior"


def test_replayed_first_commit_rejected(chain: OnChain, second: Step) -> None:
    assert refused(chain, Step(second.publisher)) == "wrong previous or prior"


def test_the_registry_numbers_direct_commits_without_a_gap(chain: OnChain) -> None:
    commits = Sequence(chain, OWNER)
    assert [commits.send()[1]["seq"] for _ in range(5)] == [1, 2, 3, 4, 5]
    assert int(chain.view("heads", OWNER)) >> 48 == 5


@pytest.fixture
def relayed(chain: OnChain, second: Step) -> Callable[[int], str]:
    """Why the contract refuses the second commit, signed with another `seq`."""

    def reason(seq: int) -> str:
        step = replace(second, seq=seq)
        return refused(chain, step, OWNER, chain.sign(KEYS[0], "Commit", *step.signed_part))

    return reason


@pytest.mark.parametrize("seq", [0, 1, 3, 4, 2**48 - 1])
def test_signed_commit_with_a_skipped_or_repeated_seq_rejected(relayed: Callable[[int], str], seq: int) -> None:
    assert relayed(seq) == "wrong seq"


@pytest.mark.parametrize("seq", [0, 2, 2**48 - 1])
def test_first_signed_commit_with_another_seq_rejected(chain: OnChain, seq: int) -> None:
    step = Step(OWNER, seq=seq)
    assert refused(chain, step, OWNER, chain.sign(KEYS[0], "Commit", *step.signed_part)) == "wrong seq"


def test_zero_root_rejected(chain: OnChain, second: Step) -> None:
    assert refused(chain, replace(second, root=ZERO)) == "zero root"


def test_wrong_previous_rejected(chain: OnChain, second: Step) -> None:
    assert refused(chain, replace(second, previous=b"\x02" * 32)) == "wrong previous or prior"


def test_wrong_prior_rejected(chain: OnChain, second: Step) -> None:
    assert refused(chain, replace(second, prior=b"\x02" * 32)) == "wrong previous or prior"


def test_swapped_previous_and_prior_rejected(chain: OnChain, second: Step) -> None:
    assert refused(chain, replace(second, previous=second.prior, prior=second.previous)) == "wrong previous or prior"


def test_zero_previous_and_prior_of_a_later_commit_rejected(chain: OnChain, second: Step) -> None:
    assert refused(chain, replace(second, previous=ZERO, prior=ZERO)) == "wrong previous or prior"


def test_previous_of_a_first_commit_rejected(chain: OnChain) -> None:
    assert refused(chain, Step(OWNER, previous=b"\x02" * 32)) == "wrong previous"


def test_prior_of_a_first_commit_rejected(chain: OnChain) -> None:
    assert refused(chain, Step(OWNER, prior=b"\x02" * 32)) == "wrong prior"


def test_entry_of_another_publisher_as_the_prior_rejected(chain: OnChain, second: Step) -> None:
    theirs = Sequence(chain, OTHER)
    theirs.send()
    step = theirs.next()
    assert refused(chain, replace(second, previous=step.previous, prior=step.prior)) == "wrong previous or prior"


def test_entry_before_the_latest_as_the_prior_rejected(chain: OnChain, second: Step) -> None:
    # A fork of the publisher's own history: the third commit follows from the first.
    chain.call(OWNER, "commit", *second.arguments)
    assert refused(chain, replace(second, root=b"\x03" * 32)) == "wrong previous or prior"


def test_commit_by_a_stranger_rejected(chain: OnChain, second: Step) -> None:
    assert refused(chain, second, sender=STRANGER) == "not the signer"
    assert refused(chain, Step(OTHER), sender=STRANGER) == "not the signer"


@pytest.mark.parametrize("publisher", [NOBODY, "0x" + "00" * 19 + "01", "0x" + "00" * 19 + "02"])
def test_commit_for_the_addresses_that_are_marks_in_a_head_rejected(chain: OnChain, publisher: str) -> None:
    assert refused(chain, Step(publisher), sender=STRANGER) == "not the signer"


def test_the_same_root_again_is_a_commit_of_its_own(chain: OnChain, second: Step) -> None:
    # A publisher may go back to a dataset; the entries differ by seq, position and block.
    again = replace(second, root=second.previous)
    chain.call(OWNER, "commit", *again.arguments)
    assert chain.view("entries", 0) != chain.view("entries", 1)


@pytest.mark.parametrize("value", [0, 1, 2**48 - 1])
def test_count_and_created_take_all_of_48_bits(chain: OnChain, value: int) -> None:
    for count, created in ((value, 5), (5, value)):
        with chain.env.anchor():
            step = Step(OWNER, count=count, created=created)
            (event,) = chain.call(OWNER, "commit", *step.arguments)
            numbers = {"seq": 1, "position": 0, "prior_position": 0, "count": count, "created": created}
            assert {name: event[1][name] for name in numbers} == numbers
            assert chain.view("entries", 0) == keccak(step.root + meta_of(step, 0, 0, *chain.block))


def words(publisher: str) -> bytearray:
    """The arguments of a first commit that the registry would take, as calldata."""
    return bytearray(encode(["address", *["uint256"] * 5], [publisher, 5, 5, 0, 5, 0]))


def test_calldata_of_whole_words_is_taken(chain: OnChain) -> None:
    # The twin of the refusals below.
    chain.raw(OWNER, selector("commit") + words(OWNER))
    assert chain.view("log_length") == 1


@pytest.mark.parametrize("place", [2, 4], ids=["count", "created"])
def test_more_than_48_bits_rejected(chain: OnChain, place: int) -> None:
    data = words(OWNER)
    data[32 * place + 25] = 1  # the bit above the 48
    with pytest.raises(RevertedError, match=r"^$"):
        chain.raw(OWNER, selector("commit") + data)


def test_dirty_bits_above_an_address_rejected(chain: OnChain) -> None:
    data = words(OWNER)
    data[0] = 1
    with pytest.raises(RevertedError, match=r"^$"):
        chain.raw(OWNER, selector("commit") + data)


def test_short_calldata_rejected(chain: OnChain) -> None:
    with pytest.raises(RevertedError, match=r"^$"):
        chain.raw(OWNER, selector("commit") + words(OWNER)[:-1])


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff\xff\xff\xff", keccak(text="owner()")[:4]])
def test_what_is_no_function_of_the_registry_is_rejected(chain: OnChain, data: bytes) -> None:
    with pytest.raises(RevertedError, match=r"^$"):
        chain.raw(OWNER, data)


def test_coins_are_rejected(chain: OnChain) -> None:
    # Nobody could ever take them out again.
    chain.env.set_balance(OWNER, 10)
    with pytest.raises(RevertedError, match=r"^$"):
        chain.raw(OWNER, selector("commit") + words(OWNER), value=1)
    assert chain.env.get_balance(chain.address) == 0


def test_the_registry_tells_the_block_that_it_was_deployed_in(chain: OnChain) -> None:
    for _ in range(3):
        chain.next_block()
    made_in, _ = chain.block
    other = OnChain(chain.env)
    chain.next_block()
    Sequence(other, OWNER).send()
    assert (other.view("first_block"), other.view("log_length")) == (made_in, 1)


def test_storage_is_where_the_agreement_says(chain: OnChain) -> None:
    ours, theirs = Sequence(chain, OWNER), Sequence(chain, OTHER)
    theirs.send()
    ours.send()
    ours.send()
    chain.call(OWNER, "rotate", OWNER, STRANGER)
    key, signer = int(OWNER, 16), int(STRANGER, 16)
    head, entry, nonce = chain.mapped(1, key), chain.mapped(2, 2).to_bytes(32), chain.mapped(3, key)
    first_block = chain.view("first_block")
    assert (chain.storage(0), head, nonce) == (first_block << 48 | 3, signer << 96 | 2 << 48 | 2, 1)
    assert entry != ZERO
    views = [
        first_block << 48 | chain.view("log_length"),
        chain.view("heads", OWNER),
        chain.view("entries", 2),
        chain.view("nonces", OWNER),
    ]
    assert views == [chain.storage(0), head, entry, nonce]
