from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from bench import questions
from bench.__main__ import arguments
from bench.jobs import ROUNDS_MAX, ROUNDS_MIN, in_turns
from bench.peers import DiskOxigraph, MemoryOxigraph, Peer, Rdflib
from bench.processes import JobError, peak, watched
from bench.report import Row, as_json, compared, number, printed
from bench.subject import Subject

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = {"data": "university", "question": "star", "rows": 300, "pages": 81, "proof_bytes": 90_000, "trie": None}
TIMES = {f"{name}_ms": 2.0 for name in ("query", "prove", "verify", "disk", "memory")}


def figures(row: Row, compressed: int = 10_000) -> dict[str, object]:
    asked = {**QUESTION, **TIMES, "compressed_bytes": compressed}
    return as_json([row], [asked], {"refused": {}}, {"date": "2026-11-23", "cores": 2})


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Row("a", "a", 5.0, "kB", bar=5.0), True),
        (Row("a", "a", 5.1, "kB", bar=5.0), False),
        (Row("a", "a", 5.0, "s", 4.0, 1.25, 1.0, on_ratio=True), False),
        (Row("a", "a", 9.0, "s", 10.0, 0.9, 1.0, on_ratio=True), True),
        (Row("a", "a", 0.5, "ms", 0.1, 5.0, 2.0, on_ratio=True, passes=True), True),
        (Row("a", "a", None, "kB", bar=5.0), False),
        (Row("a", "a", 5.0, "kB"), None),
    ],
)
def test_a_bar_is_met_up_to_and_including_it(row: Row, *, met: bool | None) -> None:
    assert row.met is met


def test_figures_survive_json_and_print_the_same() -> None:
    row = Row("build", "build of a graph", 4.0, "s", 5.0, 0.8, 1.0, on_ratio=True, spread=(0.7, 0.9), note="a note")
    found = figures(row)
    text = printed(found)
    assert printed(json.loads(json.dumps(found))) == text
    for part in ("4.00 s", "5.00 s", "0.80x", "0.70-0.90", "<= 1.00x", "met", "a note", "university", "81"):
        assert part in text


def test_a_missed_bar_says_so() -> None:
    assert "MISSED" in printed(figures(Row("x", "x", 2.0, "s", bar=1.0)))


def test_a_comparison_is_of_ratios_where_there_are_ratios() -> None:
    then = figures(Row("build", "build", 8.0, "s", 10.0, 0.8))
    now = figures(Row("build", "build", 2.0, "s", 5.0, 0.4), compressed=5_000)
    text = compared(then, now)
    assert "0.80x" in text
    assert "0.50x" in text
    assert "10.0 kB" in text
    assert "5.00 kB" in text


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (1234.5, "1,234"), (12.34, "12.3"), (0.5, "0.50"), (0.04, "0.040")]
)
def test_numbers_have_the_digits_that_count(value: float | None, text: str) -> None:
    assert number(value) == text


def test_turns_are_fair_and_bounded() -> None:
    calls: list[str] = []
    times = in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, seconds=0)
    assert {name: len(found) for name, found in times.items()} == {"a": ROUNDS_MIN, "b": ROUNDS_MIN}
    assert calls == ["a", "b", "a", "b", "b", "a", "a", "b"]
    assert len(in_turns({"a": lambda: None}, seconds=1)["a"]) == ROUNDS_MAX


def test_a_job_that_fails_is_an_error_with_its_own_words() -> None:
    with pytest.raises(JobError, match="so it goes"):
        watched([sys.executable, "-c", "raise SystemExit('so it goes')"])


def test_a_fresh_process_tells_its_own_peak_and_not_its_parents() -> None:
    assert peak("VmPeak:\t  900 kB\nVmHWM:\t  500 kB\n") == 500 * 1024


def test_memory_is_of_a_process_and_its_children_together() -> None:
    grow = "import subprocess, sys, time; data = bytearray(b'x') * 40_000_000; "
    child = f"{grow} time.sleep(2)"
    parent = f"{grow} subprocess.run([sys.executable, '-c', {child!r}]); print('{{}}')"
    assert watched([sys.executable, "-c", parent]).peak > 80_000_000


@pytest.mark.filterwarnings("ignore:Dataset.default_context:DeprecationWarning")  # rdflib, of itself
def test_every_peer_gives_the_same_rows(tmp_path: Path) -> None:
    source = tmp_path / "small.nq"
    source.write_text(
        "<x:s> <x:p> <x:o> <x:g> .\n<x:s> <x:q> <x:o> <x:h> .\n<x:t> <x:p> <x:o> <x:g> .\n", encoding="utf-8"
    )
    peers: list[Peer] = [MemoryOxigraph(), DiskOxigraph(tmp_path / "disk"), Rdflib(), Subject(tmp_path / "ours")]
    for peer in peers:
        peer.load(source)
        found = sorted(str(row[0]).strip("<>") for row in peer.query("SELECT ?s { ?s <x:p> <x:o> }"))
        assert found == ["x:s", "x:t"], peer.name
        assert peer.query("ASK { <x:s> <x:p> <x:q> }") == [(False,)], peer.name
        peer.close()


def test_the_sizes_with_bars_are_of_questions_that_exist() -> None:
    from bench.measure import SIZE_BARS  # noqa: PLC0415 - what it imports is slow

    assert set(SIZE_BARS) <= {question.name for question in questions.of("university")}


def test_the_command_line_takes_one_scale() -> None:
    with pytest.raises(SystemExit):
        arguments().parse_args(["--quick", "--full"])
    assert arguments().parse_args(["profile", "university/star", "--quick"]).question == "university/star"
