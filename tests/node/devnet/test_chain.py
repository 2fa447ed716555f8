"""The command: it says what it is, serves several processes at once, ends cleanly and gives its port back."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from node.devnet.accounts import dev_accounts
from node.devnet.chain import Options, Running, devnet, main
from tests.chain.rpc import Rpc, RpcFailure
from tests.node.devnet.script import OTHER, OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent.parent.parent

PAYER = """
import sys
from tests.chain.rpc import Rpc
rpc = Rpc(sys.argv[1])
for _ in range(20):
    digest = rpc("eth_sendTransaction", {"from": sys.argv[2], "to": "0x" + "77" * 20, "value": "0x1"})
    assert rpc("eth_getTransactionReceipt", digest)["status"] == "0x1"
"""


@contextmanager
def command(port_file: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Rpc]]:
    arguments = [sys.executable, "-m", "node.devnet.chain", "--port-file", str(port_file), *options]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            while not port_file.exists():
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.01)
            yield process, Rpc(f"http://127.0.0.1:{int(port_file.read_text())}")
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate()
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_with_clients_connected(tmp_path: Path, number: signal.Signals) -> None:
    with command(tmp_path / "port", "--port", "0") as (process, rpc):
        with closing(socket.create_connection(("127.0.0.1", int(rpc.url.rpartition(":")[2])))):
            assert rpc("eth_chainId") == "0x7a69"
            process.send_signal(number)
            code, _, err = ended(process)
        assert (code, err) == (0, "")


def test_the_port_file_is_there_while_the_chain_answers(tmp_path: Path) -> None:
    stale = tmp_path / "port"
    with command(stale, "--port", "0") as (process, rpc):
        assert rpc("eth_chainId") == "0x7a69"
        process.terminate()
        ended(process)
    assert not stale.exists()


def test_it_says_where_it_is_who_has_money_and_that_nothing_is_kept(tmp_path: Path) -> None:
    with command(tmp_path / "port", "--port", "0", "--accounts", "2", "--chain-id", "99") as (process, rpc):
        assert rpc("eth_chainId") == "0x63"
        process.terminate()
        out = ended(process)[1]
    assert "chain 99" in out
    assert rpc.url in out
    assert "memory only" in out
    for account in dev_accounts(2):
        assert f"{account.name}  0x{account.key.hex()}" in out


def test_its_port_can_be_taken_again_at_once(tmp_path: Path) -> None:
    with command(tmp_path / "first", "--port", "0") as (process, rpc):
        port = rpc.url.rpartition(":")[2]
        genesis = rpc("eth_getBlockByNumber", "0x0")["hash"]
        process.terminate()
        ended(process)
        with command(tmp_path / "second", "--port", port) as (_, again):
            assert again.url == rpc.url
            assert again("eth_getBlockByNumber", "0x0")["parentHash"] != genesis


def test_it_listens_where_it_is_told_to_and_else_on_this_machine_alone() -> None:
    with devnet(Options(host="127.0.0.2")) as chain:
        where = chain.url.removeprefix("http://").partition(":")
        assert where[0] == "127.0.0.2"
        assert Rpc(chain.url)("eth_chainId") == hex(31337)
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", int(where[2]))):
            pass
    with devnet() as chain:
        assert chain.url.startswith("http://127.0.0.1:")


def test_a_taken_port_is_an_error_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with devnet() as chain:
        port = chain.url.rpartition(":")[2]
        assert main(["--port", port]) == 1
    assert f"port {port}" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--port=70000", "--accounts=-1", "--block-time=-1", "--chain-id=-5"])
def test_options_that_make_no_sense_are_refused(option: str) -> None:
    with pytest.raises(SystemExit):
        main([option])


def test_two_processes_use_it_at_once() -> None:
    with devnet() as chain:
        owners = ["0x" + account.address.hex() for account in (OWNER, OTHER)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        payers = [
            subprocess.Popen([sys.executable, "-c", PAYER, chain.url, owner], env=environment) for owner in owners
        ]
        assert [payer.wait() for payer in payers] == [0, 0]
        rpc = Rpc(chain.url)
        assert int(rpc("eth_getBalance", "0x" + "77" * 20, "latest"), 16) == 40
        assert [rpc("eth_getTransactionCount", owner, "latest") for owner in owners] == ["0x14", "0x14"]
        assert rpc("eth_blockNumber") == hex(40)


def test_many_threads_read_and_send_at_once() -> None:
    with devnet() as chain:
        owners = ["0x" + account.address.hex() for account in chain.accounts[:4]]

        def pay(owner: str) -> None:
            rpc = Rpc(chain.url)
            for _ in range(10):
                rpc("eth_sendTransaction", {"from": owner, "to": "0x" + "77" * 20, "value": "0x1"})
                rpc("eth_getLogs", {"fromBlock": "0x0"})

        threads = [threading.Thread(target=pay, args=(owner,)) for owner in owners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Rpc(chain.url)("eth_getBalance", "0x" + "77" * 20, "latest") == hex(40)


def test_accounts_are_those_of_anvil() -> None:
    assert dev_accounts(3)[0].name == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert dev_accounts(3)[2].key.hex() == "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"


def test_blocks_come_by_the_clock_when_there_is_a_block_time() -> None:
    with devnet(Options(block_time=0.02)) as chain:
        rpc = Rpc(chain.url)
        digest = rpc("eth_sendTransaction", {"from": "0x" + OWNER.address.hex(), "to": "0x" + "77" * 20})
        while rpc("eth_getTransactionReceipt", digest) is None:
            time.sleep(0.005)
        height = int(rpc("eth_blockNumber"), 16)
        while int(rpc("eth_blockNumber"), 16) < height + 3:
            time.sleep(0.005)
        assert rpc("eth_getTransactionCount", "0x" + OWNER.address.hex(), "latest") == "0x1"


def test_without_mining_a_transaction_waits_for_a_block() -> None:
    with devnet(Options(mining=False)) as chain:
        rpc = Rpc(chain.url)
        digest = rpc("eth_sendTransaction", {"from": "0x" + OWNER.address.hex(), "to": "0x" + "77" * 20})
        assert rpc("eth_getTransactionReceipt", digest) is None
        rpc("evm_mine")
        assert rpc("eth_getTransactionReceipt", digest)["blockNumber"] == "0x1"


def test_finality_is_two_epochs_deep() -> None:
    with devnet(Options(slots_in_an_epoch=3)) as chain:
        rpc = Rpc(chain.url)
        rpc("anvil_mine", "0xa")
        tags = ("latest", "safe", "finalized", "earliest")
        numbers = [int(rpc("eth_getBlockByNumber", tag)["number"], 16) for tag in tags]
        assert numbers == [10, 7, 4, 0]


def test_answers_leave_without_nagles_delay() -> None:
    running = Running(Options())
    try:
        with closing(http.client.HTTPConnection(running.devnet.url.removeprefix("http://"))) as connection:
            connection.request("POST", "/", Rpc(running.devnet.url).request("eth_chainId"))
            assert connection.getresponse().read()
            (served,) = running._server._connections
            assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    finally:
        running.stop()


def test_a_stopped_chain_answers_nobody() -> None:
    with devnet() as chain:
        rpc = Rpc(chain.url)
        assert rpc("eth_blockNumber") == "0x0"
    with pytest.raises(ConnectionError):
        rpc("eth_blockNumber")


def test_it_signs_only_for_its_own_accounts() -> None:
    with devnet() as chain, pytest.raises(RpcFailure) as caught:
        Rpc(chain.url)("eth_sendTransaction", {"from": "0x" + "12" * 20, "to": "0x" + "77" * 20})
    assert "none of this chain's accounts" in caught.value.message
