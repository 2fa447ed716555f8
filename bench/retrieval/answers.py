"""PathQuestion answered by SmolLM2-135M: without facts, with the gold facts, and with what the pipeline finds.

    python -m bench.retrieval.answers [--questions 300] [--distracting 200000] [--seconds 3600] [--training]

An answer is right if it contains a right name, word by word; `exact` if it is nothing else. Prompts were tuned on
questions about other subjects than those that are asked here, and the pipeline on others again: what is asked is held
out from both. What the model wrote goes to `.cache/bench/retrieval`, one line a question.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any, Final

from bench.data import CACHE
from bench.report import Row
from bench.retrieval.pathquestion import distracting, folder, knowledge, lines, questions, spoken, statement
from bench.retrieval.paths import Bench, embedder_here
from bench.retrieval.scanner import interval
from retrieval.ask import NOT_KNOWN, AnsweredBy, answer_from
from retrieval.llm import LocalModel
from retrieval.model import Candidate, Context, Statement
from retrieval.pipeline import Budget
from retrieval.prompt import PROFILES, pack
from retrieval.reading import scored
from retrieval.words import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.report import Json
    from bench.retrieval.pathquestion import Question
    from retrieval.ask import Answer
    from retrieval.prompt import Profile

SEED: Final = 11
QUESTIONS: Final = 300
BAR: Final = 65.0
"""Percent of the questions that are to be answered right."""

SMALL: Final = PROFILES["smollm2"]
EXTRACTIVE: Final = PROFILES["smollm2-extractive"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and its right answers."""

    question: Question
    right: frozenset[tuple[str, ...]]
    """Each as words."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What one way of asking came to."""

    asked: int
    right: float
    """Percent of the answers that contain a right name."""
    low: float
    high: float
    """Its 95 % interval."""
    exact: float
    """Percent that are a right name and nothing else."""
    cited: float
    """Percent of the right answers that cite a fact of the gold path."""
    wrong_but_cited: float
    """Percent of all answers that are wrong and cite some fact."""
    unasked: float
    """Percent that were answered without the model, as nothing was found or it is provably not there."""
    facts: float
    prompt_tokens: float
    seconds: float
    """Median, for the model alone."""


def is_tuned_on(question: Question) -> bool:
    """Whether the prompts were tuned with questions about this subject."""
    return sha256(question.subject.encode()).digest()[0] < 128  # noqa: PLR2004 - half of them


def asked_of(hops: int, most: int, *, training: bool = False) -> list[Asked]:
    """Questions that neither the prompts nor the pipeline were tuned on; with `training`, those of the prompts."""
    text = (folder() / "pathquestion" / f"PQ-{hops}H.txt").read_text(encoding="utf-8").splitlines()
    found = [
        Asked(question, _right(line.split("\t")[1]))
        for question, line in zip(questions(hops), text, strict=True)
        if is_tuned_on(question) == training and (training or question.is_held_out)
    ]
    return random.Random(SEED).sample(found, min(most, len(found)))  # noqa: S311 - the same every time


def _right(column: str) -> frozenset[tuple[str, ...]]:
    """The answers of a line: `one(one/two/)`."""
    names = column[column.rindex("(") + 1 : -1].split("/") if column.endswith("/)") else [column]
    return frozenset(tuple(words(spoken(name))) for name in names if name)


def contains(text: str, right: frozenset[tuple[str, ...]]) -> bool:
    """Whether a text has a right name in it, word by word."""
    found = words(text)
    return any(tuple(found[at : at + len(name)]) == name for name in right for at in range(len(found) - len(name) + 1))


# --- contexts ----------------------------------------------------------------------------------------------------


def gold_context(bench: Bench, one: Asked) -> Context:
    """The facts of the annotated path, and nothing else."""
    path = [Candidate(Statement(*statement(triple)), 1.0, path=1) for triple in one.question.gold]
    facts, _ = bench.retriever._reader.facts(path)  # noqa: SLF001 - the same reader
    return named(bench, Context(one.question.text, tuple(scored(fact, 1.0, path=1) for fact in facts)))


def named(bench: Bench, context: Context) -> Context:
    """A context with the labels of its terms."""
    terms = {term for fact in context.facts for term in fact.statement}
    found = bench.index.label_statements(terms)
    labels = {term: one.object.decode().rpartition('"')[0][1:] for term, one in found.items()}
    return replace(context, labels=labels, snapshots=tuple(bench.snapshots))


# --- asking ------------------------------------------------------------------------------------------------------


def ways(bench: Bench) -> dict[str, tuple[Callable[[Asked], Context], Profile]]:
    """The ways of asking that are compared."""

    def found(one: Asked) -> Context:
        return bench.retriever.retrieve(one.question.text, Budget(tokens=SMALL.tokens))

    def gold(one: Asked) -> Context:
        return gold_context(bench, one)

    return {
        "nothing": (lambda one: Context(one.question.text, ()), SMALL),
        "gold": (gold, SMALL),
        "retrieved": (found, SMALL),
        "gold, extractive": (gold, EXTRACTIVE),
        "retrieved, extractive": (found, EXTRACTIVE),
    }


class Run:
    """One way of asking: what came of each question so far."""

    def __init__(self, model: LocalModel, context_of: Callable[[Asked], Context], profile: Profile, out: Path) -> None:
        self._model, self._context_of, self._profile, self._out = model, context_of, profile, out
        self._results: list[dict[str, Any]] = []
        out.write_text("")

    def ask(self, one: Asked) -> None:
        """Ask one question."""
        context = self._context_of(one)
        started = time.perf_counter()
        answer = _answer(self._model, context, self._profile)
        self._results.append(_judged(one, answer, time.perf_counter() - started))
        line = {"q": one.question.text, "a": answer.answer, **self._results[-1], "facts_read": list(answer.sentences)}
        with self._out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def scores(self) -> Scores:
        """What it came to."""
        return _sums(self._results)


def _answer(model: LocalModel, context: Context, profile: Profile) -> Answer:
    """The answer; without facts the model is asked all the same, as `ask` never does."""
    answer = answer_from(context, model=model, profile=profile)
    if context.facts or context.absent or context.notes:
        return answer
    reply = model.answer(pack(context, profile, count=model.count, window=model.window).prompt)
    return replace(answer, answer=reply.text, by=AnsweredBy.MODEL, prompt_tokens=reply.prompt_tokens or 0)


def _judged(one: Asked, answer: Answer, seconds: float) -> dict[str, Any]:
    gold = set(map(statement, one.question.gold))
    cited = {tuple(answer.facts[found.fact - 1].statement) for found in answer.citations if found.fact is not None}
    right = contains(answer.answer, one.right) and not answer.answer.startswith(NOT_KNOWN)
    return {
        "right": right,
        "exact": tuple(words(answer.answer)) in one.right,
        "cited": bool(cited & gold),
        "wrong_but_cited": not right and bool(cited),
        "unasked": str(answer.by) != "model",
        "facts": len(answer.facts),
        "tokens": answer.prompt_tokens,
        "seconds": round(seconds, 3),
    }


def _sums(results: Sequence[dict[str, Any]]) -> Scores:
    def percent(name: str) -> float:
        return 100 * float(mean(one[name] for one in results))

    right = [one for one in results if one["right"]]
    low, high = interval(len(right), len(results))
    return Scores(
        asked=len(results),
        right=percent("right"),
        low=100 * low,
        high=100 * high,
        exact=percent("exact"),
        cited=100 * mean(one["cited"] for one in right) if right else 0.0,
        wrong_but_cited=percent("wrong_but_cited"),
        unasked=percent("unasked"),
        facts=mean(one["facts"] for one in results),
        prompt_tokens=mean(one["tokens"] for one in results),
        seconds=median(one["seconds"] for one in results),
    )


# --- reporting ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    questions: int = QUESTIONS
    others: int = 200_000
    hops: int = 2
    training: bool = False
    only: tuple[str, ...] = ()
    """Ways of asking; none: all."""
    seconds: float = 3_600.0
    """After so long no more questions are asked: those that were are a random sample, too."""


def measured(say: Callable[[str], None], plan: Plan) -> tuple[list[Row], Json]:
    """All rows, and what they are made of."""
    out = CACHE / "retrieval"
    out.mkdir(parents=True, exist_ok=True)
    some = asked_of(plan.hops, plan.questions, training=plan.training)
    with tempfile.TemporaryDirectory() as scratch, LocalModel() as model:
        bench = Bench((*lines(knowledge()), *distracting(plan.others)), Path(scratch), embedder_here())
        try:
            say(f"{bench.triples} triples, indexed in {bench.index_s:.0f} s")
            runs = {
                name: Run(model, *way, out / f"answers-pq{plan.hops}h-{name.replace(', ', '-')}.jsonl")
                for name, way in ways(bench).items()
                if not plan.only or name in plan.only
            }
            end = time.monotonic() + plan.seconds
            for one in some:
                for run in runs.values():
                    run.ask(one)
                if time.monotonic() > end:
                    break
            triples = bench.triples
        finally:
            bench.close()
    found = {name: run.scores() for name, run in runs.items()}
    details: dict[str, Any] = {"hops": plan.hops, "training": plan.training, "triples": triples}
    details |= {name: {key: round(value, 2) for key, value in asdict(one).items()} for name, one in found.items()}
    details["rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return [row for name, one in found.items() for row in _rows(name, one, plan.hops)], details


def _rows(name: str, found: Scores, hops: int) -> Iterator[Row]:
    what = f"SmolLM2-135M, PQ-{hops}H, {found.asked} questions, {name}"
    bar = BAR if (name, hops) == ("retrieved", 2) else None
    key = f"answers{hops}-{name.replace(', ', '-')}"
    yield Row(key, f"{what}: right", found.right, "%", bar=bar, at_least=bar is not None)
    yield Row(f"{key}-s", f"{what}: time for an answer, median", found.seconds, "s")


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval.answers", description=__doc__)
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--distracting", type=int, default=200_000, help="triples of CoDEx-M beside PathQuestion")
    parser.add_argument("--hops", type=int, default=2, choices=(2, 3))
    parser.add_argument("--training", action="store_true", help="questions that prompts may be tuned on")
    parser.add_argument("--only", action="append", default=[], help="one way of asking (repeatable)")
    parser.add_argument("--seconds", type=float, default=3_600.0, help="ask no more questions after so long")
    args = parser.parse_args()

    def say(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    _, details = measured(
        say,
        Plan(
            questions=args.questions,
            others=args.distracting,
            hops=args.hops,
            training=args.training,
            only=tuple(args.only),
            seconds=args.seconds,
        ),
    )
    sys.stdout.write(json.dumps(details, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
