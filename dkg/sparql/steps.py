"""Covering a query bit by bit, for ASK and LIMIT: no further than it takes to find enough rows.

A group's solutions begin somewhere: with the matches of a triple pattern, in each branch of a UNION, with a row of
VALUES. A `Source` is one such beginning. It reads its matches a leaf at a time; for those at hand the rest of the query
is covered, and then the engine is asked whether there are enough rows. Why those rows are right is in
docs/soundness.md, section 8.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dkg.sparql.algebra import (
    Alternative,
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
    TriplePattern,
    Triples,
    Union,
    Var,
)
from dkg.sparql.analysis import (
    assigned,
    monotone,
    names_of,
    names_of_group,
    needs_triple,
    nullable,
    ranges_over_graphs,
    starts_with_triple,
)
from dkg.sparql.cover import Found, GroupCover, relation_of
from dkg.sparql.paths import closure_batches
from dkg.sparql.patterns import gathered_matches, pattern_batches, variables_of
from dkg.sparql.relation import Relation, copied, join
from dkg.terms import component

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dkg.sparql.algebra import Node, Path, Select
    from dkg.sparql.analysis import Unit
    from dkg.sparql.cover import Coverage
    from dkg.sparql.patterns import Scope
    from dkg.sparql.relation import Row

PRODUCT_ROWS_MAX: Final = 64
"""Rows of VALUES up to which their product with a pattern that shares no variable is kept; else they are forgotten."""


_NOTHING: Final = Found(Relation(rows=[]))


class Source:
    """Where solutions of a group begin.

    `batches`: its beginnings, as they are read. `again`: those among what has been gathered that it has not given yet.
    `rest`: covers what comes after some of them.
    """

    def __init__(self, batches: Iterator[Found], again: Callable[[], Found], rest: Callable[[Found], Found]) -> None:
        self.batches = batches
        self.again = again
        self.rest = rest
        self._done: set[Row] = set()

    def then(self, rest: Callable[[Found], Found]) -> Source:
        """The same, of what is around the group: `rest` covers that."""
        inner = self.rest
        return Source(self.batches, self.again, lambda found: rest(inner(found)))

    def close(self) -> bool:
        """Cover for every beginning among what has been gathered; whether there was a new one."""
        found = self.again()
        rows = [row for row in found.relation.rows if row not in self._done]
        self._done.update(rows)
        if rows:
            self.rest(_with_rows(found, rows))
        return bool(rows)


def stream(coverage: Coverage, select: Select, enough: int) -> Iterator[None]:
    """Cover a SELECT for `enough` beginnings of its pattern, then for twice as many more, and so on to the last."""
    given = Relation() if select.values is None else relation_of(select.values)
    free = monotone(select.where)
    if ranges_over_graphs(select.where):  # also in what is not covered yet when the engine first runs
        coverage.lists_graphs = True
    steps = _Steps(coverage, select.where, coverage.default_scope, frozenset(), free=free)
    sources = steps.sources(steps.begin(given, frozenset()))
    return _more(sources, enough) if free else _closed(list(sources), enough)


def _more(sources: Iterator[Source], enough: int) -> Iterator[None]:
    """Where more triples can only add rows: whatever was gathered, the rows found are right."""
    covered = 0
    for source in sources:
        waiting: list[Found] = []
        size = 0
        for found in source.batches:
            waiting.append(found)
            size += len(found.relation.rows)
            while covered + size >= enough:
                part, waiting = _split(waiting, enough - covered)
                source.rest(part)
                yield
                size -= len(part.relation.rows)
                covered, enough = 0, 2 * enough
        if waiting:
            part, _ = _split(waiting, size)
            source.rest(part)
            covered += size
    yield


def _closed(sources: list[Source], enough: int) -> Iterator[None]:
    """Elsewhere a row can be wrong, where it begins with what was not covered for: cover for all that is there."""
    read = 0
    for source in sources:
        for found in source.batches:
            read += len(found.relation.rows)
            if read >= enough:
                _close(sources)
                yield
                read, enough = 0, 2 * enough
    _close(sources)
    yield


def _close(sources: list[Source]) -> None:
    while any(source.close() for source in sources):
        pass


def _with_rows(found: Found, rows: list[Row]) -> Found:
    return Found(Relation(found.relation.columns, rows, found.relation.exact), found.own)


def _split(parts: list[Found], size: int) -> tuple[Found, list[Found]]:
    """The first `size` rows of the batches of one source, and the others."""
    rows = [row for part in parts for row in part.relation.rows]
    first = parts[0]
    rest = rows[size:]
    return _with_rows(first, rows[:size]), [_with_rows(first, rest)] if rest else []


class _Steps(GroupCover):
    """The beginnings of one group. `free`: whether any rows are right, so that a source may leave out some."""

    def __init__(self, coverage: Coverage, group: Group, scope: Scope, needed: frozenset[str], *, free: bool) -> None:
        super().__init__(coverage, group, scope, needed, frozenset())
        self._outside = needed
        self._free = free

    def sources(self, found: Found) -> Iterator[Source]:
        """The sources of the group, all its solutions among them. `found`: what `begin` gave."""
        elements, at = self._group.elements, 0
        units, stop, found = self._segment(at, found)
        while not units and at < len(elements) and not isinstance(elements[at], Optional | Minus):
            found = self._single(at, found)  # BIND; VALUES were joined at the start
            at += 1
            units, stop, found = self._segment(at, found)
        if not units:
            yield _known(found, lambda part: self._rest(part, at, None))
            return
        chosen = self._index(units, found.relation)
        unit = units.pop(chosen)
        keep = self._needed_from(stop).union(*map(names_of, units))
        for source in self._of(unit, found, keep):
            yield source.then(lambda part: self._rest(part, at, chosen))

    def _rest(self, found: Found, at: int, joined: int | None) -> Found:
        # Another walk for each part: it remembers which filters it has applied.
        walk = GroupCover(self._coverage, self._group, self._scope, self._outside, frozenset())
        return walk.walk(found, at, joined)

    def _of(self, unit: Unit, found: Found, keep: frozenset[str]) -> Iterator[Source]:
        match unit:
            case TriplePattern():
                yield self._matches(unit, found)
            case PathPattern():
                yield from self._path(unit, found, keep)
            case Group():
                yield from self._branch(unit, found, keep)
            case Union(branches):
                for branch in branches:
                    yield from self._branch(branch, found, keep)
            case InGraph():
                yield from self._graph_sources(unit, found, keep)
            case _:
                yield self._whole(unit, found, keep)

    def _whole(self, unit: Unit, found: Found, keep: frozenset[str]) -> Source:
        """All solutions of a unit at once, when they are asked for."""
        known: list[Found] = []

        def whole() -> Found:
            if not known:
                known.append(self._join(unit, found, keep))
            return known[0]

        return Source((whole() for _ in range(1)), whole, _same)

    def _matches(self, pattern: TriplePattern, found: Found, refused: frozenset[bytes] = frozenset()) -> Source:
        """The matches of a triple pattern, without those whose predicate, a variable then, is refused."""
        relation, variables = found.relation, variables_of(self._lookup.nodes(pattern))
        if len(relation.rows) > PRODUCT_ROWS_MAX and not set(variables) & set(relation.columns):
            relation = Relation(exact=False)
        own = found.own | names_of(pattern) | self._graph
        seen: dict[object, int] = {}

        def wanted(joined: Relation) -> Found:
            if refused and isinstance(pattern.p, Var):
                at = joined.columns.index(pattern.p.name)
                joined = replace(joined, rows=[row for row in joined.rows if row[at] not in refused])
            return Found(joined, own)

        keep = {*relation.columns, *variables}
        return Source(
            (wanted(batch) for batch in pattern_batches(self._lookup, relation, pattern, keep)),
            lambda: wanted(join(relation, gathered_matches(self._lookup, pattern, seen))),
            _same,
        )

    def _branch(self, group: Group, found: Found, keep: frozenset[str], scope: Scope | None = None) -> Iterator[Source]:
        """The sources of a group that joins what was found."""
        inner = _Steps(
            self._coverage, group, self._scope if scope is None else scope, keep | self._graph, free=self._free
        )

        def joined(part: Found) -> Found:
            return Found(part.relation.project(keep | self._graph), found.own | part.own)

        for source in inner.sources(inner.begin(found.relation, frozenset())):
            yield source.then(joined)

    def _graph_sources(self, element: InGraph, found: Found, keep: frozenset[str]) -> Iterator[Source]:
        graph, group = element.graph, element.group
        if not isinstance(graph, Var):
            exists = needs_triple(group) or self._coverage.graph_exists(component(graph))
            for source in self._branch(group, found, keep, self._coverage.named_scope(graph)):
                yield source.then(lambda part: _exact_if(part, exists))
            return
        triple = starts_with_triple(group)
        plain = triple and monotone(group) and graph.name not in names_of_group(group)
        if graph.name in assigned(group) or not (self._free or plain):
            yield self._whole(element, found, keep)
            return
        fresh = self._coverage.fresh_graph()
        scope = self._coverage.named_scope(fresh, graph.name)
        given = copied(found.relation, graph.name, fresh.name)
        exist = triple or self._coverage.graph_names(given, fresh.name)
        inner = _Steps(self._coverage, group, scope, keep | {fresh.name, graph.name} | self._graph, free=self._free)
        for source in inner.sources(inner.begin(given, frozenset())):
            yield source.then(lambda part: self._after_graph(element, fresh, found, part, keep, exist=exist))

    # --- paths ---------------------------------------------------------------------------------------------

    def _path(self, unit: PathPattern, found: Found, keep: frozenset[str]) -> Iterator[Source]:
        match unit.path:
            case Alternative(parts):
                for part in parts:
                    yield from self._spelled(PathPattern(unit.s, part, unit.o), found, keep)
                return
            case Negated(forward, inverse):
                for refused, s, o in ((forward, unit.s, unit.o), (inverse, unit.o, unit.s)):
                    if refused is not None:
                        pattern = TriplePattern(s, self._coverage.fresh_graph(), o)
                        yield self._matches(pattern, found, refused).then(lambda part: self._after_path(part, found))
                return
            case Repeat(inner) if self._free:  # first some of its solutions, which take less reading than all
                ends = {node.name if isinstance(node, Var) else "" for node in (unit.s, unit.o)}
                if nullable(unit.path) and not ends & {"", *found.relation.columns}:
                    yield self._nodes(unit, found)
                else:
                    yield from self._spelled(PathPattern(unit.s, inner, unit.o), found, keep)
                walked = closure_batches(self._lookup, found.relation, unit, {*keep, *self._graph})
                if walked is not None:
                    own = found.own | names_of(unit)
                    yield Source((Found(batch, own) for batch in walked), lambda: _NOTHING, _same)
                    return
        yield self._whole(unit, found, keep)

    def _spelled(self, unit: PathPattern, found: Found, keep: frozenset[str]) -> Iterator[Source]:
        """The sources of a path, as a group of patterns."""
        group = Group((Triples(tuple(self._steps_of(unit.s, unit.path, unit.o))),))
        inner = _Steps(self._coverage, group, self._scope, keep | self._graph, free=self._free)
        for source in inner.sources(Found(found.relation)):
            yield source.then(lambda part: self._after_path(part, found))

    def _after_path(self, part: Found, found: Found) -> Found:
        return Found(part.relation, found.own | (part.own - self._graph))

    def _steps_of(self, s: Node, path: Path, o: Node) -> Iterator[TriplePattern | PathPattern]:
        match path:
            case Link(iri):
                yield TriplePattern(s, iri, o)
            case Inverse(inner):
                yield from self._steps_of(o, inner, s)
            case Sequence(parts):
                ends = [s, *(self._coverage.fresh_graph() for _ in parts[1:]), o]
                for near, part, far in zip(ends, parts, ends[1:], strict=False):
                    yield from self._steps_of(near, part, far)
            case _:
                yield PathPattern(s, path, o)

    def _nodes(self, unit: PathPattern, found: Found) -> Source:
        """Subjects as zero-length matches of a path of which neither end is known: all of the graph is read anyway."""
        middle, end = self._coverage.fresh_graph(), self._coverage.fresh_graph()
        ends = [node.name for node in (unit.s, unit.o) if isinstance(node, Var)]

        def matched(part: Found) -> Found:
            relation = part.relation if len(set(ends)) == 1 else copied(part.relation, *ends)
            return Found(relation, part.own | set(ends))

        return self._matches(TriplePattern(unit.s, middle, end), found).then(matched)


def _same(found: Found) -> Found:
    return found


def _known(found: Found, rest: Callable[[Found], Found]) -> Source:
    """Beginnings that do not hang on data."""
    return Source(iter([found]), lambda: found, rest)


def _exact_if(found: Found, certain: bool) -> Found:  # noqa: FBT001 - what it is about
    return Found(replace(found.relation, exact=found.relation.exact and certain), found.own)
