"""The node's union brought forward, and unions of some publishers for those who ask for them.

The union moves to the latest position of the log at which every dataset that counts is here. A publisher whose dataset
nobody has would hold it up for ever, and anybody can commit to data that does not exist; so after a while
(`patience_s`) it is made without that publisher, which every answer shows, until the dataset is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from dkg.chain.secp import checksum
from dkg.pages import StoredPages
from node.core.shelf import SUBSET, address_of
from node.core.view import dataset_root
from node.union import Union, build_union, update_union
from node.union_keeper import UNION, publisher_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dkg.chain.registry import Committed
    from dkg.chain.ual import Publisher
    from node.core.heads import CoreChain
    from node.core.parts import Parts
    from node.core.shelf import Shelf
    from node.core.view import LogView
    from node.storage import Kept
    from node.union import Outside

SCAN_S: Final = 5.0
"""Least time between two searches, back through the log, for a position that the union could move to."""

SUBSET_SHARE: Final = 0.2
"""Of the lane's time, how much unions of some publishers may take."""

_CACHED_PAGES: Final = 4_000


@dataclass(slots=True)
class Missing:
    """A commit whose dataset is wanted and not here. `since`: seconds of a clock that never goes back."""

    committed: Committed
    since: float


class Unions:
    """See the module. Changed in one lane."""

    def __init__(self, parts: Parts, chain: CoreChain, shelf: Shelf, wake: Callable[[], object]) -> None:
        """`wake`: has `make_asked` called soon; called from any thread."""
        self.wake = wake
        self._parts = parts
        self._chain = chain
        self._shelf = shelf
        self._scanned_at = -SCAN_S
        self._rests_until = 0.0
        self._done: tuple[object, ...] = ()
        self.missing: dict[bytes, Missing] = {}
        """By publisher."""
        self.outside: dict[bytes, Outside] = {}
        """By publisher, quads of the newest dataset that are not in the union."""
        self.asked: dict[str, tuple[bytes, ...]] = {}
        """Unions of some publishers that somebody waits for, by name."""

    # --- the union -------------------------------------------------------------------------------------------------

    def advance(self) -> bool:
        """Bring the union forward; whether it changed. Raises `StoreError`."""
        view = self._chain.view
        members = self._members(view)
        done = view.log, self._shelf.refused, self._shelf.kept, tuple(members)
        if self._is_done(done):
            return False
        position = self._position(view, members)
        if position is None:
            return False
        before = self._shelf.rows(UNION)[:1]
        made = self._shelf.keeper.advance(view.log, members, position=position, marked=self._shelf.marked(view))
        for publisher, what in made.outside.items():
            self.outside[publisher.address] = what
            self._parts.log(
                "outside", publisher=checksum(publisher.address), quads=what.count, graph=what.graph.decode()
            )
        self._shelf.reread(UNION)
        self._done = view.log, self._shelf.refused, self._shelf.kept, tuple(members)
        return self._shelf.rows(UNION)[:1] != before

    def _is_done(self, done: tuple[object, ...]) -> bool:
        """Whether nothing has changed since the union was made."""
        return (
            len(done) == len(self._done)
            and all(a is b for a, b in zip(done[:3], self._done[:3], strict=True))
            and (done[3] == self._done[3])
        )

    def _members(self, view: LogView) -> list[bytes]:
        """Whose datasets the union has; those that have been waited for long enough are left out."""
        now = self._parts.monotonic()
        found: list[bytes] = []
        missing: dict[bytes, Missing] = {}
        for publisher in self._chain.followed():
            wanted = self._shelf.wanted(publisher, view)
            if wanted is not None and not self._shelf.has(wanted):
                before = self.missing.get(publisher)
                missing[publisher] = Missing(wanted, before.since if before else now)
                if now - missing[publisher].since >= self._parts.settings.patience_s:
                    continue
            found.append(publisher)
        self.missing = missing
        return found

    def _position(self, view: LogView, members: list[bytes]) -> int | None:
        """The latest position at which all that counts is here; None if the union is there already."""
        late = [publisher for publisher in members if publisher in self.missing]
        if not late:
            return view.length
        now = self._parts.monotonic()
        if now - self._scanned_at < SCAN_S:
            return None
        self._scanned_at = now
        rows = self._shelf.rows(UNION)
        least = rows[0].position if rows else 0
        at = _back(view, self._shelf, members, late, least)
        return at if at > least or not rows else None

    # --- of some publishers ----------------------------------------------------------------------------------------

    def make_asked(self) -> bool:
        """Make one of the unions that somebody waits for; False if that is not to be done now. Raises `StoreError`.

        Anybody can ask for them, so that they may take a small part of the time only (`SUBSET_SHARE`).
        """
        since = self._parts.monotonic()
        if not self.asked or since < self._rests_until:
            return False
        name, publishers = next(iter(self.asked.items()))
        self.asked.pop(name, None)
        self._make(name, publishers)
        now = self._parts.monotonic()
        self._rests_until = now + (now - since) * (1 / SUBSET_SHARE - 1)
        return True

    def _make(self, name: str, publishers: tuple[bytes, ...]) -> None:
        view, shelf = self._chain.view, self._shelf
        held = {publisher: shelf.held(publisher, view) for publisher in publishers}
        found = {publisher: one for publisher, one in held.items() if one is not None}
        position = moment_of(view, shelf, list(found.values()))
        if position is None or len(found) < len(publishers):
            return  # what is here is of no one moment: it is made when the rest has come
        before = shelf.rows(name)[:1]
        inputs = {publisher_name(publisher): dataset_root(one) for publisher, one in found.items()}
        if not before or dict(before[0].inputs) != inputs:
            datasets = {shelf.keeper.publisher(publisher): dataset_root(one) for publisher, one in found.items()}
            union = self._union(before[0] if before else None, datasets)
            time = view.log.entries[position - 1].time
            shelf.store.keep(name, union, position=position, at=time, inputs=inputs)
            shelf.reread(name)
        self._evict(name)

    def _union(self, old: Kept | None, datasets: Mapping[Publisher, bytes]) -> bytes:
        store = self._shelf.store.pages
        pages = StoredPages(store, _CACHED_PAGES)
        if old is None:
            return build_union(pages, datasets, store).root
        known = {self._shelf.keeper.publisher(address_of(name)): root for name, root in old.inputs.items()}
        return update_union(pages, Union(old.root, known), datasets, store).root

    def _evict(self, newest: str) -> None:
        """Keep as many as the settings say; those that were asked for first go."""
        names = [name for name in self._shelf.kept if name.startswith(SUBSET) and name != newest]
        for name in names[: max(0, len(names) + 1 - self._parts.settings.subsets_max)]:
            self._shelf.forget(name)


def subset_name(publishers: Sequence[bytes]) -> str:
    """The name that the union of some publishers is kept under."""
    return SUBSET + sha256(b"".join(publishers)).hexdigest()[:32]


def moment_of(view: LogView, shelf: Shelf, held: list[Committed]) -> int | None:
    """The latest position at which just these commits count, one of each publisher; None if there is none."""
    position = view.length
    for one in held:
        following = shelf.wanted(one.publisher, view)
        while following is not None and following != one:
            before = shelf.before(following, view)
            if before == one:
                position = min(position, following.position)
            following = before
    return position if all(one.position < position for one in held) else None


def _back(view: LogView, shelf: Shelf, members: list[bytes], late: list[bytes], least: int) -> int:
    """The latest position, `least` at the lowest, at which every commit that counts is of a dataset that is here.

    From the end of the log back, an entry at a time, keeping count of those that are not.
    """
    followed, bad = {*members}, {*late}
    at = view.length
    while bad and at > least:
        at -= 1
        gone = view.log.entries[at]
        if gone.publisher not in followed or shelf.is_refused(gone):
            continue
        bad.discard(gone.publisher)
        before = shelf.before(gone, view)
        if before is not None and not shelf.has(before):
            bad.add(gone.publisher)
    return at
