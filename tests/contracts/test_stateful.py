"""Any sequence of calls: the contract does what the model says, and the invariants of `machine.py` hold."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contracts.machine import RegistryMachine
from tests.contracts.onchain import examples

REASONS = {
    "commit": {"not the signer", "revoked", "retired", "wrong previous", "wrong prior", "wrong previous or prior"},
    "commit_signed": {"wrong seq", "not the signer", "revoked", "retired", "wrong previous", "wrong previous or prior"},
    "rotate": {"not the publisher", "no signer", "retired"},
    "rotate_signed": {"wrong nonce", "not the publisher", "no signer", "retired"},
    "revoke": {"not the signer", "revoked", "retired"},
    "revoke_signed": {"wrong nonce", "not the signer", "revoked", "retired"},
    "retire": {"not the publisher", "retired"},
    "retire_signed": {"wrong nonce", "not the publisher"},
}
"""What the machine must have met, so that it can be said to have tried it."""


ROUNDS_MAX = 5
"""How often the machine is run to meet all that, each time with other examples; once is nearly always enough."""


@pytest.mark.slow
def test_the_contract_does_what_the_model_says() -> None:
    class Machine(RegistryMachine):
        reached: ClassVar[Counter[str]] = Counter()

    expected = {f"{name}: {reason}" for name, reasons in REASONS.items() for reason in {*reasons, "taken"}}
    expected |= {f"{name} taken back" for name in ("Committed", "Rotated", "Revoked", "Retired")}
    expected |= {"commit by a signer that was named", "commit: zero root", "commit_signed: zero root"}
    wanted = settings(max_examples=examples(200, 10_000), stateful_step_count=40)
    for number in range(ROUNDS_MAX):
        run_state_machine_as_test(seed(number)(Machine) if wanted.derandomize else Machine, settings=wanted)
        if expected <= set(Machine.reached):
            break
    assert expected - set(Machine.reached) == set()
