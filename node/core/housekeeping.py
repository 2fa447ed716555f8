"""What a node does now and then: garbage, views, and what was waited for in vain."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from dkg.client.collect import Phase
from dkg.errors import DkgError, PageError, StoreError
from dkg.page import cid_text
from dkg.pages import StoredPages
from node.replication.fetch import LANE
from node.storage import Views
from node.storage.retention import dropped
from node.union_keeper import UNION

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.client.collect import Collection
    from node.core.desk import Desk
    from node.core.leases import Leases
    from node.core.parts import Parts
    from node.core.shelf import Shelf
    from node.core.uploads import Uploads
    from node.storage import Usage

VIEW_LANE: Final = "views"
DAY_S: Final = 86_400

PAUSE_S: Final = 0.01
"""Between two steps of a collection, so that others get the lane."""

COPYING_S: Final = 5.0
"""Wait while the store is being copied."""

DEFER_MAX: Final = 24
"""How often a collection waits for datasets that are being fetched, whose pages it might take."""

LOOK_S: Final = 60.0
"""Longest time between two looks at how much room there is."""

FULL_SHARE: Final = 0.9
"""Of the quota: from there on garbage is collected sooner."""


class Housekeeping:
    """See the module."""

    def __init__(
        self,
        parts: Parts,
        shelf: Shelf,
        desk: Desk,
        uploads: Uploads,
        leases: Leases,
        fetching: Callable[[], bool],
    ) -> None:
        """`fetching`: whether datasets are being brought over."""
        self._parts = parts
        self._shelf = shelf
        self._desk = desk
        self._uploads = uploads
        self._leases = leases
        self._fetching = fetching
        self.release_views: Callable[[], None] = lambda: None
        """Lets go of views that are held for questions to come, before views are deleted."""
        self._wanted_views: dict[bytes, None] = {}
        self._failed_views: dict[bytes, str] = {}
        self._held: dict[bytes, ExitStack] = {}
        self.collected: dict[str, int] = {}
        """What the last collection did."""
        self.usage: Usage | None = None
        """What the directory took of the disk when it was looked at last."""

    # --- garbage ---------------------------------------------------------------------------------------------------

    async def collect(self) -> None:
        """Collect garbage now and then, for ever; sooner when the quota is nearly used up."""
        runtime, settings = self._parts.runtime, self._parts.settings
        last, deferred = runtime.now(), 0
        while True:
            try:
                usage = self.usage = await runtime.blocking(LANE, self._parts.store.usage)
                full = usage.quota is not None and usage.used > FULL_SHARE * usage.quota
                await runtime.sleep(min(LOOK_S, settings.collect_s) * (0.75 + runtime.random.random() / 2))
                if not full and runtime.now() - last < settings.collect_s:
                    continue
                if self._fetching() and not full and deferred < DEFER_MAX:
                    deferred += 1
                    continue
                last, deferred = runtime.now(), 0
                await runtime.blocking(LANE, self._tidy)
                await self._collect()
            except StoreError as error:
                self._parts.log("not_collected", why=str(error))
                await runtime.sleep(LOOK_S)

    def _tidy(self) -> None:
        """Forget what was waited for in vain, and operations of long ago. In the lane."""
        settings, now = self._parts.settings, int(self._parts.clock())
        before = now - settings.upload_days * DAY_S
        self._uploads.give_up(before)
        self._shelf.give_up_staged(before)
        self._desk.forget(now - max(settings.operation_days, settings.upload_days + 1) * DAY_S)

    async def _collect(self) -> None:
        runtime = self._parts.runtime
        collection = await runtime.blocking(LANE, self._begin)
        while (phase := await runtime.blocking(LANE, collection.step)) is not Phase.DONE:
            await runtime.sleep(COPYING_S if phase is Phase.WAITING else PAUSE_S)
        report = collection.report
        self.collected = report._asdict()
        self._parts.log("collected", **self.collected)

    def _begin(self) -> Collection:
        """Show what is to go no more, hold what is being read of it, and begin. In the lane."""
        store, retention = self._parts.store, self._parts.settings.retention
        now = int(self._parts.clock())
        self._shelf.without(dropped(store.kept(), retention, now))
        self._hold(self._leases.roots())
        try:
            return store.collection(retention, now=now)
        finally:
            self._shelf.refresh()

    def _hold(self, leased: set[bytes]) -> None:
        """Hold these roots from one collection to the next, and let go of others. In the lane."""
        for root in self._held.keys() - leased:
            self._held.pop(root).close()
        for root in leased - self._held.keys():
            held = ExitStack()
            try:
                held.enter_context(self._parts.store.holding(root))
            except StoreError:  # it was not kept any more when it was named
                continue
            self._held[root] = held

    # --- views -----------------------------------------------------------------------------------------------------

    def want_view(self, root: bytes) -> None:
        """Somebody asked this root something plainly. From any thread."""
        if self._parts.make_view is not None and self._is_newest(root):
            self._wanted_views[root] = None

    def view_failed(self, root: bytes, why: str) -> None:
        """A view cannot be read: it is put away, and another is made. From any thread."""
        self._failed_views[root] = why
        self.want_view(root)

    def has_failed(self, root: bytes) -> bool:
        """Whether there is a view of a root that cannot be read."""
        return root in self._failed_views

    def _is_newest(self, root: bytes) -> bool:
        """Whether a root is the newest of its name: of older ones no view is made."""
        return any(rows[0].root == root for rows in self._shelf.kept.values())

    async def make_views(self) -> None:
        """Make the views that are wanted, one after the other, for ever."""
        runtime, settings, make = self._parts.runtime, self._parts.settings, self._parts.make_view
        while make is not None:
            await runtime.sleep(settings.view_s)
            for root, why in list(self._failed_views.items()):
                await self._put_away(root, why)
            wanted, self._wanted_views = list(self._wanted_views)[::-1], {}
            for root in wanted[: settings.views]:
                if self._is_newest(root) and await runtime.blocking(LANE, lambda root=root: self._pays(root)):  # type: ignore[misc]
                    await self._make_view(make, root)

    async def _put_away(self, root: bytes, why: str) -> None:
        """Put a view away that cannot be read."""
        runtime, views = self._parts.runtime, self._parts.views
        try:
            self.release_views()
            if views is not None:
                await runtime.blocking(VIEW_LANE, lambda: Views(views, self._parts.served).discard(root))
        except StoreError as error:
            why = f"{why}; {error}"
        else:
            self._failed_views.pop(root, None)
        self._parts.log("view_failed", root=cid_text(root), why=why)

    def _pays(self, root: bytes) -> bool:
        """Whether a view would be faster than the pages. In the lane."""
        try:
            quads = StoredPages(self._parts.store.pages, 1).root(root).count
        except (StoreError, PageError):
            return False
        return quads >= self._parts.settings.view_quads_min

    async def _make_view(self, make: Callable[[bytes], object], root: bytes) -> None:
        runtime, store, views = self._parts.runtime, self._parts.store, self._parts.views
        try:
            with ExitStack() as held:
                await runtime.blocking(LANE, lambda: held.enter_context(store.holding(root)))
                await runtime.blocking(VIEW_LANE, lambda: make(root))
            if views is not None:
                self.release_views()
                await runtime.blocking(VIEW_LANE, lambda: Views(views, self._parts.served).prune(self._current()))
        except DkgError as error:
            self._parts.log("no_view", why=str(error))

    def _current(self) -> set[bytes]:
        """The roots whose views stay: what is read now, and the newest of the union and of those that have one."""
        newest = {rows[0].root for name, rows in self._shelf.kept.items() if name == UNION}
        return newest | self._leases.roots()
