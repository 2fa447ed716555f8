from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.client.store import SqliteStore
from dkg.errors import StoreError
from dkg.page import cid_text
from dkg.pages import MemoryPageStore, StoredPages
from dkg.terms import to_oxigraph
from node.storage import ViewError, Views, open_view, reading
from node.storage import view as view_module
from node.storage.lock import FileLock
from node.viewfiles import ENGINE_ERRORS
from tests.node.storage.data import changed, publisher, put, quads_of

if TYPE_CHECKING:
    from dkg.terms import Quad

A = quads_of(publisher(1), 600)


def expected(quads: list[Quad]) -> set[ox.Quad]:
    """What the view of a dataset holds: each quad, and each triple once in the default graph."""
    found = set()
    for s, p, o, g in quads:
        subject, predicate, value, graph = map(to_oxigraph, (s, p, o, g))
        assert isinstance(subject, ox.NamedNode)
        assert isinstance(predicate, ox.NamedNode)
        assert isinstance(graph, ox.NamedNode)
        found |= {ox.Quad(subject, predicate, value, graph), ox.Quad(subject, predicate, value)}
    return found


def held(views: Views, root: bytes) -> set[ox.Quad]:
    with open_view(views.directory, root) as store:
        found = list(store.quads_for_pattern(None, None, None, None))
        graphs = set(store.named_graphs())
    assert len(found) == len(set(found))
    assert graphs | {ox.DefaultGraph()} == {quad.graph_name for quad in found} | {ox.DefaultGraph()}
    return set(found)


@pytest.fixture
def views(tmp_path: Path) -> Views:
    return Views(tmp_path / "views", MemoryPageStore())


def _names(views: Views) -> set[str]:
    return {path.name for path in views.directory.iterdir()}


def test_a_view_holds_what_the_pages_hold(views: Views) -> None:
    root = put(views._store, A)
    assert views.path(root) is None
    path = views.ensure(root)
    assert views.path(root) == path == views.directory / cid_text(root) / "store"
    assert held(views, root) == expected(A)
    before = path.stat().st_mtime_ns
    assert views.ensure(root) == path
    assert path.stat().st_mtime_ns == before
    empty = put(views._store, [])
    views.ensure(empty)
    assert held(views, empty) == set()


def test_a_triple_in_two_graphs_is_once_in_the_default_graph(views: Views) -> None:
    twice = [(s, p, o, g) for s, p, o, _ in A[:50] for g in (b"<urn:one>", b"<urn:two>")]
    root = put(views._store, twice)
    views.ensure(root)
    with open_view(views.directory, root) as store:
        count = store.query("SELECT (COUNT(*) AS ?n) { ?s ?p ?o }")
        assert isinstance(count, ox.QuerySolutions)
        assert next(count)["n"] == ox.Literal(50)
    one = put(views._store, twice[::2])
    views.ensure(one)  # by difference: the triples are still in the other graph
    assert held(views, one) == expected(twice[::2])
    none = put(views._store, twice[::4])
    views.ensure(none)
    assert held(views, none) == expected(twice[::4])


def test_a_view_is_made_from_the_one_before_and_leaves_it_alone(views: Views, monkeypatch: pytest.MonkeyPatch) -> None:
    old = put(views._store, A)
    views.ensure(old)
    monkeypatch.setattr(view_module, "fill", None)  # not from nothing any more
    now, roots = A, [old]
    for version in range(6):
        new = changed(now, 20, version)
        roots.append(put(views._store, new))
        views.ensure(roots[-1])
        assert held(views, roots[-1]) == expected(new)
        assert views.roots()[0] == roots[-1]
        now = new
    assert held(views, old) == expected(A)
    shared = {path.stat().st_ino for path in views.ensure(old).glob("*.sst")}
    assert shared & {path.stat().st_ino for path in views.ensure(roots[1]).glob("*.sst")}


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 3), st.integers(0, 2)), max_size=30),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 3), st.integers(0, 2)), max_size=30),
)
@settings(max_examples=settings().max_examples // 8)
def test_any_difference_makes_the_same_view_as_building_anew(
    tmp_path_factory: pytest.TempPathFactory, old: list[tuple[int, ...]], new: list[tuple[int, ...]]
) -> None:
    def some(rows: list[tuple[int, ...]]) -> list[Quad]:
        return [(b"<urn:s%d>" % s, b"<urn:p%d>" % p, b'"o%d"' % o, b"<urn:g%d>" % g) for s, p, o, g in rows]

    views = Views(tmp_path_factory.mktemp("view"), MemoryPageStore())
    for quads in (some(old), some(new)):
        root = put(views._store, quads)
        views.ensure(root)
        assert held(views, root) == expected(quads)


def test_what_is_too_different_is_built_anew(views: Views, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_module, "CHANGED_MAX", 40)
    views.ensure(put(views._store, A))
    for changes, same in ((20, True), (21, False)):  # one goes and one comes
        new = changed(A, changes, changes)
        before = {path.stat().st_ino for path in views.directory.rglob("*.sst")}
        path = views.ensure(put(views._store, new))
        assert bool(before & {file.stat().st_ino for file in path.glob("*.sst")}) is same
        assert held(views, put(views._store, new)) == expected(new)
        views.prune([put(views._store, A)])


def test_without_the_pages_of_the_older_root_it_is_built_anew(views: Views) -> None:
    old = put(views._store, A)
    views.ensure(old)
    views._store = MemoryPageStore()
    new = put(views._store, A[:500])
    views.ensure(new)
    assert held(views, new) == expected(A[:500])


def test_a_root_that_is_not_here_has_no_view(views: Views) -> None:
    root = put(MemoryPageStore(), A)
    with pytest.raises(StoreError, match="the store has no page"):
        views.ensure(root)
    with pytest.raises(ViewError, match="there is no view of"), open_view(views.directory, root):
        pass
    assert not views.directory.exists()


# Deleting


def test_views_that_are_not_wanted_go_and_those_that_are_read_stay(views: Views) -> None:
    roots = [put(views._store, A[:size]) for size in (100, 200, 300)]
    for root in roots:
        views.ensure(root)
    (views.directory / "something else").mkdir()
    with reading(views.directory, roots[0]) as path:
        assert views.prune([roots[2]]) == [roots[1]]
        assert path.is_dir()
    assert views.prune([roots[2]]) == [roots[0]]
    assert _names(views) == {cid_text(roots[2]), "lock", "something else"}
    with pytest.raises(ViewError, match="there is no view of"), reading(views.directory, roots[0]):
        pass


def test_a_reader_goes_on_after_its_view_was_discarded(views: Views) -> None:
    root = put(views._store, A)
    views.ensure(root)
    with open_view(views.directory, root) as store:
        views.discard(root)
        assert set(store.quads_for_pattern(None, None, None, None)) == expected(A)
    assert views.roots() == []


def test_views_of_another_release_are_made_again(views: Views, monkeypatch: pytest.MonkeyPatch) -> None:
    root = put(views._store, A)
    views.ensure(root)
    monkeypatch.setattr(view_module, "VIEW_VERSION", 1_000)
    assert views.path(root) is None
    with pytest.raises(ViewError, match="that this release can use"), open_view(views.directory, root):
        pass
    views.ensure(root)
    assert held(views, root) == expected(A)
    monkeypatch.setattr(view_module, "VIEW_VERSION", 1_001)
    assert views.prune([root]) == [root]


# Damage and crashes

READ_CPU_S = 5
"""Processor time for reading one damaged view, in seconds."""


def test_a_damaged_view_is_an_error_or_right_and_can_be_made_again(views: Views, tmp_path: Path) -> None:
    root = put(views._store, A)
    views.ensure(root)
    whole = views.directory / cid_text(root)
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file() and path.stat().st_size)
    chance = random.Random(8)
    for case in range(120):
        damaged = tmp_path / f"case {case}" / cid_text(root)
        shutil.copytree(whole, damaged)
        file = damaged / files[case % len(files)]
        if case % 3:
            data = bytearray(file.read_bytes())
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            file.write_bytes(data)
        else:
            file.unlink()
    # The engine reads them in a process of its own, as the node's workers do: it might crash.
    code = f"import tests.node.storage.test_view as t; t.read_all({str(tmp_path)!r}, {root.hex()!r}, 120)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )
    assert done.returncode == 0, done.stderr
    found = done.stdout.split()
    assert len(found) == 120
    assert set(found) == {"right", "error"}, found
    assert found.count("error") > 40
    next(whole.rglob("*.sst")).write_bytes(b"damaged")
    views.discard(root)
    views.ensure(root)
    assert held(views, root) == expected(A)


@pytest.mark.parametrize("name", ["MANIFEST-*", "CURRENT", "*.sst"])
def test_a_view_whose_files_are_cut_short_is_no_empty_view(views: Views, name: str) -> None:
    root = put(views._store, A)
    path = views.ensure(root)
    file = next(path.glob(name))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ViewError, match=r"is damaged: .* has not the files"), open_view(views.directory, root):
        pass


def test_a_manifest_with_a_flipped_bit_gives_no_smaller_view(views: Views) -> None:
    root = put(views._store, A)
    file = next(views.ensure(root).glob("MANIFEST-*"))
    whole = file.read_bytes()
    for at in range(len(whole) - 600, len(whole)):  # the engine takes the end for one that was not written to the end
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ViewError, match="is damaged"), open_view(views.directory, root):
            pass
    file.write_bytes(whole)
    assert held(views, root) == expected(A)


def read_all(directory: str, root: str, cases: int) -> None:
    """Say of each damaged view what became of it. Each has a process: the engine may go round in circles for ever."""
    for case in range(cases):
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_CPU, (READ_CPU_S, READ_CPU_S))  # as a worker has
            found = 2
            try:
                with open_view(Path(directory) / f"case {case}", bytes.fromhex(root)) as store:
                    found = 0 if set(store.quads_for_pattern(None, None, None, None)) == expected(A) else 1
            finally:
                os._exit(found if not isinstance(sys.exception(), (*ENGINE_ERRORS, StoreError)) else 3)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        ended = {0: "right", 1: "wrong", 3: "error", -signal.SIGKILL: "error", -signal.SIGXCPU: "error"}
        sys.stdout.write(f"{ended.get(code, f'ended:{code}')}\n")


def test_a_damaged_older_view_does_not_keep_a_new_one_from_being_made(views: Views) -> None:
    old, new = put(views._store, A), put(views._store, A[:590])
    for name in ("*.sst", "CURRENT", "MANIFEST*"):
        for file in views.ensure(old).glob(name):
            file.write_bytes(b"damaged")
        views.ensure(new)
        assert held(views, new) == expected(A[:590])
        assert views.path(old) is None
        views.discard(new)


_KILLED = """
import os, signal, sys
from pathlib import Path
from dkg.client.store import SqliteStore
from node.storage import Views
from node.storage import view

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

directory, root, step = sys.argv[1:]
if step == "rename":
    Path.rename = die
else:
    setattr(view, step, die)
Views(Path(directory) / "views", SqliteStore(directory, read_only=True)).ensure(bytes.fromhex(root))
"""


@pytest.mark.parametrize("step", ["copy_and_change", "_sync", "rename"])
def test_a_build_that_is_killed_leaves_no_view_and_the_next_one_tidies_up(tmp_path: Path, step: str) -> None:
    with SqliteStore(tmp_path) as store:
        root, old = put(store, A), put(store, A[:500])
        views = Views(tmp_path / "views", store)
        views.ensure(old)
        # Not forked: the engine's threads would be missing in a child.
        killed = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path), root.hex(), step], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert ".building" in _names(views)
        assert views.roots() == [old]
        views.ensure(root)
        assert held(views, root) == expected(A)
        assert _names(views) == {cid_text(root), cid_text(old), "lock"}


def test_a_page_that_is_missing_ends_a_build_and_leaves_nothing(views: Views) -> None:
    root = put(views._store, A)
    assert isinstance(views._store, MemoryPageStore)
    leaf = StoredPages(views._store).root(root).trees[0]
    del views._store.pages[leaf]
    with pytest.raises(StoreError, match="the store has no page"):
        views.ensure(root)
    assert _names(views) == {"lock"}


def test_two_processes_do_not_make_views_at_once(views: Views) -> None:
    root = put(views._store, A)
    views.directory.mkdir()
    with FileLock(views.directory / "lock").held(), pytest.raises(ViewError, match="another process makes a view"):
        views.ensure(root)
    views.ensure(root)
    assert views.roots() == [root]
