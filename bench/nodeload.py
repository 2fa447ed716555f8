"""Load on an HTTP endpoint: wrk, with queries that differ from request to request.

wrk is the Debian package of that name.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

CLIENTS: Final = (1, 8, 64)

_SCRIPT: Final = Path(__file__).with_name("node.lua")
_GRACE_S: Final = 60.0


class Load(NamedTuple):
    """What came of some seconds. Times in milliseconds."""

    per_s: float
    p50: float
    p99: float
    answers: int
    failed: int
    """Answers that are no success, and connections that broke."""


def is_here() -> bool:
    """Whether wrk is installed."""
    return shutil.which("wrk") is not None


def write_paths(file: Path, queries: Sequence[str], prefix: str) -> None:
    """Write the paths that ask these queries, for `loaded`. `prefix`: such as `/sparql?query=`."""
    file.write_text("".join(f"{prefix}{quote(query, safe='')}\n" for query in queries), encoding="ascii")


def loaded(url: str, paths: Path, accept: str, clients: int, seconds: float) -> Load:
    """Ask the paths of a file in turns, each client its next as soon as it has an answer."""
    parts = urlsplit(url)
    command = ["wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s", str(_SCRIPT)]
    done = subprocess.run(  # noqa: S603 - our own arguments
        [*command, f"{parts.scheme}://{parts.netloc}", "--", str(paths), accept],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + _GRACE_S,
    )
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return Load(found["answers"] / found["s"], found["p50"], found["p99"], found["answers"], found["failed"])
