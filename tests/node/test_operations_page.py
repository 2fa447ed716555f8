"""docs/operations.md has the settings that the code has."""

from __future__ import annotations

from pathlib import Path

from node.config_table import table


def test_the_page_has_the_table_of_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    assert table() in page
