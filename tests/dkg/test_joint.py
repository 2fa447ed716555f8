"""A query over datasets of which parts count is answered as over the dataset of these parts, built."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.errors import MissingPageError, QueryError
from dkg.evaluate import Dataset, evaluate_gathering
from dkg.gather import Gather
from dkg.joint import Graphs, GraphsBeside, GraphsWithin, JointGather, Part, PartError
from dkg.limits import DEFAULT_BUDGET
from dkg.page import ORDERS
from dkg.pages import MemoryPageStore, Pages, ProvedPages, RecordedPages, StoredPages
from dkg.scan import LAST
from dkg.sparql.syntax import parse
from dkg.terms import key_of
from tests.evaluators import build, outcome_of
from tests.fuzz.check import fault
from tests.fuzz.grammar import case
from tests.fuzz.vocabulary import GRAPHS, iri
from tests.mutation.subjects import NARROW
from tests.oracle import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.fuzz.grammar import Case
    from tests.oracle import Outcome, Quad

CASES = range(640, 820)
EVERY = [b"<http://e/" + name.encode() for name in GRAPHS]
"""What the graphs of each publisher begin with, in random data."""


class World:
    """A dataset of everything that is old in some publishers' graphs, and these publishers' own datasets."""

    def __init__(
        self, quads: Iterable[Quad], lies: Sequence[Quad], changed: Sequence[bytes], rng: random.Random
    ) -> None:
        """`quads`: what counts in the end. `lies`: what stands where it does not count."""
        true = set(quads)
        stale = [one for one in (*true, *lies) if one[3].startswith(tuple(changed)) and rng.random() < 0.5]
        datasets = [{one for one in true if not one[3].startswith(tuple(changed))} | set(stale)]
        for prefix in changed:
            own = {one for one in true if one[3].startswith(prefix)}
            datasets.append(own | {one for one in lies if not one[3].startswith(prefix)})
        self.store, self.roots = MemoryPageStore(), []
        for dataset in datasets:
            pages, root = build(dataset, NARROW)
            self.store.pages.update(pages.pages)
            self.roots.append(root)
        self.graphs: list[Graphs] = [GraphsBeside(changed) if changed else Graphs()]
        self.graphs += map(GraphsWithin, changed)

    def gather(self, pages: Pages) -> JointGather:
        """What evaluation reads."""
        parts = [Gather(pages, root, DEFAULT_BUDGET.quads) for root in self.roots]
        return JointGather(list(map(Part, parts, self.graphs)), DEFAULT_BUDGET.quads)


def world_of(made: Case) -> World:
    rng = random.Random(made.seed)
    lies = [(*one[:3], iri(rng.choice(GRAPHS))) for one in made.quads]
    lies += [(one[0], one[1], one[0], one[3]) for one in made.quads[::2]]
    return World(made.quads, [one for one in lies if one not in made.quads], rng.sample(EVERY, rng.randrange(4)), rng)


def answered(made: Case) -> Outcome:
    """What evaluation gives over all pages; it is the same over those pages alone that were read."""
    world = world_of(made)
    scope = Dataset(made.default_graphs, made.named_graphs)
    read = RecordedPages(StoredPages(world.store), DEFAULT_BUDGET.pages, DEFAULT_BUDGET.proof_bytes)
    try:
        outcome = outcome_of(evaluate_gathering(world.gather(read), parse(made.text), scope))
    except QueryError as error:
        return Refusal(str(error))
    proved = ProvedPages(dict(read.blocks()))
    evaluate_gathering(world.gather(proved), parse(made.text), scope)
    assert list(proved.used) == list(read.read)
    return outcome


@pytest.mark.parametrize("start", range(CASES.start, CASES.stop, 60))
def test_random_queries_are_answered_as_over_the_union_built(start: int) -> None:
    for seed in range(start, start + 60):
        made = case(seed)
        wrong = fault(made, answered(made))
        assert wrong is None, (seed, made.text, wrong)


NAMES = st.sampled_from([iri(f"{name}{more}") for name in GRAPHS for more in ("", "/a", "0", "\u00e9")])
QUADS = st.sets(st.tuples(*[st.sampled_from([iri(name) for name in "abc"])] * 3, NAMES), max_size=30)


@given(quads=QUADS, lies=QUADS, changed=st.sets(st.sampled_from(EVERY)), data=st.data())
def test_every_range_has_the_keys_of_the_union_built(
    quads: set[Quad], lies: set[Quad], changed: set[bytes], data: st.DataObject
) -> None:
    world = World(quads, sorted(lies - quads), sorted(changed), random.Random(len(lies)))
    allowed = data.draw(st.none() | st.frozensets(NAMES, max_size=3))
    for order in ORDERS:
        keys = sorted(key_of(one, order) for one in quads if allowed is None or one[3] in allowed)
        low, high = sorted(data.draw(st.lists(st.sampled_from([b"", LAST, *keys, *EVERY]), min_size=2, max_size=2)))
        gather = world.gather(StoredPages(world.store))
        found = gather.take(order, low, high, named=True, allowed=allowed)
        assert found == [key for key in keys if low <= key < high]
        assert gather.count(order, low, high) >= 0


def test_a_dataset_is_not_read_where_none_of_its_graphs_can_be() -> None:
    quads = [(iri("a"), iri("p"), iri(f"o{at}"), iri(name)) for at in range(200) for name in GRAPHS]
    world = World(quads, [], EVERY[:2], random.Random(1))
    for query in ("SELECT * { GRAPH <http://e/g1> { ?s ?p ?o } }", "SELECT * FROM <http://e/g1> { ?s ?p ?o }"):
        read = RecordedPages(StoredPages(world.store), 10_000, 2**30)
        assert len(evaluate_gathering(world.gather(read), parse(query)).rows) == 200
        alone = RecordedPages(StoredPages(world.store), 10_000, 2**30)
        evaluate_gathering(Gather(alone, world.roots[1], 10_000), parse(query))
        assert len(read.read) == len(alone.read) + 2  # the other datasets' roots


def test_the_part_whose_pages_are_missing_is_named() -> None:
    world = World([(iri("a"), iri("p"), iri("b"), iri(name)) for name in GRAPHS], [], EVERY[:2], random.Random(1))
    gather = world.gather(ProvedPages({root: world.store.pages[root] for root in world.roots}))
    with pytest.raises(PartError, match="dataset 0 of a union") as caught:
        gather.take("spog", b"", LAST, named=True)
    assert (caught.value.at, type(caught.value.reason)) == (0, MissingPageError)
    with pytest.raises(PartError, match="dataset 1 of a union") as caught:
        gather.take("gspo", EVERY[0], EVERY[0] + b"\xff", named=True)
    assert (caught.value.at, type(caught.value.reason)) == (1, MissingPageError)


def test_longer_keys_than_a_part_may_have_do_not_count() -> None:
    quads = [(iri("a"), iri("p"), b'"' + b"x" * size + b'"', iri("g1")) for size in (10, 11)]
    longest = len(key_of(quads[0], "spog"))
    store, root = build(quads)
    gather = JointGather([Part(Gather(StoredPages(store), root, 10), Graphs(), longest)], 10)
    for order in ORDERS:
        assert gather.take(order, b"", LAST, named=True) == [key_of(quads[0], order)]
