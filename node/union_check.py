"""The check of a publisher's dataset before any of it counts: its four indexes must be the trees of one set of quads.

The quads of the dataset's spog are taken, all trees are made of them again, and what comes out must be the dataset,
to the last byte. So the other three indexes need not be there; and keys that are no quads in normal form, indexes
that disagree, wrong counts and pages cut by other rules all show in one comparison. From a dataset that was checked
before, only what changed is read and made again, and the verdict is the same: a set of quads has one tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.dataset import build_dataset, quads, run_in_turn, update_dataset, update_pays
from dkg.dataset import diff_datasets as _diff
from dkg.diff import diff_trees
from dkg.errors import InputError, ProofError, StoreError
from dkg.page import ORDERS, cid_text
from dkg.pages import StoredPages
from dkg.terms import keys_are_quads, quad_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg.dataset import Runner
    from dkg.pages import Pages, PageStore
    from dkg.sorting import Spill
    from dkg.terms import Quad

CHANGES_MAX: Final = 250_000
"""Most changed quads that are held in memory; a dataset that differs in more is made from all its quads."""

_CACHED_PAGES: Final = 4_000
_SHOWN_BYTES: Final = 300


class DatasetRefusedError(ProofError):
    """A publisher's dataset is malformed, so nothing of it counts. Says what the first difference is."""


class CheckedDataset(NamedTuple):
    """A dataset that is what it should be. All its pages are in the store."""

    root: bytes
    quads: int
    derived: int
    """Pages that were made again."""


def check_dataset(
    store: PageStore, old: bytes | None, new: bytes, *, spill: Spill | None = None, run: Runner = run_in_turn
) -> CheckedDataset:
    """Check a dataset, of which the root page and what differs in spog are in the store; puts the rest of it there.

    `old`: a dataset that was checked before and is in the store as a whole; None to check all of the new one.
    `spill`, `run`: see `build_dataset`. Raises `DatasetRefusedError`, and `StoreError` when a page is missing.
    """
    pages = StoredPages(store, _CACHED_PAGES)
    scratch = _Scratch(store)
    try:
        claimed = pages.root(new)
        changes = None if old is None else _changes(pages, old, new)
        if old is None or changes is None:
            made = build_dataset(quads(pages, new), store, normal=True, spill=spill, run=run)
        else:
            made = update_dataset(pages, old, *changes, scratch)
    except (ProofError, InputError) as error:
        raise DatasetRefusedError(f"the dataset {cid_text(new)} is malformed: {error}") from error
    if made != new:
        what = _first_difference(StoredPages(scratch, _CACHED_PAGES), made, new)
        raise DatasetRefusedError(f"the dataset {cid_text(new)} is malformed: {what}")
    store.put_many(scratch.pages.items())
    return CheckedDataset(new, claimed.count, len(scratch.pages))


def _changes(pages: Pages, old: bytes, new: bytes) -> tuple[set[Quad], set[Quad]] | None:
    """What comes and what goes, by spog; None when it is so much that making all anew is better."""
    count = pages.root(old).count
    come: set[Quad] = set()
    gone: set[Quad] = set()
    for went, came in _diff(pages, old, new):
        gone.update(went)
        come.update(came)
        if len(come) + len(gone) > CHANGES_MAX or not update_pays(count, len(come) + len(gone)):
            return None
    return come, gone


class _Scratch:
    """A store over another one: what is put stays here."""

    def __init__(self, store: PageStore) -> None:
        self._store = store
        self.pages: dict[bytes, bytes] = {}

    def get(self, cid: bytes) -> bytes | None:
        """See `PageStore.get`."""
        return self.pages.get(cid) or self._store.get(cid)

    def put_many(self, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """See `PageStore.put_many`."""
        self.pages.update(pages)


# What is wrong


def _first_difference(pages: Pages, made: bytes, claimed: bytes) -> str:
    """Where a dataset is not what the quads of its spog make. Reads what differs."""
    ours, theirs = pages.root(made), pages.root(claimed)
    for order, right, wrong in zip(ORDERS, ours.trees, theirs.trees, strict=True):
        if right != wrong:
            return f"its index {order} should be {cid_text(right)} and is {cid_text(wrong)}: " + _in_tree(
                pages, order, right, wrong
            )
    return f"it says that it has {theirs.count} quads, and has {ours.count}"


def _in_tree(pages: Pages, order: str, right: bytes, wrong: bytes) -> str:
    try:
        for lacks, has in diff_trees(pages, right, wrong):
            if lacks and (not has or lacks[0] < has[0]):
                return f"it lacks {_shown(lacks[0], order)}"
            return f"it has {_shown(has[0], order)}, which its spog has not as a quad"
    except ProofError as error:
        return str(error)
    except StoreError:
        return "its pages are not here to tell more"
    return "it has the right keys in pages that are not cut by the rules"


def _shown(key: bytes, order: str) -> str:
    if not keys_are_quads([key], order):
        return f"a key that is no quad in normal form: {key[:_SHOWN_BYTES]!r}"
    text = b" ".join(quad_of(key, order)).decode()
    return text if len(text) <= _SHOWN_BYTES else text[:_SHOWN_BYTES] + "..."
