"""Where the time of proving and verifying one question goes."""

from __future__ import annotations

import cProfile
import io
import pstats
from typing import TYPE_CHECKING

import dkg
from bench import measure, questions
from bench.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measure import Plan

_TIMES = 20
_LINES = 25


def profiled(plan: Plan, data_set: str, name: str) -> str:
    """The functions that proving and verifying spend most time in, themselves. The store must have been built."""
    source = measure.sources(plan).get(data_set)
    found = [question for question in questions.of(data_set) if question.name == name]
    if source is None or not found:
        raise SystemExit(f"bench: there is no question {data_set}/{name}; see bench/queries")
    folder = measure.folder_of(source, "dkg")
    if not folder.exists():
        measure.loaded("dkg", source)
    subject, text = Subject(folder), found[0].text
    proof = subject.prove(text)
    parts = [
        ("prove", lambda: subject.prove(text)),
        ("verify", lambda: dkg.verify(proof.car, text, subject.root)),
    ]
    return "\n".join(f"{name}, {_TIMES} times\n{_profile(run)}" for name, run in parts)


def _profile(run: Callable[[], object]) -> str:
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(_TIMES):
        run()
    profile.disable()
    out = io.StringIO()
    pstats.Stats(profile, stream=out).strip_dirs().sort_stats("tottime").print_stats(_LINES)
    return out.getvalue()
