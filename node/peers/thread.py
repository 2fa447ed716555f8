"""A trio loop in a thread of its own, and the bridge to it: for callers that run on asyncio, or in any thread.

    with PeerThread() as peers:
        transport = peers.start(transport.run)
        peers.call(transport.connect, address)                       # from a thread
        await asyncio.wrap_future(peers.submit(transport.find, root))  # on asyncio

(STACK, section 1.2: uvicorn in the main thread and trio in another is the fastest of four ways, and stops cleanly.)
"""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import trio

from dkg.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

Result = TypeVar("Result")

STOP_S: Final = 15.0
"""How long the loop may take to end, in seconds."""


class PeerThread:
    """See the module. Used with `with`, or with `open` and `close`; neither is to be called from the loop."""

    def __init__(self, name: str = "peers") -> None:
        self._name = name
        self._thread: threading.Thread | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._nursery: trio.Nursery | None = None
        self._lock = threading.Lock()
        self._pending: set[Future[Any]] = set()
        self._failure: BaseException | None = None

    def open(self) -> None:
        """Start the thread and its loop."""
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._main, args=(ready,), name=self._name)
        self._thread.start()
        ready.result()

    def _main(self, ready: Future[None]) -> None:
        try:
            trio.run(self._serve, ready)
        except BaseException as error:  # noqa: BLE001 - raised by `close`
            self._failure = error
            if not ready.done():
                ready.set_exception(error)
        finally:
            with self._lock:
                self._nursery = None
                pending, self._pending = self._pending, set()
            for future in pending:
                if not future.done():
                    future.set_exception(StoreError("the peers' thread ended before this was done"))

    async def _serve(self, ready: Future[None]) -> None:
        async with trio.open_nursery() as nursery:
            self._token = trio.lowlevel.current_trio_token()
            self._nursery = nursery
            ready.set_result(None)
            await trio.sleep_forever()

    def submit(self, work: Callable[..., Awaitable[Result]], *args: object) -> Future[Result]:
        """Run a coroutine function in the loop; what it gives, or raises, is in the future.

        Cancelling the future cancels the work. Raises `StoreError` when the loop does not run.
        """
        future: Future[Result] = Future()
        with self._lock:
            if self._nursery is None or self._token is None:
                raise StoreError("the peers' thread does not run")
            self._pending.add(future)
            self._token.run_sync_soon(self._nursery.start_soon, self._run, future, work, args)
        return future

    async def _run(self, future: Future[Any], work: Callable[..., Awaitable[object]], args: tuple[object, ...]) -> None:
        try:
            if not future.set_running_or_notify_cancel():
                return
            result = await work(*args)
        except Exception as error:  # noqa: BLE001 - it is whoever waits for the future that must see it
            future.set_exception(error)
        except BaseException:
            future.set_exception(CancelledError())
            raise
        else:
            future.set_result(result)
        finally:
            self._pending.discard(future)

    def call(self, work: Callable[..., Awaitable[Result]], *args: object) -> Result:
        """The same, and wait for it. Not from the loop itself."""
        return self.submit(work, *args).result()

    def start(self, service: Callable[..., Awaitable[object]]) -> None:
        """Start something that runs for ever and says when it is ready (trio's `task_status`); returns then.

        Raises what it raises before. What it raises later ends the loop, and `close` raises it.
        """

        async def started() -> None:
            if self._nursery is None:
                raise StoreError("the peers' thread does not run")
            await self._nursery.start(service)

        self.call(started)

    def spawn(self, service: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start something that runs for ever. What it raises ends the loop, and `close` raises it."""

        async def spawned() -> None:
            if self._nursery is None:
                raise StoreError("the peers' thread does not run")
            self._nursery.start_soon(service, *args)

        self.call(spawned)

    def close(self) -> None:
        """End all that runs in the loop, and the thread. Raises what ended the loop, if that was an error."""
        thread = self._thread
        if thread is None:
            return
        with self._lock:
            if self._nursery is not None and self._token is not None:
                self._token.run_sync_soon(self._nursery.cancel_scope.cancel)
        thread.join(STOP_S)
        if thread.is_alive():
            raise StoreError(f"the peers' thread did not end within {STOP_S:.0f} s")
        self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
