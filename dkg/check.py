"""Checks a whole dataset: every page, every count, and that all four trees are those of its quads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.build import build_tree
from dkg.cut import LEVELS_MAX
from dkg.errors import DkgError, PageError
from dkg.page import ORDERS, DatasetRoot, Inner, Leaf, cid_text
from dkg.pages import PageSink
from dkg.scan import LAST, child_of
from dkg.sorting import KeySorter
from dkg.terms import keys_are_quads, quad_of, quads_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dkg.pages import Pages
    from dkg.sorting import Spill

PROBLEMS_MAX: Final = 100
"""Problems after which a check stops looking: what is this damaged is to be loaded anew."""


class Checked(NamedTuple):
    """What a check found. All is well when `problems` is empty; each is a sentence."""

    quads: int
    pages: int
    problems: list[str]


def check_dataset(
    pages: Pages,
    root: bytes,
    *,
    spill: Spill | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Checked:
    """Read every page of a dataset and build its four trees anew from the quads of spog.

    `progress` is told how many keys were read and built, of how many. `spill`: see `build_dataset`.
    """
    check = _Check(pages, progress or (lambda _done, _total: None))
    try:
        page = pages.root(root)
    except DkgError as error:
        return Checked(0, 0, [f"the page of the dataset: {error}"])
    return check.run(page, spill)


class _Check:
    def __init__(self, pages: Pages, progress: Callable[[int, int], None]) -> None:
        self._pages = pages
        self._progress = progress
        self._problems: list[str] = []
        self._read = 1
        self._done = 0
        self._total = 0

    def run(self, page: DatasetRoot, spill: Spill | None) -> Checked:
        self._total = page.count * len(ORDERS) * 2
        sorter = KeySorter(spill, normal=True)
        for order, tree in zip(ORDERS, page.trees, strict=True):
            count = 0
            for keys in self._leaves(order, tree):
                count += len(keys)
                if order == ORDERS[0]:
                    sorter.add([quad_of(key, order) for key in self._quads(keys, order)])
                self._tick(len(keys))
            if count != page.count and not self._problems:
                self._problems.append(f"{order} holds {count} keys, and the page of the dataset says {page.count}")
        if not self._problems:  # otherwise what differs is known, and quads are missing
            self._rebuild(sorter, page)
        return Checked(page.count, self._read, self._problems)

    def _tick(self, keys: int) -> None:
        self._done += keys
        self._progress(self._done, self._total)

    def _leaves(self, order: str, tree: bytes) -> Iterator[list[bytes]]:
        """The keys of all leaves that can be read, in order; what cannot be read is a problem."""
        height = -1
        stack: list[tuple[Inner | None, int, bytes, bytes, int]] = [(None, 0, b"", LAST, 0)]
        while stack and len(self._problems) < PROBLEMS_MAX:
            parent, at, low, high, depth = stack.pop()
            try:
                node = child_of(self._pages, parent, at, low, high) if parent else self._pages.node(tree)
                if type(node) is Leaf:
                    height = depth if height < 0 else height
                    if depth != height or depth > LEVELS_MAX:
                        raise PageError(f"a leaf is {depth} steps below the root, others are {height}")
            except DkgError as error:
                self._problems.append(f"{order}, {cid_text(parent.children[at] if parent else tree)}: {error}")
                continue
            self._read += 1
            if type(node) is Leaf:
                yield node.keys
            elif type(node) is Inner:
                bounds = [low, *node.separators, high]
                stack += [
                    (node, child, bounds[child], bounds[child + 1], depth + 1)
                    for child in reversed(range(len(node.children)))
                ]

    def _quads(self, keys: list[bytes], order: str) -> list[bytes]:
        if keys_are_quads(keys, order):
            return keys
        good = quads_only(keys, order)
        bad = next(key for key in keys if key not in good)
        self._problems.append(f"{order} holds a key that is no quad in normal form: {bad[:200]!r}")
        return good

    def _rebuild(self, sorter: KeySorter, page: DatasetRoot) -> None:
        for order, tree in zip(ORDERS, page.trees, strict=True):
            root, _ = build_tree(self._counted(sorter.keys(order)), PageSink(_Nowhere()))
            if root != tree:
                self._problems.append(
                    f"{order} is not the tree of the dataset's quads: its root should be {cid_text(root)}, "
                    f"and is {cid_text(tree)}"
                )

    def _counted(self, batches: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
        for batch in batches:
            yield batch
            self._tick(len(batch))


class _Nowhere:
    """A page store that keeps nothing."""

    def get(self, cid: bytes) -> bytes | None:
        """Nothing is here."""
        del cid
        return None

    def put_many(self, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """See `PageStore.put_many`."""
