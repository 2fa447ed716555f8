"""Keeping a node's union up to date: what `node.union` says, with the node's store and its memory of what it did.

The order of things is safe at any point of a crash: pages, then the root that needs them. What is done again after
one gives the same pages and the same root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.chain.secp import ADDRESS_BYTES
from dkg.chain.ual import Publisher
from dkg.client.database import FullError
from dkg.client.spill import FileSpill
from dkg.errors import StoreError
from dkg.pages import StoredPages
from node.storage import Refused
from node.union import Union, build_union, dataset_of, latest_whole, outside, update_union
from node.union_check import CheckedDataset, DatasetRefusedError, check_dataset

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from dkg.chain.commit import Domain
    from dkg.chain.log import RegistryLog
    from dkg.chain.registry import Committed
    from node.storage import Kept, NodeStore
    from node.union import Outside

UNION: Final = "union"
"""The name that unions are kept under."""

_PUBLISHER: Final = "publisher:0x"
_CACHED_PAGES: Final = 4_000


def publisher_name(address: bytes) -> str:
    """The name that a publisher's datasets are kept under."""
    return _PUBLISHER + address.hex()


@dataclass(frozen=True, slots=True)
class Advanced:
    """Where the union is after a step."""

    union: Union
    position: int
    """Entries of the log that the union is a function of."""
    missing: tuple[Committed, ...]
    """Commits that would count further on, and whose datasets are not here: the union waits for them."""
    outside: Mapping[Publisher, Outside]
    """Quads that are not in the union, of the datasets that changed."""


class UnionKeeper:
    """The datasets and the union of one node. Like its store, for one thread at a time."""

    def __init__(self, store: NodeStore, domain: Domain) -> None:
        self._store = store
        self._domain = domain

    def publisher(self, address: bytes) -> Publisher:
        """A publisher of this node's registry."""
        return Publisher(self._domain.chain_id, self._domain.registry, address)

    def accept(self, committed: Committed) -> CheckedDataset:
        """Check the dataset of a commit, and keep it. Its root page and what differs in its spog are in the store.

        Raises `DatasetRefusedError` for a malformed dataset, which is remembered; `StoreError` when a page is missing.
        """
        root, publisher = dataset_of(committed), committed.publisher
        name = publisher_name(publisher)
        for refused in self._store.refused():
            if refused.root == root:
                raise DatasetRefusedError(refused.reason)
        kept = self._store.kept(name)
        checked = self._checked(kept, root, committed)
        if not any(one.root == root and one.position == committed.position + 1 for one in kept):
            self._store.keep(name, root, position=committed.position + 1, at=committed.time)
        return checked

    def _checked(self, kept: list[Kept], root: bytes, committed: Committed) -> CheckedDataset:
        pages = StoredPages(self._store.pages, 1)
        if any(one.root == root for one in kept):
            return CheckedDataset(root, pages.root(root).count, 0)
        try:
            with FileSpill(self._store.directory) as spill:
                return check_dataset(self._store.pages, kept[0].root if kept else None, root, spill=spill)
        except DatasetRefusedError as error:
            self._store.refuse(Refused(root, committed.publisher, str(error), committed.time))
            raise

    def current(self) -> tuple[Union, int] | None:
        """The newest union that is kept, and from which position on it counts; None before the first."""
        kept = self._store.kept(UNION)
        return (self._union_of(kept[0]), kept[0].position) if kept else None

    def _union_of(self, kept: Kept) -> Union:
        datasets = {self.publisher(_address(name)): root for name, root in kept.inputs.items()}
        return Union(kept.root, datasets)

    def advance(
        self,
        log: RegistryLog,
        publishers: Iterable[bytes],
        *,
        position: int | None = None,
        marked: Collection[int] = (),
    ) -> Advanced:
        """Bring the union to a position of the log, or as near to it as datasets are here; and keep it.

        It never goes back for want of a dataset. `position`: None for the log's end. `marked`: see `counting`. After
        a reorganisation of the chain, first `NodeStore.roll_back`. Raises `StoreError`.
        """
        followed = list(publishers)
        target = len(log.entries) if position is None else position
        refused = {one.root for one in self._store.refused()}
        was = self.current()
        kept: dict[bytes, set[bytes]] = {}
        at, found, missing = latest_whole(
            log, target, followed, marked=marked, refused=refused, here=lambda one: self._is_here(one, was, kept)
        )
        if was is not None and at < was[1] <= target:
            return Advanced(*was, tuple(missing), {})
        datasets = {self.publisher(address): dataset_of(one) for address, one in found.items()}
        union = self._made(was, datasets)
        if was is None or union != was[0] or at < was[1]:
            inputs = {publisher_name(publisher.address): root for publisher, root in datasets.items()}
            time = log.entries[at - 1].time if at else 0
            self._store.keep(UNION, union.root, position=at, at=time, inputs=inputs)
        return Advanced(union, at, tuple(missing), self._outside(was, datasets))

    def _is_here(self, one: Committed, was: tuple[Union, int] | None, kept: dict[bytes, set[bytes]]) -> bool:
        """`kept`: by publisher the roots that are kept, as far as they were read."""
        root, who = dataset_of(one), one.publisher
        if was is not None and was[0].datasets.get(self.publisher(who)) == root:
            return True
        if who not in kept:
            kept[who] = {row.root for row in self._store.kept(publisher_name(who))}
        return root in kept[who]

    def _made(self, was: tuple[Union, int] | None, datasets: Mapping[Publisher, bytes]) -> Union:
        pages = StoredPages(self._store.pages, _CACHED_PAGES)
        if was is not None:
            try:
                return update_union(pages, was[0], datasets, self._store.pages)
            except FullError:
                raise
            except StoreError:
                # Pages of an older dataset may be gone for good; what is new is whole, and enough.
                if self._store.pages.database.broken:
                    raise
        return build_union(pages, datasets, self._store.pages)

    def _outside(self, was: tuple[Union, int] | None, datasets: Mapping[Publisher, bytes]) -> dict[Publisher, Outside]:
        before = was[0].datasets if was else {}
        pages = StoredPages(self._store.pages, _CACHED_PAGES)
        changed = {publisher: root for publisher, root in datasets.items() if before.get(publisher) != root}
        found = {publisher: outside(pages, root, publisher) for publisher, root in changed.items()}
        return {publisher: what for publisher, what in found.items() if what is not None}


def _address(name: str) -> bytes:
    address = bytes.fromhex(name.removeprefix(_PUBLISHER))
    if len(address) != ADDRESS_BYTES:
        raise StoreError(f"the state of the node has a union made of {name!r}, which is no publisher")
    return address
