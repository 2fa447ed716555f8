"""A node behind HTTP, of real parts: a store, a log with signed commits, unions; only the chain is a list of ours."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from dkg.car import read_car
from dkg.chain.checkpoint_events import Proposed, Refuted
from dkg.chain.checkpoint_log import CheckpointLog
from dkg.chain.checkpoints import OPEN_MAX, Status
from dkg.chain.commit import ZERO_HASH, Commit, Domain, SignedCommit, verify_commit
from dkg.chain.log import Block, RegistryLog
from dkg.chain.registry import Committed
from dkg.chain.secp import address_of, keccak256
from dkg.chain.ual import Publisher, Ual
from dkg.checkpoints.answer import Parts
from dkg.client.store import SqliteStore
from dkg.dataset import build_dataset, update_dataset
from dkg.errors import InputError, ProofError
from dkg.page import CID_PREFIX, cid_of, cid_text
from dkg.pages import StoredPages
from dkg.rdf import parse_quads
from node.assets.edits import Details, commit_private, content, put, retract
from node.core.checkpointed import beside as beside_of
from node.core.checkpointed import changed_since
from node.devnet.accounts import dev_accounts
from node.replication.messages import Anchored
from node.serving import (
    NOW,
    At,
    Checkpointed,
    CheckpointsStatus,
    Claim,
    NoCheckpointError,
    NoKeyError,
    OperationConflictError,
    PeerStatus,
    Penalty,
    PublisherStatus,
    Said,
    Stage,
    Standing,
    State,
    Ticket,
    UnknownMomentError,
    UnknownPublisherError,
)
from node.storage import NodeStore, Operation
from node.union import build_union, dataset_of
from node.union_keeper import UNION, UnionKeeper, publisher_name
from node.workers.errors import ViewFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from dkg.chain.checkpoint_events import CheckpointEvent
    from dkg.pages import Pages
    from dkg.terms import Quad
    from node.change import Edit
    from node.serving import Datasets

T = TypeVar("T")

DOMAIN = Domain(31337, bytes.fromhex("5fbdb2315678afecb367f032d93f642f64180aa3"))
KEYS = [account.key for account in dev_accounts(4)]
START = 1_800_000_000
"""2027-01-15T08:00:00Z."""
DEPTH = 2


def address(number: int) -> bytes:
    """The address of a publisher of these tests."""
    return address_of(KEYS[number])


def publisher(number: int) -> Publisher:
    return Publisher(DOMAIN.chain_id, DOMAIN.registry, address(number))


def ual(number: int, name: str) -> Ual:
    return Ual(publisher(number), name)


def triples(number: int, name: str, text: str) -> frozenset[Quad]:
    """The content of an asset, from Turtle with the prefix `:`."""
    asset = ual(number, name)
    data = f"@prefix : <https://example.org/> . {text}".encode()
    return content(parse_quads(data, format="ttl", graph=asset.graph), asset)


@dataclass
class Node:
    """A `Service` over a directory. `own`: the number of the publisher whose key it holds, if it holds one.

    `behind`: what `Standing.behind` shall say.
    """

    store: NodeStore
    own: int | None = 0
    behind: int = 0
    log: RegistryLog = field(default_factory=RegistryLog)
    views: bool = False
    failed: set[bytes] = field(default_factory=set)
    """Roots whose views cannot be read."""

    def __post_init__(self) -> None:
        self.keeper = UnionKeeper(self.store, DOMAIN)
        self.block = self.log.tip or Block(1, keccak256(b"1"), bytes(32), START)
        if self.log.tip is None:
            self.log.apply(self.block, [])
        self._reader = threading.Lock()
        self._subsets: dict[tuple[bytes, ...], bytes] = {}
        self.contract = CheckpointLog()

    # --- the chain, which is here ----------------------------------------------------------------------------

    def mine(self, *commits: Commit) -> list[Committed]:
        """A block with some commits; what is whole is kept, and the union follows."""
        number, time = self.block.number + 1, self.block.time + 12
        self.block = Block(number, keccak256(str(number).encode()), self.block.hash, time)
        made = [self._committed(one, at, number, time) for at, one in enumerate(commits)]
        self.log.apply(self.block, made)
        for one in made:
            if one.publisher not in self.store.followed():
                self.store.follow(one.publisher, at=time)
            self.keeper.accept(one)
        if made:
            self.keeper.advance(self.log, self.store.followed())
        if self.views:
            self.store.views.ensure(self.standing(None).root)
        return made

    def _committed(self, commit: Commit, at: int, number: int, time: int) -> Committed:
        state = self.log.publishers.get(commit.publisher)
        prior = state.head.position if state and state.head.seq else 0
        return Committed(commit, len(self.log.entries) + at, prior, number, time)

    def _head(self, who: bytes) -> Committed | None:
        return self.log.head_at(who, len(self.log.entries))

    def planned(self, who: bytes, root: bytes) -> Commit:
        """The next commit of a publisher."""
        head = self._head(who)
        count = StoredPages(self.store.pages).root(root).count
        previous = head.commit.root if head else ZERO_HASH
        seq = head.commit.seq + 1 if head else 1
        return Commit(who, seq, root[len(CID_PREFIX) :], count, previous, self.block.time)

    def edit(self, number: int, edit: Edit) -> Committed:
        """Apply an edit to a publisher's dataset, and commit it."""
        head, pages = self._head(address(number)), StoredPages(self.store.pages)
        old = dataset_of(head) if head else None
        change = edit(pages, old)
        if old is None:
            root = build_dataset([sorted(change.add)], self.store.pages)
        else:
            root = update_dataset(pages, old, change.add, change.remove, self.store.pages)
        return self.mine(self.planned(address(number), root))[0]

    def publish(self, number: int, name: str, text: str, **details: Any) -> Committed:  # noqa: ANN401
        """Publish an asset, from Turtle."""
        return self.edit(
            number, put(ual(number, name), triples(number, name, text), Details(**details), self.block.time)
        )

    def retracted(self, number: int, name: str, reason: str | None = None) -> Committed:
        return self.edit(number, retract(ual(number, name), self.block.time, reason))

    # --- Service -----------------------------------------------------------------------------------------------

    @property
    def domain(self) -> Domain:
        return DOMAIN

    def standing(self, publishers: tuple[bytes, ...] | None, at: At = NOW) -> Standing:
        if publishers is not None:
            for who in publishers:
                if self._head(who) is None:
                    raise UnknownPublisherError(f"the publisher 0x{who.hex()} has committed nothing")
        position = self._position(publishers, at)
        names = publishers if publishers is not None else tuple(self.store.followed())
        if publishers is None:
            root = self.store.root_at(UNION, position=position)
        elif len(publishers) == 1:
            root = self.store.root_at(publisher_name(publishers[0]), position=position)
        else:
            root = self._subset(publishers, position)
        if at.root is not None and at.root != root:
            raise UnknownMomentError("no such root is kept")
        if root is None:
            raise UnknownMomentError("no root is kept of that moment")
        head = self.log.head_at(publishers[0], position) if publishers and len(publishers) == 1 else None
        settled = self.log.entries[position - 1].block + DEPTH <= self.block.number if position else True
        return Standing(
            root=root,
            publishers=names,
            claim=Claim.PUBLISHER,
            state=State.FINAL if settled else State.PENDING,
            position=position,
            seq=head.commit.seq if head else None,
            block=self.block.number if at == NOW or at.root else self.log.entries[position - 1].block,
            block_hash=self.block.hash,
            block_time=self.block.time if at == NOW or at.root else self.log.entries[position - 1].time,
            finality_depth=DEPTH,
            behind=self.behind,
        )

    def checkpointed(self, at: At = NOW, beside: Datasets = ()) -> Standing:
        named = self.contract.pending if at.root is not None else []
        found = [one for one in [self.contract.final, *named] if one is not None]
        found = [one for one in found if at.root in {None, CID_PREFIX + one.root}]
        if not found and at.root is None:
            raise NoCheckpointError("no checkpoint is final yet")
        if not found:
            raise UnknownMomentError("this is the root of no checkpoint that is final or pending")
        one = found[0]
        datasets = beside if at.root is not None else beside_of(self.log, self.contract, one)
        Parts(DOMAIN, CID_PREFIX + one.root, dict(datasets))
        if any(root is not None and not self._has(who, root) for who, root in datasets):
            raise UnknownMomentError("a dataset that is to be asked beside it is not here")
        state = State.DISPUTED if one.disputed else State.FINAL if one.status is Status.FINAL else State.PENDING
        checkpoint = Checkpointed(one.id, one.position, state, datasets)
        now = replace(self.standing(None), root=CID_PREFIX + one.root, claim=Claim.UNION, checkpoint=checkpoint)
        return replace(now, state=max(state, now.state if datasets else state, key=[*State].index))

    def checkpoints(self) -> CheckpointsStatus:
        if not self.contract.state.last:
            raise NoCheckpointError("this node follows no checkpoint contract")
        known = [one for one in [self.contract.final, *self.contract.pending] if one is not None]
        held = frozenset(one.id for one in known if self.store.kept(f"checkpoint:{one.id}"))
        final = self.contract.final
        changed = () if final is None else tuple(sorted(changed_since(self.log, self.contract, final)))
        return CheckpointsStatus(
            contract=b"\x77" * 20,
            log=self.contract,
            proved=True,
            held=held,
            block=self.block.number,
            block_time=self.block.time,
            length=len(self.log.entries),
            changed=changed,
        )

    async def propose(self, position: int | None) -> dict[str, Any]:
        final = self.contract.final
        root = self.standing(None).root
        if final is not None and CID_PREFIX + final.root == root:
            raise InputError(f"checkpoint {final.id} is final, and says as much: nothing is proposed")
        if len(self.contract.pending) == OPEN_MAX or any(
            CID_PREFIX + one.root == root for one in self.contract.pending
        ):
            raise InputError("too many are pending, or one that says the same: nothing is proposed")
        self.propose_now()
        at = len(self.log.entries) if position is None else position
        facts = {"position": at, "marks": 0, "root": cid_text(root), "bond_wei": 1, "window_seconds": 1}
        return facts | {"steps": [self._step("propose")]}

    async def challenge(self, checkpoint: int, *, dry_run: bool) -> dict[str, Any]:
        found = next((one for one in self.contract.pending if one.id == checkpoint), None)
        if found is None:
            raise InputError(f"checkpoint {checkpoint} is not pending: nothing can be challenged of it")
        root, right = CID_PREFIX + found.root, CID_PREFIX + found.root == self.standing(None).root
        facts: dict[str, Any] = {"checkpoint": checkpoint, "root": cid_text(root), "why": None}
        if right:
            return facts | {"found": "right", "kind": None, "steps": []}
        facts |= {"found": "wrong", "kind": "missing", "reward_wei": 1}
        if dry_run:
            return facts | {"steps": [], "shows": 0, "estimated_gas": 700_000}
        self.happens(Refuted(checkpoint, address(3), 1))
        return facts | {"steps": [self._step("challenge")]}

    def _step(self, what: str) -> dict[str, Any]:
        return {"what": what, "transaction": f"0x{self.block.hash.hex()}", "block": 1, "gas": 700_000, "bytes": 9}

    def _has(self, who: bytes, root: bytes) -> bool:
        return any(one.root == root for one in self.store.kept(publisher_name(who)))

    def propose_now(self, root: bytes | None = None) -> int:
        """Have the union as it is, or another root, proposed as a checkpoint; its id."""
        position, number = len(self.log.entries), self.contract.state.last + 1
        union = self.standing(None).root
        digest = (root or union)[len(CID_PREFIX) :]
        self.mine()
        self.contract.apply(self.block, [Proposed(number, b"\x99" * 20, position, 0, digest, self.block.time)])
        self.store.keep(f"checkpoint:{number}", union, position=position, at=self.block.time)
        return number

    def happens(self, *events: CheckpointEvent) -> None:
        """A block with events of the checkpoint contract."""
        self.mine()
        self.contract.apply(self.block, events)

    def _position(self, publishers: tuple[bytes, ...] | None, at: At) -> int:
        entries = self.log.entries
        if at.root is not None:
            name = UNION if publishers is None else publisher_name(publishers[0])
            found = [kept.position for kept in self.store.kept(name) if kept.root == at.root]
            return found[0] if found else 0
        if at.seq is not None:
            if publishers is None or len(publishers) != 1:
                raise UnknownMomentError("the number of a commit means something for one publisher only")
            own = [e.position + 1 for e in entries if e.publisher == publishers[0] and e.commit.seq == at.seq]
            if not own:
                raise UnknownMomentError(f"there is no commit {at.seq}")
            return own[0]
        if at.block is not None:
            return sum(entry.block <= at.block for entry in entries)
        if at.time is not None:
            return sum(entry.time <= at.time for entry in entries)
        return len(entries)

    def _subset(self, publishers: tuple[bytes, ...], position: int) -> bytes:
        heads = [self.log.head_at(who, position) for who in publishers]
        datasets = {self.keeper.publisher(one.publisher): dataset_of(one) for one in heads if one is not None}
        root = build_union(StoredPages(self.store.pages), datasets, self.store.pages).root
        self.store.keep("some", root, position=position, at=self.block.time)
        return root

    def reading(self, root: bytes) -> AbstractContextManager[Path | None]:
        return self._reading(root)

    @contextmanager
    def _reading(self, root: bytes) -> Iterator[Path | None]:
        with self.store.holding(root):
            try:
                yield None if root in self.failed else self.store.views.path(root)
            except ViewFailedError:
                self.failed.add(root)
                raise

    async def read(self, work: Callable[[Pages], T]) -> T:
        def run() -> T:
            with self._reader, SqliteStore(self.store.directory, read_only=True) as store:
                return work(StoredPages(store))

        return await asyncio.to_thread(run)

    def page(self, cid: bytes) -> bytes | None:
        return self.store.pages.get(cid)

    def publishers(self, *, after: bytes, most: int, followed: bool = False) -> list[PublisherStatus]:
        known = sorted({*(() if followed else self.log.publishers), *self.store.followed()})
        found = [self.publisher(who) for who in known if who > after][:most]
        return [one for one in found if one is not None]

    def publisher(self, address: bytes) -> PublisherStatus | None:
        state = self.log.publishers.get(address)
        if state is None:
            return None
        head = self._head(address)
        followed = address in self.store.followed()
        return PublisherStatus(address, state.head.signer, state.head.retired, head, head, followed)

    def commits(self, publisher: bytes | None, *, before: int | None, most: int) -> list[Committed]:
        below = self.log.entries if before is None else self.log.entries[:before]
        return [one for one in reversed(below) if publisher in {None, one.publisher}][:most]

    async def publish_signed(self, ticket: Ticket, commit: SignedCommit, car: bytes, *, relay: bool) -> Operation:
        known = self._known(ticket)
        if known is not None:
            return known
        one = commit.commit
        verify_commit(commit, DOMAIN, self.log.signer_at(one.publisher, len(self.log.entries)) or b"")
        root = CID_PREFIX + one.root
        blocks = read_car(car, root, 100_000)
        for cid, raw in blocks.items():
            if cid_of(raw) != cid:
                raise ProofError(f"a page is not what its name {cid_text(cid)} says")
        self.store.pages.put_many(blocks.items())
        if replace(one, created=0) != replace(self.planned(one.publisher, root), created=0):
            raise ProofError("the commit does not follow from the one before")
        made = self.mine(one)[0] if relay else None
        return self._done(ticket, "commit", one, made)

    async def publish_rdf(self, ticket: Ticket, name: str, data: bytes, rdf_format: str, said: Said) -> Operation:
        known = self._known(ticket)
        if known is not None:
            return known
        number = self._own()
        asset = ual(number, name) if not name.startswith("did:") else Ual.parse(name)
        quads = content(parse_quads(data, format=rdf_format, graph=asset.graph), asset)
        older = None if said.supersedes is None else tuple(ual(number, one) for one in said.supersedes)
        details = Details(said.title, said.authors, said.licence, said.derived_from, older)
        made = self.edit(number, put(asset, quads, details, self.block.time))
        return self._done(ticket, "publish", made.commit, made, str(asset))

    async def retract(self, ticket: Ticket, name: str, reason: str | None) -> Operation:
        known = self._known(ticket)
        if known is not None:
            return known
        asset = Ual.parse(name)
        made = self.edit(self._own(), retract(asset, self.block.time, reason))
        return self._done(ticket, "retract", made.commit, made, name)

    async def commit_private(self, ticket: Ticket, name: str, commitment: str | None) -> Operation:
        known = self._known(ticket)
        if known is not None:
            return known
        asset = Ual.parse(name)
        made = self.edit(self._own(), commit_private(asset, commitment, self.block.time))
        return self._done(ticket, "publish", made.commit, made, name)

    def _own(self) -> int:
        if self.own is None:
            raise NoKeyError("this node holds no publisher's key: hand in a signed commit")
        return self.own

    def _known(self, ticket: Ticket) -> Operation | None:
        found = self.store.operations.get(ticket.id)
        if found is not None and json.loads(found.body)["digest"] != ticket.digest:
            raise OperationConflictError("the idempotency key was used for something else")
        return found

    def _done(
        self, ticket: Ticket, kind: str, commit: Commit, made: Committed | None, asset: str | None = None
    ) -> Operation:
        body = {
            "digest": ticket.digest,
            "publisher": f"0x{commit.publisher.hex()}",
            "asset": asset,
            "seq": commit.seq,
            "root": cid_text(CID_PREFIX + commit.root),
            "block": made.block if made else None,
        }
        stage = Stage.MINED if made else Stage.ACCEPTED
        done = Operation(ticket.id, kind, stage, self.block.time, self.block.time, json.dumps(body).encode())
        self.store.operations.put(done)
        return done

    def finish(self, operation: str) -> None:
        """Let an operation be final."""
        found = self.store.operations.get(operation)
        assert found is not None
        self.store.operations.put(replace(found, state=Stage.FINAL.value))

    def operation(self, name: str) -> Operation | None:
        return self.store.operations.get(name)

    def operations(self, most: int, before: tuple[int, str] | None = None) -> list[Operation]:
        found = self.store.operations.recent(10_000)
        if before is not None:
            found = [one for one in found if (-one.updated, one.id) > (-before[0], before[1])]
        return found[:most]

    def peers(self) -> list[PeerStatus]:
        return [
            PeerStatus(
                f"12D3KooW{number}",
                addresses=(f"/ip4/203.0.113.{number}/tcp/9000/p2p/12D3KooW{number}",),
                remote=f"203.0.113.{number}:40123",
                inbound=number == 1,
                since=1_800_000_000,
                last_seen=1_800_000_100 + number,
                agent="dkg/0",
                sent_bytes=10,
                received_bytes=20,
                heads=(Anchored(address(0), 3, self.store.kept("union")[0].root, 5, 2),),
                score=60.04,
                penalties=(Penalty(1_800_000_050, 60, "the peer sent another page"),),
            )
            for number in range(3)
        ]

    def status(self) -> dict[str, object]:
        usage = self.store.usage()
        return {"version": "0", "storage": {"used": usage.used, "pages": usage.pages}, "block": self.block.number}


AIR = """
:north :no2 41 ; :name "North" . :south :no2 19 ; :name "South" . :north :near :south .
"""
WATER = """
:lake :ph 7.2 ; :name "Lake" . :lake :near :north .
"""


@contextmanager
def world(directory: Path, **given: Any) -> Iterator[Node]:  # noqa: ANN401
    """A node with two publishers, three assets and four commits."""
    with NodeStore(directory) as store:
        node = Node(store, **given)
        node.publish(0, "air", AIR, title="Air", licence="https://creativecommons.org/licenses/by/4.0/")
        node.publish(1, "water", WATER)
        node.publish(0, "air", AIR + ':west :no2 7 ; :name "West" .')
        node.publish(0, "people", ':ada :name "Ada" ; :knows [ :name "Bob" ] .')
        yield node
