"""The last second of each window, the last place of each list, the odd wei, and receivers of coins that misbehave."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import pytest
from eth.exceptions import Revert
from eth_abi.abi import encode
from vyper import compiler  # type: ignore[import-untyped]

import contracts as artefacts
from dkg.chain.checkpoints import Status
from dkg.page import EMPTY_LEAF
from tests.contracts.checkpoints.fuzz_chain import BOND, DEMAND_BOND, DEMAND_WINDOW, WINDOW, Contracts
from tests.contracts.onchain import KEYS, RevertedError, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

PROPOSER, OTHER = KEYS[5].address, KEYS[6].address
BAD: Final = b"no page"
"""Whoever proposes the digest of this is refuted by showing it."""
DIGEST: Final = sha256(BAD).digest()
FAULT: Final = (1, b"", BAD, b"", b"")

RECEIVER: Final = """
# pragma version 0.4.3
interface Checkpoints:
    def withdraw(): nonpayable
    def finalise(id: uint256): nonpayable
    def propose(position: uint48, marks: uint48, root: bytes32, tip: bytes32) -> uint256: payable

target: Checkpoints
again: public(uint256)
refuse: bool

@deploy
def __init__(target: address, refuse: bool):
    self.target = Checkpoints(target)
    self.refuse = refuse

@external
@payable
def propose(root: bytes32):
    extcall self.target.propose(0, 0, root, empty(bytes32), value=msg.value)

@external
def withdraw():
    extcall self.target.withdraw()

@external
@payable
def __default__():
    assert not self.refuse
    self.again += 1
    ok: bool = raw_call(self.target.address, method_id("withdraw()"), revert_on_failure=False)
    assert not ok
"""
"""Takes coins only if it does not refuse them, and asks for more while it is being paid."""


@pytest.fixture(scope="module")
def deployed() -> Contracts:
    made = Contracts()
    made.fund(PROPOSER, OTHER)
    return made


@pytest.fixture
def contracts(deployed: Contracts) -> Iterator[Contracts]:
    with deployed.env.anchor():
        yield deployed


def propose(contracts: Contracts, root: bytes = DIGEST, position: int = 0, *, value: int = BOND) -> int:
    """Propose, by `PROPOSER`: the id."""
    tip = contracts.registry.view("entries", position - 1) if position else bytes(32)
    contracts.call(PROPOSER, "propose", position, 0, root, tip, value=value)
    return contracts.state.last


def refused(contracts: Contracts, name: str, *values: object, value: int = 0) -> str:
    """Why the contract refuses a call of `OTHER`."""
    with pytest.raises(RevertedError) as error:
        contracts.call(OTHER, name, *values, value=value)
    return error.value.reason


def commit(contracts: Contracts, number: int) -> None:
    """So many commits in the log."""
    commits = Sequence(contracts.registry, KEYS[0].address)
    for _ in range(number):
        commits.send()


def test_final_at_the_second_the_window_ends_and_refuted_until_somebody_says_so(contracts: Contracts) -> None:
    number = propose(contracts)
    contracts.wait(WINDOW - 1)
    assert refused(contracts, "finalise", number) == "window"
    contracts.wait(1)
    with contracts.env.anchor():
        contracts.call(OTHER, "finalise", number)
        assert contracts.checkpoint(number).status is Status.FINAL
        assert refused(contracts, "challenge_page", number, *FAULT) == "not pending"
    contracts.wait(WINDOW)
    contracts.call(OTHER, "challenge_page", number, *FAULT)
    assert contracts.checkpoint(number).status is Status.REFUTED
    assert refused(contracts, "finalise", number) == "not pending"


@pytest.mark.parametrize(
    "call",
    [
        ("challenge_missing", OTHER, [], b"", b"", b"", b"", b""),
        ("challenge_extra", b"", b"", OTHER, [], b"", b"", b""),
        ("challenge_index", b"", b"", 0, b"", b"", b""),
        ("challenge_page", *FAULT),
        ("demand_checkpoint", b""),
        ("finalise",),
    ],
)
def test_what_is_final_or_refuted_or_was_never_proposed_is_neither_challenged_nor_demanded(
    contracts: Contracts, call: tuple[str, Any]
) -> None:
    name, *values = call
    final, refuted = propose(contracts, b"\x01" * 32), propose(contracts)
    contracts.call(OTHER, "challenge_page", refuted, *FAULT)
    contracts.wait(WINDOW)
    contracts.call(OTHER, "finalise", final)
    for number in (final, refuted, 0, 3):
        value = DEMAND_BOND if name == "demand_checkpoint" else 0
        assert refused(contracts, name, number, *values, value=value) == "not pending"


def test_a_demand_brings_no_end_forward_and_is_counted(contracts: Contracts) -> None:
    number = propose(contracts)
    for made in (1, 2):
        contracts.call(OTHER, "demand_checkpoint", number, b"", value=DEMAND_BOND)
        kept = contracts.checkpoint(number)
        assert (kept.ends, kept.open_demands, kept.demands) == (kept.proposed + WINDOW, made, made)
    contracts.call(OTHER, "answer", 1, BAD)
    kept = contracts.checkpoint(number)
    assert (kept.ends, kept.open_demands, kept.demands) == (kept.proposed + WINDOW, 1, 2)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_demand_costs_its_bond_and_the_deadline_is_a_window_away(contracts: Contracts, change: int) -> None:
    number = propose(contracts)
    assert refused(contracts, "demand_checkpoint", number, b"", value=DEMAND_BOND + change) == "bond"
    contracts.call(OTHER, "demand_checkpoint", number, b"", value=DEMAND_BOND)
    contracts.wait(DEMAND_WINDOW + 1)
    contracts.call(PROPOSER, "expire", 1)
    assert contracts.checkpoint(number).status is Status.REFUTED


def test_nothing_is_final_while_a_page_of_it_is_demanded_though_its_window_has_passed(contracts: Contracts) -> None:
    number = propose(contracts)
    contracts.call(OTHER, "demand_checkpoint", number, b"", value=DEMAND_BOND)
    contracts.wait(WINDOW + DEMAND_WINDOW)
    assert refused(contracts, "finalise", number) == "open demands"
    contracts.call(OTHER, "expire", 1)
    assert contracts.checkpoint(number).status is Status.REFUTED


def test_an_answer_counts_until_the_deadline_and_expiry_begins_behind_it(contracts: Contracts) -> None:
    number = propose(contracts)
    contracts.call(OTHER, "demand_checkpoint", number, b"", value=DEMAND_BOND)
    contracts.wait(DEMAND_WINDOW)
    assert refused(contracts, "expire", 1) == "too early"
    with contracts.env.anchor():
        contracts.call(PROPOSER, "answer", 1, BAD)
        assert contracts.view("credit", PROPOSER) == DEMAND_BOND
        assert refused(contracts, "expire", 1) == "no such demand"
    contracts.wait(1)
    assert refused(contracts, "answer", 1, BAD) == "too late"
    ((topics, body),) = (log for log in contracts.call(PROPOSER, "expire", 1).logs if len(log[0]) == 3)  # `Refuted`
    assert (topics[2][12:].hex(), int.from_bytes(body)) == (OTHER[2:].lower(), 5)
    assert contracts.view("credit", OTHER) == DEMAND_BOND + BOND // 2
    assert contracts.view("burnt") == BOND // 2


def test_another_page_is_no_answer(contracts: Contracts) -> None:
    number = propose(contracts)
    contracts.call(OTHER, "demand_checkpoint", number, b"", value=DEMAND_BOND)
    for raw, reason in ((BAD + b"!", "other page"), (EMPTY_LEAF, "other page"), (b"", "not shown")):
        assert refused(contracts, "answer", 1, raw) == reason
    assert contracts.checkpoint(number).open_demands == 1


def test_demands_of_what_is_refuted_or_marked_are_settled_all_the_same(contracts: Contracts) -> None:
    number = propose(contracts)
    for _ in range(2):
        contracts.call(PROPOSER, "demand_checkpoint", number, b"", value=DEMAND_BOND)
    contracts.call(OTHER, "challenge_page", number, *FAULT)
    contracts.call(OTHER, "answer", 1, BAD)
    contracts.wait(DEMAND_WINDOW + 1)
    contracts.call(OTHER, "expire", 2)
    assert contracts.view("credit", OTHER) == BOND // 2 + DEMAND_BOND
    assert contracts.view("credit", PROPOSER) == DEMAND_BOND
    assert contracts.checkpoint(number).open_demands == 0
    for who in (PROPOSER, OTHER):
        contracts.call(who, "withdraw")
    assert contracts.balance() == contracts.view("burnt") == BOND // 2


def test_eight_are_pending_and_a_ninth_waits(contracts: Contracts) -> None:
    numbers = [propose(contracts, bytes([1 + at]) * 32) for at in range(7)]
    numbers.append(propose(contracts))
    assert refused(contracts, "propose", 0, 0, b"\x09" * 32, bytes(32), value=BOND) == "too many pending"
    contracts.call(OTHER, "challenge_page", numbers[-1], *FAULT)
    assert [one[0] for one in contracts.view("status")[1]] == numbers[:-1]
    assert refused(contracts, "propose", 0, 0, b"\x01" * 32, bytes(32), value=BOND) == "pending already"
    again = propose(contracts)
    contracts.wait(WINDOW)
    contracts.call(OTHER, "finalise", numbers[3])
    assert [one[0] for one in contracts.view("status")[1]] == [*numbers[:3], *numbers[4:-1], again]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": BOND - 1}, "bond"),
        ({"value": BOND + 1}, "bond"),
        ({"root": bytes(32)}, "zero root"),
        ({"marks": 1}, "marks"),
        ({"position": 4}, "position"),
        ({"position": 2}, "tip"),
        ({"tip": bytes(32)}, "tip"),
    ],
)
def test_proposals_that_are_refused(contracts: Contracts, change: dict[str, int | bytes], reason: str) -> None:
    commit(contracts, 3)
    right = {"position": 3, "marks": 0, "root": DIGEST, "tip": contracts.registry.view("entries", 2), "value": BOND}
    *values, value = (right | change).values()
    assert refused(contracts, "propose", *values, value=value) == reason
    *values, value = right.values()
    contracts.call(OTHER, "propose", *values, value=value)


def test_nothing_goes_back_behind_the_latest_final_one(contracts: Contracts) -> None:
    commit(contracts, 3)
    older = propose(contracts, b"\x01" * 32, 1)
    newer = propose(contracts, b"\x02" * 32, 2)
    contracts.wait(WINDOW)
    contracts.call(OTHER, "finalise", newer)
    for position in (1, 2):
        tip = contracts.registry.view("entries", position - 1)
        assert refused(contracts, "propose", position, 0, b"\x03" * 32, tip, value=BOND) == "not above the final"
    # One that was pending before is right all the same, but not the latest.
    contracts.call(OTHER, "finalise", older)
    assert contracts.checkpoint(older).status is Status.FINAL
    assert contracts.state.final == newer
    assert contracts.view("credit", PROPOSER) == 2 * BOND
    propose(contracts, b"\x03" * 32, 3)


@pytest.mark.parametrize(("latest", "other"), [((1, 2), (3, 1)), ((2, 1), (1, 3))])
def test_a_later_position_with_fewer_marks_or_the_other_way_round_is_not_the_latest(
    contracts: Contracts, latest: tuple[int, int], other: tuple[int, int]
) -> None:
    commit(contracts, 3)
    contracts.env.set_storage(contracts.address, 0, 3 << 48)  # three marks

    def proposed(position: int, marks: int) -> int:
        tip = contracts.registry.view("entries", position - 1)
        contracts.call(PROPOSER, "propose", position, marks, DIGEST, tip, value=BOND)
        return contracts.state.last

    numbers = [proposed(*latest), proposed(*other)]
    contracts.wait(WINDOW)
    for number in numbers:
        contracts.call(OTHER, "finalise", number)
    assert contracts.state.final == numbers[0]
    tip = contracts.registry.view("entries", other[0] - 1)
    assert refused(contracts, "propose", *other, DIGEST, tip, value=BOND) == "not above the final"
    for later in ((latest[0], 3), (3, 3)):  # more marks alone, then a later position alone
        number = proposed(*later)
        contracts.wait(WINDOW)
        contracts.call(OTHER, "finalise", number)
        assert contracts.state.final == number


def deploy(contracts: Contracts, registry: str, *terms: int) -> str:
    """Deploy another contract with other terms (bond, window, demand bond, demand window): its address."""
    values = encode(["address", "uint256", "uint256", "uint256", "uint256"], [registry, *terms])
    code = bytes.fromhex(artefacts.checkpoints().bytecode[2:]) + values
    return str(contracts.env.deploy_code(bytecode=code)[0])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"registry": OTHER}, "registry"),
        ({"bond": 0}, "bond"),
        ({"window": 0}, "window"),
        ({"window": 2**32}, "window"),
        ({"demand_window": 0}, "window"),
        ({"demand_window": 2**32}, "window"),
    ],
)
def test_terms_that_cost_nothing_or_that_times_overflow_with_are_never_deployed(
    contracts: Contracts, change: dict[str, Any], reason: str
) -> None:
    right: dict[str, Any] = {"registry": contracts.registry.address, "bond": 1, "window": 2**32 - 1, "demand_bond": 0}
    right |= {"demand_window": 2**32 - 1}
    assert deploy(contracts, *right.values())
    with pytest.raises(Revert, match=reason):
        deploy(contracts, *(right | change).values())


def test_a_root_that_is_pending_at_another_position_holds_nobody_up(contracts: Contracts) -> None:
    commit(contracts, 2)
    numbers = [propose(contracts, DIGEST, position) for position in (2, 1, 0)]
    assert [one[0] for one in contracts.view("status")[1]] == numbers


def test_ids_that_a_word_of_pending_ones_has_no_place_for_are_refused(contracts: Contracts) -> None:
    contracts.env.set_storage(contracts.address, 0, (2**32 - 2) << 96)
    assert propose(contracts) == 2**32 - 1
    assert refused(contracts, "propose", 0, 0, b"\x01" * 32, bytes(32), value=BOND) == "too many"


def test_of_an_odd_bond_the_greater_half_is_burnt(contracts: Contracts) -> None:
    before, contracts.address = contracts.address, deploy(contracts, contracts.registry.address, 7, 9, 0, 3)
    try:
        number = propose(contracts, value=7)
        contracts.call(OTHER, "challenge_page", number, *FAULT)
        contracts.call(OTHER, "withdraw")
        assert (contracts.view("burnt"), contracts.balance()) == (4, 4)
    finally:
        contracts.address = before


@pytest.mark.parametrize("refuse", [False, True])
def test_who_asks_for_more_while_it_is_paid_or_refuses_coins_harms_itself_alone(
    contracts: Contracts, *, refuse: bool
) -> None:
    env = contracts.env
    code = bytes.fromhex(compiler.compile_code(RECEIVER, output_formats=["bytecode"])["bytecode"][2:])
    address, _ = env.deploy_code(bytecode=code + encode(["address", "bool"], [contracts.address, refuse]))
    data = compiler.compile_code(RECEIVER, output_formats=["method_identifiers"])["method_identifiers"]
    by_it = {name.partition("(")[0]: bytes.fromhex(selector[2:].zfill(8)) for name, selector in data.items()}
    other = propose(contracts, b"\x01" * 32)
    env.execute_code(to_address=address, sender=PROPOSER, data=by_it["propose"] + b"\x02" * 32, value=BOND)
    contracts.wait(WINDOW)
    for number in (other, contracts.state.last):
        contracts.call(OTHER, "finalise", number)
    made = env.execute_code(to_address=address, sender=OTHER, data=by_it["withdraw"])
    assert made.is_error == refuse
    assert contracts.balance() == BOND * (2 if refuse else 1)
    assert contracts.view("credit", str(address)) == (BOND if refuse else 0)
    contracts.call(PROPOSER, "withdraw")
    assert contracts.view("credit", PROPOSER) == 0
    assert refused(contracts, "withdraw") == "nothing owed"
