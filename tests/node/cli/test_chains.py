"""`dkg chain`, `dkg devnet` and `dkg doctor`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dkg.chain.secp import checksum
from node.keys import create
from tests.chain.anvil import require_anvil
from tests.chain.lies import honest, only, refused
from tests.chain.proxy import proxy, unreachable
from tests.chain.rpc import Rpc
from tests.node.cli.conftest import PASSWORD
from tests.node.cli.test_assets import interrupted
from tests.node.devnet.script import CREATION

if TYPE_CHECKING:
    from tests.node.cli.conftest import Desk


def test_a_registry_is_deployed_and_another_home_uses_it(desk: Desk) -> None:
    home = desk.deployed()
    status = desk.ok("chain", "status", "--home", home)
    assert (status["chain_id"], status["commits"], status["signer"]) == (31337, 0, desk.address())
    other = desk.home("other", 1)
    used = desk.ok("chain", "use", "--rpc", desk.chain.url, "--registry", status["registry"], "--home", other)
    assert used["registry"] == status["registry"]
    assert desk.ok("chain", "status", "--home", other)["publisher"] == desk.address(1)
    assert "registry: " in desk.run("chain", "status", "--home", other).out


def test_a_deployment_that_was_interrupted_goes_on_and_makes_one_registry(desk: Desk) -> None:
    home, rpc = desk.home(), Rpc(desk.chain.url)
    argv = ["chain", "deploy", "--rpc", desk.chain.url, "--home", home]
    interrupted(desk, rpc, argv)
    made = desk.signed(home, *argv[:-2])
    assert int(rpc("eth_getTransactionCount", desk.address(), "latest"), 16) == 2
    assert made["registry"] == desk.ok("chain", "status", "--home", home)["registry"]
    assert not (Path(home) / "deployment").exists()
    assert desk.signed(home, *argv[:-2])["registry"] != made["registry"]  # asked for anew, and not resumed


def test_a_deployment_that_ended_between_the_two_contracts_goes_on_with_the_second(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, rpc = desk.home(), Rpc(desk.chain.url)
    argv = ("chain", "deploy", "--rpc", desk.chain.url)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("node.publish.keychange.deploy_checkpoints", killed)
        assert desk.refused(home, *argv).code == 130
    assert not (Path(home) / "chain.json").exists()
    made = desk.signed(home, *argv)
    assert int(rpc("eth_getTransactionCount", desk.address(), "latest"), 16) == 2
    assert made["checkpoints"] == desk.ok("chain", "status", "--home", home)["checkpoints"]
    assert not list(Path(home).glob("*deployment"))


def test_checkpoints_have_the_terms_that_were_asked_for_and_are_used_if_they_are_of_the_registry(desk: Desk) -> None:
    home = desk.home()
    terms = ("--bond", "0.25", "--window", "60", "--demand-bond", "0.000000000000000001", "--demand-window", "20")
    made = desk.signed(home, "chain", "deploy", "--rpc", desk.chain.url, *terms)
    status = desk.ok("chain", "status", "--home", home)
    assert (status["bond_wei"], status["window_seconds"]) == (10**18 // 4, 60)
    assert (status["demand_bond_wei"], status["demand_window_seconds"]) == (1, 20)
    assert (status["final_checkpoint"], status["pending_checkpoints"], status["marks"]) == (None, 0, 0)
    assert "checkpoints at " in desk.run("doctor", "--home", home).out
    other = desk.home("other", 1)
    another = desk.signed(other, "chain", "deploy", "--rpc", desk.chain.url)["checkpoints"]
    argv = ("chain", "use", "--rpc", desk.chain.url, "--registry", made["registry"], "--home", other, "--checkpoints")
    ran = desk.run(*argv, another)
    assert (ran.code, "not the checkpoint contract of this release, for this registry" in ran.err) == (1, True)
    assert desk.ok(*argv, made["checkpoints"])["checkpoints"] == made["checkpoints"]
    assert desk.run(*argv, another, "--any-code").code == 0
    ran = desk.run("doctor", "--home", other)
    assert (ran.code, "`dkg chain use` without --checkpoints" in ran.out) == (3, True)


def test_the_window_is_two_windows_of_demands_at_least(desk: Desk) -> None:
    argv = ("chain", "deploy", "--rpc", desk.chain.url, "--demand-window", "30")
    assert "less than two of those for demands" in desk.refused(desk.home(), *argv, "--window", "59").err
    assert desk.signed(str(desk.path / "home"), *argv, "--window", "60")["checkpoints"]


def test_a_bond_is_an_amount_of_ether(desk: Desk) -> None:
    for amount in ("0", "-1", "nan", "inf", "x", "1000000001", "0.0000000000000000001"):
        ran = desk.run("chain", "deploy", "--rpc", desk.chain.url, f"--bond={amount}")
        assert (ran.code, "is no amount of ether" in ran.err) == (64, True), amount


def test_a_contract_that_is_not_ours_is_not_used(desk: Desk) -> None:
    home = desk.home()
    rpc = Rpc(desk.chain.url)
    other = {"from": desk.address(1), "data": "0x" + CREATION.hex()}
    address = rpc("eth_getTransactionReceipt", rpc("eth_sendTransaction", other))["contractAddress"]
    argv = ("chain", "use", "--rpc", desk.chain.url, "--home", home, "--registry")
    ran = desk.run(*argv, address)
    assert (ran.code, "not the registry" in ran.err) == (1, True)
    ran = desk.run(*argv, "0x" + "11" * 20, "--any-code")
    assert (ran.code, "no contract" in ran.err) == (2, True)
    assert not (Path(home) / "chain.json").exists()
    assert desk.run(*argv, address, "--any-code").code == 0


def test_an_endpoint_that_is_not_there_is_a_sentence(desk: Desk) -> None:
    ran = desk.run(
        "chain", "use", "--rpc", "http://x:notaport", "--registry", "0x" + "11" * 20, "--home", str(desk.path)
    )
    assert ran.code == 1
    assert "Traceback" not in ran.err


def test_coins_are_for_development_chains(desk: Desk) -> None:
    to = checksum(b"\7" * 20)
    desk.ok("devnet", "fund", to, "--rpc", desk.chain.url, "--ether", "2.5")
    assert int(Rpc(desk.chain.url)("eth_getBalance", to, "latest"), 16) == 25 * 10**17
    with proxy(desk.chain.url, only(("eth_accounts",), refused())) as no_accounts:
        ran = desk.run("devnet", "fund", to, "--rpc", no_accounts.url)
    assert (ran.code, "no development chain" in ran.err) == (1, True)


# --- doctor ------------------------------------------------------------------------------------------------------


def problems(desk: Desk, home: str) -> list[str]:
    ran = desk.run("doctor", "--home", home, "--json")
    assert ran.code == (0 if ran.json["healthy"] else 3)
    found = [f"{one['what']} -> {one['advice']}" for one in ran.json["findings"] if one["level"] != "ok"]
    assert bool(found) >= (not ran.json["healthy"])
    return found


def test_a_set_up_that_works_has_nothing_wrong(desk: Desk) -> None:
    home = desk.deployed()
    assert problems(desk, home) == []
    assert "nothing is wrong" in desk.run("doctor", "--home", home).err


def test_what_is_wrong_is_said_with_what_to_do(desk: Desk) -> None:
    nowhere = str(desk.path / "nowhere")
    assert [part for part in ("dkg key new", "dkg chain deploy") if part not in str(problems(desk, nowhere))] == []
    home = desk.deployed()
    key = Path(home) / "key.json"
    key.chmod(0o644)
    assert "chmod 600" in str(problems(desk, home))
    key.chmod(0o600)
    desk.signed(home, "key", "revoke")
    assert "dkg key rotate" in str(problems(desk, home))
    desk.signed(home, "key", "retire")
    assert "retired" in str(problems(desk, home))


def test_an_empty_wallet_is_found(desk: Desk) -> None:
    settings = json.loads((Path(desk.deployed()) / "chain.json").read_text())
    home = desk.path / "poor"
    create(home / "key.json", PASSWORD, b"\7" * 32, work=2)
    (home / "chain.json").write_text(json.dumps(settings))
    assert "dkg devnet fund" in str(problems(desk, str(home)))


def changed_settings(home: str, **changes: Any) -> None:  # noqa: ANN401 - JSON
    path = Path(home) / "chain.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_wrong_chain_endpoint_or_registry_is_found(desk: Desk) -> None:
    home = desk.deployed()
    kept = (Path(home) / "chain.json").read_text()
    changed_settings(home, endpoints=[unreachable()])
    assert "running" in str(problems(desk, home))
    (Path(home) / "chain.json").write_text(kept)
    changed_settings(home, chain_id=5)
    assert "is of chain 31337, not 5" in str(problems(desk, home))
    (Path(home) / "chain.json").write_text(kept)
    changed_settings(home, registry="0x" + "11" * 20)
    assert "no contract" in str(problems(desk, home))
    (Path(home) / "chain.json").write_text("{")
    assert "damaged" in str(problems(desk, home))


def test_an_endpoint_without_proofs_or_that_lies_is_found(desk: Desk) -> None:
    home = desk.deployed()
    with proxy(desk.chain.url, honest) as between:
        changed_settings(home, endpoints=[between.url])
        assert problems(desk, home) == []
        between.rule = only(("eth_getProof",), refused())
        assert "eth_getProof" in str(problems(desk, home))
        between.rule = lambda request, response: (
            response.with_result(request, "0x00") if request.method == "eth_getCode" else response
        )
        assert "code" in str(problems(desk, home))


# --- the chain as a command --------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["builtin", "anvil"])
def test_the_chain_runs_until_it_is_told_to_end(tmp_path: Path, engine: str) -> None:
    environment = dict(os.environ)
    if engine == "anvil":
        shutil.copy(require_anvil(), tmp_path / "anvil")
        environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    file = tmp_path / "port"
    argv = [sys.executable, "-m", "dkg.client.cli", "devnet", "chain", "--port", "0", "--port-file", str(file)]
    process = subprocess.Popen(
        [*argv, "--engine", engine, "--chain-id", "77"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not file.exists():
        assert process.poll() is None
        time.sleep(0.02)
    assert Rpc(f"http://127.0.0.1:{file.read_text().strip()}")("eth_chainId") == hex(77)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out
    assert not file.exists()


@pytest.mark.parametrize(
    "option", ["--port=65536", "--port=-1", "--chain-id=0", "--accounts=0", "--accounts=1001", "--engine=geth"]
)
def test_options_beyond_their_limits_are_usage_errors(desk: Desk, option: str) -> None:
    assert desk.run("devnet", "chain", option).code == 64
