"""The JSON of `/v1/`: one class for each kind of object, from which the OpenAPI document has its schemas.

Addresses and hashes are `0x` and hexadecimal digits, in lower case; roots are CIDs in text; times are RFC 3339 in UTC.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from dkg.chain.checkpoints import Status
from dkg.chain.ual import Publisher, Ual, pkh
from dkg.page import CID_PREFIX, cid_text
from node.http.moments import age_s, time_text
from node.serving import State

if TYPE_CHECKING:
    from dkg.chain.checkpoints import Checkpoint
    from dkg.chain.commit import Domain
    from dkg.chain.registry import Committed
    from node.assets.history import Version
    from node.assets.provenance import About as KnownAbout
    from node.serving import CheckpointsStatus, PeerStatus, PublisherStatus, Standing
    from node.storage import Operation as KnownOperation

PUBLISHERS_MAX: Final = 1_000
"""Most publishers that a dataset's description names."""

ROOT_EXAMPLE: Final = "bafyreiahbqvsaikrqvkbvmdqsqb4qyu6kzxkf7nvi7o6mqxrqvmtwbm5zm"
ADDRESS_EXAMPLE: Final = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
UAL_EXAMPLE: Final = (
    "did:dkg:eip155:31337:0x5fbdb2315678afecb367f032d93f642f64180aa3/0x70997970c51812dc3a010c7d01b50e0d17dc79c8/air"
)

_HASH: Final = r"^0x[0-9a-f]{64}$"
_ADDRESS: Final = r"^0x[0-9a-f]{40}$"

T = TypeVar("T")


class Shape(BaseModel):
    """What all have: no members but those that are named."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Listed(Shape, Generic[T]):
    """A part of a list."""

    items: list[T]
    next: str | None = Field(
        description="Where the next part is, relative to this node; null at the end.",
        examples=["/v1/commits?before=17"],
    )


class ProblemShape(Shape):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["urn:dkg:problem:query-invalid"])
    title: str = Field(examples=["The query is refused"])
    status: int = Field(examples=[400])
    detail: str = Field(description="A sentence for people.", examples=["the query does not parse: error at 1:8"])
    code: str = Field(description="What programs go by; it never changes.", examples=["query-invalid"])
    request: str = Field(description="The request's id, as in X-Request-Id.", examples=["3f8a90c1d2e4b576"])
    retry_after: int | None = Field(description="Seconds after which it makes sense to try again.")


class Dataset(Shape):
    """A root that answers come from, and what they claim."""

    root: str = Field(description="CID of the dataset.", examples=[ROOT_EXAMPLE])
    quads: int
    claim: str = Field(description="L1: complete for the publishers that are named.", examples=["L1"])
    state: str = Field(description="final, pending or disputed.", examples=["final"])
    chain: int = Field(description="Id of the chain.", examples=[31337])
    registry: str = Field(pattern=_ADDRESS)
    block: int = Field(description="The newest block that was read: as of when answers are complete.")
    block_hash: str = Field(pattern=_HASH)
    block_time: str
    age: int = Field(description="Seconds since that block.")
    finality_depth: int = Field(description="Blocks on top of a commit's until it is final.")
    position: int = Field(description="Commits of the registry's log that are taken into account.")
    seq: int | None = Field(description="The commit, if it is one publisher's dataset.")
    behind: int = Field(description="Commits that the chain has and this node has not: the answer is older by them.")
    publisher_count: int
    publishers: list[str] = Field(description=f"Whose datasets it holds: the first {PUBLISHERS_MAX}.")

    @classmethod
    def of(cls, standing: Standing, quads: int, domain: Domain, now: float) -> Dataset:
        """From a standing."""
        return cls(
            root=cid_text(standing.root),
            quads=quads,
            claim=standing.claim.value,
            state=standing.state.value,
            chain=domain.chain_id,
            registry=hex_text(domain.registry),
            block=standing.block,
            block_hash=hex_text(standing.block_hash),
            block_time=time_text(standing.block_time),
            age=age_s(standing, now),
            finality_depth=standing.finality_depth,
            position=standing.position,
            seq=standing.seq,
            behind=standing.behind,
            publisher_count=len(standing.publishers),
            publishers=[hex_text(one) for one in standing.publishers[:PUBLISHERS_MAX]],
        )


class CheckpointShape(Shape):
    """What somebody says the root of all publishers' data is."""

    id: int
    root: str = Field(description="CID of the union's dataset.", examples=[ROOT_EXAMPLE])
    position: int = Field(description="Commits of the registry's log that it is about.")
    marks: int = Field(description="Marks that it takes into account.")
    proposer: str = Field(pattern=_ADDRESS, examples=[ADDRESS_EXAMPLE])
    state: str = Field(description="final, pending or disputed.", examples=["final"])
    proposed: str
    ends: str = Field(description="From when on it can become final.")
    open_demands: int = Field(description="Pages of it that were demanded, and that nobody has shown yet.")
    held: bool = Field(description="Whether it can be asked here (`min_claim=L2`).")

    @classmethod
    def of(cls, checkpoint: Checkpoint, held: frozenset[int]) -> CheckpointShape:
        """From the contract's log."""
        pending = State.DISPUTED if checkpoint.disputed else State.PENDING
        return cls(
            id=checkpoint.id,
            root=cid_text(CID_PREFIX + checkpoint.root),
            position=checkpoint.position,
            marks=checkpoint.marks,
            proposer=hex_text(checkpoint.proposer),
            state=State.FINAL.value if checkpoint.status is Status.FINAL else pending.value,
            proposed=time_text(checkpoint.proposed),
            ends=time_text(checkpoint.ends),
            open_demands=checkpoint.open_demands,
            held=checkpoint.id in held,
        )


class DemandShape(Shape):
    """A page that somebody wants to be shown."""

    demand: int
    digest: str = Field(pattern=_HASH)
    of: str = Field(description="checkpoint or commit.", examples=["checkpoint"])
    target: int = Field(description="The checkpoint's id, or the commit's position in the log.")
    deadline: str


class StepShape(Shape):
    """A transaction that was sent to the contract."""

    what: str = Field(description="show, challenge or propose.", examples=["challenge"])
    transaction: str = Field(pattern=_HASH)
    block: int | None
    gas: int | None
    bytes: int = Field(description="Of its data.")


class ProposalShape(Shape):
    """A checkpoint that was proposed."""

    position: int
    marks: int
    root: str = Field(examples=[ROOT_EXAMPLE])
    bond_wei: int
    window_seconds: int
    steps: list[StepShape]


class ChallengeResultShape(Shape):
    """What was found of a checkpoint, and done about it."""

    checkpoint: int
    root: str = Field(examples=[ROOT_EXAMPLE])
    found: str = Field(description="right, wrong, withheld (nobody gives a page), or waits (data is missing here).")
    why: str | None
    kind: str | None = Field(description="Of what is wrong: missing, extra, index or page.")
    steps: list[StepShape]
    reward_wei: int | None = Field(default=None, description="If it is wrong: half of the proposer's bond.")
    shows: int | None = Field(default=None, description="With dry_run: pages that are shown before.")
    estimated_gas: int | None = Field(default=None, description="With dry_run; null if pages are shown before.")


class CheckpointsShape(Shape):
    """The checkpoint contract, as of the newest block that was read."""

    contract: str = Field(pattern=_ADDRESS, examples=[ADDRESS_EXAMPLE])
    block: int
    block_time: str
    proved: bool = Field(description="Whether all of this is proved from the block's hash.")
    position: int = Field(description="Commits of the registry's log.")
    final: CheckpointShape | None = Field(description="The latest final one.")
    pending: list[CheckpointShape] = Field(description="Those that are pending, the oldest first.")
    marks: int = Field(description="Commits that are marked malformed or unavailable.")
    demands: list[DemandShape] = Field(description=f"Those that are open: the first {PUBLISHERS_MAX}.")
    changed_count: int = Field(description="Publishers of whom something else may count than the final one has.")
    changed: list[str] = Field(description=f"The first {PUBLISHERS_MAX} of them.")

    @classmethod
    def of(cls, status: CheckpointsStatus) -> CheckpointsShape:
        """From the node."""
        log = status.log
        demands = [
            DemandShape(
                demand=one.demand,
                digest=hex_text(one.digest),
                of=one.kind.name.lower(),
                target=one.target,
                deadline=time_text(one.deadline),
            )
            for one in islice(log.demands.values(), PUBLISHERS_MAX)
        ]
        return cls(
            contract=hex_text(status.contract),
            block=status.block,
            block_time=time_text(status.block_time),
            proved=status.proved,
            position=status.length,
            final=None if log.final is None else CheckpointShape.of(log.final, status.held),
            pending=[CheckpointShape.of(one, status.held) for one in log.pending],
            marks=log.state.marks,
            demands=demands,
            changed_count=len(status.changed),
            changed=[hex_text(one) for one in status.changed[:PUBLISHERS_MAX]],
        )


class Commit(Shape):
    """A commit in the registry's log."""

    publisher: str = Field(pattern=_ADDRESS, examples=[ADDRESS_EXAMPLE])
    seq: int
    root: str = Field(description="CID of the publisher's dataset.", examples=[ROOT_EXAMPLE])
    previous: str | None = Field(description="CID of the dataset before; null for the first commit.")
    count: int = Field(description="Quads of the dataset.")
    created: str = Field(description="When the publisher says that it was made.")
    position: int = Field(description="Its place in the log, from 0.")
    block: int
    time: str = Field(description="Of the block.")

    @classmethod
    def of(cls, committed: Committed) -> Commit:
        """From the log."""
        commit = committed.commit
        return cls(
            publisher=hex_text(commit.publisher),
            seq=commit.seq,
            root=cid_text(CID_PREFIX + commit.root),
            previous=cid_text(CID_PREFIX + commit.previous) if any(commit.previous) else None,
            count=commit.count,
            created=time_text(commit.created),
            position=committed.position,
            block=committed.block,
            time=time_text(committed.time),
        )


class PublisherShape(Shape):
    """A publisher, as the chain and this node have it."""

    address: str = Field(pattern=_ADDRESS, examples=[ADDRESS_EXAMPLE])
    did: str = Field(examples=["did:pkh:eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8"])
    prefix: str = Field(description="What the IRIs of its graphs begin with.")
    signer: str | None = Field(description="Who signs its commits; null if nobody may.")
    retired: bool
    followed: bool = Field(description="Whether this node replicates it.")
    latest: Commit | None = Field(description="On the chain.")
    held: Commit | None = Field(description="Whose dataset is here.")
    trouble: str | None = Field(description="Why the latest is not here, if there is a reason.")

    @classmethod
    def of(cls, status: PublisherStatus, domain: Domain) -> PublisherShape:
        """From the node."""
        return cls(
            address=hex_text(status.address),
            did=pkh(domain.chain_id, status.address),
            prefix=Publisher(domain.chain_id, domain.registry, status.address).prefix,
            signer=None if status.signer is None else hex_text(status.signer),
            retired=status.retired,
            followed=status.followed,
            latest=None if status.latest is None else Commit.of(status.latest),
            held=None if status.held is None else Commit.of(status.held),
            trouble=status.trouble,
        )


class PeerHead(Shape):
    """A dataset that a peer has."""

    publisher: str = Field(pattern=_ADDRESS)
    seq: int = Field(description="The publisher's commit.")
    root: str = Field(examples=[ROOT_EXAMPLE])


class PenaltyShape(Shape):
    """What a peer did."""

    at: str
    points: int
    why: str


class PeerShape(Shape):
    """A peer that is connected. Null: not known, or not for whoever asks."""

    id: str = Field(examples=["12D3KooWGBfKqTqgo2GHKgrKkGGjHEJqJYzUm7nL3eXgRkXBLGmH"])
    direction: str | None = Field(description="inbound: the peer made the connection; outbound: this node did.")
    pinned: bool = Field(description="Whether this node always wants to be connected to it.")
    since: str | None = Field(description="When the connection was made.")
    last_seen: str | None = Field(description="When something last came from it.")
    agent: str | None = Field(description="What it calls itself.", examples=["dkg/0.1.0"])
    sent_bytes: int = Field(description="Of messages to it since it is connected.")
    received_bytes: int
    heads: list[PeerHead] = Field(description="Datasets that it said it has: the latest of each publisher, not all.")
    score: float = Field(description="Penalty points that have not faded; it is shut out at 100, until below 50.")
    shut_out: bool = Field(description="Whether it is asked nothing because of its points.")
    addresses: list[str] | None = Field(description="Where it says that it listens. With the scope admin.")
    remote: str | None = Field(description="The other end of the connection. With the scope admin.")
    penalties: list[PenaltyShape] | None = Field(description="The newest. With the scope admin.")

    @classmethod
    def of(cls, peer: PeerStatus, *, admin: bool) -> PeerShape:
        """From what the node says; `admin`: for whoever may see addresses."""
        penalties = [PenaltyShape(at=time_text(one.at), points=one.points, why=one.why) for one in peer.penalties]
        return cls(
            id=peer.id,
            direction=None if peer.inbound is None else "inbound" if peer.inbound else "outbound",
            pinned=peer.pinned,
            since=None if peer.since is None else time_text(peer.since),
            last_seen=None if peer.last_seen is None else time_text(peer.last_seen),
            agent=peer.agent,
            sent_bytes=peer.sent_bytes,
            received_bytes=peer.received_bytes,
            heads=[
                PeerHead(publisher=hex_text(one.publisher), seq=one.seq, root=cid_text(one.root)) for one in peer.heads
            ],
            score=round(peer.score, 1),
            shut_out=peer.shut_out,
            addresses=list(peer.addresses) if admin else None,
            remote=peer.remote if admin else None,
            penalties=penalties if admin else None,
        )


class Graph(Shape):
    """A named graph of a dataset."""

    graph: str = Field(description="Its IRI.", examples=[UAL_EXAMPLE])
    quads: int


class Asset(Shape):
    """An asset that a dataset holds, or holds something said about."""

    ual: str = Field(examples=[UAL_EXAMPLE])
    publisher: str = Field(pattern=_ADDRESS, examples=[ADDRESS_EXAMPLE])
    name: str = Field(examples=["air"])
    quads: int = Field(description="Of its content; 0 if it was retracted.")
    url: str = Field(description="Where it is, relative to this node.")

    @classmethod
    def of(cls, ual: Ual, quads: int) -> Asset:
        """From its name."""
        publisher = hex_text(ual.publisher.address)
        return cls(ual=str(ual), publisher=publisher, name=ual.name, quads=quads, url=f"/v1/assets/{ual}")


class Signature(Shape):
    """That a third party signed an asset's content, as its publisher found and recorded it."""

    signer: str
    method: str
    cryptosuite: str
    purpose: str
    proof_value: str
    source: str
    checked: str
    created: str | None
    expires: str | None


class About(Shape):
    """What the publisher says about an asset. Times are texts of xsd:dateTime; other names are IRIs."""

    ual: str = Field(examples=[UAL_EXAMPLE])
    created: str | None
    modified: str | None
    generated: str | None
    title: str | None
    authors: list[str]
    licence: str | None
    derived_from: list[str]
    replaces: list[str]
    replaced_by: list[str]
    retracted: str | None
    reason: str | None
    signed: Signature | None
    private: str | None = Field(description="The commitment to its private part, if it has one.")

    @classmethod
    def of(cls, about: KnownAbout) -> About:
        """From provenance."""
        own = {name: getattr(about, name) for name in cls.model_fields if name not in {"ual", "signed"}}
        signed = about.signed
        made = None if signed is None else Signature(**{name: getattr(signed, name) for name in Signature.model_fields})
        return cls(ual=str(about.ual), signed=made, **own)


class VersionShape(Shape):
    """What one commit did to an asset."""

    seq: int
    root: str
    block: int
    time: str
    kind: str = Field(
        description="created, changed, described, superseded, retracted, restored or removed.", examples=["changed"]
    )
    added: int = Field(description="Quads of its content that came.")
    removed: int = Field(description="Quads of its content that went.")
    about: About | None

    @classmethod
    def of(cls, version: Version) -> VersionShape:
        """From history."""
        point = version.point
        return cls(
            seq=point.seq,
            root=cid_text(point.root),
            block=point.block,
            time=time_text(point.time),
            kind=version.kind,
            added=version.added,
            removed=version.removed,
            about=None if version.about is None else About.of(version.about),
        )


class History(Listed[VersionShape]):
    """The versions of an asset, the newest first."""

    kept: bool = Field(description="Whether the roots of all the commits that were asked for are kept here.")


class Diff(Shape):
    """What changed in an asset from one commit to another: triples of its content, as N-Triples, in order."""

    ual: str
    from_seq: int
    to_seq: int
    from_root: str
    to_root: str
    removed: list[str]
    added: list[str]


class OperationShape(Shape):
    """Something that was asked for and takes a while."""

    id: str = Field(examples=["b3zq5c4hnqk7a2tq6m3f5xw7hu"])
    kind: str = Field(description="commit, publish or retract.", examples=["publish"])
    state: str = Field(description="accepted, running, mined, final or failed.", examples=["mined"])
    finished: bool = Field(description="Whether nothing will change any more.")
    created: str
    updated: str
    publisher: str | None = None
    asset: str | None = None
    seq: int | None = None
    root: str | None = None
    block: int | None = None
    transaction: str | None = None
    error: str | None = Field(default=None, description="What went wrong, if it failed.")

    @classmethod
    def of(cls, operation: KnownOperation) -> OperationShape:
        """From the node."""
        body: dict[str, Any] = json.loads(operation.body) if operation.body else {}
        known = {
            name: body.get(name) for name in ("publisher", "asset", "seq", "root", "block", "transaction", "error")
        }
        if known["publisher"] is not None:
            known["publisher"] = known["publisher"].lower()
        return cls(
            id=operation.id,
            kind=operation.kind,
            state=operation.state,
            finished=operation.state in {"final", "failed"},
            created=time_text(operation.created),
            updated=time_text(operation.updated),
            **known,
        )


class ChallengeShape(Shape):
    """What an address is to sign."""

    message: str = Field(description="EIP-4361; sign it as a personal message (EIP-191), as it is.")
    nonce: str
    expires: str


class SessionShape(Shape):
    """A session that was opened."""

    token: str = Field(description="For `Authorization: Bearer`. It is told once.")
    address: str
    expires: str


class WhoShape(Shape):
    """Whose session it is."""

    address: str
    expires: str


class GrantShape(Shape):
    """That an address may read."""

    whose: str = Field(description="A UAL; or, with a slash at its end, what the UALs of a publisher begin with.")
    reader: str
    since: str


class Health(Shape):
    """Whether the node lives, and whether it is ready to answer."""

    live: bool
    ready: bool
    why: str | None = Field(description="Why it is not ready.")


def hex_text(data: bytes) -> str:
    """Bytes in hexadecimal."""
    return f"0x{data.hex()}"
