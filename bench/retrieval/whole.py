"""All that is measured of retrieval: `scripts/bench retrieval [--quick] [--only PART] [--bastion FILE]`.

Sizes are such that all parts take about 10 minutes on two idle cores, and about 2 with `quick`. Each module measures
more, or one thing longer, when it is run alone: `python -m bench.retrieval.PART --help`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.retrieval import aggregates, answers, embedding, indexing, paths, poisoning, reading, scanner
from dkg.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bench.report import Json, Row

    Measured = tuple[list[Row], Json]

WAYS: Final = ("nothing", "gold", "retrieved")
"""Ways of asking the small model; `bench.retrieval.answers` alone has more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured, and what."""

    say: Callable[[str], None]
    quick: bool = False
    bastion: Path | None = None
    """corpus/injections.jsonl of the package bastioncorpus, if it is there."""


def _answers(plan: Plan) -> Measured:
    """First of all, so that the memory it tells is its own."""
    quick, full = (answers.Plan(others=20_000, only=WAYS, seconds=25.0), answers.Plan(only=WAYS, seconds=240.0))
    return answers.measured(plan.say, quick if plan.quick else full)


def _paths(plan: Plan) -> Measured:
    return paths.measured(plan.say, quick=plan.quick)


def _indexing(plan: Plan) -> Measured:
    return indexing.measured(20_000 if plan.quick else indexing.TRIPLES)


def _embedding(plan: Plan) -> Measured:
    return embedding.measured(plan.say, *((4_096, 2) if plan.quick else (embedding.TEXTS, embedding.COMPARED)))


def _reading(plan: Plan) -> Measured:
    return reading.measured(30_000 if plan.quick else 300_000)


def _aggregates(plan: Plan) -> Measured:
    data = ("hpo", "university") if plan.quick else tuple(aggregates.TYPES)
    return aggregates.measured(plan.say, 2 if plan.quick else 8, data, plain=not plan.quick)


def _scanner(plan: Plan) -> Measured:
    found = list(scanner.measured(plan.bastion, 400 if plan.quick else None))
    return scanner.rows_of(found), {"sets": [one.line for one in found]}


def _poisoning(plan: Plan) -> Measured:
    sizes = (10, 20, paths.embedder_here(), ((10,), (20, 40))) if plan.quick else (60, 100, paths.embedder_here())
    return poisoning.measured(plan.say, *sizes)


PARTS: Final[dict[str, Callable[[Plan], Measured]]] = {
    "answers": _answers,
    "paths": _paths,
    "indexing": _indexing,
    "embedding": _embedding,
    "reading": _reading,
    "aggregates": _aggregates,
    "scanner": _scanner,
    "poisoning": _poisoning,
}
"""By the name of the module that measures it."""


def measured(plan: Plan, only: Sequence[str] = ()) -> Iterator[tuple[str, list[Row], Json]]:
    """Name, rows and details of each part, as it is done. A part whose weights are not installed is left out."""
    for name, part in PARTS.items():
        if only and name not in only:
            continue
        plan.say(f"{name}: begins")
        started = time.monotonic()
        try:
            rows, details = part(plan)
        except StoreError as error:
            plan.say(f"{name}: left out: {error}")
            yield name, [], {"left_out": str(error)}
            continue
        yield name, rows, {**details, "took_s": round(time.monotonic() - started, 1)}
