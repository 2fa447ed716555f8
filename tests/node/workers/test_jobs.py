"""Each kind of job, through worker processes and in this process: the same results and the same errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import dkg
from dkg.canon import nquad
from dkg.chain.commit import Domain
from dkg.checkpoints.answer import Parts, verify_joint
from dkg.checkpoints.owners import prefix_of
from dkg.client.files import compress, decompress
from dkg.evaluate import Dataset
from dkg.limits import Budget
from node.workers.errors import UnacceptableError, WorkerCrashedError
from node.workers.inprocess import InProcess
from node.workers.jobs import EVERY_GRAPH, Check, Job, Parse, Plain, Prove, Query, Result, Runner
from tests.datasets import GRAPH, PREFIX
from tests.node.workers.harness import NO_ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dkg.terms import Quad
    from tests.node.workers.conftest import Data
    from tests.node.workers.harness import Pool

    Run = Callable[[Job], Result]

XML = (
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:u="urn:">'
    '<rdf:Description rdf:about="urn:a"><u:p>x</u:p></rdf:Description></rdf:RDF>'
)
NAMES = PREFIX + "SELECT ?s ?n WHERE { ?s :name ?n }"


@pytest.fixture(params=["processes", "in process"])
def run(request: pytest.FixtureRequest, data: Data, pool: Pool) -> Iterator[Run]:
    if request.param == "processes":
        yield pool.run
    else:
        runner = InProcess(data.store)
        yield lambda job: runner.run_sync(job, client="somebody")
        runner.close()


def rows(body: bytes) -> list[dict[str, str]]:
    return [{name: cell["value"] for name, cell in row.items()} for row in json.loads(body)["results"]["bindings"]]


def as_set(body: bytes) -> set[tuple[tuple[str, str], ...]]:
    return {tuple(sorted(row.items())) for row in rows(body)}


# --- query, prove, check ---------------------------------------------------------------------------------------


def test_query_gives_what_dkg_gives(run: Run, data: Data) -> None:
    result = run(Query(root=data.root, text=NAMES))
    expected = dkg.query(data.store, data.root, NAMES)
    assert as_set(result.body) == as_set(expected.serialize("json"))
    assert (result.facts.form, result.facts.format, result.facts.rows) == ("SELECT", "json", len(expected))
    assert result.facts.pages
    assert result.facts.seconds > 0


@pytest.mark.parametrize(
    ("text", "options", "start"),
    [
        ("ASK { ?s ?p ?o }", {"table": "csv"}, b"true"),
        ("SELECT ?o WHERE { ?s :name ?o } LIMIT 1", {"table": "tsv"}, b"?o"),
        ("SELECT ?o WHERE { ?s :name ?o } LIMIT 1", {"table": "xml"}, b"<?xml"),
        ("CONSTRUCT { ?s :called ?n } WHERE { ?s :name ?n }", {"graph": "nt"}, b"<https://example.org/"),
        ("DESCRIBE :student1", {"graph": "ttl"}, b""),
    ],
)
def test_formats_of_results(run: Run, data: Data, text: str, options: dict[str, Any], start: bytes) -> None:
    for job in (
        Query(root=data.root, text=PREFIX + text, **options),
        Plain(root=data.root, text=PREFIX + text, view=str(data.view), allowed=EVERY_GRAPH, **options),
    ):
        result = run(job)
        assert result.body.startswith(start)
        assert result.body
        assert result.facts.format in options.values()


def test_result_in_no_format_that_is_accepted_is_refused(run: Run, data: Data) -> None:
    with pytest.raises(UnacceptableError, match="SELECT has results in json, xml, csv, tsv"):
        run(Query(root=data.root, text=NAMES, table=None))
    with pytest.raises(UnacceptableError, match="ASK has results"):
        run(Plain(root=data.root, text="ASK {}", view=str(data.view), allowed=EVERY_GRAPH, table=None))
    with pytest.raises(dkg.InputError, match="'pdf'"):
        run(Query(root=data.root, text=NAMES, table="pdf"))


@pytest.mark.parametrize("compressed", [False, True])
def test_proof_from_a_worker_verifies_and_is_checked_by_a_worker(run: Run, data: Data, compressed: bool) -> None:  # noqa: FBT001
    proof = run(Prove(root=data.root, text=NAMES, compressed=compressed))
    car = decompress(proof.body, 1 << 24) if compressed else proof.body
    assert len(dkg.verify(car, NAMES, data.root)) == proof.facts.rows
    assert proof.facts.format == ("car.zst" if compressed else "car")
    checked = run(Check(root=data.root, text=NAMES, car=proof.body))
    assert as_set(checked.body) == as_set(dkg.query(data.store, data.root, NAMES).serialize("json"))
    assert checked.facts.pages == proof.facts.pages


def test_wrong_proofs_are_proof_errors(run: Run, data: Data) -> None:
    car = run(Prove(root=data.root, text=NAMES)).body
    for wrong in (car[:-1], car + b"\0", b"", b"garbage", compress(car)[:-3], b"\x28\xb5\x2f\xfd" + car):
        with pytest.raises(dkg.ProofError):
            run(Check(root=data.root, text=NAMES, car=wrong))
    with pytest.raises(dkg.ProofError, match="lacks page"):
        run(Check(root=data.root, text="ASK { <urn:a> ?p ?o }", car=car))


def test_arguments_of_a_query_arrive(run: Run, data: Data) -> None:
    pinned = run(Query(root=data.root, text="SELECT (NOW() AS ?t) {}", now="2026-01-31T12:00:00Z"))
    assert rows(pinned.body) == [{"t": "2026-01-31T12:00:00Z"}]
    based = run(Query(root=data.root, text="SELECT ?n { <student1> <name> ?n }", base_iri="https://example.org/"))
    assert rows(based.body) == [{"n": "Student 1"}]
    only = run(Query(root=data.root, text=NAMES, dataset=Dataset((data.other,), ())))
    assert 0 < len(rows(only.body)) < 60
    none = run(Query(root=data.root, text=NAMES, dataset=Dataset((), ())))
    assert rows(none.body) == []
    with pytest.raises(dkg.BudgetError, match="3 pages"):
        run(Query(root=data.root, text=NAMES, budget=Budget(pages=3)))


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("SELECT", dkg.QueryError, "does not parse"),
        ("SELECT * { SERVICE <urn:x> { ?s ?p ?o } }", dkg.QueryError, "another server"),
        ("SELECT (RAND() AS ?r) {}", dkg.QueryError, "differs at every evaluation"),
        ("SELECT \ud800", dkg.QueryError, "no part of SPARQL"),
        ("", dkg.QueryError, "not a query"),
    ],
)
def test_refused_queries_say_the_same_as_dkg(
    run: Run, data: Data, text: str, error: type[dkg.DkgError], words: str
) -> None:
    with pytest.raises(error, match=words) as refused:
        run(Query(root=data.root, text=text))
    with pytest.raises(error) as here:
        dkg.query(data.store, data.root, text)
    assert str(refused.value) == str(here.value)
    assert type(refused.value) is type(here.value)


def test_a_root_that_is_not_there_is_a_store_error(run: Run) -> None:
    with pytest.raises(dkg.StoreError, match="has no page"):
        run(Query(root=NO_ROOT, text=NAMES))
    with pytest.raises(dkg.InputError, match="not a root"):
        run(Query(root=b"short", text=NAMES))


def test_roots_that_are_written_later_are_seen(pool: Pool, data: Data) -> None:
    for number in range(5):
        quad = (b"<urn:later>", b"<urn:p>", b'"%d"' % number, GRAPH)
        root = dkg.update(data.store, data.root, [quad], [])
        for _ in range(3):
            result = pool.run(Query(root=root, text="SELECT ?o { <urn:later> ?p ?o }"))
            assert rows(result.body) == [{"o": str(number)}]


def test_a_checkpoint_and_the_datasets_beside_it_are_asked_as_one(run: Run, data: Data) -> None:
    domain, owners = Domain(31337, b"\xaa" * 20), [bytes([number]) * 20 for number in (1, 2, 3)]

    def said(owner: bytes, what: bytes) -> Quad:
        return b"<urn:s>", b"<urn:p>", b'"%s"' % what, prefix_of(domain, owner) + b"a>"

    union = dkg.build([[said(owner, b"old %d" % owner[0]) for owner in owners]], data.store)
    newer = dkg.build([[said(owners[1], b"new 2")]], data.store)
    parts = Parts(domain, union, {owners[1]: newer, owners[2]: None})
    text = "SELECT ?o { <urn:s> <urn:p> ?o }"
    result = run(Query(root=union, text=text, parts=parts))
    assert sorted(row["o"] for row in rows(result.body)) == ["new 2", "old 1"]
    proof = run(Prove(root=union, text=text, parts=parts))
    found = verify_joint(proof.body, text, parts)
    assert as_set(found.serialize("json")) == as_set(result.body)
    assert (proof.facts.rows, proof.facts.pages) == (2, found.pages)


# --- parse -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("syntax", "text"),
    [
        ("ttl", "<urn:a> <urn:p> 1, 'x'@EN ; <urn:q> [] ."),
        ("nt", '<urn:a> <urn:p> "01"^^<http://www.w3.org/2001/XMLSchema#integer> .\n_:b <urn:p> <urn:a> .\n'),
        ("nq", "<urn:a> <urn:p> <urn:b> <urn:g> .\n<urn:a> <urn:p> <urn:b> .\n<urn:a> <urn:p> <urn:b> .\n"),
        ("trig", "<urn:g> { <urn:a> <urn:p> 1 }"),
        ("n3", "<urn:a> <urn:p> <urn:b> ."),
        ("jsonld", '{"@id": "urn:a", "urn:p": [{"@id": "urn:b"}, 5]}'),
        ("xml", XML),
    ],
)
def test_parse_gives_sorted_quads_in_normal_form(run: Run, syntax: str, text: str) -> None:
    result = run(Parse(data=text.encode(), format=syntax, graph="urn:default"))
    quads = {quad for batch in dkg.load(text.encode(), format=syntax, graph="urn:default") for quad in batch}
    assert result.body == b"".join(sorted(map(nquad, quads)))
    assert (result.facts.rows, result.facts.format, result.facts.pages) == (len(quads), "nq", None)


def test_parse_tells_where_a_document_is_wrong(run: Run) -> None:
    with pytest.raises(dkg.RdfError, match="line 2"):
        run(Parse(data=b"<urn:a> <urn:b> <urn:c> .\n<urn:a> ", format="ttl", graph="urn:g"))
    with pytest.raises(dkg.RdfError, match="'docx' is not a format"):
        run(Parse(data=b"", format="docx", graph="urn:g"))


# --- views -----------------------------------------------------------------------------------------------------

VIEWED = [
    "SELECT ?s ?n WHERE { ?s :name ?n }",
    "SELECT ?g (COUNT(*) AS ?n) WHERE { GRAPH ?g { ?s :name ?o } } GROUP BY ?g",
    "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }",
    "SELECT ?n WHERE { ?s :name ?n ; :age ?a . FILTER(?a > 20) } ORDER BY ?n LIMIT 5",
    "SELECT ?n FROM <https://example.org/other> WHERE { ?s :name ?n }",
    "SELECT (COUNT(*) AS ?n) FROM <https://example.org/other> FROM <https://example.org/university> { ?s :name ?o }",
    "SELECT ?n FROM NAMED <https://example.org/other> WHERE { GRAPH ?g { ?s :name ?n } }",
    "SELECT ?n FROM NAMED <https://example.org/other> WHERE { ?s :name ?n }",
    "SELECT ?g WHERE { GRAPH ?g {} }",
]


@pytest.mark.parametrize("text", VIEWED)
@pytest.mark.parametrize(
    "dataset",
    [Dataset(), Dataset((GRAPH,), ()), Dataset(None, (GRAPH,)), Dataset((), None), Dataset((GRAPH, b"<urn:no>"), ())],
)
def test_a_view_answers_as_the_pages_do(run: Run, data: Data, text: str, dataset: Dataset) -> None:
    pages = run(Query(root=data.root, text=PREFIX + text, dataset=dataset))
    view = run(Plain(root=data.root, text=PREFIX + text, dataset=dataset, view=str(data.view), allowed=EVERY_GRAPH))
    assert as_set(view.body) == as_set(pages.body)
    assert len(rows(view.body)) == len(rows(pages.body))


def test_what_a_view_answers_reads_no_pages(run: Run, data: Data) -> None:
    plain = run(Plain(root=data.root, text=PREFIX + VIEWED[0], view=str(data.view), allowed=EVERY_GRAPH))
    assert plain.facts.pages is None
    several = run(Plain(root=data.root, text=PREFIX + VIEWED[5], view=str(data.view), allowed=EVERY_GRAPH))
    assert several.facts.pages  # the engine would count a triple in both graphs twice
    for no_view in None, str(data.view.parent / "none"):
        result = run(Plain(root=data.root, text=PREFIX + VIEWED[0], view=no_view, allowed=EVERY_GRAPH))
        assert result.facts.pages
        assert as_set(result.body) == as_set(plain.body)


LEAKS = [
    "SELECT ?n WHERE { ?s :name ?n }",
    "SELECT ?n WHERE { GRAPH <https://example.org/other> { ?s :name ?n } }",
    "SELECT ?n WHERE { GRAPH ?g { ?s :name ?n } }",
    "SELECT ?n FROM <https://example.org/other> WHERE { ?s :name ?n }",
    "SELECT ?n FROM NAMED <https://example.org/other> WHERE { GRAPH ?g { ?s :name ?n } }",
    "SELECT ?n WHERE { BIND(EXISTS { GRAPH ?g { :hidden ?p ?o } } AS ?n) }",
    "SELECT ?n WHERE { { SELECT ?n WHERE { GRAPH ?g { :hidden :name ?n } } } }",
    "SELECT ?g WHERE { GRAPH ?g {} }",
    "SELECT ?n WHERE { :hidden (:name|:other)* ?n }",
    "SELECT (COUNT(*) AS ?n) WHERE { GRAPH <https://example.org/other> { ?s ?p ?o } }",
    "SELECT ?n FROM <https://example.org/university> FROM <https://example.org/other> WHERE { ?s :name ?n }",
    "CONSTRUCT { ?s :name ?n } WHERE { GRAPH ?g { ?s :name ?n } }",
    "DESCRIBE :hidden",
    "DESCRIBE ?s FROM <https://example.org/other> WHERE { ?s :name ?n }",
]


@pytest.mark.parametrize("text", LEAKS)
@pytest.mark.parametrize("viewed", [True, False])
def test_graphs_that_are_not_allowed_do_not_show(run: Run, data: Data, text: str, viewed: bool) -> None:  # noqa: FBT001
    def ask(allowed: frozenset[bytes], dataset: Dataset = Dataset()) -> bytes:  # noqa: B008
        view = str(data.view) if viewed else None
        job = Plain(root=data.root, text=PREFIX + text, dataset=dataset, view=view, allowed=allowed, graph="nt")
        return run(job).body

    some = frozenset({GRAPH})
    named = Dataset((data.other,), (data.other, GRAPH))
    for allowed, dataset in (some, Dataset()), (some, named), (frozenset(), Dataset()), (frozenset(), named):
        told = ask(allowed, dataset)
        assert b"Canary" not in told
        assert b"example.org/other" not in told
        if b'"n"' in told and "COUNT" in text:
            assert rows(told) == [{"n": "0"}]
    assert b"Canary" in ask(frozenset({data.other})) or text in {LEAKS[5], LEAKS[7], LEAKS[8], LEAKS[9], LEAKS[12]}


# --- the runner ------------------------------------------------------------------------------------------------


def test_both_are_runners_and_say_whether_they_isolate(pool: Pool, data: Data) -> None:
    runners: list[Runner] = [pool.workers, InProcess(data.store)]
    assert [runner.isolated for runner in runners] == [True, False]


def test_in_process_never_waits_on_any_loop(data: Data) -> None:
    running = InProcess(data.store).run(Query(root=data.root, text="ASK { ?s ?p ?o }"), client="somebody")
    with pytest.raises(StopIteration) as done:
        running.send(None)
    assert b"true" in done.value.value.body


def test_a_fault_of_ours_is_told_and_ends_the_worker(hostile: Pool) -> None:
    before = hostile.workers.state().started
    error = hostile.failure("raise")
    assert isinstance(error, WorkerCrashedError)
    assert "KeyboardInterrupt" in str(error)
    assert "not even an Exception" in error.detail
    assert "not even" not in str(error)  # what is for the log is not for the client
    hostile.wait_idle()
    assert hostile.workers.state().started == before + 1
