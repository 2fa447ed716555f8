"""The files for systemd and containers: what they run is what `dkg` takes, and they leave a node what it needs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dkg.client.cli.parser import parse
from node.config import read_config
from node.peers.settings import PeerSettings
from node.peers.transport import Libp2pTransport

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "Dockerfile"
UNIT = ROOT / "scripts" / "deploy" / "dkg-node.service"
COMPOSE = ROOT / "scripts" / "deploy" / "compose.yaml"


def parsed(argv: list[str]) -> str:
    """What does the work for a command line of `dkg`, which must make sense."""
    found = parse(argv)
    assert found.run
    return str(found.run)


# --- systemd ---------------------------------------------------------------------------------------------------------


def unit() -> dict[str, list[str]]:
    """The settings of the unit, each with all of its values."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            name, equals, value = line.partition("=")
            assert equals, line
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_starts_a_node_as_dkg_takes_it() -> None:
    program, *argv = shlex.split(unit()["ExecStart"][0])
    assert Path(program).name == "dkg"
    assert parsed(argv) == "node.cli.nodes:start"
    variables = dict(one.split("=", 1) for one in unit()["Environment"])
    assert read_config(None, variables).log_file is None  # the journal has it


def test_the_unit_leaves_workers_what_they_shut_themselves_in_with() -> None:
    found = unit()
    assert {"user", "net"} <= {*found["RestrictNamespaces"][0].split()}
    calls = " ".join(found["SystemCallFilter"]).split()
    assert {"@system-service", "landlock_restrict_self", "landlock_create_ruleset", "landlock_add_rule"} <= {*calls}
    assert {"AF_UNIX", "AF_INET", "AF_INET6"} <= {*found["RestrictAddressFamilies"][0].split()}
    assert found["OOMPolicy"] == ["continue"]
    assert found["KillMode"] == ["mixed"]
    assert int(found["TimeoutStopSec"][0]) > 30  # node.core.run.STOP_S
    assert "ProcSubset" not in found


def test_the_unit_gives_no_privileges() -> None:
    found = unit()
    assert (found["User"], found["NoNewPrivileges"], found["CapabilityBoundingSet"]) == (["dkg"], ["yes"], [""])
    assert (found["ProtectSystem"], found["ProtectHome"], found["UMask"]) == (["strict"], ["yes"], ["0077"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    there = tmp_path / UNIT.name
    there.write_text(UNIT.read_text().replace("/opt/dkg/bin/dkg", str(Path(sys.executable).with_name("dkg"))))
    done = subprocess.run(["systemd-analyze", "verify", str(there)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --- the image -------------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, with what follows each on one line."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, rest in found]


def last(name: str) -> str:
    """What the last instruction of a name says."""
    return [rest for instruction, rest in instructions() if instruction == name][-1]


def test_the_image_runs_a_node_as_dkg_takes_it_and_looks_after_it() -> None:
    assert yaml.safe_load(last("ENTRYPOINT")) == ["dkg"]
    assert parsed(yaml.safe_load(last("CMD"))) == "node.cli.nodes:start"
    program, *argv = yaml.safe_load(last("HEALTHCHECK").partition("CMD ")[2])
    assert (program, parsed(argv)) == ("dkg", "node.cli.nodes:status")
    variables = dict(one.split("=", 1) for one in last("ENV").split())
    settings = {
        name: value for name, value in variables.items() if name.startswith("DKG_NODE_") and "CONFIG" not in name
    }
    assert read_config(None, settings).log_file is None
    assert variables["DKG_NODE_CONFIG"].startswith(last("WORKDIR"))
    assert yaml.safe_load(last("VOLUME")) == [last("WORKDIR")]


def test_the_image_is_of_pinned_parts_and_nobody_is_root_in_it() -> None:
    bases = [rest.split()[0] for name, rest in instructions() if name == "FROM"]
    assert all(re.fullmatch(r"python:3\.\d+(-slim)?-bookworm", base) for base in bases)
    assert int(last("USER").partition(":")[0]) > 0
    (installs,) = [rest for name, rest in instructions() if name == "RUN" and "pip install" in rest]
    assert "--constraint constraints.txt" in installs
    after = [name for name, _ in instructions()]
    assert after.index("USER") > len(after) - 1 - after[::-1].index("RUN")  # nothing is made after that


def test_the_builder_is_given_what_the_image_is_made_of_and_no_more() -> None:
    copied = [
        word for name, rest in instructions() if name == "COPY" and "--from" not in rest for word in rest.split()[:-1]
    ]
    assert all((ROOT / word).exists() for word in copied)
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    assert {line[1:] for line in ignore if line.startswith("!")} == {*copied}


# --- the network of containers ---------------------------------------------------------------------------------------


def services() -> dict[str, dict[str, Any]]:
    """The services of the compose file, with what they share."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def scripts() -> list[str]:
    """The shell scripts in it."""
    return [one["command"][0] for one in services().values() if one.get("entrypoint")]


def test_it_is_a_chain_a_registry_and_four_peers() -> None:
    assert [*services()] == ["chain", "registry", "peer-1", "peer-2", "peer-3", "peer-4"]
    assert parsed(services()["chain"]["command"]) == "node.cli.devnet:chain"
    ran = [parsed(shlex.split(command)[1:]) for text in scripts() for command in commands(text)]
    assert {*ran} == {
        "node.cli.keys:new", "node.cli.devnet:fund", "node.cli.chains:deploy", "node.cli.nodes:init",
        "node.cli.tokens:new", "node.cli.nodes:start",
    }  # fmt: skip


def commands(script: str) -> list[str]:
    """The commands of `dkg` in a shell script."""
    return [found[0] for line in script.splitlines() if (found := re.search(r"\bdkg [^>|]+", line))]


@pytest.mark.parametrize("script", scripts())
def test_its_scripts_are_shell(script: str) -> None:
    done = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_all_peers_know_the_first_by_the_key_and_the_address_that_it_gets(tmp_path: Path) -> None:
    first, second = services()["peer-1"], services()["peer-2"]
    (made,) = re.findall(r"printf '%064d\\n' (\d+) > node/peers/host.key", first["command"][0])
    key = tmp_path / "host.key"
    key.touch(0o600)
    key.write_text(f"{int(made):064d}\n")
    (bootstrap,) = re.findall(r"--bootstrap (\S+)", second["command"][0])
    there = f"/ip4/{first['networks']['default']['ipv4_address']}/tcp/4001"
    assert bootstrap == f"{there}/p2p/{Libp2pTransport(PeerSettings(31337, bytes(20), tmp_path)).id}"
    assert PeerSettings(31337, bytes(20), bootstrap=(bootstrap,)).pinned[0].address == there
    assert services()["peer-4"]["command"] == services()["peer-3"]["command"] == second["command"]


def test_nothing_in_it_has_privileges_or_is_reached_from_other_machines() -> None:
    for name, one in services().items():
        assert (one["cap_drop"], one["read_only"], one.get("privileged")) == (["ALL"], True, None), name
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in one.get("ports", [])), name
    peers = [services()[f"peer-{number}"] for number in range(1, 5)]
    assert len({port for one in peers for port in one["ports"]}) == 4
    volumes = {volume.partition(":")[0] for one in services().values() for volume in one.get("volumes", [])}
    assert volumes == {*yaml.safe_load(COMPOSE.read_text())["volumes"]}
