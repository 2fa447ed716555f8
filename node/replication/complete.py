"""From the quads of a dataset to the whole of it: the other three trees are made here, not fetched.

Peers send the tree of spog, or only what changed in it. The trees of posg, ospg and gspo follow from its quads, so
they are built, and the page that names all four must then be the one that was anchored. That saves three quarters of
the bytes, and is the proof that the publisher's four indexes hold the same quads, cut by the rules: a commit of which
that is not so can be made by nobody, and is refused.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg.dataset import build_dataset, run_in_turn
from dkg.errors import PageError, ProofError, RdfError
from dkg.page import ORDERS, DatasetRoot, cid_text
from dkg.pages import PageSink, StoredPages
from dkg.scan import scan
from dkg.terms import key_of, keys_are_quads, quad_of
from dkg.update import update_tree
from node.replication.change import Keys, TooLargeError, change_between, changed_spog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dkg.dataset import Progress, Runner
    from dkg.pages import Pages, PageStore
    from dkg.sorting import Spill
    from dkg.terms import Quad

_CACHED_PAGES = 2_000
_SPOG = ORDERS[0]


class MalformedError(PageError):
    """A commit's dataset breaks the format, or its indexes do not hold the same quads: its publisher's fault."""


@dataclass(frozen=True, slots=True)
class Builder:
    """How trees are built here: see `dkg.dataset.build_dataset`."""

    run: Runner = run_in_turn
    spill: Callable[[], Spill] | None = None
    """Makes a place for sorted runs; it is no longer used when the dataset is built."""


def complete_dataset(
    store: PageStore,
    old: bytes | None,
    new: bytes,
    *,
    builder: Builder | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> None:
    """Put into a store all pages of the dataset `new`, of which the root page and the tree of spog are there.

    `old`: a dataset that is there as a whole, if there is one; where little changed, only that is done. Raises
    `MalformedError` when what comes out is not the dataset `new`, and `StoreError`.
    """
    builder = builder or Builder()
    pages = StoredPages(store, _CACHED_PAGES)
    with _malformed(new):
        change = _small_change(pages, old, new) if old is not None else None
        if old is not None and change is not None:
            spog, fresh = changed_spog(store, old, change)
            if spog != pages.root(new).trees[0]:
                raise PageError("its tree of spog is not cut by the rules, or holds what is no quad")
            _complete(store, old, new, pages.root(new), change, fresh)
            return
        spill = builder.spill() if builder.spill else None
        quads = _all_quads(pages, pages.root(new).trees[0])
        made = build_dataset(quads, store, normal=True, spill=spill, run=builder.run, progress=progress)
        _require_same(made, new)


def complete_change(
    store: PageStore, old: bytes, new: bytes, page: DatasetRoot, change: Keys, fresh: dict[bytes, bytes]
) -> None:
    """Put into a store all pages of the dataset `new` that `old`, which is there as a whole, has not.

    `page`: the root page of `new`. `fresh`: the pages that the change makes in spog (`apply_change`). Raises as above.
    """
    with _malformed(new):
        _complete(store, old, new, page, change, fresh)


def _complete(
    store: PageStore, old: bytes, new: bytes, page: DatasetRoot, change: Keys, fresh: dict[bytes, bytes]
) -> None:
    store.put_many(fresh.items())
    pages, sink = StoredPages(store, _CACHED_PAGES), PageSink(store)
    before = pages.root(old)
    trees = [page.trees[0]]
    come, gone = _quads(change.come), _quads(change.gone)
    for order, tree in zip(ORDERS[1:], before.trees[1:], strict=True):
        put, out = ({key_of(quad, order) for quad in quads} for quads in (come, gone))
        trees.append(update_tree(pages, tree, put, out, sink))
    made = sink.add(DatasetRoot(trees, pages.node(page.trees[0]).count))
    sink.flush()
    _require_same(made, new)


def _require_same(made: bytes, new: bytes) -> None:
    if made != new:
        raise PageError(
            f"the quads of its spog make {cid_text(made)}, so its four trees do not hold the same quads, or are not "
            "cut by the rules"
        )


@contextmanager
def _malformed(root: bytes) -> Iterator[None]:
    """Whatever is found out about the data inside is the publisher's fault."""
    try:
        yield
    except (ProofError, RdfError) as error:
        raise MalformedError(f"the dataset {cid_text(root)} is malformed: {error}") from error


def _small_change(pages: Pages, old: bytes, new: bytes) -> Keys | None:
    try:
        return change_between(pages, old, new)
    except TooLargeError:
        return None


def _all_quads(pages: Pages, tree: bytes) -> Iterator[list[Quad]]:
    return (_quads(keys) for keys in scan(pages, tree))


def _quads(keys: list[bytes]) -> list[Quad]:
    if not keys_are_quads(keys, _SPOG):
        bad = next(key for key in keys if not keys_are_quads([key], _SPOG))
        raise PageError(f"it holds a key that is no quad in normal form: {bad[:200]!r}")
    return [quad_of(key, _SPOG) for key in keys]
