"""Test vectors: files that fix the format, and the functions that make them (`scripts/vectors`).

A module `make_<part>.py` in this package has a dictionary `FILES` from a path below this folder to a function
that takes nothing and gives the file's JSON value.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parent


def makers() -> dict[str, Callable[[], object]]:
    """Return all vector files, by path below this folder, with the functions that make them."""
    found: dict[str, Callable[[], object]] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules([str(FOLDER)])):
        if module.startswith("make_"):
            files: dict[str, Callable[[], object]] = importlib.import_module(f"{__name__}.{module}").FILES
            twice = found.keys() & files.keys()
            if twice:
                message = f"two modules make {sorted(twice)}"
                raise ValueError(message)
            found |= files
    return found


def rendered(value: object) -> bytes:
    """Return the bytes of a vector file."""
    return json.dumps(value, indent=1, ensure_ascii=True).encode() + b"\n"


def load(path: str) -> object:
    """Return what a vector file holds."""
    return json.loads((FOLDER / path).read_bytes())


def strays() -> list[str]:
    """Return the JSON files below this folder that nothing makes."""
    return sorted({str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.json")} - makers().keys())
