"""Checkpoints from the command line: proposed, refuted, final, and asked by a client that trusts the chain alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from dkg.chain.checkpoints import Checkpoint, Status
from dkg.client.chainread import RpcReader
from dkg.client.cli import main
from dkg.client.cli.exits import Exit
from dkg.client.rpc import HttpRpc
from dkg.page import cid_bytes
from node.checkpoints import calls
from tests.chain.registry import calldata
from tests.chain.rpc import Rpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.node.cli.conftest import Desk

VALUES = "SELECT ?o { <urn:a> <urn:p> ?o } ORDER BY ?o"
WINDOW = 40


class Scene:
    """Two publishers, a node with a key, and the contract."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.rpc = desk, Rpc(desk.chain.url)
        self.home = desk.home()
        password = ("--window", str(WINDOW), "--demand-window", "10", "--finality-depth", "2")
        made = desk.signed(self.home, "chain", "deploy", "--rpc", desk.chain.url, *password)
        self.contract, self.registry = made["checkpoints"], made["registry"]
        self.other = desk.home("other", 1)
        told = ("--registry", self.registry, "--checkpoints", self.contract, "--finality-depth", "2")
        desk.ok("chain", "use", "--rpc", desk.chain.url, *told, "--home", self.other)
        self.config = str(desk.path / "node" / "node.toml")
        desk.ok("init", "--config", self.config, "--home", self.home, "--port", "0")
        self.token = desk.file(
            "token", desk.ok("token", "new", "me", "--scope", "publish", "--config", self.config)["token"]
        )
        self.url = ""

    def publish(self, home: str, name: str, value: int) -> None:
        file = self.desk.file(f"{name}.ttl", f"<urn:a> <urn:p> {value} .\n")
        self.desk.signed(home, "publish", file, "--asset", name)
        self.desk.ok("push", self.url, "--home", home, "--token-file", self.token)

    @contextmanager
    def watching(self) -> Iterator[Path]:
        """`dkg checkpoint watch`; gives the file of what it says. It must end well when it is interrupted."""
        said = self.desk.path / "said"
        environment = {
            "DKG_NODE_PUBLISH_HOME": self.home,
            "DKG_NODE_PUBLISH_PASSWORD_FILE": str(self.desk.path / "password"),
            "DKG_NODE_CHAIN_POLL_S": "0.2",
            "DKG_NODE_PEERS_ENABLED": "false",
        }
        with said.open("w") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "dkg.client.cli", "checkpoint", "watch", "--config", self.config, "--json"],
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
                env={**os.environ, **environment},
            )
        try:
            line = process.stdout.readline() if process.stdout else ""
            assert line, said.read_text()
            self.url = json.loads(line)["http"]
            yield said
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()
        assert process.returncode == 0, said.read_text()
        assert "Traceback" not in said.read_text()

    def asked(self, *argv: str) -> Any:  # noqa: ANN401 - JSON
        return self.desk.ok("checkpoint", *argv, "--token-file", self.token, "--config", self.config)

    def told(self) -> Any:  # noqa: ANN401 - JSON
        with urlopen(f"{self.url}/v1/checkpoints") as answer:
            return json.loads(answer.read())

    def proved(self, file: str) -> str:
        """Ask over HTTP for a proof over all publishers; gives its moment."""
        asked = Request(f"{self.url}/sparql?{urlencode({'query': VALUES, 'min_claim': 'L2'})}")
        asked.add_header("Accept", "application/vnd.ipld.car")
        with urlopen(asked) as answer:
            Path(file).write_bytes(answer.read())
            return f"{answer.headers['DKG-Checkpoint']}/{answer.headers['DKG-Position']}"

    def until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            time.sleep(0.05)

    def mine(self, seconds: int = 0) -> None:
        """Two blocks, which make what was committed final."""
        self.rpc("evm_increaseTime", seconds)
        self.rpc("anvil_mine", "0x2")

    def withdraw(self) -> None:
        """The bond that came back and half of the other one are paid out once."""
        before = int(self.rpc("eth_getBalance", self.desk.address(0), "latest"), 16)
        self.desk.signed(self.home, "checkpoint", "withdraw")
        gained = int(self.rpc("eth_getBalance", self.desk.address(0), "latest"), 16) - before
        assert 0 <= 75 * 10**16 - gained < 10**15  # but for gas
        again = self.desk.refused(self.home, "checkpoint", "withdraw")
        assert (again.code, "nothing is owed to 0x" in again.err) == (Exit.INPUT, True)

    def status(self, checkpoint: int) -> Status:
        with HttpRpc(self.desk.chain.url) as rpc:
            reader = RpcReader(rpc)
            contract = bytes.fromhex(self.contract[2:])
            words = reader.slots(contract, Checkpoint.slots(checkpoint), reader.header("latest"))
        return Checkpoint.unpack(checkpoint, *words).status

    def propose_wrong(self, position: int, root: str) -> None:
        """Somebody proposes another root for the first commits."""
        where = {"to": self.registry, "data": calldata("entries", position - 1)}
        tip = bytes.fromhex(self.rpc("eth_call", where, "latest")[2:])
        call = calls.propose(bytes.fromhex(self.contract[2:]), position, 0, cid_bytes(root)[4:], tip, 5 * 10**17)
        sent = {
            "from": self.desk.address(7),
            "to": self.contract,
            "data": f"0x{call.data.hex()}",
            "value": hex(call.value),
        }
        receipt = self.rpc("eth_getTransactionReceipt", self.rpc("eth_sendTransaction", {**sent, "gas": "0x4c4b40"}))
        assert receipt["status"] == "0x1"


def _values(found: dict[str, Any]) -> list[str]:
    return [row["o"]["value"] for row in found["answer"]["results"]["bindings"]]


@pytest.mark.slow
def test_from_a_wrong_checkpoint_to_an_answer_that_is_complete_for_all(desk: Desk) -> None:
    scene = Scene(desk)
    query = ("query", "--min-claim", "L2", "--home", scene.other, VALUES)
    with scene.watching() as said:
        scene.publish(scene.home, "a", 1)
        scene.publish(scene.other, "b", 2)
        scene.mine()
        # Somebody leaves a publisher out. It is never final, and refuted without anybody's doing.
        alone = desk.ok("root", "--store", f"{scene.home}/store")["root"]
        scene.until(lambda: scene.told()["position"] == 2)
        scene.propose_wrong(2, alone)
        ran = desk.run(*query, "--node", scene.url, "--final")
        assert (ran.code, ran.out) == (2, "")
        scene.until(lambda: scene.status(1) is Status.REFUTED)
        scene.until(lambda: "checkpoint_done: case: checkpoint-1" in said.read_text())
        assert "checkpoint: id: 1, state: wrong, why: missing" in said.read_text()
        case = json.loads((Path(scene.config).parent / "checkpoints" / "cases" / "checkpoint-1.json").read_text())
        assert ([step["what"] for step in case["steps"]], case["evidence"]["kind"]) == (["challenge"], "Missing")
        # The right one.
        made = scene.asked("propose")
        assert (made["position"], [step["what"] for step in made["steps"]]) == (2, ["propose"])
        scene.until(lambda: [one["id"] for one in scene.told()["pending"]] == [2])
        again = desk.run("checkpoint", "propose", "--token-file", scene.token, "--config", scene.config)
        assert (again.code, "checkpoint 2 is pending, and says the same" in again.err) == (1, True)
        assert scene.asked("challenge", "2")["found"] == "right"
        assert desk.run("checkpoint", "challenge", "1", "--token-file", scene.token, "--config", scene.config).code == 1
        pending = desk.ok(*query, "--node", scene.url, "--pending")
        assert (pending["state"], pending["checkpoint"]["id"]) == ("pending", 2)
        scene.mine(WINDOW + 1)
        scene.until(lambda: scene.status(2) is Status.FINAL)
        scene.mine()
        found = desk.ok(*query, "--node", scene.url, "--final")
        assert _values(found) == ["1", "2"]
        assert (found["state"], found["beside"]) == ("final", [])
        # Whoever commits later is answered from what it says now.
        scene.publish(scene.other, "b", 3)
        proof = str(desk.path / "proof.car.zst")
        found = desk.ok(*query, "--node", scene.url, "--proof", proof)
        assert _values(found) == ["1", "3"]
        by_http = str(desk.path / "http.car")
        moment = scene.proved(by_http)
        status = desk.ok("checkpoint", "status", "--home", scene.other, "--node", scene.url)
        assert status["changed"] == [desk.address(1)]
        assert [one["not_covered"] for one in status["coverage"] if one["publisher"] == desk.address(0)] == [0]
        assert desk.run("checkpoint", "watch", "--config", scene.config).code == 1  # one is there already
        scene.publish(scene.other, "b", 4)
    # The node is gone, and what it proved holds as of its moment, and no later.
    told = ("--min-claim", "L2", "--home", scene.other, VALUES)
    for kept in (proof, by_http):
        again = desk.ok("verify", kept, "--as-of", found["as_of"], *told)
        assert (_values(again), again["as_of"], again["beside"]) == (["1", "3"], moment, found["beside"])
    newest = desk.run("verify", proof, *told)
    assert (newest.code, newest.out, "not verified" in newest.err) == (2, "", True)
    scene.withdraw()


def test_who_runs_no_node_or_knows_no_contract_is_told(desk: Desk) -> None:
    scene = Scene(desk)
    ran = desk.run("checkpoint", "propose", "--token-file", scene.token, "--config", scene.config)
    assert (ran.code, "no node runs" in ran.err) == (3, True)
    without = desk.home("without", 2)
    desk.ok("chain", "use", "--rpc", desk.chain.url, "--registry", scene.registry, "--home", without)
    config = str(desk.path / "bare" / "node.toml")
    desk.ok("init", "--config", config, "--home", without)
    ran = desk.run("checkpoint", "watch", "--config", config)
    assert (ran.code, "knows no checkpoint contract" in ran.err) == (1, True)


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "x"])
def test_a_time_between_proposals_that_is_none_is_a_usage_error(seconds: str) -> None:
    assert main(["checkpoint", "watch", f"--propose-every={seconds}"]) == Exit.USAGE
