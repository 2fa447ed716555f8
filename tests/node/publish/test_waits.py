"""How long is waited, and what is borne meanwhile."""

from __future__ import annotations

import pytest

from dkg.client.anchored import RollbackError
from dkg.client.chainread import FinalityError, UnprovableError
from dkg.client.rpc import RpcRefusedError, RpcUnavailableError
from dkg.errors import InputError, ProofError
from node.publish.errors import RejectedError, RevertedError
from node.publish.waits import FAULTS_MAX, Pace, Patience, Waits
from tests.node.publish.world import FakeTime

WAITS = Waits(poll_min_s=0.02, poll_max_s=1.0, outage_s=60.0)


def failing(times: int) -> tuple[Patience, FakeTime, list[int]]:
    """Patience with a clock of its own, and how often the work is to fail."""
    time = FakeTime()
    return Patience(Pace(WAITS, time.waiting()), lambda *_: None), time, [times]


def done(patience: Patience, error: Exception, left: list[int]) -> str:
    def work() -> str:
        if left[0]:
            left[0] -= 1
            raise error
        return "done"

    return patience(work)


def test_waits_grow_up_to_a_limit_and_start_anew() -> None:
    time = FakeTime()
    pace = Pace(WAITS, time.waiting())
    waited = []
    for _ in range(20):
        before = time.now
        pace.pause()
        waited.append(time.now - before)
    assert waited[0] == pytest.approx(0.02 * 0.875)
    assert waited == sorted(waited)
    assert waited[-1] == pytest.approx(1.0 * 0.875)
    assert sum(waited[:5]) < 0.3
    pace.reset()
    before = time.now
    pace.pause()
    assert time.now - before == pytest.approx(0.02 * 0.875)


@pytest.mark.parametrize("error", [ProofError("p"), RpcRefusedError("r", -32000), RevertedError("wrong prior")])
def test_wrong_answers_are_borne_a_few_times(error: Exception) -> None:
    patience, time, left = failing(FAULTS_MAX - 1)
    assert done(patience, error, left) == "done"
    assert 2 < time.now - 1000 < 10
    patience, time, left = failing(FAULTS_MAX)
    with pytest.raises(type(error)):
        done(patience, error, left)
    assert left == [0]


def test_an_outage_is_waited_out_up_to_its_limit() -> None:
    error = RpcUnavailableError("gone")
    patience, time, left = failing(50)
    assert done(patience, error, left) == "done"
    patience, time, left = failing(10_000)
    with pytest.raises(RpcUnavailableError):
        done(patience, error, left)
    assert 60 <= time.now - 1000 < 62


@pytest.mark.parametrize(
    "error",
    [
        RollbackError("r"),
        FinalityError("f"),
        UnprovableError("u", -32601),
        RejectedError("sanctioned"),
        InputError("i"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_alarms_are_raised_at_once(error: Exception) -> None:
    patience, time, left = failing(1)
    with pytest.raises(type(error)):
        done(patience, error, left)
    assert time.now == 1000
