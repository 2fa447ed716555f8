"""`NodeCore`: a node without its sockets. It follows the chain, brings datasets over, makes unions, and answers.

Everything here is one set of coroutines on a `Runtime`, over what `Parts` brings; what takes long, or touches the disk,
is done in lanes (`Runtime.blocking`), one thing at a time in each:

| lane              | what is done there                                                                |
|-------------------|-----------------------------------------------------------------------------------|
| `fetch`           | everything that changes the store: pages, roots that are kept, unions, operations |
| `serve`           | pages are read for peers                                                          |
| `chain`           | steps of the follower                                                             |
| `payer`, `own`    | transactions                                                                      |
| `parse`, `prove`  | waiting for workers                                                               |
| `read`, `views`   | pages are read for those who ask over HTTP; views are made                        |

What is told to others (`standing`, `publishers`, ...) is read from values that are replaced as a whole, in any thread.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.commit import Domain
from dkg.chain.secp import checksum
from dkg.errors import DkgError
from dkg.evaluate import Dataset
from dkg.page import cid_text
from node.checkpoints.requests import Requests
from node.checkpoints.watcher import Watcher
from node.core.answers import Answers
from node.core.chainfile import CHAIN_FILE, CHECKPOINTS_FILE, ChainFile
from node.core.checkpointed import ByCheckpoint
from node.core.checkpointwatch import CheckpointWatch
from node.core.desk import Desk
from node.core.heads import CoreChain, CoreHeads
from node.core.housekeeping import Housekeeping
from node.core.intake import Spills
from node.core.leases import Leases
from node.core.mending import Mending
from node.core.own import Own
from node.core.providing import PENDING_MAX, Providing
from node.core.recorded import CHECKPOINTS, REGISTRY
from node.core.shelf import Shelf
from node.core.standings import Standings
from node.core.status import status_of
from node.core.unions import Unions
from node.core.uploads import Uploads
from node.core.view import anchored
from node.core.viewing import HeldViews
from node.core.watch import Watch
from node.replication.ask import Asker
from node.replication.complete import Builder
from node.replication.fetch import LANE
from node.replication.messages import Hello
from node.replication.replicator import Hooks, Network, Replicator
from node.replication.serve import Server
from node.serving import PeerStatus
from node.workers.jobs import Prove

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from dkg.chain.commit import SignedCommit
    from dkg.chain.registry import Committed
    from node.core.parts import Parts
    from node.core.view import LogView
    from node.replication.messages import Anchored, GetProof
    from node.replication.replicate import Report
    from node.replication.runtime import Nursery
    from node.serving import Said, Ticket
    from node.storage import Operation

CHAIN_LANE: Final = "chain"

PROVE_LANES: Final = 4
"""Proofs for peers that are waited for at a time."""

RESTART_S: Final = 5.0
"""Wait after the disk failed, before it is tried again, in seconds."""

LOOK_S: Final = 5.0
"""Longest time between two looks at whether the union can move, in seconds."""

PEERS_S: Final = 2.0
"""Time between two looks at who is connected, in seconds."""


class NodeCore(Answers):
    """See the module. `run` does everything; `Service` says what the rest is for."""

    def __init__(self, parts: Parts) -> None:
        """Read what the directory has. Raises `StoreError` when it is damaged, or is of another registry."""
        super().__init__()
        self.parts = parts
        settings, store = parts.settings, parts.store
        self.shelf = Shelf(store, parts.domain)
        self._follow = self._follows()
        self.desk = Desk(store, parts.clock)  # what can fail comes before the file, which is open from then on
        with ExitStack() as opened:  # this writes and reads the disk, which may fail
            self.watch = self._watch(opened)
            self.chain = CoreChain(self.shelf, self._follow, settings.publishers_max)
            self.chain.view = self.watch.view
            self._drop_strays(self.chain.view)
            self.shelf.learn(self.chain.view)
            self._files = opened.pop_all()
        self.unions = Unions(parts, self.chain, self.shelf, lambda: parts.soon(self._wake_unions))
        self.heads = CoreHeads(self.shelf, self.chain, self._refused)
        self.uploads = Uploads(parts, self.chain, self.shelf, self.desk, wake=self._stir, look=self._look)
        self.own = Own(parts, self.chain, self.shelf, self.desk, self._stir)
        self.providing = Providing(parts)
        self.standings = Standings(self.chain, self.shelf, self.unions, settings)
        self.by_checkpoint = ByCheckpoint(parts.domain, self.chain, self.shelf, settings.finality_depth)
        self.leases = Leases(self.shelf.is_kept, parts.monotonic, settings.lease_s)
        self._spills = Spills(store.directory)
        self._is_compared = False
        self._is_stirred = False
        self._proofs = 0
        self._news = parts.runtime.event()
        self._changed = parts.runtime.event()
        self._seen = parts.runtime.event()
        self._looks = self._looked = 0  # how many began, and the last that ended
        self._looked_at = -settings.news_s
        self._running: Nursery | None = None
        self.replicator, self.server = self._replication()
        self.watcher = Watcher(parts, self.chain, self.shelf, self.mending.asker, self._chain_trouble)
        self.requests = Requests(parts, self.chain, self.watcher)
        self.housekeeping = Housekeeping(
            parts, self.shelf, self.desk, self.uploads, self.leases, lambda: bool(self.replicator.running)
        )
        if parts.views is not None:
            self.views = HeldViews(parts.views, parts.monotonic)
            self.housekeeping.release_views = self.views.release

    def _watch(self, opened: ExitStack) -> Watch:
        """What watches the chain, from where its files end. They are closed with the stack."""
        parts, settings, directory = self.parts, self.parts.settings, self.parts.store.directory
        first, depth, checkpoints = settings.first_block, settings.finality_depth, None
        file = ChainFile(directory / CHAIN_FILE, parts.domain, REGISTRY)
        opened.callback(file.close)
        kept = file.load(depth)
        if settings.checkpoints is not None:
            domain = Domain(parts.domain.chain_id, settings.checkpoints)
            other = ChainFile(directory / CHECKPOINTS_FILE, domain, CHECKPOINTS)
            opened.callback(other.close)
            reader, found = parts.reader, other.load(depth)
            checkpoints = CheckpointWatch(reader, other, found, first_block=first, finality_depth=depth)
        return Watch(
            parts.reader,
            parts.domain,
            file,
            kept,
            first_block=first,
            finality_depth=depth,
            checkpoints=checkpoints,
        )

    def _drop_strays(self, view: LogView) -> None:
        """Put right what is kept, where the node ended between writing down another log and `_put_right`."""
        strays = self.shelf.strays(view) if view.head is not None else []
        if strays:
            self._roll_back(min(max(one.position - 1, 0) for one in strays))

    def _roll_back(self, position: int) -> None:
        """Drop what counts only after a position of the log."""
        for one in self.shelf.roll_back(position, at=int(self.parts.clock())):
            self.parts.log("dropped", name=one.name, position=one.position, root=cid_text(one.root))

    def _follows(self) -> tuple[bytes, ...] | None:
        """Whose datasets are brought over: those of the settings, those remembered, and this node's own."""
        settings, own = self.parts.settings, self.parts.own
        if settings.follow is None:
            return None
        mine = () if own is None else (own.address,)
        return tuple(dict.fromkeys([*mine, *settings.follow, *self.parts.store.followed()]))

    def _replication(self) -> tuple[Replicator, Server]:
        parts, settings = self.parts, self.parts.settings
        hello = Hello(parts.domain.chain_id, parts.domain.registry, settings.agent, ("change", "proof"))
        replicating = settings.replicating
        if replicating.builder == Builder():
            replicating = replace(replicating, builder=Builder(spill=self._spills))
        replicator = Replicator(
            parts.runtime,
            Network(parts.transport, hello, parts.directory),
            self.chain,
            self.heads,
            parts.store.pages,
            settings=replicating,
            hooks=Hooks(accepted=self._accepted, chain_news=self._hinted),
        )
        server = Server(parts.runtime, hello, parts.served, self.heads, prover=self._prove, quotas=settings.quotas)
        parts.transport.on_request(server.handle)
        self.mending = Mending(parts, Asker(parts.transport, hello))
        return replicator, server

    def close(self) -> None:
        """Write down how far the chain was read, and close the file. The parts are the caller's.

        Raises `StoreError`.
        """
        if self.views is not None:
            self.views.release()
        try:
            self.watch.flush()
        finally:
            self.watcher.close()
            self._files.close()
            self._spills.close()

    # --- running ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Everything, until `stop`. What fails of it is told and tried again; what is a fault of ours ends it."""
        async with self.parts.runtime.nursery() as nursery:
            self._running = nursery
            for name, task in (
                ("chain", self._follow_chain),
                ("replication", self.replicator.run),
                ("union", self._make_unions),
                ("relay", self.uploads.relay),
                ("own", self.own.run),
                ("garbage", self.housekeeping.collect),
                ("mending", self.mending.run),
                ("views", self.housekeeping.make_views),
                ("peers", self._look_at_peers),
                ("directory", self.providing.run),
                ("checkpoints", self.watcher.run),
            ):
                nursery.start_soon(self._supervise, name, task)

    async def stop(self) -> None:
        """End `run`. From the loop that it runs in."""
        if self._running is not None:
            self._running.cancel()

    async def _supervise(self, name: str, task: Callable[[], Awaitable[None]]) -> None:
        """Run a task again when it fails for the disk's sake, or somebody else's: the others go on meanwhile."""
        while True:
            try:
                await task()
            except DkgError as error:
                self.parts.log("failed", task=name, why=str(error))
                self.mending.soon()
            except BaseExceptionGroup as group:
                known, others = group.split(DkgError)
                if known is None or others is not None:
                    raise
                self.parts.log("failed", task=name, why="; ".join(map(str, _leaves(known))))
            else:
                return  # there is nothing for it to do in this node
            await self.parts.runtime.sleep(RESTART_S)

    # --- the chain -------------------------------------------------------------------------------------------------

    def _stir(self) -> None:
        """Something may have come to the chain, or be there already: look soon. From where the runtime runs."""
        self._is_stirred = True
        self._news.set()

    async def _look(self, publisher: bytes) -> bool:
        """Look at the chain and at a publisher's keys, and whether that went well within a while.

        A look that is under way began too early.
        """
        runtime, wanted = self.parts.runtime, self._looks + 1
        self.watch.doubt(publisher)
        until = runtime.now() + LOOK_S
        self._stir()
        while self._looked < wanted and (left := until - runtime.now()) > 0:
            await runtime.wait(self._seen, left)
        return self._looked >= wanted and not self.watch.trouble

    def _hinted(self) -> None:
        """A peer says that there is news."""
        if self.parts.runtime.now() - self._looked_at >= self.parts.settings.news_s:
            self._news.set()

    async def _follow_chain(self) -> None:
        runtime, settings, watch = self.parts.runtime, self.parts.settings, self.watch
        failures = 0
        while True:
            self._news = runtime.event()
            self._looked_at = runtime.now()
            self._looks += 1
            trouble, was = watch.trouble, watch.condition
            view = await runtime.blocking(CHAIN_LANE, watch.step)
            if watch.trouble != trouble or watch.condition != was:
                self.parts.log("chain", condition=str(watch.condition), why=watch.trouble)
            if view is not self.chain.view or self._is_stirred:
                self._is_stirred = False
                await self._see(view)
            self._looked = self._looks
            self._seen.set()
            self._seen = runtime.event()
            failures = failures + 1 if watch.trouble else 0
            wait_s = min(settings.poll_max_s, settings.poll_s * 2 ** min(failures, 10))
            wait_s *= 0.75 + runtime.random.random() / 4
            if failures:
                await runtime.sleep(wait_s)
            else:
                await runtime.sleep(min(wait_s, settings.news_s))
                await runtime.wait(self._news, wait_s)

    def _chain_trouble(self) -> str:
        """What is wrong with the last look at the chain; empty if nothing is."""
        watch = self.watch
        return watch.trouble or (watch.checkpoints.trouble if watch.checkpoints is not None else "")

    async def _see(self, view: LogView) -> None:
        """Let everybody have a new view. Where the log is another one, what is kept is put right before."""
        before, runtime, is_first = self.chain.view, self.parts.runtime, not self._is_compared
        common = before.common(view)
        if not self._is_compared or common < before.length or self._concerns(view):
            told = await runtime.blocking(LANE, lambda: self._put_right(view, common))
        else:
            self.chain.view, told = view, []
        if common < before.length:
            self.parts.log(
                "went_back", commits=before.length - common, block=view.head.number if view.head else 0,
                now=view.length,
            )  # fmt: skip
        if is_first:
            self.providing.add(self.heads.after(b"", PENDING_MAX))
        self._tell(told)
        self.replicator.wake()
        self._wake_unions()
        self.watcher.wake()

    def _concerns(self, view: LogView) -> bool:
        """Whether an operation, or a dataset that waits for its commit, may have something new in this view."""
        if self.desk.unfinished() or self.shelf.staged():
            return True
        own = self.own.address
        return own is not None and view.latest(own) != self.chain.view.latest(own)

    def _put_right(self, view: LogView, common: int) -> list[Anchored]:
        """Drop what the log has no more, and keep what it has now; gives heads that are new here. In the lane."""
        if not self._is_compared and not self.chain.view.length:
            common = self.shelf.common(view)
        if not self._is_compared or common < self.chain.view.length:
            self._roll_back(common)
        self._is_compared = True
        self.chain.view = view
        self.shelf.learn(view)
        told = self.shelf.adopt(view)
        self.uploads.follow()
        return told + self.own.follow()

    # --- datasets and unions ---------------------------------------------------------------------------------------

    def _refused(self, committed: Committed, why: str) -> None:
        self.parts.log("refused", publisher=checksum(committed.publisher), seq=committed.commit.seq, why=why)

    def _accepted(self, report: Report) -> None:
        head = report.head
        self.parts.log(
            "accepted", publisher=checksum(head.publisher), seq=head.seq, pages=report.pages,
            bytes=report.page_bytes, by_change=report.by_change, seconds=round(report.seconds, 3),
        )  # fmt: skip
        self._wake_unions()
        self.watcher.arrived()

    def _tell(self, heads: list[Anchored]) -> None:
        for head in heads:
            self.replicator.tell(head)
        self.providing.add(heads)

    def _wake_unions(self) -> None:
        self._changed.set()

    async def _make_unions(self) -> None:
        runtime = self.parts.runtime
        while True:
            self._changed = runtime.event()
            if await runtime.blocking(LANE, self.unions.advance):
                row = self.shelf.rows("union")[0]
                self.parts.log("union", root=cid_text(row.root), position=row.position)
            while await runtime.blocking(LANE, self.unions.make_asked):
                pass
            await runtime.wait(self._changed, LOOK_S)

    # --- peers -----------------------------------------------------------------------------------------------------

    async def _prove(self, peer: str, asked: GetProof) -> bytes:
        """See `node.replication.serve.Prover`."""
        job = Prove(
            root=asked.root,
            text=asked.query,
            dataset=Dataset(asked.default_graphs, asked.named_graphs),
            base_iri=asked.base_iri,
            now=asked.now,
        )
        self._proofs += 1
        lane = f"prove {self._proofs % PROVE_LANES}"
        with self.leases.reading(asked.root):
            done = await self.parts.runtime.blocking(
                lane, lambda: self.parts.runner.run_sync(job, client=f"peer {peer}")
            )
        return done.body

    async def _look_at_peers(self) -> None:
        parts = self.parts
        while True:
            if parts.about_peers is not None:
                connected = parts.about_peers()
            else:
                connected = [PeerStatus(peer) for peer in parts.transport.peers()]
            told = [(peer, *self.replicator.known(peer.id)) for peer in connected]
            self._about_peers = [replace(peer, agent=agent, heads=heads) for peer, agent, heads in told]
            self._troubles = self.replicator.trouble
            await parts.runtime.sleep(PEERS_S)

    # --- publishing ------------------------------------------------------------------------------------------------

    async def publish_signed(self, ticket: Ticket, commit: SignedCommit, car: bytes, *, relay: bool) -> Operation:
        """See `Service.publish_signed`."""
        made = await self.uploads.take(ticket, commit, car, relay=relay)
        self._wake_unions()
        there = self.chain.view.commit(commit.commit.publisher, commit.commit.seq)
        if there is not None and self.shelf.held(there.publisher, self.chain.view) == there:
            self._tell([anchored(there)])
        return made

    async def publish_rdf(self, ticket: Ticket, name: str, data: bytes, rdf_format: str, said: Said) -> Operation:
        """See `Service.publish_rdf`."""
        return await self.own.publish(ticket, name, data, rdf_format, said)

    async def retract(self, ticket: Ticket, name: str, reason: str | None) -> Operation:
        """See `Service.retract`."""
        return await self.own.retract(ticket, name, reason)

    async def commit_private(self, ticket: Ticket, name: str, commitment: str | None) -> Operation:
        """See `Service.commit_private`."""
        return await self.own.commit_private(ticket, name, commitment)

    def status(self) -> dict[str, object]:
        """See `Service.status`."""
        return status_of(self)


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one
