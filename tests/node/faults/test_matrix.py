"""docs/faults.md says what the tests do: every test that it counts is there, and every row is at its count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.node.core.processes import ROOT
from tests.node.faults.matrix import ROWS, Row, table

if TYPE_CHECKING:
    from collections.abc import Callable

WANTED = {"A1", "A2", "A3", "A4", "A5", "A6", "A7", "B4", "F3", "G1", "G2", "G3"}
WANTED |= {f"C{number}" for number in range(1, 10)} | {f"D{number}" for number in range(1, 8)}


def test_every_row_that_was_asked_for_is_there() -> None:
    assert {row.name for row in ROWS} == WANTED
    assert len(ROWS) == len(WANTED)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_has_the_cases_that_were_asked_for(row: Row) -> None:
    for place in row.places:
        test: Callable[..., object] = place.function
        assert test.__name__ == place.test
        assert (ROOT / place.path).is_file()
    assert row.cases >= row.wanted


def test_the_document_has_every_row_and_promises_no_more_cases_than_there_are() -> None:
    """Tests that try more than the document says are no reason to change it."""
    lines = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    said = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    for made in table().splitlines()[2:]:
        *words, cases, wanted = (cell.strip() for cell in made.strip("|").split("|"))
        (told,) = (cells for cells in said if cells[: len(words)] == words)
        assert int(told[-2].replace(",", "")) <= int(cases.replace(",", ""))
        assert told[-1] == wanted
