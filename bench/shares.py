"""Where processor time goes, as shares: a sampling profiler that knows our modules by what they do."""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import contextmanager
from linecache import getline
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.report import aligned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_EVERY: Final = 0.001
"""Seconds of processor time between samples; the system may give fewer."""

_PARTS: Final = {
    ("store.py", "get"): "store: find, decompress",
    ("store.py", "_known"): "store: write",
    ("store.py", "put_many"): "store: write",
    ("store.py", "put_packs"): "store: write",
    ("store.py", "_insert_staged"): "store: write",
    ("store.py", "writing"): "store: write",
    ("store.py", "set_head"): "store: write",
    ("packs.py", "pack"): "store: compress",
    ("page.py", "cid_of"): "pages: hash",
    ("page.py", "_encode"): "pages: encode",
    ("pages.py", "add"): "pages: encode",
    ("page.py", ""): "pages: check, other than hashing",
    ("car.py", ""): "CAR: read, write",
    ("terms.py", ""): "terms: are keys quads",
    ("normal.py", ""): "terms: are keys quads",
    ("cut.py", ""): "cuts: hashes, separators",
    ("update.py", ""): "update: change levels",
    ("level.py", ""): "update: walk",
    ("diff.py", ""): "diff: walk",
    ("build.py", ""): "build: levels",
    ("scan.py", ""): "trees: walk",
    ("pages.py", ""): "pages: look up",
    ("gather.py", ""): "coverage: gather ranges",
    ("evaluate.py", "_engine"): "engine: load, evaluate",
    ("answer.py", ""): "engine: rows of the answer",
    ("sorting.py", ""): "sort",
    ("rdf.py", ""): "parse",
    ("_rdf_lines.py", ""): "parse",
}
"""By file and function (all others of the file: empty). The innermost frame that is here says what a sample is."""

_HASH: Final = {"page.py", "store.py"}
"""Where pages are hashed: the line says so."""


class Shares:
    """Counts samples by what was being done. For the main thread, one at a time."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()

    @contextmanager
    def sampled(self) -> Iterator[None]:
        """Sample what is done inside."""
        before = signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        self.found[_part(frame)] += 1

    def table(self) -> str:
        """The parts, largest first."""
        total = self.found.total() or 1
        cells = [[part, f"{count / total:.1%}"] for part, count in self.found.most_common()]
        return f"{aligned(cells, left={0})}\n{total:,} samples\n"


def _part(frame: FrameType | None) -> str:
    while frame is not None:
        code = frame.f_code
        file = Path(code.co_filename)
        if file.name in _HASH and "sha256(" in getline(code.co_filename, frame.f_lineno or 0):
            return "pages: hash"
        part = _PARTS.get((file.name, code.co_name)) or _PARTS.get((file.name, ""))
        if part is not None:
            return part
        if file.parent.name == "sparql":
            return "coverage: joins, order of patterns"
        frame = frame.f_back
    return "other"
