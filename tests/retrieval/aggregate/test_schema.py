"""The schema that is mined is that of the data, from few pages, and within its limits."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from dkg.errors import RdfError
from dkg.pages import MemoryPageStore, RecordedPages, StoredPages
from retrieval.aggregate import schema
from retrieval.aggregate.schema import NUMERIC, TEMPORAL, Schemas, edge_value, mine, sample
from retrieval.aggregate.templates import place
from tests.datasets import stored
from tests.retrieval.aggregate.test_oracle import NUMBER, datasets
from tests.retrieval.aggregate.world import TYPE, e, of, quads, row
from tests.retrieval.reading.world import published

if TYPE_CHECKING:
    from tests.oracle import Quad


def kind_of(term: bytes) -> str:
    if term[:1] == b"<":
        return "iris"
    datatype = term.rpartition(b"#")[2]
    return {b"integer>": "numbers", b"decimal>": "numbers", b"date>": "times"}.get(datatype, "texts")


@settings(max_examples=60, deadline=None)
@given(datasets)
def test_what_is_mined_is_what_there_is(datasets: list[set[Quad]]) -> None:
    quads = datasets[0] | {(s, TYPE if p.endswith(b"type>") else p, o, g) for s, p, o, g in datasets[0]}
    snapshot = published("a", quads).snapshot
    found = mine(snapshot.pages, snapshot.root)
    counted: Counter[tuple[bytes, str]] = Counter((p, kind_of(o)) for _, p, o, _ in quads)
    assert found.complete
    assert {p: one.quads for p, one in found.properties.items()} == Counter(p for _, p, _, _ in quads)
    for (predicate, kind), count in counted.items():
        assert getattr(found.properties[predicate], kind) == count
    typed = Counter(o for _, p, o, _ in quads if p == TYPE)
    assert {term: kind.quads for term, kind in found.classes.items()} == typed


def test_a_thousand_triples_more_of_a_class_cost_no_page_more_than_its_edges() -> None:
    read = []
    for films in (500, 5_000):
        made = [row(f"x{n}", TYPE, e("Film")) for n in range(films)]
        store, root = stored(made)
        pages = RecordedPages(StoredPages(store), 10_000, 1 << 30)
        assert mine(pages, root).classes[e("Film")].quads == films
        read.append(len(pages.read))
    assert read[1] < 30 < len(store.pages)


def test_classes_and_predicates_are_mined_up_to_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    made = quads()
    whole = mine_of(made)
    monkeypatch.setattr(schema, "PREDICATES_MAX", len(whole.properties))
    monkeypatch.setattr(schema, "CLASSES_MAX", len(whole.classes))
    assert mine_of(made) == whole
    monkeypatch.setattr(schema, "PREDICATES_MAX", len(whole.properties) - 1)
    cut = mine_of(made)
    assert (len(cut.properties), cut.complete) == (len(whole.properties) - 1, False)
    monkeypatch.setattr(schema, "PREDICATES_MAX", len(whole.properties))
    monkeypatch.setattr(schema, "CLASSES_MAX", len(whole.classes) - 1)
    cut = mine_of(made)
    assert (len(cut.classes), cut.complete) == (len(whole.classes) - 1, False)


def mine_of(made: list[Quad]) -> schema.Schema:
    snapshot = published("a", made).snapshot
    return mine(snapshot.pages, snapshot.root)


def test_the_edges_and_samples_of_a_property() -> None:
    values = [of(str(n), "integer") for n in (-5, 0, 3, 40)] + [of("2001-01-01", "date"), b'"text"']
    snapshot = published("a", [row(f"t{n}", NUMBER, value) for n, value in enumerate(values)]).snapshot
    assert edge_value(snapshot, NUMBER, NUMERIC, 0, largest=True) == values[3]
    assert edge_value(snapshot, NUMBER, NUMERIC, 1, largest=True) == values[2]
    assert edge_value(snapshot, NUMBER, NUMERIC, 99, largest=True) == values[0]
    assert edge_value(snapshot, NUMBER, NUMERIC, 0, largest=False) == values[0]
    assert edge_value(snapshot, NUMBER, TEMPORAL, 0, largest=True) == values[4]
    assert edge_value(snapshot, e("nothing"), NUMERIC, 0, largest=True) is None
    assert {value for _, value in sample(snapshot, NUMBER)} == set(values)
    assert {value for _, value in sample(snapshot, NUMBER, NUMERIC)} == set(values[:4])


def test_schemas_are_kept_by_root_and_added_up_over_publishers() -> None:
    one, two = published("a", quads()).snapshot, published("b", [row("f9", TYPE, e("Film"))]).snapshot
    schemas = Schemas()
    both = schemas.of([one, two])
    assert both.classes[e("Film")].quads == 5
    unreadable = published("a", quads()).snapshot
    object.__setattr__(unreadable, "pages", StoredPages(MemoryPageStore()))
    assert schemas.of([unreadable, two]) == both  # by the root alone: nothing is read again


@pytest.mark.parametrize(
    "term", [b"", b"<http://e/a> ?p", b'"a" . }', b"?x", b'"01"^^<http://www.w3.org/2001/XMLSchema#integer>', b"_:b"]
)
def test_what_is_no_term_in_normal_form_is_not_placed_in_a_query(term: bytes) -> None:
    with pytest.raises(RdfError, match="not a term in normal form"):
        place(term)
