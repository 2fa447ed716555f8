"""Each example of docs/examples runs as it stands, and shows what it says that it shows."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from node.workers.inprocess import InProcess
from retrieval.plugs.proxy import ProxySettings, make_app
from tests.node.http.conftest import site_of
from tests.node.http.knowing import known_of
from tests.node.http.world import publisher
from tests.node.http.world import world as node_world
from tests.retrieval.plugs.serving import serving
from tests.retrieval.plugs.test_proxy import SAID, Endpoint
from tests.retrieval.plugs.world import world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.retrieval.plugs.world import World

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
QUESTION = "Who discovered penicillin?"
FACT = "Alexander Fleming's discovered is penicillin."


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("examples")) as made:
        yield made


def run(name: str, *argv: str) -> None:
    """An example, as `python docs/examples/NAME ARGUMENT...` runs it."""
    before = sys.argv
    sys.argv = [name, *argv]
    try:
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    finally:
        sys.argv = before


def test_every_example_is_tested_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    names = sorted(path.name for path in EXAMPLES.glob("*.py"))
    assert len(names) >= 6
    assert [name for name in names if f'"{name}"' not in text] == []


def test_python(shared: World, capsys: pytest.CaptureFixture[str]) -> None:
    run("python_api.py", str(shared.directory), QUESTION)
    shown = capsys.readouterr().out
    assert f"{FACT} - local urn:dkg:default" in shown
    assert f"for root {shared.root}" in shown


@pytest.mark.parametrize("name", ["langchain_retriever.py", "llamaindex_retriever.py"])
def test_frameworks(name: str, shared: World, capsys: pytest.CaptureFixture[str]) -> None:
    run(name, str(shared.directory), QUESTION)
    assert f"{FACT} ['local']" in capsys.readouterr().out


@pytest.mark.slow
def test_mcp(shared: World) -> None:
    command = [sys.executable, str(EXAMPLES / "mcp_client.py"), str(shared.directory), QUESTION]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # it starts a program of its own
    assert FACT in done.stdout, done.stderr
    assert f"--root {shared.root}" in done.stdout


def test_proxy(shared: World, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        serving(Endpoint().app()) as upstream,
        serving(make_app(shared.knowledge, ProxySettings(upstream=upstream))) as url,
    ):
        run("openai_proxy.py", url, QUESTION)
    shown = capsys.readouterr().out
    assert SAID in shown
    assert f"[Alexander Fleming] {FACT} urn:dkg:default" in shown
    assert f"root {shared.root}" in shown


def test_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with node_world(tmp_path) as node, known_of(node) as known:
        runner = InProcess(node.store.pages)
        with serving(site_of(node, runner, known=known).app) as url:
            run("node_http.py", url, "What is the no2 of North?")
        runner.close()
    shown = capsys.readouterr().out
    assert publisher(0).did in shown
    assert "proof 1 of" in shown
