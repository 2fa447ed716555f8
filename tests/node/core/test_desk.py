"""Operations in parts: an order that is total, whatever changes between two parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.core.desk import Desk
from node.serving import Ticket
from node.storage import NodeStore

if TYPE_CHECKING:
    from pathlib import Path


def test_operations_in_parts_those_that_changed_last_first(tmp_path: Path) -> None:
    now = 100
    with NodeStore(tmp_path) as store:
        desk = Desk(store, lambda: now)
        for number in range(9):
            now = 100 + number // 3  # several in one second
            desk.begin(Ticket(f"op{number}", "d"), "commit", {}, b"x")
        whole = [one.id for one in desk.recent(100)]
        assert whole == ["op6", "op7", "op8", "op3", "op4", "op5", "op0", "op1", "op2"]
        assert whole == [one.id for one in store.operations.recent(100)]
        found: list[str] = []
        place: tuple[int, str] | None = None
        while part := desk.recent(4, place):
            found += [one.id for one in part]
            place = part[-1].updated, part[-1].id
        assert found == whole
        assert desk.recent(0) == desk.recent(-1) == []
