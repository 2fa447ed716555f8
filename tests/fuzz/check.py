"""What must hold for every evaluator on every case, and the smallest case in which it does not."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.evaluators import SAME_READING
from tests.fuzz.grammar import Case, answer_of_oracle, with_data
from tests.fuzz.tree import smaller
from tests.oracle import (
    Boolean,
    Evaluator,
    Graph,
    Match,
    Outcome,
    Refusal,
    Rows,
    difference,
    slice_difference,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SHUFFLES = 8
RUNS = 200
TRIES = 3
SHRINK_STEPS_MAX = 3_000


def problem(made: Case, evaluators: Mapping[str, Evaluator]) -> str | None:
    """Return what is wrong with the evaluators' answers to a case; None if nothing is.

    Every answer must be one that the oracle could give. What was answered and what was verified must be the same,
    row by row: a prover that has a choice of answers is a prover that can mislead.
    """
    outcomes: dict[str, Outcome] = {}
    for name, evaluator in evaluators.items():
        try:
            outcome = _run(made, evaluator)
        except Exception as error:  # noqa: BLE001 - whatever escapes is the finding
            return f"{name} raised {type(error).__name__}: {error}"
        if isinstance(outcome, Refusal):
            return f"{name} refused: {outcome.reason}"
        wrong = fault(made, outcome)
        if wrong:
            return f"{name}: {wrong}"
        outcomes[name] = outcome
    same = [name for name in SAME_READING if name in outcomes]
    for one, other in pairwise(same):
        apart = difference(outcomes[one], outcomes[other], Match.SEQUENCE)
        if apart and not _may_give(made, evaluators[one], outcomes[other]):
            return f"{one} and {other} differ: {apart}"
    return None


def _run(made: Case, evaluator: Evaluator) -> Outcome:
    return evaluator(made.quads, made.text, made.default_graphs, made.named_graphs, None)


def _may_give(made: Case, evaluator: Evaluator, outcome: Outcome) -> bool:
    """Say whether an evaluator gives this very answer in some run.

    The engine itself gives rows in another sequence from run to run for one query in a hundred, such as
    `{} UNION {}`: there the sequence, and what LIMIT makes of it, is nobody's choice.
    """
    return any(difference(outcome, _run(made, evaluator), Match.SEQUENCE) is None for _ in range(RUNS))


def fault(made: Case, actual: Outcome) -> str | None:
    """Return what is wrong with an answer to a case; None if the oracle could have given it."""
    if made.unlimited_answer is not None:
        return slice_difference(made.unlimited_answer, made.answer, actual)
    found = difference(made.answer, actual, made.match)
    if found is None or any(difference(o, actual, made.match) is None for o in _other_answers(made)):
        return None
    return found


def _other_answers(made: Case) -> Iterator[Outcome]:
    """Yield the oracle's answers over the same data read in other orders: all of them are right."""
    return (answer_of_oracle(made, seed) for seed in range(SHUFFLES))


def has_answers(outcome: Outcome) -> bool:
    """Say whether an answer says anything: rows, triples, or true."""
    if isinstance(outcome, Rows):
        return bool(outcome.rows)
    if isinstance(outcome, Graph):
        return bool(outcome.triples)
    return isinstance(outcome, Boolean) and outcome.value


def shrunk(made: Case, fails: Callable[[Case], bool]) -> Case:
    """Return a case that still fails, with as little data and as small a query as can be found."""
    steps = 0
    better: Case | None = made
    while better is not None and steps < SHRINK_STEPS_MAX:
        made, better = better, None
        for candidate in _smaller(made):
            steps += 1
            if not isinstance(candidate.answer, Refusal) and fails(candidate):
                better = candidate
                break
    return made


def _smaller(made: Case) -> Iterator[Case]:
    """Yield cases with less: half of the data, other parts of the query gone, single quads gone."""
    half = len(made.quads) // 2
    if half > 1:
        yield with_data(made, made.quads[:half])
        yield with_data(made, made.quads[half:])
    if made.gap != " " or made.dialect:
        yield replace(made, gap=" ", dialect=0)
        yield replace(made, gap=" ")
        yield replace(made, dialect=0)
    if made.default_graphs is not None or made.named_graphs is not None:
        yield replace(made, default_graphs=None, named_graphs=None)
    for tree in smaller(made.tree):
        yield replace(made, tree=tree)
    for i in range(len(made.quads)):
        yield with_data(made, made.quads[:i] + made.quads[i + 1 :])


def fails(made: Case, evaluators: Mapping[str, Evaluator]) -> str | None:
    """Return what is wrong in one of a few runs: some failures hang on the order in which a hash map is read."""
    found = (problem(made, evaluators) for _ in range(TRIES))
    return next((text for text in found if text is not None), None)


def report(made: Case, evaluators: Mapping[str, Evaluator]) -> str:
    """Return the shrunk case and what is wrong with it, as text that says how to run it again."""
    found = fails(made, evaluators)
    least = shrunk(made, lambda candidate: fails(candidate, evaluators) is not None)
    again = f"again: scripts/fuzz --seed {made.seed} --count 1"
    return f"{found}\n{again}\n--- shrunk: {fails(least, evaluators)}\n{least}"
