"""The state machine sees: with one bug planted in a copy of the contract, each of its checks fails on its own.

Each bug is one that the check is for, and is found with all other checks off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from vyper import compiler  # type: ignore[import-untyped]

import contracts.compile
from dkg.chain.log import LogError
from tests.contracts.machine import CHECKS, RegistryMachine

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE: Final = (contracts.compile.FOLDER / "registry.vy").read_text()

BUGS: Final[Mapping[str, tuple[str, str, str]]] = {
    "a zero root is taken": (
        "outcomes",
        '    assert root != empty(bytes32), "zero root"\n',
        "",
    ),
    "a direct commit of the publisher is taken beside its signer's": (
        "authority",
        "assert convert(who, uint256) == signer, ",
        "assert convert(who, uint256) == signer or who == publisher, ",
    ),
    "anyone rotates": (
        "authority",
        '    assert msg.sender == publisher, "not the publisher"\n    self._rotate',
        "    self._rotate",
    ),
    "a rotation loses the latest commit": (
        "storage",
        "self.heads[publisher] = (head & _MASK_96) |",
        "self.heads[publisher] = (head & _MASK_48) |",
    ),
    "an entry is written over": (
        "append-only",
        "    self.log_state = unsafe_add(state, 1)\n",
        "    if seq != 2:\n        self.log_state = unsafe_add(state, 1)\n",
    ),
    "a revoked publisher commits": (
        "blocked",
        "    if signer == _PUBLISHER_ITSELF:\n        assert",
        "    if signer <= _REVOKED:\n        assert",
    ),
    "a commit need not follow from the one before": (
        "histories",
        "assert self.entries[prior_position] == keccak256(abi_encode(previous, prior)), ",
        "assert previous != empty(bytes32), ",
    ),
    "a signed commit is taken whatever its number": (
        "outcomes",
        "assert convert(seq, uint256) == unsafe_add((head >> _SEQ_SHIFT) & _MASK_48, 1), ",
        "assert seq > 0, ",
    ),
    "a rotation is replayed": (
        "signatures",
        "publisher, signer, nonce))\n    self._require_nonce(publisher, nonce)\n",
        "publisher, signer, nonce))\n",
    ),
    "an event says another than the entry": (
        "followers",
        "log Committed(publisher=publisher, root=root, previous=previous, numbers=numbers)",
        "log Committed(publisher=publisher, root=root, previous=previous, numbers=numbers & ~_MASK_48)",
    ),
    "a revocation is logged at another position": (
        "followers",
        "log Revoked(publisher=publisher, signer=signer, nonce=nonce, position=self._log_length())",
        "log Revoked(publisher=publisher, signer=signer, nonce=nonce, position=self.log_state)",
    ),
}
"""Each bug: the check that finds it, what the source has, and what is planted."""


def planted(name: str) -> str:
    """The creation code of the contract with a bug."""
    _, right, wrong = BUGS[name]
    assert SOURCE.count(right) == 1, name
    made: dict[str, Any] = compiler.compile_code(SOURCE.replace(right, wrong), output_formats=("bytecode",))
    return str(made["bytecode"])


def test_each_check_has_a_bug() -> None:
    assert {check for check, _, _ in BUGS.values()} == CHECKS


@pytest.mark.parametrize("name", BUGS)
def test_planted_bug_found(name: str) -> None:
    class Machine(RegistryMachine):
        checks = frozenset({BUGS[name][0]})
        bytecode: ClassVar[str | None] = planted(name)

    with pytest.raises((AssertionError, LogError) if "followers" in Machine.checks else AssertionError):
        run_state_machine_as_test(
            Machine,
            settings=settings(max_examples=1000, stateful_step_count=40, phases=[Phase.generate], print_blob=False),
        )
