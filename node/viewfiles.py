"""The files of a view, as its maker left them: known to those who make views and to the workers that read them.

The engine checks what it reads of its tables. Where its manifest is cut short, or has a bit that flipped, it may take
the view for a smaller one. So what may not change is told in the marker beside, which is written last: of each table
its size, of the small files that name the tables a hash.
"""

from __future__ import annotations

import json
import os
from hashlib import file_digest
from typing import TYPE_CHECKING, Any, Final

from dkg.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

ENGINE_ERRORS: Final = (OSError, RuntimeError, SyntaxError, ValueError)
"""What the engine raises when its files cannot be read or written. Damage is a `RuntimeError`, or an `OSError`."""

MARKER: Final = "view.json"
"""Name of the marker, in the directory that the engine's is in."""

FILES: Final = "files"
"""Of the marker: by name, the size in bytes of a table, the SHA-256 of another file in hexadecimal."""

_BYTES_MAX: Final = 256 * 1024
_KEPT: Final = ("CURRENT", "MANIFEST-")
_TABLE: Final = ".sst"


def marker_of(home: Path) -> dict[str, Any]:
    """What the marker in a directory says; nothing if it cannot be read."""
    try:
        with (home / MARKER).open("rb") as file:
            found = json.loads(file.read(_BYTES_MAX))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def files_of(path: Path) -> dict[str, int | str]:
    """The engine's files that stay as they are, as the marker tells of them. Raises `OSError`."""
    told: dict[str, int | str] = {}
    with os.scandir(path) as found:
        for one in found:
            if one.name.endswith(_TABLE):
                told[one.name] = one.stat().st_size
            elif one.name.startswith(_KEPT):
                with open(one.path, "rb") as file:  # noqa: PTH123 - as scandir gives it
                    told[one.name] = file_digest(file, "sha256").hexdigest()
    return told


def require_whole(path: Path) -> None:
    """Raise `StoreError` if the engine's directory has not the files that the marker beside it tells."""
    try:
        found = files_of(path)
    except OSError as error:
        raise StoreError(f"the view in {path} cannot be read: {error.strerror or error}") from error
    if marker_of(path.parent).get(FILES) != found:
        raise StoreError(f"the view in {path} has not the files that were made")
