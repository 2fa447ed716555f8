from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.page import DatasetRoot, cid_text
from dkg.pages import PageSink, StoredPages
from node.storage import NodeStore, check_node
from tests.node.storage.data import publisher, put, quads_of

if TYPE_CHECKING:
    from pathlib import Path

A = quads_of(publisher(1), 1_200)


def _node(directory: Path) -> tuple[NodeStore, list[bytes]]:
    store = NodeStore(directory, reserve_bytes=0)
    roots = [put(store.pages, A), put(store.pages, A[:700]), put(store.pages, A[:100])]
    for position, root in enumerate(roots):
        store.keep("union", root, position=position, at=0, inputs={"publisher:0x01": roots[0]})
    return store, roots


def test_a_whole_node_is_clean_and_every_root_is_looked_at(tmp_path: Path) -> None:
    store, _ = _node(tmp_path)
    with store:
        told: list[tuple[str, int, int]] = []
        checked = check_node(store, derive="all", progress=lambda *what: told.append(what))
        assert (checked.roots, checked.derived, checked.problems) == (3, 3, [])
        assert checked.pages == store.pages.page_count()
        assert {what for what, _, _ in told} == {"pages", "indexes", "roots"}
        assert told[-1] == ("roots", 3, 3)
        assert [check_node(store, derive=which).derived for which in ("newest", "none")] == [1, 0]
        with pytest.raises(KeyError):
            check_node(store, derive="some")


def test_a_page_that_an_older_root_lacks_is_found(tmp_path: Path) -> None:
    store, roots = _node(tmp_path)
    with store:
        tree = StoredPages(store.pages).root(roots[0]).trees[2]
        store.pages._db.execute("DELETE FROM pages WHERE at=?", (store.pages.locate([tree])[0],))
        for derive in ("none", "newest", "all"):
            problems = check_node(store, derive=derive).problems
            assert any(f"dataset {cid_text(roots[0])}: " in problem for problem in problems), problems


def test_a_dataset_whose_indexes_disagree_is_found_where_it_is_derived(tmp_path: Path) -> None:
    store, roots = _node(tmp_path)
    with store:
        pages, sink = StoredPages(store.pages), PageSink(store.pages)
        good, other = pages.root(roots[1]), pages.root(roots[2])
        bad = sink.add(DatasetRoot([*good.trees[:3], other.trees[3]], good.count))
        sink.flush()
        store.keep("union", bad, position=9, at=0)
        assert check_node(store, derive="none").problems == []
        assert any("gspo" in problem for problem in check_node(store).problems)


def test_a_root_that_is_no_cid_is_found(tmp_path: Path) -> None:
    store, roots = _node(tmp_path)
    with store:
        with store._state.changing():
            kept = store.kept("union")[0]
            store._state.put_kept(type(kept)("union", roots[0][:-1], 12, 0))
        assert any("which is no CID of a page" in problem for problem in check_node(store).problems)
