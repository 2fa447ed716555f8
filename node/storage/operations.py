"""Operations: what somebody asked a node to do and that takes a while, so that they can ask how it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.errors import LimitError
from node.storage.state import OPERATIONS

if TYPE_CHECKING:
    from node.storage.state import StateDatabase

BODY_BYTES_MAX: Final = 64 * 1024
"""Longest body of an operation, in bytes."""

OPERATIONS_MAX: Final = 10_000
"""Most operations that are remembered; the ones that were changed longest ago are forgotten first."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`id`, `kind` and `state`: names. `created`, `updated`: Unix seconds. `body`: what its kind makes of it."""

    id: str
    kind: str
    state: str
    created: int
    updated: int
    body: bytes = b""


class Operations:
    """The operations that a node remembers. Durable when `put` returns. Every failure is a `StoreError`."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state

    def put(self, operation: Operation) -> None:
        """Remember an operation, in the place of what was known of it. Raises `LimitError` for too long a body."""
        if len(operation.body) > BODY_BYTES_MAX:
            raise LimitError(
                f"the body of operation {operation.id} has {len(operation.body)} bytes; {BODY_BYTES_MAX} are the most"
            )
        one = operation
        with self._state.changing():
            self._state.tables.put(OPERATIONS, (one.id, one.kind, one.state, one.created, one.updated, one.body))
            over = self._state.tables.count(OPERATIONS) - OPERATIONS_MAX
            if over > 0:
                for row in self._state.tables.rows(OPERATIONS, order=f"updated, id LIMIT {over}"):
                    self._state.tables.remove(OPERATIONS, "id=?", row[:1])

    def get(self, name: str) -> Operation | None:
        """The operation with an id."""
        return next((Operation(*row) for row in self._state.tables.rows(OPERATIONS, "id=?", (name,))), None)

    def recent(self, most: int) -> list[Operation]:
        """The operations that were changed last, so many at most, the latest first."""
        return [
            Operation(*row) for row in self._state.tables.rows(OPERATIONS, order=f"updated DESC, id LIMIT {most:d}")
        ]

    def remove(self, name: str) -> None:
        """Forget the operation with an id."""
        with self._state.changing():
            self._state.tables.remove(OPERATIONS, "id=?", (name,))

    def forget(self, before: int) -> int:
        """Forget what has not changed since a time, in Unix seconds; gives how many those were."""
        with self._state.changing():
            return len(self._state.tables.remove(OPERATIONS, "updated<?", (before,)))
