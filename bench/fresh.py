"""Imports dkg and verifies one proof, in a process that did nothing before: `bench.fresh ROOT PROOF.car QUERY.rq`."""

from __future__ import annotations

import time

_START = time.perf_counter()

import json  # noqa: E402 - the clock runs
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import dkg  # noqa: E402

_root, _proof, _query = sys.argv[1:]
_imported = time.perf_counter()
_answer = dkg.verify(Path(_proof).read_bytes(), Path(_query).read_text(encoding="utf-8"), _root)
_done = time.perf_counter()
_status = Path("/proc/self/status").read_text()

from bench import processes  # noqa: E402 - after time and memory were read

_figures = {
    "seconds": _done - _START,
    "import_seconds": _imported - _START,
    "rows": len(_answer),
    "rss": processes.peak(_status),
}
sys.stdout.write(json.dumps(_figures) + "\n")
