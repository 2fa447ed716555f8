"""The union that a checkpoint is about: a function of the registry's log, the marks, and pages (formats, section 12).

Of each publisher that commit counts which is the last one without a mark among its last eight (`counting`), and of its
dataset the keys of spog that are short, shown and its own (`node.checkpoints.cover`). Where a node's own union is made
of the same datasets, and nothing in them is special, it is the same union, and costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.checkpoints.owners import permute
from dkg.checkpoints.records import counting_commit
from dkg.dataset import update_pays
from dkg.diff import diff_trees
from dkg.errors import InputError
from dkg.page import ORDERS
from dkg.scan import count_range, scan
from node.checkpoints.cover import edited, owned
from node.union import Union, build_union, graphs_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from dkg.chain.log import RegistryLog
    from dkg.chain.registry import Committed
    from dkg.chain.ual import Publisher
    from dkg.pages import Pages, PageStore, StoredPages

CHANGES_MAX: Final = 250_000
"""Most changed keys held in memory; for more, the covers are merged in a stream."""

_SPOG, _GSPO = 0, ORDERS.index("gspo")


def counting(log: RegistryLog, position: int, marked: Container[int]) -> dict[bytes, Committed]:
    """The commit of each publisher that counts at a position; those of whom nothing counts are left out.

    `marked`: positions of the commits that the first marks name (`dkg.checkpoints.records.marked_among`). Raises
    `InputError` for a position that the log has not.
    """
    if not 0 <= position <= len(log.entries):
        raise InputError(f"the log has {len(log.entries)} entries: there is no position {position}")
    found = ((who, counting_commit(log, who, position, marked)) for who in log.publishers)
    return {who: one for who, one in found if one is not None}


def union_of(
    pages: StoredPages, covers: Mapping[Publisher, bytes], store: PageStore, old: Union | None = None
) -> Union:
    """The union of covers, by publisher. What is made goes to `store`.

    `old`: another union of covers, whose pages and whose covers' pages are in `pages`; then what differs decides what
    this costs. The root is the same either way.
    """
    if old is None:
        return build_union(pages, covers, store)
    if covers == old.datasets:
        return old
    come: set[bytes] = set()
    gone: set[bytes] = set()
    count = pages.root(old.root).count
    for went, came in _changes(pages, old, covers):
        gone.update(went)
        come.update(came)
        if len(come) + len(gone) > CHANGES_MAX or not update_pays(count, len(come) + len(gone)):
            return build_union(pages, covers, store)
    return Union(edited(pages, old.root, come, gone, store), dict(covers))


def _changes(pages: Pages, old: Union, covers: Mapping[Publisher, bytes]) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Keys of spog that go from a union, and that come to it."""
    for publisher in sorted(old.datasets.keys() | covers.keys(), key=lambda one: one.address):
        was, now = old.datasets.get(publisher), covers.get(publisher)
        if was == now:
            continue
        if was is None or now is None:
            keys = (owned(some, publisher) for some in _own(pages, now or was or b"", publisher))
            yield from (([], some) if was is None else (some, []) for some in keys)
            continue
        for went, came in diff_trees(pages, pages.root(was).trees[_SPOG], pages.root(now).trees[_SPOG]):
            yield owned(went, publisher), owned(came, publisher)


def _own(pages: Pages, cover: bytes, publisher: Publisher) -> Iterator[list[bytes]]:
    """The keys of spog that a cover has of its publisher."""
    for keys in scan(pages, pages.root(cover).trees[_GSPO], *graphs_of(publisher)):
        yield [permute(key, ORDERS[_GSPO], ORDERS[_SPOG]) for key in keys]


class Coverage(NamedTuple):
    """How much of a publisher's dataset is in the union, in quads."""

    covered: int
    others: int


def coverage(pages: Pages, union: bytes, publisher: Publisher, quads: int) -> Coverage:
    """How much of a dataset of so many quads is in the union. Reads a few pages, however large they are."""
    covered = count_range(pages, pages.root(union).trees[_GSPO], *graphs_of(publisher))
    return Coverage(covered, max(0, quads - covered))
