"""Where commits are on the chain: in which block, proved, and by which transaction, as the endpoints tell."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg.chain.registry import COMMITTED, Committed, Head, decode_event, entry_slot
from dkg.client.chainread import UnprovableError
from dkg.client.rpc import ChainError
from dkg.client.search import find_commit
from dkg.errors import ProofError
from node.publish.jobs import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg.chain.commit import Commit
    from dkg.chain.header import Header
    from dkg.client.anchored import ClientHead
    from dkg.client.chainread import ChainReader
    from node.publish.answers import Receipt
    from node.publish.writer import ChainWriter


@dataclass(frozen=True, slots=True)
class Places:
    """Finds where commits are. `first_block`: that of the registry's deployment, or any before."""

    reader: ChainReader
    writer: ChainWriter
    first_block: int

    def outcome(self, commit: Commit, sent: Sequence[bytes], head: ClientHead) -> Outcome:
        """Where a commit is that a head shows, or that comes before it. `sent`: transactions that were sent for it.

        Raises `ChainError` or `ProofError` if the endpoints do not show it.
        """
        committed = self._committed(commit, head)
        block = self._block(committed.block, head)
        for digest in reversed(sent):
            receipt = self._receipt(digest)
            if receipt is not None and receipt.success and receipt.block_hash == block.hash:
                return Outcome(digest, block.number, block.hash, receipt.gas)
        other = self._transaction(committed, block, head)
        receipt = None if other is None else self._receipt(other)
        return Outcome(other, block.number, block.hash, None if receipt is None else receipt.gas)

    def has(self, outcome: Outcome, head: ClientHead) -> bool:
        """Whether the block of an outcome is on the chain as of a head. Raises `ChainError` or `ProofError`."""
        if outcome.block > head.anchored.block.number:
            return False
        return self._block(outcome.block, head).hash == outcome.block_hash

    def _block(self, number: int, head: ClientHead) -> Header:
        latest = head.anchored.block
        return latest if number == latest.number else self.reader.header(number)

    def _committed(self, commit: Commit, head: ClientHead) -> Committed:
        """From the head's commit back, each naming the one before it; every one is proved against the head's block."""
        found = head.committed
        while found is not None and found.commit.seq > commit.seq:
            found = self._before(found, head)
        if found is None or found.commit != commit:
            raise ProofError(f"the chain does not have commit {commit.seq} as it was made here")
        return found

    def _before(self, later: Committed, head: ClientHead) -> Committed:
        registry, block = head.anchored.domain.registry, head.anchored.block
        slot = entry_slot(later.prior_position)
        try:
            (entry,) = self.reader.slots(registry, [slot], block)
        except UnprovableError:
            entry = self.reader.storage(registry, slot, block)
        wanted = Head(later.publisher, None, retired=False, seq=later.commit.seq - 1, position=later.prior_position)
        return find_commit(self.reader, registry, wanted, entry.to_bytes(32), block, self.first_block)

    def _transaction(self, committed: Committed, block: Header, head: ClientHead) -> bytes | None:
        """The transaction of a commit that somebody else sent, or whose journal was lost."""
        topics = [COMMITTED, committed.publisher.rjust(32, b"\0")]
        with suppress(ChainError, ProofError):  # the commit is there, whoever sent it
            for log in self.reader.logs(head.anchored.domain.registry, block.number, block.number, topics):
                event = decode_event(list(log.topics), log.data, block.number, block.timestamp)
                if event == committed and log.block_hash == block.hash:
                    return log.transaction_hash
        return None

    def _receipt(self, digest: bytes) -> Receipt | None:
        with suppress(ChainError):
            return self.writer.receipt(digest)
        return None
