"""The checkpoint contract's words, slots, topics and code, as the compiler and the contract have them."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import checkpoints
from dkg.chain import checkpoints as words
from dkg.chain.checkpoint_events import SIGNATURES
from dkg.chain.checkpoints import Checkpoint, ContractState, Mark, Reason, Status, Terms, pack_open, unpack_open
from dkg.chain.commit import NUMBER_MAX, Domain
from dkg.errors import ProofError

DOMAIN = Domain(31337, b"\xaa" * 20)
NUMBERS = st.integers(0, NUMBER_MAX)
BYTES = st.binary(min_size=32, max_size=32)


def test_slots_are_those_of_the_compiler() -> None:
    layout = checkpoints().layout
    for name in ("state", "open", "roots", "checkpoints", "times", "marked", "mark_log", "demands"):
        assert getattr(words, f"{name.upper()}_SLOT") == layout[name]["slot"], name
    assert layout["paths"]["shown"]["slot"] == words.SHOWN_SLOT


def test_events_are_those_of_the_abi() -> None:
    found = {}
    for one in checkpoints().abi:
        if one["type"] == "event":
            types = ",".join(part["type"] for part in one["inputs"])
            found[one["name"]] = f"{one['name']}({types})", [part["name"] for part in one["inputs"]]
    assert found == {kind.__name__: (text, [one.name for one in fields(kind)]) for kind, text in SIGNATURES.items()}


@given(st.integers(0, words.ID_MAX), st.integers(0, words.ID_MAX), NUMBERS, NUMBERS)
def test_the_state_is_read_as_it_is_packed(one: int, other: int, marks: int, demands: int) -> None:
    state = ContractState(min(one, other), max(one, other), marks, demands)
    assert ContractState.unpack(state.pack()) == state


@given(st.lists(st.integers(1, words.ID_MAX), max_size=words.OPEN_MAX, unique=True).map(sorted))
def test_pending_ids_are_read_as_they_are_packed(ids: list[int]) -> None:
    assert unpack_open(pack_open(tuple(ids))) == tuple(ids)


@given(st.binary(min_size=20, max_size=20), BYTES, st.sampled_from(Status), st.lists(NUMBERS, min_size=5, max_size=5))
def test_a_checkpoint_is_read_as_it_is_packed(who: bytes, root: bytes, status: Status, numbers: list[int]) -> None:
    position, marks, proposed, ends, demands = numbers
    made = Checkpoint(7, who, position, marks, root, status, proposed, ends, demands // 2, demands)
    assert Checkpoint.unpack(7, *made.pack()) == made
    assert made.disputed == (status is Status.PENDING and demands > 1)


@given(st.integers(1, NUMBER_MAX), NUMBERS, st.sampled_from(Reason))
def test_a_mark_is_read_as_it_is_packed(number: int, position: int, reason: Reason) -> None:
    mark = Mark(number, position, reason)
    assert Mark.unpack(position, mark.pack()) == mark
    assert Mark.unpack(position, 0) is None


@pytest.mark.parametrize("word", [2 << 144 | 1 << 96, 2**32 << 96, 2**255])
def test_what_is_no_state_is_refused(word: int) -> None:
    with pytest.raises(ProofError, match="another contract"):
        ContractState.unpack(word)


@pytest.mark.parametrize("word", [1 << 32, 2 << 32 | 2, 1 << 32 | 2, 1 << 64 | 1])
def test_what_is_no_list_of_pending_ids_is_refused(word: int) -> None:
    with pytest.raises(ProofError, match="another contract"):
        unpack_open(word)


@pytest.mark.parametrize("times", [0, 4 << 192, 1 << 192 | 1 << 48, 2**255, (2**48 + 1) << 192])
def test_what_is_no_checkpoint_is_refused(times: int) -> None:
    with pytest.raises(ProofError, match=r"times\[3\] of the checkpoint contract"):
        Checkpoint.unpack(3, 1, 1, times)


@pytest.mark.parametrize("word", [1, 3 << 48 | 1, 1 << 48, 2**255])
def test_what_is_no_mark_is_refused(word: int) -> None:
    with pytest.raises(ProofError, match=r"marked\[9\]"):
        Mark.unpack(9, word)


def test_terms_are_read_from_the_code_byte_for_byte() -> None:
    terms, runtime = Terms(5, 60, 1, 20), bytes.fromhex(checkpoints().runtime[2:])
    code = runtime + terms.immutables(DOMAIN)
    assert Terms.of_code(code, runtime, DOMAIN) == terms
    for other in (b"", runtime, code[:-1], code + b"\0", code[:100] + b"\0" + code[101:], runtime + bytes(7 * 32)):
        with pytest.raises(ProofError, match="not the checkpoint contract"):
            Terms.of_code(other, runtime, DOMAIN)
    for domain in (Domain(1, DOMAIN.registry), Domain(31337, b"\xab" * 20)):
        with pytest.raises(ProofError, match="for this registry and chain"):
            Terms.of_code(code, runtime, domain)
