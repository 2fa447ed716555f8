"""Sending calls to the checkpoint contract, with the care of publishing: kept before they are sent, replaced, resumed.

    sender = CheckpointSender(home, wallet, domain, reader, tools)
    sender.send(Errand(calls.finalise(contract, 3), has_status(reader, contract, 3, Status.FINAL)))

A call is tried on top of the newest block first: what the contract would refuse costs nothing, and its reason is told.
Whether it is done, storage proves; only for calls that could be sent twice with effect (`once`) the receipt of a
transaction of ours in a block of the chain is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg.chain.checkpoints import Checkpoint, Mark, Status, demand_slots, marked_slot, shown_slot
from dkg.chain.secp import checksum
from node.checkpoints.refusals import sentence
from node.publish.deployment import KeptAttempts
from node.publish.errors import EmptyWalletError, RejectedError, RevertedError
from node.publish.fees import ether
from node.publish.kept import KeptGoal
from node.publish.lock import home_lock
from node.publish.sender import Sender, View
from node.publish.waits import silent

if TYPE_CHECKING:
    from dkg.chain.commit import Domain
    from dkg.chain.header import Header
    from dkg.client.chainread import ChainReader
    from node.home import Home
    from node.publish.answers import Receipt
    from node.publish.calls import Call
    from node.publish.sender import Tools
    from node.publish.waits import Progress
    from node.publish.wallet import Wallet
    from node.publish.writer import ChainWriter

Reached = Callable[["Header"], bool]
"""Whether what a call is for is so after a block, proved. Raises `ProofError` and `ChainError`."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A call, and what it is for. `once`: it is done when a transaction of ours succeeded, whatever followed."""

    call: Call
    reached: Reached
    once: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of an errand. `transaction`, `block`, `gas_used`: as endpoints tell; None if nothing was sent."""

    transaction: bytes | None
    block: int | None
    gas_used: int | None


class CheckpointSender:
    """Sends from one key, which a home is for; the transactions are kept there."""

    def __init__(self, home: Home, wallet: Wallet, domain: Domain, reader: ChainReader, tools: Tools) -> None:
        self._home, self._wallet, self._domain, self._reader, self._tools = home, wallet, domain, reader, tools

    @property
    def address(self) -> bytes:
        """Whose bonds and rewards they are."""
        return self._wallet.address

    def send(self, errand: Errand, progress: Progress = silent) -> Sent:
        """Run an errand. It takes as long as blocks do; interrupted, it goes on when it is sent again.

        Raises `RejectedError` with the contract's reason if it refuses the call, `EmptyWalletError`, and what sending
        raises (see `node.publish.publisher.Publisher.publish`).
        """
        tools, chain_id = self._tools, self._domain.chain_id
        kept = KeptAttempts(self._home, _name(errand.call))
        with home_lock(self._home.path, tools.waits, tools.waiting, progress):
            made = kept.load(chain_id, self.address)
            goal = _CallGoal(kept, made, errand, self._reader, tools.writer, self.address)
            try:
                Sender(self._wallet, chain_id, tools).drive(goal, progress)
            except RejectedError:
                if not goal.is_waiting():
                    kept.forget()
                raise
            done = goal.succeeded()
            kept.forget()
        return Sent(None, None, None) if done is None else Sent(done[0], done[1].block, done[1].gas)


def _name(call: Call) -> str:
    """The file of a call's transactions."""
    told = sha256((call.to or b"") + call.value.to_bytes(32) + call.data)
    return f"checkpoints-{told.hexdigest()[:32]}"


@dataclass(slots=True)
class _CallGoal(KeptGoal):
    """Reached when the errand is. See `node.publish.sender.Goal`."""

    errand: Errand
    reader: ChainReader
    writer: ChainWriter
    payer: bytes

    def look(self) -> View[bool]:
        """See `Goal`. Raises `RejectedError` if the contract refuses the call."""
        block, call = self.reader.header("latest"), self.errand.call
        if (self.errand.once and self.succeeded() is not None) or self.errand.reached(block):
            return View(block, done=True)
        if call.value and (balance := self.writer.account(self.payer, block).balance) < call.value:
            raise EmptyWalletError(
                f"{checksum(self.payer)} has {ether(balance)}, and the bond is {ether(call.value)}: send it "
                f"{ether(call.value - balance)} or more, and coins for gas",
                call.value - balance,
            )
        try:
            self.writer.try_call(self.payer, call, block)
        except RevertedError as error:
            raise RejectedError(sentence(str(error))) from error
        return View(block, call=call)

    def succeeded(self) -> tuple[bytes, Receipt] | None:
        """The newest transaction of these that an endpoint says succeeded, in a block that is on the chain."""
        for attempt in reversed(self.made):
            receipt = self.writer.receipt(attempt.hash)
            if receipt is not None and receipt.success and self._has(receipt):
                return attempt.hash, receipt
        return None

    def is_waiting(self) -> bool:
        """Whether one of these transactions may still be mined."""
        nonce = self.writer.account(self.payer, self.reader.header("latest")).nonce
        return any(attempt.nonce >= nonce and not attempt.refused for attempt in self.made)

    def _has(self, receipt: Receipt) -> bool:
        latest = self.reader.header("latest")
        return receipt.block <= latest.number and self.reader.header(receipt.block).hash == receipt.block_hash


# --- what calls are for ------------------------------------------------------------------------------------------


def has_status(reader: ChainReader, contract: bytes, checkpoint: int, status: Status) -> Reached:
    """That a checkpoint is final, or refuted."""

    def reached(block: Header) -> bool:
        words = reader.slots(contract, Checkpoint.slots(checkpoint), block)
        return Checkpoint.unpack(checkpoint, *words).status is status

    return reached


def is_marked(reader: ChainReader, contract: bytes, position: int) -> Reached:
    """That the commit at a position has a mark."""
    slot = marked_slot(position)
    return lambda block: Mark.unpack(position, reader.slots(contract, [slot], block)[0]) is not None


def is_shown(reader: ChainReader, contract: bytes, digest: bytes) -> Reached:
    """That the page with a digest was shown."""
    slot = shown_slot(digest)
    return lambda block: reader.slots(contract, [slot], block) != [0]


def is_settled(reader: ChainReader, contract: bytes, demand: int) -> Reached:
    """That a demand was answered or has expired."""
    slot = demand_slots(demand)[1]
    return lambda block: reader.slots(contract, [slot], block) == [0]


def never(_block: Header) -> bool:
    """For a call that is sent once, to propose, to demand or to withdraw: only its own success counts."""
    return False
