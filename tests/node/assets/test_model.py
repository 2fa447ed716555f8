"""Any sequence of edits does what a dictionary would, and touches no asset but its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from node.assets.edits import Details, put, retract, supersede
from node.assets.errors import AssetError
from node.assets.history import Point, history
from node.assets.provenance import about
from tests.node.assets.world import NOW, World, ual

if TYPE_CHECKING:
    from dkg.terms import Quad
    from node.change import Change, Edit

NAMES = ("a", "b", "a-b")
TERMS = [b"<urn:x>", b"<urn:y>", b'"z"', b'"1"^^<http://www.w3.org/2001/XMLSchema#integer>']

Step = tuple[str, str, Any, Any]

names = st.sampled_from(NAMES)
contents = st.frozensets(st.tuples(st.sampled_from(TERMS[:2]), st.sampled_from(TERMS[:2]), st.sampled_from(TERMS)))
edits = st.lists(
    st.one_of(
        st.tuples(st.just("put"), names, contents.filter(bool), st.sampled_from((None, "", "urn:l"))),
        st.tuples(st.just("retract"), names, st.none(), st.sampled_from((None, "", "why"))),
        st.tuples(st.just("supersede"), names, names, st.none()),
    ),
    max_size=12,
)


def in_graph(name: str, found: frozenset[tuple[bytes, bytes, bytes]]) -> frozenset[Quad]:
    return frozenset((s, p, o, ual(name).graph) for s, p, o in found)


class Model:
    """What the assets are: their content, the licence, whether retracted."""

    def __init__(self) -> None:
        self.content: dict[str, frozenset[Quad]] = {}
        self.licence: dict[str, str | None] = {}
        self.retracted: set[str] = set()

    def put(self, name: str, found: frozenset[Quad], licence: str | None) -> None:
        self.content[name] = found
        self.retracted.discard(name)
        if licence is not None or name not in self.licence:
            self.licence[name] = licence or None

    def retract(self, name: str) -> None:
        self.content[name] = frozenset()
        self.retracted.add(name)


def step(world: World, model: Model, edit: Step, time: int) -> None:
    what, name, argument, text = edit
    before = world.quads()
    if what == "put":
        quads = in_graph(name, argument)
        change = applied(world, put(ual(name), quads, Details(licence=text), time))
        model.put(name, quads, text)
        touched = {ual(name).graph, ual(name).provenance_graph}
    elif what == "retract":
        if name not in model.content:
            return refused(world, retract(ual(name), time))
        change = applied(world, retract(ual(name), time, text))
        model.retract(name)
        touched = {ual(name).graph, ual(name).provenance_graph}
    else:
        try:
            change = applied(world, supersede(ual(name), (ual(argument),), time))
        except AssetError:
            return None
        olds = {
            name for name in model.content if ual(name).provenance_graph in {q[3] for q in change.add | change.remove}
        }
        touched = {ual(name).provenance_graph, *(ual(old).provenance_graph for old in olds)}
        assert {q[1] for q in change.add | change.remove if q[3] != ual(name).provenance_graph} <= {
            b"<http://purl.org/dc/terms/isReplacedBy>"
        }
    assert {quad[3] for quad in before ^ world.quads()} <= touched
    assert before ^ world.quads() == (change.add - before) | (change.remove & before)
    return None


def applied(world: World, edit: Edit) -> Change:
    """Apply an edit; at once again, it changes nothing."""
    change = world.apply(edit)
    assert not (change.add & change.remove)
    assert not world.change(edit)
    return change


def refused(world: World, edit: Edit) -> None:
    try:
        world.change(edit)
    except AssetError:
        return
    raise AssertionError("an asset that was never there was retracted")


@given(edits)
def test_edits_do_what_the_model_does(sequence: list[Step]) -> None:
    world, model = World(), Model()
    for i, edit in enumerate(sequence):
        step(world, model, edit, NOW + i)
    for name in NAMES:
        assert world.graph(ual(name).graph) == model.content.get(name, frozenset())
        if world.root:
            found = about(world.pages, world.now, ual(name))
            assert (found is not None) == (name in model.content)
            if found:
                assert found.licence == model.licence[name]
                assert bool(found.retracted) == (name in model.retracted)
    history_is_what_happened(world)


def history_is_what_happened(world: World) -> None:
    """What the history of an asset adds up to is what is there, and no version is of a commit that left it alone."""
    points = [Point(i + 1, root, i, i) for i, root in enumerate(world.roots)]
    for name in NAMES:
        versions = list(history(world.pages, ual(name), points))
        assert sum(version.added - version.removed for version in versions) == len(world.graph(ual(name).graph))
        assert [version.point.seq for version in versions] == touching(world, name)
        assert all(version.about == about(world.pages, version.point.root, ual(name)) for version in versions)
        assert [version.kind == "created" for version in versions] == [i == 0 for i in range(len(versions))]


def touching(world: World, name: str) -> list[int]:
    found, before = [], set[object]()
    for i, root in enumerate(world.roots):
        at = World()
        at.store, at.roots = world.store, [root]
        now = at.graph(ual(name).graph) | at.graph(ual(name).provenance_graph)
        if now != before:
            found.append(i + 1)
        before = set(now)
    return found
