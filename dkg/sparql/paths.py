"""Covering property paths: what a path can walk from the nodes that are already known (docs/soundness.md, section 4).

A path is walked from its bound end, node by node, and every edge that was looked at is gathered. Where neither
end is bound, every edge that the path can use is gathered; where such a path can be empty, the whole graph is, as
its zero-length matches are all nodes.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from dkg.errors import BudgetError
from dkg.scan import LAST, prefix_end
from dkg.sparql.algebra import Alternative, Inverse, Link, Negated, PathPattern, Repeat, Sequence, Var
from dkg.sparql.analysis import nullable
from dkg.sparql.relation import Relation
from dkg.terms import component

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dkg.sparql.algebra import Node, Path
    from dkg.sparql.patterns import Lookup
    from dkg.sparql.relation import Cell, Row

BACKWARDS_ROWS_MIN: Final = 8
"""From this many rows with one common end, a path is walked once from that end, not from each row's start."""

_Ends = dict[bytes, None]  # an ordered set: the order of reading must be the same everywhere


class _Walker:
    """Walks paths within one graph (a component), or within all graphs in scope taken as one (None)."""

    def __init__(self, lookup: Lookup, graph: bytes | None) -> None:
        self._lookup = lookup
        self._graph = graph
        allowed = lookup.scope.allowed
        self._allowed = frozenset((graph,)) if graph is not None else allowed
        self._known: dict[tuple[int, bytes, bool], _Ends] = {}
        self._size = 0  # walks in it, and the nodes that they end at
        self._paths: list[Path] = []  # keeps walked paths alive, so that their ids stay theirs

    def ends(self, path: Path, node: bytes, *, forward: bool) -> _Ends:
        """Nodes that the path leads to from `node` (components), or leads from if not `forward`."""
        name = (id(path), node, forward)
        known = self._known.get(name)
        if known is None:
            self._paths.append(path)
            known = self._known[name] = self._walk(path, node, forward=forward)
            self._size += 1 + len(known)
            if self._size > self._lookup.rows_max:
                raise BudgetError(f"a path visits more than {self._lookup.rows_max} nodes; raise `rows`")
        return known

    def _walk(self, path: Path, node: bytes, *, forward: bool) -> _Ends:
        match path:
            case Link(iri):
                return self._link(iri, node, forward=forward)
            case Inverse(inner):
                return self.ends(inner, node, forward=not forward)
            case Alternative(parts):
                return {end: None for part in parts for end in self.ends(part, node, forward=forward)}
            case Sequence(parts):
                ends: _Ends = {node: None}
                for part in parts if forward else reversed(parts):
                    ends = {far: None for near in ends for far in self.ends(part, near, forward=forward)}
                return ends
            case Repeat(inner, zero, many):
                return self._repeat(inner, node, forward=forward, zero=zero, many=many)
            case Negated():
                return self._negated(path, node, forward=forward)

    def _repeat(self, path: Path, node: bytes, *, forward: bool, zero: bool, many: bool) -> _Ends:
        steps = self.spread(path, node, forward=forward) if many else [self.ends(path, node, forward=forward)]
        ends: _Ends = {far: None for fresh in steps for far in fresh}
        if zero:
            ends.setdefault(node)
        return ends

    def spread(self, path: Path, node: bytes, *, forward: bool) -> Iterator[_Ends]:
        """Where one step of a path or more leads from a node: the nodes that are new with each, nearest first."""
        frontier: _Ends = self.ends(path, node, forward=forward)
        known = dict(frontier)
        yield frontier
        while frontier:
            following: _Ends = {}
            for near in frontier:
                fresh: _Ends = {far: None for far in self.ends(path, near, forward=forward) if far not in known}
                known.update(fresh)
                following.update(fresh)
                if fresh:
                    yield fresh
            frontier = following

    def _link(self, iri: bytes, node: bytes, *, forward: bool) -> _Ends:
        if forward and node[:1] != b"<":
            return {}  # a literal is the subject of nothing
        predicate = component(iri)
        if not forward:
            order, prefix, at = "posg", predicate + b"\0" + node + b"\0", 2
        elif self._graph is not None:
            order, prefix, at = "gspo", self._graph + b"\0" + node + b"\0" + predicate + b"\0", 3
        else:
            order, prefix, at = "spog", node + b"\0" + predicate + b"\0", 2
        return {key.split(b"\0")[at]: None for key in self._take(order, prefix)}

    def _negated(self, path: Negated, node: bytes, *, forward: bool) -> _Ends:
        ends: _Ends = {}
        for refused, as_subject in ((path.forward, forward), (path.inverse, not forward)):
            if refused is None or (as_subject and node[:1] != b"<"):
                continue
            order, at, predicate = ("spog", 2, 1) if as_subject else ("ospg", 1, 2)
            for key in self._take(order, node + b"\0"):
                parts = key.split(b"\0")
                if parts[predicate] not in refused:
                    ends[parts[at]] = None
        return ends

    def _take(self, order: str, prefix: bytes) -> list[bytes]:
        allowed = None if order == "gspo" else self._allowed
        named = self._lookup.scope.named
        return self._lookup.gather.take(order, prefix, prefix_end(prefix), named=named, allowed=allowed)

    def touch(self, node: bytes) -> None:
        """Gather what shows that `node` is in the graph: a zero-length path matches only such nodes."""
        if self._graph is None and self._lookup.scope.named:  # in which of the graphs?
            for order in ("spog", "ospg"):
                self._take(order, node + b"\0")
            return
        orders = ("spog", "ospg") if node[:1] == b"<" else ("ospg",)
        for order in orders:
            low = node + b"\0"
            named = self._lookup.scope.named
            if self._lookup.gather.some(order, low, prefix_end(low), named=named, allowed=self._allowed):
                return

    def everything(self, path: Path) -> _Ends | None:
        """Gather every edge that the path can use; gives the nodes it can start from, None if that is any."""
        if nullable(path):
            self._scan("spog", b"", LAST)
            return None
        return self._starts(path, forward=True)

    def _starts(self, path: Path, *, forward: bool) -> _Ends | None:
        match path:
            case Link(iri):
                prefix = component(iri) + b"\0"
                at = 2 if forward else 1
                return {key.split(b"\0")[at]: None for key in self._scan("posg", prefix, prefix_end(prefix))}
            case Inverse(inner):
                return self._starts(inner, forward=not forward)
            case Repeat(inner, _, _):
                return self._starts(inner, forward=forward)
            case Alternative(parts):
                found = [self._starts(part, forward=forward) for part in parts]
                return None if None in found else {end: None for ends in found if ends for end in ends}
            case Sequence(parts):
                ordered = parts if forward else tuple(reversed(parts))
                found = [self._starts(part, forward=forward) for part in ordered]
                return None if nullable(ordered[0]) else found[0]
            case Negated():
                self._scan("spog", b"", LAST)
                return None

    def _scan(self, order: str, low: bytes, high: bytes) -> list[bytes]:
        named = self._lookup.scope.named
        return self._lookup.gather.take(order, low, high, named=named, allowed=self._allowed)


def join_path(lookup: Lookup, relation: Relation, pattern: PathPattern, keep: set[str]) -> Relation:
    """A relation joined with the matches of a path, on the columns of `keep`. Everything walked is gathered."""
    joiner = _Joiner(lookup, relation, pattern, keep)
    for row in relation.rows:
        joiner.add(row)
    return joiner.result()


def closure_batches(
    lookup: Lookup, relation: Relation, pattern: PathPattern, keep: set[str]
) -> Iterator[Relation] | None:
    """Like `join_path` for `*` or `+`, a step at a time, walked only as far as consumed.

    None where that is no better: if there are many rows, or one that has a value for neither end.
    """
    return _Joiner(lookup, relation, pattern, keep).batches()


class _Joiner:
    def __init__(self, lookup: Lookup, relation: Relation, pattern: PathPattern, keep: set[str]) -> None:
        self._lookup = lookup
        self._relation = relation
        self._pattern = pattern
        self._walkers: dict[bytes | None, _Walker] = {}
        names = [node.name for node in (pattern.s, pattern.o) if isinstance(node, Var)]
        fresh = [name for name in dict.fromkeys(names) if name not in relation.columns]
        self._wide = (*relation.columns, *fresh)
        self._out = [i for i, name in enumerate(self._wide) if name in keep]
        self._nullable = nullable(pattern.path)
        self._rows: dict[Row, None] = {}
        self._exact = relation.exact
        self._starts: dict[bytes | None, _Ends | None] = {}
        self._backwards = len(relation.rows) > BACKWARDS_ROWS_MIN and self._values(pattern.o) == 1

    def _values(self, node: Node) -> int:
        """How many different values a node has; 0 if it has none in some row."""
        if not isinstance(node, Var):
            return 1
        columns = self._relation.columns
        at = columns.index(node.name) if node.name in columns else -1
        values = {row[at] for row in self._relation.rows} if at >= 0 else {None}
        return 0 if None in values else len(values)

    def _walker(self, row: Row) -> _Walker:
        scope = self._lookup.scope
        graph: Cell
        if isinstance(scope.graph, Var):
            columns = self._relation.columns
            graph = row[columns.index(scope.graph.name)] if scope.graph.name in columns else None
            self._exact = self._exact and graph is not None
        elif scope.graph is not None:
            graph = component(scope.graph)
        else:
            allowed = scope.allowed
            graph = next(iter(allowed)) if allowed is not None and len(allowed) == 1 else None
        walker = self._walkers.get(graph)
        if walker is None:
            walker = self._walkers[graph] = _Walker(self._lookup, graph)
        return walker

    def add(self, row: Row) -> None:
        """Walk for one row."""
        pattern, walker = self._pattern, self._walker(row)
        start, end = self._value(pattern.s, row), self._value(pattern.o, row)
        self._touch(walker, start, end)
        if start is not None and end is not None and self._backwards:
            if start in walker.ends(pattern.path, end, forward=False):
                self._emit(row, ((start, end),))
        elif start is not None:
            ends = walker.ends(pattern.path, start, forward=True)
            self._emit(row, ((start, far) for far in ends if end is None or far == end))
        elif end is not None:
            self._emit(row, ((near, end) for near in walker.ends(pattern.path, end, forward=False)))
        else:
            self._anywhere(row, walker)

    def _touch(self, walker: _Walker, start: Cell, end: Cell) -> None:
        if self._nullable:
            self._exact = False  # whether a zero-length match counts hangs on its node being in the graph
            if start is None or end is None or start == end:  # else no zero-length match joins them
                for value in {start: None, end: None}:
                    if value is not None:
                        walker.touch(value)

    def batches(self) -> Iterator[Relation] | None:
        """See `closure_batches`."""
        pattern, path, rows = self._pattern, self._pattern.path, self._relation.rows
        if not isinstance(path, Repeat) or not path.many or len(rows) > BACKWARDS_ROWS_MIN:
            return None
        if not all(self._value(pattern.s, row) or self._value(pattern.o, row) for row in rows):
            return None
        return (found for row in rows for found in self._steps(path, row))

    def _steps(self, path: Repeat, row: Row) -> Iterator[Relation]:
        walker = self._walker(row)
        start, end = self._value(self._pattern.s, row), self._value(self._pattern.o, row)
        self._touch(walker, start, end)
        near, far = (start, end) if start is not None else (end, None)
        if near is None:
            raise TypeError("an end of the path is known")
        zero: list[_Ends] = [{near: None}] if path.zero else []
        for ends in chain(zero, walker.spread(path.path, near, forward=start is not None)):
            found = (node for node in ends if far is None or node == far)
            self._emit(row, ((near, node) if start is not None else (node, near) for node in found))
            yield self.result()
            self._rows.clear()

    def _anywhere(self, row: Row, walker: _Walker) -> None:
        self._exact = False
        graph = next(graph for graph, known in self._walkers.items() if known is walker)
        if graph not in self._starts:
            self._starts[graph] = walker.everything(self._pattern.path)
        starts = self._starts[graph]
        self._emit(row, ((near, None) for near in (starts if starts is not None else (None,))))

    def _value(self, node: Node, row: Row) -> Cell:
        if not isinstance(node, Var):
            return component(node)
        columns = self._relation.columns
        return row[columns.index(node.name)] if node.name in columns else None

    def _emit(self, row: Row, pairs: Iterable[tuple[Cell, Cell]]) -> None:
        pattern, wide = self._pattern, self._wide
        blank = list(row) + [None] * (len(wide) - len(row))
        s = wide.index(pattern.s.name) if isinstance(pattern.s, Var) else -1
        o = wide.index(pattern.o.name) if isinstance(pattern.o, Var) else -1
        for near, far in pairs:
            if s == o >= 0 and None not in (near, far) and near != far:
                continue
            cells = blank.copy()
            if s >= 0 and near is not None:
                cells[s] = near
            if o >= 0 and far is not None:
                cells[o] = far
            self._rows[tuple(cells[i] for i in self._out)] = None
        if len(self._rows) > self._lookup.rows_max:
            raise BudgetError(
                f"an intermediate result has more than the {self._lookup.rows_max} rows that the budget allows; "
                "make the query more selective or raise `rows`"
            )

    def result(self) -> Relation:
        """What was joined."""
        return Relation(tuple(self._wide[i] for i in self._out), list(self._rows), self._exact)
