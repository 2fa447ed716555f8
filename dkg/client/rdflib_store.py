"""rdflib reads a dataset, from a store or from a proof: `rdflib.Graph(store="dkg", identifier=root)`.

    graph = rdflib.Graph(store="dkg", identifier=root)   # the root you trust
    graph.open("DIR")                                    # a store, or a proof: graph.open("proof.car")
    graph.query("SELECT ...")                            # evaluated by dkg, over checked pages only

The identifier of a graph says what it holds: a root, the whole dataset (as a set of triples); an IRI, that named graph.
A graph without identifier holds the dataset of the store's own root, or of the root after `#` in
`open("proof.car#ROOT")`. So does the default graph of an `rdflib.Dataset`, as it is the union of all graphs here.

It is read-only. Over a proof, whatever the proof does not show is a `MissingPageError`, never a smaller answer.
"""

from __future__ import annotations

import os
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pyoxigraph
from rdflib.graph import DATASET_DEFAULT_GRAPH_ID, Graph
from rdflib.query import Result
from rdflib.store import VALID_STORE, Store
from rdflib.term import BNode, Literal, URIRef, Variable

import dkg
from dkg.car import read_car
from dkg.client.files import read_proof
from dkg.errors import InputError, LimitError, QueryError, RdfError
from dkg.evaluate import ALL_GRAPHS, Dataset
from dkg.limits import DEFAULT_BUDGET, Budget
from dkg.normal import normalize
from dkg.page import ORDERS
from dkg.pages import Pages, ProvedPages, StoredPages
from dkg.proof import root_bytes
from dkg.scan import LAST, Cursor, count_range, prefix_end
from dkg.sparql.syntax import parse
from dkg.terms import component, quad_of, quads_only, to_oxigraph

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    from rdflib.graph import _ContextType, _QuadType, _TriplePatternType, _TripleType
    from rdflib.plugins.sparql.sparql import Query, Update
    from rdflib.term import Identifier, Node

    from dkg.answer import Answer
    from dkg.page import DatasetRoot
    from dkg.pages import PageStore

_UNION: Final = "__UNION__"  # what rdflib calls the union of all graphs

_INDEXES: Final = {
    "": "spog", "s": "spog", "sp": "spog", "spo": "spog", "p": "posg", "po": "posg", "o": "ospg", "so": "ospg",
    "g": "gspo", "sg": "gspo", "spg": "gspo", "spog": "gspo", "pg": "posg", "pog": "posg", "og": "ospg", "sog": "ospg",
}  # fmt: skip
"""The index whose keys start with what is known."""


class DkgStore(Store):
    """The plug-in. `pages`: where pages come from; without it, `open` says. `root`: the dataset, as CID."""

    context_aware = True
    formula_aware = False
    transaction_aware = False
    graph_aware = True  # rdflib.Dataset wants it; see `add_graph`

    def __init__(
        self,
        configuration: str | None = None,
        identifier: Identifier | None = None,
        *,
        pages: Pages | PageStore | None = None,
        root: bytes | str | None = None,
        budget: Budget = DEFAULT_BUDGET,
    ) -> None:
        self._pages = pages if pages is None or isinstance(pages, Pages) else StoredPages(pages)
        self._root = None if root is None else root_bytes(root)
        self._budget = budget
        self._proof: bytes | None = None
        self._store: Any = None
        self._prefix_of: dict[URIRef, str] = {}
        self._namespace_of: dict[str, URIRef] = {}
        super().__init__(configuration, identifier)

    # --- opening and closing -------------------------------------------------------------------------------

    def open(self, configuration: str | tuple[str, str], create: bool = False) -> int | None:  # noqa: FBT001, FBT002
        """Read a store directory or a proof file; `PATH#ROOT` says the root too. Nothing is created."""
        del create
        path = configuration if isinstance(configuration, str) else configuration[0]
        path, mark, root = path.rpartition("#") if "#" in path else (path, "", "")
        if mark:
            self._root = root_bytes(root)
        if os.path.isdir(path):  # noqa: PTH112
            self._open_directory(path)
        else:
            self._pages, self._proof = None, read_proof(path, self._budget)
        return VALID_STORE

    def _open_directory(self, path: str) -> None:
        from dkg.client.store import SqliteStore  # noqa: PLC0415 - not needed over a proof

        self._store = SqliteStore(path, read_only=True)
        self._pages = StoredPages(self._store)
        self._root = self._store.head() if self._root is None else self._root

    def close(self, commit_pending_transaction: bool = False) -> None:  # noqa: FBT001, FBT002
        """Close the store that `open` opened."""
        del commit_pending_transaction
        if self._store is not None:
            self._store.close()
        self._pages = self._proof = self._store = None

    def _resolved(self, identifier: object) -> tuple[Pages, bytes, bytes | None]:
        """Pages, root and graph name (None: all graphs) that a graph's identifier stands for."""
        root, graph = self._root, None
        if isinstance(identifier, URIRef) and identifier not in {DATASET_DEFAULT_GRAPH_ID, URIRef(_UNION)}:
            try:
                root = root_bytes(str(identifier))
            except InputError:
                graph = f"<{identifier}>".encode()
        if root is None:
            raise InputError("say which root you trust: Graph(store='dkg', identifier=ROOT)")
        if self._proof is not None:
            self._root = root
            self._pages, self._proof = ProvedPages(read_car(self._proof, root, self._budget.pages)), None
        if self._pages is None:
            raise InputError("open a store directory or a proof first: graph.open('DIR')")
        return self._pages, root, graph

    # --- reading -------------------------------------------------------------------------------------------

    def triples(
        self, triple_pattern: _TriplePatternType, context: _ContextType | None = None
    ) -> Iterator[tuple[_TripleType, Iterator[_ContextType | None]]]:
        """The triples that match, each once, with the graphs that hold it."""
        pages, root, graph = self._resolved(_identifier(context))
        known = {place: _term(node) for place, node in zip("spo", triple_pattern, strict=True) if node is not None}
        if graph is not None:
            known["g"] = graph
        cells = {place: component(term) for place, term in known.items() if term is not None}
        if len(cells) < len(known):
            return  # a blank node, or what is no term in our sense: no dataset holds it
        quads = _matching(pages, pages.root(root), cells)
        for (s, p, o), same in groupby(quads, key=lambda quad: quad[:3]):
            graphs = [Graph(store=self, identifier=_node(quad[3])) for quad in same]
            yield (_node(s), _node(p), _node(o)), iter(graphs)

    def __len__(self, context: _ContextType | None = None) -> int:
        pages, root, graph = self._resolved(_identifier(context))
        dataset = pages.root(root)
        if graph is not None:
            prefix = component(graph) + b"\0"
            return count_range(pages, dataset.trees[ORDERS.index("gspo")], prefix, prefix_end(prefix))
        if len(list(_first(_graph_names(pages, dataset), 2))) < 2:  # noqa: PLR2004 - one graph: no triple is there twice
            return dataset.count
        return sum(1 for _ in groupby(_matching(pages, dataset, {}), key=lambda quad: quad[:3]))

    def contexts(self, triple: _TripleType | None = None) -> Generator[_ContextType, None, None]:
        """The named graphs, or those that hold a triple."""
        if triple is None or not any(node is not None for node in triple):
            pages, root, _ = self._resolved(None)
            for name in _graph_names(pages, pages.root(root)):
                yield Graph(store=self, identifier=_node(name))
            return
        for _, graphs in self.triples(triple):
            for graph in graphs:
                if graph is not None:
                    yield graph

    def query(  # type: ignore[override]  # rdflib passes keywords that only some stores know
        self,
        query: Query | str,
        initNs: Mapping[str, Any],  # noqa: N803
        initBindings: Mapping[str, Identifier],  # noqa: N803
        queryGraph: str,  # noqa: N803
        *,
        base: str | None = None,
        now: str | None = None,
    ) -> Result:
        """Verified evaluation (`dkg.query`): the answer is what the pages under the root say, whole.

        With `initBindings`, rdflib evaluates, over the same pages: slower, and as strict.
        """
        if not isinstance(query, str):
            query, prepared_ns, prepared_base = _source_of(query)
            initNs, base = {**initNs, **prepared_ns}, base or prepared_base  # noqa: N806
        pages, root, graph = self._resolved(URIRef(queryGraph) if type(queryGraph) is str else queryGraph)
        text = _with_prefixes(query, initNs)
        if initBindings:
            parse(text, base_iri=base, now=now)  # refuses what no proof can show, SERVICE above all
            return self._query_by_rdflib(text, initBindings, graph, base)
        dataset = ALL_GRAPHS if graph is None else Dataset((graph,), ())
        return _result(dkg.query(pages, root, text, dataset=dataset, budget=self._budget, base_iri=base, now=now))

    def _query_by_rdflib(
        self, text: str, bindings: Mapping[str, Identifier], graph: bytes | None, base: str | None
    ) -> Result:
        from rdflib.plugins.sparql.processor import SPARQLProcessor, SPARQLResult  # noqa: PLC0415 - slow to import

        name = DATASET_DEFAULT_GRAPH_ID if graph is None else _node(graph)
        processor = SPARQLProcessor(Graph(store=self, identifier=name))  # type: ignore[no-untyped-call]
        return SPARQLResult(processor.query(text, initBindings=dict(bindings), base=base))

    # --- names ---------------------------------------------------------------------------------------------

    def bind(self, prefix: str, namespace: URIRef, override: bool = True) -> None:  # noqa: FBT001, FBT002
        """Remember a prefix, for this object's life."""
        if not override and (prefix in self._namespace_of or namespace in self._prefix_of):
            return
        self._prefix_of.pop(self._namespace_of.pop(prefix, URIRef("")), None)
        self._namespace_of.pop(self._prefix_of.pop(namespace, ""), None)
        self._prefix_of[namespace], self._namespace_of[prefix] = prefix, namespace

    def namespace(self, prefix: str) -> URIRef | None:
        """The namespace of a prefix."""
        return self._namespace_of.get(prefix)

    def prefix(self, namespace: URIRef) -> str | None:
        """The prefix of a namespace."""
        return self._prefix_of.get(namespace)

    def namespaces(self) -> Iterator[tuple[str, URIRef]]:
        """All prefixes with their namespaces."""
        yield from list(self._namespace_of.items())

    # --- what a dataset does not do ------------------------------------------------------------------------

    def add(self, triple: _TripleType, context: _ContextType, quoted: bool = False) -> NoReturn:  # noqa: FBT001, FBT002
        """Refused."""
        del triple, context, quoted
        _refuse()

    def addN(self, quads: Iterable[_QuadType]) -> NoReturn:  # noqa: N802 - rdflib's name
        """Refused."""
        del quads
        _refuse()

    def remove(self, triple: _TriplePatternType, context: _ContextType | None = None) -> NoReturn:
        """Refused."""
        del triple, context
        _refuse()

    def update(
        self,
        update: Update | str,
        initNs: Mapping[str, Any],  # noqa: N803
        initBindings: Mapping[str, Identifier],  # noqa: N803
        queryGraph: str,  # noqa: N803
        **kwargs: Any,  # noqa: ANN401 - rdflib's signature
    ) -> NoReturn:
        """Refused."""
        del update, initNs, initBindings, queryGraph, kwargs
        _refuse()

    def add_graph(self, graph: Graph) -> None:
        """Nothing: `Dataset.graph(iri)` calls it to *name* a graph, and an empty graph is in no dataset."""

    def remove_graph(self, graph: Graph) -> NoReturn:
        """Refused."""
        del graph
        _refuse()


def _refuse() -> NoReturn:
    raise TypeError("a dataset is read-only through rdflib: `dkg load` or dkg.update make a new one with a new root")


def _identifier(context: _ContextType | None) -> object:
    """What names a graph; rdflib passes graphs, but also bare identifiers."""
    return context.identifier if isinstance(context, Graph) else context


def _term(node: Node) -> bytes | None:
    """The term of an rdflib node in normal form; None for what no dataset holds."""
    try:
        if isinstance(node, Literal):
            datatype = None if node.datatype is None else pyoxigraph.NamedNode(str(node.datatype))
            literal = pyoxigraph.Literal(str(node), datatype=datatype, language=node.language)
            return normalize(str(literal).encode())
        return normalize(f"<{node}>".encode()) if isinstance(node, URIRef) else None
    except (RdfError, LimitError, ValueError):
        return None


@lru_cache(maxsize=65_536)
def _node(term: bytes) -> URIRef | Literal:
    if term[:1] == b"<":
        return URIRef(term[1:-1].decode())
    return _literal(to_oxigraph(term))  # type: ignore[arg-type]  # it starts with a quote


def _literal(value: pyoxigraph.Literal) -> Literal:
    if value.language:
        return Literal(value.value, lang=value.language)
    datatype = value.datatype.value
    plain = datatype == "http://www.w3.org/2001/XMLSchema#string"
    return Literal(value.value, datatype=None if plain else URIRef(datatype), normalize=False)


def _from_engine(value: pyoxigraph.NamedNode | pyoxigraph.BlankNode | pyoxigraph.Literal) -> Identifier:
    if isinstance(value, pyoxigraph.Literal):
        return _literal(value)
    return URIRef(value.value) if isinstance(value, pyoxigraph.NamedNode) else BNode(value.value)


def _matching(pages: Pages, dataset: DatasetRoot, cells: Mapping[str, bytes]) -> Iterator[tuple[bytes, ...]]:
    """The quads with these components, in the order of an index where the graph name comes after the rest."""
    order = _INDEXES["".join(place for place in "spog" if place in cells)]
    depth = next((at for at, place in enumerate(order) if place not in cells), len(order))
    prefix = b"".join(cells[place] + b"\0" for place in order[:depth])
    rest = [(order.index(place), cell) for place, cell in cells.items() if place not in order[:depth]]
    for keys in Cursor(pages, dataset.trees[ORDERS.index(order)]).batches(prefix, prefix_end(prefix)):
        for key in quads_only(keys, order):
            if rest:
                parts = key.split(b"\0")
                if any(parts[at] != cell for at, cell in rest):
                    continue
            yield quad_of(key, order)


def _graph_names(pages: Pages, dataset: DatasetRoot) -> Iterator[bytes]:
    """The names of the graphs, each found by one descent: the rest of a graph's range is skipped."""
    cursor, low = Cursor(pages, dataset.trees[ORDERS.index("gspo")]), b""
    while True:
        keys = next(cursor.batches(low, LAST), None)
        if keys is None:
            return
        found = quads_only(keys[:1], "gspo")
        if not found:
            low = keys[0] + b"\0"  # not a quad: look right behind it
            continue
        name = found[0].split(b"\0", 1)[0]
        yield name
        low = prefix_end(name + b"\0")


def _first(names: Iterator[bytes], most: int) -> Iterator[bytes]:
    for _, name in zip(range(most), names, strict=False):
        yield name


def _source_of(query: Query) -> tuple[str, Mapping[str, Any], str | None]:
    """Text, prefixes and base of a prepared query."""
    try:
        return query._original_args  # noqa: SLF001 - rdflib keeps them nowhere else
    except AttributeError as error:
        raise QueryError("this query was built without text; give the query as text") from error


def _with_prefixes(text: str, namespaces: Mapping[str, Any]) -> str:
    """The query with those of the graph's prefixes that it may use, as its own win over them."""
    used = (f"PREFIX {prefix}: <{iri}> " for prefix, iri in namespaces.items() if f"{prefix}:" in text)
    return "".join(used) + text


def _result(answer: Answer) -> Result:
    result = Result(answer.form.value)
    if answer.boolean is not None:
        result.askAnswer = answer.boolean
    elif answer.form.value == "SELECT":
        names = result.vars = [Variable(name) for name in answer.variables]
        result.bindings = [
            {name: _from_engine(cell) for name, cell in zip(names, row, strict=True) if cell is not None}
            for row in answer.rows
        ]
    else:
        result.graph = Graph()
        for triple in answer.triples:
            result.graph.add(tuple(map(_from_engine, (triple.subject, triple.predicate, triple.object))))  # type: ignore[arg-type]
    return result
