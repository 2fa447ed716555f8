"""`dkg devnet up`: a network of real processes that is whole while it runs, and of which nothing is left afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from dkg.client.cli import main
from dkg.client.cli.parser import parse
from dkg.errors import StoreError
from node.cli.children import Children, Stop
from node.cli.network import PEERS_MAX, PUBLISHERS_MAX, new_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    Capture = pytest.CaptureFixture[str]

COMMAND = [sys.executable, "-m", "dkg.client.cli", "devnet", "up", "--block-time", "0"]


@contextmanager
def starting(directory: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command; whatever the test does, nothing of it is left."""
    with directory.with_suffix(".err").open("w") as err:
        process = subprocess.Popen(
            [*COMMAND, "--directory", str(directory), "--json", *options], stdout=subprocess.PIPE, stderr=err, text=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate()


def belonging(directory: Path) -> list[psutil.Process]:
    """Processes that were started for a network, with all that they started."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(directory) in " ".join(process.cmdline()) or str(directory) in process.cwd():
                found += [process, *process.children(recursive=True)]
    return list(dict.fromkeys(found))


def gone(processes: list[psutil.Process]) -> bool:
    """Whether they have ended, sooner or later. Of orphans, a zombie may stay where nobody buries them."""
    while any(map(lives, processes)):
        time.sleep(0.05)
    return True


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def run(capsys: Capture, *argv: str) -> Any:  # noqa: ANN401 - JSON
    """The JSON of a command that must work."""
    capsys.readouterr()
    code = main([*argv, "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    return json.loads(said.out)


@pytest.mark.slow
def test_what_is_published_at_one_peer_is_at_the_other_and_a_peer_that_dies_leaves_the_rest(
    tmp_path: Path, capsys: Capture
) -> None:
    with starting(tmp_path / "net", "--peers", "2", "--publishers", "1") as process:
        assert process.stdout is not None
        made = json.loads(process.stdout.readline())
        first, second = made["peers"]
        (publisher,) = made["publishers"]
        assert json.loads((tmp_path / "net" / "1" / "network.json").read_text()) == made
        secrets = [Path(first["token_file"]), Path(publisher["password_file"]), Path(publisher["home"]) / "key.json"]
        assert [path.stat().st_mode & 0o077 for path in secrets] == [0, 0, 0]

        (tmp_path / "a.ttl").write_text("<urn:a> <urn:p> 1 .\n")
        home = ("--home", publisher["home"])
        signs = (*home, "--password-file", publisher["password_file"])
        published = run(capsys, "publish", str(tmp_path / "a.ttl"), "--asset", "a", *signs)
        pushed = run(capsys, "push", first["http"], *home, "--token-file", first["token_file"])
        assert pushed["root"] == published["root"]
        config = ("--config", second["config"])
        while not (found := run(capsys, "peers", *config, "--token-file", second["token_file"])["peers"]):
            time.sleep(0.1)
        assert [one["direction"] for one in found] == ["outbound"]
        assert found[0]["id"] in first["address"]
        while run(capsys, "status", *config)["node"]["union"]["position"] != 1:
            time.sleep(0.1)
        assert main(["logs", *config, "--event", "accepted"]) == 0
        assert "accepted publisher=" in capsys.readouterr().out

        os.kill(first["pid"], signal.SIGKILL)
        while "was killed by SIGKILL; the others go on" not in (tmp_path / "net.err").read_text():
            time.sleep(0.05)
        assert main(["peers", "--config", first["config"]]) == 3
        assert "dkg start" in capsys.readouterr().err
        assert run(capsys, "status", *config)["state"] == "running"
        left = belonging(tmp_path)
        assert len(left) >= 3  # the chain, a peer, its workers
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert gone(left)


@pytest.mark.slow
def test_without_its_chain_the_network_ends_and_says_so(tmp_path: Path) -> None:
    with starting(tmp_path / "net", "--peers", "1", "--publishers", "1") as process:
        assert process.stdout is not None
        process.stdout.readline()
        left = belonging(tmp_path)
        (chain,) = [one for one in left if "--port-file" in one.cmdline() and one.pid != process.pid]
        chain.kill()
        assert process.wait() == 3
    assert "without it there is no network" in (tmp_path / "net.err").read_text()
    assert gone(left)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_start_that_is_interrupted_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    with starting(tmp_path / "net") as process:
        while not (tmp_path / "net" / "1" / "chain.err").exists() or len(left := belonging(tmp_path)) < 2:
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait() == (130 if number is signal.SIGINT else -signal.SIGKILL)
    assert gone(left)


def test_each_network_has_a_directory_of_its_own(tmp_path: Path) -> None:
    assert new_directory(tmp_path / "nets") == (tmp_path / "nets" / "1", None)
    (tmp_path / "nets" / "notes").mkdir()
    assert new_directory(tmp_path / "nets") == (tmp_path / "nets" / "2", tmp_path / "nets" / "1")
    (tmp_path / "nets" / "7").mkdir()
    assert new_directory(tmp_path / "nets") == (tmp_path / "nets" / "8", tmp_path / "nets" / "7")


def test_networks_at_the_limits_are_taken() -> None:
    found = parse(["devnet", "up", f"--peers={PEERS_MAX}", f"--publishers={PUBLISHERS_MAX}", "--block-time=3600"])
    assert (found.peers, found.publishers, found.block_time) == (16, 16, 3600)


@pytest.mark.parametrize(
    "option",
    [
        "--peers=0",
        "--peers=17",
        "--publishers=0",
        "--publishers=17",
        "--block-time=-1",
        "--block-time=3600.1",
        "--block-time=nan",
    ],
)
def test_networks_beyond_the_limits_are_usage_errors(option: str) -> None:
    assert main(["devnet", "up", option]) == 64


def test_a_directory_that_cannot_be_made_is_a_sentence(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("")
    assert main(["devnet", "up", "--directory", str(tmp_path / "file")]) == 3
    assert "cannot be used" in capsys.readouterr().err


def test_a_process_that_ends_while_it_is_waited_for_is_told_of_in_its_own_words(tmp_path: Path) -> None:
    with Stop() as stop, Children(stop) as children:
        child = children.start("peer-1", ["start", "--config", str(tmp_path / "none")], tmp_path / "said")
        with pytest.raises(StoreError, match=r"peer-1 ended with 1: dkg: error: there is no configuration"):
            children.until(child, lambda: False)


def test_what_runs_at_the_end_of_the_block_is_ended(tmp_path: Path) -> None:
    argv = ["devnet", "chain", "--engine", "builtin", "--port", "0", "--port-file", str(tmp_path / "port")]
    with Stop() as stop, Children(stop) as children:
        chain = children.start("the chain", argv, tmp_path / "said")
        children.until(chain, (tmp_path / "port").exists)
        assert chain.is_running
    assert chain.process.returncode == 0
    assert not (tmp_path / "port").exists()
