"""`scripts/bench retrieval`: its parts, and what becomes of a part that cannot be measured."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from bench import __main__ as bench
from bench.report import Json, Row
from bench.retrieval import scanner, whole
from dkg.errors import StoreError


def test_every_part_is_a_module_that_can_be_run_alone() -> None:
    for name in whole.PARTS:
        assert callable(import_module(f"bench.retrieval.{name}").measured)


def test_a_part_whose_weights_are_missing_is_left_out_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(_: whole.Plan) -> tuple[list[Row], Json]:
        raise StoreError("the weights are not installed")

    def there(_: whole.Plan) -> tuple[list[Row], Json]:
        return [Row("a", "a", 1.0, "s")], {}

    monkeypatch.setattr(whole, "PARTS", {"one": lacking, "two": there, "three": there})
    said: list[str] = []
    found = {name: (rows, details) for name, rows, details in whole.measured(whole.Plan(said.append), ["one", "two"])}
    assert found.keys() == {"one", "two"}
    assert found["one"] == ([], {"left_out": "the weights are not installed"})
    assert [row.key for row in found["two"][0]] == ["a"]
    assert any("the weights are not installed" in line for line in said)


def test_a_part_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "retrieval", "--only", "nothing"])
    with pytest.raises(SystemExit, match="the parts are answers, paths"):
        bench.main()


def test_rates_of_the_scanner_are_of_what_it_was_not_made_from() -> None:
    found = [
        scanner.Found(scanner.IN_DATA, "BIPIA, seven other kinds", 9, 10),
        scanner.Found(scanner.IN_DATA, "the same inside descriptions", 0, 30),
        scanner.Found(scanner.IN_DATA, "bastioncorpus, tactics looked at", 50, 50),
        scanner.Found(scanner.IN_DATA, "bastioncorpus, other tactics", 9, 10),
        scanner.Found(scanner.WRONGLY, "names", 1, 100),
        scanner.Found("questions, wrongly refused", "questions", 5, 5),
    ]
    true, false = scanner.rows_of(found)
    assert (true.value, true.met) == (90.0, False)
    assert (false.value, false.met) == (1.0, True)
