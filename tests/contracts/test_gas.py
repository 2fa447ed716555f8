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


def test_the_tables_for_readers_have_the_figures(figures: dict[str, int]) -> None:
    readme = (SNAPSHOT.parent / "README.md").read_text()
    for row, name in (
        ("a publisher's first, direct", "commit, first, direct"),
        ("later, direct", "commit, later, direct"),
        ("a publisher's first, relayed", "commit, first, relayed"),
        ("later, relayed", "commit, later, relayed"),
    ):
        gas = " | ".join(f"{figures[f'{name}, {assets} assets']:,}" for assets in ASSETS)
        assert f"\n| {row} | {gas} |\n" in readme
    for row, name in (
        ("rotate, first", "rotate, first"),
        ("rotate, later", "rotate, later"),
        ("revoke", "revoke"),
        ("retire", "retire"),
        ("commit, a publisher's first, after a rotation", "commit, first, by a rotated signer"),
    ):
        gas = " | ".join(f"{figures[f'{name}, {how}']:,}" for how in ("direct", "relayed"))
        assert f"\n| {row} | {gas} |\n" in readme


def test_the_floor_of_a_commit_adds_up(figures: dict[str, int]) -> None:
    readme = (SNAPSHOT.parent / "README.md").read_text()
    columns = list(zip(*_arithmetic(readme), strict=True))
    assert [sum(column[:-2]) for column in columns] == [column[-2] for column in columns]
    measured = [figures[f"commit, first, {how}, 1 assets"] for how in ("direct", "relayed")]
    assert [column[-2] + column[-1] for column in columns] == measured
    assert columns[1][-2] > TARGET


def _arithmetic(readme: str) -> list[tuple[int, int]]:
    """The rows of the table that ends with `instructions`."""
    table = readme.partition("### Why a relayed first commit")[2].partition("\n\nThe head is fresh")[0]
    rows = [line.strip("|").split("|")[1:] for line in table.splitlines() if line.startswith("|")][2:]
    made = [tuple(int(cell.strip().replace(",", "") or 0) for cell in row) for row in rows]
    return [(direct, relayed) for direct, relayed in made]


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
