"""`evaluate(pages, root, query)`: one code path for answering, proving, verifying and fetching on demand.

Coverage (`dkg.sparql.cover`) reads, through `pages`, every triple that the answer depends on. Then the engine runs
the query over what was gathered, and nothing else: that is the answer, on every side. Why it is sound is
written down in docs/soundness.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyoxigraph

from dkg.answer import Answer
from dkg.errors import BudgetError, QueryError
from dkg.gather import Gather
from dkg.limits import DEFAULT_BUDGET, Budget
from dkg.scan import LAST, prefix_end
from dkg.sparql.algebra import Form, Group, InGraph, Query, TriplePattern, Triples, Var
from dkg.sparql.analysis import leaves_a_choice, names_of_select
from dkg.sparql.cover import Coverage
from dkg.sparql.filters import Expressions
from dkg.sparql.patterns import Lookup, Scope
from dkg.sparql.relation import Relation
from dkg.sparql.steps import stream
from dkg.sparql.syntax import parse
from dkg.terms import component, to_oxigraph

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.answer import Raw
    from dkg.pages import Pages
    from dkg.sparql.algebra import Select


@dataclass(frozen=True, slots=True)
class Dataset:
    """Which graphs a query sees, as in the SPARQL protocol: graph names as terms, None for what the query says.

    If either is given, FROM and FROM NAMED in the query are ignored, and the one that is None means all graphs.
    """

    default_graphs: tuple[bytes, ...] | None = None
    named_graphs: tuple[bytes, ...] | None = None


ALL_GRAPHS = Dataset()


def evaluate(
    pages: Pages,
    root: bytes,
    query: str | Query,
    *,
    dataset: Dataset = ALL_GRAPHS,
    budget: Budget = DEFAULT_BUDGET,
    base_iri: str | None = None,
    now: str | None = None,
) -> Answer:
    """The answer to a query over the dataset `root`, reading `pages`.

    Raises `QueryError` for a query that is refused, `BudgetError` when it needs more than `budget` allows, and
    what `pages` raises for pages that are missing or wrong.
    """
    parsed = parse(query, now=now, base_iri=base_iri) if isinstance(query, str) else query
    return evaluate_gathering(Gather(pages, root, budget.quads), parsed, dataset, budget, base_iri)


def evaluate_gathering(
    gather: Gather,
    query: Query,
    dataset: Dataset = ALL_GRAPHS,
    budget: Budget = DEFAULT_BUDGET,
    base_iri: str | None = None,
) -> Answer:
    """Like `evaluate`, reading through `gather`: what it gives is the dataset. It has gathered nothing yet."""
    return _Evaluation(gather, query, dataset, budget, base_iri).answer()


class _Evaluation:
    def __init__(self, gather: Gather, query: Query, dataset: Dataset, budget: Budget, base_iri: str | None) -> None:
        default, named = dataset.default_graphs, dataset.named_graphs
        if default is None and named is None and (query.default_graphs, query.named_graphs) != (None, None):
            default, named = query.default_graphs or (), query.named_graphs or ()
        self._query = query
        self._budget = budget
        self._base_iri = base_iri
        self._gather = gather
        self._named = named
        self._restricted = default is not None
        self._coverage = Coverage(
            self._gather,
            Expressions(query.prologue, base_iri),
            budget.rows,
            None if default is None else frozenset(map(component, default)),
            None if named is None else frozenset(map(component, named)),
        )

    def answer(self) -> Answer:
        try:
            return self._answer()
        except BudgetError as error:
            estimate = self._gather.remaining_estimate()
            raise BudgetError(f"{error}. {estimate}" if estimate else str(error)) from error

    def _answer(self) -> Answer:
        query, select = self._query, self._query.select
        if query.whole is not None:
            self._cover_whole()
            return self._result(self._engine)
        counted = self._counted(select) if self._gather.counts_once else None
        if counted is not None:
            return self._result(counted)
        if self._may_stop_early(select):
            return self._streamed(select)
        described = frozenset(node.name for node in query.described if isinstance(node, Var))
        if query.form is Form.DESCRIBE and not query.described:
            described = names_of_select(select)
        found = self._coverage.select(select, Relation(), self._coverage.default_scope, described)
        if query.form is Form.DESCRIBE:
            self._cover_described(found.relation, described)
        return self._result(self._engine)

    # --- coverage beyond the pattern -----------------------------------------------------------------------

    def _cover_whole(self) -> None:
        scope = self._coverage.default_scope
        self._gather.take("spog", b"", LAST, named=False, allowed=scope.allowed)
        self._gather.take("spog", b"", LAST, named=True, allowed=self._coverage.named_scope(Var("g")).allowed)

    def _cover_described(self, relation: Relation, names: frozenset[str]) -> None:
        terms = {component(node): None for node in self._query.described if not isinstance(node, Var)}
        for name in sorted(names):
            # GROUP BY may give the variable a value of its own, that no row of the pattern has.
            if self._query.select.aliases or not (relation.certain([name]) or relation.exact):
                self._gather.take("spog", b"", LAST, named=False, allowed=self._coverage.default_scope.allowed)
                return
            if name in relation.columns:
                at = relation.columns.index(name)
                terms.update((cell, None) for row in relation.rows if (cell := row[at]) is not None)
        for term in terms:
            low = term + b"\0"
            allowed = self._coverage.default_scope.allowed
            self._gather.take("spog", low, prefix_end(low), named=False, allowed=allowed)

    # --- shortcuts -----------------------------------------------------------------------------------------

    def _counted(self, select: Select) -> Callable[[], Raw] | None:
        """COUNT of one pattern from the counts in the pages, where they count what SPARQL counts."""
        if select.count is None or self._query.form is not Form.SELECT or select.values is not None:
            return None
        found = self._single_pattern(select.where)
        if found is None:
            return None
        pattern, scope = found
        variables = [node for node in (pattern.s, pattern.p, pattern.o) if isinstance(node, Var)]
        if len(set(variables)) < len(variables) or select.counted not in {None, *variables}:
            return None
        total = self._count(pattern, scope)
        if total is None:
            return None
        text = f"SELECT ({total} AS ?{select.count.name}) WHERE {{}}"
        return lambda: pyoxigraph.Store().query(text)

    def _single_pattern(self, group: Group) -> tuple[TriplePattern, Scope] | None:
        scope = self._coverage.default_scope
        if len(group.elements) == 1 and isinstance(group.elements[0], InGraph) and not group.filters:
            graph = group.elements[0].graph
            if isinstance(graph, Var):
                return None
            scope, group = self._coverage.named_scope(graph), group.elements[0].group
            if scope.allowed is not None and component(graph) not in scope.allowed:
                return None
        if len(group.elements) != 1 or group.filters or not isinstance(group.elements[0], Triples):
            return None
        patterns = group.elements[0].patterns
        if len(patterns) != 1 or not isinstance(patterns[0], TriplePattern):
            return None
        return patterns[0], scope

    def _count(self, pattern: TriplePattern, scope: Scope) -> int | None:
        gather = self._gather
        lookup = Lookup(gather, scope, {}, self._budget.rows)
        nodes = lookup.nodes(pattern)
        graph = nodes.pop("g", None)
        known = {place: node for place, node in nodes.items() if not isinstance(node, Var)}
        only = self._only_graph()
        if isinstance(graph, bytes):
            if only != graph:
                order = next((o for o in ("gspo", "spog") if set(o[: len(known) + 1]) == {*known, "g"}), None)
                return None if order is None else self._count_prefix(order, {**known, "g": graph})
        elif only is None and gather.dataset.count:
            return None  # the default graph is a union: a triple in two graphs counts once
        elif only is not None and scope.allowed is not None and only not in scope.allowed:
            return 0
        order = next(o for o in ("spog", "posg", "ospg") if set(o[: len(known)]) == set(known))
        return self._count_prefix(order, known)

    def _count_prefix(self, order: str, known: dict[str, bytes]) -> int:
        prefix = b"".join(known[place] + b"\0" for place in order[: len(known)])
        return self._gather.count(order, prefix, prefix_end(prefix))

    def _only_graph(self) -> bytes | None:
        """The dataset's graph if it has just one."""
        first = self._gather.peek("gspo", b"", LAST)
        if first is None:
            return None
        graph = first.split(b"\0", 1)[0]
        same = self._gather.count("gspo", graph + b"\0", prefix_end(graph + b"\0"))
        return graph if same == self._gather.dataset.count else None

    def _may_stop_early(self, select: Select) -> bool:
        form = self._query.form
        limited = form is Form.ASK or (form is Form.SELECT and select.limit is not None)
        if select.ordered or select.aggregated or any(e.exists for e in select.expressions):
            return False
        # Where to stop hangs on how many rows the engine finds: that must be the same in every run.
        return limited and not leaves_a_choice(select.where)

    def _streamed(self, select: Select) -> Answer:
        """ASK and LIMIT read until there is enough: each row found over what was covered so far is right."""
        result: Answer | None = None
        enough = select.offset + (1 if select.limit is None else select.limit)
        for _ in stream(self._coverage, select, max(enough, 1)):
            result = self._result(self._engine)
            if self._suffices(result):
                return result
        return result if result is not None else self._result(self._engine)

    def _suffices(self, result: Answer) -> bool:
        """Whether an answer over a part of the dataset is one over all of it."""
        limit = self._query.select.limit or 0
        return bool(result.boolean) if result.boolean is not None else len(result) >= limit

    # --- the engine ----------------------------------------------------------------------------------------

    def _lists(self) -> bool:
        """Whether the engine must be told which named graphs there are."""
        needed = self._restricted or self._coverage.lists_graphs or self._query.whole is not None
        return self._named is None and needed

    def _engine(self) -> Raw:
        default, named = self._gather.text()
        store = pyoxigraph.Store()
        if default:
            store.load(default, format=pyoxigraph.RdfFormat.N_TRIPLES, lenient=True)
        if named:
            store.load(named, format=pyoxigraph.RdfFormat.N_QUADS, lenient=True)
        # The engine's own order of graphs is random; and without a list, a FROM of the query would count.
        listed = tuple(self._gather.named_graphs()) if self._lists() else self._named
        graphs: list[Any] | None = None if listed is None else [to_oxigraph(name) for name in listed]
        try:
            return store.query(
                self._query.text,
                base_iri=self._base_iri,
                default_graph=pyoxigraph.DefaultGraph(),
                named_graphs=graphs,
            )
        except SyntaxError as error:
            raise QueryError(f"the query does not parse: {error}") from error

    def _result(self, run: Callable[[], Raw]) -> Answer:
        self._gather.reading = None
        if self._lists() and not self._gather.named_graphs():
            # With an empty list the engine lets GRAPH match what is no graph: give it one, if there is one.
            self._gather.some("gspo", b"", LAST, named=True)
        return Answer(self._query.form, run, self._budget.rows, self._query.prefixes)
