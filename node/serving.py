"""What a node answers from, and in which state: what `node.core` gives and `node.http` shows.

A `Standing` is a dataset root with all that may be said of answers from it. Every answer carries one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from dkg.errors import InputError

if TYPE_CHECKING:
    from dkg.chain.commit import SignedCommit
    from dkg.chain.registry import Committed
    from node.storage import Operation


class Claim(StrEnum):
    """What an answer claims (DESIGN, section 5)."""

    PUBLISHER = "L1"
    """Complete for the publishers that are named."""
    UNION = "L2"
    """Complete for all that this node follows; `pending` until checkpoints exist."""


class State(StrEnum):
    """How settled the root is."""

    FINAL = "final"
    PENDING = "pending"
    DISPUTED = "disputed"


@dataclass(frozen=True, slots=True)
class At:
    """A moment, by exactly one of these; none of them: now."""

    block: int | None = None
    seq: int | None = None
    """Number of a commit; for one publisher only."""
    time: int | None = None
    """Unix seconds."""
    root: bytes | None = None
    """CID of a kept root."""


NOW = At()


@dataclass(frozen=True, slots=True)
class Standing:
    """A root to answer from. Times in Unix seconds; addresses have 20 bytes, hashes 32."""

    root: bytes
    publishers: tuple[bytes, ...]
    """Whose datasets it holds, in ascending order."""
    claim: Claim
    state: State
    position: int
    """Commits of the registry's log that it takes into account."""
    seq: int | None
    """The publisher's commit, if it is one publisher's root."""
    block: int
    block_hash: bytes
    block_time: int
    """The newest block that the node has read: as of when the answer is complete."""
    finality_depth: int
    behind: int = 0
    """Commits of these publishers that the chain has and this node has not fetched yet: then the answer is older."""


class UnknownMomentError(InputError):
    """No root is kept for the publishers and the moment that were asked for."""


class UnknownPublisherError(InputError):
    """This node does not follow the publisher, or it has committed nothing."""


@dataclass(frozen=True, slots=True)
class PublisherStatus:
    """A publisher as the chain and this node have it."""

    address: bytes
    signer: bytes | None
    retired: bool
    latest: Committed | None
    """On the chain."""
    held: Committed | None
    """Whose dataset is here."""
    followed: bool
    trouble: str | None = None
    """Why the latest is not here, if there is a reason."""


class Service(Protocol):
    """A node as its HTTP side sees it. Methods are quick, or coroutines; what is untrusted goes to workers.

    All raise `InputError`, `ProofError`, `StoreError` and their kinds, and `node.workers.WorkerError`.
    """

    def standing(self, publishers: tuple[bytes, ...] | None, at: At = NOW) -> Standing:
        """The root for some publishers, in ascending order, or for all that are followed (None), at a moment."""

    def publishers(self) -> list[PublisherStatus]:
        """All that the chain knows or that are followed, by address."""

    def commits(self, publisher: bytes | None, *, before: int | None, most: int) -> list[Committed]:
        """Commits of the log, newest first, below a position."""

    async def publish_signed(self, commit: SignedCommit, car: bytes, *, relay: bool) -> Operation:
        """Take a publisher's signed commit with the pages that are new: keep them, and relay the commit if asked to."""

    async def publish_rdf(self, name: str, data: bytes, rdf_format: str, details: dict[str, object]) -> Operation:
        """Publish an asset of this node's own publisher. Raises `InputError` if the node holds no key."""

    async def retract(self, name: str, reason: str | None) -> Operation:
        """Take the content of an asset of this node's own publisher back."""

    def operation(self, name: str) -> Operation | None:
        """An operation by its id."""

    def operations(self, most: int) -> list[Operation]:
        """The newest operations."""

    def page(self, cid: bytes) -> bytes | None:
        """A page of a public dataset; None if it is not here."""

    def peers(self) -> list[dict[str, object]]:
        """Connected peers: id, addresses, what they hold, penalties."""

    def status(self) -> dict[str, object]:
        """Version, chain, block, age, storage, workers, replication: for people and monitors."""
