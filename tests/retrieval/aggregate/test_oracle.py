"""Filled templates over random graphs are answered as brute force answers them, and a store that lies changes none."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dkg.errors import InputError, ProofError, StoreError
from retrieval.aggregate.answer import WORK
from retrieval.aggregate.result import number
from retrieval.aggregate.run import run
from retrieval.aggregate.schema import Kind
from retrieval.aggregate.templates import (
    Ask,
    Bound,
    Compare,
    Count,
    Extreme,
    HavingMany,
    Link,
    Listing,
    MostBy,
    Op,
    Selection,
)
from retrieval.reading import Reader
from tests.retrieval.aggregate.brute import answer, value
from tests.retrieval.reading.liars import Liar
from tests.retrieval.reading.world import iri, published, shown

if TYPE_CHECKING:
    from retrieval.aggregate.run import Outcome
    from retrieval.aggregate.templates import Template
    from tests.oracle import Quad
    from tests.retrieval.aggregate.brute import Answer

XSD = "http://www.w3.org/2001/XMLSchema#"
TYPE = iri("type")
CLASSES = [iri("A"), iri("B")]
THINGS = [iri(f"t{n}") for n in range(6)]
LINKS = [iri("p"), iri("q")]
NUMBER, DATE = iri("size"), iri("born")


def literal(text: str, datatype: str) -> bytes:
    return f'"{text}"^^<{XSD}{datatype}>'.encode()


numbers = st.one_of(
    st.integers(-3, 12).map(lambda n: literal(str(n), "integer")),
    st.sampled_from(["0.5", "2.5", "-1.5"]).map(lambda text: literal(text, "decimal")),
)
dates = st.integers(1, 28).map(lambda day: literal(f"2001-02-{day:02}", "date"))
texts = st.sampled_from([b'"five"', b'"2000"', iri("t0")])
things = st.sampled_from(THINGS)
triples = st.one_of(
    st.tuples(things, st.just(TYPE), st.sampled_from(CLASSES)),
    st.tuples(things, st.sampled_from(LINKS), things),
    st.tuples(things, st.just(NUMBER), st.one_of(numbers, numbers, texts)),
    st.tuples(things, st.just(DATE), st.one_of(dates, dates, texts)),
)
graphs = st.sampled_from([iri("g"), iri("h")])
quads = st.tuples(triples, graphs).map(lambda made: (*made[0], made[1]))
datasets = st.lists(st.sets(quads, max_size=40), min_size=1, max_size=3)

kinds = st.sampled_from(CLASSES).map(lambda term: Kind(term, TYPE, 1))
links = st.builds(Link, st.sampled_from(LINKS), things, st.booleans())
bounds = st.one_of(
    st.builds(Bound, st.just(NUMBER), st.sampled_from(Op), numbers),
    st.builds(Bound, st.just(DATE), st.sampled_from(Op), dates),
)
selections = st.builds(
    Selection,
    st.none() | kinds,
    st.lists(links, max_size=2).map(tuple),
    st.lists(bounds, max_size=1).map(tuple),
    st.lists(st.sampled_from([*LINKS, NUMBER]), max_size=1).map(tuple),
    st.none() | st.sampled_from(LINKS),
)
wholes = selections.filter(lambda of: of != Selection())
pairs = st.lists(things, min_size=2, max_size=2, unique=True).map(tuple)
yes, no = st.just(value=True), st.just(value=False)
templates = st.one_of(
    st.builds(Count, wholes),
    st.builds(Listing, wholes),
    st.builds(MostBy, selections, st.sampled_from(LINKS), st.booleans(), st.booleans(), st.none() | kinds),
    st.builds(Extreme, selections, st.sampled_from([NUMBER, DATE]), st.booleans()),
    st.builds(
        Compare,
        pairs,
        st.sampled_from(LINKS),
        no,
        st.booleans(),
        st.booleans(),
        st.none() | kinds,
    ),
    st.builds(Compare, pairs, st.sampled_from([NUMBER, DATE]), st.just(value=True), no, st.booleans()),
    st.builds(Ask, things, st.sampled_from(LINKS), things),
    st.builds(HavingMany, selections, st.sampled_from(LINKS), st.sampled_from(Op), st.integers(0, 4)),
)


def said(template: Template, outcome: Outcome) -> Answer:
    """The rows of an outcome as `brute.answer` gives them."""
    rows = outcome.rows
    if isinstance(template, Count):
        return number(rows[0][0])
    if isinstance(template, Ask):
        return number(rows[0][0]) > 0
    if isinstance(template, Listing):
        return frozenset(row[0] for row in rows)
    if isinstance(template, Extreme):
        return frozenset(rows)
    if isinstance(template, Compare) and template.by_value:
        return frozenset((x, found[1]) for x, v in rows if v is not None and (found := value(v)) is not None)
    return frozenset((row[0], number(row[1])) for row in rows)


def comparable(made: frozenset[tuple[bytes, bytes, bytes]], template: Template) -> bool:
    """Whether a property has numbers or dates at all: a template for an order is filled with no other."""
    if not isinstance(template, Extreme | Compare) or template.predicate not in {NUMBER, DATE}:
        return True
    return any(p == template.predicate and value(o) is not None for _, p, o in made)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(datasets, templates)
def test_a_filled_template_is_answered_as_brute_force_answers_it(datasets: list[set[Quad]], template: Template) -> None:
    made = frozenset(quad[:3] for quads in datasets for quad in quads)
    reader = Reader([published(str(at), quads).snapshot for at, quads in enumerate(datasets)])
    if comparable(made, template):
        assert said(template, run(template, reader, WORK)) == answer(made, template), template.query()
    else:
        with pytest.raises(InputError, match="0 datatypes"):
            run(template, reader, WORK)


def everyday(rng: random.Random) -> list[Quad]:
    """A graph with enough pages to lie about."""
    return [
        quad
        for n in range(60)
        for thing in [iri(f"t{n}")]
        for quad in (
            (thing, TYPE, rng.choice(CLASSES), iri("g")),
            (thing, LINKS[0], rng.choice(THINGS), iri("g")),
            (thing, LINKS[1], rng.choice(THINGS), iri("g")),
            (thing, NUMBER, literal(str(rng.randrange(99)), "integer"), iri("g")),
        )
    ]


FILLED: tuple[Template, ...] = (
    Count(Selection(Kind(CLASSES[0], TYPE, 1), (Link(LINKS[0], THINGS[1], forward=False),))),
    Count(Selection(links=(Link(LINKS[0], THINGS[2], forward=False),))),
    Listing(Selection(links=(Link(LINKS[1], THINGS[0], forward=False),))),
    MostBy(Selection(), LINKS[0], inverse=True, least=False),
    Extreme(Selection(Kind(CLASSES[1], TYPE, 1)), NUMBER, largest=True),
    Compare((THINGS[0], THINGS[1]), LINKS[0], by_value=False, inverse=True, more=True),
    Ask(iri("t7"), LINKS[0], THINGS[3]),
    HavingMany(Selection(), LINKS[0], Op.AT_LEAST, 1),
)


@pytest.mark.parametrize("template", FILLED, ids=lambda template: type(template).__name__)
def test_a_store_that_lies_gives_an_error_or_the_right_answer(template: Template) -> None:
    rng = random.Random(5)
    quads = everyday(rng)
    honest = published("a", quads)
    right = answer(frozenset(quad[:3] for quad in quads), template)
    pages = dict(honest.snapshot.pages.store.pages)  # type: ignore[attr-defined]  # StoredPages over memory
    cids = list(pages)
    refused = answered = 0
    for _ in range(25):
        lies = {cid: rng.choice([None, pages[rng.choice(cids)], pages[cid][:-1] + b"\x00"]) for cid in cids}
        liar = Liar(rng, pages, lies)
        liar.share = rng.choice((0.02, 0.1))
        reader = Reader([shown("a", honest.snapshot.root, liar, quads).snapshot])
        try:
            assert said(template, run(template, reader, WORK)) == right
            answered += 1
        except (ProofError, StoreError):
            refused += 1
    assert refused
    assert answered
