"""How long simulated peers take from a block to one union: in virtual time, the same on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sim.converge import COMMITS, measure

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("peers", [3, 10])
def test_peers_come_to_one_union_within_two_looks_at_the_chain(peers: int, folder: Path) -> None:
    found = measure(peers, range(1), folder)
    assert len(found.seconds) == COMMITS
    assert max(found.seconds) < 4.0
    assert max(found.messages[1:]) < 60  # a change is asked for a few times, and no page with it
    assert max(found.bytes[1:]) < 20_000
