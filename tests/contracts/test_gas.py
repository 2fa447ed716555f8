"""What the registry costs, against the committed figures and the target of DESIGN.md section 6."""

from __future__ import annotations

import json

import pytest

from contracts.gas import ASSETS, SNAPSHOT, TARGET, Chain, Publisher, main, measure

# Two fresh slots of storage, a signature and its check: `contracts/README.md` has the arithmetic.
ABOVE_TARGET = {f"commit, first, relayed, {assets} assets" for assets in ASSETS}


@pytest.fixture(scope="module")
def figures() -> dict[str, int]:
    return measure()


def test_gas_is_what_was_committed(figures: dict[str, int]) -> None:
    assert figures == json.loads(SNAPSHOT.read_text()), "if this is on purpose: `python -m contracts.gas --write`"


def test_commits_are_within_the_target_but_for_the_first_relayed_one_of_a_publisher_without_history(
    figures: dict[str, int],
) -> None:
    above = {name for name, gas in figures.items() if name.startswith("commit") and gas > TARGET}
    assert above == ABOVE_TARGET
    assert max(figures[name] for name in ABOVE_TARGET) < 1.08 * TARGET


def test_the_dearest_direct_commit_is_within_the_target() -> None:
    # No value has a byte more than these: what a commit covers cannot make it dearer.
    publisher = Publisher(Chain(), 1000)
    assert publisher.commit(relayed=False, count=2**48 - 1, created=2**48 - 1) <= TARGET


def test_the_first_commit_of_a_registry_costs_what_others_do(figures: dict[str, int]) -> None:
    assert figures["commit, first of the registry, direct"] == figures["commit, first, direct, 1 assets"]


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
