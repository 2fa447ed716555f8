"""The README's first examples, as a newcomer types them, give what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import dkg

README = (Path(__file__).parents[1] / "README.md").read_text()
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def block(language: str) -> str:
    """Return the first block of code in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def told(line: str) -> str:
    """Return a line of output without what differs from run to run: roots, comments, sizes and times."""
    return re.sub(r"bafyrei[a-z2-7]*(\.\.\.)?", "ROOT", re.sub(r"\s+# .*|\(\d+ pages.*\)", "", line)).strip()


def test_the_first_session_gives_what_it_shows(tmp_path: Path) -> None:
    script: list[str] = ["exec 2>&1"]
    shown: list[str] = []
    for part in re.split(r"^\$ ", block("console"), flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        if command.startswith("cat "):
            (tmp_path / command.removeprefix("cat ")).write_text(output)
            continue
        script.append(command)
        shown += [told(line) for line in output.splitlines() if line.strip()]
    done = subprocess.run(
        ["sh", "-c", "\n".join(script)], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    printed = iter([told(line) for line in done.stdout.splitlines()])
    assert [line for line in shown if line not in printed] == [], done.stdout


def test_the_example_in_python_runs() -> None:
    names: dict[str, object] = {
        "turtle": b"<urn:a> <urn:b> 'Ada' .",
        "query": "SELECT ?name { ?person <urn:b> ?name }",
    }
    exec(block("python"), names)
    answer = names["answer"]
    assert isinstance(answer, dkg.VerifiedAnswer)
    assert [str(name) for (name,) in answer.rows] == ['"Ada"']
