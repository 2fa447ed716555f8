"""`dkg publish`, `retract` and `history`, from files to answers that are verified against the chain."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from node.home import Home
from tests.chain.rpc import Rpc
from tests.node.cli.conftest import PASSWORD

if TYPE_CHECKING:
    from tests.node.cli.conftest import Desk

ONE = "<urn:a> <urn:p> 1 .\n"
TWO = ONE + "<urn:a> <urn:p> 2 .\n"
VALUES = "SELECT ?o { <urn:a> <urn:p> ?o } ORDER BY ?o"
SHAPES = """\
@prefix sh: <http://www.w3.org/ns/shacl#> .
<urn:shape> a sh:NodeShape ; sh:targetNode <urn:a> ; sh:property [ sh:path <urn:p> ; sh:maxCount 1 ] .
"""


def proof_of(desk: Desk, home: str, query: str = VALUES) -> str:
    proof = str(desk.path / "proof.car")
    desk.ok("query", "--store", f"{home}/store", "--proof", proof, query)
    return proof


def verified(desk: Desk, home: str, proof: str, *options: str) -> Any:  # noqa: ANN401 - JSON
    return desk.ok("verify", proof, "--publisher", desk.address(), "--home", home, *options, VALUES)


def values(answer: Any) -> list[str]:  # noqa: ANN401 - JSON
    return [row["o"]["value"] for row in answer["answer"]["results"]["bindings"]]


def test_what_is_published_is_verified_against_the_chain(desk: Desk) -> None:
    home = desk.deployed()
    made = desk.signed(home, "publish", desk.file("a.ttl", TWO), "--asset", "numbers", "--title", "Numbers")
    assert made["ual"].endswith(f"/{desk.address().lower()}/numbers")
    assert (made["seq"], made["changed"], made["state"]) == (1, True, "pending")
    assert made["gas"] <= 75_000
    answer = verified(desk, home, proof_of(desk, home))
    assert values(answer) == ["1", "2"]
    assert (answer["claim"], answer["state"], answer["anchor"], answer["seq"]) == ("L1", "pending", "proved", 1)
    Rpc(desk.chain.url)("anvil_mine", "0x2")
    assert verified(desk, home, proof_of(desk, home))["state"] == "final"


def test_the_same_again_sends_nothing_and_what_was_may_come_back(desk: Desk) -> None:
    home = desk.deployed()
    one, two = desk.file("one.ttl", ONE), desk.file("two.ttl", TWO)
    first = desk.signed(home, "publish", one, "--asset", "a")
    again = desk.signed(home, "publish", one, "--asset", "a")
    assert again == first | {"changed": False}
    second = desk.signed(home, "publish", two, "--asset", "a")
    third = desk.signed(home, "publish", one, "--asset", "a")
    assert [second["seq"], third["seq"], third["changed"]] == [2, 3, True]
    assert values(verified(desk, home, proof_of(desk, home))) == ["1"]
    versions = desk.ok("history", first["ual"], "--home", home)["versions"]
    assert [(v["seq"], v["kind"], v["added"], v["removed"]) for v in versions] == [
        (1, "created", 1, 0),
        (2, "changed", 1, 0),
        (3, "changed", 0, 1),
    ]


def test_publishing_needs_none_of_a_nodes_packages(desk: Desk) -> None:
    home, password = desk.deployed(), str(desk.path / "password")
    without = "import sys; sys.modules |= dict.fromkeys(('fastapi', 'libp2p', 'uvicorn', 'uvloop')); "
    program = without + "from dkg.client.cli import main; sys.exit(main())"
    argv = ["publish", desk.file("a.ttl", ONE), "--asset", "a", "--home", home, "--password-file", password, "--json"]
    done = subprocess.run([sys.executable, "-c", program, *argv], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["changed"]


def test_what_is_retracted_is_provably_gone_and_its_history_stays(desk: Desk) -> None:
    home = desk.deployed()
    desk.signed(home, "publish", desk.file("a.ttl", ONE), "--asset", "a")
    gone = desk.signed(home, "retract", "a", "--reason", "a mistake")
    assert (gone["seq"], gone["changed"]) == (2, True)
    assert desk.signed(home, "retract", "a", "--reason", "a mistake")["changed"] is False
    ran = desk.run("verify", proof_of(desk, home), "--publisher", desk.address(), "--home", home, VALUES)
    assert "provably nothing matches" in ran.err
    last = desk.ok("history", "a", "--home", home)["versions"][-1]
    assert (last["kind"], last["reason"], last["removed"]) == ("retracted", "a mistake", 1)


def test_an_asset_supersedes_another(desk: Desk) -> None:
    home = desk.deployed()
    desk.signed(home, "publish", desk.file("a.ttl", ONE), "--asset", "old")
    made = desk.signed(home, "publish", desk.file("b.ttl", TWO), "--asset", "new", "--supersedes", "old")
    query = "SELECT ?o { GRAPH ?g { ?old <http://purl.org/dc/terms/isReplacedBy> ?o } }"
    (row,) = desk.ok("query", "--store", f"{home}/store", query)["answer"]["results"]["bindings"]
    assert row["o"]["value"] == made["ual"]
    assert [v["kind"] for v in desk.ok("history", "old", "--home", home)["versions"]] == ["created", "superseded"]


def test_shapes_of_the_home_refuse_what_does_not_conform(desk: Desk) -> None:
    home = desk.deployed()
    (Path(home) / "shapes.ttl").write_text(SHAPES)
    desk.signed(home, "publish", desk.file("one.ttl", ONE), "--asset", "a")
    ran = desk.refused(home, "publish", desk.file("two.ttl", TWO), "--asset", "a")
    assert ran.code == 1
    assert "urn:a" in ran.err
    assert desk.ok("chain", "status", "--home", home)["commits"] == 1


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("publish", "FILE"), "name the asset"),
        (("publish", "--asset", "a"), "name the files"),
        (("publish", "FILE", "--asset", "a/b"), "no name for an asset"),
        (("publish", "FILE", "--asset", "a", "--licence", "free"), "licence"),
        (("publish", "/nowhere.ttl", "--asset", "a"), "cannot read"),
        (("publish", "OTHER", "--asset", "a"), "urn:g"),
        (("retract", "none"), "none"),
        (("publish", "FILE", "--asset", "a", "--max-fee", "0.0000001"), "cap"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_refused_in_a_sentence_and_nothing_is_sent(desk: Desk, argv: tuple[str, ...], said: str) -> None:
    home = desk.deployed()
    files = {"FILE": desk.file("a.ttl", ONE), "OTHER": desk.file("a.nq", "<urn:a> <urn:p> <urn:o> <urn:g> .\n")}
    ran = desk.refused(home, *(files.get(word, word) for word in argv))
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert desk.ok("chain", "status", "--home", home)["commits_in_the_registry"] == 0


def test_without_files_there_is_nothing_left_undone(desk: Desk) -> None:
    assert desk.signed(desk.deployed(), "publish") == {"changed": False}


def test_the_history_of_an_unknown_asset_is_an_error(desk: Desk) -> None:
    home = desk.deployed()
    desk.signed(home, "publish", desk.file("a.ttl", ONE), "--asset", "a")
    assert desk.run("history", "b", "--home", home).code == 1


def test_neither_key_nor_password_is_ever_shown(desk: Desk) -> None:
    home = desk.deployed()
    password = str(desk.path / "password")
    ran = desk.run("publish", desk.file("a.ttl", ONE), "--asset", "a", "--home", home, "--password-file", password)
    assert ran.code == 0
    said = ran.out + ran.err + "".join(p.read_text("latin1") for p in Path(home).rglob("*") if p.is_file())
    assert PASSWORD not in said
    assert desk.chain.accounts[0].key.hex() not in said
    assert desk.chain.accounts[0].key.decode("latin1") not in said


def test_a_signed_commit_alone_makes_an_answer_authentic(desk: Desk) -> None:
    home = desk.deployed()
    desk.signed(home, "publish", desk.file("a.ttl", ONE), "--asset", "a")
    commit = ("--commit", f"{home}/commits/1")
    answer = verified(desk, home, proof_of(desk, home), *commit)
    assert (answer["claim"], answer["state"], answer["block"]) == ("L0", None, None)
    proof = proof_of(desk, home)
    for other in (("--publisher", desk.address(1)), ("--publisher", desk.address(), "--signer", desk.address(1))):
        ran = desk.run("verify", proof, "--home", home, *commit, *other, VALUES)
        assert ran.code == 2, ran.err
    other_chain = ("--publisher", desk.address(), "--chain-id", "1")
    assert desk.run("verify", proof, "--home", home, *commit, *other_chain, VALUES).code == 2
    assert desk.run("verify", proof, "--home", home, "--publisher", desk.address(), "--signer", "x", VALUES).code == 64


def test_the_first_publish_interrupted_and_done_again_says_what_it_brought_to_the_chain(desk: Desk) -> None:
    home = desk.deployed()
    rpc = Rpc(desk.chain.url)
    argv = ["publish", desk.file("a.ttl", ONE), "--asset", "a"]
    interrupted(desk, rpc, [*argv, "--home", home])
    ran = desk.run(*argv, "--home", home, "--password-file", str(desk.path / "password"))
    assert (ran.code, "nothing to do" in ran.err, "commit 1" in ran.err) == (0, False, True)
    again = desk.signed(home, *argv)
    assert (again["seq"], again["changed"]) == (1, False)
    assert desk.ok("chain", "status", "--home", home)["commits_in_the_registry"] == 1


def interrupted(desk: Desk, rpc: Rpc, argv: list[str]) -> None:
    """A command that is interrupted while its transaction waits to be mined."""
    rpc("evm_setAutomine", False)  # noqa: FBT003 - JSON-RPC
    environment = {**os.environ, "DKG_PASSWORD_FILE": str(desk.path / "password")}
    process = subprocess.Popen(
        [sys.executable, "-m", "dkg.client.cli", *argv], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not rpc("txpool_content")["pending"]:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out) == (130, b""), err
    assert b"Traceback" not in err
    rpc("evm_setAutomine", True)  # noqa: FBT003 - JSON-RPC


def test_interrupted_while_it_waits_it_is_resumed_and_anchored_once(desk: Desk) -> None:
    home = desk.deployed()
    rpc = Rpc(desk.chain.url)
    argv = ["publish", desk.file("a.ttl", ONE), "--asset", "a", "--home", home]
    interrupted(desk, rpc, argv)
    resumed = desk.signed(home, "publish")
    assert (resumed["seq"], resumed["changed"]) == (1, True)
    status = desk.ok("chain", "status", "--home", home)
    assert (status["commits"], status["commits_in_the_registry"]) == (1, 1)
    assert json.loads(json.dumps(desk.signed(home, *argv[:-2])))["changed"] is False
    assert Home(Path(home)).commit(2) is None
