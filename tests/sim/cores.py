"""Simulated nodes that are whole: the real `NodeCore` with its store on disk, in virtual time.

`CoreNode` is one of them: it starts, stops, crashes at any point where it waits or writes, and starts again from what
its directory has. `CoreNet` is all of them, their chain, and time.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dkg.client.rpc import ChainError
from dkg.errors import DkgError, StoreError
from node.core.core import NodeCore
from node.core.parts import Parts
from node.core.settings import CoreSettings
from node.publish.errors import RejectedError
from node.replication.replicator import Settings as Replicating
from node.storage import NodeStore, Retention, Rule
from node.workers.inprocess import InProcess
from tests.sim.faults import Faults
from tests.sim.ledger import DOMAIN, Ledger, RevertError, SimReader
from tests.sim.loop import Loop, SimRuntime
from tests.sim.transport import SimNet, SimTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import TypeVar

    from dkg.chain.commit import SignedCommit
    from node.core.parts import Attempts
    from tests.sim.loop import SimEvent, SimNursery

    Result = TypeVar("Result")

EPOCH = 1_800_000_000
DEPTH = 4

SETTINGS = CoreSettings(
    finality_depth=DEPTH,
    poll_s=2.0,
    poll_max_s=15.0,
    news_s=0.5,
    retention=Retention(Rule(count=2), {"subset:": Rule(count=1), "staged:": Rule(count=1)}),
    patience_s=45.0,
    collect_s=20.0,
    lease_s=5.0,
    retry_s=1.0,
    replicating=Replicating(look_s=5.0, entropy_s=20.0, entropy_missing_s=2.0, retry_s=1.0, retry_max_s=20.0),
)


class SimCrash(BaseException):
    """The power went."""


class NodeDiedError(Exception):
    """The node that was asked is no more."""


@dataclass
class Disk:
    """What goes wrong with a node's disk. Asked whenever something is about to be written, in either database."""

    crash_after: int = -1
    """Writes after which the machine stops; below 0: never."""
    fails: bool = False
    """Whether nothing can be written."""
    writes: int = 0
    faults: Faults = field(default_factory=Faults)

    def write(self) -> None:
        self.writes += 1
        if self.fails:
            self.faults.add("A3 writes refused")
            raise StoreError("the disk refuses to be written to")
        if self.crash_after >= 0:
            self.crash_after -= 1
            if self.crash_after < 0:
                self.faults.add("A2 crashes while writing")
                raise SimCrash


@dataclass
class SimPayer:
    """See `node.core.parts.Payer`: the pool of the simulated chain."""

    ledger: Ledger
    reader: SimReader
    sent: list[bytes] = field(default_factory=list)

    def relay(self, signed: SignedCommit, attempts: Attempts) -> bytes | None:
        attempts.load()
        if self.reader.down:
            raise ChainError("the endpoint is down")
        if any(one.commit == signed.commit for one in self.ledger.commits()):
            return None
        try:
            self.ledger.send(signed)
        except RevertError as error:
            raise RejectedError(str(error)) from error
        self.sent.append(signed.commit.root)
        return signed.commit.root


class CoreNode:
    """One node."""

    def __init__(self, net: CoreNet, name: str, *, settings: CoreSettings = SETTINGS, pays: bool = True) -> None:
        self.net = net
        self.name = name
        self.settings = settings
        self.directory = net.folder / name
        self.disk = Disk(faults=net.net.faults)
        self.disk_s = 0.0
        self.skew_s = 0.0
        self.reader = SimReader(net.ledger, faults=net.net.faults)
        self.payer = SimPayer(net.ledger, self.reader) if pays else None
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.starts = 0
        self.crashes = 0
        self.change: Callable[[Parts], Parts] = lambda parts: parts
        """Changes what the node is made of."""
        self._core: NodeCore | None = None
        self._nursery: SimNursery | None = None
        self._died: SimEvent | None = None
        self.transport: SimTransport | None = None
        self.links: list[str] | None = None
        """Whom it is connected with; None: everybody."""

    @property
    def core(self) -> NodeCore:
        assert self._core is not None, f"{self.name} is down"
        return self._core

    @property
    def is_up(self) -> bool:
        return self._core is not None

    def log(self, event: str, **facts: object) -> None:
        self.events.append((event, facts))
        self.net.trace(self.name, event, facts)

    def start(self) -> None:
        """Start it in the background."""
        assert not self.is_up
        self.net.nursery.start_soon(self._live)

    async def _live(self) -> None:
        runtime = SimRuntime(self.net.loop, f"{self.name} {self.starts}", self.disk_s)
        self.starts += 1
        self._died = runtime.event()
        graceful = False
        store = None
        try:
            store = NodeStore(self.directory, reserve_bytes=0)
            self._watch_disk(store)
            self._core = NodeCore(self._parts(runtime, store))
            self.net.trace(self.name, "start", {"view": self._core.chain.view.length})
            self.net.on_start(self)
            async with runtime.nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._core.run)
            graceful = self.crashes < 0
        except SimCrash:
            self.net.trace(self.name, "crash", {})
        except BaseExceptionGroup as group:
            if group.split(SimCrash)[1] is not None:
                raise
            self.net.trace(self.name, "crash", {})
        except StoreError as error:
            self.net.trace(self.name, "cannot start", {"why": str(error)})
        finally:
            del graceful
            self._end(store)

    def _end(self, store: NodeStore | None) -> None:
        if self.transport is not None:
            self.transport.up = False
        core, self._core, self._nursery = self._core, None, None
        if core is not None:
            core._files.close()
            core._spills.close()
        if store is not None:
            store.close()
        self.disk.crash_after, self.disk.fails = -1, False
        if self._died is not None:
            self._died.set()

    def _watch_disk(self, store: NodeStore) -> None:
        """Ask `disk` before every transaction."""
        for database in (store.pages.database, store._state.database):

            def asked(required: Callable[[], None] = database.require_writable) -> None:
                required()
                self.disk.write()

            database.require_writable = asked  # type: ignore[method-assign]

    def _parts(self, runtime: SimRuntime, store: NodeStore) -> Parts:
        self.transport = SimTransport(self.net.net, self.name, runtime, self.links)
        loop = self.net.loop
        made = Parts(
            runtime=runtime,
            clock=lambda: EPOCH + loop.time + self.skew_s,
            monotonic=lambda: loop.time,
            domain=DOMAIN,
            store=store,
            served=store.pages,
            browsed=store.pages,
            public=store.pages,
            reader=self.reader,
            transport=self.transport,
            runner=InProcess(store.pages),
            log=self.log,
            settings=self.settings,
            payer=self.payer,
        )
        return self.change(made)

    def crash(self) -> None:
        """The machine stops, wherever it waits."""
        assert self._nursery is not None
        self.crashes += 1
        self.net.net.faults.add("A2 crashes while waiting")
        self.net.trace(self.name, "killed", {})
        self._nursery.cancel()

    def stop(self) -> None:
        """It is told to end, and does so in order."""
        self.core.close()
        assert self._nursery is not None
        self.net.trace(self.name, "stopped", {})
        self._nursery.cancel()

    async def call(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Ask this node something. Raises what it raises, and `NodeDiedError` when it dies meanwhile."""
        nursery, died = self._nursery, self._died
        if nursery is None or died is None:
            raise NodeDiedError(self.name)
        runtime = self.core.parts.runtime
        came = runtime.event()
        answers: list[Result] = []
        errors: list[DkgError] = []

        async def answer() -> None:
            try:
                answers.append(await work())
            except DkgError as error:
                errors.append(error)
            came.set()

        nursery.start_soon(answer)
        while not answers and not errors:
            if not self.is_up or self._nursery is not nursery:
                raise NodeDiedError(self.name)
            await runtime.wait(came, 0.5)
        if errors:
            raise errors[0]
        return answers[0]


class CoreNet:
    """Nodes, their chain, and time. `run` drives a coroutine with all of it."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.loop = Loop(seed)
        self.rng = self.loop.rng
        self.net = SimNet(self.loop)
        self.ledger = Ledger(EPOCH, DEPTH)
        self.folder = folder / f"seed{seed}"
        self.nodes: list[CoreNode] = []
        self.runtime = SimRuntime(self.loop, "world")
        self.on_start: Callable[[CoreNode], None] = lambda _node: None
        self._trace = sha256()
        self.lines: list[str] = []
        self._nursery: SimNursery | None = None

    @property
    def nursery(self) -> SimNursery:
        assert self._nursery is not None
        return self._nursery

    def node(self, name: str, **more: Any) -> CoreNode:  # noqa: ANN401 - of `CoreNode`
        made = CoreNode(self, name, **more)
        self.nodes.append(made)
        return made

    def trace(self, name: str, event: str, facts: dict[str, Any]) -> None:
        """What happened, in order: one seed is one trace."""
        line = f"{self.loop.time:.6f} {name} {event} {sorted(facts.items())}"
        self._trace.update(line.encode())
        self.lines.append(line)

    @property
    def digest(self) -> str:
        return self._trace.hexdigest()

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run `main`, and end all nodes when it has ended."""

        async def everything() -> None:
            async with self.runtime.nursery() as nursery:
                self._nursery = nursery
                await main()
                nursery.cancel()

        try:
            self.loop.run(everything)
        finally:
            for node in self.nodes:
                if node._core is not None:
                    node._end(node._core.parts.store)
            shutil.rmtree(self.folder, ignore_errors=True)

    async def blocks(self, every_s: float = 3.0) -> None:
        """Mine, for ever."""
        while True:
            await self.runtime.sleep(every_s * (0.5 + self.rng.random()))
            self.ledger.mine(int(EPOCH + self.loop.time))
