"""A long run of random queries, on several processes: `scripts/fuzz --count 20000 --seed 1 --jobs 2`.

Prints a progress line to stderr and the result to stdout. A failure is printed with its seed and its shrunk
case. Exits 0 if there was none, 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.evaluators import EVALUATORS
from tests.fuzz import check
from tests.fuzz.grammar import case
from tests.fuzz.tree import NESTING, depth, nestings, operators

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.oracle import Evaluator

CHUNK = 50


@dataclass
class Tally:
    """What a run has seen."""

    queries: int = 0
    answered: int = 0
    operators: Counter[str] = field(default_factory=Counter)
    nestings: Counter[tuple[str, str]] = field(default_factory=Counter)
    depths: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count what another run has seen."""
        self.queries += other.queries
        self.answered += other.answered
        self.operators += other.operators
        self.nestings += other.nestings
        self.depths += other.depths
        self.failures += other.failures


def run(seeds: range, evaluators: Mapping[str, Evaluator]) -> Tally:
    """Run the cases of these seeds on evaluators."""
    tally = Tally()
    for seed in seeds:
        made = case(seed)
        tally.queries += 1
        tally.answered += check.has_answers(made.answer)
        tally.operators.update(operators(made.tree))
        tally.nestings.update(nestings(made.tree, None, NESTING))
        tally.depths[depth(made.tree)] += 1
        if check.problem(made, evaluators) is not None:
            tally.failures.append(check.report(made, evaluators))
    return tally


def _run_all(seeds: range) -> Tally:
    return run(seeds, {name: e for name, e in EVALUATORS.items() if name != "oracle"} or EVALUATORS)


def _chunks(seed: int, count: int) -> Iterator[range]:
    return (range(at, min(at + CHUNK, seed + count)) for at in range(seed, seed + count, CHUNK))


def table(tally: Tally) -> str:
    """Return how often each operator, each nesting and each depth occurred."""
    lines = [f"{count:8} {name}" for name, count in tally.operators.most_common()]
    lines.append(f"{'':8} -- inside each other --")
    lines += [f"{count:8} {inner} in {outer}" for (outer, inner), count in tally.nestings.most_common()]
    lines.append(f"{'':8} -- groups nested --")
    lines += [f"{count:8} {levels}" for levels, count in sorted(tally.depths.items())]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Random queries over random graphs.")
    parser.add_argument("--count", type=int, default=20_000, help="how many queries (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1_000_000, help="the first seed (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default %(default)s)")
    parser.add_argument("--failures-max", type=int, default=5, help="stop after so many (default %(default)s)")
    parser.add_argument("--table", action="store_true", help="print how often each operator occurred")
    options = parser.parse_args(arguments)
    total, start = Tally(), time.monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        for part in pool.map(_run_all, _chunks(options.seed, options.count)):
            total.add(part)
            for failure in part.failures:
                say(f"\n{failure}\n")
            rate = total.queries / (time.monotonic() - start)
            sys.stderr.write(
                f"\r{total.queries}/{options.count} queries, {rate:.0f}/s, {len(total.failures)} failures "
            )
            sys.stderr.flush()
            if len(total.failures) >= options.failures_max:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    sys.stderr.write("\n")
    if options.table:
        say(table(total))
    seconds, share = time.monotonic() - start, total.answered / max(1, total.queries)
    say(
        f"{total.queries} queries from seed {options.seed} in {seconds:.0f} s, {share:.0%} with a non-empty answer, "
        f"evaluators: {', '.join(EVALUATORS)}; {len(total.failures)} failures"
    )
    return 1 if total.failures else 0


def say(text: str) -> None:
    """Write a result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
