"""Datasets: four trees over one set of quads, and the page that names them (docs/formats.md, section 5).

Everything here takes and gives quads; keys, orders and trees stay inside. Nothing here does I/O: pages go to a
`PageStore`, sorted runs to a `Spill`, and the trees may be built side by side by a `Runner` (`dkg.client.parallel`).
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

from dkg.build import build_tree
from dkg.diff import diff_trees
from dkg.normal import require_normal
from dkg.page import ORDERS, DatasetRoot
from dkg.pages import PageSink
from dkg.scan import Cursor, scan
from dkg.sorting import KeySorter, Spill, merge_runs, require_places
from dkg.terms import key_of, keys_are_quads, quad_of, quads_only
from dkg.update import update_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dkg.pages import Pages, PageStore
    from dkg.terms import Quad

    TreeJob = Callable[["PageSink", "Tick"], tuple[bytes, int]]
    """Builds one tree into a sink; gives its root and its count."""

    Tick = Callable[[int], None]
    """Told that so many more keys have been put into pages."""

REBUILD_FROM: Final = 20_000
"""Changes from which it pays to merge a dataset with them and build it anew; see `update_pays`."""

_REBUILD_PART: Final = 4


class Progress(NamedTuple):
    """How far a build is. `phase` is "read" (quads taken) or "build" (keys put into pages, of four trees)."""

    phase: str
    done: int
    total: int | None


class Runner(Protocol):
    """Runs the jobs that build trees, one after the other or side by side."""

    def __call__(
        self, jobs: list[TreeJob], store: PageStore, sample: list[bytes], tick: Tick
    ) -> list[tuple[bytes, int]]:
        """The results of the jobs, in their order. `sample`: some keys of spog that show what the data is like."""


@runtime_checkable
class MakesSinks(Protocol):
    """A store that takes pages better through a sink of its own."""

    def sink(self) -> PageSink:
        """A new sink; `flush` brings what is pending into the store."""


def sink_of(store: PageStore) -> PageSink:
    """A sink into a store."""
    return store.sink() if isinstance(store, MakesSinks) else PageSink(store)


def run_in_turn(jobs: list[TreeJob], store: PageStore, sample: list[bytes], tick: Tick) -> list[tuple[bytes, int]]:
    """The `Runner` that runs one job after the other, here."""
    del sample
    sink = sink_of(store)
    results = [job(sink, tick) for job in jobs]
    sink.flush()
    return results


def build_dataset(
    batches: Iterable[list[Quad]],
    store: PageStore,
    *,
    onto: tuple[Pages, bytes] | None = None,
    without: Iterable[Quad] = (),
    normal: bool = False,
    spill: Spill | None = None,
    run: Runner = run_in_turn,
    progress: Callable[[Progress], None] | None = None,
) -> bytes:
    """Build the dataset of all quads in `batches`, in any order, duplicates dropped; gives its root.

    `onto`: a dataset (its pages and its root) whose quads are in it too, other than those of `without`. `normal`:
    the quads are known to be in normal form, as those of `dkg.rdf` are; else each term is checked once. `spill`:
    where sorted runs go when they do not fit in `dkg.sorting.CHUNK_BYTES`; without it all is sorted in memory.

    Raises `RdfError` for what is no quad and `NormalFormError` for one off its normal form; what a store raises.
    """
    tell = progress or (lambda _: None)
    sorter = KeySorter(spill, normal=normal)
    for batch in batches:
        sorter.add(batch)
        tell(Progress("read", sorter.taken, None))
    old = onto[0].root(onto[1]) if onto else None
    gone = list(without)
    total = len(ORDERS) * (sorter.taken + (old.count if old else 0))
    done = 0

    def tick(keys: int) -> None:
        nonlocal done
        done += keys
        tell(Progress("build", done, total))

    def job_of(at: int, order: str) -> TreeJob:
        def job(sink: PageSink, tick: Tick) -> tuple[bytes, int]:
            batches = sorter.keys(order)
            if onto and old:
                before = scan(onto[0], old.trees[at])
                kept = _all_but(before, {key_of(quad, order) for quad in gone}) if gone else before
                batches = merge_runs([_joined(kept), batches])
            return build_tree(_ticking(batches, tick), sink)

        return job

    built = run([job_of(at, order) for at, order in enumerate(ORDERS)], store, sorter.sample(_SAMPLE_KEYS), tick)
    return _finish(built, sink_of(store))


_SAMPLE_KEYS: Final = 16_000
_JOINED_KEYS: Final = 4096


def _ticking(batches: Iterable[list[bytes]], tick: Tick) -> Iterator[list[bytes]]:
    for batch in batches:
        yield batch
        tick(len(batch))


def _joined(batches: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
    """The same keys in fewer, larger batches."""
    pending: list[bytes] = []
    for batch in batches:
        pending += batch
        if len(pending) >= _JOINED_KEYS:
            yield pending
            pending = []
    yield pending


def _all_but(batches: Iterable[list[bytes]], gone: set[bytes]) -> Iterator[list[bytes]]:
    return ([key for key in batch if key not in gone] for batch in batches)


def _finish(trees: list[tuple[bytes, int]], sink: PageSink) -> bytes:
    """Keep the page that names the four trees; gives its CID."""
    counts = {count for _, count in trees}
    if len(counts) != 1:
        raise RuntimeError(f"the four indexes of one dataset came out with {sorted(counts)} quads")
    root = sink.add(DatasetRoot([tree for tree, _ in trees], counts.pop()))
    sink.flush()
    return root


def update_dataset(pages: Pages, root: bytes, add: Iterable[Quad], remove: Iterable[Quad], store: PageStore) -> bytes:
    """The root of a dataset with quads taken out and then put in; a quad in both is in the result.

    Quads to add that are there and quads to remove that are not change nothing. Large changes are merged with the
    dataset, which is then built anew: the root is the same either way. Raises what `build_dataset` raises.
    """
    old = pages.root(root)
    come = set(add)
    require_places(list(come))
    require_normal({term for quad in come for term in quad})
    gone = set(remove) - come
    if not update_pays(old.count, len(come) + len(gone)):
        return build_dataset([list(come)], store, onto=(pages, root), without=gone, normal=True)
    come -= set(_present(pages, old.trees[0], come))
    gone = set(_present(pages, old.trees[0], gone))
    if not come and not gone:
        return root
    sink = sink_of(store)
    trees = []
    for order, tree in zip(ORDERS, old.trees, strict=True):
        new, less = {key_of(quad, order) for quad in come}, {key_of(quad, order) for quad in gone}
        trees.append(update_tree(pages, tree, new, less, sink))
    fresh = sink.add(DatasetRoot(trees, old.count + len(come) - len(gone)))
    sink.flush()
    return fresh


def update_pays(count: int, changes: int) -> bool:
    """Whether so many changes to a dataset of `count` quads cost less page by page than building it anew."""
    return changes < max(REBUILD_FROM, count // _REBUILD_PART) and count > changes // _REBUILD_PART


def _present(pages: Pages, tree: bytes, wanted: Iterable[Quad]) -> Iterator[Quad]:
    """Those of the quads that are in a tree of spog."""
    keys = sorted((key_of(quad, "spog"), quad) for quad in wanted)
    cursor = Cursor(pages, tree)
    end = b""
    held: list[bytes] = []
    for key, quad in keys:
        if key >= end:
            leaf, end = cursor.leaf(key)
            held = leaf.keys
        at = bisect_left(held, key)
        if at < len(held) and held[at] == key:
            yield quad


def diff_datasets(pages: Pages, old: bytes, new: bytes) -> Iterator[tuple[list[Quad], list[Quad]]]:
    """Batches of (quads only in `old`, quads only in `new`), in the order of spog, skipping what is shared."""
    trees = pages.root(old).trees[0], pages.root(new).trees[0]
    for went, came in diff_trees(pages, *trees):
        yield _quads(went), _quads(came)


def quads(pages: Pages, root: bytes) -> Iterator[list[Quad]]:
    """All quads of a dataset, in the order of spog, a few at a time."""
    return (_quads(keys) for keys in scan(pages, pages.root(root).trees[0]))


def nquads(pages: Pages, root: bytes) -> Iterator[bytes]:
    """A dataset as canonical N-Quads, in the order of spog, in pieces of whole lines."""
    for batch in quads(pages, root):
        yield b"".join([b"%b %b %b %b .\n" % quad for quad in batch])


def _quads(keys: list[bytes]) -> list[Quad]:
    """The quads of keys of spog; a key that is no quad is none (DESIGN section 5)."""
    good = keys if keys_are_quads(keys, "spog") else quads_only(keys, "spog")
    return [quad_of(key, "spog") for key in good]


def sample_pages(keys: list[bytes], pages_max: int) -> list[bytes]:
    """Pages of all four trees over some keys of spog, as bytes: what a compressor is trained with."""
    store = _Bytes()
    rows = [quad_of(key, "spog") for key in keys]
    build_dataset([rows], store, normal=True)
    step = max(1, len(store.pages) // pages_max)
    return list(islice(store.pages, 0, None, step))


class _Bytes:
    """Collects the bytes of pages."""

    def __init__(self) -> None:
        self.pages: list[bytes] = []

    def get(self, cid: bytes) -> bytes | None:
        """Nothing is ever read."""
        del cid
        return None

    def put_many(self, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """See `PageStore.put_many`."""
        self.pages += [raw for _, raw in pages]
