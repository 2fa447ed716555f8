"""What checkpoints cost, against the committed figures, the target of DESIGN.md section 6, and what watchers expect."""

from __future__ import annotations

import json
from dataclasses import astuple, fields
from typing import Any

import pytest

from contracts.gas_checkpoints import FORMS, SNAPSHOT, TARGET, Contracts, Form, deep, digest_of, main, measure
from dkg.checkpoints.evidence import CALLDATA_BYTES, GAS_MAX, calldata_bytes, gas_most, shows_needed, summarised
from dkg.checkpoints.judge import Missing
from dkg.checkpoints.records import Record

Figures = dict[str, dict[str, int]]


@pytest.fixture(scope="module")
def figures() -> Figures:
    return measure()


def test_gas_is_what_was_committed(figures: Figures) -> None:
    assert figures == json.loads(SNAPSHOT.read_text()), (
        "if this is on purpose: `python -m contracts.gas_checkpoints --write`"
    )


def test_every_transaction_is_within_the_target_with_and_without_eip_7623(figures: Figures) -> None:
    for name, figure in figures.items():
        if name != "deployment":
            assert max(figure["standard"], figure["floor"]) == figure["total"] <= TARGET == GAS_MAX, name


def test_somebody_who_makes_the_pages_makes_no_challenge_too_dear(figures: Figures) -> None:
    limits = {name: figure for name, figure in figures.items() if name.startswith("limit, ")}
    assert len(limits) == 2 * len(FORMS) + 1
    assert max(figure["calldata"] for figure in limits.values()) <= CALLDATA_BYTES
    # 32 levels twice: all pages but the two dataset roots and what is cheaper by bytes.
    assert max(figure.get("shows", 0) for figure in limits.values()) <= 2 * 32


@pytest.mark.parametrize(
    "form",
    [Form(4, 16, 300, 4), Form(5, 12, 180, 200), Form(9, 2, 120, 20), Form(2, 40, 120, 4)],
    ids=lambda form: f"{form.levels} levels",
)
@pytest.mark.parametrize("shown", [False, True])
def test_a_challenge_takes_less_gas_than_watchers_expect(form: Form, *, shown: bool) -> None:
    contracts = Contracts()
    here, gone = (deep(contracts, form, member=member) for member in (True, False))
    record = Record(*contracts.commit(here.root).record)
    number, _ = contracts.propose(gone.root)
    key = contracts.key(5000, form.key_bytes)
    made = Missing(
        number, contracts.owner, (record,), here.way.encode(), gone.way.encode(), key, gone.before, gone.after
    )
    raws = [step.raw for step in (*here.way.steps, *gone.way.steps)] if shown else shows_needed(made)
    for raw in raws:
        contracts.send("show", raw)
    digests = {digest_of(raw) for raw in raws}
    most = gas_most(made, digests)
    made = summarised(made, digests)
    values: list[Any] = [getattr(made, field.name) for field in fields(made)]
    values[2] = [astuple(record)]
    found = contracts.send("challenge_missing", *values)
    assert found["calldata"] == calldata_bytes(made)
    assert 0.5 * most < found["standard"] < most <= GAS_MAX


def test_the_table_for_readers_has_the_figures(figures: Figures) -> None:
    readme = (SNAPSHOT.parent / "README.md").read_text().partition("### What checkpoints cost")[2]
    for name, figure in figures.items():
        numbers = " | ".join(f"{figure[column]:,}" for column in ("calldata", "standard", "floor", "total"))
        assert f"\n| {name} | {numbers} |\n" in readme


def test_the_figures_are_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    figure = {"deployment": {"calldata": 1, "standard": 2, "floor": 3, "total": 3}}
    monkeypatch.setattr("contracts.gas_checkpoints.measure", lambda: figure)  # that takes 8 s
    before = SNAPSHOT.read_bytes()
    assert main([]) == 0
    assert json.loads(capsys.readouterr().out) == figure
    assert SNAPSHOT.read_bytes() == before
