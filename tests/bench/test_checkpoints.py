"""The bench of checkpoints, small: every kind of challenge is accepted, and its figures are there."""

from __future__ import annotations

from bench import checkpoints
from contracts.gas_checkpoints import TARGET


def test_every_kind_of_challenge_is_sent_and_measured() -> None:
    made = checkpoints.world(1000)
    for name in checkpoints.KINDS:
        found = checkpoints.challenges(made, name, 10)
        assert (found["counted"], found["sent"]) == (10, 2)
        assert found["calldata"]["median"] <= found["calldata"]["max"]
        assert found["standard"]["max"] <= found["total"]["max"] <= TARGET
    others = checkpoints.others(made)
    assert others["propose"]["total"] >= others["propose"]["standard"] > 0
