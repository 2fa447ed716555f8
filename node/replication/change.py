"""A small change as quads: what one dataset has and another has not, in one message.

A page has about twenty quads and its parents' hashes hang on it, so that a thousand changed quads, scattered over a
large dataset, change ten thousand pages: megabytes. The quads themselves are a few kilobytes, and a set of quads has
one tree. So the receiver makes the new tree itself, and knows that the change is the right one when the tree's root
is the one that the (anchored) dataset names.
"""

from __future__ import annotations

import struct
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from dkg.diff import diff_trees
from dkg.errors import ProofError, RdfError, StoreError
from dkg.page import cid_text
from dkg.pages import MemoryPageStore, Pages, PageSink, StoredPages
from dkg.terms import keys_are_quads
from dkg.update import update_tree
from node.replication.errors import NotHeldError, PeerError
from node.replication.limits import CHANGE_BYTES_MAX, CHANGE_PAGES_MAX, CHANGE_QUADS_MAX
from node.replication.messages import Change
from node.replication.squeeze import squeezed, unsqueezed

if TYPE_CHECKING:
    from dkg.page import DatasetRoot, Page
    from dkg.pages import PageStore

_CACHED_PAGES = 2_000
_LENGTH = struct.Struct("<I")
_SPOG = "spog"


class Keys(NamedTuple):
    """Keys of spog that went and that came."""

    gone: list[bytes]
    come: list[bytes]


class TooLargeError(StoreError):
    """A change that is not small."""


def change_between(pages: Pages, old: bytes, new: bytes) -> Keys:
    """What a dataset must lose and gain to become another; only their trees of spog are read.

    Raises `TooLargeError` when it is more than `CHANGE_QUADS_MAX` quads or `CHANGE_BYTES_MAX` bytes.
    """
    gone: list[bytes] = []
    come: list[bytes] = []
    size = 0
    trees = [pages.root(root).trees[0] for root in (old, new)]
    for went, came in diff_trees(pages, *trees):
        gone += went
        come += came
        size += sum(_LENGTH.size + len(key) for key in chain(went, came))
        if len(gone) + len(come) > CHANGE_QUADS_MAX or size > CHANGE_BYTES_MAX:
            raise TooLargeError(f"from {cid_text(old)} to {cid_text(new)} is no small change")
    return Keys(gone, come)


class _FewPages(Pages):
    """Pages of a store, of which only so many may be read."""

    def __init__(self, store: PageStore) -> None:
        self._pages = StoredPages(store, _CACHED_PAGES)
        self._left = CHANGE_PAGES_MAX

    def page(self, cid: bytes) -> Page:
        """See `Pages.page`."""
        self._left -= 1
        if self._left < 0:
            raise TooLargeError(f"more than {CHANGE_PAGES_MAX} pages would have to be read to find the change")
        return self._pages.page(cid)


def pack_change(store: PageStore, old: bytes, new: bytes) -> Change:
    """The message for a change between two datasets of a store. Raises `NotHeldError`, `TooLargeError`."""
    for root in (old, new):
        if store.get(root) is None:
            raise NotHeldError(f"there is no dataset {cid_text(root)} here")
    keys = change_between(_FewPages(store), old, new)
    data = b"".join(_LENGTH.pack(len(key)) + key for key in chain(*keys))
    return Change(len(keys.gone), len(keys.come), len(data), squeezed(data))


def unpack_change(message: Change) -> Keys:
    """The keys of a change: ascending, quads in normal form, none both gone and come. Raises `PeerError`."""
    if message.gone + message.come > CHANGE_QUADS_MAX:
        raise PeerError(f"a change has {CHANGE_QUADS_MAX} quads at most; this has {message.gone + message.come}")
    data = unsqueezed(message.body, message.size)
    found: list[bytes] = []
    at = 0
    for _ in range(message.gone + message.come):
        end = at + _LENGTH.size
        if end > len(data):
            raise PeerError("a change ends before its last key")
        at = end + _LENGTH.unpack_from(data, at)[0]
        found.append(data[end:at])
    if at != len(data):
        raise PeerError("a change is longer or shorter than its keys")
    keys = Keys(found[: message.gone], found[message.gone :])
    if any(part != sorted(set(part)) for part in keys) or not set(keys.gone).isdisjoint(keys.come):
        raise PeerError("the keys of a change do not ascend, or are both gone and come")
    if not all(keys_are_quads(part, _SPOG) for part in keys):
        raise PeerError("a change holds a key that is no quad in normal form")
    return keys


def apply_change(store: PageStore, old: bytes, new: DatasetRoot, keys: Keys) -> dict[bytes, bytes]:
    """The new pages of spog, by CID, that a change makes of the tree of an old dataset in a store.

    Raises `PeerError` if they do not make the tree that the new dataset names: it is not the change between the two.
    Nothing is put into the store.
    """
    try:
        made, pages = changed_spog(store, old, keys)
    except (ProofError, RdfError) as error:
        raise PeerError(f"a change cannot be applied: {error}") from error
    if made != new.trees[0]:
        raise PeerError(f"a change gives a tree {cid_text(made)}, and not {cid_text(new.trees[0])}")
    return pages


def changed_spog(store: PageStore, old: bytes, keys: Keys) -> tuple[bytes, dict[bytes, bytes]]:
    """The root of the tree of spog after a change, and its new pages by CID. Nothing is put into the store."""
    pages, fresh = StoredPages(store, _CACHED_PAGES), MemoryPageStore()
    sink = PageSink(fresh)
    made = update_tree(pages, pages.root(old).trees[0], set(keys.come), set(keys.gone), sink)
    sink.flush()
    return made, fresh.pages
