"""What can be read off a query's pattern without data: names, monotonicity, required triple patterns."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from dkg.sparql.algebra import (
    Alternative,
    Bind,
    Group,
    InGraph,
    Inverse,
    Link,
    Minus,
    Negated,
    Optional,
    PathPattern,
    Repeat,
    Sequence,
    SubSelect,
    TriplePattern,
    Triples,
    Union,
    Values,
    Var,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg.sparql.algebra import Element, Expression, Path, Select

Unit = TriplePattern | PathPattern | Group | Union | InGraph | SubSelect
"""What joins: a pattern, or an element that behaves like one."""

_NOTHING: frozenset[str] = frozenset()


@lru_cache(maxsize=4096)
def names_of_expression(expression: Expression) -> frozenset[str]:
    """Names of all variables an expression mentions, also inside EXISTS."""
    inner = (names_of_group(group) for group in expression.exists)
    return frozenset(var.name for var in expression.variables).union(*inner)


def names_of_expressions(expressions: Iterable[Expression]) -> frozenset[str]:
    """Names of all variables that expressions mention."""
    return _NOTHING.union(*map(names_of_expression, expressions))


@lru_cache(maxsize=4096)
def names_of_group(group: Group) -> frozenset[str]:
    """Names of all variables a group mentions, hidden ones included: a superset of what is in scope."""
    return names_of_expressions(group.filters).union(*map(names_of, group.elements))


@lru_cache(maxsize=16384)
def names_of(element: Element | TriplePattern | PathPattern) -> frozenset[str]:  # noqa: C901 - one case a kind
    """Names of all variables an element mentions: a superset of what is in scope."""
    match element:
        case TriplePattern(s, p, o):
            return frozenset(node.name for node in (s, p, o) if isinstance(node, Var))
        case PathPattern(s, _, o):
            return frozenset(node.name for node in (s, o) if isinstance(node, Var))
        case Triples(patterns):
            return _NOTHING.union(*map(names_of, patterns))
        case Optional(group) | Minus(group):
            return names_of_group(group)
        case Union(branches):
            return _NOTHING.union(*map(names_of_group, branches))
        case InGraph(graph, group):
            own = {graph.name} if isinstance(graph, Var) else _NOTHING
            return names_of_group(group) | own
        case Bind(expression, var):
            return names_of_expression(expression) | {var.name}
        case Values(variables, _):
            return frozenset(var.name for var in variables)
        case SubSelect(select):
            return names_of_select(select)
        case Group():
            return names_of_group(element)


@lru_cache(maxsize=16384)
def bindable(element: Element) -> frozenset[str]:
    """Names of the variables that an element's solutions may have values for."""
    match element:
        case Minus():
            return _NOTHING
        case Optional(group) | InGraph(_, group):
            graph = element.graph if isinstance(element, InGraph) else None
            own = {graph.name} if isinstance(graph, Var) else _NOTHING
            return bindable(group) | own
        case Union(parts) | Group(parts):
            return _NOTHING.union(*map(bindable, parts))
        case Bind(_, var):
            return frozenset((var.name,))
        case _:
            return names_of(element)


def names_of_select(select: Select) -> frozenset[str]:
    """Names of the variables that a sub-select shows; of everything it mentions for `*`."""
    if select.projection is not None:
        return frozenset(var.name for var in select.projection)
    return names_of_group(select.where) | (names_of(select.values) if select.values else _NOTHING)


def opaque(select: Select) -> bool:
    """Whether bindings from outside must not be pushed into a sub-select: its result depends on all its rows."""
    return select.aggregated or select.limit is not None or select.offset > 0


def monotone(group: Group) -> bool:
    """Whether more triples can only add solutions: no OPTIONAL, MINUS, EXISTS, aggregate or LIMIT inside."""
    if any(expression.exists for expression in group.filters):
        return False
    return all(map(_monotone, group.elements))


def _monotone(element: Element) -> bool:
    match element:
        case Optional() | Minus():
            return False
        case Union(branches):
            return all(map(monotone, branches))
        case InGraph(_, group):
            return monotone(group)
        case Group():
            return monotone(element)
        case Bind(expression, _):
            return not expression.exists
        case SubSelect(select):
            return (
                not opaque(select)
                and monotone(select.where)
                and not any(expression.exists for expression in select.expressions)
            )
        case _:
            return True


def needs_triple(group: Group) -> bool:
    """Whether a solution of the group needs at least one triple that matches one of its own triple patterns."""
    return any(
        isinstance(pattern, TriplePattern)
        for element in group.elements
        if isinstance(element, Triples)
        for pattern in element.patterns
    )


def starts_with_triple(group: Group) -> bool:
    """Whether the first thing in a group is a triple pattern, so that it never begins from nothing."""
    match group.elements[0] if group.elements else None:
        case Triples(patterns):
            return any(isinstance(pattern, TriplePattern) for pattern in patterns)
        case Union(branches):
            return all(map(starts_with_triple, branches))
        case Group() as inner:
            return starts_with_triple(inner)
        case _:
            return False


def ranges_over_graphs(group: Group, *, inside: bool = False) -> bool:
    """Whether the engine may list the graphs by itself anywhere in a group: see `Coverage.lists_graphs`.

    `inside`: whether the group is in the graph of a `GRAPH ?g`.
    """
    if inside and not starts_with_triple(group):
        return True
    exists = (inner for expression in group.filters for inner in expression.exists)
    return any(ranges_over_graphs(inner, inside=inside) for inner in exists) or any(
        _ranges_over_graphs(element, inside=inside) for element in group.elements
    )


def _ranges_over_graphs(element: Element, *, inside: bool) -> bool:
    if isinstance(element, InGraph):
        graph, group = element.graph, element.group
        if isinstance(graph, Var) and graph.name in assigned(group):
            return True
        return ranges_over_graphs(group, inside=isinstance(graph, Var))
    return any(ranges_over_graphs(group, inside=inside) for group in _groups_in(element))


def _groups_in(element: Element) -> tuple[Group, ...]:
    match element:
        case Optional(group) | Minus(group) | InGraph(_, group):
            return (group,)
        case Union(branches):
            return branches
        case Group():
            return (element,)
        case Bind(expression, _):
            return expression.exists
        case SubSelect(select):
            return (select.where, *(group for expression in select.expressions for group in expression.exists))
        case _:
            return ()


def leaves_a_choice(group: Group) -> bool:
    """Whether a sub-select with LIMIT, OFFSET or aggregates is anywhere in a group.

    Its rows may hang on the order of rows, which the engine may change from run to run; and so may their number.
    """
    exists = (inner for expression in group.filters for inner in expression.exists)
    return any(map(leaves_a_choice, exists)) or any(
        (isinstance(element, SubSelect) and opaque(element.select)) or any(map(leaves_a_choice, _groups_in(element)))
        for element in group.elements
    )


def hides_graph(group: Group) -> bool:
    """Whether the engine may leave ?g without a value after `GRAPH ?g` of this group.

    It knows the graph from a triple pattern or a path. Without any, it begins with the list of graphs, but not where
    VALUES, a sub-select or another GRAPH stands in the group (pyoxigraph 0.5.13).
    """
    return _stands_alone(group) and not _matches(group)


def _stands_alone(element: Element) -> bool:
    match element:
        case Values() | SubSelect() | InGraph():
            return True
        case Union(parts) | Group(parts):
            return any(map(_stands_alone, parts))
        case _:
            return False


def _matches(element: Element) -> bool:
    match element:
        case Triples(patterns):
            return bool(patterns)
        case Union(branches):
            return all(map(_matches, branches))
        case Group(elements):
            return any(map(_matches, elements))
        case _:
            return False


@lru_cache(maxsize=4096)
def assigned(group: Group) -> frozenset[str]:
    """Names that BIND or AS gives a value to, anywhere in a group."""
    return _NOTHING.union(*map(_assigned, group.elements), *(assigned(g) for f in group.filters for g in f.exists))


def _assigned(element: Element) -> frozenset[str]:
    match element:
        case Optional(group) | Minus(group) | InGraph(_, group):
            return assigned(group)
        case Union(branches):
            return _NOTHING.union(*map(assigned, branches))
        case Bind(expression, var):
            return _NOTHING.union({var.name}, *map(assigned, expression.exists))
        case SubSelect(select):
            inner = _NOTHING.union(*(assigned(g) for e in select.expressions for g in e.exists))
            names = select.aliases if select.aliases is not None else names_of_select(select)
            return assigned(select.where) | inner | names
        case Group():
            return assigned(element)
        case _:
            return _NOTHING


def nullable(path: Path) -> bool:
    """Whether a path has a zero-length match."""
    match path:
        case Repeat(inner, zero, _):
            return zero or nullable(inner)
        case Inverse(inner):
            return nullable(inner)
        case Sequence(parts):
            return all(map(nullable, parts))
        case Alternative(parts):
            return any(map(nullable, parts))
        case Link() | Negated():
            return False
