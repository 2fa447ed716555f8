"""The checkpoint contract is laid out as readers take it to be, fits on a chain, and has one way out."""

from __future__ import annotations

import re

import pytest
from eth_abi.abi import encode

import contracts
from contracts.compile import FOLDER
from dkg.limits import KEY_MAX, PATH_BYTES_MAX, SEGMENTS_MAX, SHOW_MAX, STEM_BYTES
from tests.contracts.checkpoints.fuzz_chain import BOND, DEMAND_BOND, DEMAND_WINDOW, WINDOW, Contracts
from tests.contracts.onchain import KEYS, OnChain, RevertedError

MODULES = ("checkpoints", "compression", "keys", "pages", "paths", "reasons")
SOURCES = {name: (FOLDER / f"{name}.vy").read_text() for name in MODULES}
CODE_MAX = 24_576
"""Bytes of a contract's code (EIP-170)."""
RECORD = "(bytes32,uint256,uint256,uint256)"
FUNCTIONS = {
    "propose(uint48,uint48,bytes32,bytes32)",
    "finalise(uint256)",
    "withdraw()",
    "show(bytes)",
    "show_long(bytes32,bytes)",
    f"challenge_missing(uint256,address,{RECORD}[],bytes,bytes,bytes,bytes,bytes)",
    f"challenge_extra(uint256,bytes,bytes,address,{RECORD}[],bytes,bytes,bytes)",
    "challenge_index(uint256,bytes,bytes,uint8,bytes,bytes,bytes)",
    "challenge_page(uint256,uint8,bytes,bytes,bytes,bytes)",
    f"mark_invalid(address,{RECORD},uint8,bytes,bytes,bytes,bytes)",
    "demand_checkpoint(uint256,bytes)",
    f"demand_commit(address,{RECORD},bytes)",
    "answer(uint256,bytes)",
    "expire(uint256)",
    "status()",
}
GETTERS = {
    "registry()", "bond()", "window()", "demand_bond()", "demand_window()",
    "shown(bytes32)", "credit(address)", "burnt()",
}  # fmt: skip


def signature(part: dict[str, object]) -> str:
    """Such as `expire(uint256)`."""

    def kind(given: dict[str, object]) -> str:
        name = str(given["type"])
        if not name.startswith("tuple"):
            return name
        return f"({','.join(map(kind, given['components']))}){name.removeprefix('tuple')}"  # type: ignore[call-overload]

    return f"{part['name']}({','.join(map(kind, part['inputs']))})"  # type: ignore[call-overload]


def test_storage_is_laid_out_as_agreed() -> None:
    layout = contracts.checkpoints().layout
    names = ("state", "open", "roots", "checkpoints", "times", "marked", "mark_log")
    assert [layout[name]["slot"] for name in names] == list(range(7))
    assert layout["paths"]["shown"]["slot"] == 7
    assert {layout[name]["slot"] for name in ("credit", "burnt", "demands")} == {8, 9, 10}
    assert len(layout) == len(names) + 4


def test_there_is_nothing_to_call_but_what_was_agreed() -> None:
    # No owner, no admin, no pause, no upgrade.
    parts = [dict(part) for part in contracts.checkpoints().abi if part["type"] == "function"]
    assert {signature(part) for part in parts} == FUNCTIONS | GETTERS
    assert {part["name"] for part in parts if part["stateMutability"] == "payable"} == {
        "propose", "demand_checkpoint", "demand_commit",
    }  # fmt: skip


def test_the_code_fits_on_a_chain_and_is_the_runtime_and_its_terms() -> None:
    made = Contracts()
    code = made.env.get_code(made.address)
    runtime = bytes.fromhex(contracts.checkpoints().runtime[2:])
    assert len(code) <= CODE_MAX
    assert f"{len(code):,} bytes of the {CODE_MAX:,}" in (FOLDER / "README.md").read_text()
    assert code.startswith(runtime)
    terms = code[len(runtime) :]
    assert len(terms) == 7 * 32
    for term in (int(made.registry.address, 16), BOND, WINDOW, DEMAND_BOND, DEMAND_WINDOW):
        assert term.to_bytes(32) in terms


def test_the_code_calls_others_to_pay_what_is_owed_and_else_only_reads() -> None:
    code = " ".join(SOURCES.values())
    assert re.findall(r"\b(?:extcall|raw_call|send|selfdestruct|create_\w+|delegate\w*)\b *\([^)]*\)?", code) == [
        'raw_call(msg.sender, b"", value=amount)'
    ]
    assert set(re.findall(r"staticcall (\w+)", code)) == {"registry"}


def test_nothing_of_others_is_compiled_in() -> None:
    for name, source in SOURCES.items():
        imported = {line.split()[1] for line in source.splitlines() if line.startswith(("import ", "from "))}
        assert imported <= set(MODULES), name
    assert contracts.checkpoints().compiler == "vyper 0.4.3"


def test_every_function_is_documented_for_users_and_developers() -> None:
    userdoc, devdoc = contracts.checkpoints().userdoc["methods"], contracts.checkpoints().devdoc["methods"]
    assert set(userdoc) == FUNCTIONS
    for part in contracts.checkpoints().abi:
        if part["type"] == "function" and signature(dict(part)) in FUNCTIONS:
            documented = devdoc.get(signature(dict(part)), {})
            assert set(documented.get("params", {})) == {given["name"] for given in part["inputs"]}
            assert len(documented.get("returns", {})) == len(part["outputs"])
    assert "somebody must watch" in contracts.checkpoints().devdoc["custom:security"]


def test_reasons_are_named_used_and_in_the_readme() -> None:
    names = re.findall(r"^([A-Z]\w+): constant\(uint256\) = (\d+)$", SOURCES["reasons"], re.MULTILINE)
    assert [int(number) for _, number in names] == list(range(len(names)))
    used = set(re.findall(r"reasons\.([A-Z]\w+)", SOURCES["checkpoints"] + SOURCES["paths"]))
    assert used == {name for name, _ in names}
    text = re.findall(r'b"([^"]*)"', SOURCES["reasons"])[0]
    words = [text[at : at + 20].rstrip() for at in range(0, 20 * len(names), 20)]
    assert text == "".join(word.ljust(20) for word in words) + " " * 12
    said = {*words, *re.findall(r'assert [^\n]*, "([^"]+)"', SOURCES["checkpoints"])}
    table = (FOLDER / "README.md").read_text().partition("### Reasons for a refusal of checkpoints")[2]
    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == said


def test_limits_are_those_of_the_library() -> None:
    def number(name: str, source: str) -> int:
        found = re.search(rf"^{name}: constant\(uint256\) = ([\d_]+)$", SOURCES[source], re.MULTILINE)
        assert found
        return int(found[1])

    assert number("SHOW_MAX", "pages") == SHOW_MAX
    assert number("PATH_MAX", "pages") == PATH_BYTES_MAX
    assert number("STEM", "pages") == number("STEM", "keys") == STEM_BYTES == KEY_MAX + 1
    assert number("SEGMENTS_MAX", "paths") == SEGMENTS_MAX


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({0: KEYS[0].address}, "registry"),
        ({1: 0}, "bond"),
        ({2: 0}, "window"),
        ({2: 2**32}, "window"),
        ({4: 0}, "window"),
        ({4: 2**32}, "window"),
    ],
)
def test_terms_that_make_no_sense_are_not_deployed(change: dict[int, object], reason: str) -> None:
    registry = OnChain()
    values: list[object] = [registry.address, BOND, WINDOW, DEMAND_BOND, DEMAND_WINDOW]
    for at, value in change.items():
        values[at] = value
    code = bytes.fromhex(contracts.checkpoints().bytecode[2:])
    code += encode(["address", "uint256", "uint256", "uint256", "uint256"], values)
    with pytest.raises(Exception, match=reason) as error:
        registry.env.deploy_code(bytecode=code)
    assert not isinstance(error.value, RevertedError)
