"""What checkpoints cover of a publisher's dataset, as a dataset of its own: docs/formats.md, section 12.

Most datasets are covered as a whole, and are their own cover. Where keys or pages are long, or a dataset is not what
nodes keep (indexes that disagree, keys that are no quads in normal form, other cuts), its cover is made: the trees, cut
by the rules, of the keys that are short and reached through showable pages of spog. It is a function of those pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.build import build_tree
from dkg.checkpoints.owners import has_shape, permute
from dkg.checkpoints.shown import Kind, classify
from dkg.dataset import sink_of, update_pays
from dkg.diff import diff_trees
from dkg.errors import StoreError
from dkg.limits import KEY_MAX, SHOW_MAX
from dkg.page import ORDERS, DatasetRoot, Inner, Leaf, cid_text, decode
from dkg.pages import StoredPages
from dkg.sorting import CHUNK_BYTES, merge_runs
from dkg.update import update_tree
from node.union import graphs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from dkg.chain.ual import Publisher
    from dkg.pages import PageStore
    from dkg.sorting import Spill

KNOWN_MAX: Final = 500_000
"""Pages of which it is remembered what is not covered below them."""

_BATCH_KEYS: Final = 2048
_CACHED_PAGES: Final = 4_000
_SPOG: Final = ORDERS[0]


class Left(NamedTuple):
    """What is not covered below a page: keys in all, and whether some of them are behind a long page."""

    keys: int
    hidden: bool


_NOTHING: Final = Left(0, False)  # noqa: FBT003 - the field's order


class Leftovers:
    """Finds what checkpoints do not cover of datasets that were checked, and that a store has as a whole.

    What was found below a page is remembered, so that the next dataset costs what differs in it.
    """

    def __init__(self, store: PageStore) -> None:
        self._store = store
        self._known: dict[bytes, Left] = {}

    def of(self, root: bytes) -> Left:
        """What is not covered of a dataset. Raises `StoreError`."""
        page = StoredPages(self._store, 1).root(root)
        if len(self._known) > KNOWN_MAX:
            self._known.clear()
        return self._below(page.trees[0], page.count)

    def _below(self, cid: bytes, count: int) -> Left:
        known = self._known.get(cid)
        if known is not None:
            return known
        raw = _raw(self._store, cid)
        if len(raw) > SHOW_MAX:
            found = Left(count, hidden=True)
        elif len(raw) <= KEY_MAX and raw[:1] == b"\xa1":  # a leaf, and shorter than a long key
            return _NOTHING
        else:
            page = decode(cid, raw)
            if isinstance(page, Inner):
                parts = [self._below(*one) for one in zip(page.children, page.counts, strict=True)]
                found = Left(sum(part.keys for part in parts), any(part.hidden for part in parts))
            else:
                keys = page.keys if isinstance(page, Leaf) else []
                found = Left(sum(len(key) > KEY_MAX for key in keys), hidden=False)
                if not found.keys:
                    return found  # leaves are many
        self._known[cid] = found
        return found

    def hidden(self, root: bytes) -> set[bytes]:
        """The short keys of spog that are behind long pages. Raises `StoreError`."""
        page = StoredPages(self._store, 1).root(root)
        found: set[bytes] = set()
        stack = [(page.trees[0], page.count, False)]
        while stack:
            cid, count, behind = stack.pop()
            if not behind and not self._below(cid, count).hidden:
                continue
            raw = _raw(self._store, cid)
            below = behind or len(raw) > SHOW_MAX
            node = decode(cid, raw)
            if isinstance(node, Inner):
                stack += [(child, n, below) for child, n in zip(node.children, node.counts, strict=True)]
            elif isinstance(node, Leaf) and below:
                found.update(key for key in node.keys if len(key) <= KEY_MAX)
        return found


def cover_of_checked(
    store: PageStore, leftovers: Leftovers, root: bytes, old: tuple[bytes, bytes] | None, spill: Spill
) -> bytes:
    """The cover of a dataset that was checked. `old`: another such dataset and its cover. Raises `StoreError`.

    What differs from the old one decides what this costs, if it is there.
    """
    if not leftovers.of(root).keys:
        return root
    pages = StoredPages(store, _CACHED_PAGES)
    if old is None:
        return made_of(showable_keys(store.get, root), store, spill)
    was, cover = old
    before, after = leftovers.hidden(was), leftovers.hidden(root)
    gone: set[bytes] = set()
    come: set[bytes] = set()
    for went, came in diff_trees(pages, pages.root(was).trees[0], pages.root(root).trees[0]):
        gone.update(key for key in went if len(key) <= KEY_MAX)
        come.update(key for key in came if len(key) <= KEY_MAX)
    shown, covered_up = before - after - gone, after - before - come
    put, out = (come - after) | shown, (gone - before) | covered_up
    if not update_pays(pages.root(cover).count, len(put) + len(out)):
        return made_of(showable_keys(store.get, root), store, spill)
    return edited(pages, cover, put, out, store)


def _raw(store: PageStore, cid: bytes) -> bytes:
    raw = store.get(cid)
    if raw is None:
        raise StoreError(f"the store has no page {cid_text(cid)}; `dkg fsck` tells what is damaged")
    return raw


def showable_keys(get: Callable[[bytes], bytes | None], root: bytes) -> Iterator[list[bytes]]:
    """The short keys of spog that are reached through showable pages, for a dataset whose spog has no fault.

    Pages that are not given are taken for long ones: it is known which they are. An inner page that comes again has
    nothing: a short key is at one place only, and pages with long keys alone can be at very many (`Walk`).
    """
    stack, seen = [root], set[bytes]()
    while stack:
        cid = stack.pop()
        if cid in seen:
            continue
        raw = get(cid)
        if raw is None or classify(raw).kind is not Kind.WELL_FORMED:
            continue
        page = decode(cid, raw)
        if isinstance(page, DatasetRoot):
            stack.append(page.trees[0])
        elif isinstance(page, Inner):
            seen.add(cid)
            stack += reversed(page.children)
        else:
            yield [key for key in page.keys if len(key) <= KEY_MAX]


def owned(keys: Iterable[bytes], publisher: Publisher) -> list[bytes]:
    """The keys of spog, of those that are short, that are a publisher's."""
    low, _ = graphs_of(publisher)
    return [key for key in keys if has_shape(key) and key.startswith(low, key.rindex(b"\0", 0, -1) + 1)]


def edited(
    pages: StoredPages, root: bytes, come: AbstractSet[bytes], gone: AbstractSet[bytes], store: PageStore
) -> bytes:
    """A dataset with keys of spog put in, which it has not, and others, which it has, taken out."""
    if not come and not gone:
        return root
    old, sink, trees = pages.root(root), sink_of(store), list[bytes]()
    for order, tree in zip(ORDERS, old.trees, strict=True):
        put, out = ({permute(key, _SPOG, order) for key in keys} for keys in (come, gone))
        trees.append(update_tree(pages, tree, put, out, sink))
    made = sink.add(DatasetRoot(trees, old.count + len(come) - len(gone)))
    sink.flush()
    return made


def made_of(batches: Iterable[list[bytes]], store: PageStore, spill: Spill, chunk_bytes: int = CHUNK_BYTES) -> bytes:
    """The dataset of keys of spog, each of which has the shape of a quad, in bounded memory; gives its root."""
    sorter = _Sorter(spill, chunk_bytes)
    for keys in batches:
        sorter.add(keys)
    sink, trees, count = sink_of(store), list[bytes](), 0
    for order in ORDERS:
        tree, count = build_tree(sorter.sorted(order), sink)
        trees.append(tree)
    made = sink.add(DatasetRoot(trees, count))
    sink.flush()
    return made


class _Sorter:
    """Keys of spog, and then those of the same quads in each index, in order. Nothing is known of what is in them."""

    def __init__(self, spill: Spill, chunk_bytes: int) -> None:
        self._spill = spill
        self._most = chunk_bytes
        self._held: list[bytes] = []
        self._bytes = 0
        self._runs: dict[str, list[Iterable[list[bytes]]]] = {order: [] for order in ORDERS}

    def add(self, keys: list[bytes]) -> None:
        self._held += keys
        self._bytes += sum(map(len, keys))
        if self._bytes > self._most:
            for order, runs in self._runs.items():
                runs.append(_Run(self._spill.write(list(map(_escaped, batch)) for batch in self._run(order))))
            self._held, self._bytes = [], 0

    def sorted(self, order: str) -> Iterator[list[bytes]]:
        return merge_runs([*self._runs[order], self._run(order)])

    def _run(self, order: str) -> Iterator[list[bytes]]:
        keys = sorted(self._held if order == _SPOG else [permute(key, _SPOG, order) for key in self._held])
        for at in range(0, len(keys), _BATCH_KEYS):
            yield keys[at : at + _BATCH_KEYS]


class _Run:
    """A run that was spilled: a spill holds keys of quads, which have no line breaks, and these may have some."""

    def __init__(self, run: Iterable[list[bytes]]) -> None:
        self._kept = run

    def __iter__(self) -> Iterator[list[bytes]]:
        return (list(map(_plain, batch)) for batch in self._kept)


def _escaped(key: bytes) -> bytes:
    return key.replace(b"\xfe", b"\xfe0").replace(b"\n", b"\xfe1") if b"\n" in key or b"\xfe" in key else key


def _plain(key: bytes) -> bytes:
    return key.replace(b"\xfe1", b"\n").replace(b"\xfe0", b"\xfe") if b"\xfe" in key else key
