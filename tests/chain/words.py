"""A contract whose storage anybody writes: every state that the checkpoint contract's storage can have, and others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg.chain.checkpoints import (
    OPEN_SLOT,
    STATE_SLOT,
    Checkpoint,
    ContractState,
    Mark,
    Status,
    mark_log_slot,
    marked_slot,
    pack_open,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.chain.rpc import Rpc

# For each pair of words in the call's data: the second goes into the slot that the first names.
_RUNTIME = bytes.fromhex("60005b3681101560185780602001358135556040016002565b00")
_DEPLOY = bytes.fromhex("601a600c600039601a6000f3") + _RUNTIME


@dataclass
class Words:
    """One that is deployed, at `address` if that is given."""

    rpc: Rpc
    address: bytes = b""

    def __post_init__(self) -> None:
        if not self.address:
            self.address = bytes.fromhex(self._sent({"data": "0x" + _DEPLOY.hex()})["contractAddress"][2:])

    def write(self, words: dict[bytes, int]) -> None:
        """Put words into slots, in one transaction."""
        data = b"".join(slot + word.to_bytes(32) for slot, word in words.items())
        self._sent({"data": "0x" + data.hex(), "to": "0x" + self.address.hex()})

    def checkpoints(self, made: Iterable[Checkpoint], marks: Iterable[Mark] = (), final: int | None = None) -> None:
        """Make the storage that of a contract with all these checkpoints and marks. `final`: the latest final one."""
        made, marks = list(made), list(marks)
        if final is None:
            were = ((one.position, one.marks, one.id) for one in made if one.status is Status.FINAL)
            final = max(were, default=(0,))[-1]
        state = ContractState(final, max((one.id for one in made), default=0), len(marks), 0)
        pending = tuple(one.id for one in made if one.status is Status.PENDING)
        words = {STATE_SLOT.to_bytes(32): state.pack(), OPEN_SLOT.to_bytes(32): pack_open(pending)}
        for one in made:
            words |= dict(zip(Checkpoint.slots(one.id), one.pack(), strict=True))
        for mark in marks:
            words |= {marked_slot(mark.position): mark.pack(), mark_log_slot(mark.number): mark.position}
        self.write(words)

    def _sent(self, transaction: dict[str, str]) -> dict[str, str]:
        digest = self.rpc(
            "eth_sendTransaction", {"from": self.rpc("eth_accounts")[8], "gas": hex(8_000_000), **transaction}
        )
        receipt: dict[str, str] = self.rpc("eth_getTransactionReceipt", digest)
        assert receipt["status"] == "0x1"
        return receipt
