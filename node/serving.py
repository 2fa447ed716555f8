"""What a node answers from, and in which state: what `node.core` gives and `node.http` shows.

A `Standing` is a dataset root with all that may be said of answers from it. Every answer carries one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from dkg.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from dkg.chain.checkpoint_log import CheckpointLog
    from dkg.chain.commit import Domain, SignedCommit
    from dkg.chain.registry import Committed
    from dkg.pages import Pages
    from node.replication.messages import Anchored
    from node.storage import Operation

T = TypeVar("T")


class Claim(StrEnum):
    """What an answer claims (DESIGN, section 5)."""

    PUBLISHER = "L1"
    """Complete for the publishers that are named."""
    UNION = "L2"
    """Complete for all publishers, as a checkpoint says."""


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


Datasets = tuple[tuple[bytes, bytes | None], ...]
"""Publishers in ascending order, and the CIDs of their datasets; None: nothing of the publisher counts."""


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """The checkpoint whose root is asked, and the datasets beside it (`dkg.checkpoints.answer.Parts`)."""

    id: int
    position: int
    """Commits of the log that the checkpoint takes into account."""
    state: State
    """Of the checkpoint alone: those beside it may be less settled."""
    beside: Datasets
    """Those that are asked in place of their publishers' parts of the union."""


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
    checkpoint: Checkpointed | None = None
    """Where the claim is L2; `root` is the checkpoint's, and `state` the weaker of its own and those beside it."""


class UnknownMomentError(InputError):
    """No root is kept for the publishers and the moment that were asked for."""


class NoCheckpointError(InputError):
    """This node knows no checkpoint by which it can answer for all publishers."""


class UnknownPublisherError(InputError):
    """This node does not follow the publisher, or it has committed nothing."""


class NoKeyError(InputError):
    """This node holds no publisher's key, or not the one that would be needed."""


class OperationConflictError(InputError):
    """There is an operation with the id of a ticket, and something else was asked for then."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """How something that takes a while is asked for, so that it can be asked for again and is done once."""

    id: str
    """Of the operation: letters, digits and `-`, 64 at most."""
    digest: str
    """Of all that is asked for, in hexadecimal."""

    def require(self, operation: Operation) -> None:
        """Raise `OperationConflictError` unless an operation with this id is what is asked for."""
        if body_of(operation).get("digest") != self.digest:
            raise OperationConflictError(f"the operation {self.id} is something else that was asked for before")


def body_of(operation: Operation) -> dict[str, Any]:
    """The body of an operation (`Stage`)."""
    found: dict[str, Any] = json.loads(operation.body or b"{}")
    return found


class Stage(StrEnum):
    """`Operation.state` of what a `Ticket` asks for.

    `Operation.kind` is `commit`, `publish` or `retract`; `Operation.body` is a JSON object. In it are the ticket's
    `digest`, and of `publisher`, `asset`, `seq`, `root`, `block`, `transaction` what is known; `error`, a sentence for
    whoever asked, if it failed.
    """

    ACCEPTED = "accepted"
    """It is written down, and will be done."""
    RUNNING = "running"
    MINED = "mined"
    """The commit is in a block; it may still be lost with it."""
    FINAL = "final"
    FAILED = "failed"

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self in {Stage.FINAL, Stage.FAILED}


@dataclass(frozen=True, slots=True)
class Said:
    """What a publisher says about an asset. None: what was said before stays. Empty: nothing is said any more."""

    title: str | None = None
    authors: tuple[str, ...] | None = None
    """IRIs."""
    licence: str | None = None
    """An IRI."""
    derived_from: tuple[str, ...] | None = None
    """IRIs."""
    supersedes: tuple[str, ...] | None = None
    """Names or UALs of assets of the same publisher."""


@dataclass(frozen=True, slots=True)
class CheckpointsStatus:
    """The checkpoint contract as this node has it."""

    contract: bytes
    log: CheckpointLog
    """For reading."""
    proved: bool
    """Whether all of it is proved from the block's state root."""
    held: frozenset[int]
    """Ids of the checkpoints that can be asked here: all pages below their roots are."""
    block: int
    block_time: int
    length: int
    """Commits in the registry's log as of the block."""
    changed: tuple[bytes, ...]
    """Publishers of whom something else may count than the latest final checkpoint has, in ascending order."""


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


@dataclass(frozen=True, slots=True)
class Penalty:
    """Points that a peer got."""

    at: int
    """Unix seconds."""
    points: int
    why: str


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A peer that is connected. Times in Unix seconds; what is None is not known."""

    id: str
    addresses: tuple[str, ...] = ()
    """Where it says that it listens, if that is where it is connected from."""
    remote: str | None = None
    """The other end of the connection: host and port."""
    inbound: bool | None = None
    """Whether the peer made the connection."""
    pinned: bool = False
    """Whether this node always wants to be connected to it."""
    since: int | None = None
    """When the connection was made."""
    last_seen: int | None = None
    """When something last came from it: a request, an answer, an announcement."""
    agent: str | None = None
    """What it calls itself."""
    sent_bytes: int = 0
    """Of messages to it since it is connected, without what the layers below add."""
    received_bytes: int = 0
    heads: tuple[Anchored, ...] = ()
    """Commits of this node's log whose datasets it said it has, by publisher: the latest of each, and not of all."""
    score: float = 0.0
    """Penalty points that have not faded."""
    shut_out: bool = False
    """Whether it is asked nothing because of them."""
    penalties: tuple[Penalty, ...] = ()
    """The newest."""


class Service(Protocol):
    """A node as its HTTP side sees it, on its event loop. Methods are quick, or coroutines.

    All raise `InputError`, `ProofError`, `StoreError` and their kinds, and `node.workers.WorkerError`. `InputError`s
    are shown to whoever asked, so they tell nothing else; the others are not.
    """

    @property
    def domain(self) -> Domain:
        """The chain and the registry."""

    def standing(self, publishers: tuple[bytes, ...] | None, at: At = NOW) -> Standing:
        """The root for some publishers, in ascending order, or for all that are followed (None), at a moment.

        Raises `UnknownPublisherError` and `UnknownMomentError`.
        """

    def checkpointed(self, at: At = NOW, beside: Datasets = ()) -> Standing:
        """The checkpoint and the datasets beside it, for all publishers.

        `at`: now, which is the latest final checkpoint, beside it those who committed since; or the root of a
        checkpoint that is final or pending, with what `beside` says, and nothing else. Raises `NoCheckpointError`,
        `UnknownMomentError`, and `TooManyError` if too many committed.
        """

    def checkpoints(self) -> CheckpointsStatus:
        """The checkpoint contract as of the newest block that was read. Raises `NoCheckpointError`."""

    def reading(self, root: bytes) -> AbstractContextManager[Path | None]:
        """No page of a root is removed while the block runs. Gives its view, for `Plain`, if there is one.

        A `ViewFailedError` that leaves the block has another view made; until there is one, none is given. Raises
        `StoreError` when the root is not kept any more.
        """

    async def read(self, work: Callable[[Pages], T]) -> T:
        """What a function gives that reads pages of public datasets. It runs in a thread, and others wait for it."""

    def page(self, cid: bytes) -> bytes | None:
        """A page of a public dataset; None if it is not here."""

    def publishers(self, *, after: bytes, most: int, followed: bool = False) -> list[PublisherStatus]:
        """Those that the chain knows or that are followed, by address, with an address above `after`.

        `followed`: only those whose datasets are wanted here; whoever else registers with the chain counts for nothing.
        """

    def publisher(self, address: bytes) -> PublisherStatus | None:
        """One of them."""

    def commits(self, publisher: bytes | None, *, before: int | None, most: int) -> list[Committed]:
        """Commits of the log, newest first, below a position."""

    async def propose(self, position: int | None) -> dict[str, Any]:
        """Propose a checkpoint now, and pay its bond: see `node.checkpoints.requests`. It takes as long as blocks do.

        Raises `InputError` with why not, and `NoKeyError`.
        """

    async def challenge(self, checkpoint: int, *, dry_run: bool) -> dict[str, Any]:
        """Judge a pending checkpoint now, and refute it if it is wrong and `dry_run` is false. As `propose`."""

    async def publish_signed(self, ticket: Ticket, commit: SignedCommit, car: bytes, *, relay: bool) -> Operation:
        """Take a publisher's signed commit with the pages that are new: keep them, and relay the commit if asked to.

        Whatever has been asked for with the ticket's id before is not done again: its operation is given. Raises
        `OperationConflictError` if that was something else, and `ProofError` for what is wrong with the commit or the
        pages. What is accepted is durable when this returns.
        """

    async def publish_rdf(self, ticket: Ticket, name: str, data: bytes, rdf_format: str, said: Said) -> Operation:
        """Publish an asset of this node's own publisher, from a document in a format of `dkg.rdf.FORMATS`.

        As `publish_signed`; raises `NoKeyError`.
        """

    async def retract(self, ticket: Ticket, name: str, reason: str | None) -> Operation:
        """Take the content of an asset of this node's own publisher back. As `publish_rdf`."""

    async def commit_private(self, ticket: Ticket, name: str, commitment: str | None) -> Operation:
        """Let an asset of this node's own publisher have a commitment to its private part, or none. As `publish_rdf`.

        `commitment`: an IRI (`dkg.private`); what it is of is on the disk already.
        """

    def operation(self, name: str) -> Operation | None:
        """An operation by its id."""

    def operations(self, most: int, before: tuple[int, str] | None = None) -> list[Operation]:
        """Operations, those that changed last first. `before`: what comes after one, by its `updated` and its id."""

    def peers(self) -> list[PeerStatus]:
        """Connected peers."""

    def status(self) -> dict[str, object]:
        """Version, chain, block, age, storage, workers, replication, as JSON: for people and monitors."""
