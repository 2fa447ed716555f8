"""The files of a view, as its maker left them: known to those who make views and to the workers that read them.

The engine checks what it reads of most files. Where its manifest is cut short it takes the view for an empty one, so
what may not change is told by name and size in the marker beside, which is written last.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from dkg.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

ENGINE_ERRORS: Final = (OSError, RuntimeError, SyntaxError, ValueError)
"""What the engine raises when its files cannot be read or written. Damage is a `RuntimeError`, or an `OSError`."""

MARKER: Final = "view.json"
"""Name of the marker, in the directory that the engine's is in."""

FILES: Final = "files"
"""Of the marker: sizes in bytes by name."""

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


def sizes(path: Path) -> dict[str, int]:
    """The engine's files that stay as they are. Raises `OSError`."""
    with os.scandir(path) as found:
        return {
            one.name: one.stat().st_size for one in found if one.name.startswith(_KEPT) or one.name.endswith(_TABLE)
        }


def require_whole(path: Path) -> None:
    """Raise `StoreError` if the engine's directory has not the files that the marker beside it tells."""
    try:
        found = sizes(path)
    except OSError as error:
        raise StoreError(f"the view in {path} cannot be read: {error.strerror or error}") from error
    if marker_of(path.parent).get(FILES) != found:
        raise StoreError(f"the view in {path} has not the files that were made")
