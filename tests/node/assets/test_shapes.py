"""SHACL shapes at publish: what refuses an asset and how a person is told, what only warns, what is no shape."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib.graph import Graph
from rdflib.namespace import SH
from rdflib.term import URIRef

from dkg.errors import InputError, LimitError
from node.assets import report, shacl, shapes, shapes_graph
from node.assets.errors import ShapesError
from node.assets.report import Finding, ShapesReport, ShapesViolated
from node.assets.shapes import check_shapes
from tests.node.assets.world import triples, ual

if TYPE_CHECKING:
    from dkg.terms import Quad

HEAD = """@prefix : <https://example.org/> . @prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
"""
PERSON = """:Person a sh:NodeShape ; sh:targetClass :P ;
    sh:property [ sh:path :name ; sh:minCount 1 ; sh:datatype xsd:string ],
                [ sh:path :age ; sh:datatype xsd:integer ; sh:minInclusive 0 ; sh:message "No age is below zero." ],
                [ sh:path :mail ; sh:minCount 1 ; sh:severity sh:Warning ] .
"""
GOOD = ':a a :P ; :name "A" ; :age 5 ; :mail <mailto:a@example.org> .'


def check(data: str, document: str = PERSON, form: str = "ttl") -> ShapesReport:
    return check_shapes(triples("a", data), (HEAD + document).encode(), form)


def violated(data: str, document: str = PERSON) -> ShapesViolated:
    with pytest.raises(ShapesViolated) as caught:
        check(data, document)
    return caught.value


def test_an_asset_that_conforms() -> None:
    found = check(GOOD + " :b :name 5 .")
    assert (found.findings, found.nodes, found.violations, found.others) == ((), 1, [], [])
    assert found.json() == {"conforms": True, "nodes": 1, "findings": []}


def test_what_a_person_is_told() -> None:
    error = violated(":a a :P ; :name 5 ; :age -1 ; :mail <mailto:a> . :b a :P ; :mail <mailto:b> .")
    integer = "^^<http://www.w3.org/2001/XMLSchema#integer>"
    age, name = (f"<https://example.org/a>, <https://example.org/{path}>" for path in ("age", "name"))
    assert str(error).splitlines() == [
        "the asset does not conform to its shapes: 3 violations",
        f'  {age} has "-1"{integer}: sh:minInclusive 0 is expected (No age is below zero.)',
        f'  {name} has "5"{integer}: sh:datatype xsd:string is expected',
        "  <https://example.org/b>, <https://example.org/name>: sh:minCount 1 is expected",
    ]
    assert isinstance(error, InputError)


def test_the_report_is_there_for_programs() -> None:
    error = violated(":a a :P ; :mail <mailto:a> .")
    finding = Finding(
        "Violation", "<https://example.org/a>", "<https://example.org/name>", "", "MinCount", "sh:minCount 1", "", ""
    )
    assert error.report.findings == (finding,)
    assert error.report.json()["conforms"] is False
    assert error.report.json()["findings"][0]["path"] == "<https://example.org/name>"
    graph = Graph().parse(data=error.report.rdf, format="turtle")
    assert [str(node) for node in graph.objects(None, SH.focusNode)] == ["https://example.org/a"]


def test_warnings_and_informations_do_not_refuse() -> None:
    found = check(':a a :P ; :name "A" . :b a :P ; :name "B" .')
    assert [(finding.severity, finding.focus) for finding in found.others] == [
        ("Warning", "<https://example.org/a>"),
        ("Warning", "<https://example.org/b>"),
    ]
    assert found.json()["conforms"] is True
    document = ":S a sh:NodeShape ; sh:targetClass :P ; sh:property [ sh:path :x ; sh:minCount 1 ; sh:severity {} ] ."
    assert [finding.severity for finding in check(":a a :P .", document.format("sh:Info")).others] == ["Info"]
    error = violated(":a a :P .", document.format(":Grave"))
    assert error.report.findings[0].severity == "https://example.org/Grave"


def test_a_shape_that_finds_nothing_to_check_says_so() -> None:
    assert check(":a a :Q ; :name 5 .").nodes == 0


def test_many_violations_are_counted_and_the_first_are_shown() -> None:
    error = violated(" ".join(f":a{i} a :P ; :mail :m ." for i in range(report.SHOWN_MAX + 1)))
    lines = str(error).splitlines()
    assert lines[0].endswith(f"{report.SHOWN_MAX + 1} violations")
    assert len(lines) == report.SHOWN_MAX + 2
    assert lines[-1] == "  and 1 more"
    assert len(error.report.findings) == report.SHOWN_MAX + 1
    error = violated(" ".join(f":a{i} a :P ; :mail :m ." for i in range(report.SHOWN_MAX)))
    assert "more" not in str(error)


def test_a_value_is_shown_in_one_line_and_not_at_any_length() -> None:
    error = violated(f":a a :P ; :mail :m ; :name 'A' ; :age '{'a' * 299}\\n\\u001b[31m' .")
    assert [len(line) < 600 for line in str(error).splitlines()] == [True] * 3
    assert "\x1b" not in str(error)
    assert error.report.findings[0].value == '"' + "a" * 299 + '\\n\\u001B[31m"'


def test_blank_nodes_are_blank_to_shapes_and_have_their_iris_in_the_report() -> None:
    document = (
        ":S a sh:NodeShape ; sh:targetSubjectsOf :in ; sh:nodeKind sh:BlankNode ; sh:property [ sh:path :n ; {} ] ."
    )
    assert check("[ :in 1 ; :n [] ] .", document.format("sh:nodeKind sh:BlankNode")).nodes == 1
    error = violated("[ :in 1 ; :n [] ] .", document.format("sh:nodeKind sh:IRI"))
    (finding,) = error.report.findings
    genid = f"<{ual('a')}/.well-known/genid/"
    assert finding.focus.startswith(genid)
    assert finding.value.startswith(genid)
    assert finding.focus[1:-1] in error.report.rdf


def test_paths_are_told_as_sparql_writes_them() -> None:
    for path, expected in {
        "( :a :b )": "<:a>/<:b>",
        "[ sh:inversePath :a ]": "^<:a>",
        "[ sh:alternativePath ( :a [ sh:inversePath :b ] ) ]": "<:a>|^<:b>",
        "( :a [ sh:zeroOrMorePath [ sh:inversePath :b ] ] )": "<:a>/(^<:b>)*",
        "[ sh:oneOrMorePath ( :a :b ) ]": "(<:a>/<:b>)+",
        "[ sh:zeroOrOnePath :a ]": "<:a>?",
        "[ sh:inversePath ( :a :b ) ]": "^(<:a>/<:b>)",
        "[ sh:zeroOrMorePath [ sh:alternativePath ( :a :b ) ] ]": "(<:a>|<:b>)*",
    }.items():
        document = f":S a sh:NodeShape ; sh:targetNode :x ; sh:property [ sh:path {path} ; sh:minCount 9 ] ."
        (finding,) = violated(":y :z 1 .", document).report.findings
        assert finding.path == expected.replace(":", "https://example.org/")


def test_what_data_and_shapes_say_of_results_is_no_result() -> None:
    inner = "[ a sh:ValidationResult ; sh:focusNode :z ; sh:resultSeverity sh:Violation ]"
    result = f"[ a sh:ValidationReport ; sh:result {inner} ]"
    document = (
        f":S a sh:NodeShape ; sh:targetNode :x ; sh:property [ sh:path :p ; sh:minCount 9 ; sh:result {result} ] ."
    )
    (finding,) = violated(f"@prefix sh: <http://www.w3.org/ns/shacl#> . :x :p {result} .", document).report.findings
    assert finding.component == "MinCount"
    document = ":S a sh:NodeShape ; sh:targetNode :x ; sh:property [ sh:path :p ; sh:nodeKind sh:IRI ] ."
    (finding,) = violated(f"@prefix sh: <http://www.w3.org/ns/shacl#> . :x :p {result} .", document).report.findings
    assert finding.component == "NodeKind"


def test_paths_that_are_none_are_told_as_they_are() -> None:
    graph = Graph().parse(data="@prefix : <urn:> . :s :path [ :odd 1 ] .", format="turtle")
    (path,) = graph.objects(None, URIRef("urn:path"))
    assert report.path_text(graph, path) == f"_:{path}"


def test_what_is_expected_is_told_with_all_its_parameters() -> None:
    for constraint, data, expected in (
        ("sh:in ( 1 'b' :c )", ":x :p 2 .", 'sh:in (1 "b" <https://example.org/c>)'),
        ("sh:in ( 1 2 3 4 5 6 7 8 9 10 )", ":x :p 11 .", "sh:in (1 2 3 4 5 6 7 8 ...)"),
        ("sh:pattern '^a' ; sh:flags 'i'", ":x :p 'b' .", 'sh:flags "i" ; sh:pattern "^a"'),
        ("sh:class :C", ":x :p :b .", "sh:class <https://example.org/C>"),
        ("sh:nodeKind sh:IRI", ":x :p 1 .", "sh:nodeKind sh:IRI"),
        ("sh:not [ sh:datatype xsd:integer ]", ":x :p 1 .", "sh:not [...]"),
        ("sh:maxInclusive 1.5", ":x :p 1.6 .", "sh:maxInclusive 1.5"),
    ):
        document = f":S a sh:NodeShape ; sh:targetNode :x ; sh:property [ sh:path :p ; {constraint} ] ."
        (finding,) = violated(data, document).report.findings
        assert finding.expected == expected


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (
            "sh:property [ sh:path :p ; sh:mincount 1 ] .",
            "sh:mincount of the sh:property of <.*S> is no term of SHACL Core",
        ),
        ("sh:sparql [ sh:select 'SELECT * { SERVICE <http://127.0.0.1:1/> {} }' ] .", "is no term of SHACL Core"),
        ("sh:rule [ a sh:SPARQLRule ] .", "SHACL Core"),
        ("sh:js [ ] .", "sh:js of <.*S> is no term of SHACL Core"),
        ("sh:target [ ] .", "sh:target of"),
        (
            ". [] a owl:Ontology ; owl:imports <http://127.0.0.1:1/shapes> .",
            "import <http://127.0.0.1:1/shapes>, and noth",
        ),
        (". [] sh:entailment <http://www.w3.org/ns/entailment/RDFS> .", "sh:entailment of a shape without a name"),
        (". [] sh:shapesGraph <http://127.0.0.1:1/shapes> .", "sh:shapesGraph of"),
        (". :C a sh:ConstraintComponent .", "is a sh:ConstraintComponent, which is not SHACL Core"),
        ("sh:property [ sh:minCount 3 ] .", "not well formed: 2 faults\n  the sh:property of <https://example.org/S>"),
        ("sh:property [ sh:path :p ; sh:minCount 'x' ] .", "not well formed: 1 fault"),
        ("sh:property [ sh:path :p, :q ] .", "not well formed"),
        ("sh:minCount 1 .", "not well formed"),
        ("sh:or ( ) .", "cannot be used: A Shape-Expecting"),
        ("sh:property [ sh:path :p ; sh:pattern '(' ] .", "cannot be used: missing \\), unterminated"),
        ("sh:property [ sh:path :p ; sh:node :S ] .", "lead to themselves"),
        ("sh:property [ sh:path :p ; sh:datatype xsd:int ] .", "no published literal has the datatype xsd:int"),
        ("sh:property [ sh:path :p ; sh:datatype xsd:dateTimeStamp ] .", "ask for xsd:dateTime"),
        ("sh:property [ sh:path :p ; sh:in _:l ] . _:l <urn:x> 1 .", "not well formed"),
        ("sh:name <<( :a :b :c )>> .", "triple term"),
        ("sh:name", "do not parse"),
    ],
)
def test_shapes_that_would_check_something_else_than_they_say_are_refused(extra: str, reason: str) -> None:
    with pytest.raises(ShapesError, match=reason):
        check(":x :p :x .", ":S a sh:NodeShape ; sh:targetNode :x ; " + extra)


def test_shapes_without_a_target_are_refused_and_a_class_is_one() -> None:
    with pytest.raises(ShapesError, match="none of the shapes has a target, so nothing would be checked"):
        check(GOOD, ":S a sh:NodeShape ; sh:property [ sh:path :p ; sh:minCount 1 ] .")
    with pytest.raises(ShapesError, match="none of the shapes has a target"):
        check(GOOD, "")
    implicit = ":P a rdfs:Class, sh:NodeShape ; sh:property [ sh:path :p ; sh:minCount 1 ] ."
    assert violated(GOOD, implicit).report.nodes == 1


def test_shapes_that_go_very_deep_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def chain(length: int) -> str:
        shapes = "".join(f":S{i} a sh:NodeShape ; sh:node :S{i + 1} . " for i in range(length))
        return f"{shapes} :S{length} a sh:NodeShape ; sh:class :C . :S0 sh:targetNode :x ."

    monkeypatch.setattr(shacl, "SHAPES_DEPTH_MAX", 20)  # the shapes of shapes need 14
    assert len(violated(":x :p 1 .", chain(15)).report.findings) == 1
    with pytest.raises(ShapesError, match="cannot be used: Validation path too deep"):
        check(":x :p 1 .", chain(25))


def test_the_limits_hold_and_one_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    document = (HEAD + PERSON).encode()
    quads = triples("a", GOOD)
    size = len(shapes_graph.read_shapes(document, "ttl"))
    for module, name, most in (
        (shapes_graph, "SHAPES_BYTES_MAX", len(document)),
        (shapes_graph, "SHAPES_TRIPLES_MAX", size),
        (shapes, "CHECKED_QUADS_MAX", len(quads)),
    ):
        monkeypatch.setattr(module, name, most)
        assert check(GOOD).nodes == 1
        monkeypatch.setattr(module, name, most - 1)
        with pytest.raises(LimitError, match=name):
            check(GOOD)
        monkeypatch.undo()


def test_shapes_in_any_format_and_none_else() -> None:
    nt = Graph().parse(data=HEAD + PERSON, format="turtle").serialize(format="nt")
    assert check_shapes(triples("a", GOOD), nt.encode(), "nt").nodes == 1
    with pytest.raises(ShapesError, match="'shaclc' is not a format of shapes; choose one of nt"):
        check(GOOD, form="shaclc")
    with pytest.raises(InputError, match="the shapes cannot be read: the document is nested over 256"):
        check(GOOD, ":S sh:in " + "(" * 300)


def test_literals_of_shapes_are_brought_to_normal_form_too() -> None:
    document = ':S a sh:NodeShape ; sh:targetNode :x ; sh:property [ sh:path :p ; sh:in ( "01"^^xsd:integer 1.50 ) ] .'
    data = '@prefix xsd: <http://www.w3.org/2001/XMLSchema#> . :x :p "001"^^xsd:integer, 1.500 .'
    assert check(data, document).nodes == 1


def refuse_network(*_: Any) -> NoReturn:  # noqa: ANN401
    raise AssertionError("a socket was opened")


def test_nothing_is_fetched_and_nothing_is_logged(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither what data and shapes refer to, nor ill-typed literals, which rdflib would complain about."""
    monkeypatch.setattr(socket, "socket", refuse_network)
    before = len(logging.getLogger("pyshacl-validate").handlers)
    data = f"{GOOD} <http://127.0.0.1:1/> a owl:Ontology ; owl:imports <http://127.0.0.1:1/> ; sh:shapesGraph :g ; :n "
    ill_typed = (
        '"x"^^xsd:integer, "<a"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#XMLLiteral>, "2020-13-01"^^xsd:date .'
    )
    assert check_shapes(triples("a", HEAD + data + ill_typed), (HEAD + PERSON).encode(), "ttl").nodes == 1
    violated(':a a :P ; :name "x"^^<http://www.w3.org/2001/XMLSchema#date> .')
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert not logging.getLogger("rdflib.term").disabled
    assert len(logging.getLogger("pyshacl-validate").handlers) == before


TERMS = st.sampled_from(
    (":x", ":y", "[]", "1", "1.5", '"a"@en', '"x"^^xsd:date', "true", "sh:IRI", "()", "( :x 1 )", "[ sh:path :p ]")
)
PARAMETERS = st.sampled_from(sorted(shapes_graph._CORE))


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(st.tuples(PARAMETERS, TERMS), max_size=5), st.lists(st.tuples(PARAMETERS, TERMS), max_size=4))
def test_any_shapes_are_used_or_refused(outer: list[tuple[str, str]], inner: list[tuple[str, str]]) -> None:
    """No other error comes out, whatever terms of SHACL are put together."""
    said = " ; ".join(f"sh:{name} {term}" for name, term in outer)
    within = " ; ".join(f"sh:{name} {term}" for name, term in inner)
    document = f":S a sh:NodeShape ; sh:targetNode :x ; {said} . :S sh:property [ sh:path :p ; {within} ] ."
    try:
        found = check(":x :p :y, 1, 'a'@en . :y :p :x .", document)
    except ShapesError:
        return
    assert all(finding.severity in {"Warning", "Info"} for finding in found.findings)


def test_a_report_says_the_same_each_time() -> None:
    data = " ".join(f":a{i} a :P ." for i in range(5))
    quads: frozenset[Quad] = triples("a", data)
    reports = []
    for some in (quads, frozenset(sorted(quads, reverse=True))):
        with pytest.raises(ShapesViolated) as caught:
            check_shapes(some, (HEAD + PERSON).encode(), "ttl")
        reports.append(caught.value.report.findings)
    assert reports[0] == reports[1]
