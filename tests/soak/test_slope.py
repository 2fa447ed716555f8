"""Whether something grows, told from samples that are known to."""

from __future__ import annotations

import math
import random

import pytest

from tests.soak.slope import BLOCK_S, WARM_UP_S, Sample, fit


def samples(
    per_hour: float, *, seconds: float, noise: float = 0.0, number: int = 1, start: float = 100.0
) -> list[Sample]:
    """One every five seconds; the first minutes are quite another thing."""
    rng = random.Random(number)
    warm = [Sample(number, float(at), 5.0) for at in range(0, int(WARM_UP_S), 5)]
    later = range(int(WARM_UP_S), int(seconds), 5)
    return warm + [Sample(number, float(at), start + per_hour * at / 3600 + rng.gauss(0, noise)) for at in later]


@pytest.mark.parametrize("per_hour", [-3.0, 0.0, 0.5, 7.0, 1_000.0])
def test_a_line_is_found_as_it_is_whatever_came_before_it_was_warm(per_hour: float) -> None:
    line = fit(samples(per_hour, seconds=1800))
    assert line is not None
    assert math.isclose(line.slope, per_hour, abs_tol=1e-6)
    assert line.error < 1e-6
    assert line.blocks == (1800 - WARM_UP_S) / BLOCK_S


@pytest.mark.parametrize(
    ("per_hour", "noise", "verdict"),
    [(0.0, 0.05, "flat"), (0.9, 0.01, "flat"), (1.1, 0.01, "grows"), (30.0, 1.0, "grows"), (0.5, 50.0, "within error")],
)
def test_what_a_slope_means_hangs_on_its_error(per_hour: float, noise: float, verdict: str) -> None:
    line = fit(samples(per_hour, seconds=3600, noise=noise))
    assert line is not None
    assert line.verdict(1.0) == verdict


def test_slices_have_one_slope_and_levels_of_their_own() -> None:
    line = fit([*samples(12.0, seconds=900), *samples(12.0, seconds=900, number=2, start=400.0)])
    assert line is not None
    assert math.isclose(line.slope, 12.0, abs_tol=1e-6)
    assert line.highest > 400


def test_noise_gives_an_error_of_its_size() -> None:
    seen = 0
    for number in range(200):
        line = fit(samples(4.0, seconds=1800, noise=2.0, number=number))
        assert line is not None
        seen += abs(line.slope - 4.0) <= 2 * line.error
    assert 170 <= seen <= 200  # of 95 %


def test_too_few_samples_tell_nothing() -> None:
    assert fit(samples(1.0, seconds=WARM_UP_S)) is None
    line = fit(samples(1.0, seconds=WARM_UP_S + 100))
    assert line is not None
    assert line.error == math.inf
    assert line.verdict(1.0) == "within error"
