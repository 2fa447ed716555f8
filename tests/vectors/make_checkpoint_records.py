"""Vectors of records, and of what counts (docs/formats.md, sections 12 and 13)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dkg.checkpoints.records import Record, claim, counting_commit, marked_among
from dkg.limits import COMMITS_MAX
from dkg.page import cid_of
from tests.dkg.checkpoints.worlds import (
    PUBLISHERS,
    STRANGER,
    World,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def _record(record: Record) -> dict[str, Any]:
    numbers = f"{record.numbers:064x}"
    return {
        "root": record.root.hex(),
        "numbers": numbers,
        "block_number": record.block_number,
        "timestamp": record.timestamp,
    }


def logged() -> World:
    """Ten commits of a publisher and four of another: all of the one are marked but the last, the first one last.

    Then nine of a third one, of which the last eight are marked.
    """
    world = World()
    for number in range(10):
        world.commit(PUBLISHERS[0], root=cid_of(b"one %d" % number))
        if number % 3 == 0:
            world.commit(PUBLISHERS[1], root=cid_of(b"two %d" % number))
    for entry in list(world.log.entries):
        if entry.publisher == PUBLISHERS[0] and 1 < entry.commit.seq < 10:
            world.mark(entry.position)
    world.mark(0)
    for number in range(COMMITS_MAX + 1):
        entry = world.commit(PUBLISHERS[2], root=cid_of(b"three %d" % number))
        if number:
            world.mark(entry.position)
    return world


def records() -> dict[str, Any]:
    """A log with marks, and what counts at positions and marks; and claims that are refused."""
    world = logged()
    entries, log = world.log.entries, world.log
    cases = []
    for publisher in (*PUBLISHERS, STRANGER):
        for marks in (0, 6, 8, 9, len(world.marked)):
            for position in range(len(entries) + 1):
                marked = marked_among(world.marked, marks)
                shown = claim(log, publisher, position, marked)
                counts = counting_commit(log, publisher, position, marked)
                cases.append(
                    {
                        "publisher": publisher.hex(),
                        "position": position,
                        "marks": marks,
                        "records": [one.position for one in shown],
                        "counts": counts.commit.root.hex() if counts else None,
                    }
                )
    return {
        "log": [
            {"publisher": one.publisher.hex(), **_record(Record.of(one)), "entry": one.entry().hex()} for one in entries
        ],
        "heads": {
            publisher.hex(): [state.head.seq, state.head.position] for publisher, state in log.publishers.items()
        },
        "marks": {str(position): mark.number for position, mark in world.marked.items()},
        "cases": cases,
        "refused": list(_false_claims(world)),
    }


def _false_claims(world: World) -> Iterator[dict[str, Any]]:
    mine = [Record.of(one) for one in world.log.entries if one.publisher == PUBLISHERS[0]]
    end, marks = len(world.log.entries), len(world.marked)

    def false(
        name: str, shown: list[Record], position: int = end, marks: int = marks, who: bytes = PUBLISHERS[0]
    ) -> dict[str, Any]:
        return {"name": name, "publisher": who.hex(), "position": position, "marks": marks} | {
            "records": [_record(one) for one in shown]
        }

    yield false("no records of a publisher that has commits", [])
    yield false("an older commit, though the latest counts", mine[1:2])
    yield false("an older commit and all after it but the latest", mine[7:9])
    yield false("an older commit, though a later one is not marked", mine[2:])
    yield false("a gap in the records", [mine[7], mine[9]], marks=marks)
    yield false("records the wrong way round", [mine[9], mine[8]])
    yield false("a record twice", [mine[9], mine[9]])
    yield false("the commit after the position only", mine[9:], position=mine[9].position)
    yield false("marked ones that do not go back far enough", mine[2:], position=mine[9].position)
    yield false("a mark that came later", mine[1:], position=mine[9].position, marks=3)
    yield false("ten records", mine)
    yield false("nine below the position", mine[1:10], position=end)
    others = [Record.of(one) for one in world.log.entries if one.publisher == PUBLISHERS[2]]
    yield false("the ninth commit back, though all after it are marked", others, who=PUBLISHERS[2])
    yield false("another publisher's records", mine[9:], who=PUBLISHERS[1])
    theirs = [Record.of(one) for one in world.log.entries if one.publisher == PUBLISHERS[1]]
    yield false("an old commit alone that has no mark, though later ones count", theirs[:1], who=PUBLISHERS[1])
    yield false("a changed root", [replace(mine[9], root=mine[8].root)])
    yield false("a changed count", [replace(mine[9], numbers=mine[9].numbers + (1 << 48))])
    yield false("a changed block", [replace(mine[9], block_number=mine[9].block_number + 1)])
    yield false("a changed time", [replace(mine[9], timestamp=mine[9].timestamp + 1)])
    yield false("a position that is not in the log", [replace(mine[9], numbers=mine[9].numbers + (1 << 144 + 8))])


FILES = {"checkpoints/records.json": records}
