"""`run`: the node as a process. Threads, sockets, signals, and the order in which all of it begins and ends.

| thread            | what runs there                                                               |
|-------------------|-------------------------------------------------------------------------------|
| main              | asyncio (uvloop): HTTP, and the pipes of the workers                          |
| `peers`           | trio: libp2p, and the coroutines of `NodeCore`                                |
| trio's own        | the lanes of `NodeCore`: the disk, the chain, transactions                    |

It can be killed at any moment: what was acknowledged is on the disk, and the next start goes on from there.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
import time
from contextlib import AsyncExitStack, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import uvloop

from dkg.client.endpoints import reader_of
from dkg.client.rpc import Waiting
from dkg.client.store import SqliteStore
from dkg.errors import DkgError, InputError
from node.core.bridge import Bridge, release
from node.core.core import NodeCore
from node.core.events import LEVELS, EventLog, LoggingHandler
from node.core.makeview import make_view
from node.core.memory import few_pools, give_back_now_and_then
from node.core.nobody import Nobody
from node.core.parts import Parts
from node.core.statusfile import StatusFile
from node.home import Home
from node.peers.runtime import TrioRuntime
from node.peers.settings import PeerSettings
from node.peers.thread import PeerThread
from node.peers.transport import Libp2pTransport
from node.publish.errors import PublishError
from node.storage import NodeStore
from node.storage.store import VIEWS
from node.workers.pool import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from dkg.client.settings import ChainSettings
    from node.config import Config
    from node.core.publishing import Publishing
    from node.http import Server
    from node.http.knowing import NodeKnowledge
    from node.private.assets import PrivateAssets
    from node.serving import PeerStatus, Service

PEERS_DIRECTORY: Final = "peers"

STOP_S: Final = 30.0
"""How long stopping may take, in seconds; then the process ends as if it had been killed, which loses nothing."""

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class StoppingError(PublishError):
    """The node stops; what was under way goes on when it starts again."""


def run(
    config: Config,
    *,
    ready: Callable[[dict[str, Any]], None] | None = None,
    event: Callable[[str, dict[str, object]], None] | None = None,
) -> int:
    """Run a node until SIGINT or SIGTERM; the exit status. A second signal does not wait for requests under way.

    `ready`: told where it answers, once it does. `event`: told each event that is logged, in any thread. Raises
    `InputError` and `StoreError` if it cannot start.
    """
    few_pools()  # before there is a second thread, which would have one of its own
    with _logging(config) as log:
        log.listener = event
        log("starting", version=release(), pid=os.getpid(), directory=str(config.directory))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            process = Process(config, log, ready)
            status = runner.run(process.run())
        log("stopped", status=status)
    return status


@contextmanager
def _logging(config: Config) -> Iterator[EventLog]:
    """The log, which takes what libraries say too."""
    log = EventLog(
        config.log_file,
        level=config["node.log_level"],
        bytes_max=config["node.log_bytes"],
        files=config["node.log_files"],
        clock=time.time,
    )
    handler, root = LoggingHandler(log), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(LEVELS[config["node.log_level"]])
    try:
        yield log
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        log.close()


class Process:
    """One run of a node."""

    def __init__(self, config: Config, log: EventLog, ready: Callable[[dict[str, Any]], None] | None) -> None:
        self._config = config
        self._log = log
        self._ready = ready
        self._started = time.time()
        self._stop = asyncio.Event()
        self._halt = threading.Event()
        self._server: Server | None = None
        self._workers: Workers | None = None
        self._transport: Libp2pTransport | None = None

    async def run(self) -> int:
        """Start, run, stop. Gives the exit status."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._signalled)
        deadline = threading.Timer(STOP_S, self._give_up)
        deadline.daemon = True
        try:
            async with AsyncExitStack() as stack:
                core = await self._start(stack)
                trimming = asyncio.ensure_future(give_back_now_and_then())
                failed = await self._until_stopped(core)
                trimming.cancel()
                self._halt.set()
                deadline.start()
            return 1 if failed else 0
        finally:
            deadline.cancel()
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def _signalled(self) -> None:
        if self._stop.is_set() and self._server is not None:
            self._server.hurry()
        self._stop.set()

    def _give_up(self) -> None:
        self._log("stop_forced", why=f"stopping took longer than {STOP_S:.0f} s")
        self._log.flush()
        os._exit(1)

    async def _until_stopped(self, core: Future[None]) -> bool:
        """Until a signal comes, or the core fails; whether it failed."""
        running = asyncio.wrap_future(core)
        stopped = asyncio.ensure_future(self._stop.wait())
        both: list[asyncio.Future[Any]] = [running, stopped]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not running.done():
            return False
        error = running.exception()
        self._log("died", why=repr(error))
        return True

    # --- starting --------------------------------------------------------------------------------------------------

    async def _start(self, stack: AsyncExitStack) -> Future[None]:
        """Start everything; gives the core under way. What was started is stopped by the stack, last in first out."""
        config, directory = self._config, self._config.directory
        chain = config.chain()
        store = stack.enter_context(NodeStore(directory, quota_bytes=config.quota_bytes()))
        status = StatusFile(directory, {"started": int(self._started), "state": "starting", "version": release()})
        stack.callback(status.remove)
        (directory / VIEWS).mkdir(exist_ok=True)
        workers = self._workers = Workers(directory, config.workers(), readable=[directory / VIEWS])
        loop, opened = asyncio.get_running_loop(), ExitStack()
        opening = loop.run_in_executor(None, self._open_core, opened, chain, store, workers)
        try:
            await workers.start()  # a process takes as long to start as the core does
        finally:
            core, thread = await opening
            stack.enter_context(opened)
        await self._open_peers(thread)
        under_way = thread.submit(core.run)
        stack.push_async_callback(self._end_core, thread, core, under_way)
        stack.push_async_callback(workers.close)
        url = await self._open_http(stack, core, thread, workers)
        addresses = self._transport.addresses if self._transport else []
        facts: dict[str, Any] = {"http": url, "peers": addresses, "seconds": round(time.time() - self._started, 3)}
        status.update(state="running", **facts)
        stack.callback(lambda: status.update(state="stopping"))
        gc.freeze()  # programs stay: looking through them for garbage now and then would hold up answers
        self._log("running", **facts)
        if self._ready is not None:
            self._ready(facts)
        return under_way

    def _open_core(
        self, stack: ExitStack, chain: ChainSettings, store: NodeStore, workers: Workers
    ) -> tuple[NodeCore, PeerThread]:
        """The core and its thread, not yet running. What was opened is closed again if this fails."""
        with ExitStack() as opened:
            made = self._opened_core(opened, chain, store, workers)
            stack.push(opened.pop_all().__exit__)
            return made

    def _opened_core(
        self, stack: ExitStack, chain: ChainSettings, store: NodeStore, workers: Workers
    ) -> tuple[NodeCore, PeerThread]:
        config, directory = self._config, self._config.directory
        served, browsed, public = (stack.enter_context(SqliteStore(directory, read_only=True)) for _ in range(3))
        key = self._open_publishing(stack, chain)
        thread = PeerThread()
        stack.enter_context(thread)
        reader = reader_of(chain.endpoints, chain.need)
        stack.callback(reader.close)

        async def made() -> NodeCore:
            transport = self._make_transport(chain)
            return NodeCore(
                Parts(
                    runtime=TrioRuntime(),
                    clock=time.time,
                    monotonic=time.monotonic,
                    domain=chain.domain,
                    store=store,
                    served=served,
                    browsed=browsed,
                    public=public,
                    reader=reader,
                    transport=transport or Nobody(),
                    directory=transport,
                    runner=workers,
                    log=self._log,
                    settings=config.core(chain),
                    payer=key.payer if key is not None else None,
                    own=key.own if key is not None else None,
                    hand=key.hand if key is not None else None,
                    make_view=(lambda root: make_view(directory, root, store.quota_bytes)) if config.views else None,
                    views=directory / VIEWS if config.views else None,
                    soon=lambda call: thread.submit(_later, call),
                    about_peers=self._about_peers,
                )
            )

        core = thread.call(made)
        stack.callback(self._close_core, core)
        return core, thread

    def _make_transport(self, chain: ChainSettings) -> Libp2pTransport | None:
        config = self._config
        if not config["peers.enabled"]:
            return None
        try:
            settings = PeerSettings(
                chain_id=chain.chain_id,
                registry=chain.domain.registry,
                directory=config.directory / PEERS_DIRECTORY,
                listen=config["peers.listen"],
                announce=config["peers.announce"],
                bootstrap=config["peers.bootstrap"],
                mdns=config["peers.mdns"],
                kademlia=config["peers.kademlia"],
                gossip=config["peers.gossip"],
                slots=config.slots(),
            )
        except InputError as error:
            raise InputError(f"[peers] of {config.source}: {error}") from error
        self._transport = Libp2pTransport(settings)
        return self._transport

    def _open_publishing(self, stack: ExitStack, chain: ChainSettings) -> Publishing | None:
        """The key of the home, and what it is for."""
        config = self._config
        is_for = config["publish.own"] or config["publish.relay"] or (chain.checkpoints and config["checkpoints.watch"])
        if not config["publish.home"] or not is_for:
            return None
        from node.core.publishing import open_publishing  # noqa: PLC0415 - most nodes hold no key

        waiting = Waiting(sleep=self._sleep)
        made = open_publishing(Home.find(config["publish.home"]), chain, config, waiting)
        stack.enter_context(made.closing)
        return made

    def _sleep(self, seconds: float) -> None:
        """How transactions wait: not while the node stops."""
        if self._halt.wait(seconds):
            raise StoppingError("the node stops; it goes on when it starts again")

    async def _open_peers(self, thread: PeerThread) -> None:
        transport = self._transport
        if transport is not None:
            await asyncio.get_running_loop().run_in_executor(None, thread.start, transport.run)

    async def _open_http(
        self, stack: AsyncExitStack, core: NodeCore, thread: PeerThread, workers: Workers
    ) -> str | None:
        if not self._config["http.enabled"]:
            return None
        from node.http import Server, make_app  # noqa: PLC0415 - a node without HTTP needs none of it
        from node.http.app import context_of  # noqa: PLC0415 - as above

        settings = self._config.http()
        service = Bridge(core, thread, self._about)
        private = self._open_private(stack, service)
        app = make_app(service, workers, settings, time.time, private=private, log=self._log)
        if self._config["retrieval.enabled"]:
            context_of(app).known = await self._open_retrieval(stack, service)
        self._server = Server(app, settings)
        await stack.enter_async_context(self._server)
        return self._server.url

    def _open_private(self, stack: AsyncExitStack, service: Service) -> PrivateAssets:
        """What is private, in its own directory, and who looks after it."""
        from node.private.assets import PrivateAssets  # noqa: PLC0415 - as above
        from node.private.keeping import Keeper  # noqa: PLC0415 - as above
        from node.private.vault import Vault  # noqa: PLC0415 - as above

        vault = Vault(self._config.directory, time.time)
        stack.callback(vault.close)
        keeping = asyncio.create_task(Keeper(vault, service, time.time, self._log).run())

        async def end() -> None:
            keeping.cancel()
            await asyncio.wait([keeping])

        stack.push_async_callback(end)
        return PrivateAssets(vault)

    async def _open_retrieval(self, stack: AsyncExitStack, service: Service) -> NodeKnowledge:
        """What questions in words are answered from; its index is made in a thread from here on."""
        config, loop = self._config, asyncio.get_running_loop()
        try:
            from node.http.knowing import DIRECTORY, NodeKnowledge  # noqa: PLC0415 - an extra
        except ModuleNotFoundError as error:
            raise InputError(
                f"retrieval.enabled of {config.source} needs the package {error.name}: pip install 'dkg[retrieval]'"
            ) from error
        known = await loop.run_in_executor(
            None,
            lambda: NodeKnowledge(
                service,
                loop,
                config.directory,
                policy=config["retrieval.policy"],
                model=config["retrieval.model"],
                embedder=config["retrieval.embedder"],
                index=config.directory / DIRECTORY,
                told=lambda error: self._log("retrieval.index", why=str(error)),
            ),
        )

        async def end() -> None:
            await loop.run_in_executor(None, known.close)

        stack.push_async_callback(end)
        return known

    # --- what is told ----------------------------------------------------------------------------------------------

    def _about(self) -> dict[str, Any]:
        """What the process adds to the node's status. On the event loop."""
        workers, transport = self._workers, self._transport
        state = workers.state() if workers is not None else None
        traffic = transport.traffic if transport is not None else None
        return {
            "process": {"pid": os.getpid(), "started": int(self._started), "threads": threading.active_count()},
            "workers": {"all": state.workers, "idle": state.idle, "waiting": state.waiting} if state else None,
            "network": {
                "id": transport.id,
                "addresses": transport.addresses,
                "sent_bytes": traffic.sent,
                "received_bytes": traffic.received,
                "served_bytes": traffic.served,
                "restarts": transport.restarts,
            }
            if transport is not None and traffic is not None
            else None,
        }

    def _about_peers(self) -> list[PeerStatus]:
        """Who is connected. In the peers' thread."""
        return self._transport.about() if self._transport is not None else []

    # --- stopping --------------------------------------------------------------------------------------------------

    async def _end_core(self, thread: PeerThread, core: NodeCore, under_way: Future[None]) -> None:
        """End what the core does; what is being written is written, and whoever waits for an endpoint is hung up on."""
        await asyncio.get_running_loop().run_in_executor(None, core.parts.reader.close)
        if not under_way.done():
            await asyncio.wrap_future(thread.submit(core.stop))
            await asyncio.wait([asyncio.wrap_future(under_way)])

    def _close_core(self, core: NodeCore) -> None:
        try:
            core.close()
        except DkgError as error:
            self._log("failed", task="close", why=str(error))


async def _later(call: Callable[[], None]) -> None:
    call()
