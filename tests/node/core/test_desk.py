"""Operations in parts: an order that is total, whatever changes between two parts."""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING

from node.core import desk as desk_module
from node.core.desk import Desk
from node.serving import Stage, Ticket
from node.storage import NodeStore, operations

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


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


def test_what_was_accepted_and_is_not_done_is_not_forgotten_for_what_came_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "REMEMBERED_MAX", 5)
    monkeypatch.setattr(operations, "OPERATIONS_MAX", 5)
    with NodeStore(tmp_path) as store:
        desk = Desk(store, lambda: 100)
        desk.begin(Ticket("waits", "d"), "commit", {}, b"signed")
        for number in range(12):
            desk.move(desk.begin(Ticket(f"op{number}", "d"), "commit", {}, b"x"), Stage.FINAL)
        kept = ["op10", "op11", "op8", "op9", "waits"]
        for one in (desk, Desk(store, lambda: 100)):
            assert sorted(found.id for found in one.recent(100)) == kept
            assert [found.id for found in one.unfinished()] == ["waits"]
            assert one.content("waits") == b"signed"


def test_what_is_not_published_yet_is_read_by_the_owner_alone(tmp_path: Path) -> None:
    with NodeStore(tmp_path) as store:
        Desk(store, lambda: 100).begin(Ticket("op", "d"), "publish", {}, b"quads")
    assert (tmp_path / "inbox" / "op").stat().st_mode & 0o777 == 0o600


def test_others_look_operations_up_while_they_change(tmp_path: Path) -> None:
    wrong: list[str] = []
    ended = Event()
    with NodeStore(tmp_path) as store:
        desk = Desk(store, lambda: 100)
        one = desk.begin(Ticket("op", "d"), "commit", {}, b"x")

        def look() -> None:
            while not ended.is_set():
                if desk.get("op") is None or not desk.recent(3) or [found.id for found in desk.unfinished()] != ["op"]:
                    wrong.append("it was not there for a moment")
                    return

        watcher = Thread(target=look)
        watcher.start()
        for number in range(200):
            desk.move(one, Stage.RUNNING, waiting=str(number))
        ended.set()
        watcher.join()
    assert not wrong
