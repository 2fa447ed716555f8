"""What the registry costs, against the committed figures and the target of DESIGN.md section 6."""

from __future__ import annotations

import json

import pytest

from contracts.gas import ASSETS, SNAPSHOT, TARGET, main, measure

# A publisher that has never used the registry pays 22,100 gas for its head, once: with its first commit, or with the
# rotation that names its hot key before that.
ABOVE_TARGET = {
    "commit, first of the registry, direct",
    *(f"commit, first, {how}, {assets} assets" for how in ("direct", "relayed") for assets in ASSETS),
}


@pytest.fixture(scope="module")
def figures() -> dict[str, int]:
    return measure()


def test_gas_is_what_was_committed(figures: dict[str, int]) -> None:
    assert figures == json.loads(SNAPSHOT.read_text()), "if this is on purpose: `python -m contracts.gas --write`"


def test_commits_are_within_the_target_but_for_the_first_of_a_publisher_without_history(
    figures: dict[str, int],
) -> None:
    above = {name for name, gas in figures.items() if name.startswith("commit") and gas > TARGET}
    assert above == ABOVE_TARGET


def test_the_first_commit_of_a_publisher_without_history_is_above_the_target_by_a_tenth_at_most(
    figures: dict[str, int],
) -> None:
    gas = {name: figures[name] for name in ABOVE_TARGET if "registry" not in name}
    assert max(gas.values()) < 1.1 * TARGET


@pytest.mark.parametrize("how", ["direct", "relayed"])
@pytest.mark.parametrize("which", ["first", "later"])
def test_a_commit_costs_the_same_whatever_its_number_of_assets(figures: dict[str, int], which: str, how: str) -> None:
    gas = [figures[f"commit, {which}, {how}, {assets} assets"] for assets in ASSETS]
    # What differs is calldata: 12 gas for each byte of the count, seq or signature that is not zero.
    assert max(gas) - min(gas) <= 12 * 8


def test_the_figures_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    before = SNAPSHOT.read_bytes()
    assert main([]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(before)
    assert SNAPSHOT.read_bytes() == before
