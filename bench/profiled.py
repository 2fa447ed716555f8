"""Where the time of what is measured goes, and the bytes of a proof: docs/performance.md is made with this."""

from __future__ import annotations

import cProfile
import io
import os
import pstats
import shutil
import time
from statistics import median
from typing import TYPE_CHECKING, Final

import dkg
from bench import jobs, measure, questions
from bench.proofbytes import proof_bytes
from bench.report import aligned, number
from bench.shares import Shares
from bench.subject import Subject
from dkg.dataset import quads
from dkg.pages import StoredPages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.measure import Plan
    from bench.questions import Question

_TIMES: Final = 20
_LINES: Final = 25
_SECONDS: Final = 0.5
"""Of the processor, for each question: so each counts the same in the shares."""

_PAGES_MAX: Final = 2_000
"""Proofs of more pages are not among those that a client is taken to have seen."""


def profiled(plan: Plan, what: str) -> str:
    """The profile of DATA/QUESTION, or of one of `WHOLE`."""
    if what in WHOLE:
        return WHOLE[what](plan)
    data_set, _, name = what.partition("/")
    source = measure.sources(plan).get(data_set)
    found = [question for question in questions.of(data_set) if question.name == name]
    if source is None or not found:
        raise SystemExit(f"bench: there is no question {what}; see bench/queries, or choose one of {', '.join(WHOLE)}")
    subject, text = Subject(_built(source)), found[0].text
    proof = subject.prove(text)
    parts = [
        ("prove", lambda: subject.prove(text)),
        ("verify", lambda: dkg.verify(proof.car, text, subject.root)),
    ]
    times = "\n".join(f"{name}, {_TIMES} times\n{_profile(run)}" for name, run in parts)
    return f"{proof_bytes(proof)}\n{times}"


def _built(source: Path) -> Path:
    folder = measure.folder_of(source, "dkg")
    if not folder.exists():
        measure.loaded("dkg", source)
    return folder


def _profile(run: Callable[[], object]) -> str:
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(_TIMES):
        run()
    profile.disable()
    out = io.StringIO()
    pstats.Stats(profile, stream=out).strip_dirs().sort_stats("tottime").print_stats(_LINES)
    return out.getvalue()


def _proofs(subject: Subject, data_set: str) -> dict[Question, dkg.Proof]:
    """The questions of a data set that our budget does not refuse, with their proofs."""
    found = {}
    for question in questions.of(data_set):
        try:
            found[question] = subject.prove(question.text)
        except dkg.BudgetError as error:
            del error
    return found


def _of_questions(plan: Plan) -> str:
    """Shares of verifying and of proving, over all questions alike."""
    shares = {"verify": Shares(), "prove": Shares()}
    for data_set, source in measure.sources(plan).items():
        subject = Subject(_built(source))
        root = subject.root
        for question, proof in _proofs(subject, data_set).items():
            text, car = question.text, proof.car
            runs: dict[str, Callable[[], object]] = {
                "verify": lambda car=car, text=text, root=root: dkg.verify(car, text, root),  # type: ignore[misc]
                "prove": lambda text=text, subject=subject: subject.prove(text),  # type: ignore[misc]
            }
            for name, run in runs.items():
                run()
                with shares[name].sampled():
                    end = time.thread_time() + _SECONDS
                    while time.thread_time() < end:
                        run()
        subject.close()
    return "\n".join(f"{name}\n{found.table()}" for name, found in shares.items())


def _of_known(plan: Plan) -> str:
    """Verifying with pages that are known: those of the other questions' proofs, and those of this one's."""
    ratios: list[tuple[float, float]] = []
    cells = [["question", "ms", "others known", "all known"]]
    for data_set, source in measure.sources(plan).items():
        subject = Subject(_built(source))
        root, proofs = subject.root, _proofs(subject, data_set)
        for question, proof in proofs.items():
            text, car = question.text, proof.car
            times: tuple[list[float], list[float], list[float]] = ([], [], [])
            dkg.verify(car, text, root)  # so that the query's reading and its terms are known to all
            for _ in range(jobs.ROUNDS_MIN):
                known = dkg.KnownPages()
                for other, seen in proofs.items():
                    if other != question and seen.pages < _PAGES_MAX:
                        dkg.verify(seen.car, other.text, root, known=known)
                for found, pages in zip(times, (None, known, known), strict=True):
                    start = time.thread_time()
                    dkg.verify(car, text, root, known=pages)
                    found.append(time.thread_time() - start)
            cold, others, same = map(median, times)
            ratios.append((others / cold, same / cold))
            cells.append([f"{data_set}/{question.name}", number(cold * 1e3), *(f"{x:.2f}x" for x in ratios[-1])])
        subject.close()
    cells.append(["median", "", *(f"{median(column):.2f}x" for column in zip(*ratios, strict=True))])
    return aligned(cells, left={0}) + "\n"


def _of_changes(plan: Plan) -> str:
    """Shares of updating 1,000 quads and of the diff of the two roots."""
    source = measure.sources(plan)["university"]
    copy = _built(source).with_suffix(".profiled")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(_built(source), copy)
    subject = Subject(copy)
    store, root = subject.store, subject.root
    every = [quad for batch in quads(subject.pages, root) for quad in batch]
    parts = []
    for how, make in (("scattered", jobs.scattered), ("together", jobs.together)):
        updates, diffs = Shares(), Shares()
        for turn in range(jobs.CHANGE_ROUNDS):
            gone, fresh = make(every, turn)
            with updates.sampled(), store.writing():
                new = dkg.update(store, root, fresh, gone)
                store.set_head(new)
            with diffs.sampled():
                list(dkg.diff(StoredPages(store), root, new))
            root = new
        parts += [f"update, {how}\n{updates.table()}", f"diff, {how}\n{diffs.table()}"]
    subject.close()
    shutil.rmtree(copy)
    return "\n".join(parts)


def _of_builds(plan: Plan) -> str:
    """Shares of building each data set, all in one process."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # so that none is started
    parts = []
    for data_set, source in measure.sources(plan).items():
        target = measure.folder_of(source, "profiled")
        shutil.rmtree(target, ignore_errors=True)
        shares, subject = Shares(), Subject(target)
        with shares.sampled():
            subject.load(source)
        subject.close()
        shutil.rmtree(target)
        parts.append(f"build of {data_set}\n{shares.table()}")
    return "\n".join(parts)


WHOLE: Final[dict[str, Callable[[Plan], str]]] = {
    "questions": _of_questions,
    "known": _of_known,
    "changes": _of_changes,
    "builds": _of_builds,
}
"""What is profiled as a whole: verifying and proving; verifying with known pages; updates and diffs; builds."""
