"""CoDEx (Wikidata) from the shared test data, as N-Quads: each triple in the graph https://example.org/codex."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Final

from bench.data import CACHE, ROOT

GRAPH: Final = "<https://example.org/codex>"


def source() -> Path:
    """The file to convert: in `DKG_TEST_DATA`, or in `shared/data` beside the project. It may be missing."""
    folder = os.environ.get("DKG_TEST_DATA")
    return (Path(folder) if folder else ROOT.parent / "shared" / "data") / "codex" / "codex-m.nt.gz"


def convert(line: str) -> str:
    """A line of N-Triples as a line of N-Quads."""
    triple, dot, _ = line.rpartition(".")
    if not dot:
        raise ValueError(f"no line of N-Triples ends without a full stop: {line!r}")
    return f"{triple.rstrip()} {GRAPH} .\n"


def path() -> Path:
    """The N-Quads file, written if it is not there."""
    CACHE.mkdir(parents=True, exist_ok=True)
    out = CACHE / "codex-m.nq"
    if not out.exists():
        scratch = out.with_suffix(".part")
        with (
            gzip.open(source(), "rt", encoding="utf-8") as lines,
            scratch.open("w", encoding="utf-8", newline="\n") as file,
        ):
            file.writelines(convert(line) for line in lines if line.strip())
        scratch.rename(out)
    return out
