"""What a watcher does on the chain: shows, challenges, marks, demands, answers, proposals; each with what it is for.

Everything is tried before it is sent and is resumed after a crash (`node.checkpoints.sending`), so that it may be asked
for again and again. Used in one lane.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from contracts import checkpoints
from dkg.chain.checkpoints import Status, Terms
from dkg.checkpoints.evidence import GAS_MAX, least_gas, shows_needed, summarised
from dkg.checkpoints.judge import Fault, Invalid
from dkg.checkpoints.records import Record
from dkg.checkpoints.shown import last_block
from dkg.checkpoints.walk import FaultKind
from dkg.client.checkpointread import read_checkpoints
from dkg.limits import SHOW_MAX
from node.checkpoints import calls
from node.checkpoints.sending import Errand, has_status, is_marked, is_settled, is_shown, never
from node.publish.errors import RevertedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.chain.commit import Domain
    from dkg.chain.registry import Committed
    from dkg.checkpoints.paths import Way
    from dkg.client.chainread import ChainReader
    from dkg.client.checkpointread import CheckpointState
    from node.checkpoints.find import Wrong
    from node.checkpoints.sending import CheckpointSender, Reached, Sent
    from node.publish.calls import Call
    from node.publish.writer import ChainWriter


@dataclass(frozen=True, slots=True)
class Step:
    """A transaction, or what was there already: then `sent.transaction` is None."""

    what: str
    call: Call
    sent: Sent


def short_path(way: Way) -> tuple[list[bytes], bytes]:
    """A path that a transaction can hold, and the pages that are shown before.

    Who withholds a page has made those above it too, as large as it likes: separators may be longer than the keys.
    """
    whole = Fault(0, FaultKind.PAGE, way.encode(), b"", b"", b"")  # whose only large field is a path
    first = shows_needed(whole)
    return first, summarised(whole, {sha256(raw).digest() for raw in first}).path


class Hand:
    """See the module. Everything raises what `CheckpointSender.send` raises; `note` is told of each step."""

    def __init__(
        self, sender: CheckpointSender, reader: ChainReader, writer: ChainWriter, contract: bytes, domain: Domain
    ) -> None:
        """`contract`: its address. `domain`: of the registry."""
        self._sender = sender
        self._domain = domain
        self._reader = reader
        self._writer = writer
        self.contract = contract

    @property
    def address(self) -> bytes:
        """Whose bonds and rewards they are."""
        return self._sender.address

    @cached_property
    def terms(self) -> Terms:
        """What the contract was made with. Raises `ProofError` if it is another contract."""
        runtime = bytes.fromhex(checkpoints().runtime[2:])
        return Terms.of_code(self._writer.code(self.contract), runtime, self._domain)

    def newest(self) -> CheckpointState:
        """The contract as of the newest block: this node's log may be a block behind. Raises `ProofError`."""
        return read_checkpoints(self._reader, self.contract, self._reader.header("latest"))

    def _do(self, what: str, call: Call, reached: Reached, note: Callable[[Step], None], *, once: bool = False) -> None:
        note(Step(what, call, self._sender.send(Errand(call, reached, once))))

    def show(self, raw: bytes, note: Callable[[Step], None]) -> None:
        """Show a page, or that it is long."""
        long = len(raw) > SHOW_MAX
        call = calls.show_long(self.contract, *last_block(raw)) if long else calls.show(self.contract, raw)
        reached = is_shown(self._reader, self.contract, sha256(raw).digest())
        self._do("show", call, reached, note)

    def refute(self, wrong: Wrong, note: Callable[[Step], None]) -> None:
        """Refute a checkpoint, or mark a commit; pages that are too large for that are shown first."""
        evidence, first = wrong.evidence, self._first(wrong)
        for raw in first:
            self.show(raw, note)
        less = summarised(evidence, {sha256(raw).digest() for raw in first})
        call = calls.evidence(self.contract, less)
        if isinstance(evidence, Invalid):
            self._do("mark", call, is_marked(self._reader, self.contract, evidence.record.position), note)
        else:
            self._do("challenge", call, has_status(self._reader, self.contract, evidence.id, Status.REFUTED), note)

    def estimated(self, wrong: Wrong) -> tuple[int, int | None]:
        """How many pages `refute` would show first, and the gas of what refutes; None: it is known when they are."""
        first = self._first(wrong)
        if first:
            return len(first), None
        return 0, self._writer.estimate_gas(self.address, calls.evidence(self.contract, wrong.evidence))

    def _first(self, wrong: Wrong) -> list[bytes]:
        """The pages to show before. What holds for any pages is generous, so the chain is asked."""
        needed = shows_needed(wrong.evidence)
        if needed and not wrong.first:
            call = calls.evidence(self.contract, wrong.evidence)
            with suppress(RevertedError):
                if max(self._writer.estimate_gas(self.address, call), least_gas(call.data)) <= GAS_MAX:
                    return []
        return [*wrong.first, *needed]

    def demand(self, of: int | Committed, way: Way, note: Callable[[Step], None]) -> None:
        """Demand the page of a checkpoint (its id) or of a commit that a way names."""
        contract, bond = self.contract, self.terms.demand_bond
        first, path = short_path(way)
        for raw in first:
            self.show(raw, note)
        if isinstance(of, int):
            call = calls.demand_checkpoint(contract, of, path, bond)
        else:
            call = calls.demand_commit(contract, of.publisher, Record.of(of), path, bond)
        self._do("demand", call, never, note, once=True)

    def answer(self, demand: int, raw: bytes, note: Callable[[Step], None]) -> None:
        """Answer a demand."""
        if not 0 < len(raw) <= SHOW_MAX:
            self.show(raw, note)
        call = calls.answer(self.contract, demand, raw if len(raw) <= SHOW_MAX else b"")
        self._do("answer", call, is_settled(self._reader, self.contract, demand), note)

    def expire(self, demand: int, note: Callable[[Step], None]) -> None:
        """End a demand that nobody has answered in time."""
        reached = is_settled(self._reader, self.contract, demand)
        self._do("expire", calls.expire(self.contract, demand), reached, note)

    def finalise(self, checkpoint: int, note: Callable[[Step], None]) -> None:
        """Make a checkpoint final whose window has passed."""
        reached = has_status(self._reader, self.contract, checkpoint, Status.FINAL)
        self._do("finalise", calls.finalise(self.contract, checkpoint), reached, note)

    def propose(self, position: int, marks: int, root: bytes, tip: bytes, note: Callable[[Step], None]) -> None:
        """Propose a checkpoint. `root`: a digest; `tip`: the log's entry before `position`."""
        call = calls.propose(self.contract, position, marks, root, tip, self.terms.bond)
        self._do("propose", call, never, note, once=True)
