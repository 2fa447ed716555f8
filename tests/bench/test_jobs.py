"""The jobs on a small graph, in processes of their own as `scripts/bench` runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench import data, questions
from bench.jobs import CHANGE_ROUNDS, CHANGES, scattered, together
from bench.processes import JobError, run
from bench.report import question_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.jobs import Change
    from dkg.terms import Quad


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "department.nq"
    path.write_text("\n".join(data._Department(27).lines()) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def larger(tmp_path: Path) -> Path:
    path = tmp_path / "university.nq"
    path.write_text("\n".join(data.university(15_000)) + "\n", encoding="utf-8")
    return path


def test_what_is_loaded_is_asked_and_every_figure_is_there(source: Path, tmp_path: Path) -> None:
    for what in ("dkg", "disk"):
        assert run("load", what=what, source=source, target=tmp_path / what).said["seconds"] > 0
    said = run(
        "ask", data_set="university", source=source, ours=tmp_path / "dkg", disk=tmp_path / "disk", seconds=0
    ).said
    assert said["refused"] == {}
    assert [q["question"] for q in said["questions"]] == [q.name for q in questions.of("university")]
    star = next(q for q in said["questions"] if q["question"] == "star")
    assert star["rows"] == 300
    assert 0 < star["compressed_bytes"] < star["proof_bytes"]
    assert all(low <= high for low, high in [star["prove_quartiles_ms"], star["disk_quartiles_ms"]])
    sizes = run("trie", data_set="university", source=source).said["sizes"]
    assert sizes["star"]["raw"] > sizes["star"]["compressed"] > 0
    assert "absent" not in sizes
    assert "university" in question_table([{**star, "data": "university", "trie": sizes["star"]}])


def test_changes_are_made_on_both_sides_and_timed(larger: Path, tmp_path: Path) -> None:
    for what in ("dkg", "disk"):
        run("load", what=what, source=larger, target=tmp_path / what)
    said = run("change", ours=tmp_path / "dkg", disk=tmp_path / "disk").said
    assert set(said) == {"scattered", "together"}
    for times in said.values():
        assert {name: len(found) for name, found in times.items()} == dict.fromkeys(
            ("update", "cpu", "diff", "disk"), CHANGE_ROUNDS
        )


@pytest.mark.parametrize("choose", [scattered, together])
def test_changes_never_overlap_within_a_turn_or_between_turns(choose: Callable[[list[Quad], int], Change]) -> None:
    every: list[Quad] = [(b"<x:%06d>" % i, b"<x:p>", b'"%d"' % i, b"<x:g>") for i in range(20_000)]
    removed: set[Quad] = set()
    for turn in range(CHANGE_ROUNDS):
        gone, fresh = choose(every, turn)
        assert len(set(gone)) == len(set(fresh)) == CHANGES // 2
        assert not removed & set(gone)
        removed |= set(gone)


def test_a_wrong_answer_of_ours_ends_the_run(source: Path, tmp_path: Path) -> None:
    run("load", what="disk", source=source, target=tmp_path / "disk")
    part = tmp_path / "part.nq"
    part.write_text("".join(source.read_text(encoding="utf-8").splitlines(keepends=True)[:-900]), encoding="utf-8")
    run("load", what="dkg", source=part, target=tmp_path / "dkg")
    with pytest.raises(JobError, match="and not the same"):
        run("ask", data_set="university", source=source, ours=tmp_path / "dkg", disk=tmp_path / "disk", seconds=0)
