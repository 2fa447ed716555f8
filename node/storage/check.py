"""`check_node`: everything in a node's directory, read and derived again. What crash tests and `dkg fsck` ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dkg.client.collect import Marker
from dkg.client.fsck import check_store
from dkg.errors import StoreError
from dkg.page import CID_LENGTH, CID_PREFIX, cid_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.storage.store import NodeStore


class NodeChecked(NamedTuple):
    """What a check of a node found. All is well when `problems` is empty; each is a sentence."""

    roots: int
    """Datasets that are kept."""
    derived: int
    """Of them, those that were derived again from their quads."""
    pages: int
    problems: list[str]


def check_node(
    store: NodeStore,
    *,
    derive: str = "newest",
    progress: Callable[[str, int, int], None] | None = None,
) -> NodeChecked:
    """Check both databases, every page, and that each root that is kept has all its pages.

    A page that is there hashes to its CID, so a root that has all its pages is what it was when it was kept.
    `derive`: which roots are derived again from their quads besides, in all four indexes: "newest" of each name,
    "all", or "none". Nothing is changed. Raises `StoreError` when a database cannot be read at all.
    """
    kept = store.kept()
    names = {one.name: one.root for one in reversed(kept)}  # the newest of each name is the last put in
    every = list(dict.fromkeys(root for one in kept for root in (one.root, *one.inputs.values())))
    roots = {"newest": list(dict.fromkeys(names.values())), "all": every, "none": []}[derive]
    problems = [f"the node's state: {line}" for line in store.integrity_problems()]
    problems += [f"the state keeps {root.hex()}, which is no CID of a page" for root in every if not _is_cid(root)]
    checked = check_store(store.pages, all_heads=derive == "all", roots=filter(_is_cid, roots), progress=progress)
    problems += checked.problems
    marker = Marker(store.pages)
    counting = sorted(filter(_is_cid, store.counting()))
    for at, root in enumerate(counting, 1):
        try:
            marker.require(root)
        except StoreError as error:
            problems.append(f"dataset {cid_text(root)}: {error}")
        if progress is not None:
            progress("roots", at, len(counting))
    return NodeChecked(len(every), len(roots), checked.pages, problems)


def _is_cid(root: bytes) -> bool:
    return len(root) == CID_LENGTH and root.startswith(CID_PREFIX)
