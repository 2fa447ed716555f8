"""Row A2 on whole nodes: kill -9 under load, with a peer that replicates (`scripts/soak kill`: a hundred times)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.soak.kills import kill

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 100 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 4


@pytest.mark.slow
def test_nodes_that_are_killed_under_load_have_everything_that_they_acknowledged(folder: Path) -> None:
    said: list[str] = []
    killed = kill(folder, KILLS, seed=3, say=said.append)
    assert killed.errors == []
    assert killed.kills >= KILLS
    assert killed.acknowledged > KILLS
    assert killed.answers > 0
    assert len(said) == len(killed.restarts)
