"""`scripts/bench`: measure everything, print a table, write JSON, compare with committed figures."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import chain, checkpoints, measure, node, report
from bench.curve import curve
from bench.data import ROOT
from bench.profiled import WHOLE, profiled

if TYPE_CHECKING:
    from bench.measure import Plan
    from bench.report import Json, Row

_START: Final = time.monotonic()
RESULTS: Final = ROOT / "bench" / "results"


def say(text: str) -> None:
    """Progress, for whoever watches."""
    sys.stderr.write(f"bench, {time.monotonic() - _START:.0f} s: {text}\n")
    sys.stderr.flush()


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures ours and the peers side by side, on the same data, and prints ratios beside their bars. "
        "Nothing fails for being slow.",
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=["all", "chain", "checkpoints", "node", "retrieval", "curve", "profile"],
        default="all",
        help="all: the report (default); chain: gas, publishing and cold clients; checkpoints: gas of challenges; "
        "node: queries per second, replication, memory; retrieval: questions over a graph (with the data of "
        "../shared/data); curve: page sizes against sizes of proofs; profile: where time goes, and bytes of a proof, "
        "after all",
    )
    parser.add_argument(
        "question", nargs="?", help=f"for profile: DATA/QUESTION, such as university/star; or {', '.join(WHOLE)}"
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="10^5 triples and few repetitions instead of 10^6")
    size.add_argument("--full", action="store_true", help="also build 10^7 triples, and take all of HPO")
    parser.add_argument(
        "--data", action="append", choices=measure.DATA, help="only this data set (may be given more than once)"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="PART", help="for retrieval: only this part (repeatable)"
    )
    parser.add_argument(
        "--bastion", type=Path, metavar="FILE", help="for retrieval: corpus/injections.jsonl of bastioncorpus 0.6.0"
    )
    parser.add_argument("--name", metavar="NAME", help=f"write the figures to {RESULTS.relative_to(ROOT)}/NAME.json")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument("--date", help="the date that goes into the figures (default: today, UTC)")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="print ratios against the figures in this file")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON and no tables")
    return parser


def measured(plan: Plan, date: str, outs: list[Path]) -> Json:
    """All figures. What there is so far is written to `outs` again and again: a run that is cut short is not lost."""
    machine = measure.machine(date)
    rows: list[Row] = []
    asked: list[Json] = []
    details: Json = {}

    def keep(name: str, found: tuple[list[Row], Json]) -> None:
        rows.extend(found[0])
        details[name] = found[1]
        written(report.as_json(rows, asked, details, machine), outs)

    sources = measure.sources(plan)
    for name, source in sources.items():
        plan.say(f"{name}: build")
        keep(f"build {name}", measure.build(name, source, plan.runs))
        plan.say(f"{name}: questions")
        answered, refused = measure.ask(name, source, plan.seconds)
        asked += answered
        details.setdefault("refused", {}).update(refused)
    if "university" in sources:
        plan.say("changes")
        keep("change", measure.change(sources["university"]))
        rows += measure.size_rows(asked)
    rows += measure.timing_rows(asked)
    if "university" in sources:
        plan.say("fresh process")
        keep("fresh", measure.fresh(sources["university"], 3 * plan.runs))
    if plan.data == measure.DATA:
        plan.say("base install")
        keep("install", measure.footprint())
        plan.say("rdflib")
        keep("rdflib", measure.against_rdflib(plan.seconds / 2))
        keep("chain", chain.measured(plan.say))
    if plan.full:
        plan.say("build of 10^7")
        keep("big build", measure.big_build(10_000_000))
    found = report.as_json(rows, asked, details, machine)
    written(found, outs)
    return found


def written(found: Json, outs: list[Path]) -> None:
    """Write figures to files."""
    for out in outs:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _retrieval(args: argparse.Namespace, outs: list[Path]) -> Json:
    """All figures of retrieval; what there is so far is written to `outs` again and again."""
    from bench.retrieval import whole  # noqa: PLC0415 - numpy and a model, which the others do not load

    unknown = set(args.only) - whole.PARTS.keys()
    if unknown:
        raise SystemExit(f"--only {', '.join(sorted(unknown))}: the parts are {', '.join(whole.PARTS)}")
    machine = measure.machine(_today(args))
    rows: list[Row] = []
    details: Json = {}
    found = report.as_json(rows, [], {"retrieval": details, "refused": {}}, machine)
    for name, more, detail in whole.measured(whole.Plan(say, quick=args.quick, bastion=args.bastion), args.only):
        rows += more
        details[name] = detail
        found = report.as_json(rows, [], {"retrieval": details, "refused": {}}, machine)
        written(found, outs)
    if not args.json:
        sys.stdout.write(report.table(rows) + "\n")
    return found


def _part(args: argparse.Namespace, outs: list[Path]) -> None:
    """Measure one part alone, print it and write it."""
    if args.what == "retrieval":
        found = _retrieval(args, outs)
    else:
        machine = measure.machine(_today(args))
        rows, details = _measured(args)
        found = report.as_json(rows, [], {args.what: details, "refused": {}}, machine)
        written(found, outs)
        if not args.json:
            sys.stdout.write(report.table(rows) + "\n")
    if args.json:
        sys.stdout.write(json.dumps(found) + "\n")


def _measured(args: argparse.Namespace) -> tuple[list[Row], Json]:
    if args.what == "chain":
        return chain.measured(say)
    if args.what == "checkpoints":
        return checkpoints.measured(say, quick=args.quick)
    return node.measured(_of_node(args))


def _of_node(args: argparse.Namespace) -> node.Plan:
    return node.Plan.of(say, quick=args.quick)


def _today(args: argparse.Namespace) -> str:
    return args.date or datetime.now(UTC).date().isoformat()


def main() -> int:
    """Run it."""
    parser = arguments()
    args = parser.parse_args()
    triples = 100_000 if args.quick else 1_000_000
    if args.what == "curve":
        sys.stdout.write(curve(triples) + "\n")
        return 0
    outs = [out for out in (args.out, RESULTS / f"{args.name}.json" if args.name else None) if out]
    if args.what in {"chain", "checkpoints", "node", "retrieval"}:
        _part(args, outs)
        return 0
    if args.what == "profile":
        if not args.question:
            parser.error(f"profile needs a question, such as university/star, or one of {', '.join(WHOLE)}")
        plan = measure.Plan(triples, 1, 0.0, args.full, tuple(args.data or measure.DATA), say)
        sys.stdout.write(profiled(plan, args.question))
        return 0
    before = json.loads(args.compare.read_text(encoding="utf-8")) if args.compare else None
    data = tuple(args.data or measure.DATA)
    plan = measure.Plan(triples, 1 if args.quick else 3, 0.4 if args.quick else 1.5, args.full, data, say)
    found = measured(plan, _today(args), outs)
    if args.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    sys.stdout.write(f"{report.printed(found)}\n")
    if before:
        sys.stdout.write(f"\nagainst {args.compare}:\n{report.compared(before, found)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
