"""`check_store`: everything in a store, read and derived again. The oracle of every crash test, and `dkg fsck`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dkg.check import PROBLEMS_MAX, check_dataset
from dkg.client.spill import FileSpill
from dkg.errors import StoreError
from dkg.page import DatasetRoot, Inner, cid_text, decode
from dkg.pages import StoredPages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dkg.client.store import SqliteStore


class StoreChecked(NamedTuple):
    """What a check of a store found. All is well when `problems` is empty; each is a sentence."""

    root: bytes | None
    """The current dataset, None when nothing was ever loaded."""
    heads: int
    """How many roots the store has had."""
    quads: int
    """Of the current dataset; the first of `roots` where nothing was loaded."""
    pages: int
    """In the store, those of older datasets included."""
    problems: list[str]


def check_store(
    store: SqliteStore,
    *,
    all_heads: bool = False,
    roots: Iterable[bytes] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> StoreChecked:
    """Check the database, every page in it, and the current dataset, with all that `check_dataset` checks.

    `all_heads`: older datasets too. `roots`: of more datasets to check. `progress` is told what is being checked, how
    much was, and of how much. Nothing is changed. Raises `StoreError` when the database cannot be read at all.
    """
    tell = progress or (lambda _what, _done, _total: None)
    heads = store.heads()
    problems = [f"the database: {line}" for line in store.integrity_problems()]
    count = 0
    total = store.page_count()
    for found in store.check_pages():
        count += found.pages
        problems += found.problems
        tell("pages", count, total)
        if len(problems) >= PROBLEMS_MAX:
            break
    quads = 0
    with FileSpill(None if store.read_only else store.directory) as spill:
        for at, root in enumerate(dict.fromkeys([*(heads if all_heads else heads[:1]), *roots])):
            checked = check_dataset(
                StoredPages(store), root, spill=spill, progress=lambda done, total: tell("indexes", done, total)
            )
            quads = checked.quads if at == 0 else quads
            problems += [f"dataset {cid_text(root)}: {problem}" for problem in checked.problems]
    return StoreChecked(heads[0] if heads else None, len(heads), quads, count, problems)


def unreadable(store: SqliteStore, roots: Iterable[bytes]) -> Iterator[bytes]:
    """The CIDs of pages that some datasets need and that cannot be read: missing, or damaged. Reads all pages.

    What is below a page that cannot be read is not known.
    """
    stack = list(roots)
    seen: set[bytes] = set()
    while stack:
        cid = stack.pop()
        if cid in seen:
            continue
        seen.add(cid)
        try:
            raw = store.get(cid)
        except StoreError:
            raw = None
        if raw is None:
            yield cid
            continue
        page = decode(cid, raw)
        if type(page) is DatasetRoot:
            stack += page.trees
        elif type(page) is Inner:
            stack += page.children
