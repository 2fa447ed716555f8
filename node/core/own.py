"""Publishing for this node's own publisher: documents in, quads from a worker, one commit after the other.

What is accepted is on the disk, with the quads that the worker made of it, before anybody is told; the home's journal
sees to it that there is one commit for each request (`node.publish`). The datasets come into the node's store from the
home's, checked like everybody's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import libipld

from dkg.chain.secp import checksum
from dkg.chain.ual import Publisher
from dkg.errors import DkgError, InputError, StoreError
from dkg.page import cid_text
from dkg.rdf import parse_quads
from node.assets.edits import Details, commit_private, content, put, retract
from node.assets.request import asset_of
from node.core.intake import take_in
from node.core.retries import Retries
from node.core.view import anchored, dataset_root
from node.publish.published import Request
from node.replication.fetch import LANE
from node.serving import NoKeyError, Said, Stage, body_of
from node.union_keeper import publisher_name
from node.workers.errors import OverloadedError
from node.workers.jobs import Parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.chain.ual import Ual
    from node.change import Edit
    from node.core.desk import Desk
    from node.core.heads import CoreChain
    from node.core.parts import OwnPublisher, Parts
    from node.core.shelf import Shelf
    from node.publish.published import Published
    from node.replication.messages import Anchored
    from node.serving import Ticket
    from node.storage import Operation

PUBLISH: Final = "publish"
RETRACT: Final = "retract"

OWN_LANE: Final = "own"

WAITING_MAX: Final = 256
"""Most operations that wait to be published."""

PARSE_LANES: Final = 4
"""Documents that are parsed at a time."""

_RETRY_AFTER_S: Final = 30
_CATCH_UP: Final = "what was left undone"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an operation is about."""

    name: str
    quads: bytes | None
    """N-Quads in normal form; None: a retraction."""
    said: Said
    reason: str | None
    now: int
    """When it was asked for, in Unix seconds: what the provenance says does not depend on when it is tried."""
    private: str | None = None
    """The commitment to a private part, which is all that changes; empty: none any more."""

    def encode(self) -> bytes:
        """As a file."""
        made: bytes = libipld.encode_dag_cbor(asdict(self))
        return made

    @classmethod
    def decode(cls, data: bytes) -> _Asked:
        """From a file. Raises `StoreError`."""
        try:
            found = libipld.decode_dag_cbor(data)
            said: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in found["said"].items()
            }
            return cls(**{**found, "said": Said(**said)})
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError("what an operation is about is damaged") from error

    def edit(self, ual: Ual, publisher: Publisher) -> Edit:
        """The change to the publisher's dataset. Raises `InputError`."""
        if self.private is not None:
            return commit_private(ual, self.private or None, self.now)
        if self.quads is None:
            return retract(ual, self.now, self.reason)
        said = self.said
        older = None if said.supersedes is None else tuple(asset_of(name, publisher) for name in said.supersedes)
        details = Details(said.title, said.authors, said.licence, said.derived_from, older)
        return put(ual, content(parse_quads(self.quads, format="nq", graph=ual.graph), ual), details, self.now)


class Own:
    """See the module."""

    def __init__(self, parts: Parts, chain: CoreChain, shelf: Shelf, desk: Desk, wake: Callable[[], None]) -> None:
        """`wake`: called when something may have come to the chain."""
        self._parts = parts
        self._chain = chain
        self._shelf = shelf
        self._desk = desk
        self._wake = wake
        self._retries = Retries(parts.runtime, parts.settings)
        self._news = parts.runtime.event()
        self._resumed = False
        self._asked = 0

    @property
    def address(self) -> bytes | None:
        """The publisher's address; None if this node holds no key."""
        return None if self._parts.own is None else self._parts.own.address

    # --- taking ----------------------------------------------------------------------------------------------------

    async def publish(self, ticket: Ticket, name: str, data: bytes, rdf_format: str, said: Said) -> Operation:
        """See `Service.publish_rdf`."""
        found, publisher = self._desk.again(ticket), self._publisher()
        if found is not None:
            return found
        ual = asset_of(name, publisher)
        job = Parse(data=data, format=rdf_format, graph=str(ual))
        self._asked += 1
        lane = f"parse {self._asked % PARSE_LANES}"
        parsed = await self._parts.runtime.blocking(lane, lambda: self._parts.runner.run_sync(job, client=PUBLISH))
        return await self._begin(ticket, PUBLISH, ual, _Asked(name, parsed.body, said, None, int(self._parts.clock())))

    async def retract(self, ticket: Ticket, name: str, reason: str | None) -> Operation:
        """See `Service.retract`."""
        found, publisher = self._desk.again(ticket), self._publisher()
        if found is not None:
            return found
        asked = _Asked(name, None, Said(), reason, int(self._parts.clock()))
        return await self._begin(ticket, RETRACT, asset_of(name, publisher), asked)

    async def commit_private(self, ticket: Ticket, name: str, commitment: str | None) -> Operation:
        """See `Service.commit_private`. Nothing private comes here: it is staged in the vault."""
        found, publisher = self._desk.again(ticket), self._publisher()
        if found is not None:
            return found
        asked = _Asked(name, None, Said(), None, int(self._parts.clock()), commitment or "")
        return await self._begin(ticket, PUBLISH, asset_of(name, publisher), asked)

    def _publisher(self) -> Publisher:
        address, domain = self.address, self._parts.domain
        if address is None:
            raise NoKeyError("this node holds no publisher's key: publish a signed commit instead")
        return Publisher(domain.chain_id, domain.registry, address)

    async def _begin(self, ticket: Ticket, kind: str, ual: Ual, asked: _Asked) -> Operation:
        publisher = ual.publisher

        def begun() -> Operation:
            asked.edit(ual, publisher)  # what is wrong with it is told now
            found = self._desk.again(ticket)
            if found is not None:
                return found
            waiting = [*self._desk.unfinished(PUBLISH), *self._desk.unfinished(RETRACT)]
            if len(waiting) >= WAITING_MAX:
                raise OverloadedError(f"{len(waiting)} operations wait to be published already", _RETRY_AFTER_S)
            body = {"publisher": checksum(publisher.address), "asset": str(ual)}
            return self._desk.begin(ticket, kind, body, asked.encode())

        made = await self._parts.runtime.blocking(LANE, begun)
        self._news.set()
        return made

    # --- bringing it to the chain ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Publish what was asked for, one after the other, for ever."""
        own = self._parts.own
        while own is not None:
            self._news = self._parts.runtime.event()
            due = [one for one in self._open() if self._retries.is_due(one.id)]
            if not self._resumed and self._retries.is_due(_CATCH_UP):
                await self._resume(own)
            elif self._resumed and due:
                await self._publish(own, due[0])
            else:
                await self._retries.wait(self._news)

    def _open(self) -> list[Operation]:
        found = [*self._desk.unfinished(PUBLISH), *self._desk.unfinished(RETRACT)]
        return sorted((one for one in found if one.state != Stage.MINED), key=lambda one: (one.created, one.id))

    async def _resume(self, own: OwnPublisher) -> None:
        """Finish what an earlier run of the node, or somebody else with this home, left undone."""
        try:
            await self._parts.runtime.blocking(OWN_LANE, own.resume)
        except DkgError as error:
            self._parts.log("publish_waits", why=str(error))
            self._retries.failed(_CATCH_UP)
        else:
            self._resumed = True
            self._retries.done(_CATCH_UP)

    async def _publish(self, own: OwnPublisher, one: Operation) -> None:
        runtime = self._parts.runtime
        try:
            request = await runtime.blocking(LANE, lambda: self._request(one.id))
            if request is None:
                return
            done = await runtime.blocking(OWN_LANE, lambda: own.publish(request))
            await runtime.blocking(LANE, lambda: self._done(one.id, done))
        except InputError as error:
            why = str(error)
            self._retries.done(one.id)
            await runtime.blocking(LANE, lambda: self._failed(one.id, why))
        except DkgError as error:
            why = str(error)
            self._parts.log("publish_waits", operation=one.id, why=why)
            self._retries.failed(one.id)
            await runtime.blocking(LANE, lambda: self._note(one.id, waiting=why))
        else:
            self._retries.sent(one.id)
            self._wake()

    def _request(self, name: str) -> Request | None:
        """What the publisher is asked, if there is still something to do. In the lane.

        The same operation is the same request, whenever it is tried.
        """
        one = self._desk.get(name)
        if one is None or one.state not in {Stage.ACCEPTED, Stage.RUNNING}:
            return None
        asked, publisher = _Asked.decode(self._desk.content(one.id)), self._publisher()
        ual = asset_of(asked.name, publisher)
        self._desk.move(one, Stage.RUNNING, waiting=None)
        request = sha256(f"dkg node {one.id} {body_of(one)['digest']}".encode()).hexdigest()
        return Request(request, f"{one.kind} {ual.name}", asked.edit(ual, publisher))

    def _done(self, name: str, done: Published) -> None:
        """It is in a block. In the lane."""
        transaction = "0x" + done.transaction.hex() if done.transaction else None
        self._note(name, seq=done.seq, root=cid_text(done.root), transaction=transaction)

    def _failed(self, name: str, why: str) -> None:
        one = self._desk.get(name)
        if one is not None:
            self._desk.fail(one, why)

    def _note(self, name: str, **facts: object) -> None:
        one = self._desk.get(name)
        if one is not None:
            self._desk.move(one, Stage(one.state), **facts)

    # --- following -------------------------------------------------------------------------------------------------

    def follow(self) -> list[Anchored]:
        """Compare what is unfinished with the log, and bring own datasets over; gives heads that are new here.

        In the lane. Raises `StoreError`.
        """
        own, view = self._parts.own, self._chain.view
        if own is None:
            return []
        new = self._catch_up(own)  # first: what is told to be in a block can be read
        for one in [*self._desk.unfinished(PUBLISH), *self._desk.unfinished(RETRACT)]:
            seq, root = body_of(one).get("seq"), body_of(one).get("root")
            if seq is None:
                continue
            there = view.commit(own.address, seq)
            if there is not None and cid_text(dataset_root(there)) == root:
                final = there.position < view.final_position and not view.frozen
                self._desk.move(one, Stage.FINAL if final else Stage.MINED, block=there.block, waiting=None)
            elif one.state == Stage.MINED:
                self._desk.move(one, Stage.RUNNING, block=None)
                self._parts.log("commit_gone", operation=one.id, publisher=checksum(own.address))
                self._news.set()
        return new

    def _catch_up(self, own: OwnPublisher) -> list[Anchored]:
        """Keep the dataset of the own publisher's latest commit, if the home has it."""
        wanted = self._shelf.wanted(own.address, self._chain.view)
        held = self._shelf.held(own.address, self._chain.view)
        if wanted is None or wanted == held:
            return []
        rows, root = self._shelf.rows(publisher_name(own.address)), dataset_root(wanted)
        try:
            if all(one.root != root for one in rows):
                old = rows[0].root if rows else None
                with own.pages() as pages:
                    take_in(self._parts.store, root, wanted.commit.count, old=old, source=pages.get)
            self._shelf.keep(wanted)
        except DkgError as error:  # of another home with this key, perhaps: then peers may have it
            self._parts.log("own_dataset_missing", why=str(error))
            return []
        return [anchored(wanted)]
