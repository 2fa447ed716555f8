from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import rdflib
from rdflib import RDF, XSD, BNode, Literal, URIRef
from rdflib.plugins.sparql import prepareQuery
from rdflib.store import Store

import dkg
from dkg.client.cli import main
from dkg.client.rdflib_store import DkgStore
from dkg.errors import InputError, MissingPageError, ProofError, QueryError

# rdflib 7 warns about what rdflib 7 does.
pytestmark = pytest.mark.filterwarnings("ignore:Dataset.default_context is deprecated")

rdflib.plugin.register("dkg", Store, "dkg.client.rdflib_store", "DkgStore")  # also where dkg is not installed

EX = rdflib.Namespace("http://example.org/")
FOAF = rdflib.Namespace("http://xmlns.com/foaf/0.1/")

TRIG = """\
@prefix : <http://example.org/> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
:one { :ada a foaf:Person ; foaf:name "Ada", "Ada"@en ; :born 01815 ; foaf:knows :bob , [ foaf:name "Zoe" ] . }
:two { :ada a foaf:Person .
  :bob a foaf:Person ; foaf:name "Bob" ; :height 1.80 ; :says "line\\nbreak \\"quoted\\" \\u00e9" . }
"""


@pytest.fixture(scope="module")
def pages() -> dkg.MemoryPageStore:
    return dkg.MemoryPageStore()


@pytest.fixture(scope="module")
def root(pages: dkg.MemoryPageStore) -> str:
    return dkg.root_text(dkg.build(dkg.load(TRIG.encode(), format="trig"), pages))


@pytest.fixture
def dataset(pages: dkg.MemoryPageStore, root: str) -> rdflib.Dataset:
    return rdflib.Dataset(store=DkgStore(pages=pages, root=root), default_union=True)


def test_the_plug_in_is_registered() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    module, _, name = project["entry-points"]["rdf.plugins.store"]["dkg"].partition(":")
    assert (module, name) == (DkgStore.__module__, DkgStore.__name__)


def test_a_graph_named_by_a_root_is_the_whole_dataset(pages: dkg.MemoryPageStore, root: str) -> None:
    graph = rdflib.Graph(store=DkgStore(pages=pages), identifier=root)
    assert len(graph) == 11  # 12 quads, one triple of them in both graphs
    assert len(list(graph)) == 11
    assert (EX.ada, RDF.type, FOAF.Person) in graph
    assert (EX.ada, RDF.type, FOAF.Agent) not in graph


def test_a_graph_named_by_an_iri_is_that_graph(pages: dkg.MemoryPageStore, root: str) -> None:
    graph = rdflib.Graph(store=DkgStore(pages=pages, root=root), identifier=EX.two)
    assert len(graph) == len(list(graph)) == 5
    assert (EX.ada, FOAF.name, None) not in graph
    assert (EX.bob, FOAF.name, None) in graph


def test_every_pattern_finds_what_matches(dataset: rdflib.Dataset) -> None:
    nodes = list(dataset.quads())
    assert len(nodes) == 12
    for s, p, o, g in [*nodes, (EX.nobody, RDF.type, FOAF.Person, EX.none)]:
        for known in range(16):
            pattern = [term if known >> at & 1 else None for at, term in enumerate((s, p, o, g))]
            expected = [quad for quad in nodes if all(a in {None, b} for a, b in zip(pattern, quad, strict=True))]
            assert sorted(dataset.quads(tuple(pattern))) == sorted(expected)  # type: ignore[arg-type]


def test_named_graphs(dataset: rdflib.Dataset) -> None:
    assert {g.identifier for g in dataset.graphs()} == {EX.one, EX.two, URIRef("urn:x-rdflib:default")}
    holding = {g.identifier for g in dataset.store.contexts((EX.ada, RDF.type, FOAF.Person))}
    assert holding == {EX.one, EX.two}
    assert len(dataset.graph(EX.two)) == 5
    assert len(dataset.graph(EX.none)) == 0


def test_literals_are_found_in_any_form(dataset: rdflib.Dataset) -> None:
    assert list(dataset.subjects(EX.born, Literal("001815", datatype=XSD.integer, normalize=False))) == [EX.ada]
    assert list(dataset.subjects(FOAF.name, Literal("Ada", datatype=XSD.string))) == [EX.ada]
    assert list(dataset.subjects(FOAF.name, Literal("Ada", lang="EN"))) == [EX.ada]
    assert list(dataset.objects(EX.bob, EX.says)) == [Literal('line\nbreak "quoted" é')]
    assert list(dataset.objects(EX.bob, EX.height)) == [Literal("1.8", datatype=XSD.decimal)]


@pytest.mark.parametrize("node", [BNode("b"), URIRef("not an iri"), URIRef(""), Literal("x\ud800")])
def test_what_no_dataset_holds_is_not_there(node: BNode | URIRef | Literal, dataset: rdflib.Dataset) -> None:
    assert list(dataset.triples((node, None, None))) == []
    assert list(dataset.triples((None, None, node))) == []


def test_select(dataset: rdflib.Dataset) -> None:
    found = dataset.query("SELECT ?s ?n WHERE { ?s foaf:name ?n FILTER(!isBlank(?s)) } ORDER BY ?n")
    assert found.vars is not None
    assert [str(name) for name in found.vars] == ["s", "n"]
    assert (EX.bob, Literal("Bob")) in [tuple(row) for row in found]  # type: ignore[arg-type]


def test_ask(dataset: rdflib.Dataset) -> None:
    assert dataset.query("ASK { ?s foaf:name 'Ada' }").askAnswer is True
    assert dataset.query("ASK { ?s foaf:name 'Eve' }").askAnswer is False


def test_construct(dataset: rdflib.Dataset) -> None:
    found = dataset.query("CONSTRUCT { ?s a ?t } WHERE { ?s a ?t }").graph
    assert found is not None
    assert set(found) == {(EX.ada, RDF.type, FOAF.Person), (EX.bob, RDF.type, FOAF.Person)}


def test_a_query_of_one_graph_sees_that_graph(pages: dkg.MemoryPageStore, root: str) -> None:
    graph = rdflib.Graph(store=DkgStore(pages=pages, root=root), identifier=EX.two)
    assert [str(row[0]) for row in graph.query("SELECT ?n WHERE { ?s foaf:name ?n }")] == ["Bob"]  # type: ignore[index]


def test_prefixes_of_the_query_win(dataset: rdflib.Dataset) -> None:
    dataset.bind("x", "http://wrong.example/")
    assert dataset.query("PREFIX x: <http://xmlns.com/foaf/0.1/> ASK { ?s x:name 'Ada' }").askAnswer is True
    dataset.bind("y", FOAF)
    assert dataset.query("BASE <http://example.org/> ASK { <ada> y:name 'Ada' }").askAnswer is True


def test_prepared_queries(dataset: rdflib.Dataset) -> None:
    query = prepareQuery("SELECT ?n WHERE { ?s f:name ?n }", initNs={"f": FOAF})
    assert {str(row[0]) for row in dataset.query(query)} == {"Ada", "Bob", "Zoe"}  # type: ignore[index]
    assert {str(row[0]) for row in dataset.query(query, initBindings={"s": EX.bob})} == {"Bob"}  # type: ignore[index]


@pytest.mark.parametrize("bindings", [{}, {"s": EX.ada}])
def test_service_is_refused(bindings: dict[str, URIRef], dataset: rdflib.Dataset) -> None:
    with pytest.raises(QueryError, match="SERVICE"):
        dataset.query("SELECT * WHERE { SERVICE <http://127.0.0.1:9/> { ?s ?p ?o } }", initBindings=bindings)


def test_prefixes_can_be_bound_and_bound_again() -> None:
    store = DkgStore()
    store.bind("a", EX.a)
    store.bind("b", EX.b)
    store.bind("a", EX.b, override=False)
    assert (store.namespace("a"), store.prefix(EX.b)) == (EX.a, "b")
    store.bind("a", EX.b)
    assert list(store.namespaces()) == [("a", EX.b)]
    assert store.prefix(EX.a) is None


def test_a_dataset_is_read_only(dataset: rdflib.Dataset) -> None:
    triple = (EX.a, EX.b, EX.c)
    with pytest.raises(TypeError, match="read-only"):
        dataset.add(triple)
    with pytest.raises(TypeError, match="read-only"):
        dataset.addN([(*triple, rdflib.Graph())])
    with pytest.raises(TypeError, match="read-only"):
        dataset.remove(triple)
    with pytest.raises(TypeError, match="read-only"):
        dataset.update("INSERT DATA { <http://a> <http://b> <http://c> }")
    with pytest.raises(TypeError, match="read-only"):
        dataset.remove_graph(EX.one)


# --- opened by name --------------------------------------------------------------------------------------------


@pytest.fixture
def db(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    (tmp_path / "data.trig").write_text(TRIG)
    assert main(["load", str(tmp_path / "data.trig"), "--store", str(tmp_path / "db"), "-q"]) == 0
    capsys.readouterr()
    return str(tmp_path / "db")


def test_a_store_directory(db: str, root: str) -> None:
    graph = rdflib.Graph(store="dkg")
    graph.open(db)
    assert len(graph) == 11
    graph.close()
    with pytest.raises(InputError, match="open"):
        len(rdflib.Graph(store=graph.store, identifier=root))


def test_a_proof_shows_what_it_proves_and_nothing_else(tmp_path: Path, root: str, pages: dkg.MemoryPageStore) -> None:
    many = b"".join(b"<http://example.org/%d> <http://example.org/n> %d .\n" % (i, i) for i in range(5000))
    root = dkg.root_text(dkg.build(dkg.load(many, format="ttl"), pages))
    query = "SELECT ?n WHERE { <http://example.org/17> ?p ?n }"
    (tmp_path / "p.car").write_bytes(dkg.prove(pages, root, query).car)
    graph = rdflib.Graph(store="dkg", identifier=root)
    graph.open(str(tmp_path / "p.car"))
    assert list(graph.objects(EX["17"])) == [Literal(17)]
    assert [row[0] for row in graph.query(query)] == [Literal(17)]  # type: ignore[index]
    with pytest.raises(MissingPageError):
        list(graph.triples((EX["4017"], None, None)))
    with pytest.raises(MissingPageError):
        graph.query("SELECT ?n WHERE { <http://example.org/4017> ?p ?n }")


def test_a_proof_needs_a_root_that_somebody_trusts(tmp_path: Path, root: str, pages: dkg.MemoryPageStore) -> None:
    path = tmp_path / "p.car"
    path.write_bytes(dkg.prove(pages, root, "ASK { ?s ?p ?o }").car)
    graph = rdflib.Graph(store="dkg")
    graph.open(str(path))
    with pytest.raises(InputError, match="trust"):
        list(graph)
    other = rdflib.Graph(store="dkg", identifier="bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
    other.open(str(path))
    with pytest.raises(ProofError):
        list(other)
    named = rdflib.Graph(store="dkg")
    named.open(f"{path}#{root}")
    assert named.query("ASK { ?s ?p ?o }").askAnswer is True
