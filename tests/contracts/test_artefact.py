"""The artefact that is shipped is what the source gives, and is laid out as the readers take it to be."""

from __future__ import annotations

import hashlib
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from vyper import compiler  # type: ignore[import-untyped]

import contracts
import contracts.compile
from tests.contracts.onchain import KEYS, OnChain, signature_of

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = contracts.compile.FOLDER / "registry.vy"
FUNCTIONS = {
    "commit(address,bytes32,uint48,bytes32,uint48,bytes32)",
    "commit_signed(address,uint48,bytes32,uint48,bytes32,uint48,bytes32,bytes32,bytes32,uint8)",
    "rotate(address,address)",
    "rotate_signed(address,address,uint64,bytes32,bytes32,uint8)",
    "revoke(address)",
    "revoke_signed(address,uint64,bytes32,bytes32,uint8)",
    "retire(address)",
    "retire_signed(address,uint64,bytes32,bytes32,uint8)",
    "log_length()",
    "first_block()",
    "heads(address)",
    "entries(uint256)",
    "nonces(address)",
    "domain_separator()",
    "signer_of(address)",
}
EVENTS = {
    "Committed(address,bytes32,bytes32,uint256)",
    "Rotated(address,address,uint64,uint256)",
    "Revoked(address,address,uint64,uint256)",
    "Retired(address,uint64,uint256)",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources and artefacts, which `contracts.compile` works on."""
    copy = tmp_path / "contracts"
    shutil.copytree(contracts.compile.FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(contracts.compile, "FOLDER", copy)
    monkeypatch.setattr(contracts.compile, "NAMES", ("registry",))  # the other one takes 3 s to compile
    return copy


def test_the_artefact_is_current() -> None:
    assert contracts.compile.main(["--check"]) == 0


def test_the_artefact_is_of_the_source_beside_it() -> None:
    assert contracts.registry().source_sha256 == hashlib.sha256(SOURCE.read_bytes()).hexdigest()


@pytest.mark.parametrize("change", ["source", "artefact", "no artefact"])
def test_an_artefact_that_is_not_current_is_found(
    folder: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, artefact = folder / "registry.vy", folder / "artefacts" / "registry.json"
    current = artefact.read_text()
    if change == "source":
        source.write_text(source.read_text().replace('"zero root"', '"root is zero"'))
    elif change == "artefact":
        artefact.write_text(current.replace("0x", "0x00", 1))
    else:
        artefact.unlink()
    assert contracts.compile.main(["--check"]) == 1
    assert "run `python -m contracts.compile`" in capsys.readouterr().err
    assert contracts.compile.main([]) == 0
    assert (artefact.read_text() == current) == (change != "source")
    if change == "source":  # else it is what it was
        assert contracts.compile.main(["--check"]) == 0


def test_storage_is_laid_out_as_agreed() -> None:
    assert contracts.registry().layout == {
        "log_state": {"slot": 0, "n_slots": 1, "type": "uint256"},
        "heads": {"slot": 1, "n_slots": 1, "type": "HashMap[address, uint256]"},
        "entries": {"slot": 2, "n_slots": 1, "type": "HashMap[uint256, bytes32]"},
        "nonces": {"slot": 3, "n_slots": 1, "type": "HashMap[address, uint256]"},
    }


def test_there_is_nothing_to_call_but_what_was_agreed() -> None:
    # No owner, no admin, no pause, no upgrade.
    parts = {
        kind: [dict(part) for part in contracts.registry().abi if part["type"] == kind]
        for kind in ("function", "event")
    }
    assert {signature_of(part) for part in parts["function"]} == FUNCTIONS
    assert {signature_of(part) for part in parts["event"]} == EVENTS
    assert {part["stateMutability"] for part in parts["function"]} == {"view", "nonpayable"}


def test_only_the_publisher_of_an_event_is_indexed() -> None:
    for part in contracts.registry().abi:
        if part["type"] == "event":
            assert [given["name"] for given in part["inputs"] if given["indexed"]] == ["publisher"]


def test_what_is_deployed_is_the_runtime_byte_for_byte(chain: OnChain) -> None:
    # No immutables: whoever reads the code at an address can compare it with the artefact.
    assert chain.env.get_code(chain.address).hex() == contracts.registry().runtime[2:]
    assert len(chain.env.get_code(chain.address)) <= 24_576  # EIP-170


def test_the_code_has_no_way_out() -> None:
    # No call but to the precompile of ecrecover.
    words = set(str(compiler.compile_code(SOURCE.read_text(), output_formats=("asm",))["asm"]).split())
    assert "STATICCALL" in words
    assert not {"CALL", "CALLCODE", "DELEGATECALL", "CREATE", "CREATE2", "SELFDESTRUCT"} & words


def test_nothing_of_others_is_compiled_in() -> None:
    # What is shipped under Apache-2.0 is ours: no import, of snekmate (AGPL-3.0-only) or of anything else.
    words = [line.split()[0] for line in SOURCE.read_text().splitlines() if line.strip()]
    assert not {"from", "import", "initializes:", "uses:", "exports:"} & set(words)
    assert contracts.registry().compiler == "vyper 0.4.3"


def test_every_function_is_documented_for_users_and_developers() -> None:
    userdoc, devdoc = contracts.registry().userdoc["methods"], contracts.registry().devdoc["methods"]
    getters = {"heads(address)", "entries(uint256)", "nonces(address)"}  # of variables: Vyper takes no NatSpec there
    assert set(userdoc) == FUNCTIONS - getters
    for part in contracts.registry().abi:
        name = signature_of(dict(part)) if part["type"] == "function" else ""
        if name in userdoc:
            documented = devdoc.get(name, {})
            assert set(documented.get("params", {})) == {given["name"] for given in part["inputs"]}
            assert len(documented.get("returns", {})) == len(part["outputs"])
    assert "revoke at once" in contracts.registry().devdoc["custom:security"]


def test_the_readme_lists_every_reason_for_a_refusal() -> None:
    said = set(re.findall(r'assert [^\n]*, "([^"]+)"', SOURCE.read_text()))
    table = (SOURCE.parent / "README.md").read_text().partition("## Reasons for a refusal")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([^`]+)`", " ".join(re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)))) == said


def test_two_deployments_differ_in_nothing_but_their_domain(chain: OnChain) -> None:
    other = OnChain(chain.env)
    assert other.view("domain_separator") != chain.view("domain_separator")
    assert other.view("signer_of", KEYS[0].address) == chain.view("signer_of", KEYS[0].address)
