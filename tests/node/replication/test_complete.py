"""The other three trees are made here, from nothing, from a change, and from a difference of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.check import check_dataset
from dkg.client.spill import FileSpill
from dkg.pages import MemoryPageStore, StoredPages
from node.replication.change import Keys
from node.replication.complete import Builder, MalformedError, complete_change, complete_dataset
from node.replication.walk import Walk
from tests.node.replication.datasets import changed, cut_otherwise, dataset, indexes_disagree, no_quad, other_count
from tests.node.replication.test_walk import drive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dkg.dataset import Progress
    from node.replication.messages import Anchored


def fetched(source: MemoryPageStore, head: Anchored, before: MemoryPageStore, old: bytes | None) -> MemoryPageStore:
    store = MemoryPageStore()
    store.pages.update(before.pages)
    drive(Walk(store, head.root, head.count, old), source)
    return store


@pytest.mark.parametrize("changes", [1, 30, 900])
def test_from_an_older_dataset_of_any_distance(changes: int) -> None:
    source, new = changed(200, changes)
    before, old = dataset(200)
    store = fetched(source, new, before, old.root)
    complete_dataset(store, old.root, new.root)
    assert store.pages == source.pages
    assert check_dataset(StoredPages(store), new.root).problems == []


def test_from_a_dataset_so_far_away_that_building_anew_is_less(tmp_path: Path) -> None:
    source, new = dataset(2000)
    before, old = dataset(30)
    store = fetched(source, new, before, old.root)
    told: list[Progress] = []
    with FileSpill(tmp_path) as spill:
        complete_dataset(store, old.root, new.root, builder=Builder(spill=lambda: spill), progress=told.append)
    assert source.pages.items() <= store.pages.items()
    assert told[-1].done == told[-1].total == 4 * new.count


def test_from_nothing_a_dataset_whose_indexes_disagree_is_refused_with_the_reason() -> None:
    source, head = indexes_disagree()
    store = fetched(source, head, MemoryPageStore(), None)
    with pytest.raises(MalformedError, match="four trees do not hold the same quads"):
        complete_dataset(store, None, head.root)


def test_from_a_change_a_dataset_whose_indexes_disagree_is_refused_too() -> None:
    source, head = indexes_disagree()
    before, old = dataset(30)
    store = fetched(source, head, before, old.root)
    page = StoredPages(source).root(head.root)
    with pytest.raises(MalformedError, match="four trees do not hold the same quads"):
        complete_change(store, old.root, head.root, page, Keys([], []), {})
    with pytest.raises(MalformedError, match="four trees do not hold the same quads"):
        complete_dataset(store, old.root, head.root)


@pytest.mark.parametrize("malformed", [cut_otherwise, no_quad, other_count])
def test_from_an_older_dataset_one_that_breaks_the_rules_is_refused_too(
    malformed: Callable[[], tuple[MemoryPageStore, Anchored]],
) -> None:
    source, head = malformed()
    before, old = dataset(30)
    store = MemoryPageStore()
    store.pages.update(before.pages)
    store.pages.update(source.pages)
    with pytest.raises(MalformedError):
        complete_dataset(store, old.root, head.root)
