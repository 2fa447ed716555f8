from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dkg.pages import MemoryPageStore, StoredPages
from retrieval.model import Candidate, Reason, Statement
from retrieval.policy import Policy
from retrieval.policy.conflicts import VALUES_MAX
from retrieval.policy.screening import SIDES_MAX
from retrieval.reading import Reader
from tests.retrieval.policy.world import ANN, BOB, CAT, EVE, MAL, NOW, iri, objects, reasons, says, screened

if TYPE_CHECKING:
    from retrieval.model import Snapshot

BORN = "functional: ['http://e/born']\n"


def test_the_value_of_more_publishers_stays_and_the_other_goes_with_its_reason() -> None:
    kept, dropped, _ = screened(
        BORN, says(ANN, ":x :born :rome"), says(BOB, ":x :born :rome"), says(EVE, ":x :born :oslo")
    )
    assert objects(kept) == [iri("rome")]
    (gone,) = dropped
    assert (gone.reason, gone.publishers) == (Reason.CONFLICT, (EVE,))
    assert "2 against 1" in gone.detail


def test_copies_by_one_publisher_count_once() -> None:
    copies = ":g1 { :x :born :oslo } :g2 { :x :born :oslo } :g3 { :x :born :oslo }"
    kept, _, _ = screened(BORN, says(ANN, ":x :born :rome"), says(BOB, ":x :born :rome"), says(EVE, copies))
    assert objects(kept) == [iri("rome")]


def test_a_tie_is_no_answer() -> None:
    kept, dropped, _ = screened(BORN, says(ANN, ":x :born :rome"), says(EVE, ":x :born :oslo"))
    assert not kept
    assert reasons(dropped) == ["conflict", "conflict"]
    assert all("nothing decides" in one.detail for one in dropped)


def test_a_tie_is_both_sides_with_who_says_them_where_the_policy_wants_it() -> None:
    policy = BORN + "conflicts: {resolve: weigh, tie: both}"
    kept, dropped, _ = screened(policy, says(ANN, ":x :born :rome"), says(EVE, ":x :born :oslo"))
    assert objects(kept) == [iri("oslo"), iri("rome")]
    assert not dropped
    notes = {fact.statement.object: fact.note for fact in kept}
    assert notes[iri("rome")] == "disputed: said by 0x1111..1111; 0x4444..4444 says otherwise"


def test_both_sides_are_shown_even_where_one_is_better_supported() -> None:
    snapshots = says(ANN, ":x :born :rome"), says(BOB, ":x :born :rome"), says(EVE, ":x :born :oslo")
    kept, _, _ = screened(BORN + "conflicts: both", *snapshots)
    assert objects(kept) == [iri("oslo"), iri("rome")]
    assert all(fact.note for fact in kept)


def test_more_sides_than_can_be_shown_are_not_shown() -> None:
    names = [ANN, BOB, CAT, EVE, MAL]
    few = [says(name, f":x :born :c{at}") for at, name in enumerate(names[:SIDES_MAX])]
    assert len(screened(BORN + "conflicts: both", *few)[0]) == SIDES_MAX
    assert not screened(BORN + "conflicts: both", *few, says(MAL, ":x :born :c9"))[0]


def test_a_policy_that_abstains_keeps_nothing_that_is_disputed() -> None:
    snapshots = says(ANN, ":x :born :rome ; :likes :tea"), says(BOB, ":x :born :rome"), says(EVE, ":x :born :oslo")
    kept, dropped, _ = screened(BORN + "conflicts: abstain", *snapshots)
    assert objects(kept) == [iri("tea")]
    assert reasons(dropped) == ["conflict", "conflict"]


def test_weights_decide_and_are_exact() -> None:
    weights = f"publishers: {{weight: {{'{ANN}': 0.1, '{BOB}': 0.2, '{EVE}': 0.3}}}}\n"
    snapshots = says(ANN, ":x :born :rome"), says(BOB, ":x :born :rome"), says(EVE, ":x :born :oslo")
    assert not screened(BORN + weights, *snapshots)[0]
    assert objects(screened(BORN + weights.replace("0.2", "0.21"), *snapshots)[0]) == [iri("rome")]


def test_any_number_of_strangers_without_weight_do_not_outvote_one_who_has() -> None:
    weights = f"publishers: {{weight: {{'{ANN}': 1, '*': 0}}}}\n"
    crowd = [says(one, ":x :born :oslo") for one in (BOB, CAT, EVE, MAL)]
    kept, dropped, _ = screened(BORN + weights, says(ANN, ":x :born :rome"), *crowd)
    assert objects(kept) == [iri("rome")]
    assert reasons(dropped) == ["conflict"]


def test_a_publisher_who_contradicts_itself_supports_nothing() -> None:
    snapshots = says(ANN, ":x :born :rome"), says(EVE, ":x :born :oslo, :rome")
    kept, _, _ = screened(BORN, *snapshots)
    assert objects(kept) == [iri("rome")]
    kept, dropped, _ = screened(BORN, says(EVE, ":x :born :oslo, :rome"))
    assert not kept
    assert len(dropped) == 2


def test_a_flood_of_values_does_not_hide_what_others_say() -> None:
    for number in (VALUES_MAX, VALUES_MAX + 1, 3 * VALUES_MAX):
        flood = says(EVE, ":x :born " + ", ".join(f":a{n:03}" for n in range(number)))
        kept, _, _ = screened(BORN, says(ANN, ":x :born :rome"), flood)
        assert objects(kept) == [iri("rome")]


def test_an_index_that_proposes_only_the_false_value_gets_the_true_one() -> None:
    reader = Reader([says(ANN, ":x :born :rome"), says(BOB, ":x :born :rome"), says(EVE, ":x :born :oslo")])
    proposed = Candidate(Statement(iri("x"), iri("born"), iri("oslo")), 0.7, path=3)
    facts, _ = reader.facts([proposed])
    kept, dropped = Policy.from_yaml(BORN).screen(facts, reader, NOW)
    assert [(fact.statement.object, fact.score, fact.path) for fact in kept] == [(iri("rome"), 0.7, 3)]
    assert kept[0].publishers == (ANN, BOB)
    assert reasons(dropped) == ["conflict"]


def test_who_is_not_allowed_takes_no_part_in_a_conflict() -> None:
    snapshots = says(ANN, ":x :born :rome"), says(EVE, ":x :born :oslo"), says(MAL, ":x :born :oslo")
    kept, dropped, _ = screened(BORN + f"publishers: {{allow: ['{ANN}']}}", *snapshots)
    assert objects(kept) == [iri("rome")]
    assert reasons(dropped) == ["publisher"]


def test_a_value_of_the_wrong_shape_takes_no_part_in_a_conflict() -> None:
    shape = """shapes: |
      @prefix sh: <http://www.w3.org/ns/shacl#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
      <http://e/S> sh:targetSubjectsOf <http://e/age> ; sh:property
        [ sh:path <http://e/age> ; sh:maxCount 1 ; sh:datatype xsd:integer ; sh:maxInclusive 150 ] .
"""
    snapshots = says(ANN, ":x :age 44"), says(EVE, ":x :age 999"), says(MAL, ":x :age 999")
    kept, dropped, _ = screened(shape, *snapshots)
    assert [fact.publishers for fact in kept] == [(ANN,)]
    assert reasons(dropped) == ["shape"]


@pytest.mark.parametrize("values", [("5", "5.0"), ("1e1", "10"), ('"a"@en', '"a"'), ('"a"@en', '"a"@de')])
def test_the_same_in_other_words_is_no_conflict(values: tuple[str, str]) -> None:
    kept, dropped, _ = screened(BORN, says(ANN, f":x :born {values[0]}"), says(EVE, f":x :born {values[1]}"))
    assert len(kept) == 2
    assert not dropped


@pytest.mark.parametrize(
    "values", [('"1950"@en', "1940"), ("9007199254740993", "9007199254740992"), (":a", '"http://e/a"'), ("true", "1")]
)
def test_what_differs_in_kind_or_by_a_little_is_one(values: tuple[str, str]) -> None:
    kept, _, _ = screened(BORN, says(ANN, f":x :born {values[0]}"), says(EVE, f":x :born {values[1]}"))
    assert not kept


def test_properties_that_may_have_many_values_do_not_conflict() -> None:
    kept, dropped, _ = screened(BORN, says(ANN, ":x :child :a"), says(EVE, ":x :child :b"))
    assert len(kept) == 2
    assert not dropped


def broken(snapshot: Snapshot) -> Snapshot:
    """A dataset whose pages are lost."""
    return replace(snapshot, pages=StoredPages(MemoryPageStore()))


def test_a_publisher_who_does_not_count_and_cannot_be_read_stops_nothing() -> None:
    good = says(ANN, ":x :born :rome ; a :Person"), says(BOB, ":x :born :rome")
    bad = broken(says(EVE, ":x :born :oslo"))
    facts = Reader(good).about(iri("x"), most=9)
    for people in (f"publishers: {{deny: ['{EVE}']}}", f"publishers: {{weight: {{'{EVE}': 0}}}}"):
        policy = Policy.from_yaml(BORN + people + "\nconflicts: both")
        kept, dropped = policy.screen(facts, Reader([*good, bad]), NOW)
        assert len(kept) == 2
        assert not dropped


def test_a_conflict_about_which_a_publisher_of_weight_cannot_be_read_is_not_settled() -> None:
    good = says(ANN, ":x :born :rome ; :likes :tea")
    facts = Reader([good]).about(iri("x"), most=9)
    reader = Reader([good, broken(says(EVE, ":x :born :oslo"))])
    kept, dropped = Policy.from_yaml(BORN).screen(facts, reader, NOW)
    assert objects(kept) == [iri("tea")]
    assert [one.reason for one in dropped] == [Reason.CONFLICT]
    assert "can be read" in dropped[0].detail


DETECT = "functional: {detect: {single: 0.9, subjects: 10}}\n"


def test_a_property_with_one_value_each_is_found_to_be_functional() -> None:
    data = " ".join(f":p{n} :born :c{n} ; :child :k{n}, :l{n} ." for n in range(12))
    snapshots = says(ANN, data), says(BOB, data), says(EVE, ":p3 :born :oslo ; :child :m .")
    kept, dropped, _ = screened(DETECT, *snapshots, about="p3")
    assert objects(kept) == sorted([iri("c3"), iri("k3"), iri("l3"), iri("m")])
    assert reasons(dropped) == ["conflict"]


def test_one_publisher_cannot_make_a_property_look_as_if_it_had_many_values() -> None:
    data = " ".join(f":p{n} :born :c{n} ." for n in range(12))
    noise = " ".join(f":p{n} :born :a{n}, :b{n} ." for n in range(12))
    kept, _, _ = screened(DETECT, says(ANN, data), says(BOB, data), says(EVE, noise), about="p3")
    assert objects(kept) == [iri("c3")]


def test_too_few_subjects_say_nothing_about_a_property() -> None:
    data = " ".join(f":p{n} :born :c{n} ." for n in range(9))
    kept, _, _ = screened(DETECT, says(ANN, data), says(EVE, ":p3 :born :oslo ."), about="p3")
    assert len(kept) == 2
