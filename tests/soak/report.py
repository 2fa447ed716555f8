"""The figures of a long run: what each process held, whether it grew, and what was asked of it."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from bench.report import aligned
from tests.soak.slope import ERRORS, WARM_UP_S, Sample, fit

if TYPE_CHECKING:
    from pathlib import Path

BOUNDS = {"rss_mib": 1.0, "anon_mib": 1.0, "files": 1.0, "threads": 1.0}
"""The most that each may grow in an hour (rows I8 and G4); what is not here is told, and has no bound."""

FIGURES = {
    "rss_mib": "resident memory, MiB",
    "anon_mib": "of it no file's, MiB",
    "files": "open files",
    "threads": "threads",
    "workers_mib": "workers' memory, MiB",
    "children": "child processes",
    "disk_mib": "disk, MiB",
}

Json = dict[str, Any]


def read(file: Path) -> list[Json]:
    """The lines of a file of samples."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def warm_up(samples: list[Json]) -> float:
    """Seconds that do not count: five minutes, or a third of a shorter slice."""
    return min(WARM_UP_S, max((one["at_s"] for one in samples), default=0.0) / 3)


def summary(lines: list[Json]) -> Json:
    """All figures, as JSON."""
    samples = [one for one in lines if not one.get("summary")]
    ends = [one for one in lines if one.get("summary")]
    rows = []
    for node in dict.fromkeys(one["node"] for one in samples):
        for name in FIGURES:
            line = fit(
                [Sample(one["slice"], one["at_s"], one[name]) for one in samples if one["node"] == node],
                warm_up(samples),
            )
            if line is None:
                continue
            bound = BOUNDS.get(name)
            rows.append(
                {
                    "node": node,
                    "figure": name,
                    "first": round(line.first, 2),
                    "last": round(line.last, 2),
                    "highest": round(line.highest, 2),
                    "slope_per_hour": round(line.slope, 3),
                    "error": round(line.error * ERRORS, 3),
                    "bound": bound,
                    "verdict": line.verdict(bound) if bound is not None else "",
                }
            )
    counts: Counter[str] = Counter()
    for one in ends:
        counts.update(one["counts"])
    return {
        "slices": len(ends),
        "seconds": sum(one["seconds"] for one in ends),
        "commits": sum(one["commits"] for one in ends),
        "warm_up_s": warm_up(samples),
        "rows": rows,
        "counts": dict(sorted(counts.items())),
        "errors": [error for one in ends for error in one["errors"]],
    }


def table(lines: list[Json]) -> str:
    """All figures, for people."""
    found = summary(lines)
    cells = [["node", "what", "first", "last", "highest", "an hour", "±", "bound", ""]]
    for row in found["rows"]:
        bound = "" if row["bound"] is None else f"{row['bound']:g}"
        numbers = [f"{row[name]:.1f}" for name in ("first", "last", "highest")]
        slope = [f"{row['slope_per_hour']:+.2f}", f"{row['error']:.2f}"]
        cells.append([row["node"], FIGURES[row["figure"]], *numbers, *slope, bound, row["verdict"]])
    said = f"{found['seconds'] / 60:.0f} minutes, {found['commits']} commits, {len(found['errors'])} things wrong"
    asked = ", ".join(f"{name}: {number}" for name, number in found["counts"].items())
    return f"{aligned(cells, left={0, 1, 8})}\n\n{said}\n{asked}"
