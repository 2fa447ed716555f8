"""`scripts/soak` itself, for some seconds: nothing goes wrong, and what it writes can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.soak.__main__ import main
from tests.soak.report import read, summary
from tests.soak.run import slices, soak

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_a_few_seconds_of_mixed_load(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "samples.jsonl"
    assert soak(folder, file, seconds=8.0, askers=3, pause_s=0.1) == []
    assert slices(file) == 1
    found = summary(read(file))
    assert found["errors"] == []
    assert found["commits"] >= 4
    assert {row["node"] for row in found["rows"]} == {"first", "second"}
    assert sum(number for name, number in found["counts"].items() if name.startswith("proved 200")) > 0
    assert main(["report", "--file", str(file)]) == 0
    assert "resident memory" in capsys.readouterr().out
