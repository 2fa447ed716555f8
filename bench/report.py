"""What was measured, as rows against bars, tables and JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report: a figure of ours, a peer's if there is one, and the bar.

    `bar` is the most that the figure may be (or, `at_least`, the least), or the ratio where `on_ratio`. `met` is None
    where there is no bar.
    """

    key: str
    what: str
    value: float | None
    unit: str
    peer: float | None = None
    ratio: float | None = None
    bar: float | None = None
    on_ratio: bool = False
    spread: tuple[float, float] | None = None
    """Lowest and highest of what the bar is about."""
    note: str = ""
    passes: bool = False
    """Met for another reason, which `note` says."""
    at_least: bool = False
    """Whether the bar is the least that the figure or the ratio may be."""

    @property
    def met(self) -> bool | None:
        """Whether the bar is met."""
        if self.bar is None:
            return None
        found = self.ratio if self.on_ratio else self.value
        return self.passes or (found is not None and (found >= self.bar if self.at_least else found <= self.bar))


def number(value: float | None, unit: str = "") -> str:
    """A figure with three digits that count."""
    if value is None:
        return ""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3  # noqa: PLR2004
    return f"{value:,.{digits}f}{unit}"


def _bar(row: Row) -> str:
    if row.bar is None:
        return ""
    return f"{'>=' if row.at_least else '<='} {number(row.bar)}{'x' if row.on_ratio else ' ' + row.unit}"


def table(rows: list[Row]) -> str:
    """The report."""
    cells = [["what", "ours", "peer", "ratio", "spread", "bar", "", ""]]
    for row in rows:
        spread = "" if row.spread is None else f"{number(row.spread[0])}-{number(row.spread[1])}"
        peer = number(row.peer, f" {row.unit}")
        verdict = {True: "met", False: "MISSED", None: ""}[row.met]
        ratio = number(row.ratio, "x")
        cells.append([row.what, number(row.value, f" {row.unit}"), peer, ratio, spread, _bar(row), verdict, row.note])
    return aligned(cells, left={0, 6, 7})


def aligned(cells: list[list[str]], left: set[int]) -> str:
    """Columns of equal width; those in `left` begin at the left."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for line in cells:
        parts = [
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


TIMES: Final = ("query", "prove", "verify", "disk", "memory")


def question_table(asked: list[Json]) -> str:
    """One line a question: medians in milliseconds."""
    names = ["data", "question", "rows", "pages", "proof kB", "zstd kB", "trie kB"]
    cells = [[*names, *(f"{name} ms" for name in TIMES), "prove/disk", "verify/disk"]]
    for q in asked:
        sizes = [number(q["proof_bytes"] / 1e3), number(q["compressed_bytes"] / 1e3)]
        trie = q.get("trie")
        sizes.append(number(trie["compressed"] / 1e3) if trie else "")
        times = [number(q[f"{name}_ms"]) for name in TIMES]
        ratios = [number(q[f"{name}_ms"] / q["disk_ms"], "x") for name in ("prove", "verify")]
        cells.append([q["data"], q["question"], f"{q['rows']:,}", f"{q['pages']:,}", *sizes, *times, *ratios])
    return aligned(cells, left={0, 1})


def compared(old: Json, new: Json) -> str:
    """What a run found over what a committed run found: below one is better now."""
    cells = [["what", "then", "now", "now/then"]]
    before = {row["key"]: row for row in old["rows"]}
    for row in new["rows"]:
        then = before.get(row["key"])
        if then is None:
            continue
        on = "ratio" if row["ratio"] is not None and then["ratio"] is not None else "value"
        if row[on] is not None and then[on]:
            unit = "x" if on == "ratio" else f" {row['unit']}"
            change = number(row[on] / then[on], "x")
            cells.append([row["what"], number(then[on], unit), number(row[on], unit), change])
    known = {(q["data"], q["question"]): q for q in old["questions"]}
    pairs = [(known[key], q) for q in new["questions"] if (key := (q["data"], q["question"])) in known]
    for what in ("prove", "verify"):
        then, now = (median([pair[at][f"{what}_ms"] / pair[at]["disk_ms"] for pair in pairs] or [1]) for at in (0, 1))
        cells.append(
            [f"{what}/disk, {len(pairs)} questions", number(then, "x"), number(now, "x"), number(now / then, "x")]
        )
    for then_q, now_q in pairs:
        change = now_q["compressed_bytes"] / then_q["compressed_bytes"]
        if abs(change - 1) > 0.02:  # noqa: PLR2004 - two in a hundred
            was, now_is = (number(q["compressed_bytes"] / 1e3, " kB") for q in (then_q, now_q))
            cells.append([f"proof {now_q['data']}/{now_q['question']}", was, now_is, number(change, "x")])
    return aligned(cells, left={0})


def as_json(rows: list[Row], asked: list[Json], details: Json, machine: Json) -> Json:
    """All of it, as it is committed."""
    shown = [{**asdict(row), "met": row.met} for row in rows]
    return {"machine": machine, "rows": shown, "questions": asked, "details": details}


def printed(found: Json) -> str:
    """The figures of `as_json` as tables."""
    fields = Row.__dataclass_fields__
    rows = [Row(**{key: value for key, value in row.items() if key in fields}) for row in found["rows"]]
    about = ", ".join(f"{key} {value}" for key, value in found["machine"].items() if key != "versions")
    refused = "".join(f"\nrefused: {name}: {why}" for name, why in found["details"]["refused"].items())
    return f"{about}\n\n{table(rows)}\n\n{question_table(found['questions'])}\n{refused}"
