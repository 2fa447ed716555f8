"""The figures of answers over all publishers, over little data: each proof is verified, and they say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import l2

if TYPE_CHECKING:
    import pytest


def test_proofs_over_a_checkpoint_are_measured_beside_those_of_publishers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(l2, "PUBLISHERS", 3)
    monkeypatch.setattr(l2, "BESIDE", (0, 2))
    monkeypatch.setattr(l2, "ROUNDS", 1)
    figures = l2.l2(24_000)
    for name, rows in {"point": 10, "nothing": 0, "star": 39, "join": 13}.items():
        kinds = figures["against_one"][name]
        assert {one["rows"] for one in kinds.values()} == {rows}
        assert kinds["L2, origins"]["datasets"] == (1 if rows else 0)
        grown = figures["beside"][name]
        assert grown["2"]["bytes"] > grown["0"]["bytes"] > 1_000
    assert "L2, 2 since" in l2.table(figures)
