"""Makes the view of a root, in a process of its own: `python -m node.core.makeview DIRECTORY ROOT QUOTA`.

It takes seconds for a million quads, in which the node would answer slowly.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from dkg.errors import DkgError
from dkg.page import cid_bytes, cid_text
from node.storage import NodeStore, ViewError

SECONDS_MAX: Final = 3_600
"""Longest time for a view, in seconds."""

NICER: Final = 10
"""How far its priority is below the node's."""


def make_view(directory: Path, root: bytes, quota_bytes: int | None) -> None:
    """Make a view, and wait for it. Raises `ViewError`."""
    command = [sys.executable, "-m", "node.core.makeview", str(directory), cid_text(root), str(quota_bytes or 0)]
    try:
        done = subprocess.run(  # noqa: S603 - this program itself
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ViewError(f"the view of {cid_text(root)} was not made: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-500:]
        raise ViewError(f"the view of {cid_text(root)} was not made ({done.returncode}): {said}")


def main(arguments: list[str]) -> int:
    """The process."""
    directory, root, quota = Path(arguments[0]), cid_bytes(arguments[1]), int(arguments[2])
    os.nice(NICER)
    try:
        with NodeStore(directory, read_only=True, quota_bytes=quota or None) as store:
            store.views.ensure(root)
    except DkgError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
