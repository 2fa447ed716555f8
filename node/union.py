"""The union: all quads of the publishers that are followed, each in its publisher's own graphs, as one dataset.

What the union is at a position of the registry's log is a pure function of the log's first `position` entries and of
the publishers' datasets (DESIGN section 5): of each publisher its latest commit there counts (`counting`), and of that
dataset the quads whose graph begins with the publisher's prefix (`Publisher.prefix`). Graphs are therefore disjoint,
and a set of quads has one tree: any two nodes come to the same root, whatever came first and however it was put
together. `build_union` says what the root is; `update_union` gives the same from an older union, in time and pages
proportional to the change.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.build import build_tree
from dkg.dataset import diff_datasets, sink_of, update_dataset, update_pays
from dkg.errors import InputError
from dkg.page import CID_PREFIX, ORDERS, DatasetRoot
from dkg.scan import LAST, count_range, scan
from dkg.sorting import merge_runs
from dkg.terms import quad_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from dkg.chain.log import RegistryLog
    from dkg.chain.registry import Committed
    from dkg.chain.ual import Publisher
    from dkg.pages import Pages, PageStore
    from dkg.terms import Quad

CHANGES_MAX: Final = 250_000
"""Most changed quads held in memory; for more, the datasets are merged in a stream and all trees are built anew."""

_JOINED_KEYS: Final = 4096
_GSPO: Final = ORDERS.index("gspo")


# Which commits count


def counting(
    log: RegistryLog,
    position: int,
    publishers: Iterable[bytes],
    *,
    marked: Collection[int] = (),
    refused: Collection[bytes] = (),
) -> dict[bytes, Committed]:
    """The commit of each publisher that counts when the log has `position` entries; those without one are left out.

    `marked`: positions of commits that the log itself has by then marked invalid or unavailable. `refused`: CIDs of
    datasets that are malformed, which is a function of their pages alone. Before either, the commit before counts.
    Raises `InputError` for a position that the log has not.
    """
    if not 0 <= position <= len(log.entries):
        raise InputError(f"the log has {len(log.entries)} entries: there is no position {position}")
    found: dict[bytes, Committed] = {}
    for publisher in publishers:
        one = log.head_at(publisher, position)
        while one is not None and (one.position in marked or dataset_of(one) in refused):
            one = _prior(log, one)
        if one is not None:
            found[publisher] = one
    return found


def _prior(log: RegistryLog, one: Committed) -> Committed | None:
    """The commit of the same publisher before one."""
    return log.entries[one.prior_position] if one.commit.seq > 1 else None


class Whole(NamedTuple):
    """A position at which every dataset that counts is here."""

    position: int
    counting: dict[bytes, Committed]
    missing: list[Committed]
    """Commits that would count further on, and whose datasets are not here."""


def latest_whole(
    log: RegistryLog,
    position: int,
    publishers: Iterable[bytes],
    *,
    marked: Collection[int] = (),
    refused: Collection[bytes] = (),
    here: Callable[[Committed], bool],
) -> Whole:
    """The latest position, up to a given one, at which every dataset that counts is here.

    Looks at each entry of the log once at most, however far it has to go back. `here`: asked once for each commit.
    """
    found = counting(log, position, publishers, marked=marked, refused=refused)
    newest = [(-one.position, publisher) for publisher, one in found.items()]
    heapify(newest)
    waits = [one for one in found.values() if not here(one)]
    missing: list[Committed] = []
    while waits:
        missing += waits
        position = min(one.position for one in waits)
        waits = []
        while newest and -newest[0][0] >= position:
            _, publisher = heappop(newest)
            one: Committed | None = found.pop(publisher)
            while one is not None and (
                one.position >= position or one.position in marked or dataset_of(one) in refused
            ):
                one = _prior(log, one)
            if one is not None:
                found[publisher] = one
                heappush(newest, (-one.position, publisher))
                waits += [] if here(one) else [one]
    return Whole(position, found, missing)


def dataset_of(committed: Committed) -> bytes:
    """The CID of the dataset that a commit names."""
    return CID_PREFIX + committed.commit.root


# Which quads count


def graphs_of(publisher: Publisher) -> tuple[bytes, bytes]:
    """The range of graph names, as terms, that a publisher owns: from the first to before the second."""
    low = b"<" + publisher.prefix.encode()
    return low, low[:-1] + bytes([low[-1] + 1])


@dataclass(frozen=True, slots=True)
class Outside:
    """Quads of a publisher's dataset in graphs that are not the publisher's: not in the union. `graph`: the first."""

    count: int
    graph: bytes


def outside(pages: Pages, root: bytes, publisher: Publisher) -> Outside | None:
    """What of a dataset is not in the union; None if all of it is. Reads a few pages, however large the dataset is."""
    dataset = pages.root(root)
    tree = dataset.trees[_GSPO]
    low, high = graphs_of(publisher)
    count = dataset.count - count_range(pages, tree, low, high)
    if not count:
        return None
    keys = next(scan(pages, tree, b"", low), None) or next(scan(pages, tree, high, LAST))
    return Outside(count, quad_of(keys[0], "gspo")[3])


# The union


@dataclass(frozen=True, slots=True)
class Union:
    """A union and the datasets that it is a function of, by publisher. `root`: CID of its dataset."""

    root: bytes
    datasets: Mapping[Publisher, bytes]


def build_union(pages: Pages, datasets: Mapping[Publisher, bytes], store: PageStore) -> Union:
    """The union of datasets, from nothing: all quads are read, in bounded memory. This is what a union is.

    What is made goes to `store`; nothing is where the union is one of the datasets.
    """
    alone = _alone(pages, datasets)
    if alone is not None:
        return Union(alone, dict(datasets))
    sink = sink_of(store)
    trees: list[bytes] = []
    count = 0
    for at, order in enumerate(ORDERS):
        runs = [_owned_keys(pages, pages.root(root).trees[at], order, owner) for owner, root in datasets.items()]
        tree, count = build_tree(merge_runs([_joined(run) for run in runs]), sink)
        trees.append(tree)
    root = sink.add(DatasetRoot(trees, count))
    sink.flush()
    return Union(root, dict(datasets))


def _alone(pages: Pages, datasets: Mapping[Publisher, bytes]) -> bytes | None:
    """The dataset of the only publisher there is, if all of it counts: then it is the union, as they are one set."""
    if len(datasets) != 1:
        return None
    ((publisher, root),) = datasets.items()
    return root if outside(pages, root, publisher) is None else None


def update_union(pages: Pages, union: Union, datasets: Mapping[Publisher, bytes], store: PageStore) -> Union:
    """The union of `datasets`, made from another union.

    Where much has changed it is built from nothing; the root is the same. The pages of the union and of its changed
    datasets must be in `pages`, as well as those of the new ones; what is made goes to `store`.
    """
    if datasets == union.datasets:
        return union
    alone = _alone(pages, datasets)
    if alone is not None:
        return Union(alone, dict(datasets))
    count = pages.root(union.root).count
    come: set[Quad] = set()
    gone: set[Quad] = set()
    for went, came in _changes(pages, union, datasets):
        gone.update(went)
        come.update(came)
        changes = len(come) + len(gone)
        if changes > CHANGES_MAX or (changes and not update_pays(count, changes)):
            return build_union(pages, datasets, store)
    return Union(update_dataset(pages, union.root, come, gone, store), dict(datasets))


def _changes(
    pages: Pages, union: Union, datasets: Mapping[Publisher, bytes]
) -> Iterator[tuple[list[Quad], list[Quad]]]:
    """What goes from the union, and what comes to it, a few quads at a time."""
    for publisher in union.datasets.keys() | datasets.keys():
        old, new = union.datasets.get(publisher), datasets.get(publisher)
        low, high = graphs_of(publisher)
        if old == new:
            continue
        if new is None:
            yield from ((_quads(keys), []) for keys in scan(pages, pages.root(union.root).trees[_GSPO], low, high))
        elif old is None:
            yield from (([], _quads(keys)) for keys in scan(pages, pages.root(new).trees[_GSPO], low, high))
        else:
            for went, came in diff_datasets(pages, old, new):
                yield [q for q in went if low <= q[3] < high], [q for q in came if low <= q[3] < high]


def _quads(keys: list[bytes]) -> list[Quad]:
    """The quads of keys of gspo, of a dataset that was checked."""
    return [quad_of(key, "gspo") for key in keys]


def _owned_keys(pages: Pages, tree: bytes, order: str, publisher: Publisher) -> Iterator[list[bytes]]:
    """The keys of a tree whose graph is the publisher's."""
    low, high = graphs_of(publisher)
    if order == "gspo":
        yield from scan(pages, tree, low, high)
        return
    for keys in scan(pages, tree):
        yield [key for key in keys if key.startswith(low, key.rindex(b"\0", 0, -1) + 1)]


def _joined(batches: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
    """The same keys in fewer, larger batches."""
    held: list[bytes] = []
    for batch in batches:
        held += batch
        if len(held) >= _JOINED_KEYS:
            yield held
            held = []
    if held:
        yield held
