"""The versions of an asset, and that commits which left it alone are passed over unread."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.chain.commit import Commit
from dkg.chain.registry import Committed
from dkg.errors import LimitError, PageError, StoreError
from dkg.page import DatasetRoot, Inner, Leaf
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from dkg.terms import key_of
from node.assets import provenance
from node.assets.edits import Details, put, retract, supersede
from node.assets.graphs import diff_graph, has_graph, quads_of_graph
from node.assets.history import Point, Version, history
from node.assets.provenance import about
from tests.datasets import university
from tests.node.assets.world import NOW, World, triples, ual


def points(world: World) -> list[Point]:
    return [Point(i + 1, root, 100 + i, NOW + i) for i, root in enumerate(world.roots)]


def told(versions: list[Version]) -> list[tuple[int, str, int, int]]:
    return [(version.point.seq, version.kind, version.added, version.removed) for version in versions]


def test_every_kind_of_version() -> None:
    world = World()
    one, two = triples("a", ":s :p 1, 2 ."), triples("a", ":s :p 2, 3, 4 .")
    b = triples("b", ":s :p 1 .")
    world.apply(put(ual("a"), one, Details(), NOW))
    world.apply(put(ual("b"), b, Details(), NOW))
    world.apply(put(ual("a"), two, Details(), NOW))
    world.apply(put(ual("a"), two, Details("T"), NOW))
    world.apply(retract(ual("a"), NOW, "why"))
    world.apply(put(ual("a"), one, Details(), NOW))
    world.apply(supersede(ual("b"), (ual("a"),), NOW))
    world.load(list(b))
    found = list(history(world.pages, ual("a"), points(world)))
    assert told(found) == [
        (1, "created", 2, 0),
        (3, "changed", 2, 1),
        (4, "described", 0, 0),
        (5, "retracted", 0, 3),
        (6, "restored", 2, 0),
        (7, "superseded", 0, 0),
        (8, "removed", 0, 2),
    ]
    assert found[0].point == Point(1, world.roots[0], 100, NOW)
    assert [version.about and version.about.title for version in found] == [None, None, *["T"] * 4, None]
    assert found[3].about == about(world.pages, world.roots[4], ual("a"))
    assert list(history(world.pages, ual("c"), points(world))) == []
    assert list(history(world.pages, ual("c"), [])) == []


def test_content_without_provenance_is_an_asset_of_which_nothing_is_known() -> None:
    world = World()
    world.load(list(triples("a", ":s :p 1, 2 .")))
    (version,) = history(world.pages, ual("a"), points(world))
    assert (version.kind, version.added) == ("created", 2)
    assert version.about == about(world.pages, world.now, ual("a"))
    assert version.about is not None
    assert version.about.created is None


def test_commits_that_left_the_asset_alone_cost_a_few_pages() -> None:
    world = World()
    asset = triples("a", " ".join(f":s{i} :p {i} ." for i in range(2000)))
    world.load(university(2000), list(world.change(put(ual("a"), asset, Details(), NOW)).add))
    for i in range(20):
        world.apply(put(ual(f"other{i}"), triples(f"other{i}", f":s :p {i} ."), Details(), NOW))
    pages = world.recorded()
    assert told(list(history(pages, ual("a"), points(world)[:1]))) == [(1, "created", 2000, 0)]
    once = len(pages.read)
    assert told(list(history(pages, ual("a"), points(world)))) == [(1, "created", 2000, 0)]
    assert len(pages.read) - once < 20 * 12


def test_a_version_costs_what_changed() -> None:
    world = World()
    lines = [f":s{i} :p {i} ." for i in range(2000)]
    world.load(list(world.change(put(ual("a"), triples("a", " ".join(lines)), Details(), NOW)).add))
    world.apply(put(ual("a"), triples("a", " ".join(lines[1:])), Details(), NOW))
    pages = world.recorded()
    went, came = diff_graph(pages, world.roots[0], world.roots[1], ual("a").graph)
    assert (len(went), len(came)) == (1, 0)
    assert len(pages.read) < 24


def test_pages_that_are_not_kept_are_said_to_be_missing() -> None:
    world = World()
    world.apply(put(ual("a"), triples("a", ":s :p 1 ."), Details(), NOW))
    with pytest.raises(StoreError, match="has no page"):
        list(history(world.pages, ual("a"), [replace(points(world)[0], root=b"\x01\x71\x12\x20" + bytes(32))]))


GRAPHS = (b"<urn:g>", b"<urn:g#provenance>", b"<urn:g->", b"<urn:ga>")
Quads = frozenset[tuple[bytes, bytes, bytes, bytes]]
quads = st.frozensets(
    st.tuples(
        st.integers(0, 99).map(lambda i: f"<urn:s{i}>".encode()),
        st.sampled_from((b"<urn:p>", b"<urn:q>")),
        st.sampled_from((b"<urn:o>", b'"1"^^<http://www.w3.org/2001/XMLSchema#integer>')),
        st.sampled_from(GRAPHS),
    ),
    max_size=150,
)


@given(quads, quads, st.booleans())
def test_a_difference_is_that_of_the_sets(old: Quads, new: Quads, union: object) -> None:
    world = World()
    new = new | old if union else new
    world.load(list(old))
    world.load(list(new))
    for graph in GRAPHS:
        was, now = (frozenset(q for q in some if q[3] == graph) for some in (old, new))
        assert diff_graph(world.pages, world.roots[0], world.now, graph) == (was - now, now - was)
        assert diff_graph(world.pages, None, world.now, graph) == (frozenset(), now)
        assert quads_of_graph(world.pages, world.now, graph, len(now)) == now
        assert has_graph(world.pages, world.now, graph) == bool(now)


def test_a_point_is_a_commit_in_the_log() -> None:
    commit = Commit(b"\xbb" * 20, 2, b"\1" * 32, 5, b"\2" * 32, NOW)
    assert Point.of(Committed(commit, 7, 3, 100, NOW)) == Point(2, b"\x01\x71\x12\x20" + b"\1" * 32, 100, NOW)


def test_trees_with_leaves_at_different_depths_are_refused() -> None:
    """As in tests/dkg/test_diff.py: each side says that it was not built by the rules."""
    keys = [key_of((b"<urn:s>", b"<urn:p>", b"<urn:o%d>" % i, b"<urn:g>"), "gspo") for i in range(3)]
    store = MemoryPageStore()
    sink = PageSink(store)
    leaves = [sink.add(Leaf([key])) for key in keys]
    low = sink.add(Inner(leaves[:2], [keys[1]], [1, 1]))
    deep_first = sink.add(Inner([low, leaves[2]], [keys[2]], [2, 1]))
    deep_last = sink.add(Inner([leaves[0], low], [keys[1]], [1, 2]))
    roots = [sink.add(DatasetRoot([tree] * 4, 3)) for tree in (deep_first, deep_last)]
    sink.flush()
    for root in roots:
        with pytest.raises(PageError, match=r"leaves at different depths|outside the range"):
            diff_graph(StoredPages(store), None, root, b"<urn:g>")


def test_what_anyone_writes_into_a_provenance_graph_is_read_without_trust() -> None:
    """Who the publisher is comes from the UAL; a value of the wrong kind is none; of several the least is taken."""
    a, graph, d = ual("a").graph, ual("a").provenance_graph, b"<http://purl.org/dc/terms/%b>"
    odd = [
        (a, d % b"created", b'"yesterday"'),
        (a, d % b"created", b"<urn:x>"),
        (a, d % b"modified", b'"2027-01-15T08:00:00Z"^^<http://www.w3.org/2001/XMLSchema#dateTime>'),
        (a, d % b"modified", b'"2026-01-15T08:00:00Z"^^<http://www.w3.org/2001/XMLSchema#dateTime>'),
        (a, d % b"license", b'"CC"'),
        (a, d % b"license", b"<urn:z>"),
        (a, d % b"license", b"<urn:y>"),
        (a, d % b"title", b"<urn:t>"),
        (a, d % b"title", b'"T"@en'),
        (a, d % b"publisher", b"<did:pkh:eip155:1:0x0>"),
        (a, b"<http://www.w3.org/ns/prov#invalidatedAtTime>", b'"now"'),
        (ual("b").graph, d % b"title", b'"A"'),
        (a[:-1] + b"#proof>", b"<https://w3id.org/security#proofValue>", b'"z1"'),
    ]
    world = World()
    world.load([(s, p, o, graph) for s, p, o in odd])
    found = about(world.pages, world.now, ual("a"))
    assert found is not None
    assert (found.ual, found.created, found.modified) == (ual("a"), None, "2026-01-15T08:00:00Z")
    assert (found.licence, found.title, found.retracted, found.signed) == ("urn:y", "T", None, None)


def test_a_provenance_graph_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.apply(put(ual("a"), triples("a", ":s :p 1 ."), Details(), NOW))
    size = len(world.graph(ual("a").provenance_graph))
    monkeypatch.setattr(provenance, "PROVENANCE_QUADS_MAX", size)
    assert about(world.pages, world.now, ual("a"))
    monkeypatch.setattr(provenance, "PROVENANCE_QUADS_MAX", size - 1)
    with pytest.raises(LimitError, match="#provenance> has 6 quads; 5 is the most"):
        about(world.pages, world.now, ual("a"))
