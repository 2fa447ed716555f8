"""A checkpoint contract beside a registry, for tests of those who read it: called through dev accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contracts import checkpoints
from dkg.chain.checkpoints import Terms
from dkg.checkpoints.judge import Invalid
from dkg.checkpoints.records import Record
from node.checkpoints import calls
from tests.chain.registry import calldata

if TYPE_CHECKING:
    from dkg.chain.registry import Committed
    from node.publish.calls import Call
    from tests.chain.registry import Registry

ETHER = 10**18
TERMS = Terms(ETHER // 2, 60, ETHER // 20, 20)
MALFORMED = b"\xa0"
"""A page that is malformed: an empty map."""


class Checkpoints:
    """A contract for a registry."""

    def __init__(self, registry: Registry, terms: Terms = TERMS) -> None:
        self.registry, self.rpc, self.terms = registry, registry.rpc, terms
        code = checkpoints().bytecode + terms.arguments(registry.address).hex()
        receipt = self._sent({"from": _hex(registry.accounts[9]), "data": code, "gas": hex(10_000_000)})
        self.address = bytes.fromhex(receipt["contractAddress"][2:])

    def send(self, call: Call, sender: int = 8) -> dict[str, Any]:
        """Send a call from an account; its receipt, which must say success."""
        who = self.registry.accounts[sender]
        made = {"from": _hex(who), "to": _hex(self.address), "data": _hex(call.data), "value": hex(call.value)}
        return self._sent(made | {"gas": hex(5_000_000)})

    def propose(self, position: int, marks: int = 0, root: bytes = b"\x11" * 32, sender: int = 8) -> dict[str, Any]:
        """Propose a checkpoint, whatever its root."""
        tip = b"\0" * 32
        if position:
            asked = {"to": _hex(self.registry.address), "data": calldata("entries", position - 1)}
            tip = bytes.fromhex(self.rpc("eth_call", asked, "latest")[2:])
        return self.send(calls.propose(self.address, position, marks, root, tip, self.terms.bond), sender)

    def finalise(self, checkpoint: int) -> dict[str, Any]:
        """Make a checkpoint final, when its window has passed."""
        self.wait(self.terms.window + 1)
        return self.send(calls.finalise(self.address, checkpoint))

    def mark(self, committed: Committed, page: bytes = MALFORMED) -> dict[str, Any]:
        """Mark a commit whose root is the digest of a malformed page."""
        return self.send(calls.evidence(self.address, invalid(committed, page)))

    def wait(self, seconds: int) -> None:
        """Let the chain's clock go on, and mine a block."""
        self.rpc("evm_increaseTime", seconds)
        self.rpc("evm_mine")

    def _sent(self, transaction: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.rpc("eth_getTransactionReceipt", self.rpc("eth_sendTransaction", transaction))
        assert found["status"] == "0x1"
        return found


def invalid(committed: Committed, page: bytes = MALFORMED) -> Invalid:
    """Evidence that a commit's dataset root is malformed."""
    return Invalid(committed.publisher, Record.of(committed), 1, b"", page, b"", b"")


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
