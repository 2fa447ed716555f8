from __future__ import annotations

import pytest

from dkg.errors import LimitError
from retrieval.policy import PolicyError
from retrieval.policy.shapes import PATTERN_TEXT_CHARS_MAX, SHAPES_BYTES_MAX, shapes_of
from tests.retrieval.policy.world import ANN, EVE, reasons, says, screened

HEAD = (
    "@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix : <http://e/> . "
    "@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n"
)


def policy(constraint: str, target: str = "sh:targetNode :x") -> str:
    """A policy with one shape for `:p`."""
    return "instructions: keep\nshapes: |\n  " + (
        HEAD + f":S {target} ; sh:property [ sh:path :p ; {constraint} ] ."
    ).replace("\n", "\n  ")


@pytest.mark.parametrize(
    ("constraint", "right", "wrong"),
    [
        ("sh:datatype xsd:integer", "5", "5.5"),
        ("sh:datatype xsd:integer", "5", '"five"^^xsd:integer'),
        ("sh:datatype xsd:boolean", "true", '"yes"^^xsd:boolean'),
        ("sh:datatype xsd:date", '"2020-02-29"^^xsd:date', '"2021-02-29"^^xsd:date'),
        ("sh:datatype xsd:string", '"a"', '"a"@en'),
        ("sh:nodeKind sh:IRI", ":a", '"a"'),
        ("sh:nodeKind sh:Literal", '"a"', ":a"),
        ("sh:class :City", ":oslo", ":soup"),
        ("sh:minInclusive 0", "0", "-1"),
        ("sh:maxInclusive 150", "150.0", "150.0001"),
        ("sh:maxInclusive 9007199254740992", "9007199254740992", "9007199254740993"),
        ("sh:minExclusive 0", "0.1", "0"),
        ("sh:maxExclusive 10", "9.9", "10"),
        ("sh:maxInclusive 150", "150", '"NaN"^^xsd:double'),
        ("sh:maxInclusive 150", "150", '"many"'),
        ("sh:maxInclusive 150", "150", ":a"),
        ('sh:maxInclusive "2020-01-01"^^xsd:date', '"2020-01-01"^^xsd:date', '"2099-01-01"^^xsd:date'),
        ("sh:minLength 3", '"abc"', '"ab"'),
        ("sh:maxLength 3", '"abc"@en', '"abcd"'),
        ('sh:pattern "^[A-Z]{2}$"', '"DE"', '"de"'),
        ('sh:pattern "^de$" ; sh:flags "i"', '"DE"', '"DEU"'),
        ('sh:pattern "^a*$"', f'"{"a" * PATTERN_TEXT_CHARS_MAX}"', f'"{"a" * (PATTERN_TEXT_CHARS_MAX + 1)}"'),
        ("sh:in (:a 1.0 'z')", ":a", ":b"),
        ("sh:in (:a 1.0 'z')", "'z'", "'z'@en"),
        ('sh:languageIn ("en" "de")', '"a"@en-GB', '"a"@fr'),
        ('sh:languageIn ("en")', '"a"@EN', '"a"'),
    ],
)
def test_a_value_is_kept_within_its_shape_and_dropped_outside(constraint: str, right: str, wrong: str) -> None:
    types = " . :oslo a :City . :soup a :Food"
    kept, dropped, _ = screened(policy(constraint), says(ANN, f":x :p {right}{types}"))
    assert (len(kept), dropped) == (1, [])
    kept, dropped, _ = screened(policy(constraint), says(EVE, f":x :p {wrong}{types}"))
    assert (kept, reasons(dropped)) == ([], ["shape"])


def test_a_shape_is_for_its_targets_only() -> None:
    shape = policy("sh:datatype xsd:integer", "sh:targetClass :Person")
    assert reasons(screened(shape, says(ANN, ":x :p 'a' ; a :Person"))[1]) == ["shape"]
    assert screened(shape, says(ANN, ":x :p 'a' ; a :Dog"))[1] == []
    shape = policy("sh:datatype xsd:integer", "sh:targetSubjectsOf :q")
    assert reasons(screened(shape, says(ANN, ":x :p 'a' ; :q 1"))[1]) == ["shape"]
    assert screened(shape, says(ANN, ":x :p 'a'"))[1] == []


def test_a_publisher_cannot_take_a_subject_out_of_a_class_that_another_says_it_has() -> None:
    shape = policy("sh:datatype xsd:integer", "sh:targetClass :Person")
    assert reasons(screened(shape, says(ANN, ":x a :Person"), says(EVE, ":x :p 'a' ; a :Dog"))[1]) == ["shape"]


@pytest.mark.parametrize(
    ("turtle", "what"),
    [
        (":S sh:targetNode :x ; sh:property [ sh:path :p ; sh:minCount 1 ] .", "sh:minCount"),
        (":S sh:targetNode :x ; sh:property [ sh:path :p ; sh:maxCount 2 ] .", "sh:maxCount is taken as 1 only"),
        (":S sh:targetNode :x ; sh:property [ sh:path :p ; sh:maxLength -1 ] .", "sh:maxLength is a whole number"),
        (":S sh:targetNode :x ; sh:property [ sh:path (:p :q) ; sh:class :c ] .", "sh:path must be an IRI"),
        (":S sh:targetNode :x ; sh:property [ sh:class :c ] .", "no sh:path"),
        (":S sh:targetNode :x ; sh:closed true ; sh:property [ sh:path :p ] .", "sh:closed"),
        (":S sh:targetNode :x ; sh:property [ sh:path :p ; sh:or () ] .", "sh:or"),
        (":S sh:targetNode :x ; sh:property [ sh:path :p ; sh:deactivated true ] .", "sh:deactivated"),
        (":S sh:targetNode :x ; sh:property [ sh:path :p ; :mine 1 ] .", "<http://e/mine>"),
        (":S sh:targetObjectsOf :q ; sh:property [ sh:path :p ] .", "has no target"),
        (":S sh:property [ sh:path :p ; sh:class :c ] .", "has no target; allowed are sh:targetClass"),
        (":S sh:targetNode :x ; sh:property :T .", "is not in the document"),
        (":S sh:targetNode :x ; sh:class :c .", "is not part of a node shape"),
        (":S sh:targetNode :x ; sh:property [ sh:path :p ; sh:nodeKind sh:BlankNode ] .", "sh:nodeKind is one of"),
        (":S sh:targetNode :x ; sh:property [ sh:path :p ; sh:pattern '(?=a)' ] .", "sh:pattern"),
        (":S sh:targetNode :x ; sh:property [ sh:path :p ; sh:minInclusive 'a' ] .", "sh:minInclusive is a number"),
        (":S sh:targetNode :x ; sh:property [ sh:path :p ; sh:in [] ] .", "sh:in is a list that ends"),
        (":S sh:targetNode :x ; sh:property [ sh:path :p ; sh:datatype :a, :b ] .", "sh:datatype is given twice"),
        (":S sh:targetNode :x ; sh:property [ sh:path :p ] . :T a sh:PropertyShape ; sh:path :q .", "is not part of"),
        ("", "there is no node shape"),
        (":S :p", "not Turtle"),
    ],
)
def test_what_cannot_be_checked_is_refused_by_name(turtle: str, what: str) -> None:
    with pytest.raises(PolicyError, match=what.replace("(", r"\(")):
        shapes_of(HEAD + turtle, "shapes")


def test_a_list_that_bites_its_tail_is_refused() -> None:
    rdf = "@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .\n"
    loop = ":S sh:targetNode :x ; sh:property [ sh:path :p ; sh:in _:l ] . _:l rdf:first :a ; rdf:rest _:l ."
    with pytest.raises(PolicyError, match="list that ends"):
        shapes_of(rdf + HEAD + loop, "shapes")


def test_the_limit_of_shapes_at_the_limit_and_one_beyond() -> None:
    good = HEAD + ":S sh:targetNode :x ; sh:property [ sh:path :p ; sh:nodeKind sh:IRI ] .\n#"
    padded = good + "x" * (SHAPES_BYTES_MAX - len(good))
    assert len(shapes_of(padded, "shapes")) == 1
    with pytest.raises(LimitError, match=f"{SHAPES_BYTES_MAX} is the limit"):
        shapes_of(padded + "x", "shapes")
