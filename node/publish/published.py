"""What is asked for and what came of it; where a commit is on the chain."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dkg.client.anchored import State
from dkg.client.rpc import ChainError
from dkg.errors import ProofError
from dkg.page import CID_PREFIX
from node.publish.events import find_commit
from node.publish.journal import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg.chain.commit import Commit
    from dkg.client.anchored import ClientHead
    from dkg.client.chainread import ChainReader
    from node.change import Edit
    from node.publish.answers import Receipt
    from node.publish.writer import ChainWriter

Wanted = Literal["mined", "final"]
"""What to wait for."""


@dataclass(frozen=True, slots=True)
class Request:
    """A change to publish. `id`: the same request is published once; `label`: for people. See `node.change.Edit`."""

    id: str
    label: str
    edit: Edit


@dataclass(frozen=True, slots=True)
class Published:
    """A commit on the chain, proved from a block hash. `root`: CID of its dataset; `count`: quads of it."""

    label: str
    seq: int
    root: bytes
    count: int
    transaction: bytes | None
    """Hash, as an endpoint tells; None if none does."""
    block: int
    block_hash: bytes
    gas_used: int | None
    """As an endpoint tells."""
    state: State
    changed: bool
    """Whether this call brought it to the chain. False: it was there, or the request changes nothing."""

    @classmethod
    def of(cls, label: str, commit: Commit, outcome: Outcome, *, final: bool, changed: bool) -> Published:
        """From a commit and where it is."""
        return cls(
            label=label,
            seq=commit.seq,
            root=CID_PREFIX + commit.root,
            count=commit.count,
            transaction=outcome.transaction,
            block=outcome.block,
            block_hash=outcome.block_hash,
            gas_used=outcome.gas,
            state=State.FINAL if final else State.PENDING,
            changed=changed,
        )


@dataclass(frozen=True, slots=True)
class Places:
    """Finds where commits are on the chain. `first_block`: that of the registry's deployment, or any before."""

    reader: ChainReader
    writer: ChainWriter
    first_block: int

    def outcome(self, commit: Commit, sent: Sequence[bytes], head: ClientHead) -> Outcome:
        """Where a commit is that is on the chain as of a head. `sent`: hashes of the transactions sent for it.

        The block of the head's own commit is proved, that of an earlier one is read from its event and checked against
        the registry's storage. Raises `ChainError` or `ProofError` if the endpoints do not show it.
        """
        block, latest = head.anchored.block, head.committed
        if latest is None or latest.commit != commit:
            return self._earlier(commit, head)
        there = block if latest.block == block.number else self.reader.header(latest.block)
        for digest in reversed(sent):
            receipt = self._receipt(digest)
            if receipt is not None and receipt.success and receipt.block_hash == there.hash:
                return Outcome(digest, latest.block, there.hash, receipt.gas)
        found = None
        with suppress(ChainError, ProofError):  # somebody else sent it: it is on the chain, whoever did
            found = find_commit(self.reader, head.anchored.domain, commit, block, first=latest.block, last=latest.block)
        other = found[1].transaction_hash if found else None
        return Outcome(other, latest.block, there.hash, self._gas(other))

    def has(self, outcome: Outcome, head: ClientHead) -> bool:
        """Whether the block of an outcome is on the chain as of a head. Raises `ChainError` or `ProofError`."""
        block = head.anchored.block
        if outcome.block >= block.number:
            return outcome.block_hash == block.hash
        return self.reader.header(outcome.block).hash == outcome.block_hash

    def _earlier(self, commit: Commit, head: ClientHead) -> Outcome:
        block = head.anchored.block
        found = find_commit(self.reader, head.anchored.domain, commit, block, first=self.first_block, last=block.number)
        if found is None:
            raise ProofError(f"the endpoint does not show commit {commit.seq}, which the registry has: ask another one")
        committed, log = found
        return Outcome(log.transaction_hash, committed.block, log.block_hash, self._gas(log.transaction_hash))

    def _gas(self, digest: bytes | None) -> int | None:
        receipt = None if digest is None else self._receipt(digest)
        return None if receipt is None else receipt.gas

    def _receipt(self, digest: bytes) -> Receipt | None:
        with suppress(ChainError):
            return self.writer.receipt(digest)
        return None
