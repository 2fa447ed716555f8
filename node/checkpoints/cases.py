"""What a watcher found and did, for good: one JSON file a case, in a directory of the node.

A case is a checkpoint that is wrong, a commit that is malformed, a page that is withheld, an answer or a proposal of
this node. It says what was found, what was sent and what came of it. It is written before anything is sent; if the disk
takes none, what is due is sent all the same.
"""

from __future__ import annotations

import json
import time
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from dkg.checkpoints.records import Record
from dkg.client.database import make_directory, put_file
from dkg.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dkg.checkpoints.judge import Evidence
    from node.checkpoints.hand import Step

CASES: Final = "cases"
"""The directory, below that of checkpoints."""

DAMAGED: Final = ".damaged"
"""How the names of files end that are no cases."""

CASES_MAX: Final = 10_000
"""Most cases that are kept; of more, the ones that changed least recently go."""

CASE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Longest file that is read, in bytes: steps hold what was sent, and a path has 98,304 bytes at most."""

STEPS_MAX: Final = 64
"""Most steps that one case keeps: a case in which more happens keeps the last ones."""


class Cases:
    """The files of one directory. For one thread at a time."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        """`directory`: that of checkpoints. `clock`: Unix seconds."""
        self.directory = directory / CASES
        self._clock = clock

    def read(self, name: str) -> dict[str, Any]:
        """A case; empty if there is none. One that is damaged is moved aside: nobody's challenge waits for a file.

        Raises `StoreError`.
        """
        path = self._path(name)
        try:
            with path.open("rb") as file:
                raw = file.read(CASE_BYTES_MAX)
            found = _case(raw)
            if found is None:
                path.replace(path.with_suffix(DAMAGED))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
        return found or {}

    def put(self, name: str, **facts: object) -> None:
        """Add facts to a case; durable when this returns. What it says already costs nothing. Raises `StoreError`."""
        before = self.read(name)
        if all(before.get(one) == value for one, value in facts.items()):
            return
        now = int(self._clock())
        body = {"found_at": now, **before, **facts, "changed_at": now}
        try:
            make_directory(self.directory, "node's")
            put_file(self._path(name), (json.dumps(body, indent=1, sort_keys=True) + "\n").encode())
        except OSError as error:
            raise StoreError(f"{self._path(name)} cannot be written: {error.strerror or error}") from error
        if not before:
            self._forget_old()

    def step(self, name: str, step: Step) -> None:
        """Add what was done. Raises `StoreError`."""
        sent = step.sent
        if sent.transaction is None:
            return  # it had been done before
        made = {
            "what": step.what,
            "to": _hex(step.call.to or b""),
            "data": _hex(step.call.data),
            "value": step.call.value,
            "transaction": _hex(sent.transaction),
            "block": sent.block,
            "gas_used": sent.gas_used,
        }
        steps = self.read(name).get("steps", [])
        if made not in steps:
            self.put(name, steps=[*steps, made][-STEPS_MAX:])

    def names(self) -> list[str]:
        """All cases."""
        return sorted(path.stem for path in self.directory.glob("*.json"))

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def _forget_old(self) -> None:
        paths = list(self.directory.glob("*.json"))
        if len(paths) > CASES_MAX:
            for path in sorted(paths, key=lambda one: one.stat().st_mtime)[: len(paths) - CASES_MAX]:
                path.unlink(missing_ok=True)


def _case(raw: bytes) -> dict[str, Any] | None:
    """What a file says; None if that is no case."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("steps", []), list) else None


def told(evidence: Evidence) -> dict[str, Any]:
    """Evidence as JSON."""
    return {"kind": type(evidence).__name__} | {
        one.name: _json(getattr(evidence, one.name)) for one in fields(evidence)
    }


def _json(value: object) -> Any:  # noqa: ANN401 - what JSON has
    if isinstance(value, Record):
        return {one.name: _json(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, tuple):
        return [_json(one) for one in value]
    return _hex(value) if isinstance(value, bytes) else value


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
