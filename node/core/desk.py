"""Operations that were asked for: on the disk before anybody is told that they are accepted, and there after a crash.

An operation is a row of the node's state; what it is about (a signed commit, a document's quads, transactions) is a
file in `inbox/`, on the disk before the row is. A file without a row was never acknowledged, and is thrown away.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from heapq import nsmallest
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from dkg.client.database import make_directory, put_file
from dkg.errors import StoreError
from node.serving import Stage, Ticket, body_of
from node.storage import Operation
from node.storage.operations import OPERATIONS_MAX

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from node.storage import NodeStore

INBOX: Final = "inbox"
INBOX_BYTES_MAX: Final = 1024 * 1024 * 1024
"""Longest file of the inbox that is read, in bytes."""

REMEMBERED_MAX: Final = OPERATIONS_MAX
"""Operations that are remembered. Those that are not finished are not forgotten for others' sake."""

ERROR_CHARACTERS_MAX: Final = 2_000
"""Longest sentence that is kept of what went wrong."""

_FINISHED: Final = {Stage.FINAL, Stage.FAILED}
_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


class Desk:
    """The operations of a node. Changed in one lane; looked up anywhere."""

    def __init__(self, store: NodeStore, clock: Callable[[], float]) -> None:
        """Read what there is. `clock`: Unix seconds. Raises `StoreError`."""
        self._store = store
        self._clock = clock
        self._inbox = store.directory / INBOX
        # Changed in place: a copy for each change was most of what went up and down in a node's memory.
        self._lock = Lock()
        self._all: dict[str, Operation] = {one.id: one for one in store.operations.recent(REMEMBERED_MAX)[::-1]}
        self._open = {one.id: one for one in self._all.values() if one.state not in _FINISHED}
        self._tidy()

    def get(self, name: str) -> Operation | None:
        """An operation by its id."""
        with self._lock:
            return self._all.get(name)

    def recent(self, most: int, before: tuple[int, str] | None = None) -> list[Operation]:
        """The operations that were changed last, the latest first. `before`: see `Service.operations`."""
        with self._lock:
            known = list(self._all.values())
        if before is not None:
            known = [one for one in known if (-one.updated, one.id) > (-before[0], before[1])]
        return nsmallest(max(0, most), known, key=lambda one: (-one.updated, one.id))

    def unfinished(self, kind: str | None = None) -> list[Operation]:
        """Those on which something is left to do, the oldest first."""
        with self._lock:
            found = [one for one in self._open.values() if kind in {None, one.kind}]
        return sorted(found, key=lambda one: (one.created, one.id))

    def again(self, ticket: Ticket) -> Operation | None:
        """What was asked for with a ticket's id before. Raises `OperationConflictError` if it was something else."""
        found = self._all.get(ticket.id)
        if found is not None:
            ticket.require(found)
        return found

    def begin(self, ticket: Ticket, kind: str, body: dict[str, Any], content: bytes) -> Operation:
        """Write an operation down, and what it is about; durable when this returns. Raises `StoreError`."""
        self.put_content(ticket.id, content)
        now = int(self._clock())
        return self._put(Operation(ticket.id, kind, Stage.ACCEPTED, now, now, _json({"digest": ticket.digest, **body})))

    def move(self, operation: Operation, stage: Stage, **facts: object) -> Operation:
        """Change an operation; durable when this returns. `facts`: of its body; None takes one out.

        It is changed as it is now, whatever `operation` was; one that is finished stays as it is.
        """
        operation = self._all.get(operation.id, operation)
        if operation.state in _FINISHED:
            return operation
        known = body_of(operation)
        body = {name: value for name, value in {**known, **facts}.items() if value is not None}
        if stage is operation.state and body == known:
            return operation
        made = replace(operation, state=stage, updated=int(self._clock()), body=_json(body))
        made = self._put(made)
        if stage.finished:
            self.drop_content(made.id)
        return made

    def fail(self, operation: Operation, why: str) -> Operation:
        """It came to nothing."""
        return self.move(operation, Stage.FAILED, error=why[:ERROR_CHARACTERS_MAX], waiting=None)

    def forget(self, before: int) -> None:
        """Forget what has not changed since a time, in Unix seconds."""
        self._store.operations.forget(before)
        with self._lock:
            for name in [one.id for one in self._all.values() if one.updated < before]:
                self._drop(name)

    def _put(self, operation: Operation) -> Operation:
        known = len(self._all) - (operation.id in self._all)
        if known >= REMEMBERED_MAX:
            others = [one for one in self._all.values() if one.id != operation.id]
            oldest = next((one for one in others if one.state in _FINISHED), others[0]).id
            self._store.operations.remove(oldest)
            with self._lock:
                self._drop(oldest)
        self._store.operations.put(operation)
        with self._lock:
            self._drop(operation.id)  # so that it is the last, as it is in the store
            self._all[operation.id] = operation
            if operation.state not in _FINISHED:
                self._open[operation.id] = operation
        return operation

    def _drop(self, name: str) -> None:
        self._all.pop(name, None)
        self._open.pop(name, None)

    # --- what they are about ---------------------------------------------------------------------------------------

    def content(self, name: str) -> bytes:
        """What an operation is about. Raises `StoreError` if it is not there."""
        path = self._path(name)
        try:
            with path.open("rb") as file:
                return file.read(INBOX_BYTES_MAX)
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error

    def put_content(self, name: str, content: bytes) -> None:
        """Keep it; on the disk when this returns. Raises `StoreError`."""
        path = self._path(name)
        make_directory(self._inbox, "inbox")
        try:
            put_file(path, content, 0o600)  # what is not published yet is for nobody else to read
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error

    def has_content(self, name: str) -> bool:
        """Whether it is there."""
        return self._path(name).exists()

    def drop_content(self, name: str) -> None:
        """It is needed no more."""
        for one in (name, f"{name}.tx"):
            with suppress(OSError):  # then it is thrown away when the node starts next
                self._path(one).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if not _ID.fullmatch(name.removesuffix(".tx")):
            raise ValueError(f"{name!r} is no id of an operation")
        return self._inbox / name

    def _tidy(self) -> None:
        """Throw away what no unfinished operation is about."""
        wanted = {one.id for one in self.unfinished()}
        if self._inbox.is_dir():
            for path in self._inbox.iterdir():
                if path.name.removesuffix(".tx") not in wanted:
                    with suppress(OSError):
                        path.unlink(missing_ok=True)


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
