"""`dkg ask`, `dkg mcp` and `dkg proxy`, as people and scripts run them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import dkg
from dkg.chain.secp import checksum
from dkg.chain.ual import Publisher, Ual
from dkg.client.cli import main
from dkg.client.store import SqliteStore
from node.devnet.chain import devnet
from retrieval import commands
from retrieval.cli import define
from tests.chain.world import World as Chain
from tests.chain.world import world as chain_world
from tests.retrieval.plugs.serving import serving
from tests.retrieval.plugs.test_proxy import ASKED, SAID, Endpoint
from tests.retrieval.plugs.world import FACTS, world

if TYPE_CHECKING:
    from collections.abc import Iterator

Capture = pytest.CaptureFixture[str]

QUESTION = "Who discovered penicillin?"
FACT = "Alexander Fleming's discovered is penicillin."
FAST = ("--embedder", "none")


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with world(tmp_path_factory.mktemp("ask")) as made:
        yield str(made.directory)


def ask(db: str, *argv: str) -> int:
    return main(["ask", QUESTION, "--store", db, "--no-model", *FAST, *argv])


def test_defining_the_commands_imports_nothing_heavy() -> None:
    code = (
        "import sys, argparse, retrieval.cli as cli\n"
        "cli.define(lambda name, *_: argparse.ArgumentParser())\n"
        "print([one for one in ('numpy', 'onnxruntime', 'pydantic', 'mcp', 'yaml') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_each_command_names_a_function_that_is_there() -> None:
    found: dict[str, str] = {}

    def add(name: str, run: str, *_: str) -> ArgumentParser:
        found[name] = run
        return ArgumentParser()

    define(add)
    assert set(found) == {"ask", "mcp", "proxy"}
    for name, run in found.items():
        assert run == f"retrieval.commands:{name}"
        assert callable(getattr(commands, name))


def test_facts_are_shown_with_who_says_them(db: str, capsys: Capture) -> None:
    assert ask(db) == 0
    out, err = capsys.readouterr()
    assert f" 1. {FACT}\n     local: urn:dkg:default\n" in out
    assert "1 fact from 1 dataset, all verified" in err


def test_json_is_one_object(db: str, capsys: Capture) -> None:
    assert ask(db, "--json", "--quiet") == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [one["text"] for one in found["facts"]] == [FACT]
    assert not err


def test_a_count_over_a_local_store_is_json_with_its_query_and_a_proof(
    db: str, tmp_path: Path, capsys: Capture
) -> None:
    where = tmp_path / "count"
    question = "How many things has Marie Curie discovered?"
    argv = ["ask", question, "--store", db, "--no-model", *FAST]
    assert main([*argv, "--json", "--proofs", str(where)]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["rows"] == [['"2"^^<http://www.w3.org/2001/XMLSchema#integer>']]
    assert found["lines"] == ["Number of things that are the discovered of Marie Curie: 2."]
    assert found["query"].startswith("SELECT (COUNT(*) AS ?n)")
    assert {fact["text"] for fact in found["facts"]} == {
        f"Marie Curie's discovered is {x}." for x in ("radium", "polonium")
    }
    assert found["query"] in [one.read_text().strip() for one in where.iterdir() if one.suffix != ".car"]
    assert main(argv) == 0
    assert found["lines"][0] in capsys.readouterr().out
    assert err


def test_proofs_are_written_with_their_queries_and_verify(db: str, tmp_path: Path, capsys: Capture) -> None:
    where = tmp_path / "proofs"
    assert ask(db, "--proofs", str(where)) == 0
    said = capsys.readouterr().err
    line = next(line for line in said.splitlines() if line.startswith("check: dkg verify "))
    assert main(line.removeprefix("check: dkg ").split()) == 0
    assert "https://example.org/fleming" in capsys.readouterr().out
    assert ask(db, "--proofs", str(where)) == 1
    assert "not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "code", "what"),
    [
        ([], 1, "--store"),
        (["--store", "{db}", "--node", "http://127.0.0.1:1"], 1, "either"),
        (["--node", "http://127.0.0.1:1"], 1, "--publisher"),
        (["--store", "nowhere"], 3, "no store"),
        (["--store", "{db}", "--root", "bafyreiahbqvsaikrqvkbvmdqsqb4qyu6kzxkf7nvi7o6mqxrqvmtwbm5zm"], 3, "no dataset"),
        (["--store", "{db}", "--root", "nonsense"], 1, ""),
        (["--store", "{db}", "--policy", "nowhere.yaml"], 1, "policy"),
        (["--store", "{db}", "--policy", "{bad}"], 1, ""),
        (["--store", "{db}", "--publisher", "0x12"], 1, ""),
        (["--store", "{db}", "--budget", "9"], 64, "between"),
        (["--store", "{db}", "--budget", "8001"], 64, "between"),
        (["--store", "{db}", "--model", "smollm2"], 1, "either"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(
    db: str, tmp_path: Path, capsys: Capture, argv: list[str], code: int, what: str
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 1\npublishers: [1")
    home = ["--home", str(tmp_path / "home")]
    given = [one.format(db=db, bad=bad) for one in argv]
    assert main(["ask", QUESTION, "--no-model", *FAST, *home, *given]) == code
    err = capsys.readouterr().err
    assert "dkg: error:" in err
    assert what in err
    assert "Traceback" not in err


@pytest.mark.parametrize("question", ["", "   ", "?!", "x" * 100_000])
def test_what_is_no_question_is_refused(db: str, capsys: Capture, question: str) -> None:
    assert main(["ask", question, "--store", db, "--no-model", *FAST, "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["exit"] == 1
    assert len(err) < 500


def test_a_budget_of_ten_tokens_is_kept(db: str, capsys: Capture) -> None:
    assert ask(db, "--budget", "10", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["facts"]) <= 1


def test_text_from_the_data_cannot_drive_a_terminal(tmp_path: Path, capsys: Capture) -> None:
    with world(tmp_path, FACTS.replace('"penicillin"', '"penicillin \\u001B[2J\\u202E"')) as made:
        assert ask(str(made.directory)) == 0
    out = capsys.readouterr().out
    assert "penicillin" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_an_index_that_is_kept_is_used_again_and_follows(tmp_path: Path, capsys: Capture) -> None:
    with world(tmp_path / "db") as made:
        db, index = str(made.directory), str(tmp_path / "index")
        for _ in range(2):
            assert ask(db, "--index", index) == 0
            assert FACT in capsys.readouterr().out
        made.load(FACTS.replace(":discovered :penicillin ;", ""))
        assert ask(db, "--index", index) == 0
        assert FACT not in capsys.readouterr().out


def test_a_package_that_is_missing_is_told_with_what_brings_it(
    db: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "retrieval.opening", None)
    monkeypatch.setitem(commands.EXTRAS, "retrieval", "retrieval")
    assert ask(db) == 3
    assert "pip install 'dkg[retrieval]'" in capsys.readouterr().err


# --- publishers on a chain -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chain() -> Iterator[tuple[str, Chain]]:
    with devnet() as made, chain_world(made.url) as here:
        yield made.url, here


def test_signed_facts_come_from_the_chain_until_the_key_is_revoked(
    chain: tuple[str, Chain], tmp_path: Path, capsys: Capture
) -> None:
    url, here = chain
    domain = here.registry.domain
    graph = Ual(Publisher(domain.chain_id, domain.registry, here.publisher), "medicine").graph[1:-1].decode()
    with SqliteStore(tmp_path / "db") as store, store.writing():
        store.set_head(dkg.build(dkg.load(FACTS.encode(), format="ttl", graph=graph), store))
        root = store.head()
    assert root is not None
    here.registry.commit(here.publisher, root[4:])
    argv = [
        *("ask", QUESTION, "--no-model", *FAST, "--json", "--quiet", "--home", str(tmp_path / "home")),
        *("--rpc", url, "--registry", checksum(domain.registry), "--chain-id", str(domain.chain_id)),
        *("--store", str(tmp_path / "db"), "--publisher", checksum(here.publisher)),
    ]
    assert main(argv) == 0
    found = json.loads(capsys.readouterr().out)
    (origin,) = found["facts"][0]["origins"]
    assert (origin["claim"], origin["graph"], origin["sequence"]) == ("L1", graph, 1)
    assert origin["block"] == here.height()
    here.registry.call("revoke", here.publisher, sender=here.publisher)
    assert main(argv) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["facts"] == []
    assert any("revoked" in note for note in found["notes"])


# --- with a model, and as programs -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_model_answers_from_the_facts(db: str, capsys: Capture) -> None:
    assert main(["ask", QUESTION, "--store", db, *FAST]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Alexander Fleming\n\n*1. ")


def test_a_model_behind_a_url_answers_too(db: str, capsys: Capture) -> None:
    endpoint = Endpoint()
    with serving(endpoint.app()) as url:
        assert main(["ask", QUESTION, "--store", db, *FAST, "--model", f"{url}/v1#tiny", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answer"] == SAID
    assert found["supported"] is True
    assert endpoint.asked[0]["model"] == "tiny"


@pytest.mark.slow
def test_the_proxy_runs_until_it_is_told_to_stop(db: str, tmp_path: Path) -> None:
    port = tmp_path / "port"
    with serving(Endpoint().app()) as upstream:
        argv = ["proxy", "--store", db, *FAST, "--upstream", upstream, "--port", "0", "--port-file", str(port)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        with subprocess.Popen(
            [sys.executable, "-m", "dkg.client.cli", *argv], stderr=subprocess.PIPE, env=environment, text=True
        ) as process:
            answer = _answered(port, process)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate()
    assert answer["choices"][0]["message"]["annotations"]
    assert "/v1" in said
    assert not port.exists()


def _answered(port: Path, process: subprocess.Popen[str]) -> dict[str, Any]:
    """The answer of a proxy once it answers; its index is made meanwhile."""
    while process.poll() is None:
        if port.exists():
            url = f"http://127.0.0.1:{port.read_text().strip()}/v1/chat/completions"
            answer = httpx.post(url, json=ASKED, trust_env=False, timeout=60)
            if answer.status_code != 503:
                found: dict[str, Any] = answer.json()
                return found
        time.sleep(0.05)
    raise AssertionError(process.communicate())
