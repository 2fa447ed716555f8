"""`node.json`: what runs in a node's directory, and where it answers, for as long as it runs.

It is there from when the node begins to start until it has stopped. One that a crash left says so by its process,
which is gone; who reads it looks (`read_status`).
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from dkg.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

STATUS_FILE: Final = "node.json"
_BYTES_MAX: Final = 64 * 1024


class StatusFile:
    """The file of a running node."""

    def __init__(self, directory: Path, facts: dict[str, Any]) -> None:
        """Write it. `facts`: JSON. Raises `StoreError`."""
        self._path = directory / STATUS_FILE
        self._facts = {"pid": os.getpid(), **facts}
        self.update()

    def update(self, **facts: object) -> None:
        """Write it again, with some facts changed. Raises `StoreError`."""
        self._facts |= facts
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            beside.write_text(json.dumps(self._facts, indent=1) + "\n", encoding="utf-8")
            beside.replace(self._path)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror or error}") from error

    def remove(self) -> None:
        """The node has stopped."""
        with suppress(OSError):
            self._path.unlink()


def read_status(directory: Path) -> dict[str, Any] | None:
    """What runs in a node's directory; None if nothing does. Raises `StoreError` if that cannot be told."""
    path = directory / STATUS_FILE
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_BYTES_MAX))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError:
        return None  # half of one: whoever wrote it is gone
    return found if isinstance(found, dict) and _runs(found.get("pid")) else None


def _runs(pid: object) -> bool:
    if type(pid) is not int or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # as somebody else
    return True
