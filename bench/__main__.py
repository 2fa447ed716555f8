"""`scripts/bench`: measure everything, print a table, write JSON, compare with committed figures."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import hpo, measure
from bench.curve import curve
from bench.data import CACHE, ROOT, path_of

if TYPE_CHECKING:
    from bench.measure import Asked, Row


def say(text: str) -> None:
    """Progress, for whoever watches."""
    print(text, file=sys.stderr, flush=True)


def table(rows: list[Row]) -> str:
    """The report."""
    cells = [["what", "ours", "peer", "ratio", "bar", ""]]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
        cells.append([row.what, row.ours, row.peer, ratio, row.bar, {True: "met", False: "MISSED", None: ""}[row.met]])
    widths = [max(len(line[i]) for line in cells) for i in range(6)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def query_table(asked: list[Asked]) -> str:
    """One line a query."""
    lines = [
        f"{'data':11} {'query':12} {'rows':>6} {'pages':>6} {'proof kB':>9} {'zstd kB':>8} {'plain ms':>9} {'prove ms':>9} {'verify ms':>9}"
    ]
    lines += [
        f"{a.data:11} {a.query:12} {a.rows:6} {a.pages:6} {a.car / 1e3:9.1f} {a.compressed / 1e3:8.1f} "
        f"{a.plain_ms:9.2f} {a.prove_ms:9.2f} {a.verify_ms:9.2f}"
        for a in asked
    ]
    return "\n".join(lines)


def compared(old: dict[str, Any], asked: list[Asked]) -> str:
    """Ratios against an older run, query by query."""
    before = {(q["data"], q["query"]): q for q in old["queries"]}
    lines = [f"{'data':11} {'query':12} {'zstd':>6} {'prove/plain':>12} {'verify/plain':>13}   now over then"]
    for a in asked:
        q = before.get((a.data, a.query))
        if q is not None:
            size = a.compressed / q["compressed"]
            prove = (a.prove_ms / a.plain_ms) / (q["prove_ms"] / q["plain_ms"])
            verify = (a.verify_ms / a.plain_ms) / (q["verify_ms"] / q["plain_ms"])
            lines.append(f"{a.data:11} {a.query:12} {size:5.2f}x {prove:11.2f}x {verify:12.2f}x")
    return "\n".join(lines)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measure against peers, side by side, as ratios."
    )
    parser.add_argument(
        "what", nargs="?", choices=["all", "curve"], default="all", help="curve: sizes of pages and proofs"
    )
    parser.add_argument("--quick", action="store_true", help="10^5 triples, few repetitions")
    parser.add_argument("--full", action="store_true", help="also build 10^7 triples, and all of HPO")
    parser.add_argument("--out", type=Path, help="write the figures as JSON to this file")
    parser.add_argument("--compare", type=Path, help="print ratios against the figures in this file")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    args = parser.parse_args()
    if args.what == "curve":
        print(curve(100_000 if args.quick else 1_000_000))
        return 0
    triples, runs, times = (100_000, 1, 3) if args.quick else (1_000_000, 3, 9)
    rows: list[Row] = []
    asked: list[Asked] = []
    details: dict[str, Any] = {}
    sources = {"university": path_of("university", triples), "shop": path_of("shop", triples)}
    ontology = CACHE / ("hpo-full.nq" if args.full else "hpo.nq")
    if not ontology.exists():
        hpo.write(ontology, full=args.full)
    sources["hpo"] = ontology
    for name, source in sources.items():
        say(f"build: {name}")
        found, details[f"build {name}"] = measure.build(source, runs)
        rows += found
        say(f"queries: {name}")
        asked += measure.queries(name, source, times)
    say("update and diff")
    rows += measure.changes(sources["university"])
    say("sizes")
    rows += measure.size_rows(asked, measure.trie_sizes(sources["university"]))
    rows += measure.timing_rows(asked)
    say("footprint")
    found, details["footprint"] = measure.footprint()
    rows += found
    rows.append(measure.rdflib_row(path_of("university", 100_000)))
    if args.full:
        say("build of 10^7")
        found, details["big build"] = measure.big_build(10_000_000)
        rows += found
    figures = measure.as_json(rows, asked, details)
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if args.json:
        print(json.dumps(figures))
        return 0
    print(table(rows), query_table(asked), sep="\n\n")
    if args.compare:
        print("\n" + compared(json.loads(args.compare.read_text(encoding="utf-8")), asked))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
