"""A publisher withholds what it committed, and somebody proposes a checkpoint that is wrong about another one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dkg.checkpoints.judge import judge
from dkg.page import ORDERS
from node.checkpoints import find as find_module
from node.checkpoints import walk as walk_module
from node.checkpoints.find import Right, Wrong, find
from node.checkpoints.walk import driven
from tests.node.checkpoints.world import World, dataset, keys_of, moved, tree, whole
from tests.node.storage.data import publisher

from dkg.pages import MemoryPageStore, StoredPages  # isort: skip

WITHHELD, OTHER = 1, 2


@pytest.mark.parametrize(
    "change",
    [
        "nothing",
        "the withheld",
        "omits",
        "invents",
        "omits in ospg",
        "withheld: omits in gspo",
        "withheld: invents in posg",
    ],
)
def test_what_others_say_is_judged_where_one_withholds(change: str) -> None:
    world, ours = World(), MemoryPageStore()
    own = {who: keys_of(who, 120) for who in (WITHHELD, OTHER)}
    for who, keys in own.items():
        world.commit(who, whole(world.store, keys))
    ours_root = whole(ours, own[OTHER])
    said = own[OTHER] | own[WITHHELD]
    if change == "the withheld":
        said -= set(sorted(own[WITHHELD])[::2])
    elif change == "omits":
        said -= {max(own[OTHER])}
    elif change == "invents":
        said |= keys_of(OTHER, 200)
    root = whole(world.store, said)
    if change == "omits in ospg":
        parts = [tree(world.store, {moved(key, order) for key in said}) for order in ORDERS]
        parts[2] = tree(world.store, {moved(key, "ospg") for key in said - {max(own[OTHER])}} | {b"<x>\0a\0b\0c\0"})
        root = dataset(world.store, parts, len(said))
    if change.startswith("withheld: "):
        parts = [tree(world.store, {moved(key, order) for key in said}) for order in ORDERS]
        at = 3 if "omits" in change else 1
        other = min(keys_of(WITHHELD, 5, 9))
        gone = max(own[WITHHELD])
        less = said - {gone} | {gone[:-1] + b"x\0" if at == 3 else other}
        parts[at] = tree(world.store, {moved(key, ORDERS[at]) for key in less})
        root = dataset(world.store, parts, len(said))
    subject = replace(world.subject(root), unknown=frozenset([publisher(WITHHELD).address]))
    found = driven(find(subject, StoredPages(ours), ours_root), world.store.get)
    if change in {"nothing", "the withheld"}:
        assert found == Right()
    else:
        assert isinstance(found, Wrong)
        assert judge(world.view(root), found.evidence)


@pytest.mark.parametrize("change", ["nothing", "omits"])
def test_others_are_judged_and_memory_is_bounded_whatever_is_proposed_of_one_who_withholds(
    change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (find_module, walk_module):
        monkeypatch.setattr(module, "UNKNOWN_MAX", 50)
    world, ours = World(), MemoryPageStore()
    own = {who: keys_of(who, 400) for who in (WITHHELD, OTHER)}
    for who, keys in own.items():
        world.commit(who, whole(world.store, keys))
    said = own[OTHER] | own[WITHHELD]
    said -= {max(own[OTHER])} if change == "omits" else set()
    root = whole(world.store, said)
    subject = replace(world.subject(root), unknown=frozenset([publisher(WITHHELD).address]))
    found = driven(find(subject, StoredPages(ours), whole(ours, own[OTHER])), world.store.get)
    if change == "nothing":
        assert found == Right()
    else:
        assert isinstance(found, Wrong)
        assert judge(world.view(root), found.evidence)
