"""Any sequence of calls: the checkpoint contract does what the model says, and no wei is made, lost or locked."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contracts.checkpoints.stateful_machine import CheckpointMachine
from tests.contracts.onchain import examples

REACHED = {
    "propose": {"taken", "bond", "marks", "position", "not above the final"},
    "finalise": {"taken", "not pending"},
    "demand": {"taken"},
    "answer": {"taken"},
    "expire": {"taken", "too early"},
    "withdraw": {"taken", "nothing owed"},
    "mark_invalid": {"taken"},
    "challenge Missing": {"taken"},
    "challenge Extra": {"taken"},
    "challenge Fault": {"taken"},
}
"""What the machine must have met, so that it can be said to have tried it."""

SELDOM = {
    "propose": {"tip", "pending already", "too many pending"},
    "finalise": {"window", "open demands"},
    "demand": {"bond", "shown already", "not pending", "marked", "demands are over"},
    "answer": {"no such demand", "too late", "other page", "not shown"},
    "expire": {"no such demand"},
    "mark_invalid": {"marked"},
    "challenge Index": {"taken"},
    "old evidence": {"taken", "not pending"},
}
"""The same, of long runs."""

ROUNDS_MAX = 9
"""How often the machine is run to meet all that, each time with other examples."""


@pytest.mark.slow
def test_the_contract_does_what_the_model_says() -> None:
    class Machine(CheckpointMachine):
        reached: ClassVar[Counter[str]] = Counter()

    reached = [*REACHED.items(), *(SELDOM.items() if examples(0, 1) else ())]
    expected = {f"{name}: {reason}" for name, reasons in reached for reason in reasons} | {"went back"}
    wanted = settings(max_examples=examples(25, 2000), stateful_step_count=50)
    for number in range(ROUNDS_MAX):
        run_state_machine_as_test(seed(number)(Machine) if wanted.derandomize else Machine, settings=wanted)
        if expected <= set(Machine.reached):
            break
    assert expected - set(Machine.reached) == set()
