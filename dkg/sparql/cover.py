"""Coverage: reading every triple that a query's answer can depend on (docs/soundness.md).

`Coverage.group` walks a group graph pattern with a relation of bindings from outside. Its promise, by induction
over the pattern: over what was gathered, the group has the same solutions compatible with a row of that relation
as over the whole dataset, and the relation it gives back holds all of them.

Two kinds of columns keep this true under OPTIONAL, MINUS and EXISTS. An *own* column has a value that this very
group's patterns bind: it may be pushed into the right side of an operator. Any other column was *pushed* in from
outside: it narrows what joins, and never the right side of an operator, because a solution that goes unseen there
adds answers here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from dkg.scan import LAST, prefix_end
from dkg.sparql.algebra import (
    Bind,
    Group,
    InGraph,
    Minus,
    Optional,
    PathPattern,
    SubSelect,
    TriplePattern,
    Triples,
    Union,
    Values,
    Var,
)
from dkg.sparql.analysis import (
    Unit,
    assigned,
    bindable,
    hides_graph,
    names_of,
    names_of_expressions,
    names_of_group,
    needs_triple,
    opaque,
    starts_with_triple,
)
from dkg.sparql.filters import Expressions, bounds_of
from dkg.sparql.paths import join_path
from dkg.sparql.patterns import (
    FAN_OUT,
    Lookup,
    Scope,
    constant_only,
    estimate,
    join_pattern,
)
from dkg.sparql.relation import Relation, copied, cross, join, left_join, unified, union
from dkg.terms import component

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from dkg.gather import Gather
    from dkg.sparql.algebra import Expression, Select
    from dkg.sparql.patterns import Bounds

CROSS_ROWS_MAX: Final = 20_000
"""Rows up to which a product of unconnected patterns is kept; beyond, the smaller knowledge is forgotten."""

FILTER_ROWS_MIN: Final = 4
"""Fewer rows than this are not worth a filter query of their own."""

_FAR: Final = 1e13
"""The estimate for what should come after everything else."""


@dataclass(slots=True)
class Found:
    """Bindings of the part covered so far, and which of their columns that part itself binds."""

    relation: Relation
    own: frozenset[str] = frozenset()


class Coverage:
    """Covers the patterns of one query. `default`, `named`: graphs allowed (components), all if None."""

    def __init__(
        self,
        gather: Gather,
        expressions: Expressions,
        rows_max: int,
        default: frozenset[bytes] | None,
        named: frozenset[bytes] | None,
    ) -> None:
        self.gather = gather
        self.rows_max = rows_max
        self.default_scope = Scope(allowed=default)
        self._named = named
        self._expressions = expressions
        self._fresh = 0
        self.lists_graphs = False
        """Whether the engine may list the graphs by itself, which it does in random order."""

    def select(self, select: Select, given: Relation, scope: Scope, needed: frozenset[str]) -> Found:
        """Cover a SELECT; the relation is of its WHERE, before projection, aggregates and LIMIT."""
        if opaque(select):
            given = Relation()
        elif select.values:
            given = join(given, relation_of(select.values))
        inside = names_of_expressions(select.expressions) if any(e.exists for e in select.expressions) else frozenset()
        found = self.group(select.where, given, scope, needed | inside)
        self.select_expressions(select, found, scope)
        return found

    def select_expressions(self, select: Select, found: Found, scope: Scope) -> None:
        """Cover EXISTS in projection, GROUP BY, HAVING and ORDER BY."""
        own = Found(Relation()) if select.aggregated else found
        for expression in select.expressions:
            self.exists(expression, own.relation.project(own.own), scope)

    def group(
        self,
        group: Group,
        given: Relation,
        scope: Scope,
        needed: frozenset[str],
        left: frozenset[str] = frozenset(),
        own: frozenset[str] = frozenset(),
    ) -> Found:
        """Cover a group for the solutions compatible with `given`.

        `needed`: columns wanted back. `left`: columns of `given` that the left side of this OPTIONAL binds: its
        filters see them. `own`: columns of `given` that patterns of this very group have bound.
        """
        return GroupCover(self, group, scope, needed, left).run(given, own)

    def exists(self, expression: Expression, given: Relation, scope: Scope) -> None:
        """Cover the patterns of EXISTS and NOT EXISTS in an expression."""
        for group in expression.exists:
            visible = (names_of_group(group) - assigned(group)) | graph_name(scope)  # the engine lets BIND replace them
            self.group(group, given.project(visible), scope, frozenset())

    def fresh_graph(self) -> Var:
        """A variable for the graph of `GRAPH ?g`, apart from ?g itself: they meet only after the group."""
        self._fresh += 1
        return Var(f"\0{self._fresh}")

    def lookup(self, scope: Scope, bounds: dict[str, Bounds]) -> Lookup:
        """What patterns are looked up with."""
        return Lookup(self.gather, scope, bounds, self.rows_max)

    def expressions(self) -> Expressions:
        """The engine, for expressions."""
        return self._expressions

    def named_scope(self, graph: Var | bytes, shown: str | None = None) -> Scope:
        """Inside `GRAPH graph`."""
        return Scope(named=True, graph=graph, allowed=self._named, shown=shown)

    def graph_exists(self, graph: bytes) -> bool:
        """Cover whether a graph (a component) exists."""
        if self._named is not None:
            return graph in self._named
        low = graph + b"\0"
        return self.gather.some("gspo", low, prefix_end(low), named=True) is not None

    def graph_names(self, known: Relation, name: str) -> bool:
        """Cover the names that `GRAPH ?g` ranges over: those of column `name`, or all. True if all of `known` exist."""
        if self._named is not None:
            names = self._named  # the query or the caller lists them: they are known without data
        elif known.certain([name]):
            names = frozenset(row[0] for row in known.project([name]).rows if row[0] and self.graph_exists(row[0]))
        else:
            names = frozenset(self.gather.graphs())
        return name not in known.columns or all(row[0] in names for row in known.project([name]).rows)


def graph_name(scope: Scope) -> frozenset[str]:
    """The name of the scope's graph variable, if it has one."""
    return frozenset((scope.graph.name,)) if isinstance(scope.graph, Var) else frozenset()


def relation_of(values: Values) -> Relation:
    """The rows of VALUES."""
    rows = [tuple(None if cell is None else component(cell) for cell in row) for row in values.rows]
    return Relation(tuple(var.name for var in values.variables), list(dict.fromkeys(rows)))


class GroupCover:
    """The walk through one group."""

    def __init__(
        self, coverage: Coverage, group: Group, scope: Scope, needed: frozenset[str], left: frozenset[str]
    ) -> None:
        self._coverage = coverage
        self._group = group
        self._scope = scope
        self._left = left
        self._graph = graph_name(scope)
        self._needed = needed | self._graph | names_of_expressions(group.filters)
        self._wanted = bool(needed)
        self._lookup = coverage.lookup(scope, bounds_of(group.filters))
        self._pending = [f for f in group.filters if f.pure and not f.exists and f.variables]

    def run(self, given: Relation, own: frozenset[str]) -> Found:
        """Cover the whole group."""
        return self.walk(self.begin(given, own), 0)

    def begin(self, given: Relation, own: frozenset[str]) -> Found:
        """What is known before the first element: the bindings from outside, and VALUES."""
        for name in self._graph:
            if not starts_with_triple(self._group):  # it begins with the graphs themselves
                self._coverage.lists_graphs = True
                # (and where there is a BIND, the engine may replace the graph's name by its value)
                self._coverage.graph_names(Relation() if assigned(self._group) else given, name)
        for element in self._group.elements:
            if isinstance(element, Values):
                given = join(given, relation_of(element))
        return Found(given.project(self._needed_from(0)), own)

    def walk(self, found: Found, at: int, joined: int | None = None) -> Found:
        """Cover the elements from position `at` to the end, where `found` is what those before it gave.

        `joined`: position among the units that begin at `at` of one that `found` has been joined with already.
        """
        elements = self._group.elements
        while at < len(elements):
            units, stop, found = self._segment(at, found)
            after, more = self._needed_from(stop), stop < len(elements)
            if joined is not None:
                del units[joined]
                joined = None
                if units or more:
                    found = self._filter(found, final=False)
            found = self._join_all(units, found, after, more=more) if units else self._single(at, found)
            at = max(stop, at + 1)
        return self._finish(found)

    def _segment(self, at: int, found: Found) -> tuple[list[Unit], int, Found]:
        """The units that join from an element on, where they end, and what is known with the VALUES among them."""
        elements = self._group.elements
        units: list[Unit] = []
        while at < len(elements) and not isinstance(elements[at], Optional | Minus | Bind):
            found = self._add_unit(units, elements[at], found)
            at += 1
        return units, at, found

    def _needed_from(self, at: int) -> frozenset[str]:
        return self._needed.union(*map(names_of, self._group.elements[at:]))

    @staticmethod
    def _add_unit(units: list[Unit], element: object, found: Found) -> Found:
        if isinstance(element, Triples):
            units.extend(element.patterns)
        elif isinstance(element, Values):  # joined at the start; from here on its values are the group's own
            certain = {
                var.name for i, var in enumerate(element.variables) if all(row[i] is not None for row in element.rows)
            }
            return Found(found.relation, found.own | (certain & set(found.relation.columns)))
        elif isinstance(element, Group | Union | InGraph | SubSelect):
            units.append(element)
        return found

    # --- what joins ----------------------------------------------------------------------------------------

    def _join_all(self, units: list[Unit], found: Found, after: frozenset[str], *, more: bool) -> Found:
        units = units.copy()
        while units:
            unit = units.pop(self._index(units, found.relation))
            keep = after.union(*map(names_of, units))
            found = self._join(unit, found, keep)
            if units or more:
                found = self._filter(found, final=False)
        return found

    def _index(self, units: list[Unit], relation: Relation) -> int:
        if len(units) == 1:
            return 0
        bound = {name for i, name in enumerate(relation.columns) if any(row[i] is not None for row in relation.rows)}
        count = all(not isinstance(u, TriplePattern) or constant_only(self._lookup, u, bound) for u in units)
        scores = [self._score(unit, bound, self._lookup, count=count) for unit in units]
        return scores.index(min(scores))

    def _score(self, unit: Unit, bound: set[str], lookup: Lookup, *, count: bool) -> float:
        match unit:
            case TriplePattern():
                return estimate(lookup, unit, bound, count=count)
            case PathPattern(s, _, o):
                known = [not isinstance(node, Var) or node.name in bound for node in (s, o)]
                return 4.0 * FAN_OUT if any(known) else _FAR
            case SubSelect(select):
                if opaque(select):
                    return 0.0  # what is bound outside does not help it
                return self._score_group(select.where, bound & names_of(unit), lookup, count=count)
            case Union(branches):
                return sum(self._score_group(branch, bound, lookup, count=count) for branch in branches)
            case InGraph(graph, group):
                scope = self._coverage.named_scope(Var("\0") if isinstance(graph, Var) else graph)
                return self._score_group(group, bound, self._coverage.lookup(scope, {}), count=count)
            case Group():
                return self._score_group(unit, bound, lookup, count=count)

    def _score_group(self, group: Group, bound: set[str], lookup: Lookup, *, count: bool) -> float:
        units: list[Unit] = []
        best = _FAR
        for element in group.elements:
            if isinstance(element, Optional | Minus | Bind):
                break
            if isinstance(element, Values):
                best = FAN_OUT
            self._add_unit(units, element, Found(Relation()))
        return min([best, *(self._score(unit, bound, lookup, count=count) for unit in units)])

    def _join(self, unit: Unit, found: Found, keep: frozenset[str]) -> Found:
        relation = found.relation
        if isinstance(unit, TriplePattern | PathPattern):
            # The graph is this group's own when a triple pattern has bound it: the engine knows it no earlier.
            own = found.own | names_of(unit) | (self._graph if isinstance(unit, TriplePattern) else frozenset())
            if len(relation.rows) > 1 and not (names_of(unit) | self._graph) & set(relation.columns):
                return Found(self._unconnected(unit, relation, keep), own)
            joined = self._pattern(unit, relation, keep)
            unknown = _unknown(unit, found, joined)
            return Found(joined, own - unknown)
        match unit:
            case Group():
                return self._union((unit,), found, self._scope, keep)
            case Union(branches):
                return self._union(branches, found, self._scope, keep)
            case InGraph(graph, group):
                return self._in_graph(graph, group, found, keep)
            case SubSelect(select):
                return self._sub_select(select, found, keep)

    def _pattern(self, unit: TriplePattern | PathPattern, relation: Relation, keep: frozenset[str]) -> Relation:
        if isinstance(unit, TriplePattern):
            return join_pattern(self._lookup, relation, unit, set(keep))
        return join_path(self._lookup, relation, unit, set(keep))

    def _unconnected(self, unit: TriplePattern | PathPattern, relation: Relation, keep: frozenset[str]) -> Relation:
        """A pattern that shares no column: its product with the rest may be too large to be worth keeping."""
        apart = self._pattern(unit, Relation(), keep)
        return cross(relation.project(keep), apart, CROSS_ROWS_MAX)

    def _union(self, branches: Iterable[Group], found: Found, scope: Scope, keep: frozenset[str]) -> Found:
        given = set(found.relation.columns)
        parts = [self._coverage.group(branch, found.relation, scope, keep | self._graph) for branch in branches]
        everywhere = frozenset.intersection(*(part.own for part in parts))
        anywhere = frozenset.union(*(part.own for part in parts))
        own = found.own | everywhere | (anywhere - given)
        return Found(union([part.relation.project(keep | self._graph) for part in parts]), own)

    def _in_graph(self, graph: Var | bytes, group: Group, found: Found, keep: frozenset[str]) -> Found:
        if not isinstance(graph, Var):
            scope = self._coverage.named_scope(graph)
            exists = needs_triple(group) or self._coverage.graph_exists(component(graph))
            inner = self._union((group,), found, scope, keep)
            return Found(replace(inner.relation, exact=inner.relation.exact and exists), inner.own)
        if graph.name in assigned(group):
            return self._any_graph(graph.name, found, keep)
        fresh = self._coverage.fresh_graph()
        given = copied(found.relation, graph.name, fresh.name)
        scope = self._coverage.named_scope(fresh, graph.name)
        exist = starts_with_triple(group) or self._coverage.graph_names(given, fresh.name)
        inner = self._coverage.group(group, given, scope, keep | {fresh.name, graph.name} | self._graph)
        return self._after_graph(InGraph(graph, group), fresh, found, inner, keep, exist=exist)

    def _after_graph(
        self, element: InGraph, fresh: Var, found: Found, inner: Found, keep: frozenset[str], *, exist: bool
    ) -> Found:
        """What is known after `GRAPH ?g { group }`: of what was before, and what the group gave with `fresh` for ?g.

        `exist`: whether all graphs in it are known to exist.
        """
        graph, group = element.graph, element.group
        if not isinstance(graph, Var):
            raise TypeError("the graph is a constant")
        certain = inner.relation.certain([fresh.name])
        others = [name for name in inner.relation.columns if name != graph.name or graph.name in found.own]
        own = (found.own | inner.own) - {fresh.name}
        if hides_graph(group):
            shown = frozenset(others) - {fresh.name}
            relation = replace(inner.relation.project(shown), exact=False)
            return Found(relation.project(keep | self._graph), own - ({graph.name} - found.own))
        merged = unified(inner.relation.project(others), fresh.name, graph.name)
        if certain or graph.name not in found.relation.columns:
            own |= {graph.name}
        # A value that the group itself gave to the graph's name is dropped above: rows that contradict it are here.
        whole = certain and exist and (graph.name in others or graph.name not in inner.own)
        return Found(replace(merged, exact=merged.exact and whole).project(keep | self._graph), own)

    def _any_graph(self, name: str, found: Found, keep: frozenset[str]) -> Found:
        """`GRAPH ?name` around a BIND that replaces ?name: what comes after that is looked up in whatever graph."""
        self._coverage.lists_graphs = True
        allowed = self._coverage.named_scope(Var(name)).allowed
        self._coverage.gather.take("spog", b"", LAST, named=True, allowed=allowed)
        others = [column for column in found.relation.columns if column != name]
        relation = replace(found.relation.project(others), exact=False)
        return Found(relation.project(keep | self._graph), found.own - {name})

    def _sub_select(self, select: Select, found: Found, keep: frozenset[str]) -> Found:
        scope = self._scope
        if isinstance(scope.graph, Var):  # hidden inside: whatever graph the engine lets it range over is covered
            scope = replace(scope, graph=self._coverage.fresh_graph())
        shown = names_of(SubSelect(select))
        # The engine lets an alias hide a variable of the pattern, whose values then say nothing.
        visible = shown - select.aliases if select.aliases is not None else frozenset[str]()
        inner = self._coverage.select(select, found.relation.project(visible), scope, shown)
        relation = inner.relation.project(visible & inner.own)
        # A row says nothing of an alias, or of what VALUES has no value for in some row; and VALUES at the end may drop
        # it for a variable that is not shown.
        known = visible == shown and visible & set(inner.relation.columns) <= inner.own and select.values is None
        exact = relation.exact and known and not opaque(select)
        relation = Relation(relation.columns, relation.rows, exact)
        if select.aggregated and not relation.columns:
            relation = Relation(exact=False)  # an aggregate of nothing is still a row
        if select.values:
            relation = join(relation, relation_of(select.values)).project(visible)
        joined = join(_without_pushed(found, shown - visible), relation).project(keep | self._graph)
        certain = {name for name in relation.columns if relation.certain([name])}
        return Found(joined, found.own | certain | ((inner.own & visible) - set(found.relation.columns)))

    # --- what does not join --------------------------------------------------------------------------------

    def _single(self, at: int, found: Found) -> Found:
        elements, after = self._group.elements, self._needed_from(at + 1)
        element = elements[at]
        if isinstance(element, Optional):
            before = found.own.union(*map(bindable, elements[:at]))
            return self._optional(element.group, found, after, before, more=at + 1 < len(elements))
        if isinstance(element, Minus):
            return self._minus(element.group, found)
        if isinstance(element, Bind):
            return self._bind(element, found, after)
        return found  # VALUES: joined at the start

    def _optional(
        self, group: Group, found: Found, after: frozenset[str], before: frozenset[str], *, more: bool
    ) -> Found:
        visible = (names_of_group(group) | self._graph) & found.own
        left = found.relation.project(visible)
        left = Relation(left.columns, left.rows, exact=True)
        wanted = (after | set(left.columns)) if more or self._wanted or self._group.filters else frozenset()
        right = self._coverage.group(group, left, self._scope, wanted, left=frozenset(left.columns))
        if not wanted:
            return found
        table = right.relation.project(wanted)
        shown = {self._scope.shown} if self._scope.shown is not None else set()
        foreign = (set(found.relation.columns) - found.own) | shown
        names = names_of_group(group)
        known = found.relation.exact or found.relation.certain(names & before)
        if not known or not found.relation.certain(self._graph) or foreign & names:
            # A row that stands for several says nothing of each; a match in one graph nothing of the others; and a
            # match may turn out not to fit what was pushed in.
            table = replace(table, exact=False)
        relation = left_join(found.relation, table).project(after | self._graph)
        return Found(relation, found.own | (right.own - set(found.relation.columns)))

    def _minus(self, group: Group, found: Found) -> Found:
        # Also where no variable is shared: the engine may share more than the text shows, with OPTIONAL around it.
        left = found.relation.project((names_of_group(group) | self._graph) & found.own)
        self._coverage.group(group, left, self._scope, frozenset())
        relation = found.relation
        return Found(Relation(relation.columns, relation.rows, exact=False), found.own)

    def _bind(self, element: Bind, found: Found, after: frozenset[str]) -> Found:
        expression, name = element.expression, element.var.name
        self._coverage.exists(expression, found.relation.project(found.own), self._scope)
        # A value pushed in says nothing of this variable: inside EXISTS the engine lets BIND replace it. Elsewhere a
        # row whose value it contradicts has no solution, and stays.
        relation = _without_pushed(found, {name})
        relation = replace(relation, exact=relation.exact and name not in found.relation.columns)
        if name not in after:
            return Found(relation, found.own)
        names = sorted(var.name for var in expression.variables)
        known = expression.pure and not expression.exists and set(names) <= found.own and relation.certain(names)
        if not known:
            own = found.own if name in relation.columns else found.own | {name}
            return Found(Relation(relation.columns, relation.rows, exact=False), own)
        inputs = relation.project(names)
        order = [inputs.columns.index(n) for n in names]
        tuples = [tuple(row[i] or b"" for i in order) for row in inputs.rows]
        values = self._coverage.expressions().values(expression, names, tuples)
        table = Relation((*names, name), [(*cells, value) for cells, value in zip(tuples, values, strict=True)])
        certain = table.certain([name])  # if not, it is unbound after an error, or a term that no dataset can hold
        joined = join(relation, replace(table, exact=certain))
        own = found.own | {name} if certain or name not in relation.columns else found.own
        return Found(joined.project(after | self._graph), own)

    # --- filters -------------------------------------------------------------------------------------------

    def _filter(self, found: Found, *, final: bool) -> Found:
        """Drop rows that a filter of the group drops: now, if all its variables have values, or never."""
        visible = found.own | self._left
        for expression in list(self._pending):
            relation = found.relation
            names = sorted(var.name for var in expression.variables)
            if len(relation.rows) < FILTER_ROWS_MIN or not set(names) <= visible & set(relation.columns):
                continue
            certain = relation.certain(names)
            if not certain and not final:
                continue
            at = [relation.columns.index(name) for name in names]
            tuples = {tuple(row[i] for i in at): None for row in relation.rows}
            full = [tuple(cell or b"" for cell in cells) for cells in tuples if None not in cells]
            holding = self._coverage.expressions().holding(expression, names, full)
            kept = {cells for i, cells in enumerate(full) if i in holding}
            rows = [r for r in relation.rows if None in (cells := tuple(r[i] for i in at)) or cells in kept]
            found = Found(Relation(relation.columns, rows, relation.exact), found.own)
            if certain:
                self._pending.remove(expression)
        return found

    def _finish(self, found: Found) -> Found:
        for expression in self._group.filters:
            visible = found.own | self._left
            self._coverage.exists(expression, found.relation.project(visible), self._scope)
        if not self._wanted:
            return found
        found = self._filter(found, final=True)
        done = not self._pending and all(f.pure and not f.exists and f.variables for f in self._group.filters)
        relation = found.relation
        return Found(Relation(relation.columns, relation.rows, relation.exact and done), found.own)


def _unknown(unit: TriplePattern | PathPattern, found: Found, joined: Relation) -> frozenset[str]:
    """Columns that were pushed in and that the pattern did not give a value of its own."""
    if isinstance(unit, TriplePattern):
        return frozenset()
    pushed = set(found.relation.columns) - found.own
    return frozenset(name for name in names_of(unit) & pushed if not joined.certain([name]))


def _without_pushed(found: Found, names: AbstractSet[str]) -> Relation:
    """The relation without those columns of `names` that were pushed in from outside."""
    relation = found.relation
    return relation.project([name for name in relation.columns if name in found.own or name not in names])
